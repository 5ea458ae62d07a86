# SPDX-License-Identifier: BSD-2-Clause
"""What the tests with real guests share: scratch files, daemons, guests.

A test is a program with one function that takes a Scratch and its command-line words, and
ends with vmtest.main(that_function). Whatever the function started through the Scratch is
ended, by process id, when it returns or raises. The environment says where things are:
VDAX (the program), VDAX_LAB (see lab/README.md).
"""

import contextlib
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, f"{TOP}/lab")
import guest as lab  # noqa: E402

VDAX = os.path.abspath(os.environ.get("VDAX", f"{TOP}/build/cmd/vdax"))
SKIP = 77
POWER_CUT = 128 + signal.SIGKILL
QEMU_CRASHED = 128 + signal.SIGSEGV
MIB = 1 << 20

# What QEMU 11.1 prints when a region is refused as guest memory, which is the rule for
# shared-memory mappings (vhost/regions.c). Anything else on its stderr fails the test.
QEMU_NOISE = re.compile(r"qemu-system-\S+: (vhost_set_mem_table failed: Input/output error"
                        r"|vhost_user_set_mem_table\S* failed|Failed to add mem region)")

# Mounts the first device at /m, and is sure about DAX.
MOUNT = """set -e
mkdir -p /m
mount -t ext4 -o dax /dev/pmem0 /m
grep ' /m ext4 .*dax=always' /proc/mounts
"""


class Failure(Exception):
    """A test's own complaint; shown without a stack."""


def check(ok, what):
    if not ok:
        raise Failure(what)


