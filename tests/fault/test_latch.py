#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A failed sync is never forgotten: not by the next sync, a reset, a reconnect, a restart."""
import os
import signal
import subprocess

from vdaxtest import (EIO, MIB, SANITIZED, Daemon, Guest, Skip, mount, need_root, private_mounts,
                      release, run, wait_for)

XATTR = 'user.vdax.lost-writes'


def mark_file(image):
    return os.path.join(os.path.dirname(image), f'.{os.path.basename(image)}.vdax-lost-writes')


def has_xattr(image):
    try:
        return XATTR in os.listxattr(image)
    except OSError:
        return False


def is_marked(image):
    return has_xattr(image) or os.path.exists(mark_file(image))


def check_flush_fails(t, image, user=None):
    """A new daemon on a marked image: fails every flush, without a sync, and says so."""
    d = Daemon(t, image, '--sparse', user=user)
    g = Guest(t, d)
    assert g('flush') == EIO
    assert d.stat('syncs') == 0
    assert d.stat('latched_errno') != 0
    assert 'has failed earlier' in d.log() and '--accept-lost-writes' in d.log()
    g.close()
    assert d.stop() == 3


def check_life(t, image, user=None):
    """From the failure to its acceptance."""
    d = Daemon(t, image, '--sparse', testd='fail-at=3', user=user)
    g = Guest(t, d)
    assert g('flush') == 0
    assert g('flush') == 0
    assert d.stat('latched_errno') == 0
    assert g('flush') == EIO
    syncs = d.stat('syncs')
    assert g('flush') == EIO, 'the next sync would succeed'
    assert d.stat('syncs') == syncs, 'no sync is tried'
    assert d.stat('latched_errno') == 5
    assert 'sync failed' in d.log() and image in d.log()
    assert 'cannot make the mark' not in d.log(), d.log()
    assert g('reset') == 0 and g('start') == 0
    assert g('flush') == EIO, 'after a reset'
    g.close()
    g = Guest(t, d)
    assert g('flush') == EIO, 'after a reconnect'
    g.close()
    assert d.stop() == 3
    assert is_marked(image)
    check_flush_fails(t, image, user)
    check_flush_fails(t, image, user)
    p = t.pmem('--accept-lost-writes', image, user=bool(user))
    assert p.returncode == 0, p.stderr
    assert not is_marked(image)
    d = Daemon(t, image, '--sparse', user=user)
    g = Guest(t, d)
    assert g('flush') == 0, 'after it was accepted'
    g.close()
    assert d.stop() == 0


def test_xattr(t):
    image = t.image()
    try:
        os.setxattr(image, 'user.vdax.test', b'')
    except OSError as e:
        raise Skip(f'no extended attributes here: {e}') from e
    check_life(t, image)
    assert os.listdir(t.dir).count(os.path.basename(mark_file(image))) == 0
    assert not [x for x in os.listxattr(image) if 'probe' in x]


def test_mark_file(t):
    private_mounts()
    mount('-t', 'ramfs', 'none', t.dir)  # it has no extended attributes
    image = t.image()
    check_life(t, image)
    d = Daemon(t, image, '--sparse', testd='fail-at=1')
    g = Guest(t, d)
    assert g('flush') == EIO
    assert os.path.exists(mark_file(image)) and not has_xattr(image)
    g.close()
    assert d.stop() == 3
    # Also when it is the command that serves that accepts it.
    d = Daemon(t, image, '--sparse', '--accept-lost-writes')
    assert not is_marked(image)
    assert Guest(t, d)('flush') == 0


def test_mark_of_ordinary_user(t):
    need_root()
    image = t.image()
    os.chown(image, 65534, 65534)
    check_life(t, image, user='nobody')


def test_mark_on_image_of_another_user(t):
    """Root serves it, but drops the right to override permissions before the first sync."""
    need_root()
    image = t.image()
    os.chown(image, 65534, 65534)
    os.chmod(image, 0o600)
    check_life(t, image)


def test_mark_cannot_be_written(t):
    """Root may try it, the owner whom the daemon becomes may not: that is said at the start."""
    need_root()
    if SANITIZED:
        raise Skip('without the sandbox root stays root')
    image = t.image()
    d = Daemon(t, image)
    assert 'cannot be written' not in d.log()
    d.stop()
    os.chown(image, 65534, 65534)
    os.chmod(image, 0o400)
    assert 'cannot be written' in Daemon(t, image).log()


