#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QEMU is killed while programs in its guest commit to databases on /dev/vpmem0.

crashd: the power of the host goes as well, so only what was flushed is left; several such
losses are tried. qemu: QEMU's own device, which dies together with the guest,
while the host's page cache stays. Either way every commit that the guest reported is there, and
the file system is whole. A state file remembers how far this has come, so that it can be
stopped and started again; "-" is none.
usage: test_kmod_kill.py COUNT STATE-FILE KERNEL ext4|xfs crashd|qemu"""

import os
import random
import time

import kmodguest
import vmtest
from kmodguest import vmload
from vmtest import check, check_eq

CRASHD = os.environ.get("VDAX_CRASHD", f"{vmtest.TOP}/build/tests/crash/vdax-crashd")
LOSSES = {"ext4": 3, "xfs": 1}    # judged after each kill; for XFS that takes a guest
COMMITS = 10    # before the kill, at least


class Machine:
    """A guest with load, on either device."""

    def __init__(self, s, kernel, fs, device):
        self.kernel, self.fs, self.work = kernel, fs, s.path
        self.image = s.name("image")
        vmload.make_image([vmtest.VDAX, "pmem"], self.image, "64M", fs)
        self.daemon = self.guest = None
        s.processes.callback(self.stop)
        if device == "crashd":
            self.daemon = vmload.Daemon([CRASHD, "--sandbox", "none"], self.image, s.path, "pmem")
        self.guest = self.boot(self.daemon, self.image, vmload.load_script("vpmem", fs))

    def boot(self, daemon, image, script):
        return vmload.Guest(daemon, self.kernel, script, self.work, driver="vpmem",
                            device=None if daemon else ("--pmem-file", image))

    def run(self, pause):
        check("dax=always" in self.guest.wait_for_line("mount"), "not mounted with DAX")
        self.guest.wait_for_line("ready")
        self.guest.wait_for_commits(COMMITS)
        time.sleep(pause)

    def kill(self):
        """Returns what the guest has reported."""
        self.guest.power_off()
        check(not self.guest.problem, self.guest.problem)
        return self.guest.acknowledged()

    def stop(self):
        if self.guest:
            self.guest.stop()
        if self.daemon:
            self.daemon.stop()


def judge_on_host(image, acked):
    return vmload.Judge().problems(image, acked)


def judge_in_guest(machine, image, acked):
    """The host may have no XFS driver, so another guest replays the log and counts."""
    script = (vmload.inspect_script("vpmem", machine.fs)
              + "xfs_repair -n /dev/vpmem0 >&2 || exit 3\n")
    guest = machine.boot(None, image, script)
    try:
        status = guest.finish(240)
        if status:
            return [f"the guest that looks ends with status {status}\n{guest.said()}"]
        return compare([line.split() for line in guest.lines if line], acked)
    finally:
        guest.stop()


def compare(words, acked):
    """What inspect_script() has printed, beside what was reported."""
    found = [f"{' '.join(w)}" for w in words if w[0] == "check" and w[2:] != ["ok"]]
    have = {int(w[1]): (int(w[2]), int(w[3])) for w in words if w[0] == "have"}
    for writer, number in acked.items():
        last, items = have.get(writer, (-1, 0))
        if last < number or items != 2 * last:
            found.append(f"writer {writer}: {number} reported, {last} there with {items} items")
    return found


def judge(machine, image, acked):
    if machine.fs == "ext4":
        return judge_on_host(image, acked)
    return judge_in_guest(machine, image, acked)


def lose(s, machine, seed):
    """An image that the host may be left with now."""
    image = s.name("loss")
    lost = machine.daemon.cut(seed, image)
    print(f"  {lost['differed']} pages newer than the last sync, {lost['taken']} survive, "
          f"{lost['torn']} torn", flush=True)
    return image


def kill(s, number, kernel, fs, device):
    """One machine, killed at a time that depends on the number only. The host of the daemon loses
    its power once just before, when more is in flight, and some times after the guest's death."""
    machine = Machine(s, kernel, fs, device)
    left = []
    machine.run(random.Random(number).uniform(0, 3))
    if machine.daemon:
        acked = machine.guest.acknowledged()
        left.append((lose(s, machine, 1000 * number), acked))
    acked = machine.kill()
    print(f"kill {number}: {sum(acked.values())} commits", flush=True)
    if not machine.daemon:
        left.append((machine.image, acked))
    else:
        left += [(lose(s, machine, 1000 * number + i + 1), acked) for i in range(LOSSES[fs])]
    for image, reported in left:
        check_eq(f"what is wrong after kill {number}", judge(machine, image, reported), [])


def test(_, count, state, *what):
    done = vmtest.read_state(state)
    while done < int(count):
        with vmtest.Scratch() as s:
            try:
                kill(s, done, *what)
            except vmload.Failure as e:
                raise vmtest.Failure(str(e)) from None
        done += 1
        vmtest.write_state(state, done)
    if state != "-":
        os.unlink(state)


kmodguest.main(test)
