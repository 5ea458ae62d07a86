#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `vdax fs` can see and do, in each mode of its sandbox."""
import os
import re
import resource
import socket
import subprocess

from fsdaemon import Fs, connect, serves_until_the_end, share
from vdaxtest import (SANITIZED, Skip, mount, need_root, private_mounts, run, wait_for)

NOBODY = 65534
CAPS = {'chown': 0, 'dac_override': 1, 'dac_read_search': 2, 'fowner': 3, 'fsetid': 4, 'setgid': 6,
        'setuid': 7, 'sys_admin': 21, 'mknod': 27, 'lease': 28,
        'setfcap': 31}
KEPT = ['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'setgid', 'setuid', 'mknod',
        'lease', 'setfcap']


def mask(names):
    return sum(1 << CAPS[name] for name in names)


def statuses(pid):
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/status', encoding='ascii') as f:
            yield dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def start(t, *args, **kwargs):
    if SANITIZED:
        raise Skip('no sandbox in this build')
    fs = Fs(t, '--socket-path', t.path('sock'), *args, **kwargs)
    wait_for('the daemon', lambda: 'Waiting for' in fs.log() or fs.ended())
    if 'not permitted' in fs.log():
        raise Skip(f'no namespaces here: {fs.log()}')
    assert not fs.ended(), fs.log()
    return fs


def check_threads(pid, caps, seccomp='2'):
    """All threads are under the filter, without a way back to rights."""
    found = list(statuses(pid))
    assert len(found) > 8, 'a thread for each queue'
    for status in found:
        assert status['NoNewPrivs'] == '1' and status['Seccomp'] == seccomp
        for which in 'CapEff', 'CapPrm':
            assert int(status[which], 16) == caps, (which, status[which])
        for which in 'CapInh', 'CapAmb':
            assert int(status[which], 16) == 0, which


def namespaces_differ(pid, names):
    for ns in names:
        assert os.readlink(f'/proc/{pid}/ns/{ns}') != os.readlink(f'/proc/self/ns/{ns}'), ns


def check_descriptors(fs, pid):
    """No descriptor leads out: the share, our own descriptors, sockets and the like."""
    for fd in os.listdir(f'/proc/{pid}/fd'):
        to = os.readlink(f'/proc/{pid}/fd/{fd}')
        assert to in ('/', '/dev/null', fs.log_path) or to.endswith('/mountinfo') or \
            re.match(r'(socket:|anon_inode:|pipe:|/1/fd)', to), f'{fd} is {to}'


def above_working_directory(pid):
    """What ".." is there. The working directory itself is /proc/self/fd in each mode."""
    cwd = os.open(f'/proc/{pid}/cwd', os.O_RDONLY)
    up = os.open('..', os.O_RDONLY, dir_fd=cwd)
    found = os.listdir(up)
    assert sorted(map(int, os.listdir(cwd)))[:3] == [0, 1, 2]
    os.close(cwd)
    os.close(up)
    return found


def check_namespace(t, user):
    with open(os.path.join(share(t), 'inside'), 'w', encoding='ascii'):
        pass
    fs = start(t, '--shared-dir', share(t), user=user)
    pid = fs.server()
    assert pid != fs.pid
    namespaces_differ(pid, ['mnt', 'net', 'ipc', 'pid', *(['user'] if user else [])])
    check_threads(pid, mask(KEPT))
    check_descriptors(fs, pid)
    assert all(name.isdigit() for name in above_working_directory(pid)), 'a way to all of /proc'
    assert os.listdir(f'/proc/{pid}/root') == ['inside']
    with open(f'/proc/{pid}/mountinfo', encoding='ascii') as f:
        mounts = f.read().splitlines()
    assert len(mounts) == 1 and ' / rw,nosuid,nodev' in mounts[0], mounts
    for status in statuses(fs.pid):
        assert int(status['CapEff'], 16) == 0, 'who only waits has rights'
    assert all(not s['Groups'].strip() or user for s in statuses(pid))
    serves_until_the_end(fs, connect(t.path('sock')))


def test_namespace(t):
    need_root()
    check_namespace(t, None)


def test_namespace_ordinary_user(t):
    need_root()
    check_namespace(t, 'nobody')


