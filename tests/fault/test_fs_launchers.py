#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax fs` in the place of virtiofsd: what each launcher passes, waits for and reads.

The front end is only a hello: enough to see that the daemon serves, and what happens at its end.
"""
import fcntl
import grp
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import time

from fsdaemon import (CONFIG, GET_QUEUE_NUM, MQ, SET_PROTOCOL_FEATURES, Fs, connect, hello, link,
                      listener, say, serves_until_the_end, share)
from vdaxtest import SANITIZED, run, wait_for

QUEUES = 8


def inherited(t, *args, **kwargs):
    """A launcher that opens the socket: the daemon gets it as a descriptor, and may not bind."""
    s = listener(t)
    fs = Fs(t, *[a.format(fd=s.fileno()) if isinstance(a, str) else a for a in args],
            fds=(s.fileno(),), **kwargs)
    s.close()
    front = connect(t.path('sock'))
    serves_until_the_end(fs, front)
    assert not os.path.exists(t.path('sock.pid'))
    return fs


def test_libvirt(t):
    """Options of their own, as the capabilities say; then the old list."""
    inherited(t, '--fd={fd}', '--shared-dir', share(t), '--cache', 'always', '--sandbox',
              'none' if SANITIZED else 'namespace', '--xattr', '--thread-pool-size=16',
              '--rlimit-nofile=4096', '--log-level', 'debug')


def test_libvirt_old(t):
    """One list, in which libvirt doubles the commas of a path."""
    folder = t.path('with,comma')
    os.mkdir(folder)
    fs = inherited(t, '--fd={fd}', '-o', f'source={folder.replace(",", ",,")},cache=none,'
                   'sandbox=namespace,xattr,no_flock,no_posix_lock', '-d')
    assert folder in fs.log()


def test_libvirt_capabilities(t):
    p = subprocess.run([link(t), '--print-capabilities'], capture_output=True, text=True,
                       timeout=10, check=True)
    found = json.loads(p.stdout)
    assert found['type'] == 'fs' and not p.stderr
    assert set(found['features']) == {'migrate-precopy', 'posix-acl-negotiation-mode',
                                      'security-label-negotiation-mode', 'separate-options'}
    source = os.environ['VDAX_SOURCE']
    with open(os.path.join(source, 'packaging/50-vdax-fs.json.in'), encoding='ascii') as f:
        described = json.load(f)
    assert described['type'] == 'fs' and described['features'] == found['features']


def test_kata(t):
    """The Go runtime: descriptor 3, and syslog, which need not be there."""
    s = listener(t)

    def as_three():
        os.dup2(s.fileno(), 3)
        os.set_inheritable(3, True)

    fs = Fs(t, '--syslog', '--cache=auto', f'--shared-dir={share(t)}', '--fd=3',
            '--thread-pool-size=1', '--announce-submounts', preexec_fn=as_three, close_fds=False)
    s.close()
    front = connect(t.path('sock'))
    hello(front)
    server = fs.server()
    fs.process.kill()  # as the runtime ends it
    fs.process.wait()
    wait_for('the server to end with it', lambda: not os.path.exists(f'/proc/{server}'))
    assert front.recv(1) == b''


def test_kata_rs(t):
    """The Rust runtime waits for a line on stderr, without a limit."""
    fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', share(t), '--cache', 'auto',
            '--thread-pool-size=1', '-o', 'announce_submounts', '--xattr')
    fs.wait_ready()
    serves_until_the_end(fs, connect(t.path('sock')))


def test_incus(t):
    for more in ((), ('--translate-uid=map:0:1000000:65536', '--translate-gid=map:0:1000000:65536',
                      '--translate-uid=forbid-guest:65536:4294901759',
                      '--translate-gid=forbid-guest:65536:4294901759'),
                 ('--posix-acl=auto',), ('--posix-acl',)):
        s = listener(t)
        fd = s.fileno()
        fs = Fs(t, f'--fd={fd}', '--cache=metadata', f'--shared-dir={share(t)}', *more, fds=(fd,))
        s.close()
        serves_until_the_end(fs, connect(t.path('sock')))
        os.unlink(t.path('sock'))


def test_proxmox(t):
    inherited(t, '--fd={fd}', f'--shared-dir={share(t)}', '--xattr', '--posix-acl',
              '--announce-submounts', '--allow-direct-io', '--cache=auto',
              '--inode-file-handles=prefer', '--syslog')


def test_microvm(t):
    """Under a supervisor, in a folder that outlives it: the same command again must work."""
    group = grp.getgrgid(os.getgid()).gr_name
    for _ in range(2):
        fs = Fs(t, f'--socket-path={t.path("sock")}', f'--socket-group={group}',
                f'--shared-dir={share(t)}', '--rlimit-nofile', '4096', '--thread-pool-size', '2',
                '--posix-acl', '--xattr', '--cache=auto', '--inode-file-handles=prefer',
                '--tag=store', '--readonly')
        fs.wait_ready()
        assert stat.S_IMODE(os.stat(t.path('sock')).st_mode) == 0o660
        with open(f'/proc/{fs.server()}/limits', encoding='ascii') as f:
            assert re.search(r'^Max open files +4096 +4096 ', f.read(), re.M)
        s = connect(t.path('sock'))
        assert hello(s) & CONFIG, 'a tag, but no config space'
        serves_until_the_end(fs, s)


def test_lima(t):
    """It asks for a version, which the daemon in C did not know, and waits for the socket."""
    p = subprocess.run([link(t), '--version'], capture_output=True, text=True, timeout=10,
                       check=True)
    assert re.fullmatch(r'virtiofsd (\d+)\.(\d+)\.(\d+) \(vdax [^ ]+\)\n', p.stdout), p.stdout
    fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', share(t))
    wait_for('the socket', lambda: os.path.exists(t.path('sock')))
    serves_until_the_end(fs, wait_for('a listener', lambda: try_connect(t.path('sock'))))


def try_connect(path):
    try:
        return connect(path)
    except ConnectionRefusedError:
        return None


def test_cloud_hypervisor(t):
    fs = Fs(t, f'--socket-path={t.path("sock")}', f'--shared-dir={share(t)}', '--cache=never',
            '--thread-pool-size=64', name='vdax fs')
    fs.wait_ready()
    s = connect(t.path('sock'))
    features = hello(s)
    assert features & MQ and not features & CONFIG, 'a config space, but no tag'
    s.sendall(struct.pack('<IIIQ', SET_PROTOCOL_FEATURES, 1, 8, MQ))
    assert say(s, GET_QUEUE_NUM) == QUEUES + 1
    serves_until_the_end(fs, s)


def test_kubevirt(t):
    """In a container of its own, without rights to make namespaces."""
    fs = Fs(t, f'--socket-path={t.path("sock")}', f'--shared-dir={share(t)}', '--sandbox=none',
            '--cache=auto', '--migration-on-error=guest-error', '--migration-mode=find-paths',
            '--xattr', user=None if os.geteuid() else 'nobody')
    fs.wait_ready()
    serves_until_the_end(fs, connect(t.path('sock')))


def test_virtme(t):
    """It shares the whole root, looks for the pid file, and ends what has that number."""
    fs = Fs(t, '--syslog', '--no-announce-submounts', '--socket-path', t.path('sock'),
            '--shared-dir', '/', '--sandbox', 'none')
    wait_for('the pid file', lambda: os.path.exists(t.path('sock.pid')))
    s = wait_for('a listener', lambda: os.path.exists(t.path('sock')) and
                 try_connect(t.path('sock')))
    hello(s)
    with open(t.path('sock.pid'), encoding='ascii') as f:
        os.kill(int(f.read()), signal.SIGTERM)
    assert fs.wait() == 0, fs.log()


def test_c_daemon(t):
    """What QEMU's own took, with --socket-path and everything else in lists."""
    fs = Fs(t, f'--socket-path={t.path("sock")}', '-o', f'source={share(t)}', '-o',
            'cache=always,timeout=2.5,writeback,xattr,flock,posix_lock,no_readdirplus,log_level=info',
            '-o', 'allow_root,max_idle_threads=10,modcaps=+sys_admin:-mknod,killpriv_v2', '-f')
    fs.wait_ready()
    serves_until_the_end(fs, connect(t.path('sock')))


