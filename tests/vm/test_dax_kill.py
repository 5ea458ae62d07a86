#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QEMU is killed while the guest stores through DAX mappings: the daemon lives on and serves the
next VM, which finds every store that was reported; nothing of the former VM is left.
usage: test_dax_kill.py KILLS STATE-FILE|- KERNEL...

Each kill is at a time that depends on its number only. With a state file a run that was stopped
goes on where it was.
"""

import os
import random
import time

import daxtest
import vmtest
from vmtest import check, check_eq, wait_until

FILES = 8
SIZE = 3 << 20
PIECE = 5000

# A round stores to each file, at a place that moves, with a pattern that depends on the round;
# then it is reported. A file grows and shrinks meanwhile, one is odd, one goes through the tail.
SCRIPT = """
share MODE
(while :; do dax_map scratch truncate 5000 map store 4990 "tail" truncate 9000 map store 8999 x \\
     msync truncate 100; done) &
n=START
while :; do
    n=$((n + 1))
    for i in $(seq FILES); do
        dax_map f$i map fill $((n * 7919 % 3000000)) PIECE $((n * FILES + i))
    done
    echo "round $n."
done
""".replace("FILES", str(FILES)).replace("PIECE", str(PIECE))


def check_round(daemon, number):
    for i in range(1, FILES + 1):
        daxtest.check_pattern(daemon.path(f"f{i}"), number * 7919 % 3000000, PIECE,
                              number * FILES + i)


def released(daemon):
    """Nobody has any of the files open or mapped any more, but the daemon of the share itself."""
    window = daemon.window()
    return window["owned"] == 0 and window["mappings"] == 0


def kill(s, daemon, number, start, kernel):
    """One VM; returns its last round."""
    mode = ("always", "inode")[number % 2]
    script = SCRIPT.replace("MODE", mode).replace("START", str(start))
    guest = daxtest.boot(s, [daemon], script, kernel)
    guest.wait_for("round ")
    time.sleep(random.Random(number).uniform(0, 2))
    guest.kill()
    rounds = [int(line.rstrip(".")) for line in daxtest.lines(guest, "round")
              if line.endswith(".")]
    check_round(daemon, rounds[-1])
    check(daemon.alive(), f"the daemon has ended: {vmtest.read_text(daemon.log)[-2000:]}")
    wait_until(lambda: released(daemon), "nothing of the VM is left", 20)
    return rounds[-1]


def test(s, kills, state, *kernels):
    done = vmtest.read_state(state)
    daemon = daxtest.Daemon(s, "64M", "--serve-again", *daxtest.ALL_FILES)
    for i in range(1, FILES + 1):
        daxtest.make_file(daemon.path(f"f{i}"), SIZE + (4096 if i % 2 else 123))
    fds = None
    last = 0
    while done < int(kills):
        last = kill(s, daemon, done, last, kernels[done % len(kernels)])
        now = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
        fds = fds or now
        check_eq("descriptors of the daemon", now, fds)
        done += 1
        print(f"{done} of {kills}, {last} rounds", flush=True)
        vmtest.write_state(state, done)
    daemon.check_quiet()
    if state != "-":
        os.unlink(state)


vmtest.main(test)