def check_eq(what, got, want):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def wait_until(condition, what, timeout=60):
    """Waits for a true value of condition() and returns it."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        check(time.monotonic() < end, f"{what}: not within {timeout} s")
        time.sleep(0.02)
    return value


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def read_state(path):
    """How far a test with a large count has come; 0 if it begins."""
    try:
        return int(read_text(path))
    except FileNotFoundError:
        return 0


def write_state(path, done):
    """Whole or not at all. "-" is no file."""
    if path == "-":
        return
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(f"{done}\n")
    os.rename(path + ".new", path)


def host(*words, ok=(0,)):
    """Runs a program of the lab's root on the host, and returns its output."""
    done = subprocess.run([f"{TOP}/lab/run-in-root", lab.LAB, *map(str, words)], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace", check=False)
    check(done.returncode in ok, f"{words}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def vdax(*words):
    return subprocess.run([VDAX, *map(str, words)], text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)


class Scratch:
    """A folder on a real disk, and everything that was started in it."""

    def __init__(self):
        # A short path: sockets live here. /tmp may be in memory, where a sync does nothing.
        self.path = tempfile.mkdtemp(prefix="vdax-vm-", dir="/var/tmp")
        self.processes = contextlib.ExitStack()
        self.logs = []
        self.number = 0

    def name(self, kind):
        self.number += 1
        return f"{self.path}/{kind}{self.number}"

    def start(self, words, log, **how):
        """Starts a process that ends with the test at the latest. log: file for its stderr."""
        self.logs.append(log)
        with open(log, "wb") as f:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=f,
                                       preexec_fn=end_with_parent, **how)
        self.processes.callback(end, process)
        return process

    def image(self, size):
        path = self.name("image")
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def ext4(self, size):
        path = self.image(size)
        host("/usr/sbin/mkfs.ext4", "-q", "-b", 4096, path)
        return path

    def daemon(self, image, *options):
        return Daemon(self, image, options)

    def guest(self, script, *daemons, **options):
        return Guest(self, script, daemons, **options)

    def show_logs(self):
        for log in self.logs:
            lines = [line[:200] for line in read_text(log).splitlines()[-40:]]
            if lines:
                print(f"--- {os.path.basename(log)}", *lines, sep="\n", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.show_logs()
        self.close()

    def close(self):
        self.processes.close()
        shutil.rmtree(self.path, ignore_errors=True)


def end_with_parent(libc=ctypes.CDLL(None)):
    """In a child: get SIGTERM when the test is killed, which then cannot clean up itself."""
    pr_set_pdeathsig = 1
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM)


def end(process):
    """Ends one process of ours, gently at first: lab/boot then ends QEMU."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Daemon:
    """`vdax pmem` on an image."""

    def __init__(self, scratch, image, options):
        self.image = image
        self.socket = scratch.name("socket")
        self.log = scratch.name("vdax.log")
        self.process = scratch.start(
            [VDAX, "pmem", *options, "--socket-path", self.socket, image], self.log)
        wait_until(self.is_ready, "the daemon listens", 20)

    def is_ready(self):
        check(self.process.poll() is None, f"the daemon ended: {read_text(self.log)}")
        return "serving" in read_text(self.log)

    def stat(self):
        done = vdax("stat", "--json", f"{self.socket}.ctl")
        check_eq(f"vdax stat ({done.stderr})", done.returncode, 0)
        return json.loads(done.stdout)

    def check_stat(self, **want):
        got = self.stat()
        check_eq("vdax stat", {key: got[key] for key in want}, want)

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kib(self):
        """Private memory: pages of the image that the guest shares do not count."""
        status = read_text(f"/proc/{self.process.pid}/status")
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1])

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.wait()

    def wait(self, timeout=20):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the daemon does not end within {timeout} s") from None

    def stop_cleanly(self):
        check_eq("exit status of the daemon", self.stop(), 0)
        check_eq("complaints of the daemon",
                 [line for line in read_text(self.log).splitlines()
                  if not re.search(r"serving|front end (dis)?connected|ending on signal|sparse:",
                                   line)], [])


class Guest:
    """One run of lab/boot."""

    def __init__(self, scratch, script, daemons, kernel="6.12", reboot=False, timeout=60,
                 more=()):
        self.out = scratch.name("guest.out")
        self.err = scratch.name("guest.err")
        self.pidfile = scratch.name("qemu.pid")
        self.control = scratch.name("qmp")
        self.kernel_log = scratch.name("kernel.log")
        words = [f"{TOP}/lab/boot", "--kernel", kernel, "--timeout", str(timeout), "--log",
                 self.kernel_log, "--pidfile", self.pidfile, "--qmp", self.control, *more]
        for daemon in daemons:
            words += ["--pmem-socket", daemon.socket]
        if reboot:
            words.append("--allow-reboot")
        scratch.logs.append(self.out)
        with open(self.out, "wb") as f:
            self.process = scratch.start([*words, "--", script], self.err, stdout=f)

    def output(self):
        return read_text(self.out)

    def wait_for(self, text, timeout=60, count=1):
        """Waits until the guest has printed text, count times."""
        def there():
            if self.output().count(text) >= count:
                return True
            check(self.process.poll() is None, f"the guest ended before it printed {text!r}")
            return False
        wait_until(there, f"the guest prints {text!r}", timeout)

    def wait(self):
        """The status of lab/boot, which has its own timeout."""
        return self.process.wait()

    def kill(self):
        """Cuts the power: nothing in the guest or in QEMU can do any more work."""
        os.kill(int(read_text(self.pidfile)), signal.SIGKILL)
        check_eq("status after the power cut", self.wait(), POWER_CUT)
        self.check_qemu_quiet()

    def finish(self, want=0):
        check_eq("status of the guest", self.wait(), want)
        self.check_qemu_quiet()

    def messages(self):
        """What QEMU said that is not the rule; lab/boot's own lines are not QEMU's."""
        lines = read_text(self.err).splitlines()
        return [line for line in lines if line.startswith("qemu") and not QEMU_NOISE.match(line)]

    def check_qemu_quiet(self):
        check_eq("messages of QEMU", self.messages(), [])

    def qmp(self):
        return Qmp(self.control)


def outlives(guest, condition, what, slots):
    """Waits for the condition. With memory slots also for a fault that QEMU 11.1.3 is known to
    have: after some resets it looks in its shadow table for mappings that are gone. True if QEMU
    lives."""
    wait_until(lambda: guest.process.poll() is not None or condition(), what)
    if guest.process.poll() in (None, 0):
        print(f"QEMU survives {what}")
        return True
    check_eq("status", guest.wait(), QEMU_CRASHED)
    check(slots, f"QEMU died: {what}")
    print(f"known fault of QEMU 11.1.3 with memory slots: SIGSEGV after {what}")
    return False


class Qmp:
    """QEMU's control socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        wait_until(lambda: self.connect(path), "QEMU's control socket")
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.file.readline()  # the greeting
        self("qmp_capabilities")

    def connect(self, path):
        try:
            self.socket.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while line := self.file.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            check("error" not in answer, f"QMP {command}: {answer}")
        raise Failure(f"QMP {command}: QEMU has gone")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


def check_ext4(image):
    """Replays the journal, then finds nothing wrong but what ext4 never keeps up to date: the
    totals in the superblock."""
    text = host("/usr/sbin/e2fsck", "-fy", image, ok=(0, 1))
    wrong = [line for line in text.splitlines()
             if re.search(r"\?|wrong|invalid|corrupt|error", line, re.I)
             and not re.match(r"Free (blocks|inodes) count wrong \(|Fix\? yes$", line)]
    check_eq(f"e2fsck {image}", wrong, [])
    host("/usr/sbin/e2fsck", "-fn", image)


def read_ext4(image, path):
    """The text of a file in an image."""
    return host("/usr/sbin/debugfs", "-R", f"cat {path}", image).split("\n", 1)[1]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def require_lab(*kernels):
    for part in ("root", "bin", *(f"kernel-{kernel}" for kernel in kernels)):
        if not os.path.exists(f"{lab.LAB}/stamps/{part}"):
            skip(f"the lab has no {part}; run: lab/fetch")
    check(os.path.exists(VDAX), f"{VDAX} is not built")


def main(test):
    """Runs test(scratch, *words of the command line)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    words = sys.argv[1:]
    require_lab(*(word for word in words if re.fullmatch(r"\d+\.\d+", word)))
    begin = time.monotonic()
    try:
        with Scratch() as scratch:
            test(scratch, *words)
    except Failure as e:
        print(f"FAILED: {e}", file=sys.stderr)
        sys.exit(1)
    print(f"ok, {time.monotonic() - begin:.1f} s")
