#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the conformance suite on a folder of the host and on a share in user-mode Linux, and
compares what the two printed, line by line, and what is in the two folders afterwards.

usage: compare.py SET [GROUP[.CASE]]...   (environment: VDAX_POSIX, the program)

A set is a choice of options for the daemon and of groups of cases. What may differ, and why, is in
the file `differences`.
"""

import difflib
import fnmatch
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))
import fstest  # noqa: E402
import vmtest  # noqa: E402
from vmtest import check, check_eq, read_text  # noqa: E402

PROGRAM = os.path.abspath(os.environ.get("VDAX_POSIX", "build/tests/posix/vdax-posix"))

ALL = ("open tree rename node size data map mode perm stat list lock name control hold").split()

# Name: (options of the daemon, groups). xattr and acl need options; all others do not.
SETS = {
    "default": ([], ALL),
    "xattr": (["--xattr", "--posix-acl", "--modcaps=+sys_admin"],
              ["xattr", "acl", "mode", "perm", "open", "hold"]),
    "locks": (["--posix-lock", "--flock"], ["lock", "hold", "rename"]),
    "writeback": (["--writeback"], ["data", "size", "map", "stat", "open", "mode", "hold", "list"]),
    "killpriv": (["--killpriv-v2"], ["mode", "data", "size", "open"]),
    "always": (["--cache", "always"], ["open", "tree", "rename", "data", "list", "hold", "stat"]),
    "never": (["--cache", "never", "--allow-mmap"],
              ["open", "tree", "rename", "data", "size", "map", "list", "hold", "mode"]),
    "direct": (["--allow-direct-io"], ["data", "map", "size", "mode"]),
    "descriptors": (["--inode-file-handles=never"],
                    ["tree", "rename", "hold", "list", "name", "node"]),
    "noopen": (["--no-open", "--no-opendir"], ["open", "data", "size", "list", "hold", "tree"]),
    "all": (["--xattr", "--posix-acl", "--posix-lock", "--flock", "--writeback", "--killpriv-v2",
             "--allow-direct-io", "--preserve-noatime",
             "--modcaps=+sys_admin:+linux_immutable"], ALL + ["xattr", "acl"]),
}

SHOWN = 60


class Differences:
    """The table of what may differ: SET CASE REGEX -- REASON. SET and CASE are patterns."""

    def __init__(self, chosen):
        self.entries = []
        for line in read_text(os.path.join(HERE, "differences")).splitlines():
            if line and not line.startswith("#"):
                what, _, reason = line.partition(" -- ")
                check(reason, f"differences: no reason in {line!r}")
                sets, case, pattern = what.split(None, 2)
                if any(fnmatch.fnmatchcase(chosen, s) for s in sets.split(",")):
                    self.entries.append((case, re.compile(pattern), line))
        self.used = set()

    def allow(self, case, text):
        """Marks all that match, so that none is thought of as stale."""
        found = [line for pattern, regex, line in self.entries
                 if fnmatch.fnmatchcase(case, pattern) and regex.search(text)]
        self.used.update(found)
        return bool(found)

    def allow_tree(self, path):
        return any(fnmatch.fnmatchcase(path.split("/")[0], pattern) and
                   regex.search("TREE " + path) for pattern, regex, _ in self.entries)

    def stale(self, cases):
        """An entry that nothing needs any more, of the cases that were run."""
        return [line for pattern, _, line in self.entries
                if line not in self.used and "TREE" not in line and " -- at times: " not in line and
                any(fnmatch.fnmatchcase(case, pattern) for case in cases)]


def by_case(text):
    """{case: its lines}, in order. Without the last line the program did not end well."""
    lines = text.split("\n")
    check_eq("the last line", lines[-2:], ["done", ""])
    cases = {}
    for line in lines[:-2]:
        case, _, rest = line.partition(": ")
        cases.setdefault(case, []).append(rest)
    return cases


def unequal(host, guest):
    """Lines of only one side, as (sign, text)."""
    matcher = difflib.SequenceMatcher(None, host, guest, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what != "equal":
            yield from (("host ", line) for line in host[a:b])
            yield from (("guest", line) for line in guest[c:d])


def skipped(lines):
    return next((line for line in lines if line.startswith("skip: ")), None)


def judge(host, guest, table):
    """Returns what is wrong, as text for each case, and prints what could not be tested."""
    wrong = {}
    for case in [*host, *(case for case in guest if case not in host)]:
        left, right = host.get(case, []), guest.get(case, [])
        broken = [line for line in left if line.startswith("BROKEN")]
        if broken:
            wrong[case] = [f"on the host itself: {broken[0]}"]
        elif skipped(left):
            print(f"not here: {case}: {skipped(left)}")
        elif left != right:
            lines = [f"{side}: {line}" for side, line in unequal(left, right)
                     if not table.allow(case, line)]
            if lines:
                wrong[case] = lines
    return wrong


def show(wrong):
    for case, lines in wrong.items():
        print(f"{case}: {len(lines)} lines", file=sys.stderr)
        for line in lines[:SHOWN]:
            print(f"    {line}", file=sys.stderr)
        if len(lines) > SHOWN:
            print(f"    and {len(lines) - SHOWN} more", file=sys.stderr)


def on_host(scratch, words):
    folder = fstest.new_folder(scratch, "host")
    out = scratch.name("host.out")
    with open(out, "wb") as f:
        done = subprocess.run([PROGRAM, folder, *words], stdout=f, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False, timeout=120)
    check_eq("status of the suite on the host", done.returncode, 0)
    return folder, read_text(out)


def in_guest(scratch, words, options):
    daemon = fstest.FsDaemon(scratch, *options)
    place, out = fstest.new_folder(scratch, "mount"), scratch.name("guest.lines")
    script = f"{PROGRAM} {place} {' '.join(words)} >{out} 2>/dev/null"
    fstest.uml(scratch, script, daemon, place, timeout=200)
    return daemon.share, read_text(out)


def test(scratch, chosen, *words):
    fstest.require_uml()
    options, groups = SETS[chosen]
    fstest.require_daemon(*options)
    check(os.path.exists(PROGRAM), f"{PROGRAM} is not built")
    words = words or groups
    table = Differences(chosen)
    host_folder, host = on_host(scratch, words)
    guest_folder, guest = in_guest(scratch, words, options)
    host, guest = by_case(host), by_case(guest)
    wrong = judge(host, guest, table)
    show(wrong)
    trees = [fstest.tree(folder, times=False) for folder in (guest_folder, host_folder)]
    check(not wrong, f"{len(wrong)} of {len(host)} cases differ")
    n = fstest.compare_trees("what is left", *trees, lambda path: table.allow_tree(path))
    stale = [] if fstest.is_peer() else table.stale(host)
    check_eq("differences that are none any more", stale, [])
    print(f"{len(host)} cases, {sum(map(len, host.values()))} lines, {n} files")


if __name__ == "__main__":
    vmtest.main(test)
