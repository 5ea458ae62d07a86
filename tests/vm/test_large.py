#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A sparse image of 3 GiB, stored to at its far end. usage: test_large.py KERNEL"""

import os

import vmtest
from vmtest import check, check_eq, host

SIZE = 3 << 30
TAIL = vmtest.MIB  # after the file system: written to as a device

SCRIPT = """
set -e
cat /sys/block/pmem0/size
seq 100000 | head -c 65536 | dd of=/dev/pmem0 bs=64k seek=%d conv=fsync 2>/dev/null
""" % ((SIZE - 65536) // 65536) + vmtest.MOUNT + """
xfs_io -f -c 'falloc 0 2700m' -c 'pwrite -q -S 0x58 2831151104 4k' -c fsync /m/file
xfs_io -c 'mmap 2831151104 4k' -c 'mwrite -S 0x59 2831151104 100' \
    -c 'msync -s 2831151104 4k' /m/file
"""
FILE_BLOCK = 2831151104 // 4096  # the last one of 2700 MiB


def test(s, kernel):
    image = s.name("image")
    check_eq("status of --create", vmtest.vdax("pmem", "--create", SIZE, "--sparse",
                                               image).returncode, 0)
    host("/usr/sbin/mkfs.ext4", "-q", "-b", 4096, image, (SIZE - TAIL) // 4096)
    daemon = s.daemon(image, "--sparse")
    guest = s.guest(SCRIPT, daemon, kernel=kernel)
    guest.finish()
    check_eq("sectors", guest.output().split()[0], str(SIZE // 512))
    daemon.check_stat(mappings_made=1, flushes_failed=0)
    check(daemon.resident_kib() <= 4096, f"the daemon has {daemon.resident_kib()} KiB")
    daemon.stop_cleanly()

    vmtest.check_ext4(image)
    block = int(host("/usr/sbin/debugfs", "-R", f"bmap /file {FILE_BLOCK}", image).split()[-1])
    with open(image, "rb") as f:
        f.seek(SIZE - 65536)
        want = "".join(f"{i}\n" for i in range(1, 100001)).encode()[:65536]
        check(f.read() == want, "the end of the device differs")
        f.seek(block * 4096)
        check(f.read(4096) == b"Y" * 100 + b"X" * 3996, "the end of the file differs")
    used = os.stat(image).st_blocks * 512
    check(used < 256 * vmtest.MIB, f"the image takes {used} bytes of disk")


vmtest.main(test)
