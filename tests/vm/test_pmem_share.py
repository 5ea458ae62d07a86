#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An image and a shared directory in one VM, which is rebooted while the image is mapped.

QEMU lists the image's mapping in the memory table of the share's daemon. What becomes of that:
    plain, late            vdax fs --no-memory-slots: it is memory like any other
    slots                  vdax fs: it is refused. Requests with a buffer in it fail, nothing else
    late-slots             it is taken, as the share starts when the image is mapped
    peer                   the virtiofsd of the lab takes it always
With "late" the share starts when the image is mapped, else before that. In the last two QEMU
11.1.3 looks for it after the reset has freed it. The test shows what happens then, and that
nothing of what was synced is lost.
usage: test_pmem_share.py KERNEL plain|late|slots|late-slots|peer"""

import os
import re

import fstest
import vmtest
from vmtest import check, check_eq

BOOTS = 3

# On each boot: what earlier ones wrote to both is there, then copies go both ways, through the
# guest's page cache and with the image's pages themselves as buffers of the requests.
SCRIPT = """
set -e
LATE
mkdir -p /m /s
mount -t ext4 -o dax /dev/pmem0 /m
grep -q ' /m ext4 .*dax=always' /proc/mounts
mount -t virtiofs fs0 /s
boot=$(ls /m | grep -c '^boot' || true)
for i in $(seq 0 $((boot - 1))); do
    seq $i 50000 | cmp - /s/boot$i
    cmp /s/boot$i /m/boot$i
done
seq $boot 50000 >/s/boot$boot
cp /s/boot$boot /m/boot$boot
sync
dd if=/m/boot$boot of=/m/whole bs=4096 count=50 2>/dev/null
direct() { dax_direct $1 /m/$2 /s/direct 2>&1 && cmp /m/$2 /m/whole; }
rm -f /s/direct
direct write whole && echo "$boot: written" || echo "$boot: not written"
cp /m/whole /s/direct
sync
dd if=/dev/zero of=/m/back bs=4096 count=50 2>/dev/null
direct read back && echo "$boot: read" || echo "$boot: not read"
sync
echo "boot $boot."
if [ $boot = 2 ]; then
    for n in $(seq 40); do
        echo $n | dd of=/m/load conv=fsync 2>/dev/null
        echo $n | dd of=/s/load conv=fsync 2>/dev/null
        echo "round $n."
    done
    exit
fi
reboot -nf
"""

# The driver is in some kernels, and has the device before the image has its one.
LATE = """
modprobe virtiofs
cd /sys/bus/virtio/drivers/virtiofs
device=$(ls | grep ^virtio)
echo $device >unbind
modprobe -a virtio_pmem nd_pmem
sleep 1
echo $device >bind
cd /
"""


def share(s, how):
    """The daemon, and whether QEMU may crash, and whether the image's pages may be buffers."""
    if how == "peer":
        os.environ["VDAX_FS_DAEMON"] = f"{vmtest.lab.LAB}/bin/virtiofsd"
        return fstest.FsDaemon(s, "--allow-direct-io", tag=None), True, True
    words = ["--no-memory-slots"] if "slots" not in how else []
    daemon = fstest.FsDaemon(s, "--allow-direct-io", *words, tag=None)
    return daemon, how == "late-slots", how != "slots"


def check_host(image, folder, boots):
    """What the guest said it had is on the host, in both places."""
    vmtest.check_ext4(image)
    for boot in range(boots):
        want = "".join(f"{n}\n" for n in range(boot, 50001))
        check_eq(f"boot{boot} of the share", vmtest.read_text(f"{folder}/boot{boot}"), want)
        check(vmtest.read_ext4(image, f"/boot{boot}") == want, f"boot{boot} of the image")


def test(s, kernel, how):
    fstest.require_daemon()
    image = s.ext4(64 * vmtest.MIB)
    pmem = s.daemon(image)
    fs, may_crash, direct = share(s, how)
    late = how.startswith("late")
    modules = "virtio_pci" if late else "virtio_pci,virtiofs,virtio_pmem,nd_pmem"
    guest = s.guest(SCRIPT.replace("LATE", LATE if late else ""), pmem, kernel=kernel,
                    reboot=True, timeout=120,
                    more=["--fs-device", fs.socket, "--add",
                          f"{os.environ['VDAX_DAX_DIRECT']}:/bin/dax_direct", "--modules", modules])
    lived = vmtest.outlives(guest, lambda: "round 2." in guest.output(),
                            "a reboot with an image and a share", may_crash)
    if lived:
        with guest.qmp() as qmp:
            qmp("stop")
            qmp("cont")
        guest.finish()
        check_eq("rounds", guest.output().count("round "), 40)
    said = guest.output()
    boots = [int(n) for n in re.findall(r"^boot (\d+)\.$", said, re.M)]
    check_eq("boots", boots, list(range(BOOTS if lived else len(boots))))
    check(boots, f"the guest did not come far: {said}")
    for what in ("written", "read"):
        seen = re.findall(rf"^\d+: (not )?{what}$", said, re.M)
        check_eq(f"{what} with the image's pages", seen,
                 ["" if direct else "not "] * len(boots))
    guest.check_qemu_quiet()
    fs.check_ended()
    pmem.stop_cleanly()
    check_host(image, fs.share, len(boots))


vmtest.main(test)
