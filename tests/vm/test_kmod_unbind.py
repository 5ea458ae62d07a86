#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The driver, or the whole device, goes while its disk is in use: nothing hangs, programs get
errors, what was reported as durable is there, and the disk comes back.

unbind: through sysfs, with the disk open, then with a file system mounted and mapped.
unplug: QEMU takes the device out of its slot. Only ours: QEMU 11.1 does not unplug virtio-pmem.
usage: test_kmod_unbind.py KERNEL unbind vdax|qemu
       test_kmod_unbind.py KERNEL unplug"""

import os
import re

import kmodguest
import vmtest
from vmtest import check, check_eq

# What belongs to a disk that has gone.
EXPECTED = (r"EXT4-fs error \(device vpmem0\)|EXT4-fs \(vpmem0\).*I/O error"
            r"|JBD2: I/O error when updating journal superblock for vpmem0"
            r"|Buffer I/O error on dev(ice)? vpmem0|I/O error, dev vpmem0")

COMMON = """
driver=/sys/bus/virtio/drivers/vpmem
device=$(cd $driver && echo virtio*)
mkdir -p /m
use() {
    mount -t ext4 -o dax /dev/vpmem0 /m
    grep -q ' /m ext4 .*dax=always' /proc/mounts
    xfs_io -f -c 'truncate 1m' -c 'pwrite -q 0 1m' -c fsync /m/mapped
    block_steps /m/mapped stores 3000 &
    mapper=$!
    writer &
    writer=$!
    await test -s /m/log
    fails unavailable rmmod vpmem    # in use
}
writer() {
    set +ex
    n=$(wc -l </m/log 2>/dev/null || echo 0)
    while :; do
        n=$((n + 1))
        echo "line $n" >>/m/log && sync -d /m/log && echo "line $n." || break
    done 2>/dev/null
    echo "writer: error."
}
gone() { [ ! -e /sys/bus/virtio/drivers/vpmem/$device ]; }
unuse() {   # the programs end, and so does the mount
    wait $writer
    if kill $mapper 2>/dev/null; then
        echo 'mapper: went on.'
    else
        echo 'mapper: had ended.'
    fi
    wait $mapper || true
    umount /m
    await gone
    [ ! -e /dev/vpmem0 ]
}
"""

UNBIND = COMMON + """
exec 5<>/dev/vpmem0
fails unavailable rmmod vpmem
echo $device >$driver/unbind
gone
! dd if=/dev/zero bs=4096 count=1 conv=fsync >&5 || exit 62
exec 5<&-
echo $device >$driver/bind
for round in 1 2; do
    use
    usleep 500000
    echo $device >$driver/unbind &
    unbind=$!
    unuse
    wait $unbind
    echo $device >$driver/bind
    e2fsck -fp /dev/vpmem0 >&2 || [ $? = 1 ]
done
use
kill $writer $mapper
wait
await umount /m    # what the writer had started may still run
rmmod vpmem
insmod /lib/modules/vpmem.ko
e2fsck -fn /dev/vpmem0 >&2
rmmod vpmem
echo end.
"""

UNPLUG = COMMON + """
lsmod >&2
use
echo ready.
unuse
[ ! -e /sys/bus/virtio/devices/$device ]
rmmod vpmem
echo end.
"""


def check_lines(image, output):
    vmtest.check_ext4(image)
    reported = [int(n) for n in re.findall(r"^line (\d+)\.$", output, re.M)]
    lines = vmtest.read_ext4(image, "/log").splitlines()
    check_eq("the log", lines, [f"line {n}" for n in range(1, len(lines) + 1)])
    check(len(lines) >= max(reported), f"{max(reported)} lines reported, {len(lines)} there")
    print(f"{max(reported)} lines;", *re.findall(r"^mapper: .*", output, re.M))


def steps():
    return ["--add", f"{os.environ['VDAX_BLOCK_STEPS']}:/bin/block_steps", "--allow-warnings"]


def unbind(s, kernel, device):
    disk = kmodguest.Disk(s, device, s.ext4(64 * vmtest.MIB))
    guest = kmodguest.boot(s, UNBIND, disk, kernel, steps(), timeout=350)
    guest.finish()
    kmodguest.check_log(guest, EXPECTED)
    disk.end()
    check_lines(disk.image, guest.output())


def in_slot(daemon):
    """The device of the daemon in a slot that it can be taken out of."""
    return ["--qemu-arg", "-device pcie-root-port,id=root0,pref64-reserve=1G"
            f" -chardev socket,id=unplug,path={daemon.socket}"
            " -device vhost-user-test-device-pci,id=victim,bus=root0,chardev=unplug,"
            "virtio-id=27,num_vqs=1,vq_size=64,config_size=16"]


def unplug(s, kernel):
    daemon = s.daemon(s.ext4(64 * vmtest.MIB))
    more = ["--modules", "virtio_pci", "--module", kmodguest.kmodbuild.vpmem(kernel), *steps(),
            *in_slot(daemon)]
    guest = s.guest(kmodguest.FUNCTIONS + UNPLUG, kernel=kernel, timeout=350, more=more)
    guest.wait_for("ready.")
    lines = guest.output().count("line ")
    guest.wait_for("line ", count=lines + 10)
    with guest.qmp() as qmp:
        qmp("device_del", id="victim")
        guest.wait_for("end.", 100)
        vmtest.wait_until(lambda: "victim" not in str(qmp("qom-list", path="/machine/peripheral")),
                          "QEMU has no device any more")
    guest.finish()
    kmodguest.check_log(guest, EXPECTED)
    daemon.check_stat(latched_errno=0, flushes_failed=0)
    daemon.stop_cleanly()
    check_lines(daemon.image, guest.output())


def test(s, kernel, what, *words):
    {"unbind": unbind, "unplug": unplug}[what](s, kernel, *words)


kmodguest.main(test)
