#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as a process: its sandbox, its sockets, its options, what it costs."""
import os
import socket
import statistics
import subprocess
import time

from vdaxtest import (MIB, SANDBOX, SANITIZED, VDAX, Daemon, Guest, Skip, need_root, run, stat_json,
                      wait_for)

START_MS = 10       # what was promised
START_SLACK = 3     # this machine may be busy
RESIDENT_KIB = 4096


def thread_status(pid):
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/status', encoding='ascii') as f:
            yield dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def check_sandbox(t, user):
    if SANITIZED:
        raise Skip('no sandbox in this build')
    image = t.image()
    if user:
        os.chown(image, 65534, 65534)
    d = Daemon(t, image, user=user)
    wait_for('the sandbox', lambda: 'serving' in d.log())
    threads = list(thread_status(d.pid))
    assert len(threads) == 2
    for status in threads:
        assert status['NoNewPrivs'] == '1'
        assert status['Seccomp'] == '2'
        for which in 'CapEff', 'CapPrm', 'CapInh', 'CapAmb':
            assert int(status[which], 16) == 0, which
        assert user or int(status['CapBnd'], 16) == 0
    if 'namespaces are not permitted' in d.log():
        raise Skip('no namespaces here; everything else is in force')
    assert os.listdir(f'/proc/{d.pid}/root') == []
    for ns in 'mnt', 'net', 'ipc':
        assert os.readlink(f'/proc/{d.pid}/ns/{ns}') != os.readlink(f'/proc/self/ns/{ns}'), ns
    with open(f'/proc/{d.pid}/mounts', encoding='ascii') as f:
        mounts = f.readlines()
    assert len(mounts) == 1 and ' ro,' in mounts[0], mounts
    g = Guest(t, d)
    assert g('store', 0, 'hello') == 0 and g('flush') == 0
    g.close()
    assert d.stop() == 0


def test_sandbox(t):
    check_sandbox(t, None)


def test_sandbox_ordinary_user(t):
    need_root()
    check_sandbox(t, 'nobody')


def test_sandbox_none(t):
    if SANITIZED:
        raise Skip('no sandbox in this build')
    d = Daemon(t, t.image(), '--sandbox', 'none')
    assert all(status['Seccomp'] == '0' for status in thread_status(d.pid))


def test_start_time_and_memory(t):
    if SANITIZED:
        raise Skip('sanitizers take their own time and memory')
    image = t.image(size=64 << 30)
    times = []
    for i in range(9):
        path = t.path(f's{i}')
        begin = time.monotonic()
        p = subprocess.Popen([VDAX, 'pmem', '--sparse', '--socket-path', path, image],
                             stderr=subprocess.DEVNULL)
        s = socket.socket(socket.AF_UNIX)
        while s.connect_ex(path):
            time.sleep(0.0002)
        # GET_FEATURES is answered: ready, not only bound
        s.sendall(b'\1\0\0\0' b'\1\0\0\0' b'\0\0\0\0')
        assert len(s.recv(20)) == 20
        times.append((time.monotonic() - begin) * 1000)
        s.close()
        p.terminate()
        assert p.wait(10) == 0
    median = statistics.median(times)
    print(f'    from fork to the first answer: {median:.1f} ms (median of {len(times)})')
    assert median <= START_MS * START_SLACK, times

    d = Daemon(t, image, '--sparse')
    g = Guest(t, d)
    for i in range(100):
        g('store', i << 29, 'x')
        assert g('flush') == 0
    kib = [int(status['VmRSS'].split()[0]) for status in thread_status(d.pid)][0]
    print(f'    resident with a 64 GiB image: {kib} KiB')
    assert kib <= RESIDENT_KIB


def test_sockets(t):
    image, other = t.image('a'), t.image('b')
    d = Daemon(t, image)
    for path in d.socket, d.socket + '.ctl':
        assert os.stat(path).st_mode & 0o777 == 0o600, 'for this user only'
    p = t.pmem('--socket-path', d.socket, other)
    assert p.returncode == 1 and 'a process listens there' in p.stderr, p.stderr
    d.stop()
    assert os.path.exists(d.socket), 'it cannot be removed from inside the sandbox'
    again = subprocess.Popen([VDAX, 'pmem', '--sandbox', SANDBOX, '--once', '--socket-path',
                              d.socket, other], stderr=subprocess.DEVNULL)
    s = socket.socket(socket.AF_UNIX)
    wait_for('a stale socket to be replaced', lambda: s.connect_ex(d.socket) == 0)
    s.close()
    assert again.wait(10) == 0
    for name, text in (('file', 'not a socket'), ('none/s', 'No such file'),
                       ('x' * 120, 'too long')):
        path = t.path(name)
        if name == 'file':
            t.image(name)
        p = t.pmem('--socket-path', path, other)
        assert p.returncode == 1 and text in p.stderr, p.stderr
    assert os.path.getsize(t.path('file')) == 4 * MIB, 'left alone'


