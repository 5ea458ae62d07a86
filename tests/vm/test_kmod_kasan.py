#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drivers in the kernel of lab/kasan, which reports use after free, wrong locking and leaks.
usage: test_kmod_kasan.py reports | load|suspend vpmem|stock vdax|qemu"""

import re

import kmodtest
import vmtest
from kmodtest import KASAN
from vmtest import check, check_eq

# What a guest of this kernel needs; two CPUs, or few locks are ever fought for.
OPTIONS = ("--memory", "1G", "--cpus", "2", "--modules", "virtio_pci")

# kmemleak believes an object in use until it is 5 s old and two scans have seen the same. It says
# nothing aloud, and it as well as lockdep turn themselves off when they have had enough.
FUNCTIONS = """
set -e
mount -t debugfs debugfs /sys/kernel/debug
scan() {
    sleep 6 && echo scan >/sys/kernel/debug/kmemleak && sleep 6 &&
        echo scan >/sys/kernel/debug/kmemleak && cat /sys/kernel/debug/kmemleak
}
healthy() {
    leaks=$(scan) && echo "leaks: $leaks" && grep -q 'debug_locks: *1$' /proc/lockdep_stats
}
await() {
    for i in $(seq 500); do
        "$@" && return
        usleep 20000
    done
    echo "no: $*" >&2
    return 1
}
"""

# The mistake and what the kernel says of it. Those of locks come first: other reports end lockdep.
MISTAKES = (
    ("rcu_unlocked", "WARNING: suspicious RCU usage"),
    ("lock_order", "WARNING: possible circular locking dependency detected"),
    ("sleep_in_spinlock", "BUG: sleeping function called from invalid context"),
    ("use_after_free", "BUG: KASAN: slab-use-after-free in use_after_free"),
    ("out_of_bounds", "BUG: KASAN: slab-out-of-bounds in out_of_bounds"),
    ("double_free", "BUG: KASAN: double-free in double_free"),
    ("list_del_twice", "list_del corruption"),
    ("free_active_timer", "ODEBUG: free active"),
    ("shift_too_far", "UBSAN: shift-out-of-bounds"),
)


def boot(s, script, *daemons, more=()):
    return s.guest(FUNCTIONS + script, *daemons, kernel=KASAN, timeout=1800,
                   more=(*OPTIONS, *more))


def mistake(name):
    return (f"echo 'mistake: {name}' >/dev/kmsg\n"
            f"insmod /wrong.ko what={name}\nrmmod vdax_wrong\n")


def sections(log):
    """The kernel log, as {mistake: what was said since}."""
    words = re.split(r"mistake: (\w+)\n", log)
    return dict(zip(words[1::2], words[2::2]))


def reports(s):
    """The kernel sees what it is made to see, and nothing else."""
    wrong = ("--add", kmodtest.modules(KASAN, "tests/vm/kasan") + "/vdax_wrong.ko:/wrong.ko")
    guest = boot(s, mistake("none") + "healthy", more=wrong)
    guest.finish()
    check_eq("without a mistake", guest.output(), "leaks: \n")

    guest = boot(s, mistake("out_of_bounds"), more=wrong)
    guest.finish(vmtest.lab.WARNINGS)

    script = "".join(mistake(name) for name, _ in MISTAKES) + mistake("leak") + "healthy || echo no"
    guest = boot(s, script, more=(*wrong, "--allow-warnings", "--append", "kasan_multi_shot"))
    guest.finish()
    found = sections(vmtest.read_text(guest.kernel_log))
    for name, report in MISTAKES:
        check(report in found[name], f"{name} is not reported")
    leaks = re.findall(r"unreferenced object \S+ \(size 64\)", guest.output())
    check(leaks, f"no leak is reported: {guest.output()}")
    check(guest.output().endswith("no\n"), "lockdep is on after a report")


# How a driver comes and goes, and where its device is.
DRIVERS = {
    "vpmem": "disk=/dev/vpmem0; come() { insmod /vpmem.ko; }; go() { rmmod vpmem; }\n",
    "stock": "disk=/dev/pmem0; come() { modprobe -a virtio_pmem nd_pmem; }\n"
             "go() { echo region0 >/sys/bus/nd/drivers/nd_region/unbind\n"
             "rmmod nd_pmem virtio_pmem nd_virtio libnvdimm; }\n",
}

# Files through write and fsync, a mapping and msync, and a database, all at once.
WORK = """
attach() {
    come
    await test -b $disk
    mount -t ext4 -o dax $disk /m
    grep -q ' /m ext4 .*dax=always' /proc/mounts
}
detach() {
    umount /m
    go
}
files() {
    for i in $(seq COUNT); do
        seq $i 5000 | dd of=/m/file$1.$i bs=16k conv=fsync 2>/dev/null
        seq $i 5000 | cmp - /m/file$1.$i
    done
}
mapping() {
    for i in $(seq COUNT); do
        xfs_io -f -c 'truncate 256k' -c 'mmap 0 256k' -c "mwrite -S $i 0 256k" \
            -c 'msync -s 0 256k' /m/mapped
    done
}
database() {
    for i in $(seq COUNT); do
        sqlite3 -bail /m/db "pragma journal_mode=wal; pragma synchronous=full;
            create table if not exists t(n); insert into t values($i)" >/dev/null
    done
}
work() {
    jobs=
    for job in 'files 1' 'files 2' mapping database; do
        $job &
        jobs="$jobs $!"
    done
}
finish() {
    for job in $jobs; do
        wait $job
    done
}
mkdir -p /m
"""

# What happens while the work goes on. A rehearsed hibernation takes half a minute here: memory for
# the image is looked for.
EVENTS = {
    "load": "",
    "suspend": """
    echo 1 >/sys/module/suspend/parameters/pm_test_delay
    for how in devices:mem platform:mem platform:disk; do
        echo ${how%:*} >/sys/power/pm_test
        echo ${how#*:} >/sys/power/state
    done
    echo none >/sys/power/pm_test
""",
}
ROUNDS = 2


class Devices:
    """The device under test, of ours or of QEMU, on one image."""

    def __init__(self, s, kind):
        self.image = s.ext4(64 * vmtest.MIB)
        self.daemons = [s.daemon(self.image)] if kind == "vdax" else []
        self.options = ["--pmem-file", self.image] if kind == "qemu" else []

    def check(self, count):
        """All that the guest has synced is there, and all flushes were answered with success."""
        for daemon in self.daemons:
            daemon.check_stat(latched_errno=0, flushes_failed=0)
            daemon.stop_cleanly()
        vmtest.check_ext4(self.image)
        for file in ("file1", "file2"):
            check_eq(f"{file}", vmtest.read_ext4(self.image, f"/{file}.{count}"),
                     "".join(f"{i}\n" for i in range(count, 5001)))
        check_eq("mapped", vmtest.read_ext4(self.image, "/mapped"), chr(count) * (256 << 10))


def run(s, event, driver, device, count="6"):
    """One guest in which the driver comes and goes, with work in between."""
    devices = Devices(s, device)
    script = (DRIVERS[driver] + WORK.replace("COUNT", count) + f"for i in $(seq {ROUNDS}); do\n"
              f"attach\nrm -f /m/file* /m/mapped /m/db*\nwork\n{EVENTS[event]}\nfinish\n"
              'sqlite3 /m/db "select count(*), max(n) from t"\ndetach\ndone\nhealthy')
    more = list(devices.options)
    if driver == "vpmem":
        more += ["--add", kmodtest.modules(KASAN, "kmod") + "/vpmem.ko:/vpmem.ko"]
    guest = boot(s, script, *devices.daemons, more=more)
    guest.finish()
    check_eq("what the guest says", guest.output(), f"{count}|{count}\n" * ROUNDS + "leaks: \n")
    devices.check(int(count))


def test(s, what, *words):
    kmodtest.require(KASAN)
    if what == "reports":
        reports(s)
    else:
        run(s, what, *words)


vmtest.main(test)
