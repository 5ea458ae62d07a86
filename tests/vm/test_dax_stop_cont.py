#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QMP stop and cont with hundreds of live mappings, while the guest stores to them: all stay, and
the data are right; alone, or with a pmem device in the same VM.
usage: test_dax_stop_cont.py KERNEL alone|pmem"""

import daxtest
import vmtest
from vmtest import check, check_eq

FILES = 110  # and two mappings for each: its pages, and where it may grow
PIECE = 64 << 10
STOPS = 4
TURN = 20  # files that are stored to between two stops

# What is stored is checked a round later, so mostly on the other side of a stop.
SCRIPT = """
[ ! -e /dev/pmem0 ] || { mkdir /p; mount -t ext4 -o dax /dev/pmem0 /p; }
share always
for i in $(seq FILES); do dax_map f$i map check 0 PIECE $i store 0 first; done
echo "all mapped"
n=0
while [ $n -lt $((STOPS * 2)) ]; do
    n=$((n + 1))
    for i in $(seq $n TURN FILES); do
        dax_map f$i map load 0 first store 0 again msync check 8 65528 $i store 0 first
        [ ! -d /p ] || seq $i 2000 | dd of=/p/file conv=fsync 2>/dev/null
    done
    echo "round $n."
done
until [ -e looked-at ]; do usleep 200000; done
for i in $(seq FILES); do
    dax_map f$i map load 0 first check 8 65528 $i fill 0 PIECE $((i + 7))
done
unshare_it
[ ! -d /p ] || umount /p
""".replace("FILES", str(FILES)).replace("PIECE", str(PIECE)).replace("STOPS", str(STOPS)) \
    .replace("TURN", str(TURN))


def test(s, kernel, what):
    daemon = daxtest.Daemon(s, "300M")
    for i in range(1, FILES + 1):
        daxtest.make_file(daemon.path(f"f{i}"), PIECE, i)
    pmem = [s.daemon(s.ext4(64 * vmtest.MIB), "--memory-slots")] if what == "pmem" else []
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel, pmem=pmem)
    guest.wait_for("all mapped", timeout=100)
    check(daemon.window()["owned_mappings"] >= 2 * FILES, "the mappings are not live")
    maps = daemon.window()["maps"]
    with guest.qmp() as qmp:
        for stop in range(STOPS):
            guest.wait_for(f"round {stop + 1}.")
            qmp("stop")
            qmp("cont")
    guest.wait_for(f"round {2 * STOPS}.")
    check_eq("mappings made by stop and cont", daemon.window()["maps"] - maps, 0)
    daxtest.make_file(daemon.path("looked-at"), 0)
    guest.finish()
    daemon.check_ended()
    for i in range(1, FILES + 1):
        daxtest.check_pattern(daemon.path(f"f{i}"), 0, PIECE, i + 7)
    for image in pmem:
        image.check_stat(mappings_made=1, mappings_kept=STOPS, flushes_failed=0)
        image.stop_cleanly()
        vmtest.check_ext4(image.image)


vmtest.main(test)
