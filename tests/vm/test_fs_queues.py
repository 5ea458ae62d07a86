#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest with four CPUs and four request queues uses all of them (Linux 6.11 and later).

usage: test_fs_queues.py KERNEL"""

import re
import subprocess

import fsguest
import fstest
import vmtest
from vmtest import check, check_eq

QUEUES = 4

# One reader for each CPU, which it is held on. Attributes are asked for each time.
WORK = """
for cpu in 0 1 2 3; do
	taskset -c $cpu sh -c 'for i in $(seq 100); do stat -f . ; dd if=host/big of=/dev/null bs=64k; done' \\
		>/dev/null 2>&1 &
done
wait
echo worked
sleep 100
"""


def popped(control):
    """Requests of each queue so far: hiprio, then the request queues."""
    out = subprocess.run([vmtest.VDAX, "stat", "--prometheus", control], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    found = dict(re.findall(r'^vdax_fs_queue_popped_total\{queue="(\d+)"\} (\d+)', out, re.M))
    return {int(q): int(n) for q, n in found.items()}


def test(scratch, kernel):
    fstest.require_daemon()
    control = scratch.name("control")
    daemon = fstest.FsDaemon(scratch, "--control", control, "--cache", "never", tag=None)
    fsguest.make_share(daemon.share)
    guest = fsguest.boot(scratch, daemon, fsguest.PREPARE + WORK, kernel, ["--cpus", str(QUEUES)],
                         f",num-request-queues={QUEUES}")
    guest.wait_for("worked")
    counts = popped(control)
    check_eq("queues of the daemon", len(counts) > QUEUES, True)
    for queue in range(1, 1 + QUEUES):
        check(counts[queue] > 100, f"request queue {queue} is hardly used: {counts}")
    guest.kill()
    daemon.check_ended()
    print(f"{kernel}: requests of each queue {counts}")


vmtest.main(test)
