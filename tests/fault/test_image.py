#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Images: their size, creation, a full disk, who may use them, and read-only ones."""
import hashlib
import os
import re
import shlex
import signal
import subprocess

from vdaxtest import (MIB, VDAX, Daemon, Guest, Skip, mount, need_root, private_mounts, run)


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def test_sizes(t):
    """A wrong size is refused, and the command that the message names makes it right."""
    for size in 0, 1, 4096, 2 * MIB - 1, 2 * MIB + 1, 2 * MIB + 4096, 3 * MIB:
        image = t.image(f'image of {size}', size)
        p = t.pmem('--socket-path', t.path('s'), image)
        assert p.returncode == 1, size
        assert 'not a multiple of 2 MiB' in p.stderr, p.stderr
        assert os.path.getsize(image) == size
        advice = re.search(r'with: vdax (pmem --grow \S+) (.*)$', p.stderr)
        assert advice and advice[2] == image, p.stderr
        p = subprocess.run([VDAX, *shlex.split(advice[1]), image], check=False)
        assert p.returncode == 0
        assert os.path.getsize(image) == (size // (2 * MIB) + 1) * 2 * MIB
        Daemon(t, image).end()


def test_create(t):
    image = t.path('new')
    assert t.pmem('--create', '6M', image).returncode == 0
    st = os.stat(image)
    assert st.st_size == 6 * MIB and st.st_blocks * 512 >= 6 * MIB
    assert st.st_mode & 0o777 == 0o600
    p = t.pmem('--create', '8M', image)
    assert p.returncode == 1 and 'File exists' in p.stderr
    assert os.path.getsize(image) == 6 * MIB, 'left alone'
    for size in '3M', '1', '2049K':
        p = t.pmem('--create', size, t.path('odd'))
        assert p.returncode == 1 and 'multiple of 2 MiB' in p.stderr, p.stderr
        would_do = re.search(r'(\d+M) would do', p.stderr)[1]
        assert not os.path.exists(t.path('odd'))
        assert t.pmem('--create', would_do, t.path('even')).returncode == 0
        os.unlink(t.path('even'))
    sparse = t.path('sparse')
    assert t.pmem('--sparse', '--create', '1T', sparse).returncode == 0
    assert os.stat(sparse).st_blocks < 100
    d = Daemon(t, t.path('at once'), '--create', '2M')
    assert d.stat('size') == 2 * MIB
    p = t.pmem('--create', '2M', t.path('no', 'such', 'folder'))
    assert p.returncode == 1 and 'No such file' in p.stderr


def test_grow(t):
    image = t.image()
    with open(image, 'r+b') as f:
        f.write(b'kept')
    assert t.pmem('--grow', '8M', image).returncode == 0
    assert os.path.getsize(image) == 8 * MIB
    assert t.pmem('--grow', '8M', image).returncode == 0
    p = t.pmem('--grow', '4M', image)
    assert p.returncode == 1 and 'larger already' in p.stderr
    p = t.pmem('--grow', '9M', image)
    assert p.returncode == 1 and 'multiple' in p.stderr
    assert os.path.getsize(image) == 8 * MIB
    with open(image, 'rb') as f:
        assert f.read(4) == b'kept'
    p = t.pmem('--grow', '8M', t.path('none'))
    assert p.returncode == 1 and not os.path.exists(t.path('none'))


def test_allocation(t):
    """Served without --sparse, it has all its blocks; with it, a warning."""
    image = t.image()
    d = Daemon(t, image, '--sparse')
    assert 'sparse' in d.log() and os.stat(image).st_blocks * 512 < 4 * MIB
    assert d.stop() == 0
    d = Daemon(t, image)
    assert 'sparse' not in d.log() and os.stat(image).st_blocks * 512 >= 4 * MIB


def check_disk_full(t, folder):
    """The disk has about 8 MiB."""
    p = t.pmem('--create', '64M', os.path.join(folder, 'new'))
    assert p.returncode == 1 and 'No space left' in p.stderr, p.stderr
    assert '--sparse' in p.stderr
    assert not os.path.exists(os.path.join(folder, 'new')), 'nothing is left'
    image = t.image('old', 2 * MIB, folder)
    p = t.pmem('--grow', '64M', image)
    assert p.returncode == 1 and 'No space left' in p.stderr, p.stderr
    assert os.path.getsize(image) == 2 * MIB, 'its size is what it was'
    Daemon(t, image).end()
    sparse = t.image('sparse', 64 * MIB, folder)
    p = t.pmem('--socket-path', t.path('s'), sparse)
    assert p.returncode == 1 and 'cannot reserve 64 MiB' in p.stderr, p.stderr
    assert not os.path.exists(t.path('s')), 'no socket either'
    d = Daemon(t, sparse, '--sparse')
    assert d.stop() == 0
    os.unlink(sparse)
    assert t.pmem('--create', '4M', os.path.join(folder, 'small')).returncode == 0, 'space is back'


def test_disk_full_tmpfs(t):
    private_mounts()
    os.mkdir(t.path('fs'))
    mount('-t', 'tmpfs', '-o', 'size=8M', 'none', t.path('fs'))
    check_disk_full(t, t.path('fs'))


def test_disk_full_ext4(t):
    """This one allocates what it can before it says that it cannot."""
    private_mounts()
    os.mkdir(t.path('fs'))
    disk = t.image('disk', 12 * MIB)
    if subprocess.run(['mkfs.ext4', '-q', '-F', '-O', '^has_journal', disk], capture_output=True,
                      check=False).returncode:
        raise Skip('no mkfs.ext4')
    mount('-o', 'loop', disk, t.path('fs'))
    check_disk_full(t, t.path('fs'))


def test_block_device(t):
    private_mounts()
    mount('-t', 'tmpfs', 'none', '/var/lib')  # where a daemon may keep the mark of a device
    disk = t.image('disk', 4 * MIB)
    p = subprocess.run(['losetup', '--find', '--show', disk], capture_output=True, text=True,
                       check=False)
    if p.returncode:
        raise Skip(f'no loop device: {p.stderr.strip()}')
    device = p.stdout.strip()
    try:
        d = Daemon(t, device)
        assert d.stat()['kind'] == 'block device' and d.stat('size') == 4 * MIB
        g = Guest(t, d)
        assert g('store', 4096, 'on a device') == 0 and g('flush') == 0
        p = t.pmem('--socket-path', t.path('s'), device)
        assert p.returncode == 1 and 'cannot open the image' in p.stderr, p.stderr
        g.close()
        assert d.stop() == 0
        with open(device, 'rb') as f:
            f.seek(4096)
            assert f.read(11) == b'on a device'
    finally:
        for what in t.started:
            what.end()
        subprocess.run(['losetup', '--detach', device], check=False)


def in_use(t, image, *args):
    p = t.pmem(*args, image)
    assert p.returncode == 1, p.stderr
    return re.search(r'in use by another process: (\S+) \(pid (\d+)\)', p.stderr)


def test_in_use(t):
    image = t.image()
    d = Daemon(t, image)
    for args in (('--socket-path', t.path('s')), ('--grow', '8M'), ('--accept-lost-writes',),
                 ('--read-only', '--socket-path', t.path('s'))):
        found = in_use(t, image, *args)
        assert found and found[1] == os.path.basename(VDAX) and int(found[2]) == d.pid, args
    assert os.path.getsize(image) == 4 * MIB
    g = Guest(t, d)
    assert d.stop(signal.SIGKILL) == -signal.SIGKILL
    found = in_use(t, image, '--socket-path', t.path('s'))
    assert found and int(found[2]) == g.process.pid, 'the guest has it mapped'
    g.close()
    Daemon(t, image)


def test_in_use_after_sigterm(t):
    """The daemon is gone, and the VM goes on with what it has mapped."""
    image = t.image()
    d = Daemon(t, image)
    g = Guest(t, d)
    assert d.stop() == 0
    assert in_use(t, image, '--socket-path', t.path('s'))
    g.close()
    assert Daemon(t, image).stop() == 0


def test_second_readers(t):
    """Two daemons may serve the same image read-only, and a writer comes after."""
    image = t.image()
    first, second = Daemon(t, image, '--read-only'), Daemon(t, image, '--read-only')
    assert first.stat('size') == second.stat('size')


def check_read_only(t, image, **kwargs):
    before, mtime = digest(image), os.stat(image).st_mtime_ns
    d = Daemon(t, image, '--read-only', **kwargs)
    assert d.stat('read_only') == 1
    g = Guest(t, d)
    assert g('load', 4096, 5) == 'image'
    assert g('store', 4096, 'guest') == 0 and g('flush') == 0
    assert g('load', 4096, 5) == 'guest'
    assert digest(image) == before
    assert g('reset') == 0 and g('start') == 0
    assert g('load', 4096, 5) == 'guest', 'kept as long as the daemon'
    g.close()
    assert d.stop() == 0
    assert digest(image) == before and os.stat(image).st_mtime_ns == mtime
    d = Daemon(t, image, '--read-only', **kwargs)
    assert Guest(t, d)('load', 4096, 5) == 'image', 'discarded'
    d.end()


def marked_image(t):
    image = t.image()
    with open(image, 'r+b') as f:
        f.seek(4096)
        f.write(b'image')
        f.seek(4 * MIB - 1)
        f.write(b'!')
    return image


def test_read_only(t):
    image = marked_image(t)
    os.chmod(image, 0o444)
    check_read_only(t, image)


def test_read_only_ordinary_user(t):
    need_root()
    image = marked_image(t)
    os.chmod(image, 0o444)
    os.chmod(t.dir, 0o755)
    check_read_only(t, image, user='nobody')
    p = t.pmem('--socket-path', '/tmp/none', image, user=True)
    assert p.returncode == 1 and 'Permission denied' in p.stderr


def test_read_only_file_system(t):
    private_mounts()
    os.mkdir(t.path('fs'))
    mount('-t', 'tmpfs', '-o', 'size=8M', 'none', t.path('fs'))
    image = marked_image(t)
    there = t.path('fs', 'image')
    with open(image, 'rb') as a, open(there, 'wb') as b:
        b.write(a.read())
    mount('-o', 'remount,ro', t.path('fs'))
    check_read_only(t, there)


def test_copy_limit(t):
    image = marked_image(t)
    if Daemon(t, image, '--read-only').stat()['kind'] != 'memory copy':
        raise Skip('the file system shares blocks, so no limit applies')
    p = t.pmem('--read-only', '--copy-limit', '2M', '--socket-path', t.path('s'), image)
    assert p.returncode == 1
    assert '--copy-limit' in p.stderr and 'limit of 2 MiB' in p.stderr, p.stderr
    Daemon(t, image, '--read-only', '--copy-limit', '4M')


def test_not_an_image(t):
    for path, text in ((t.dir, 'Is a directory'), ('/dev/null', 'neither a regular file'),
                       (t.path('none'), '--create'), (t.path('a', 'b'), '--create')):
        p = t.pmem('--socket-path', t.path('s'), path)
        assert p.returncode == 1 and text in p.stderr, p.stderr
    fifo = t.fifo()
    p = t.pmem('--socket-path', t.path('s'), fifo)
    assert p.returncode == 1 and 'neither a regular file' in p.stderr, p.stderr


if __name__ == '__main__':
    run(globals())
