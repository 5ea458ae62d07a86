#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests run programs whose files and libraries are on the share: from mappings of the host's
files if the policy allows these for executables, else from private copies under dax=always, and
without DAX if it is left to the daemon. usage: test_dax_exec.py KERNEL

Each guest executes from its window once only: an emulated CPU keeps what it has translated, by
place, and does not see that another file is there now. With KVM there is nothing of that.
"""

import errno
import os
import shutil
import subprocess

import daxtest
import fstest
import vmtest
from vmtest import check, check_eq

ROOT = f"{vmtest.lab.LAB}/root"
LIBRARIES = f"{ROOT}/usr/lib/x86_64-linux-gnu"
PROGRAM = "sqlite3"

# A program through the loader of the share: none of its pages come from elsewhere.
SCRIPT = """
run() { lib/ld.so --library-path lib bin/sqlite3 :memory: \
    "with recursive c(n) as (select 1 union all select n + 1 from c where n < 2000)
     select '$1', sum(n), max(length(hex(zeroblob(n)))) from c"; }
share MODE
run MODE
[ POLICY = plain ] || dax_map lib/data dax map say mapped await 0 go-on
dd if=bin/sqlite3 bs=4096 2>/dev/null | sha256sum
"""
RESULT = "2001000|4000"


def needed(program):
    """{name: path} of its libraries, as the lab's loader finds them."""
    done = subprocess.run([f"{ROOT}/lib64/ld-linux-x86-64.so.2", "--library-path", LIBRARIES,
                           "--list", program], text=True, capture_output=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    return {w[0]: w[2] for w in words if len(w) > 2 and w[1] == "=>" and "/" not in w[0]}


def make_share(daemon):
    for folder in ("bin", "lib"):
        os.mkdir(daemon.path(folder))
    program = f"{ROOT}/usr/bin/{PROGRAM}"
    files = {f"bin/{PROGRAM}": program, "lib/ld.so": f"{ROOT}/lib64/ld-linux-x86-64.so.2"}
    files.update((f"lib/{name}", path) for name, path in needed(program).items())
    for name, path in files.items():
        shutil.copyfile(path, daemon.path(name))
        os.chmod(daemon.path(name), 0o755)
    daxtest.make_file(daemon.path("lib/data"), vmtest.MIB, 1)
    return sorted(files)


def can_run(path):
    """Nobody has it open for writing, as whoever maps it has."""
    try:
        subprocess.run([path, ":memory:", "select 1"], capture_output=True, check=False)
    except OSError as e:
        check_eq("errno", e.errno, errno.ETXTBSY)
        return False
    return True


def run(s, kernel, policy, mode):
    words = "exec,min-size=1,min-age=0" if policy == "exec" else "min-size=1,min-age=0"
    daemon = daxtest.Daemon(s, "64M", "--dax-policy", words)
    times = {name: os.stat(daemon.path(name)).st_mtime_ns for name in make_share(daemon)}
    program = daemon.path(f"bin/{PROGRAM}")
    guest = daxtest.boot(s, [daemon], SCRIPT.replace("MODE", mode).replace("POLICY", policy),
                         kernel)
    if policy == "exec":
        guest.wait_for("mapped\n")
        check(not can_run(program), "the program is not on DAX")
        window = daemon.window()
        check(window["files"] >= 3, f"only {window['files']} files are mapped")
        daxtest.write_at(daemon.path("lib/data"), 0, b"go-on")
    guest.finish()
    daemon.check_ended()
    check_eq(f"{policy}, {mode}", guest.output().replace("mapped\n", "").split("\n"),
             [f"{mode}|{RESULT}", f"{fstest.file_hash(program)}  -", ""])
    check(can_run(program), "the program is still open for writing")
    check_eq("changed", {name: os.stat(daemon.path(name)).st_mtime_ns for name in times}, times)


def test(s, kernel):
    for policy, mode in (("exec", "inode"), ("exec", "always"), ("plain", "inode"),
                         ("plain", "always")):
        run(s, kernel, policy, mode)


vmtest.main(test)