def test_own_id_as_root(t):
    """A map of only one's own id needs nobody's help."""
    need_root()
    fs = start(t, '--shared-dir', share(t), f'--uid-map=:0:{NOBODY}:1:',
               f'--gid-map=:0:{NOBODY}:1:', user='nobody')
    for which in 'uid_map', 'gid_map':
        with open(f'/proc/{fs.server()}/{which}', encoding='ascii') as f:
            assert f.read().split() == ['0', str(NOBODY), '1']
    serves_until_the_end(fs, connect(t.path('sock')))


HELPER = '''#!/bin/sh
# Stands for newuidmap or newgidmap: says what is wanted, and maps what it may.
echo "$(basename "$0") $*" >>{log}
[ "$(basename "$0")" = newuidmap ] || echo deny >/proc/$1/setgroups
echo "$2 $3 1" >/proc/$1/$(basename "$0" | sed 's/new\\(.id\\)map/\\1_map/')
'''


def test_map_by_helpers(t):
    need_root()
    os.mkdir(t.path('bin'))
    for name in 'newuidmap', 'newgidmap':
        with open(t.path('bin', name), 'w', encoding='ascii') as f:
            f.write(HELPER.format(log=t.path('asked')))
        os.chmod(t.path('bin', name), 0o755)
    env = dict(os.environ, PATH=f'{t.path("bin")}:{os.environ["PATH"]}')
    fs = start(t, '--shared-dir', share(t), f'--uid-map=:0:{NOBODY}:1:',
               '--uid-map=:1:100000:65536:', f'--gid-map=:0:{NOBODY}:1:', user='nobody', env=env)
    with open(t.path('asked'), encoding='ascii') as f:
        asked = dict(line.split(' ', 2)[::2] for line in f)
    assert asked['newuidmap'].split() == ['0', str(NOBODY), '1', '1', '100000', '65536']
    assert asked['newgidmap'].split() == ['0', str(NOBODY), '1']
    status = next(statuses(fs.server()))
    assert status['Uid'].split() == status['Gid'].split() == [str(NOBODY)] * 4, 'root inside'
    serves_until_the_end(fs, connect(t.path('sock')))


def test_map_refused(t):
    need_root()
    if SANITIZED:
        raise Skip('no sandbox in this build')
    sock = ('--socket-path', t.path('sock'), '--shared-dir', share(t))
    fs = Fs(t, *sock, '--uid-map=:0:0:1000:', user='nobody',
            env=dict(os.environ, PATH='/nonexistent:/usr/bin:/bin'))
    assert fs.wait() == 1 and 'newuidmap' in fs.log(), fs.log()
    fs = Fs(t, *sock, '--uid-map=:0:0:1000:')
    assert fs.wait() == 1 and 'ordinary users' in fs.log(), fs.log()


def test_no_right_to_namespaces(t):
    """Root of a container: a message that says what does work there, and it does."""
    need_root()
    if SANITIZED:
        raise Skip('no sandbox in this build')
    weak = ('setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin')
    sock = ('--socket-path', t.path('sock'), '--shared-dir', share(t))
    fs = Fs(t, *sock, before=weak)
    assert fs.wait() == 1 and '--sandbox chroot or none' in fs.log(), fs.log()
    assert not os.path.exists(t.path('sock'))
    fs = start(t, '--shared-dir', share(t), '--sandbox=chroot', before=weak)
    serves_until_the_end(fs, connect(t.path('sock')))


def test_chroot(t):
    need_root()
    fs = start(t, '--shared-dir', share(t), '--sandbox', 'chroot')
    assert fs.server() == fs.pid
    check_threads(fs.pid, mask(KEPT))
    assert os.path.samefile(f'/proc/{fs.pid}/root', share(t))
    assert 'status' in above_working_directory(fs.pid), 'only namespaces can hide that'
    serves_until_the_end(fs, connect(t.path('sock')))
    assert os.path.exists(t.path('sock'))


def test_none(t):
    need_root()
    fs = start(t, '--shared-dir', share(t), '--sandbox', 'none', '--modcaps=+sys_admin:-mknod',
               '--seccomp=none')
    check_threads(fs.pid, mask(KEPT + ['sys_admin']) & ~mask(['mknod']), seccomp='0')
    assert os.path.samefile(f'/proc/{fs.pid}/root', '/')
    serves_until_the_end(fs, connect(t.path('sock')))
    assert not os.path.exists(t.path('sock')) and not os.path.exists(t.path('sock.pid'))


def test_none_ordinary_user(t):
    need_root()
    fs = start(t, '--shared-dir', share(t), '--sandbox', 'none', user='nobody')
    check_threads(fs.pid, 0)
    serves_until_the_end(fs, connect(t.path('sock')))


