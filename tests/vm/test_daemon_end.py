#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SIGTERM for the daemon under a running guest: it ends with 0, what the guest has synced is in
the image, QEMU lives until told to quit, and the image is locked until then.
usage: test_daemon_end.py KERNEL"""

import re
import time

import vmtest
from vmtest import check, check_eq

SCRIPT = vmtest.MOUNT + """
n=0
while :; do
    n=$((n + 1))
    seq $n 3000 | dd of=/m/file$((n % 8)) conv=fsync 2>/dev/null
    echo "round $n."
done
"""


def rounds_of(guest):
    return re.findall(r"round (\d+)\.", guest.output())


def end_qemu(guest):
    with guest.qmp() as qmp:
        check_eq("the VM runs", qmp("query-status")["running"], True)
        begin = time.monotonic()
        qmp("quit")
    status = guest.wait()
    print(f"QEMU without its back end: quit took {time.monotonic() - begin:.1f} s; it said:",
          *guest.messages(), sep="\n  ")
    check_eq("status of lab/boot", status, vmtest.lab.NO_STATUS)


def test(s, kernel):
    image = s.ext4(64 * vmtest.MIB)
    daemon = s.daemon(image)
    guest = s.guest(SCRIPT, daemon, kernel=kernel)
    guest.wait_for("round 10.")
    daemon.stop_cleanly()
    time.sleep(1)
    rounds = rounds_of(guest)
    time.sleep(0.5)
    check_eq("rounds without a back end", rounds_of(guest), rounds)

    refused = vmtest.vdax("pmem", "--socket-path", s.name("socket"), image)
    check_eq("status of a second daemon", refused.returncode, 1)
    check("in use by another process" in refused.stderr, refused.stderr)
    end_qemu(guest)

    daemon = s.daemon(image)
    guest = s.guest(vmtest.MOUNT + "sha256sum /m/file*", daemon, kernel=kernel)
    guest.finish()
    daemon.stop_cleanly()
    vmtest.check_ext4(image)
    last = int(rounds[-1])
    first = int(vmtest.read_ext4(image, f"/file{last % 8}").split("\n", 1)[0])
    check_eq(f"the file of round {last} starts with", first, last)


vmtest.main(test)
