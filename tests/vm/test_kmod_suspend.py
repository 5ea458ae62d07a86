#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest sleeps (S3: the devices are reset) and hibernates (with the image read back at once, so
that both halves run) while programs write to a file system of vpmem.ko. What they were told is
durable is there when its power is cut in the end.
usage: test_kmod_suspend.py KERNEL vdax|qemu [ROUNDS]"""

import contextlib
import re
import threading
import time

import kmodguest
import vmtest
from vmtest import check, check_eq

MAPPED = 256 << 10

SCRIPT = """
mkdir -p /m
mount -t ext4 -o dax /dev/vpmem0 /m
grep ' /m ext4 .*dax=always' /proc/mounts
modprobe virtio_blk
mkswap /dev/vda
swapon /dev/vda
cat /sys/block/vda/dev >/sys/power/resume
echo test_resume >/sys/power/disk

set +x
lines() {
    for n in $(seq 100000); do
        echo "line $n" >>/m/log
        sync -d /m/log || exit 1
        echo "line $n."
    done
}
maps() {
    for n in $(seq 100000); do
        xfs_io -f -c "truncate 256k" -c "mmap 0 256k" -c "mwrite -S $((n % 256)) 0 256k" \\
            -c "msync -s 0 256k" /m/mapped || exit 1
        echo "map $n."
    done
}
go_down() {
    case $1-$(uname -r) in
    # its swap is in use when the image is to be read, which 6.1 refuses; then it goes on
    disk-6.1.*) fails busy sh -c 'echo disk >/sys/power/state' ;;
    *) echo $1 >/sys/power/state ;;
    esac
}
lines &
first=$!
maps &
second=$!
await test -s /m/log -a -s /m/mapped
set -x
for round in $(seq ROUNDS); do
    for how in mem disk; do
        usleep 500000
        echo "sleep $how $round."
        go_down $how
        echo "awake $how $round."
        same state $(cat /sys/block/vpmem0/vpmem/state) running
        seq $round 3000 | dd of=/m/$how.$round conv=fsync 2>/dev/null
        kill -0 $first $second
    done
done
usleep 500000
kill $first $second
wait
cat /sys/block/vpmem0/vpmem/errors
echo requests $(cat /sys/block/vpmem0/vpmem/requests)
sync -f /m/log
echo end.
sleep 1000
"""


def keep_awake(control, ended):
    """S3 ends when somebody asks for it. If QEMU ends before, the test itself says so."""
    with contextlib.suppress(OSError, vmtest.Failure), vmtest.Qmp(control) as qmp:
        while not ended.wait(0.2):
            if qmp("query-status")["status"] == "suspended":
                ended.wait(0.5)
                qmp("system_wakeup")


def check_image(image, output, rounds):
    vmtest.check_ext4(image)
    reported = len(re.findall(r"^line \d+\.$", output, re.M))
    lines = vmtest.read_ext4(image, "/log").splitlines()
    check_eq("the log", lines, [f"line {n}" for n in range(1, len(lines) + 1)])
    check(len(lines) >= reported, f"{reported} lines were reported, {len(lines)} are there")
    print(f"{reported} lines, {len(re.findall('^map ', output, re.M))} mappings")
    for how in ("mem", "disk"):
        for number in range(1, rounds + 1):
            check_eq(f"{how}.{number}", vmtest.read_ext4(image, f"/{how}.{number}"),
                     "".join(f"{i}\n" for i in range(number, 3001)))


def check_work(output):
    """The programs went on after each sleep."""
    for part in re.split(r"^awake .*\n", output, flags=re.M)[1:]:
        check("line " in part, f"nothing was written after a sleep:\n{part[:500]}")


def test(s, kernel, device, rounds="1"):
    rounds = int(rounds)
    disk = kmodguest.Disk(s, device, s.ext4(64 * vmtest.MIB))
    swap = s.image(512 * vmtest.MIB)
    # S3 comes back through the firmware, which does that only if it has loaded the kernel.
    more = ["--bzimage", "--memory", "384M", "--append", "no_console_suspend", "--qemu-arg",
            f"-drive if=none,id=swap,format=raw,file={swap} -device virtio-blk-pci,drive=swap"]
    guest = kmodguest.boot(s, SCRIPT.replace("ROUNDS", str(rounds)), disk, kernel, more,
                           timeout=250 + 100 * rounds)
    ended = threading.Event()
    helper = threading.Thread(target=keep_awake, args=(guest.control, ended))
    helper.start()
    try:
        guest.wait_for("end.", 250 + 100 * rounds)
    finally:
        ended.set()
        helper.join()
    time.sleep(0.5)
    guest.kill()
    requests = int(re.search(r"^requests (\d+)", guest.output(), re.M)[1])
    if disk.daemon:
        flushes = disk.daemon.stat()["flushes"]
        check(flushes >= requests, f"{requests} requests, {flushes} arrived")
    disk.end()
    check_work(guest.output())
    check_image(disk.image, guest.output(), rounds)


kmodguest.main(test)
