#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two pmem devices in one VM, of sizes that are no power of two: each keeps its own data over
two reboots and a stop and cont. usage: test_two_devices.py KERNEL"""

import re

import vmtest
from vmtest import check_eq

SIZES = [100 * vmtest.MIB, 66 * vmtest.MIB]  # QEMU's regions are 128 MiB: the rest must not show

SCRIPT = """
set -e
for d in 0 1; do
    mkdir -p /m$d
    mount -t ext4 -o dax /dev/pmem$d /m$d
    grep " /m$d ext4 .*dax=always" /proc/mounts
    echo "sectors $(cat /sys/block/pmem$d/size)"
done
boot=$(ls /m0 | grep -c '^boot' || true)
for d in 0 1; do
    for i in $(seq 0 $((boot - 1))); do
        seq "$i" "$((d + 5))000" | cmp - /m$d/boot$i
    done
    seq "$boot" "$((d + 5))000" | dd of=/m$d/boot$boot conv=fsync 2>/dev/null
done
echo "boot $boot"
[ $boot = 2 ] || reboot -nf
for n in $(seq 40); do
    for d in 0 1; do
        echo "$n on $d" | dd of=/m$d/load conv=fsync 2>/dev/null
    done
    echo "round $n."
done
"""


def check_devices(text):
    sectors = [line for line in text.splitlines() if line.startswith("sectors")]
    # Which of the two sockets is pmem0 is the guest's choice.
    for boot in range(0, len(sectors), 2):
        check_eq("sizes in the guest", sorted(sectors[boot:boot + 2]),
                 sorted(f"sectors {size // 512}" for size in SIZES))
    check_eq("boots", re.findall(r"^boot (.*)$", text, re.M), ["0", "1", "2"])


def test(s, kernel):
    daemons = [s.daemon(s.ext4(size)) for size in SIZES]
    guest = s.guest(SCRIPT, *daemons, kernel=kernel, reboot=True)
    guest.wait_for("round 2.")
    with guest.qmp() as qmp:
        qmp("stop")
        qmp("cont")
    guest.finish()
    check_devices(guest.output())
    for daemon in daemons:
        daemon.check_stat(mappings_made=3, mappings_kept=1, flushes_failed=0)
        daemon.stop_cleanly()
        vmtest.check_ext4(daemon.image)
        text = vmtest.read_ext4(daemon.image, "/load")
        check_eq("the last line", re.sub(r"\d$", "D", text.strip()), "40 on D")


vmtest.main(test)
