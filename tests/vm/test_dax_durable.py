#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proof by trace that a sync of the guest is one of the host: of that very file, begun after the
guest had stored, ended before the guest goes on; and what was stored into the private copy of a
last page is written to the file before that. usage: test_dax_durable.py KERNEL

The trace has the begin and the end of the daemon's system calls. Between its stores and each sync
the guest, one process, makes another file longer by a byte, which is a request and so a mark in the
trace: from one mark to the next the daemon has to do the sync, all of it, and to answer. The sync
is on a thread of the pool, so that it is a call that can be seen.
"""

import os
import re
import shutil

import daxtest
import vmtest
from vmtest import check, check_eq, read_text, wait_until

ROUNDS = 12
FILES = ("a", "b", "c")
SIZE = 100000  # the last page is a part of one


def steps():
    """For dax_map: of two files whole pages are changed, of c the last page."""
    words, mark = [], 0
    for n in range(1, ROUNDS + 1):
        for name, place, sync in (("a", f"{n * 5000} 5000", "msync"),
                                  ("b", f"{n * 5000} 5000", "fsync"), ("c", "99000 1000", "msync")):
            words.append(f"file marks write {mark} x file {name} map fill {place} {n} "
                         f"file marks write {mark + 1} x file {name} map {sync}")
            mark += 2
    return " ".join(words)


SCRIPT = f"""
share always
dax_map {steps().replace("file ", "", 1)} file marks write {6 * ROUNDS} x
echo done
"""

CALL = re.compile(r"^(\d+) +[\d.]+ (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
TRACED = "write,pwrite64,pwritev,pwritev2,fsync,fdatasync"


def child_of(pid):
    """The process that serves: the other one waits for it."""
    for task in os.listdir(f"/proc/{pid}/task"):
        children = read_text(f"/proc/{pid}/task/{task}/children").split()
        if children:
            return children[0]
    return str(pid)


def start_trace(s, daemon):
    """Returns the file that the trace goes to."""
    strace = shutil.which("strace") or vmtest.skip("no strace on this host")
    log, messages = s.name("trace"), s.name("strace.err")
    tracer = s.start([strace, "-f", "-ttt", "-y", "-e", f"trace={TRACED}", "-o", log, "-p",
                      child_of(daemon.process.pid)], messages)
    wait_until(lambda: "attached" in read_text(messages) or tracer.poll() is not None, "strace")
    check(tracer.poll() is None, f"strace: {read_text(messages)}")
    return log


def events(log):
    """(thread, call, arguments) at the begin of each call, and (thread, call, None) at its end."""
    for match in filter(None, map(CALL.match, read_text(log).splitlines())):
        thread, resumed, call, rest = match.groups()
        if not resumed:
            yield thread, call, rest
        if resumed or "<unfinished" not in rest:
            yield thread, resumed or call, None


def file_of(arguments):
    match = re.match(r"\d+<[^>]*/([abc]|marks)>", arguments)
    return match[1] if match else None


def story(log):
    """What the daemon did: "mark", "write c", "begin a", "end a", "answer" and so on."""
    words, running = [], {}
    for thread, call, arguments in events(log):
        name = file_of(arguments) if arguments is not None else None
        if call in ("fsync", "fdatasync"):
            if arguments is not None:
                running[thread] = name
            words.append(f"{'end' if arguments is None else 'begin'} {running[thread]}")
        elif call == "write" and arguments is not None and "eventfd" in arguments:
            words.append("answer")  # or a thread that tells another, which is no answer
        elif name and "= -1" not in arguments:
            words.append("mark" if name == "marks" else f"write {name}")
    return words


def check_sync(number, name, words):
    """What was done from a mark to the next one."""
    syncs = [word for word in words if word.startswith(("begin", "end"))]
    check_eq(f"sync {number}", syncs, [f"begin {name}", f"end {name}"])
    check("answer" in words[words.index(f"end {name}"):], f"sync {number}: no answer in {words}")


def check_story(words):
    # Two marks for each sync: before the stores, and between them and the sync.
    parts, part = [], []
    for word in [*words, "mark"]:
        if word == "mark":
            parts.append(part)
            part = []
        else:
            part.append(word)
    parts = parts[1:]  # before the first mark
    check_eq("marks", len(parts), 6 * ROUNDS + 1)
    for number in range(3 * ROUNDS):
        stores, sync = parts[2 * number], parts[2 * number + 1]
        name = FILES[number % 3]
        check_sync(number, name, sync)
        check_eq(f"syncs before sync {number}", [w for w in stores if w.startswith("begin")], [])
        saved = stores + sync[:sync.index(f"begin {name}")]
        check(name != "c" or "write c" in saved, f"sync {number}: the copy was not saved: {saved}")


def test(s, kernel):
    daemon = daxtest.Daemon(s, "64M", "--io-engine", "pool", *daxtest.ALL_FILES)
    for name in FILES:
        daxtest.make_file(daemon.path(name), SIZE)
    log = start_trace(s, daemon)
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel)
    guest.finish()
    daemon.check_ended()
    check_story(story(log))
    daxtest.check_pattern(daemon.path("c"), 99000, 1000, ROUNDS)
    print(f"{3 * ROUNDS} syncs")


vmtest.main(test)