def test_old_socket_option(t):
    fs = Fs(t, f'--socket={t.path("sock")}', f'--shared-dir={share(t)}')
    fs.wait_ready()
    serves_until_the_end(fs, connect(t.path('sock')))


def test_connected_descriptor(t):
    ours, theirs = socket.socketpair()
    fs = Fs(t, '--fd', theirs.fileno(), '--shared-dir', share(t), fds=(theirs.fileno(),))
    theirs.close()
    serves_until_the_end(fs, ours)


def test_pid_file(t):
    """It has the number of the process that was started, is locked, and goes with it."""
    args = ('--socket-path', t.path('sock'), '--shared-dir', share(t))
    fs = Fs(t, *args)
    fs.wait_ready()
    with open(t.path('sock.pid'), 'r+', encoding='ascii') as f:
        assert int(f.read()) == fs.pid
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError('the file is not locked')
        except BlockingIOError:
            pass
    second = Fs(t, *args)
    assert second.wait() == 1 and 'is running' in second.log(), second.log()
    assert os.path.exists(t.path('sock')), 'the second removed what the first has'
    hello(connect(t.path('sock')))
    assert fs.wait() == 0
    assert not os.path.exists(t.path('sock')) and not os.path.exists(t.path('sock.pid'))


def test_file_left_behind(t):
    """The file and the socket of one that was killed are in nobody's way."""
    args = ('--socket-path', t.path('sock'), '--shared-dir', share(t))
    first = Fs(t, *args)
    first.wait_ready()
    server = first.server()
    first.end()
    wait_for('the server to end', lambda: not os.path.exists(f'/proc/{server}'))
    assert os.path.exists(t.path('sock.pid'))
    again = Fs(t, *args)
    again.wait_ready()
    with open(t.path('sock.pid'), encoding='ascii') as f:
        assert f.read() == f'{again.pid}\n'
    serves_until_the_end(again, connect(t.path('sock')))


