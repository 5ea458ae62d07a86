#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QMP stop and cont while the guest flushes: no flush is lost, the mapping stays, data are right.
usage: test_stop_cont.py KERNEL poweroff|reset [--memory-slots]

poweroff: the guest ends by itself afterwards.
reset: a hard reset follows. With memory slots QEMU 11.1.3 dies of that, for the mapping has got
into its shadow table at cont and the reset has freed it. The test shows what happens, and that
neither the daemon nor what was flushed suffers.
"""

import time

import vmtest
from vmtest import check, check_eq

STOPS = 5
# Writes, syncs and checks small files. The "." tells a whole number from a part of one.
SCRIPT = vmtest.MOUNT + """
cd /m
n=0
while [ $n -lt %d ]; do
    n=$((n + 1))
    f=file$((n %% 8))
    seq $n 3000 | dd of=$f conv=fsync 2>/dev/null
    seq $n 3000 | cmp - $f
    echo "round $n."
done
"""


def rounds(guest):
    return guest.output().count("round ")


def stop_and_cont(daemon, guest, qmp, number):
    """One stop in the middle of the load."""
    before = rounds(guest)
    guest.wait_for("round ", count=before + 2)
    qmp("stop")
    stopped = daemon.stat()
    check_eq("mapping, as the daemon sees it while stopped", stopped["mapping"], "unmapped")
    check_eq("flushes done", stopped["flushes_done"], stopped["flushes"])
    time.sleep(0.1)
    check_eq("flushes while stopped", daemon.stat()["flushes"], stopped["flushes"])
    qmp("cont")
    guest.wait_for("round ", count=rounds(guest) + 2)
    daemon.check_stat(mapping="mapped", mappings_made=1, mappings_kept=number, flushes_failed=0)


def hard_reset(guest, qmp, slots):
    """Returns whether QEMU lived."""
    boots = guest.output().count("dax=always")
    qmp("system_reset")
    return vmtest.outlives(guest, lambda: guest.output().count("dax=always") > boots,
                           "a reset after stop and cont", slots)


def test(s, kernel, how, *slots):
    image = s.ext4(64 * vmtest.MIB)
    daemon = s.daemon(image, *slots)
    last = 40 if how == "poweroff" else 100000
    guest = s.guest(SCRIPT % last, daemon, kernel=kernel, reboot=how == "reset")
    with guest.qmp() as qmp:
        for number in range(1, STOPS + 1):
            stop_and_cont(daemon, guest, qmp, number)
        if how == "reset":
            last = rounds(guest)
            if hard_reset(guest, qmp, slots):
                guest.kill()
    if how == "poweroff":
        guest.finish()
    guest.check_qemu_quiet()
    daemon.stop_cleanly()
    vmtest.check_ext4(image)
    text = vmtest.read_ext4(image, f"/file{last % 8}").split("\n", 1)
    check(int(text[0]) in (last, last + 8), f"file of round {last} starts with {text[0]}")


vmtest.main(test)
