#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How a device of vpmem.ko begins.

plain: QEMU's own device with a size that no struct pages are made for: a disk without DAX.
order: two devices, reset together and then bound in the other order, when QEMU may still be
mapping what the driver is about to read (see test_probe_order.py): each is flushed once before
anything else, so what is read is right.
usage: test_kmod_probe.py KERNEL plain|order"""

import re

import kmodguest
import vmtest
from vmtest import check, check_eq

ODD_SIZE = 65 * vmtest.MIB + 4096

PLAIN = """
same dax $(cat /sys/block/vpmem0/queue/dax) 0
same size $(cat /sys/block/vpmem0/size) SECTORS
mkdir -p /m
mkfs.ext4 -q -b 4096 /dev/vpmem0 >&2
! mount -t ext4 -o dax /dev/vpmem0 /m 2>/dev/null || exit 60
mount -t ext4 /dev/vpmem0 /m
seq 1 20000 | dd of=/m/fsynced bs=64k conv=fsync 2>/dev/null
umount /m
mount -t ext4 /dev/vpmem0 /m
seq 1 20000 | cmp - /m/fsynced
umount /m
e2fsck -fn /dev/vpmem0 >&2
rmmod vpmem
dmesg | grep 'vpmem virtio'
"""

ORDER = """
cd /sys/bus/virtio
echo 0 >drivers_autoprobe
insmod /vpmem.ko
cd drivers/vpmem
start() { echo virtio$1 >bind; }
reset() { echo virtio$1 >unbind; }
use() {
    mkdir -p /m
    for d in 0 1; do
        mount -t ext4 -o dax /dev/vpmem$d /m
        echo "$1 on $d" | dd of=/m/$1 conv=fsync 2>/dev/null
        umount /m
        echo "flushes $1 $(cat /sys/block/vpmem$d/size)" $(cat /sys/block/vpmem$d/vpmem/requests)
    done
}
start 0
same 'requests for a partition table' $(cat /sys/block/vpmem0/vpmem/requests) 1
start 1
use first
for round in $(seq 10); do
    reset 1
    reset 0
    start 1
    start 0
done
use second
"""


def plain(s, kernel):
    disk = kmodguest.Disk(s, "qemu", s.image(ODD_SIZE))
    guest = kmodguest.boot(s, PLAIN.replace("SECTORS", str(ODD_SIZE // 512)), disk, kernel)
    guest.finish()
    lines = guest.output().splitlines()
    check(len(lines) == 1 and "a block device without DAX: " in lines[0],
          f"lines about DAX: {lines}")
    print(lines[0])
    vmtest.check_ext4(disk.image)


def order(s, kernel):
    daemons = [s.daemon(s.ext4(size * vmtest.MIB)) for size in (64, 66)]
    more = ["--modules", "virtio_pci", "--add", f"{kmodguest.kmodbuild.vpmem(kernel)}:/vpmem.ko"]
    guest = s.guest(kmodguest.FUNCTIONS + ORDER, *daemons, kernel=kernel, more=more)
    guest.finish()
    for daemon in daemons:
        size = vmtest.os.path.getsize(daemon.image) // 512
        sent = [int(n) for n in re.findall(rf"^flushes \w+ {size} (\d+)", guest.output(), re.M)]
        check_eq("uses", len(sent), 2)
        # the rounds in between: one each, and the last use begins with one of its own
        daemon.check_stat(flushes=sum(sent) + 9, latched_errno=0, flushes_failed=0)
        daemon.stop_cleanly()
        vmtest.check_ext4(daemon.image)
        for name in ("first", "second"):
            text = vmtest.read_ext4(daemon.image, f"/{name}")
            check(text.startswith(f"{name} on "), f"/{name} has {text!r}")


def test(s, kernel, what):
    {"plain": plain, "order": order}[what](s, kernel)


kmodguest.main(test)
