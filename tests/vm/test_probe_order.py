#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two devices, reset together and then started in the other order, as a reboot may do.

QEMU 11.1.3 lists the mapping of one device in the memory table of the other. With memory slots
the one that starts second takes it into its shadow table, where it is still looked for after the
reset has freed it: the test shows what happens then, and that what was flushed does not suffer.
usage: test_probe_order.py KERNEL [--memory-slots]"""

import vmtest
from vmtest import check, check_eq

SCRIPT = """
set -e
cd /sys/bus/virtio
echo 0 >drivers_autoprobe
modprobe -a virtio_pmem nd_pmem
cd drivers/virtio_pmem
start() { echo virtio$1 >bind; sleep 0.3; }
reset() { echo virtio$1 >unbind; sleep 0.3; }  # QEMU frees mappings a little later
use() {
    mkdir -p /m
    for d in 0 1; do
        mount -t ext4 -o dax /dev/pmem$d /m
        echo "$1 on $d" | dd of=/m/$1 conv=fsync 2>/dev/null
        umount /m
    done
    echo "$1 use."
}
start 0; start 1; use first
reset 1; reset 0
start 1; start 0; use second
"""


def test(s, kernel, *slots):
    daemons = [s.daemon(s.ext4(size * vmtest.MIB), *slots) for size in (64, 66)]
    guest = s.guest(SCRIPT, *daemons, kernel=kernel, more=["--modules", "virtio_pci"])
    lived = vmtest.outlives(guest, lambda: "second use." in guest.output(),
                            "two devices started in another order after a reset", slots)
    if lived:
        guest.finish()
    guest.check_qemu_quiet()
    for daemon in daemons:
        daemon.stop_cleanly()
        vmtest.check_ext4(daemon.image)
        for name in ["first"] + ["second"] * lived:
            text = vmtest.read_ext4(daemon.image, f"/{name}")
            check(text.startswith(f"{name} on "), f"/{name} has {text!r}")
    check_eq("the first use", "first use." in guest.output(), True)


vmtest.main(test)