def test_sigterm(t):
    """With nobody connected, and with somebody who does nothing."""
    for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        for connected in False, True:
            fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', share(t))
            fs.wait_ready()
            front = connect(t.path('sock')) if connected else None
            if front:
                hello(front)
            server = fs.server()
            fs.process.send_signal(sig)
            assert fs.wait() == 0, fs.log()
            assert not os.path.exists(f'/proc/{server}') and not os.path.exists(t.path('sock'))
            if front:
                assert front.recv(1) == b''
                front.close()


def test_sigterm_early(t):
    """While it starts, at any moment: it ends, and soon."""
    for i in range(40):
        fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', share(t))
        time.sleep(i * 0.0005)
        fs.process.terminate()
        assert fs.process.wait(5) in (0, -signal.SIGTERM), (i, fs.log())


def test_serve_again(t):
    fs = Fs(t, '--serve-again', '--socket-path', t.path('sock'), '--shared-dir', share(t),
            '--control', t.path('ctl'))
    fs.wait_ready()
    for _ in range(3):
        s = connect(t.path('sock'))
        hello(s)
        s.close()
    front = connect(t.path('sock'))
    hello(front)
    p = t.vdax('stat', t.path('ctl'))
    assert p.returncode == 0, p.stderr
    assert re.search(r'^connections\s+4$', p.stdout, re.M), p.stdout
    fs.process.terminate()
    assert fs.wait() == 0


