#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Three VMs one after the other on one daemon: no descriptor leaks, its memory stays small.
usage: test_footprint.py KERNEL..."""

import vmtest
from vmtest import check, check_eq

SCRIPT = vmtest.MOUNT + "for i in $(seq 20); do echo $i | dd of=/m/file conv=fsync; done"
LIMIT_KIB = 4096


def test(s, *kernels):
    daemon = s.daemon(s.ext4(64 * vmtest.MIB))
    fds = daemon.fds()
    for i, kernel in enumerate(kernels, 1):
        s.guest(SCRIPT, daemon, kernel=kernel).finish()
        vmtest.wait_until(lambda: not daemon.stat()["connected"], "the disconnection")
        daemon.check_stat(connections=i, mappings_made=i, flushes_failed=0)
        # One more than at first: it stands for the process of the latest VM (vhost/peer.c).
        check_eq(f"descriptors after connection {i}", daemon.fds(), fds + 1)
        check(daemon.resident_kib() <= LIMIT_KIB, f"{daemon.resident_kib()} KiB resident")
    print(f"{daemon.resident_kib()} KiB resident, {fds} descriptors")
    daemon.stop_cleanly()


vmtest.main(test)
