# SPDX-License-Identifier: BSD-2-Clause
"""A guest that commits to SQLite databases on virtio-pmem, and a judge of what is left.

What tests/crash and the demo share: the processes (a daemon, a guest), the load that the
guest runs, and the checks of an image after a power cut. A commit counts as acknowledged
when its line has come out of the guest; sqlite3 writes that line after COMMIT has returned.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "lab"))
import guest as lab  # noqa: E402
import kmodbuild  # noqa: E402

# Name, journal mode, synchronous, writers. Each setting is the weakest at which SQLite promises
# that a commit survives a power cut: to delete a journal takes a sync of its directory (EXTRA).
DATABASES = (("wal", "WAL", "FULL", 3),
             ("delete", "DELETE", "EXTRA", 2),
             ("truncate", "TRUNCATE", "FULL", 2),
             ("persist", "PERSIST", "FULL", 1))

WRITERS = {writer: database for writer, database in enumerate(
    name for name, _, _, writers in DATABASES for _ in range(writers))}


# The guest's driver: the disk that it makes of the device, and what lab/boot needs to load it.
DISKS = {"stock": "/dev/pmem0", "vpmem": "/dev/vpmem0"}


def driver_options(driver, kernel):
    if driver == "stock":
        return []
    return ["--modules", "virtio_pci", "--module", kmodbuild.vpmem(kernel)]


class Failure(Exception):
    """What was tested did not hold, or could not be tested."""


def missing(*kernels):
    """Why no guest can run here, or None."""
    for part in ("root", "bin", *(f"kernel-{k}" for k in kernels)):
        if not os.path.exists(f"{lab.LAB}/stamps/{part}"):
            return f"the lab has no {part} in {lab.LAB}: run lab/fetch"
    return None


def tool(name, *args):
    """Run a program of e2fsprogs, the lab's. The finished process, output in one string."""
    return subprocess.run(
        [f"{TOP}/lab/run-in-root", lab.LAB, f"/usr/sbin/{name}", *args],
        env={**os.environ, "MKE2FS_CONFIG": f"{lab.LAB}/root/etc/mke2fs.conf"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False)


# Blocks have the size of a page: DAX needs that. An XFS below 300 MiB is for tests only, and a
# crash image is made the faster the smaller it is.
MKFS = {"ext4": ("mkfs.ext4", "-q", "-F", "-b", "4096"),
        "xfs": ("mkfs.xfs", "--unsupported", "-q", "-d", "agcount=2", "-l", "size=16m")}


def make_image(program, path, size, fs="ext4"):
    """An image of that size with an empty file system."""
    subprocess.run([*program, "--create", size, path], check=True)
    made = tool(*MKFS[fs], path)
    if made.returncode:
        raise Failure(f"{MKFS[fs][0]}: {made.stdout}")


# The guest's side.

def mount_script(driver="stock", fs="ext4"):
    return f"mount -t {fs} -o dax {DISKS[driver]} /mnt || exit 1\n"


def set_up_script(driver="stock", fs="ext4"):
    """Databases, tables and one row for each writer."""
    lines = [mount_script(driver, fs), "mkdir /mnt/db\n"]
    for name, journal, _, _ in DATABASES:
        rows = ",".join(f"({w},0)" for w, db in WRITERS.items() if db == name)
        lines.append(
            f"sqlite3 -batch -bail /mnt/db/{name}.db 'PRAGMA journal_mode={journal};"
            "PRAGMA synchronous=EXTRA;"
            "CREATE TABLE head(w INTEGER PRIMARY KEY, n);"
            "CREATE TABLE item(w, n, part, data, PRIMARY KEY(w, n, part));"
            f"INSERT INTO head VALUES {rows};' >/dev/null || exit 1\n")
    return "".join(lines)


def payload_length(writer, number, part):
    """How often an item repeats its name. Now and then it needs overflow pages."""
    return 1 + (writer * 11 + number * 37) % 30 + (part and number % 16 == 0) * 900


def payload(writer, number, part):
    return f"{writer}.{number}.{part} " * payload_length(writer, number, part)


# The same in SQL, of the columns w, n and part.
PAYLOAD_SQL = ("replace(hex(zeroblob(1 + (w * 11 + n * 37) % 30 + (part AND n % 16 = 0) * 900)),"
               " '00', w || '.' || n || '.' || part || ' ')")

# One commit. The parts must appear together or not at all; their content is known, so that a
# torn page is seen also where SQLite has no checksum.
TRANSACTION = (
    "BEGIN IMMEDIATE;\n"
    f"INSERT INTO item SELECT w, n, part, {PAYLOAD_SQL}"
    " FROM (SELECT @W AS w, @N AS n), (SELECT 0 AS part UNION SELECT 1);\n"
    "UPDATE head SET n = @N WHERE w = @W;\n"
    "COMMIT;\n"
    "SELECT 'ack @W @N';\n")


def writer_script():
    """A function: writer W NAME JOURNAL SYNCHRONOUS. It ends only if something is wrong."""
    sql = TRANSACTION.replace("\n", "\\n").replace("'", "\\047").replace("@W", "'\"$1\"'")
    return (
        "writer() {\n"
        "\t{ echo '.timeout 100000'\n"
        '\t  echo "PRAGMA journal_mode=$3; PRAGMA synchronous=$4;"\n'
        "\t  echo 'PRAGMA wal_autocheckpoint=100;'\n"
        "\t  awk 'BEGIN { for (n = 1; ; n++) { t = \"" + sql + "\";\n"
        "\t    gsub(/@N/, n, t); printf \"%s\", t } }'\n"
        "\t} | sqlite3 -batch -bail -noheader -list /mnt/db/$2.db\n"
        '\techo "ended $1"\n'
        "}\n")


def load_script(driver="stock", fs="ext4"):
    """Sets up, shows the mount and commits until somebody ends the guest."""
    calls = "".join(f"writer {w} {name} {journal} {synchronous} &\n"
                    for name, journal, synchronous, _ in DATABASES
                    for w, database in WRITERS.items() if database == name)
    return (set_up_script(driver, fs) + writer_script()
            + "echo mount $(grep ' /mnt ' /proc/mounts)\necho ready\n" + calls + "wait\n")


def inspect_script(driver="stock", fs="ext4"):
    """Prints "check DATABASE RESULT", and for each writer "have W N ITEMS": its last commit
    and how many items have the right content."""
    sql = ("SELECT 'have', h.w, h.n, (SELECT count(*) FROM (SELECT * FROM item WHERE w = h.w)"
           f" WHERE data = {PAYLOAD_SQL}) FROM head AS h;")
    return mount_script(driver, fs) + "".join(
        f"echo check {name} $(sqlite3 -batch -bail /mnt/db/{name}.db 'PRAGMA integrity_check(3);'"
        " | tr '*\\n' '  ')\n"
        f"sqlite3 -batch -bail -list -separator ' ' /mnt/db/{name}.db \"{sql}\"\n"
        for name, _, _, _ in DATABASES) + "umount /mnt\n"


# Processes.

class Daemon:
    """`vdax pmem`, or vdax-crashd in its place, on an image."""

    def __init__(self, program, image, work, name, mode=None):
        self.socket_path = f"{work}/{name}"
        self.control_path = self.socket_path + ".ctl"
        self.command_path = self.socket_path + ".cmd"
        env = {**os.environ, "VDAX_CRASHD_SOCKET": self.command_path}
        if mode:
            env["VDAX_CRASHD_MODE"] = mode
        self.process = subprocess.Popen(
            [*program, "--socket-path", self.socket_path, image],
            env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.messages = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait_for(self.control_path)

    def read(self):
        for line in self.process.stderr:
            self.messages.append(line)

    def wait_for(self, path):
        deadline = time.monotonic() + 30
        while not os.path.exists(path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"the daemon does not start: {''.join(self.messages)}")
            time.sleep(0.01)

    def ask(self, line):
        """One line to vdax-crashd; its answer as {name: number}."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(self.command_path)
            s.sendall(line.encode() + b"\n")
            answer = s.makefile().readline().split()
        if answer[:1] != ["ok"]:
            raise Failure(f"vdax-crashd: {line}: {' '.join(answer)}")
        return {k: int(v) for k, v in zip(answer[1::2], answer[2::2])}

    def cut(self, seed, path):
        """Write what a power cut would leave now to path."""
        return self.ask(f"cut {seed} {path}")

    def stop(self):
        """End it as an operator would. Its exit status."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        return self.process.returncode


class Guest:
    """A lab guest with the daemon's device, and what it has acknowledged.

    device: what lab/boot is told of it, if it is not a daemon's.
    """

    def __init__(self, daemon, kernel, script, work, timeout=7200, driver="stock", device=None):
        self.pidfile = f"{work}/qemu.pid"
        self.acked = dict.fromkeys(WRITERS, 0)
        self.lines = []
        self.problem = None
        self.news = threading.Condition()
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            [f"{TOP}/lab/boot", "--kernel", kernel, "--timeout", str(timeout),
             "--pidfile", self.pidfile, *driver_options(driver, kernel),
             *(device or ("--pmem-socket", daemon.socket_path)), "--", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
            text=True, errors="replace")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.take(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def take(self, line):
        words = line.split()
        if words[:1] != ["ack"]:
            self.lines.append(line)
            if words[:1] == ["ended"]:
                self.problem = f"writer {words[1]} has ended"
            return
        writer, number = int(words[1]), int(words[2])
        if number != self.acked[writer] + 1:
            self.problem = f"{line!r} after {self.acked[writer]}"
        self.acked[writer] = number

    def wait(self, done, timeout, what):
        with self.news:
            self.news.wait_for(lambda: done() or self.problem or None in self.lines, timeout)
            if not done():
                raise Failure(f"{self.problem or 'the guest did not ' + what}\n{self.said()}")

    def said(self):
        """Everything but acknowledgements, for a message."""
        self.errors.seek(0)
        return "\n".join([x for x in self.lines if x is not None] + [self.errors.read()])

    def wait_for_line(self, start, timeout=120):
        """Wait for a line that begins so, and return it."""
        def found():
            return [x for x in self.lines if x is not None and x.startswith(start)]
        self.wait(found, timeout, f"print {start!r}")
        return found()[0]

    def commits(self):
        return sum(self.acked.values())

    def wait_for_commits(self, number, timeout=60):
        self.wait(lambda: self.commits() >= number, timeout, f"reach {number} commits")

    def acknowledged(self):
        with self.news:
            return dict(self.acked)

    def power_off(self):
        """SIGKILL to QEMU: the guest gets no chance to do anything."""
        with open(self.pidfile, encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
        status = self.finish()
        if status != 128 + signal.SIGKILL:
            raise Failure(f"the guest ended with status {status}\n{self.said()}")

    def finish(self, timeout=60):
        """Wait for the end. lab/boot's exit status."""
        status = self.process.wait(timeout)
        self.reader.join()
        self.process.stdout.close()
        return status

    def stop(self):
        """For "finally": end it, however far it is. lab/boot ends its QEMU."""
        if self.process.poll() is None:
            self.process.terminate()
            self.finish()


# The judge.

class Judge:
    """What has to hold after a power cut.

    strict: everything. A guest that sends its PREFLUSH late (the stock driver before 7.2)
    can damage what it has not acknowledged, and its file system; there only acknowledged
    commits count, after any repair.
    """

    def __init__(self, strict=True):
        self.strict = strict

    def file_system(self, image):
        """Replay the journal as the next mount would, then look for damage.

        -p repairs only what needs no operator, and that is all a sound device leaves to do.
        """
        first = tool("e2fsck", "-fp" if self.strict else "-fy", image)
        if first.returncode not in (0, 1):
            return [f"e2fsck: status {first.returncode}\n{first.stdout}"]
        second = tool("e2fsck", "-fn", image)
        if second.returncode:
            return [f"second e2fsck: status {second.returncode}\n{second.stdout}"]
        return []

    def writer(self, connection, writer, acked):
        """One writer's commits: the first ones, whole, and all that were acknowledged."""
        head = connection.execute("SELECT n FROM head WHERE w = ?", (writer,)).fetchone()
        if head is None or head[0] < acked:
            return [f"writer {writer}: commit {acked} was acknowledged, the last is {head}"]
        last = head[0] if self.strict else acked
        expected = [(n, part, payload(writer, n, part))
                    for n in range(1, last + 1) for part in (0, 1)]
        rows = connection.execute(
            "SELECT n, part, data FROM item WHERE w = ? AND (? OR n <= ?) ORDER BY n, part",
            (writer, self.strict, last)).fetchall()
        if rows != expected:
            return [f"writer {writer}: not the items of commits 1 to {last}"]
        return []

    def database(self, path, acked):
        """acked: {writer: last acknowledged commit} of this database."""
        name = os.path.basename(path)
        if not os.path.exists(path):
            return [f"{name} is gone"]
        problems = []
        connection = sqlite3.connect(path)
        try:
            result = connection.execute("PRAGMA integrity_check").fetchall()
            if self.strict and result != [("ok",)]:
                problems.append(f"{name}: integrity_check: {result}")
            for writer, number in acked.items():
                problems += [f"{name}: {p}" for p in self.writer(connection, writer, number)]
        except sqlite3.Error as error:
            problems.append(f"{name}: {error}")
        finally:
            connection.close()
        return problems

    def databases(self, directory, acked):
        problems = []
        for name, _, _, _ in DATABASES:
            if os.path.exists(f"{directory}/{name}.db-shm"):
                os.unlink(f"{directory}/{name}.db-shm")  # memory: SQLite makes it anew
            problems += self.database(f"{directory}/{name}.db", {
                w: n for w, n in acked.items() if WRITERS[w] == name})
        return problems

    def problems(self, image, acked):
        """All that is wrong with a crash image, which is repaired on the way."""
        found = self.file_system(image)
        if found:
            return found
        with tempfile.TemporaryDirectory(prefix="vdax-judge-") as scratch:
            done = tool("debugfs", "-R", f"rdump /db {scratch}", image)
            if not os.path.isdir(f"{scratch}/db"):
                return [f"no databases: {done.stdout}"]
            return self.databases(f"{scratch}/db", acked)