def test_no_other_files(t):
    """Somebody else's folder gets the socket and the pid file, and no control socket."""
    os.mkdir(t.path('run'))
    fs = Fs(t, '--socket-path', t.path('run', 'sock'), '--shared-dir', share(t))
    fs.wait_ready()
    assert sorted(os.listdir(t.path('run'))) == ['sock', 'sock.pid']
    serves_until_the_end(fs, connect(t.path('run', 'sock')))
    assert not os.listdir(t.path('run')) and not os.listdir(share(t))


def test_closed_descriptors(t):
    """Whoever closes 0 to 2 does not mean that the socket is where messages go."""
    def close_all():
        for fd in range(3):
            os.close(fd)

    fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', share(t), preexec_fn=close_all)
    s = wait_for('the socket', lambda: os.path.exists(t.path('sock')) and
                 try_connect(t.path('sock')))
    for fd in range(3):
        assert os.readlink(f'/proc/{fs.server()}/fd/{fd}') == '/dev/null'
    serves_until_the_end(fs, s)


def test_daemonize(t):
    """It returns when the socket is there, and leaves nothing of the terminal open."""
    p = subprocess.run([link(t), '--daemonize', '--socket-path', t.path('sock'), '--shared-dir',
                        share(t), *(['--sandbox=none', '--seccomp=none'] if SANITIZED else [])],
                       capture_output=True, text=True, timeout=20, check=False)
    assert p.returncode == 0, p.stderr
    with open(t.path('sock.pid'), encoding='ascii') as f:
        pid = int(f.read())
    assert os.getsid(pid) != os.getsid(0)
    s = connect(t.path('sock'))
    hello(s)
    s.close()
    wait_for('its end', lambda: not os.path.exists(t.path('sock.pid')))
    p = subprocess.run([link(t), '--daemonize', '--socket-path', t.path('sock'), '--shared-dir',
                        t.path('nothing')], capture_output=True, text=True, timeout=20, check=False)
    assert p.returncode == 1 and 'No such file' in p.stderr, (p.returncode, p.stderr)


def test_cannot_start(t):
    """Early, with a status that is not 0 and a line that says what is wrong."""
    sock = ('--socket-path', t.path('sock'))
    with open(t.path('file'), 'w', encoding='ascii'):
        pass
    os.mkfifo(t.path('fifo'))
    for args, status, text in (
            ((*sock, '--shared-dir', t.path('nothing')), 1, 'No such file'),
            ((*sock, '--shared-dir', t.path('fifo')), 1, 'regular file'),
            (('--socket-path', t.path('none', 'sock'), '--shared-dir', '/'), 1, 'No such file'),
            (('--socket-path', t.path('file'), '--shared-dir', '/'), 1, 'not a socket'),
            ((*sock, '--shared-dir', '/', '--socket-group', 'no such group'), 1, 'no group'),
            ((*sock, '--shared-dir', '/', '--rlimit-nofile=100'), 1, 'too low'),
            (('--fd=99', '--shared-dir', '/'), 1, 'Bad file descriptor'),
            ((*sock, '--shared-dir', '/', '--cach=auto'), 2, 'did you mean --cache?'),
            ((*sock, '-o', 'source=/,no_xatr'), 2, 'did you mean -o no_xattr?'),
            ((*sock, '--shared-dir', '/', 'extra'), 2, 'extra'),
            (sock, 2, '--shared-dir'), (('--shared-dir', '/'), 2, '--socket-path')):
        fs = Fs(t, *args)
        assert fs.wait() == status and text in fs.log(), (args, fs.process.returncode, fs.log())
        assert not os.path.exists(t.path('sock')) and not os.path.exists(t.path('sock.pid')), args
    assert os.path.exists(t.path('file'))


def test_single_file(t):
    with open(t.path('file'), 'w', encoding='ascii') as f:
        f.write('content')
    fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', t.path('file'))
    fs.wait_ready()
    serves_until_the_end(fs, connect(t.path('sock')))


if __name__ == '__main__':
    run(globals())
