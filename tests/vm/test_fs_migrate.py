#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest is migrated from one QEMU, with its own daemon, to another, while it reads, writes and
lists files that it has open (guest_migrate.c), and goes on there as if nothing had been.
usage: test_fs_migrate.py KERNEL find-paths|file-handles

Before that two migrations fail: the destination is killed while memory goes over; then the state
arrives at a daemon that must refuse it, and the source, which has been stopped and has given its
state away, goes on.
"""

import os
import re
import signal
import struct

import fstest
import vmtest
from vmtest import check, check_eq, read_text, wait_until

DATA = 8 * vmtest.MIB
NAMES = 700
FACTOR = 0x9E3779B97F4A7C15
PROGRAM = os.environ.get("VDAX_GUEST_MIGRATE", "guest_migrate")
SCRIPT = """
mkdir -p /m
mount -t virtiofs fs0 /m || exit 99
ls -lR /m >/dev/null
/guest_migrate /m %d %s || exit 98
umount /m
"""


def make_share(path):
    with open(f"{path}/data", "wb") as f:
        for off in range(0, DATA, 8):
            f.write(struct.pack("<Q", off * FACTOR & (2**64 - 1)))
    for folder in ("list", "sub"):
        os.mkdir(f"{path}/{folder}")
    for n in range(NAMES):
        with open(f"{path}/list/{n}", "wb"):
            pass
    with open(f"{path}/sub/file", "w", encoding="ascii") as f:
        f.write("here")


class Side:
    """A daemon and a QEMU in front of it."""

    def __init__(self, s, share, kernel, mode, *options, incoming=True):
        # With one the guest remembers all that it has seen, with the other nothing.
        cache = "auto" if mode == "file-handles" else "never"
        self.daemon = fstest.FsDaemon(s, "--cache", cache, "--migration-mode", mode,
                                      "--allow-direct-io", *options, share=share, tag=None)
        more = ["--fs-device", self.daemon.socket, "--add", f"{PROGRAM}:/guest_migrate",
                "--modules", "virtio_pci,virtiofs"]
        if incoming:
            more += ["--qemu-arg", "-incoming defer"]
        unlinked = "unlinked" if mode == "file-handles" else ""
        self.guest = s.guest(SCRIPT % (NAMES, unlinked), kernel=kernel, timeout=200, more=more)
        self.qmp = self.guest.qmp()
        self.address = s.name("migration")
        if incoming:
            self.qmp("migrate-incoming", uri=f"unix:{self.address}")

    def rounds(self):
        return self.guest.output().count("round ")

    def runs(self, more=3):
        """The guest makes progress."""
        self.guest.wait_for("round ", count=self.rounds() + more)

    def wait_incoming(self, *want):
        wait_until(lambda: self.guest.process.poll() is not None
                   or self.qmp("query-migrate").get("status") in want, "the state arrives", 120)

    def discard(self):
        """Ends QEMU, and with it the daemon."""
        if self.guest.process.poll() is None:
            os.kill(int(read_text(self.guest.pidfile)), signal.SIGKILL)
        self.guest.wait()
        wait_until(lambda: not self.daemon.alive(), "the daemon ends", 20)


def migrate(source, target, until=("completed", "failed"), bandwidth=0):
    """Begins, and waits until one of these states."""
    source.qmp("migrate-set-parameters", **{"max-bandwidth": bandwidth})
    source.qmp("migrate", uri=f"unix:{target.address}")
    return wait_until(
        lambda: (status := source.qmp("query-migrate")["status"]) in until and status,
        f"the migration is {until}", 120)


def killed_midway(s, source, share, kernel, mode):
    target = Side(s, share, kernel, mode)
    migrate(source, target, ("active",), 20 * vmtest.MIB)
    wait_until(lambda: source.qmp("query-migrate").get("ram", {}).get("transferred", 0) > 2**23,
               "some memory has gone over")
    target.discard()
    wait_until(lambda: source.qmp("query-migrate")["status"] == "failed", "the migration fails")
    source.runs()


def refused(s, source, share, kernel, mode):
    """The guest has a file open to write, which this destination does not serve."""
    target = Side(s, share, kernel, mode, "--readonly")
    status = migrate(source, target)
    target.guest.wait()
    check("cannot load the state" in read_text(target.daemon.log),
          f"the destination says why:\n{read_text(target.daemon.log)}")
    target.discard()
    if status == "completed":
        source.qmp("cont")
    source.runs()


def test(s, kernel, mode):
    fstest.require_daemon()
    share = fstest.new_folder(s, "share")
    make_share(share)
    source = Side(s, share, kernel, mode, incoming=False)
    source.runs(1)
    killed_midway(s, source, share, kernel, mode)
    refused(s, source, share, kernel, mode)
    target = Side(s, share, kernel, mode)
    if mode == "find-paths":
        os.rename(f"{share}/sub", f"{share}/renamed")
    check_eq("the last migration", migrate(source, target), "completed")
    target.wait_incoming("completed")
    check_eq("source", source.qmp("query-status")["status"], "postmigrate")
    target.runs(5)
    with open(f"{share}/stop", "wb"):
        pass
    target.guest.finish()
    check("all right" in target.guest.output(), f"guest: {target.guest.output()[-500:]}")
    source.discard()
    source.daemon.check_quiet()
    target.daemon.check_ended()
    saved = read_text(source.daemon.log).count("open files saved")
    check(saved >= 2, f"states saved: {saved}")
    inodes = int(re.search(r"(\d+) inodes and \d+ open files loaded",
                           read_text(target.daemon.log))[1])
    check(inodes >= (NAMES if mode == "file-handles" else 4), f"inodes loaded: {inodes}")
    print(f"{source.rounds()} + {target.rounds()} reports of 50 rounds each")


vmtest.main(test)