def test_mark_beside_image_of_another_user(t):
    private_mounts()
    mount('-t', 'ramfs', 'none', t.dir)
    os.mkdir(t.path('theirs'))
    image = t.image(folder=t.path('theirs'))
    for path in image, t.path('theirs'):
        os.chown(path, 65534, 65534)
    os.chmod(t.path('theirs'), 0o700)
    check_life(t, image)


def test_generation(t):
    """Exactly the requests of the sync that fails, and all later ones."""
    image, fifo = t.image(), t.fifo()
    d = Daemon(t, image, testd=f'stall={fifo},fail-at=3')
    g = Guest(t, d)
    g('submit', 1)
    wait_for('sync 1', lambda: d.stat('syncs') == 1)
    g('submit', 5)
    release(fifo)
    wait_for('sync 2', lambda: d.stat('syncs') == 2)
    g('submit', 4)
    release(fifo)
    wait_for('sync 3', lambda: d.stat('syncs') == 3)
    g('submit', 3)
    assert g('wait', 100) == ' '.join(['0'] * 6 + ['-'] * 7)
    release(fifo)
    assert g('wait', 5000) == ' '.join(['0'] * 6 + ['-5'] * 7)
    assert d.stat('syncs') == 3
    assert d.stat('flushes_failed') == 7
    g.close()
    assert d.stop() == 3


def test_sigterm_in_failing_sync(t):
    image, fifo = t.image(), t.fifo()
    d = Daemon(t, image, testd=f'stall={fifo},fail-at=1')
    g = Guest(t, d)
    g('submit', 1)
    wait_for('the sync', lambda: d.stat('syncs') == 1)
    d.process.send_signal(signal.SIGTERM)
    release(fifo)
    assert d.wait() == 3
    assert g('wait', 1000) == EIO
    assert is_marked(image)
    g.close()
    check_flush_fails(t, image)


def test_killed_after_failure(t):
    """The mark is there when the guest hears of the failure."""
    image = t.image()
    d = Daemon(t, image, testd='fail-at=1')
    g = Guest(t, d)
    assert g('flush') == EIO
    assert d.stop(signal.SIGKILL) == -signal.SIGKILL
    g.end()
    check_flush_fails(t, image)


def test_image_truncated(t):
    image = t.image()
    d = Daemon(t, image)
    g = Guest(t, d)
    assert g('store', 0, 'hello') == 0 and g('flush') == 0
    os.truncate(image, 2 * MIB)
    assert g('flush') == EIO
    os.truncate(image, 4 * MIB)
    assert g('flush') == EIO, 'what was cut off is lost'
    assert 'made it smaller' in d.log()
    g.close()
    assert d.stop() == 3
    check_flush_fails(t, image)


def test_image_grown(t):
    """Larger is no loss."""
    image = t.image()
    d = Daemon(t, image)
    g = Guest(t, d)
    os.truncate(image, 8 * MIB)
    assert g('flush') == 0
    g.close()
    assert d.stop() == 0


def test_storage_fails(t):
    """A true write-back error: the image is on a file system whose own storage is full."""
    if SANITIZED:
        raise Skip('no sandbox in this build; the error is the same')
    private_mounts()
    os.mkdir(t.path('small'))
    os.mkdir(t.path('fs'))
    mount('-t', 'tmpfs', '-o', 'size=20M', 'none', t.path('small'))
    disk = t.path('small', 'disk')
    with open(disk, 'wb') as f:
        f.truncate(64 * MIB)
    if subprocess.run(['mkfs.ext4', '-q', '-F', '-O', '^has_journal', disk],
                      capture_output=True, check=False).returncode:
        raise Skip('no mkfs.ext4')
    mount('-o', 'loop', disk, t.path('fs'))
    image = t.image(size=32 * MIB, folder=t.path('fs'))
    d = Daemon(t, image)
    g = Guest(t, d)
    results = []
    for i in range(0, 32 * MIB, 4096):
        g('store', i, 'x' * 64)
        if i % (8 * MIB) == 8 * MIB - 4096:
            results.append(g('flush'))
    assert results[0] == 0 and results[-1] == EIO, results
    first = results.index(EIO)
    assert results[first:] == [EIO] * (len(results) - first), results
    assert g('flush') == EIO
    g.close()
    assert d.stop() == 3


if __name__ == '__main__':
    run(globals())
