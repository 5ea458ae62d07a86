#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proof by trace that a sync of the guest is one of the host: between the arrival of each FSYNC and
its answer there is a sync of that very file, which began after the one and ended before the other;
and what was stored into the private copy of a last page is written to the file before that.
usage: test_dax_durable.py KERNEL

The trace has the begin and the end of the daemon's system calls. The guest has one request under
way at a time, so from one answer (the thread of a queue writes to an eventfd) to the next there is
one request; it has arrived when that thread's epoll_wait returns. The sync itself is on a thread of
the pool, so that it is a call that can be seen.
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

# Each sync is for one file, of which the guest has just changed something through a mapping: of two
# of them whole pages, of c the last page.
SCRIPT = """
share always
for n in $(seq ROUNDS); do
    dax_map a map fill $((n * 5000)) 5000 $n msync
    dax_map b map fill $((n * 5000)) 5000 $n fsync
    dax_map c map fill 99000 1000 $n msync
done
echo done
""".replace("ROUNDS", str(ROUNDS))

CALL = re.compile(r"^(\d+) +[\d.]+ (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
TRACED = "epoll_wait,epoll_pwait,epoll_pwait2,write,pwrite64,fsync,fdatasync"


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
    match = re.match(r"\d+<[^>]*/([abc])>", arguments)
    return match[1] if match else None


class Sync:
    """One sync of one of the files."""

    def __init__(self, name, arrived, written):
        self.name = name
        self.arrived = arrived  # there was a request that had no answer
        self.written = written  # something was written to the file since its last sync
        self.ended = False
        self.answered = False   # after it had ended


def syncs(log):
    """All syncs of the trace, in the order in which they began."""
    found, running, written = [], {}, set()
    request = False  # has one arrived that is not answered?
    queue = None     # the thread that answers
    for thread, call, arguments in events(log):
        begins = arguments is not None
        if call.startswith("epoll") and not begins:
            request, queue = True, thread
        elif call == "write" and begins and "eventfd" in arguments and thread == queue:
            for sync in found:
                sync.answered |= sync.ended
            check(not running, f"{[s.name for s in running.values()]}: answered before the sync")
            request = False
        elif call == "pwrite64" and begins:
            written.add(file_of(arguments))
        elif call in ("fsync", "fdatasync") and begins and file_of(arguments):
            name = file_of(arguments)
            running[thread] = Sync(name, request, name in written)
            found.append(running[thread])
            written.discard(name)
        elif call in ("fsync", "fdatasync") and not begins and thread in running:
            running.pop(thread).ended = True
    return found


def test(s, kernel):
    daemon = daxtest.Daemon(s, "64M", "--io-engine", "pool", "--poll-us", "0",
                            *daxtest.ALL_FILES)
    for name in FILES:
        daxtest.make_file(daemon.path(name), SIZE)
    log = start_trace(s, daemon)
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel)
    guest.finish()
    daemon.check_ended()
    found = syncs(log)
    check_eq("files, in the order of their syncs", [sync.name for sync in found],
             list(FILES) * ROUNDS)
    for number, sync in enumerate(found):
        check(sync.arrived and sync.ended and sync.answered,
              f"sync {number}, of {sync.name}: {vars(sync)}")
        check(sync.written or sync.name != "c", f"sync {number}: the copy was not written back")
    daxtest.check_pattern(daemon.path("c"), 99000, 1000, ROUNDS)
    print(f"{len(found)} syncs")


vmtest.main(test)
