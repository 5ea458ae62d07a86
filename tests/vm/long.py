#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The large counts: kills or reboots. Remembers how far it has come, so that it can be stopped
and started again. usage: long.py kills|reboots COUNT STATE-FILE KERNEL..."""

import os
import random
import re
import time

import vmtest
from vmtest import check, check_eq

REBOOTS_OF_ONE_QEMU = 10

# Lines that are in the file before they are reported.
LOAD = """
n=$(wc -l </m/log 2>/dev/null || echo 0)
while :; do
    n=$((n + 1))
    echo "line $n" >>/m/log
    sync -d /m/log
    echo "line $n."
done
"""

REBOOT = """
boot=$(cat /m/boots 2>/dev/null | wc -l)
echo boot >>/m/boots
sync -d /m/boots
echo "boot $boot."
[ $boot -lt %d ] || exit 0
case $((boot %% 3)) in
0) reboot -nf ;;
1) umount /m; reboot -nf ;;
esac
""" % REBOOTS_OF_ONE_QEMU


def check_log(image, output):
    """The log has every reported line, in order, and perhaps more."""
    reported = len(re.findall(r"line \d+\.", output))
    lines = vmtest.read_ext4(image, "/log").splitlines()
    check_eq("the log", lines, [f"line {n}" for n in range(1, len(lines) + 1)])
    check(len(lines) >= reported, f"{reported} lines were reported, {len(lines)} are there")


def kill(s, number, kernel):
    """One VM, killed at a time that depends on the number only."""
    image = s.ext4(64 * vmtest.MIB)
    daemon = s.daemon(image)
    guest = s.guest(vmtest.MOUNT + LOAD, daemon, kernel=kernel)
    guest.wait_for("line 1.")
    time.sleep(random.Random(number).uniform(0, 2))
    guest.kill()
    daemon.stop_cleanly()
    vmtest.check_ext4(image)
    check_log(image, guest.output())


def reboots(s, kernel):
    """One QEMU: resets by the guest, before and after umount, and from outside under load."""
    image = s.ext4(64 * vmtest.MIB)
    daemon = s.daemon(image)
    script = vmtest.MOUNT + REBOOT + LOAD
    guest = s.guest(script, daemon, kernel=kernel, reboot=True, timeout=600)
    with guest.qmp() as qmp:
        for boot in range(2, REBOOTS_OF_ONE_QEMU, 3):
            guest.wait_for(f"boot {boot}.", timeout=200)
            lines = guest.output().count("line ")
            guest.wait_for("line ", count=lines + 5)
            qmp("system_reset")
    guest.finish()
    daemon.check_stat(connections=1, mappings_made=REBOOTS_OF_ONE_QEMU + 1, mappings_kept=0)
    daemon.stop_cleanly()
    vmtest.check_ext4(image)
    check_log(image, guest.output())


def test(_, what, count, state, *kernels):
    done = vmtest.read_state(state)
    print(f"{what}: {done} of {count} were done before", flush=True)
    while done < int(count):
        kernel = kernels[done // REBOOTS_OF_ONE_QEMU % len(kernels)]
        with vmtest.Scratch() as s:
            if what == "kills":
                kill(s, done, kernel)
                done += 1
            else:
                reboots(s, kernel)
                done += REBOOTS_OF_ONE_QEMU
        vmtest.write_state(state, done)
        print(f"{what}: {done} of {count}", flush=True)
    os.unlink(state)


vmtest.main(test)
