# SPDX-License-Identifier: BSD-2-Clause
"""What lab/boot and lab/uml share: run a guest's process and judge the run."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.environ.get("VDAX_LAB") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
    "vdax", "lab")

# Exit statuses of a run; any other is the command's own.
WARNINGS = 70       # the kernel complained
NO_STATUS = 71      # the guest ended (panic, reboot, power off) before the command
NOT_STARTED = 72    # the guest could not be started at all
TIMEOUT = 124       # and 128 + N: the guest's process was ended by signal N

COMPLAINT = re.compile(
    rb"WARNING:|BUG:|Oops|Call Trace|[Kk]ernel panic|I/O error|EXT4-fs error"
    rb"|XFS.*[Cc]orruption|lab: modprobe")


def tell(message):
    print(f"lab: {message}", file=sys.stderr)


def die(message):
    tell(message)
    sys.exit(NOT_STARTED)


def require(*parts):
    for part in parts:
        if not os.path.exists(f"{LAB}/stamps/{part}"):
            die(f"{part} is not in {LAB}: run lab/fetch")


def exit_on_signals():
    """Leave through the "finally" clauses, which end what was started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))


def write_command(words, path):
    """A command travels as a file: a kernel command line is too short."""
    text = words[0] if len(words) == 1 else shlex.join(words)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")


def copy_stream(source, target):
    """Copy as it comes: a test may wait for a line before it cuts the power."""
    while data := os.read(source, 65536):
        try:
            while data:
                data = data[os.write(target, data):]
        except BrokenPipeError:
            pass  # keep reading, or the guest would stand still
    os.close(source)


def write_pidfile(path, pid):
    """Renamed into place: a reader never sees half of it."""
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(f"{pid}\n")
    os.rename(path + ".new", path)


def run(make_command, timeout, pidfile=None, **how):
    """Run a guest's process to its end; its return code, or None at a timeout.

    make_command gets two descriptors, for what goes to our stdout and stderr.
    """
    pipes = [os.pipe(), os.pipe()]
    fds = [pipe[1] for pipe in pipes]
    with subprocess.Popen(make_command(*fds), pass_fds=fds,
                          stdin=subprocess.DEVNULL, **how) as process:
        for fd in fds:
            os.close(fd)
        copiers = [threading.Thread(target=copy_stream, args=(pipe[0], target))
                   for pipe, target in zip(pipes, (1, 2))]
        for copier in copiers:
            copier.start()
        try:
            if pidfile:
                write_pidfile(pidfile, process.pid)
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()  # does nothing once it has been waited for
            process.wait()
            for copier in copiers:
                copier.join()


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read().replace(b"\r\n", b"\n")
    except FileNotFoundError:
        return b""


def show(lines):
    for line in lines:
        print("   ", line.decode(errors="replace"), file=sys.stderr)


def outcome(code, timeout, status):
    """Exit status and message for a return code and the text of the guest's
    status port; no message if the command ended by itself."""
    ends = re.findall(rb"^exit (\d+)$", status, re.M)
    if code is None:
        return TIMEOUT, f"timeout after {timeout:g} s"
    if code < 0:
        return 128 - code, f"the guest was ended by signal {-code}"
    if ends:
        return int(ends[-1]), None
    if code > 0:
        return NOT_STARTED, f"the guest's process failed with status {code}"
    return NO_STATUS, "the guest ended before the command: panic, reboot?"


def verdict(code, timeout, status, log, allow_warnings):
    """Judge a run, say what went wrong, return the exit status.

    A complaint of the kernel outranks all but a timeout and a guest that did
    not start: a test that cuts the power on purpose must fail over it too.
    """
    result, message = outcome(code, timeout, status)
    lines = read_file(log).splitlines()
    bad = [] if allow_warnings else [x for x in lines if COMPLAINT.search(x)]
    with open(log, "wb") as f:
        f.write(b"".join(line + b"\n" for line in lines))
    if message:
        tell(message)
    if bad:
        tell("the kernel log has complaints:")
        show(bad)
        return result if result in (TIMEOUT, NOT_STARTED) else WARNINGS
    if result in (TIMEOUT, NO_STATUS) and message:
        tell("the end of the kernel log:")
        show(lines[-20:])
    return result
