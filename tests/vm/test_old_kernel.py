#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A kernel that does not know VIRTIO_PMEM_F_SHMEM_REGION finds no device, and nothing breaks.

A newer one is served after it. usage: test_old_kernel.py 6.1 6.12"""

import vmtest
from vmtest import check_eq


def test(s, kernel, newer):
    daemon = s.daemon(s.ext4(64 * vmtest.MIB))
    guest = s.guest("""
test ! -e /dev/pmem0
ls /sys/bus/virtio/drivers/virtio_pmem
echo end
""", daemon, kernel=kernel)
    guest.finish()
    check_eq("the guest's end", guest.output().split()[-1], "end")
    print("the driver's folder:", *guest.output().split()[:-1])
    daemon.check_stat(flushes=0, latched_errno=0)
    s.guest(vmtest.MOUNT, daemon, kernel=newer).finish()
    daemon.stop_cleanly()


vmtest.main(test)
