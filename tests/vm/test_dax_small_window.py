#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A window of 32 MiB and a working set that is many times larger, read and stored to all over the
place by several processes: with dax=always, where the guest has to give ranges back all the time,
and with dax=inode, where only some of the files are granted DAX, all data are right.
usage: test_dax_small_window.py KERNEL MIB"""

import os
import random

import daxtest
import vmtest
from vmtest import MIB, check

WINDOW = 32
FILE = 8 * MIB
STEP = 1 * MIB  # what is checked at once
HEAD = 70000    # of it is filled

# Each worker has steps of its own, in an order of its own, from all over the files.
SCRIPT = """
for mode in inode always; do
    share $mode
    for worker in 0 1 2; do
        (while read -r f off rest old new; do
            dax_map $f map check $off HEAD $old check $rest REST 1 fill $off HEAD $new || exit 1
        done) </work/$mode-$worker &
        eval pid$worker=$!
    done
    wait $pid0; wait $pid1; wait $pid2
    echo "$mode done"
    until [ -e looked-at-$mode ]; do usleep 200000; done
    unshare_it
done
""".replace("HEAD", str(HEAD)).replace("REST", str(STEP - HEAD))
MODES = ("inode", "always")


def make_work(folder, size, rng):
    """The steps of each mode and worker: all of the set, once in a mode."""
    steps = [(f"f{n}", off) for n in range(size * MIB // FILE) for off in range(0, FILE, STEP)]
    for old, mode in enumerate(MODES, 1):
        rng.shuffle(steps)
        for worker in range(3):
            with open(f"{folder}/{mode}-{worker}", "w", encoding="ascii") as f:
                f.writelines(f"{name} {off} {off + HEAD} {old} {old + 1}\n"
                             for name, off in steps[worker::3])


def test(s, kernel, size):
    size = int(size)
    daemon = daxtest.Daemon(s, f"{WINDOW}M", *daxtest.ALL_FILES)
    for n in range(size * MIB // FILE):
        daxtest.make_file(daemon.path(f"f{n}"), FILE, 1)
    work = s.name("work")
    os.mkdir(work)
    make_work(work, size, random.Random(6))
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel, more=["--add", f"{work}:/work"],
                         timeout=3000)
    for mode in MODES:
        guest.wait_for(f"{mode} done", timeout=3000)
        window = daemon.window()
        print(f"{mode}: {window}")
        daxtest.make_file(daemon.path(f"looked-at-{mode}"), 0)
    check(window["removals"] * 2 > size - WINDOW, f"{window['removals']} ranges were given back")
    guest.finish()
    daemon.check_ended()
    for n in range(size * MIB // FILE):
        for off in range(0, FILE, STEP):
            daxtest.check_pattern(daemon.path(f"f{n}"), off, HEAD, 3)
            daxtest.check_pattern(daemon.path(f"f{n}"), off + HEAD, STEP - HEAD, 1)


vmtest.main(test)
