#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Files that grow and shrink while the guest has them mapped, by whoever: no store is lost, what is
new is zero, and the size is never another than the one that was set.
usage: test_dax_growth.py KERNEL"""

import os

import daxtest
import vmtest
from vmtest import check_eq

MODES = ("inode", "always")
SHORT = b"nineteen bytes here"

# write: the case of the facts, a mapped file of 19 bytes becomes one of 8199 by a write.
# truncate, allocate: the same by other requests. append: in small steps.
# tail: the last page, partly behind the end. shrink: and longer again; what was cut off is zero.
# host: somebody else makes it longer.
SCRIPT = """
for mode in inode always; do
    share $mode
    cd $mode
    dax_map write map load 0 "nineteen bytes here" write 8190 "123456789" size 8199 map \
        store 5000 "stored behind" msync load 0 "nineteen bytes here" read 5000 "stored behind" \
        load 8190 "123456789" zero 19 4981 say "$mode write"
    dax_map truncate map load 0 "nineteen bytes here" truncate 3M map store 2999999 "far behind" \
        store 4095 "ab" fsync read 2999999 "far behind" zero 19 4076 size 3M
    dax_map allocate map load 0 "nineteen bytes here"
    fallocate -l 70000 allocate
    dax_map allocate map store 69990 "0123456789" msync size 70000 read 69990 "0123456789"
    dax_map append map
    for i in $(seq 200); do echo "line $i" >>append; done
    dax_map append map load 19 "line 1" store 0 "NINETEEN" msync read 0 "NINETEEN bytes here"
    dax_map tail map store 4999 "Z" store 4096 "fifth page" msync size 5000 \
        read 4999 Z read 4096 "fifth page" say "$mode tail"
    dax_map shrink map fill 0 2M 5 msync truncate 100 size 100 truncate 2M map \
        check 0 100 5 zero 100 2097052 store 1048576 again msync
    dax_map host map load 0 "nineteen bytes here" say "$mode host please" await-size 9000 \
        load 0 "NINETEEN bytes" map load 4000 "by the host" store 8999 "!" \
        store 6000 "and the guest" msync size 9000
    cd /m
    unshare_it
done
"""


def make_files(folder):
    os.mkdir(folder)
    for name in ("write", "truncate", "allocate", "append", "host"):
        with open(f"{folder}/{name}", "wb") as f:
            f.write(SHORT)
    daxtest.make_file(f"{folder}/tail", 5000, 7)
    daxtest.make_file(f"{folder}/shrink", 2 << 20, 9)


def grow_here(guest, path, mode):
    """The host's part, while the guest has the file mapped."""
    guest.wait_for(f"{mode} host please")
    daxtest.write_at(path, 0, b"NINETEEN")
    daxtest.write_at(path, 4000, b"by the host")
    os.truncate(path, 9000)


def expected(size, *pieces):
    data = bytearray(size)
    for offset, piece in pieces:
        data[offset:offset + len(piece)] = piece
    return bytes(data)


def check_files(folder):
    lines = b"".join(b"line %d\n" % i for i in range(1, 201))
    wanted = {
        "write": expected(8199, (0, SHORT), (5000, b"stored behind"), (8190, b"123456789")),
        "truncate": expected(3 << 20, (0, SHORT), (2999999, b"far behind"), (4095, b"ab")),
        "allocate": expected(70000, (0, SHORT), (69990, b"0123456789")),
        "append": b"NINETEEN" + SHORT[8:] + lines,
        "host": expected(9000, (0, b"NINETEEN" + SHORT[8:]), (4000, b"by the host"),
                         (6000, b"and the guest"), (8999, b"!")),
    }
    for name, want in wanted.items():
        got = daxtest.read_at(f"{folder}/{name}", 0, len(want) + 1)
        wrong = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), None)
        check_eq(f"{folder}/{name}: length, first wrong byte", (len(got), wrong),
                 (len(want), None))
    daxtest.dax_map(f"{folder}/tail", "size", 5000, "map", "check", 0, 4096, 7, "load", 4096,
                    "fifth page", "check", 4106, 893, 7, "load", 4999, "Z")
    daxtest.dax_map(f"{folder}/shrink", "size", "2M", "map", "check", 0, 100, 5, "zero", 100,
                    1048476, "load", "1M", "again", "zero", 1048581, 1048571)


def test(s, kernel):
    daemon = daxtest.Daemon(s, "64M", *daxtest.ALL_FILES)
    for mode in MODES:
        make_files(daemon.path(mode))
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel)
    for mode in MODES:
        guest.wait_for(f"{mode} write")
        check_eq("on the host", daxtest.read_at(daemon.path(f"{mode}/write"), 5000, 13),
                 b"stored behind")
        guest.wait_for(f"{mode} tail")
        check_eq("size", os.path.getsize(daemon.path(f"{mode}/tail")), 5000)
        grow_here(guest, daemon.path(f"{mode}/host"), mode)
    guest.finish()
    daemon.check_ended()
    for mode in MODES:
        check_files(daemon.path(mode))


vmtest.main(test)
