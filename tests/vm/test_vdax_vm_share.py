#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax vm --share`: what the host has is in the guest, what the guest makes is on the host, with
an image beside it or not; and nothing is left of the VM, however it ends.
usage: test_vdax_vm_share.py KERNEL [pmem]"""

import os
import shutil
import signal

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


def test(s, kernel, *pmem):
    fstest.require_daemon()
    share, other, runtime = f"{s.path}/share", f"{s.path}/with:colon", f"{s.path}/run"
    for path in (share, other, runtime):
        os.mkdir(path)
    write(f"{share}/from-host", "by the host\n")
    write(f"{other}/other", "the other\n")
    os.environ["XDG_RUNTIME_DIR"] = runtime
    options = ["--kernel", kernel, "--cpus", "2"]
    image = None
    if pmem:
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
