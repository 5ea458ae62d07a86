#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax vm --share`: what the host has is in the guest, what the guest makes is on the host, with
an image beside it or not; and nothing is left of the VM, however it ends. dax: the guest maps the
files, also beside an image, and two directories in one VM; vdax stat shows it meanwhile.
usage: test_vdax_vm_share.py KERNEL [pmem|dax]"""

import glob
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree

import fstest
import vmtest
from vmtest import check, check_eq, wait_until

# Each directory in turn; then the image, if there is one, and its pages as buffers.
SCRIPT = """
set -e
grep virtiofs /proc/mounts
cd /mnt/share
[ "$(cat from-host)" = "by the host" ]
seq 20000 >from-guest
mkdir -p deep/er
mv from-host deep/er/moved
[ "$(cat /mnt/tag/other)" = "the other" ]
echo more >>/mnt/tag/other
if [ -d /mnt/pmem0 ]; then
    grep -q '/mnt/pmem0 .*dax=always' /proc/mounts
    dd if=from-guest of=/mnt/pmem0/whole bs=4096 count=20 conv=fsync 2>/dev/null
    dax_direct write /mnt/pmem0/whole /mnt/share/whole
    cmp /mnt/pmem0/whole whole
fi
exit 6
"""


# Mounted as it comes (dax=inode), then with everything mapped; then waits to be looked at.
DAX_SCRIPT = """
set -e
grep -q ' /mnt/share virtiofs ' /proc/mounts
cd /mnt/share
md5sum big small
cd /
umount /mnt/share
mount -t virtiofs -o dax=always share /mnt/share
grep -q ' /mnt/share virtiofs .*dax=always' /proc/mounts
cd /mnt/share
md5sum big small
if [ -d /mnt/pmem0 ]; then
    grep -q '/mnt/pmem0 .*dax=always' /proc/mounts
    cp big /mnt/pmem0/big
    cmp big /mnt/pmem0/big
fi
echo here >ready
while [ -e ready ]; do sleep 0.1; done
exit 6
"""

# As many mappings as several windows can hold, and more files than that.
TWO_SCRIPT = """
for tag in a b; do
    umount /mnt/$tag && mount -t virtiofs -o dax=always $tag /mnt/$tag || exit 1
    cat /mnt/$tag/* | md5sum
done
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def command_line(pid):
    try:
        return vmtest.read_text(f"/proc/{pid}/cmdline")
    except OSError:
        return ""  # it has gone meanwhile


def processes(word):
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if word in command_line(pid)]


def check_left(s, runtime):
    check_eq("what is left in the runtime directory", os.listdir(runtime), [])
    check_eq("processes left", processes(s.path), [])


def works(s, share, other, options):
    done = vmtest.vdax("vm", *options, "--share", share, "--share", f"{other}:tag", "--", SCRIPT)
    check_eq(f"exit status ({done.stdout}{done.stderr})", done.returncode, 6)
    check_eq("messages", done.stderr, "")
    check_eq("from the guest", vmtest.read_text(f"{share}/from-guest"),
             "".join(f"{n}\n" for n in range(1, 20001)))
    check_eq("moved by it", vmtest.read_text(f"{share}/deep/er/moved"), "by the host\n")
    check_eq("the other", vmtest.read_text(f"{other}/other"), "the other\nmore\n")


def refuses(share, options):
    done = vmtest.vdax("vm", *options, "--share", share, "--read-only", "--",
                       "echo x >/mnt/share/new 2>/dev/null && exit 9; [ -e /mnt/share/deep ]")
    check_eq(f"read-only ({done.stderr})", done.returncode, 0)
    check(not os.path.exists(f"{share}/new"), "a read-only directory was written to")
    for words, status in ((["--share", f"{share}/nothing"], 125), (["--share", f"{share}:a b"], 2),
                          (["--share", share, "--share", share], 2)):
        done = vmtest.vdax("vm", *words, "--", "true")
        check_eq(f"{words}: {done.stderr}", done.returncode, status)


def dies(s, share, options, runtime):
    """Killed, and asked to end, in the middle of writing."""
    for number in (signal.SIGKILL, signal.SIGTERM):
        ready = f"{share}/ready"
        process = s.start([vmtest.VDAX, "vm", *options, "--share", share, "--",
                           "while :; do date >>/mnt/share/ready; done"], s.name("vm.log"))
        wait_until(lambda name=ready: os.path.exists(name), "the guest writes")
        check(len(processes(s.path)) >= 3, "vdax vm, QEMU and the daemon are not all found")
        process.send_signal(number)
        check_eq("status", process.wait(30),
                 -number if number == signal.SIGKILL else 128 + number)
        wait_until(lambda: not processes(s.path), "all processes end", 20)
        if number == signal.SIGTERM:
            check_eq("what is left", os.listdir(runtime), [])
        else:  # nobody was there to remove its folder, but the daemon removed what is its own
            folder, = os.listdir(runtime)
            left = os.listdir(f"{runtime}/{folder}")
            check_eq("left", {"fs0.sock", "fs0.sock.pid"} & set(left), set())
            shutil.rmtree(f"{runtime}/{folder}")
        os.unlink(ready)


def write_bytes(path, size, seed):
    """A file that was last changed long ago; returns what md5sum says of it."""
    data = random.Random(seed).randbytes(size)
    with open(path, "wb") as f:
        f.write(data)
    os.utime(path, (1e9, 1e9))
    return hashlib.md5(data).hexdigest()


def descriptor_limit(pid):
    line, = [x for x in vmtest.read_text(f"/proc/{pid}/limits").splitlines()
             if x.startswith("Max open files")]
    return int(line.split()[3])


def check_window(s, runtime):
    """What vdax stat tells while the guest has everything mapped."""
    control, = glob.glob(f"{runtime}/*/fs0.sock.ctl")
    done = vmtest.vdax("stat", "--json", "--interval", "0.1", control)
    check_eq(f"vdax stat ({done.stderr})", done.returncode, 0)
    window = json.loads(done.stdout)["window"]
    check(window["maps"] > 0, f"no maps: {window}")
    check(window["owned_mappings"] >= 6, f"the guest owns too few: {window}")
    check_eq("2 MiB each", len(window["cells"]) * window["cell"], window["bytes"])
    check(len(set("rwp") & set(window["cells"])) > 1, f"the picture: {window['cells']}")
    done = vmtest.vdax("stat", "--interval", "0.1", control)
    check("\n        0  " in done.stdout, f"no picture in {done.stdout}")
    svg = f"{s.path}/window.svg"
    done = vmtest.vdax("stat", "--interval", "0.1", "--svg", svg, control)
    check_eq(f"vdax stat --svg ({done.stdout}{done.stderr})", done.returncode, 0)
    xml.etree.ElementTree.parse(svg)
    check_eq("QEMU's limit of open files", [descriptor_limit(p) for p in processes("qemu-system")
             if f"{runtime}/" in command_line(p)], [resource.getrlimit(resource.RLIMIT_NOFILE)[1]])


