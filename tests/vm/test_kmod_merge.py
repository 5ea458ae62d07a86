#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How many requests vpmem.ko sends for the fsyncs of 1 and of 64 jobs. The daemon takes 0.25 s
for each, so that all jobs come while it is at work, on busy machines too. usage: test_kmod_merge.py
KERNEL"""

import json
import os
import shutil
import sys

import vmtest
from vmtest import check, check_eq

sys.path.insert(0, f"{vmtest.TOP}/tests/lib")
import kmodbuild  # noqa: E402

TESTD = os.environ.get("VDAX_TESTD_PROGRAM", f"{vmtest.TOP}/build/tests/lib/vdax-testd")
COUNTERS = ("flushes", "requests", "merged", "errors")
EACH = 6  # writes of a job, which fio ends without an fsync
JOBS = (1, 64)

SCRIPT = f"""
set -e
cd /sys/block/vpmem0/vpmem
counters() {{ echo $(cat {' '.join(COUNTERS)}); }}
for jobs in {' '.join(map(str, JOBS))}; do
    counters
    fio --name=j --thread --group_reporting --filename=/dev/vpmem0 --direct=1 --rw=randwrite \\
        --bs=4k --numjobs=$jobs --number_ios={EACH} --fsync=1 --output-format=json \\
        --eta=never --output=/out >&2
    counters
    tr -d '\\n' </out
    echo
done
cat state
"""


class SlowDaemon(vmtest.Daemon):
    """See tests/lib/testd.c."""

    def __init__(self, scratch, image):
        self.image = image
        self.socket = scratch.name("socket")
        self.log = scratch.name("vdax.log")
        self.process = scratch.start([TESTD, "--socket-path", self.socket, image], self.log,
                                     env=os.environ | {"VDAX_TESTD": "delay-us=250000"})
        vmtest.wait_until(self.is_ready, "the daemon listens", 20)


def numbers(line):
    return dict(zip(COUNTERS, map(int, line.split())))


def fsyncs_of(text):
    job, = json.loads(text)["jobs"]
    check_eq("error of fio", job["error"], 0)
    return job["sync"]["total_ios"]


def check_jobs(jobs, before, after, fsyncs):
    grown = {name: after[name] - before[name] for name in COUNTERS}
    print(f"{jobs} jobs, {fsyncs} fsyncs: {grown}")
    check(fsyncs >= (EACH - 1) * jobs, f"{jobs} jobs: only {fsyncs} fsyncs")
    check_eq(f"{jobs} jobs: flushes", grown["flushes"], fsyncs)
    check_eq(f"{jobs} jobs: requests and merged", grown["requests"] + grown["merged"], fsyncs)
    check_eq(f"{jobs} jobs: errors", grown["errors"], 0)
    if jobs == 1:
        check_eq("1 job: requests", grown["requests"], fsyncs)
    else:
        check(grown["requests"] <= 0.1 * fsyncs,
              f"{jobs} jobs: {grown['requests']} requests for {fsyncs} fsyncs")


def test(s, kernel):
    fio = shutil.which("fio") or vmtest.skip("no fio on this host")
    daemon = SlowDaemon(s, s.image(64 * vmtest.MIB))
    more = ["--memory", "768M", "--modules", "virtio_pci", "--module", kmodbuild.vpmem(kernel),
            "--add", f"{fio}:/bin/fio"]
    guest = s.guest(SCRIPT, daemon, kernel=kernel, more=more, timeout=180)
    guest.finish()
    lines = guest.output().splitlines()
    check_eq("state", lines.pop(), "running")
    for jobs in JOBS:
        before, after, text, *lines = lines
        check_jobs(jobs, numbers(before), numbers(after), fsyncs_of(text))
    sent = numbers(after)["requests"]
    daemon.check_stat(flushes=sent, syncs=sent, flushes_failed=0)
    daemon.stop_cleanly()


if kmodbuild.missing():
    vmtest.skip(kmodbuild.missing())
vmtest.main(test)