def test_whole_root(t):
    """The share is "/": the namespace's own mounts are not in it."""
    need_root()
    fs = start(t, '--shared-dir', '/')
    assert sorted(os.listdir(f'/proc/{fs.server()}/root')) == sorted(os.listdir('/'))
    assert 'status' not in above_working_directory(fs.server())
    serves_until_the_end(fs, connect(t.path('sock')))


def test_relative_path(t):
    need_root()
    share(t)
    os.mkdir(t.path('share', 'below'))
    fs = start(t, '--shared-dir', 'share', cwd=t.dir)
    assert os.listdir(f'/proc/{fs.server()}/root') == ['below']
    serves_until_the_end(fs, connect(t.path('sock')))


def test_single_file(t):
    need_root()
    with open(t.path('file'), 'w', encoding='ascii') as f:
        f.write('content')
    fs = start(t, '--shared-dir', t.path('file'))
    assert os.listdir(f'/proc/{fs.server()}/root') == []
    serves_until_the_end(fs, connect(t.path('sock')))
    fs = Fs(t, '--socket-path', t.path('sock'), '--shared-dir', t.path('file'), '--sandbox=chroot')
    assert fs.wait() == 1 and 'single file' in fs.log(), fs.log()


def test_readonly(t):
    need_root()
    fs = start(t, '--shared-dir', share(t), '--readonly')
    with open(f'/proc/{fs.server()}/mountinfo', encoding='ascii') as f:
        assert ' / ro,' in f.read()
    serves_until_the_end(fs, connect(t.path('sock')))


def test_later_mounts(t):
    """What the host mounts below the share appears, and what it unmounts goes."""
    private_mounts()
    mount('--bind', share(t), share(t))
    subprocess.run(['mount', '--make-shared', share(t)], check=True)
    os.mkdir(t.path('share', 'a'))
    subprocess.run(['mount', '-t', 'tmpfs', 'before', t.path('share', 'a')], check=True)
    os.mkdir(t.path('share', 'a', 'early'))
    os.mkdir(t.path('share', 'b'))
    fs = start(t, '--shared-dir', share(t))
    root = f'/proc/{fs.server()}/root'
    assert os.listdir(f'{root}/a') == ['early']
    subprocess.run(['mount', '-t', 'tmpfs', 'after', t.path('share', 'b')], check=True)
    os.mkdir(t.path('share', 'b', 'late'))
    assert os.listdir(f'{root}/b') == ['late']
    for name in 'a', 'b':
        subprocess.run(['umount', t.path('share', name)], check=True)
        assert os.listdir(f'{root}/{name}') == []
    serves_until_the_end(fs, connect(t.path('sock')))


def test_limit_of_files(t):
    """As asked for; or the largest that is allowed, if nothing was."""
    need_root()
    for args, before, limit in ((['--rlimit-nofile=1024'], (2000, 2000), 1024),
                                (['--rlimit-nofile', '0'], (1500, 2000), 1500),
                                ([], (1500, 2000), 2000)):
        fs = start(t, '--shared-dir', share(t), '--queues=1', *args, user='nobody',
                   preexec_fn=lambda before=before: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                       before))
        with open(f'/proc/{fs.server()}/limits', encoding='ascii') as f:
            assert re.search(rf'^Max open files +{limit} ', f.read(), re.M), (args, fs.log())
        serves_until_the_end(fs, connect(t.path('sock')))


def test_syslog(t):
    """In a /dev of our own."""
    private_mounts()
    os.mkdir(t.path('dev'))
    mount('--bind', '/dev', t.path('dev'))
    mount('-t', 'tmpfs', 'dev', '/dev')
    for name in 'null', 'urandom', 'random', 'zero':
        with open(f'/dev/{name}', 'w', encoding='ascii'):
            pass
        mount('--bind', t.path('dev', name), f'/dev/{name}')
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind('/dev/log')
    log.settimeout(10)
    fs = Fs(t, '--syslog', '--socket-path', t.path('sock'), '--shared-dir', share(t))
    line = ''
    while 'Waiting for' not in line:
        line = log.recv(2000).decode()
    assert re.match(rf'<30>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d vdax\[{fs.pid}\]: ', line), line
    log.close()  # and the daemon lives on
    serves_until_the_end(fs, connect(t.path('sock')))
    assert fs.log() == '', fs.log()


if __name__ == '__main__':
    run(globals())