def maps_files(s, share, options, runtime):
    sums = [write_bytes(f"{share}/big", 9 * vmtest.MIB + 777, 1),
            write_bytes(f"{share}/small", 5000, 2)]
    time.sleep(5)  # so old a file must be to be mapped by default
    log, out = s.name("vm.log"), s.name("vm.out")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    with open(out, "wb") as f:
        process = s.start([vmtest.VDAX, "vm", *options, "--share", share, "--dax", "--",
                           DAX_SCRIPT], log, stdout=f)
    wait_until(lambda: process.poll() is not None or os.path.exists(f"{share}/ready"),
               "the guest has read it", 100)
    check(process.poll() is None, f"it has ended: {vmtest.read_text(out)}{vmtest.read_text(log)}")
    check_window(s, runtime)
    os.unlink(f"{share}/ready")
    check_eq("status", process.wait(30), 6)
    check_eq("messages", vmtest.read_text(log), "")
    got = [line.split()[0] for line in vmtest.read_text(out).splitlines()]
    check_eq("read twice", got, sums * 2)


def maps_two(s, options):
    sums = []
    for tag in "ab":
        os.mkdir(f"{s.path}/{tag}")
        all_files = hashlib.md5()
        for i in range(200):
            path = f"{s.path}/{tag}/{i:03}"
            write_bytes(path, 5000, i)
            with open(path, "rb") as f:
                all_files.update(f.read())
        sums.append(f"{all_files.hexdigest()}  -")
    done = vmtest.vdax("vm", *options, "--share", f"{s.path}/a", "--share", f"{s.path}/b", "--dax",
                       "--", TWO_SCRIPT)
    check_eq(f"two windows ({done.stderr})", done.returncode, 0)
    check_eq("read", done.stdout.splitlines(), sums)


def test(s, kernel, *what):
    fstest.require_daemon()
    share, other, runtime = f"{s.path}/share", f"{s.path}/with:colon", f"{s.path}/run"
    for path in (share, other, runtime):
        os.mkdir(path)
    write(f"{share}/from-host", "by the host\n")
    write(f"{other}/other", "the other\n")
    os.environ["XDG_RUNTIME_DIR"] = runtime
    options = ["--kernel", kernel, "--cpus", "2"]
    image = None
    if what == ("dax",):
        maps_files(s, share, options, runtime)
        check_left(s, runtime)
        maps_files(s, share, [*options, "--pmem", s.ext4(64 * vmtest.MIB)], runtime)
        check_left(s, runtime)
        maps_two(s, options)
        check_left(s, runtime)
        return
    if what:
        image = s.ext4(64 * vmtest.MIB)
        options += ["--pmem", image, "--add",
                    f"{os.environ['VDAX_DAX_DIRECT']}:/bin/dax_direct"]
    works(s, share, other, options)
    check_left(s, runtime)
    if image:
        vmtest.check_ext4(image)
        return
    refuses(share, options)
    check_left(s, runtime)
    dies(s, share, options, runtime)


vmtest.main(test)
