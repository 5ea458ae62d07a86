#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""--read-only, beside a writable device: the guest writes, sees what it wrote, reboots, and the
image stays as it is, bit for bit. usage: test_read_only.py KERNEL"""

import hashlib
import os

import vmtest
from vmtest import check_eq

SCRIPT = """
set -e
for d in 0 1; do
    mkdir -p /m$d
    mount -t ext4 -o dax /dev/pmem$d /m$d
    seq 5000 | dd of=/m$d/file conv=fsync 2>/dev/null
    seq 5000 | cmp - /m$d/file
    echo again >>/m$d/boots
    sync -d /m$d/boots
done
cmp /m0/boots /m1/boots
echo "boots $(wc -l </m0/boots)"
[ $(wc -l </m0/boots) = 2 ] || reboot -nf
dd if=/dev/zero of=/dev/pmem0 bs=64k seek=900 count=10 conv=fsync 2>/dev/null
"""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def test(s, kernel):
    image = s.ext4(64 * vmtest.MIB)
    os.chmod(image, 0o400)
    before = digest(image), os.stat(image).st_mtime_ns
    daemons = [s.daemon(image, "--read-only"), s.daemon(s.ext4(66 * vmtest.MIB))]
    guest = s.guest(SCRIPT, *daemons, kernel=kernel, reboot=True)
    guest.finish()
    check_eq("boots", guest.output().split("\n")[:2], ["boots 1", "boots 2"])
    for daemon in daemons:
        daemon.check_stat(mappings_made=2, flushes_failed=0)
    print(f"the copy is a {daemons[0].stat()['kind']}")
    for daemon in daemons:
        daemon.stop_cleanly()
    check_eq("the image", (digest(image), os.stat(image).st_mtime_ns), before)
    vmtest.check_ext4(daemons[1].image)


vmtest.main(test)
