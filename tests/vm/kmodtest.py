# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of vpmem.ko with the device of kmod/test share.

The device is in the guest's kernel, so a guest has no device of QEMU's. Modules are built into
VDAX_KMOD, by default build/kmod; that takes no time when nothing has changed. The kernel may be
one of the lab's or "kasan" (lab/kasan).
"""

import os
import re
import subprocess

import vmtest
from vmtest import check, check_eq

KASAN = "kasan"
KASAN_SOURCE = f"{vmtest.lab.LAB}/kernels/kasan/build"
OUTPUT = os.path.abspath(os.environ.get("VDAX_KMOD", f"{vmtest.TOP}/build/kmod"))

# Memory that the kernel leaves alone: the default range of the device.
RANGE_ARGS = "memmap=64M$0x18000000"
RANGE_SIZE = 64 * vmtest.MIB

# What a kernel says when it is wrong, not when a disk is: failing disks are what is tested.
WRONG = re.compile(r"WARNING:|BUG:|Oops|Call Trace|[Kk]ernel panic|blocked for more than"
                   r"|general protection|KASAN|unreferenced object|lab: modprobe")

# What every script begins with. D and B are the control files of the device and of the bios.
FUNCTIONS = """
D=/sys/kernel/debug/vpmem_testdev
B=/sys/kernel/debug/vpmem_testbio
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null

fail() {
    echo "FAILED: $*"
    cat $D/counts $D/log $B/result
    exit 1
}

# say FILE WORDS: writes to a control file; prints "ok" or the error. A file written by the
# shell itself would keep a failed write in its buffer.
say() {
    file=$1
    shift
    if error=$( { echo "$*" >$file; } 2>&1); then
        echo ok
    else
        echo "${error##*: }"
    fi
}

tell() {
    said=$(say "$@")
    [ "$said" = ok ] || fail "$*: $said"
}

# field FILE NAME: of "name=value" words
field() {
    sed -n "s/.*\\b$2=\\([0-9]*\\).*/\\1/p;q" $1
}

until_true() {   # SECONDS COMMAND...
    tries=$(($1 * 50))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        usleep 20000
    done
}
"""

# At the end of a script. kmemleak believes an object in use until it is 5 s old and two scans
# have seen the same; lockdep turns itself off when it has found something.
HEALTHY = """
[ ! -e /proc/lockdep_stats ] || grep -q 'debug_locks: *1$' /proc/lockdep_stats ||
    fail "lockdep has given up"
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
    for scan in 1 2; do
        sleep 6
        echo scan >$leaks
    done
    [ -z "$(cat $leaks)" ] || { cat $leaks; fail "memory is lost"; }
fi
echo healthy
"""


def modules(kernel, source):
    """Builds the modules of a folder of this tree; returns the folder that they are in."""
    output = f"{OUTPUT}/{source.replace('/', '-')}"
    how = ["--kernel", kernel]
    if kernel == KASAN:
        how = ["--kdir", KASAN_SOURCE, "--name", KASAN]
    done = subprocess.run([f"{vmtest.TOP}/lab/kmod", *how, f"{vmtest.TOP}/{source}", output],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check_eq(f"lab/kmod: {done.stdout}", done.returncode, 0)
    return f"{output}/{kernel}"


def require(kernel):
    if kernel == KASAN:
        if not os.path.exists(f"{vmtest.lab.LAB}/kernels/{KASAN}/release"):
            vmtest.skip("there is no kernel with KASAN; run: lab/kasan")
    elif not os.path.exists(f"{vmtest.lab.LAB}/stamps/kbuild"):
        vmtest.skip("the lab has no kbuild; run: lab/fetch")


def run(s, kernel, script, stock=False, timeout=200, cpus=2):
    """One guest, to its end. Returns what it printed, if neither the script nor the kernel has
    complained. stock: the kernel's own drivers of the device are loaded, and ours is not there.
    timeout: seconds, of which a kernel with KASAN gets more."""
    require(kernel)
    timeout *= 4 if kernel == KASAN else 1
    names = "virtio_pci,virtio_pmem,nd_pmem" if stock else "virtio_pci"
    add = [("kmod/test", "/test")] + ([] if stock else [("kmod", "/vpmem")])
    more = ["--memory", "1G" if kernel == KASAN else "512M", "--cpus", str(cpus),
            "--modules", names, "--append", RANGE_ARGS, "--allow-warnings"]
    for source, place in add:
        more += ["--add", f"{modules(kernel, source)}:{place}"]
    guest = s.guest(FUNCTIONS + script + HEALTHY, kernel=kernel, timeout=timeout, more=more)
    status = guest.wait()
    output = guest.output()
    log = vmtest.read_text(guest.kernel_log).splitlines()
    at = next((i for i, line in enumerate(log) if WRONG.search(line)), None)
    if at is not None:
        print(*log[max(at - 5, 0):at + 60], sep="\n")
    check(at is None, f"the kernel complains: {at is not None and log[at]}")
    complaints = re.findall(r"FAILED: .*", output)
    check(not complaints, f"{kernel}: {complaints}")
    check_eq(f"{kernel}: status of the guest", status, 0)
    check(output.endswith("healthy\n"), "the script did not come to its end")
    return output
