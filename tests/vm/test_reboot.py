#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reboots in one QEMU: each start makes exactly one mapping, all data are kept, QEMU lives.
usage: test_reboot.py KERNEL [--memory-slots]"""

import vmtest
from vmtest import check_eq

# Each boot checks the files of all earlier ones, writes its own, and ends in another way:
# a reset by the guest, a clean one, one from outside in the middle of flushes, power off.
SCRIPT = vmtest.MOUNT + """
cd /m
boot=$(ls | grep -c '^boot' || true)
for i in $(seq 0 $((boot - 1))); do
    seq "$i" 5000 | cmp - boot$i
done
seq "$boot" 5000 | dd of=boot$boot conv=fsync 2>/dev/null
echo "boot $boot"
case $boot in
0) reboot -nf ;;
1) cd /; umount /m; reboot -nf ;;
2) while :; do echo x | dd of=load conv=fsync 2>/dev/null; done ;;
esac
"""


def test(s, kernel, *slots):
    image = s.ext4(64 * vmtest.MIB)
    daemon = s.daemon(image, *slots)
    guest = s.guest(SCRIPT, daemon, kernel=kernel, reboot=True)
    guest.wait_for("boot 2")
    with guest.qmp() as qmp:
        flushes = daemon.stat()["flushes"]
        vmtest.wait_until(lambda: daemon.stat()["flushes"] > flushes + 10, "the load flushes")
        qmp("system_reset")
    guest.finish()
    check_eq("boots", [line for line in guest.output().splitlines() if line.startswith("boot")],
             [f"boot {i}" for i in range(4)])
    daemon.check_stat(connections=1, mappings_made=4, mappings_kept=0, flushes_failed=0)
    daemon.stop_cleanly()
    vmtest.check_ext4(image)


vmtest.main(test)
