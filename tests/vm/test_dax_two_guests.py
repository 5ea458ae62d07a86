#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two guests, each with its own daemon, have one file mapped: stores of one are seen by the other
at once, and neither can make it shorter as long as the other has it; then it can.
usage: test_dax_two_guests.py KERNEL-OF-ONE KERNEL-OF-THE-OTHER"""

import os

import daxtest
import vmtest
from vmtest import MIB, check_eq

TURNS = 50

# They take turns by the file itself.
PING = "".join(f'await {4096 * n} "pong {n}" store {4096 * n + 512} "ping {n}" '
               for n in range(1, TURNS))
PONG = "".join(f'store {4096 * n} "pong {n}" await {4096 * n + 512} "ping {n}" '
               for n in range(1, TURNS))

ONE = """
share always
dax_map both dax map store 0 "one is here" await 100 "two is here" \\
    %s \\
    truncate-fails 1M truncate-fails 0 size 4M say "one has tried" await 200 "two has tried"
# Longer is no harm, and a file that only this guest has can be made shorter.
dax_map both truncate 5M size 5M
dax_map own map fill 0 1M 1 truncate 1000 size 1000
unshare_it
sync
echo "one is gone"
""" % PING

TWO = """
share inode
dax_map both dax map await 0 "one is here" store 100 "two is here" \\
    %s \\
    await 0 "one is here" truncate-fails 4095 say "two has tried" store 200 "two has tried" \\
    await 300 "one is gone" truncate 1M size 1M
""" % PONG


def test(s, kernel, other):
    one = daxtest.Daemon(s, "64M")
    two = daxtest.Daemon(s, "64M", *daxtest.ALL_FILES, share=one.share)
    daxtest.make_file(one.path("both"), 4 * MIB)
    daxtest.make_file(one.path("own"), 2 * MIB)
    guest = daxtest.boot(s, [one], ONE, kernel)
    second = daxtest.boot(s, [two], TWO, other)
    guest.finish()
    check_eq("lines of one", guest.output().splitlines(), ["one has tried", "one is gone"])
    check_eq("size", os.path.getsize(one.path("both")), 5 * MIB)
    daxtest.write_at(one.path("both"), 300, b"one is gone")
    second.finish()
    check_eq("lines of two", second.output().splitlines(), ["two has tried"])
    for daemon in (one, two):
        daemon.check_ended()
    check_eq("size at the end", os.path.getsize(one.path("both")), MIB)
    for n in range(1, TURNS):
        daxtest.dax_map(one.path("both"), "map", "load", 4096 * n, f"pong {n}",
                        "load", 4096 * n + 512, f"ping {n}")


vmtest.main(test)