def test_inherited(t):
    image = t.image()
    pair = socket.socketpair()
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET)
    with open(image, 'rb') as f:
        for fd, text in ((f.fileno(), 'inherited unix socket'), (900, 'inherited unix socket'),
                         (datagram.fileno(), 'not a unix stream'),
                         (tcp.fileno(), 'not a unix stream')):
            fds = [] if fd == 900 else [fd]
            p = t.pmem('--fd', str(fd), image, pass_fds=fds)
            assert p.returncode == 1 and text in p.stderr, p.stderr
    for s in *pair, datagram, tcp:
        s.close()


def test_options(t):
    image = t.image()
    s = ['--socket-path', t.path('s')]
    for args, text in (
            ([], 'give one image'),
            ([image], 'give --socket-path or --fd'),
            ([*s], 'give one image'),
            ([*s, image, image], 'give one image'),
            ([*s, '--fd', '3', image], 'not both'),
            ([*s, '--fd', 'x', image], '--fd'),
            ([*s, '--fd', '-1', image], '--fd'),
            ([*s, '--fd', '99999999999', image], '--fd'),
            ([*s, '--wrong', image], '--wrong'),
            ([*s, '--spars', image], '--sparse'),
            ([*s, '--sparse=yes', image], '--sparse'),
            (['--socket-path'], '--socket-path'),
            ([*s, '--create', '1.5G', t.path('new')], '--create'),
            ([*s, '--create', 'much', t.path('new')], '--create'),
            ([*s, '--create', '99999999999G', t.path('new')], '--create'),
            ([*s, '--read-only', '--create', '2M', t.path('new')], '--read-only'),
            ([*s, '--read-only', '--grow', '2M', image], '--read-only'),
            ([*s, '--read-only', '--accept-lost-writes', image], '--read-only'),
            ([*s, '--sandbox', 'half', image], '--sandbox')):
        p = t.pmem(*args)
        assert p.returncode == 2 and text in p.stderr, (args, p.returncode, p.stderr)
        assert p.stderr.count('\n') <= 2, p.stderr
    assert not os.path.exists(t.path('new')) and not os.path.exists(t.path('s'))
    p = t.pmem('--help')
    assert p.returncode == 0 and '--accept-lost-writes' in p.stdout and not p.stderr
    p = t.vdax('--version')
    assert p.returncode == 0 and p.stdout.startswith('vdax ')
    p = t.vdax('pmen')
    assert p.returncode == 2 and 'did you mean pmem?' in p.stderr
    assert t.vdax().returncode == 2


def test_stat(t):
    image = t.image('image with "quotes" and spaces')
    d = Daemon(t, image)
    g = Guest(t, d)
    assert g('flush') == 0
    found = stat_json(t, d)
    assert found['image'] == image and found['size'] == 4 * MIB
    assert found['mapping'] == 'mapped' and found['connected'] == 1
    assert found['flushes'] == found['flushes_done'] == found['syncs'] == 1
    assert found['mappings_made'] == 1 and found['latched_errno'] == 0
    p = t.vdax('stat', d.socket + '.ctl')
    assert p.returncode == 0 and 'flushes_done' in p.stdout
    for args in ([t.path('none')], [d.socket + '.ctl', 'more'], [image]):
        assert t.vdax('stat', *args).returncode in (1, 2), args


def test_stat_of_another_user(t):
    """The sockets' mode lets in the same user, and root."""
    need_root()
    image = t.image()
    d = Daemon(t, image)
    p = t.vdax('stat', d.socket + '.ctl', user=True)
    assert p.returncode == 1 and 'Permission denied' in p.stderr, p.stderr
    d.stop()
    os.chown(image, 65534, 65534)
    assert Daemon(t, image, user=True).answers(), 'root is not let in'


def test_control_is_not_read(t):
    """Clients that talk, stay or go do not hold up anything."""
    d = Daemon(t, t.image())
    clients = []
    for _ in range(50):
        s = socket.socket(socket.AF_UNIX)
        s.connect(d.socket + '.ctl')
        try:
            s.sendall(b'x' * 1000)
        except OSError:
            pass  # it has been answered and closed already
        clients.append(s)
    assert Guest(t, d)('flush') == 0
    for s in clients:
        s.close()
    assert d.answers()
    assert len(os.listdir(f'/proc/{d.pid}/fd')) < 30


if __name__ == '__main__':
    run(globals())
