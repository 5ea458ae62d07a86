#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Cut the power of a running guest again and again, and judge what each cut leaves.

One guest runs the load of tests/lib/vmload.py on vdax-crashd. A cut does not end it: the
daemon writes down what the disk would hold, and that image is judged while the guest commits
on. What the guest has acknowledged is noted before a cut is asked for, never after.

With --mode no-sync, early or reuse the back end is wrong on purpose, and the test passes when
the judge has found that out.
"""

import argparse
import os
import queue
import random
import shutil
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vmload  # noqa: E402

COMMITS_PER_CUT = 3

# With these the stock driver flushes before the data of a PREFLUSH write is stored, not after.
KERNELS_IN_ORDER = ("7.2",)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--crashd", required=True, help="the program vdax-crashd")
    add("--kernel", default="7.2", help="of the guest; %(default)s")
    add("--driver", choices=vmload.DISKS, default="stock", help="of the guest; %(default)s")
    add("--cuts", type=int, default=int(os.environ.get("VDAX_CUTS", "200")),
        help="default: VDAX_CUTS, or 200")
    add("--mode", choices=("true", "no-sync", "early", "reuse"), default="true")
    add("--seed", type=int, default=1, help="of the first cut; %(default)s")
    add("--size", default="64M", help="of the image; %(default)s")
    add("--keep", metavar="FILE", help="keep the first bad crash image here, unrepaired")
    return parser.parse_args()


class Bench:
    """Judges cuts in a thread of its own, so that the guest need not wait."""

    def __init__(self, judge, keep):
        self.judge = judge
        self.keep = keep
        self.todo = queue.Queue(4)
        self.judged = 0
        self.found = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while (cut := self.todo.get()) is not None:
            try:
                self.one(*cut)
            except Exception as error:  # pylint: disable=broad-except
                self.found.append(f"the judge failed: {error!r}")

    def one(self, seed, image, acked):
        if self.keep and not self.found:
            shutil.copyfile(image, self.keep)
        problems = self.judge.problems(image, acked)
        os.unlink(image)
        self.judged += 1
        self.found += [f"cut {seed}: {p}" for p in problems]

    def add(self, *cut):
        self.todo.put(cut)

    def finish(self):
        self.todo.put(None)
        self.thread.join()
        return self.found


class Totals:
    def __init__(self):
        self.differed = self.taken = self.torn = 0

    def add(self, cut):
        self.differed += cut["differed"]
        self.taken += cut["taken"]
        self.torn += cut["torn"]

    def __str__(self):
        lost = self.differed - self.taken - self.torn
        return (f"{self.differed} pages newer than the last sync: {self.taken} survived, "
                f"{self.torn} torn, {lost} lost")


def random_pause(generator):
    """Some cuts come with a report, the others anywhere between two."""
    time.sleep(generator.choice((0, 0, 0.003, 0.01, 0.03)) * generator.random())


def cut_often(args, daemon, guest, bench, work):
    """Make the cuts, until enough or until the judge has found something."""
    generator = random.Random(args.seed)
    totals = Totals()
    for seed in range(args.seed, args.seed + args.cuts):
        guest.wait_for_commits(guest.commits() + COMMITS_PER_CUT)
        random_pause(generator)
        acked = guest.acknowledged()
        image = f"{work}/cut-{seed}"
        totals.add(daemon.cut(seed, image))
        bench.add(seed, image, acked)
        if bench.found:
            break
    return totals


def run(args, work):
    """One guest load. Returns what the judge found, and a summary."""
    crashd = [args.crashd]
    image = f"{work}/image"
    vmload.make_image(crashd, image, args.size)
    daemon = vmload.Daemon([*crashd, "--sandbox", "none"], image, work, "pmem", args.mode)
    strict = args.driver == "vpmem" or args.kernel in KERNELS_IN_ORDER
    bench = Bench(vmload.Judge(strict), args.keep)
    guest = None
    try:
        guest = vmload.Guest(daemon, args.kernel, vmload.load_script(args.driver), work,
                             driver=args.driver)
        guest.wait_for_line("ready")
        guest.wait_for_commits(1)
        totals = cut_often(args, daemon, guest, bench, work)
        syncs = daemon.ask("stats")["ended"]
        found = bench.finish()
        guest.power_off()
    finally:
        if guest:
            guest.stop()
        daemon.stop()
    return found, totals, (f"{bench.judged} cuts, {guest.commits()} commits acknowledged, "
                           f"{syncs} syncs; {totals}")


def main():
    args = parse_arguments()
    vmload.lab.exit_on_signals()
    reason = vmload.missing(args.kernel) or (
        args.driver == "vpmem" and vmload.kmodbuild.missing())
    if reason:
        print(f"skipped: {reason}")
        return 77
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vdax-crash-") as work:
        found, totals, summary = run(args, work)
    print(f"kernel {args.kernel}, driver {args.driver}, back end {args.mode}: {summary}; "
          f"{time.monotonic() - begin:.0f} s")
    for problem in found[:20]:
        print(problem)
    if args.mode != "true":
        print("found, as it should be" if found else "this back end is wrong, and nobody saw it")
        return 0 if found else 1
    if not totals.torn or totals.differed == totals.taken + totals.torn:
        found.append("no cut lost or tore anything: this run has proved nothing")
        print(found[-1])
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except vmload.Failure as failure:
        sys.exit(f"power_cut: {failure}")
