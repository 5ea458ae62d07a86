# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the DAX window share: daemons with a window, guests that map files of a share
by tests/vm/dax_map.c (VDAX_DAX_MAP), and questions about both."""

import json
import os
import re
import subprocess

import fstest
import vmtest
from vmtest import check, check_eq

DAX_MAP = os.environ.get("VDAX_DAX_MAP", "")

# Every file is DAX in a guest that leaves it to the daemon.
ALL_FILES = ["--dax-policy", "writers,min-size=1,min-age=0"]

# share MODE [TAG] [PLACE]: mounts, and goes there.
PREPARE = """
set -e
share() {
    mkdir -p ${3:-/m}
    mount -t virtiofs -o dax=$1 ${2:-fs0} ${3:-/m}
    cd ${3:-/m}
}
unshare_it() {
    cd /
    umount ${1:-/m}
}
"""


class Daemon(fstest.FsDaemon):
    """`vdax fs` with a window, and its statistics."""

    def __init__(self, scratch, window, *options, **how):
        fstest.require_daemon("--dax-window")
        self.control = scratch.name("ctl")
        super().__init__(scratch, "--dax-window", window, "--control", self.control, *options,
                         **how)

    def window(self):
        """What vdax stat says of the window: {name: number}."""
        done = vmtest.vdax("stat", "--json", self.control)
        check_eq(f"vdax stat ({done.stderr})", done.returncode, 0)
        return json.loads(done.stdout)["window"]

    def path(self, name):
        return f"{self.share}/{name}"


class Guest(vmtest.Guest):
    """Its QEMU may say that it does not take a read-only mapping: `vdax fs --readonly` tries."""

    def messages(self):
        return [line for line in super().messages()
                if "unable to map backing store for guest RAM: Permission denied" not in line]


def boot(scratch, daemons, script, kernel, pmem=(), more=(), **how):
    """A guest with these shares, and images; its script begins with PREPARE."""
    words = ["--modules", "virtio_pci,virtiofs" + (",virtio_pmem,nd_pmem" if pmem else ""),
             "--add", f"{DAX_MAP}:/bin/dax_map"]
    for daemon in daemons:
        words += ["--fs-socket", daemon.socket]
    return Guest(scratch, PREPARE + script, pmem, kernel=kernel, more=[*words, *more],
                        **{"timeout": 150, **how})


def dax_map(*words):
    """The same program on the host."""
    done = subprocess.run([DAX_MAP, *map(str, words)], text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, f"on the host: {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def read_at(path, offset, length):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(length)


def write_at(path, offset, data):
    with open(path, "rb+") as f:
        f.seek(offset)
        f.write(data)


def make_file(path, size, seed=0):
    """A file with dax_map's pattern, or with a hole if there is no seed."""
    with open(path, "wb") as f:
        f.truncate(size)
    if seed and size:
        dax_map(path, "map", "fill", 0, size, seed)


def check_pattern(path, offset, length, seed):
    dax_map(path, "map", "check", offset, length, seed)


def lines(guest, word):
    """The lines of the guest that begin with the word, without it."""
    return re.findall(rf"^{word} (.*)$", guest.output(), re.M)
