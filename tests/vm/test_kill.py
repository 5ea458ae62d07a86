#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the guest has synced, by fsync or msync, is in the image after QEMU was killed.
usage: test_kill.py KERNEL ext4|xfs"""

import vmtest
from vmtest import check, host

# A file through write and fsync, one through a mapping and msync.
WRITE = """
set -e
mkdir -p /m
mount -t %(fs)s -o dax /dev/pmem0 /m
grep ' /m %(fs)s .*dax=always' /proc/mounts
seq 1 20000 | dd of=/m/fsynced bs=64k conv=fsync 2>/dev/null
xfs_io -f -c 'pwrite -q -S 0x2e 0 256k' -c fsync -c 'mmap 0 256k' \
    -c 'mwrite -S 0x41 4096 100000' -c 'msync -s 0 256k' /m/mapped
echo written; sleep 100
"""

SUMS = "cd /m && sha256sum fsynced mapped"
EXPECTED_MAPPED = "." * 4096 + "A" * 100000 + "." * (256 * 1024 - 104096)


def expected():
    return "".join(f"{i}\n" for i in range(1, 20001))


def check_image_ext4(image):
    vmtest.check_ext4(image)
    check(vmtest.read_ext4(image, "/fsynced") == expected(), "fsynced data differ")
    check(vmtest.read_ext4(image, "/mapped") == EXPECTED_MAPPED, "mapped data differ")


def replay_in_guest(s, daemon, kernel):
    """The host may have no XFS driver, so a guest replays its log and reads the files."""
    guest = s.guest("""
set -e
mkdir -p /m
mount -t xfs -o dax /dev/pmem0 /m
seq 1 20000 | cmp - /m/fsynced
cat /m/mapped
umount /m
xfs_repair -n /dev/pmem0 >&2
""", daemon, kernel=kernel)
    guest.finish()
    check(guest.output() == EXPECTED_MAPPED, "mapped data differ")


def test(s, kernel, fs):
    if fs == "ext4":
        image = s.ext4(64 * vmtest.MIB)
    else:
        image = s.image(320 * vmtest.MIB)
        host("/usr/sbin/mkfs.xfs", "-q", image)
    daemon = s.daemon(image)
    guest = s.guest(WRITE % {"fs": fs}, daemon, kernel=kernel)
    guest.wait_for("written")
    guest.kill()

    daemon.check_stat(mappings_made=1, mappings_kept=0, latched_errno=0, flushes_failed=0)
    flushes = daemon.stat()["flushes"]
    check(flushes >= 2, f"only {flushes} flushes")
    if fs == "xfs":
        replay_in_guest(s, daemon, kernel)
    daemon.stop_cleanly()
    if fs == "ext4":
        check_image_ext4(image)


vmtest.main(test)
