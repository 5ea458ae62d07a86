#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the guest stores into a mapping is on the host at once, and the reverse, without a sync;
mapping and system calls agree on both sides; a sync leaves nothing dirty; a read-only share is not
mapped, as the front end would let the guest store there. usage: test_dax_coherence.py KERNEL"""

import ctypes
import errno
import os

import daxtest
import vmtest
from vmtest import MIB, check, check_eq

SIZE = 4 * MIB + 100
FAR = 3 * MIB
CACHESTAT = 451  # number of the system call, on every architecture

# The host answers when it reads "stored" and "dirty".
SCRIPT = """
for mode in inode always; do
    share $mode
    dax_map $mode dax map check 0 SIZE 1 store 1000 guest-stored say "$mode stored" \
        await FAR host-stored read FAR host-stored await 2000 host-wrote \
        write 5000 guest-wrote load 5000 guest-wrote store 6000 guest-stored read 6000 guest-stored
    echo "$mode agrees"
    dax_map $mode map fill 1M 1M 2 say "$mode dirty" await FAR go-on-please \
        fsync say "$mode synced" await FAR one-more-time fill 2M 64 3 msync say "$mode msynced" \
        await FAR and-the-end.
    unshare_it
done
share inode fs1
[ "$(cat text)" = "only for reading" ]
echo x >new 2>/dev/null && exit 61
echo x >text 2>/dev/null && exit 62
unshare_it
mount -t virtiofs -o dax=always fs1 /m
cat /m/text && exit 63
echo "no DAX"
""".replace("SIZE", str(SIZE)).replace("FAR", str(FAR))


class CacheRange(ctypes.Structure):
    _fields_ = [("off", ctypes.c_uint64), ("len", ctypes.c_uint64)]


class CacheStat(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64)
                for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")]


def dirty_pages(path, libc=ctypes.CDLL(None, use_errno=True)):
    """Pages of a file that are not on disk; None if the host's kernel cannot tell (before 6.5)."""
    everything, out = CacheRange(0, 0), CacheStat()
    with open(path, "rb") as f:
        ret = libc.syscall(CACHESTAT, f.fileno(), ctypes.byref(everything), ctypes.byref(out), 0)
    if ret < 0:
        check_eq("errno of cachestat", ctypes.get_errno(), errno.ENOSYS)
        return None
    return out.dirty + out.writeback


def see_stores(guest, path, mode):
    guest.wait_for(f"{mode} stored")
    check_eq("stored by the guest", daxtest.read_at(path, 1000, 12), b"guest-stored")
    daxtest.dax_map(path, "map", "load", 1000, "guest-stored", "store", FAR, "host-stored")
    daxtest.write_at(path, 2000, b"host-wrote")
    guest.wait_for(f"{mode} agrees")
    check_eq("written by the guest", daxtest.read_at(path, 5000, 11), b"guest-wrote")
    check_eq("stored by the guest", daxtest.read_at(path, 6000, 12), b"guest-stored")


def see_syncs(guest, path, mode):
    guest.wait_for(f"{mode} dirty")
    daxtest.check_pattern(path, MIB, MIB, 2)
    before = dirty_pages(path)
    daxtest.write_at(path, FAR, b"go-on-please")
    guest.wait_for(f"{mode} synced")
    after_fsync = dirty_pages(path)
    daxtest.write_at(path, FAR, b"one-more-time")
    guest.wait_for(f"{mode} msynced")
    after_msync = dirty_pages(path)
    daxtest.write_at(path, FAR, b"and-the-end.")
    if before is not None:
        check(before >= 200, f"{mode}: only {before} pages are dirty before the sync")
        check_eq(f"{mode}: dirty pages after fsync, msync", (after_fsync, after_msync), (0, 0))
    print(f"{mode}: {before} dirty pages, then none")


def test(s, kernel):
    daemon = daxtest.Daemon(s, "64M", *daxtest.ALL_FILES)
    only_read = daxtest.Daemon(s, "64M", "--readonly", tag="fs1")
    for mode in ("inode", "always"):
        daxtest.make_file(daemon.path(mode), SIZE, 1)
    with open(only_read.path("text"), "w", encoding="ascii") as f:
        f.write("only for reading")
    guest = daxtest.boot(s, [daemon, only_read], SCRIPT, kernel)
    for mode in ("inode", "always"):
        see_stores(guest, daemon.path(mode), mode)
        see_syncs(guest, daemon.path(mode), mode)
    guest.finish()
    daemon.check_ended()
    check_eq("status of the read-only share's", only_read.process.wait(20), 0)
    check("does not enforce read-only mappings" in vmtest.read_text(only_read.log), "it is silent")
    check("no DAX" in guest.output(), "the guest did not come to its end")
    check_eq("read-only share", os.listdir(only_read.share), ["text"])
    for mode in ("inode", "always"):
        check_eq("size", os.path.getsize(daemon.path(mode)), SIZE)
        daxtest.check_pattern(daemon.path(mode), SIZE - 100, 100, 1)


vmtest.main(test)
