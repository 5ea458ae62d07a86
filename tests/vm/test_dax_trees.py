#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Trees of files of odd sizes, read and written by system calls and through mappings, are the same
byte for byte in the guest and on the host, with dax=inode, dax=always and dax=never; and reading
changes nothing that the host sees of a file. usage: test_dax_trees.py KERNEL"""

import hashlib
import os
import random
import zlib

import daxtest
import vmtest
from vmtest import MIB, check_eq

MODES = ("inode", "always", "never")
SIZES = [0, 1, 4095, 4096, 4097, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 123]

# Of each file: what it has, by reads and through a mapping; a copy by writes, and one from mapping
# to mapping, of which the last byte is then changed.
SCRIPT = """
for mode in MODES; do
    share $mode
    mkdir $mode
    cd from
    [ $mode = inode ] && dax_map f6 dax
    [ $mode = always ] && dax_map f1 dax
    [ $mode = never ] && dax_map f6 no-dax
    for f in *; do
        echo "sum $mode $(sha256sum $f)"
        echo "map $mode $(dax_map $f map crc)"
        cp $f ../$mode/c-$f
        size=$(stat -c %s $f)
        if [ $size = 0 ]; then
            dax_map ../$mode/m-$f copy $f
        else
            dax_map ../$mode/m-$f copy $f store $((size - 1)) Z size $size
        fi
    done
    unshare_it
done
"""


def make_tree(path):
    """{name: contents}"""
    rng = random.Random(4)
    sizes = SIZES + [int(2 ** rng.uniform(0, 21)) for _ in range(51)]
    os.mkdir(path)
    data = {f"f{n}": rng.randbytes(size) for n, size in enumerate(sizes)}
    for name, contents in data.items():
        with open(f"{path}/{name}", "wb") as f:
            f.write(contents)
    return data


def seen(path):
    """What reading may not change."""
    return {name: (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_blocks)
            for name in sorted(os.listdir(path)) for st in [os.stat(f"{path}/{name}")]}


def check_told(guest, tree):
    for mode in MODES:
        check_eq(f"{mode}: read", sorted(daxtest.lines(guest, f"sum {mode}")),
                 sorted(f"{hashlib.sha256(data).hexdigest()}  {name}"
                        for name, data in tree.items()))
        check_eq(f"{mode}: mapped", sorted(daxtest.lines(guest, f"map {mode} crc")),
                 sorted(f"{zlib.crc32(data):08x} {name}" for name, data in tree.items()))


def check_made(share, tree):
    for mode in MODES:
        for name, data in tree.items():
            for kind, want in (("c", data), ("m", data[:-1] + b"Z" if data else b"")):
                path = f"{share}/{mode}/{kind}-{name}"
                got = daxtest.read_at(path, 0, len(want) + 1)
                wrong = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), None)
                check_eq(f"{path}: length, first wrong byte", (len(got), wrong),
                         (len(want), None))


def test(s, kernel):
    daemon = daxtest.Daemon(s, "256M", *daxtest.ALL_FILES)
    tree = make_tree(daemon.path("from"))
    before = seen(daemon.path("from"))
    guest = daxtest.boot(s, [daemon], SCRIPT.replace("MODES", " ".join(MODES)), kernel,
                         timeout=200)
    guest.finish()
    daemon.check_ended()
    check_told(guest, tree)
    check_made(daemon.share, tree)
    after = seen(daemon.path("from"))
    check_eq("changed by reading", [(n, before[n], after[n]) for n in before
                                    if before[n] != after[n]], [])
    print(f"{len(tree)} files, {len(MODES)} modes")


vmtest.main(test)
