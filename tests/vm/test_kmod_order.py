#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is in memory at the moment when a flush arrives: with PREFLUSH the new data is not there
yet, with FUA it is. A write whose PREFLUSH has failed does not happen. The same is asked of the
kernel's own driver, which in 6.1 is known to flush too late: if it is not, nothing is measured.
usage: test_kmod_order.py KERNEL..."""

import re

import kmodtest
import vmtest
from vmtest import check, check_eq

OLD, NEW = 0x11, 0x22
SECTOR, LENGTH = 2048, 16384
EIO = "Input/output error"

# name: flags, length, plan for the first request, the bytes that arriving flushes see, the result
# of the bio, the byte that is there afterwards
CASES = {
    "preflush": ("preflush", LENGTH, "ok", [OLD], "ok", NEW),
    "fua": ("fua", LENGTH, "ok", [NEW], "ok", NEW),
    "both": ("preflush+fua", LENGTH, "ok", [OLD, NEW], "ok", NEW),
    "empty": ("preflush+empty", 0, "ok", [OLD], "ok", OLD),
    "none": ("none", LENGTH, "ok", [], "ok", NEW),
    "slow preflush": ("preflush", LENGTH, "delay-50", [OLD], "ok", NEW),
    "slow both": ("preflush+fua", LENGTH, "thread", [OLD, NEW], "ok", NEW),
    "failed preflush": ("preflush", LENGTH, "error", [OLD], EIO, OLD),
    "failed both": ("preflush+fua", LENGTH, "error-1", [OLD], EIO, OLD),
    "failed fua": ("fua", LENGTH, "short", [NEW], EIO, NEW),
}

# The stock driver's late flushes are no fault of the block layer's: it sees both flags.
STOCK = ("preflush", "both", "empty", "failed preflush")

BEGIN = """
insmod /test/vpmem_testdev.ko shm=%d || fail insmod
insmod /test/vpmem_testbio.ko || fail insmod
[ ! -e /vpmem/vpmem.ko ] || insmod /vpmem/vpmem.ko || fail insmod
disk=%s
"""

# Each place at which the device looks is the first or the last byte of the data.
CASE = """
tell $D/create 1
until_true 5 test -b $disk || fail "no $disk"
tell $B/submit $disk write none {sector} {length} {old}
tell $D/watch {watch}
tell $D/log clear
tell $D/plan {plan} 1
echo "case: {name}"
echo "result: $(say $B/submit $disk write {flags} {sector} {bytes} {new})"
sed 's/^/log: /' $D/log
for byte in {old} {new}; do
    [ "$(say $B/submit $disk read none {sector} {length} $byte)" = ok ] && echo "there: $byte"
done
tell $D/plan clear
tell $D/destroy 1
"""

END = """
echo "counts: $(cat $D/counts)"
rmmod vpmem_testbio && rmmod vpmem_testdev || fail rmmod
[ ! -e /vpmem/vpmem.ko ] || rmmod vpmem || fail rmmod
"""


def script(names, shm, disk):
    parts = [BEGIN % (shm, disk)]
    for name in names:
        flags, length, plan, *_ = CASES[name]
        for watch in (SECTOR * 512, SECTOR * 512 + LENGTH - 1):
            parts.append(CASE.format(name=name, flags=flags, bytes=length, plan=plan,
                                     watch=watch, sector=SECTOR, length=LENGTH,
                                     old=f"{OLD:#x}", new=f"{NEW:#x}"))
    return "".join(parts) + END


def results(output):
    """(name, bytes that flushes saw, result, byte that is there) of each case."""
    for part in re.split(r"^case: ", output, flags=re.M)[1:]:
        seen = [int(byte, 16) for byte in re.findall(r"^log: .*byte=(\w+)", part, re.M)]
        there = [int(byte, 16) for byte in re.findall(r"^there: (\w+)", part, re.M)]
        result = re.search(r"^result: (.*)", part, re.M)[1]
        yield part.split("\n")[0], seen, result, there


def ours(s, kernel):
    for shm in (1, 0):
        output = kmodtest.run(s, kernel, script(CASES, shm, "/dev/vpmem0"))
        got = list(results(output))
        check_eq("cases", len(got), 2 * len(CASES))
        for name, seen, result, there in got:
            *_, want_seen, want_result, want_there = CASES[name]
            check_eq(f"{kernel}: {name}", (seen, result, there),
                     (want_seen, want_result, [want_there]))
        for word in ("spurious=0", "malformed=0", "stray=0", "max_depth=1 "):
            check(word in output, f"{kernel}: {word} is not in {output.splitlines()[-2]}")


def stock(s, kernel):
    """Returns the cases in which the kernel's driver is too late."""
    late = set()
    output = kmodtest.run(s, kernel, script(STOCK, 0, "/dev/pmem0"), stock=True)
    for name, seen, result, there in results(output):
        *_, want_seen, want_result, want_there = CASES[name]
        check(seen, f"stock {kernel}: {name}: no flush at all")
        if (seen, result, there) != (want_seen, want_result, [want_there]):
            late.add(name)
            print(f"stock {kernel}: {name}: flushes see {seen}, result {result}, there {there};"
                  f" ours: {want_seen}, {want_result}, {[want_there]}")
    return late


def test(s, *kernels):
    for kernel in kernels:
        ours(s, kernel)
        print(f"{kernel}: {len(CASES)} cases at 2 places in 2 kinds of range", flush=True)
    for kernel in kernels:
        late = stock(s, kernel) if kernel != kmodtest.KASAN else set()
        if kernel == "6.1":
            check({"preflush", "both"} <= late, "the stock driver of 6.1 is in time: what is "
                  "measured here is not the order")


vmtest.main(test)
