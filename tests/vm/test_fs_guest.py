#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A QEMU guest mounts a share by vhost-user-fs-pci, works on it, and sees what the host sees; and
when the guest is killed, nothing is left of the daemon.

usage: test_fs_guest.py KERNEL work|kill"""

import fcntl
import os
import shutil

import fsguest
import fstest
import vmtest
from vmtest import check, check_eq, wait_until

# Busy with everything at once, and holding locks of both kinds.
BUSY = """
echo x >lock
printf 'create table t(a);\\nbegin exclusive;\\n.shell echo >ready; sleep 100\\n' | sqlite3 base &
while ! [ -e ready ]; do usleep 20000; done
flock -x lock -c '
    (while :; do dd if=/dev/zero of=data bs=64k count=50; done) >/dev/null 2>&1 &
    (i=0; while :; do i=$((i + 1)); mkdir d$i; mv d$i e$i; rmdir e$i; done) >/dev/null 2>&1 &
    (while :; do find . ; done) >/dev/null 2>&1 &
    sleep 1; echo busy; sleep 100'
"""


def processes(word):
    """Of all users: those with the word in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if word.encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass  # it has gone meanwhile
    return found


def can_lock(path):
    with open(path, "rb+") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def kill(scratch, kernel):
    locks = [] if fstest.is_peer() else ["--flock", "--posix-lock"]
    daemon = fstest.FsDaemon(scratch, *locks, tag=None)
    check(processes(daemon.socket), "the daemon is not found among the processes")
    flock = shutil.which("flock") or vmtest.skip("no flock on this host")
    guest = fsguest.boot(scratch, daemon, fsguest.PREPARE + BUSY, kernel,
                         ["--add", f"{flock}:/bin/flock"])
    guest.wait_for("busy")
    if locks:
        for name in ("lock", "base"):
            check(not can_lock(f"{daemon.share}/{name}"), f"{name}: the guest's lock is not ours")
    guest.kill()
    daemon.check_ended()
    wait_until(lambda: not processes(daemon.socket), "all its processes end", 10)
    for name in ("lock", "base"):
        check(can_lock(f"{daemon.share}/{name}"), f"{name}: a lock is left")
    if not fstest.is_peer():  # the Rust daemon leaves both
        left = [name for name in (daemon.socket, daemon.socket + ".pid") if os.path.exists(name)]
        check_eq("what is left", left, [])
    check(os.path.getsize(f"{daemon.share}/data") <= 50 << 16, "data is longer than was written")
    print(f"{kernel}: nothing is left")


def test(scratch, kernel, what):
    fstest.require_daemon()
    if what == "kill":
        kill(scratch, kernel)
    else:
        fsguest.run(scratch, kernel)


vmtest.main(test)
