#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A disk of vpmem.ko with everything that one does with a disk: partitions, ext4 and xfs with DAX,
fio with checksums, zeroing, limits, statistics.
usage: test_kmod_guest.py KERNEL vdax|qemu [TIMES]"""

import os
import re
import shutil

import kmodguest
import vmtest
from vmtest import MIB, check_eq

SECTOR = 512

# Start and length in sectors. The third neither begins nor ends at a page.
PARTITIONS = ((2048, 64 * 2048), (67 * 2048, 65 * 2048), (132 * 2048 + 1, 16 * 2048 + 3),
              (150 * 2048, 32 * 2048))
SIZE = 192 * MIB

PARTITION = """
disk=/dev/vpmem0
part() { printf 'n\\np\\n%d\\n%d\\n%d\\n' $1 $2 $(($2 + $3 - 1)); }
{ PARTS printf 'w\\n'; } | fdisk -u $disk >/tmp/out 2>&1 || { cat /tmp/out >&2; exit 61; }
for i in 1 2 3 4; do
    await test -b ${disk}p$i
done
same 'start of the third' $(cat /sys/block/vpmem0/vpmem0p3/start) START3
"""

LIMITS = """
limit() { same $1 "$(cat /sys/block/vpmem0/queue/$1)" "$2"; }
limit logical_block_size 512
limit physical_block_size 4096
limit fua 1
limit write_cache 'write back'
limit dax 1
limit discard_max_bytes 0
limit rotational 0
limit iostats 1
[ $(cat /sys/block/vpmem0/queue/write_zeroes_max_bytes) -gt 0 ]
same size $(cat /sys/block/vpmem0/size) SECTORS
same state $(cat /sys/block/vpmem0/vpmem/state) running
"""

# On the last partition, which has no file system. What is beside the zeroed range stays.
RAW = """
raw=${disk}p4
block_steps $raw fill 0 0x100000 0x55 no-discard 0 0x100000 zero 0x1200 0x3e00 \\
    check 0 0x1200 0x55 check 0x1200 0x3e00 0 check 0x5000 0x1000 0x55 \\
    nowait 0x10000 0x2000 0x11 nowait 0x20200 0x200 0x12 dsync 0x30000 0x1000 0x13 \\
    check 0x31000 0x1000 0x55
block_steps $raw fill 0x400000 0x100000 0x66 fill 0x600000 0x100000 0x67 zero 0x400000 0x280000 \\
    check 0x400000 0x100000 0 check 0x600000 0x80000 0 check 0x680000 0x80000 0x67
fails 'not supported' blkdiscard $raw
block_steps $raw check 0x30000 0x1000 0x13

# counts PLACE: reads, sectors read, writes and sectors written of a disk or partition
counts() { awk '{ print $1, $3, $5, $7 }' /sys/block/vpmem0/$1/stat; }
for place in . vpmem0p4; do
    set -- $(counts $place)
    for i in 1 2 3 4 5 6 7 8 9 10; do
        block_steps $raw fill $((i * 8192)) 8192 $i check $((i * 8192)) 4096 $i
    done
    # the partition's table and the like may be read meanwhile, but nothing else is written
    set -- $* $(counts $place)
    same "writes of $place" $(($7 - $3)) 10
    same "sectors written of $place" $(($8 - $4)) 160
    same "reads of $place" $(($5 - $1)) 10
    same "sectors read of $place" $(($6 - $2)) 80
