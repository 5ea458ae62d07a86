#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Three reboots in one QEMU, each with more than a hundred live mappings: by the guest without an
unmount, from outside while it stores, and after an unmount. Each boot finds what the one before
stored, and QEMU lives. usage: test_dax_reboot.py KERNEL"""

import os

import daxtest
import vmtest
from vmtest import check, check_eq

FILES = 60  # and two mappings for each: its pages, and where it may grow
PIECE = 64 << 10
BOOTS = 4

# Each file is a mapping of its own. The stores need no sync: the host's page cache has them.
SCRIPT = """
share always
boot=$(cat boots)
for i in $(seq FILES); do
    dax_map f$i dax map check 0 PIECE $((i + boot)) fill 0 PIECE $((i + boot + 1))
done
boot=$((boot + 1))
printf $boot >boots
echo "boot $boot."
case $boot in
1) reboot -nf ;;
2) while :; do dax_map load map store 0 xx store 0 yy; done ;;
3) unshare_it; reboot -nf ;;
4) dax_map f1 map say end; reboot -nf ;;
esac
""".replace("FILES", str(FILES)).replace("PIECE", str(PIECE))


def make_files(daemon):
    with open(daemon.path("boots"), "w", encoding="ascii") as f:
        f.write("0")
    daxtest.make_file(daemon.path("load"), PIECE)
    for i in range(1, FILES + 1):
        daxtest.make_file(daemon.path(f"f{i}"), PIECE, i)


def test(s, kernel):
    daemon = daxtest.Daemon(s, "512M", "--serve-again")
    make_files(daemon)
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel, reboot=True)
    guest.wait_for("boot 2.", timeout=100)
    window = daemon.window()
    check(window["owned_mappings"] >= 2 * FILES, f"only {window['owned_mappings']} mappings live")
    with guest.qmp() as qmp:
        daxtest.dax_map(daemon.path("load"), "map", "await", 0, "yy")
        qmp("system_reset")
    guest.wait_for("end", timeout=100)
    guest.kill()
    check_eq("boots", guest.output().split("\n")[:BOOTS], [f"boot {n}." for n in (1, 2, 3, 4)])
    for i in range(1, FILES + 1):
        daxtest.check_pattern(daemon.path(f"f{i}"), 0, PIECE, i + BOOTS)
    check_eq("sizes", {os.path.getsize(daemon.path(f"f{i}")) for i in range(1, FILES + 1)},
             {PIECE})
    check(daemon.alive(), "the daemon has ended")
    daemon.check_quiet()


vmtest.main(test)