done
"""

# Through write and fsync, a mapping and msync, many small ones; seen again after a mount.
FILES = """
mkdir -p /m
modprobe xfs
sums() { (cd /m && sha256sum fsynced mapped); }
files() {   # TYPE DEVICE CHECK...
    mount -t $1 -o dax $2 /m
    grep -q "^$2 /m $1 .*dax=always" /proc/mounts
    seq 1 20000 | dd of=/m/fsynced bs=64k conv=fsync 2>/dev/null
    xfs_io -f -c 'pwrite -q -S 0x2e 0 256k' -c fsync -c 'mmap 0 256k' \\
        -c 'mwrite -S 0x41 4096 100000' -c 'msync -s 0 256k' /m/mapped
    block_steps /m/mapped no-map-sync dax
    meta_load /m/load 4 LOAD
    sums >/tmp/sums
    umount /m
    mount -t $1 -o dax $2 /m
    sums | cmp - /tmp/sums
    meta_load /m/again 2 4
    umount /m
    shift 2
    "$@" >&2
}
mkfs.ext4 -q -b 4096 ${disk}p1 >&2
# XFS refuses DAX on a partition if it has reflinks.
mkfs.xfs --unsupported -q -d agcount=2 -l size=20m -m reflink=0 ${disk}p2 >&2
files ext4 ${disk}p1 e2fsck -fn ${disk}p1
files xfs ${disk}p2 xfs_repair -n ${disk}p2
"""

UNALIGNED = """
odd=${disk}p3
mkfs.ext4 -q -b 4096 $odd >&2
! mount -t ext4 -o dax $odd /m 2>/dev/null
mount -t ext4 $odd /m
seq 1 20000 | dd of=/m/fsynced bs=64k conv=fsync 2>/dev/null
block_steps /m/fsynced no-dax
umount /m
mount -t ext4 $odd /m
seq 1 20000 | cmp - /m/fsynced
umount /m
e2fsck -fn $odd >&2
"""

JOBS = """[global]
filename=/dev/vpmem0p4
verify=crc32c
verify_fatal=1
randseed=7
direct=1
fsync=8
rw=randwrite
size={size}
bs=4k
[psync]
ioengine=psync
[nowait]
stonewall
offset=8m
ioengine=pvsync2
nowait=1
[uring]
stonewall
offset=16m
bs=512
ioengine=io_uring
iodepth=8
"""

FIO = """
fio --output=/tmp/out /jobs >&2 || { tail -n 30 /tmp/out >&2; exit 60; }
same 'jobs of fio' $(grep -c 'err= 0' /tmp/out) 3
"""

NUMBERS = """
cd /sys/block/vpmem0/vpmem
echo numbers $(cat flushes requests merged errors)
"""


def script(times):
    parts = "".join(f"part {i + 1} {start} {length};" for i, (start, length) in
                    enumerate(PARTITIONS))
    partition = PARTITION.replace("PARTS", parts).replace("START3", str(PARTITIONS[2][0]))
    limits = LIMITS.replace("SECTORS", str(SIZE // SECTOR))
    files = FILES.replace("LOAD", str(24 * times))
    return partition + limits + RAW + files + UNALIGNED + FIO + NUMBERS


def check_numbers(guest, disk):
    """Every group of flushes has had one request, and each request has arrived. One more was
    sent when the driver was bound."""
    words = re.search(r"numbers (.*)", guest.output())[1].split()
    flushes, requests, merged, errors = map(int, words)
    print(f"{flushes} flushes, {requests} requests, {merged} merged")
    check_eq("groups", flushes - merged + 1, requests)
    check_eq("errors", errors, 0)
    vmtest.check(flushes > 100, "there were hardly any flushes")
    disk.end(**({"flushes": requests} if disk.daemon else {}))


def check_partition(s, image, index):
    """The host sees the same: the file system is whole, and the file is there."""
    start, length = (n * SECTOR for n in PARTITIONS[index])
    path = s.name("partition")
    with open(image, "rb") as source, open(path, "wb") as target:
        source.seek(start)
        target.write(source.read(length))
    vmtest.check_ext4(path)
    check_eq("fsynced", vmtest.read_ext4(path, "/fsynced"),
             "".join(f"{i}\n" for i in range(1, 20001)))


def test(s, kernel, device, times="1"):
    times = int(times)
    fio = shutil.which("fio") or vmtest.skip("no fio on this host")
    with open(f"{s.path}/jobs", "w", encoding="ascii") as f:
        f.write(JOBS.format(size=f"{min(8, times)}m"))
    disk = kmodguest.Disk(s, device, s.image(SIZE))
    more = ["--memory", "768M", "--cpus", "1" if times == 1 else "2",
            "--add", f"{fio}:/bin/fio", "--add", f"{s.path}/jobs:/jobs"]
    for name in ("block_steps", "meta_load"):
        more += ["--add", f"{os.environ[f'VDAX_{name.upper()}']}:/bin/{name}"]
    guest = kmodguest.boot(s, script(times), disk, kernel, more, timeout=350 * times)
    guest.finish()
    check_numbers(guest, disk)
    check_partition(s, disk.image, 0)
    check_partition(s, disk.image, 2)


kmodguest.main(test)
