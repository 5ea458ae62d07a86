# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of virtio-fs with real guests share, beside vmtest.

VDAX_FS_DAEMON names another daemon with the same options, to see what a test says of it; the
default is `vdax fs`. A test that must not skip what its own daemon lacks asks is_peer().
"""

import hashlib
import os
import re
import shlex
import stat
import subprocess

import vmtest
from vmtest import TOP, VDAX, check, check_eq, read_text, skip, wait_until

LISTENS = "Waiting for vhost-user socket connection"

# In what a daemon may say; anything else of warning or worse fails the test.
COMPLAINT = re.compile(r"panicked|WARN|ERROR|warning|error|AddressSanitizer|runtime error")
# Of the Rust daemon: it may not raise its limit of descriptors.
HARMLESS = re.compile(r"Failure when trying to set the limit")


def is_peer():
    return "VDAX_FS_DAEMON" in os.environ


def daemon_words():
    return shlex.split(os.environ["VDAX_FS_DAEMON"]) if is_peer() else [VDAX, "fs"]


def require_daemon(*options):
    """Skips what a peer does not have; ours has it."""
    if os.geteuid():
        skip("the daemon's files need root here")
    done = subprocess.run([*daemon_words(), "--help"], text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL)
    check_eq(f"--help: {done.stderr}", done.returncode, 0)
    for option in options:
        if is_peer() and option.startswith("--") and option.split("=")[0] not in done.stdout:
            skip(f"the peer has no {option}")


class FsDaemon:
    """A daemon that serves a folder, by default a new one, to one guest."""

    def __init__(self, scratch, *options, share=None, tag="fs0"):
        self.share = share or new_folder(scratch, "share")
        self.tag = tag
        self.socket = scratch.name("fs")
        self.log = scratch.name("fs.log")
        # The tag is for user-mode Linux, which asks the daemon; QEMU has its own.
        words = ["--tag", tag] if tag else []
        self.process = scratch.start(
            [*daemon_words(), "--socket-path", self.socket, "--shared-dir", self.share,
             *words, *options], self.log)
        wait_until(self.listens, "the daemon listens", 20)

    def listens(self):
        check(self.process.poll() is None, f"the daemon ended: {read_text(self.log)}")
        return LISTENS in read_text(self.log)

    def alive(self):
        return self.process.poll() is None

    def check_ended(self):
        """It goes with its front end, quietly, and leaves nothing."""
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            raise vmtest.Failure("the daemon does not end with its front end") from None
        check_eq(f"status of the daemon\n{read_text(self.log)}", status, 0)
        self.check_quiet()

    def check_quiet(self):
        check_eq("complaints of the daemon",
                 [line for line in read_text(self.log).splitlines()
                  if COMPLAINT.search(line) and not HARMLESS.search(line)], [])


def new_folder(scratch, kind):
    """An empty folder that users other than root can reach."""
    os.chmod(scratch.path, 0o755)
    path = scratch.name(kind)
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


def uml(scratch, script, daemon, place, timeout=120, memory="512M"):
    """Runs a script in user-mode Linux, with the share at place; checks the end of both."""
    log = scratch.name("uml.err")
    out = scratch.name("uml.out")
    script = f"mount -t virtiofs {daemon.tag} {place} || exit 99\n{script}\n" \
             f"status=$?\ncd /\numount {place} || exit 98\nexit $status"
    with open(out, "wb") as f:
        process = scratch.start([f"{TOP}/lab/uml", "--timeout", str(timeout), "--memory", memory,
                                 "--fs-socket", daemon.socket, "--", script], log, stdout=f)
    scratch.logs.append(out)
    # A guest whose daemon has gone waits for ever.
    wait_until(lambda: process.poll() is not None or daemon.process.poll(), "the guest ends",
               timeout + 30)
    check(not daemon.process.poll(),
          f"the daemon ended with {daemon.process.returncode}: {read_text(daemon.log)[-2000:]}")
    check_eq("status of the guest (99: no mount, 98: no unmount)", process.wait(), 0)
    daemon.check_ended()
    return read_text(out)


def require_uml():
    for part in ("root", "bin", "uml"):
        if not os.path.exists(f"{vmtest.lab.LAB}/stamps/{part}"):
            skip(f"the lab has no {part}; run: lab/fetch")


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while data := f.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def xattrs(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if name != "security.selinux"}


def describe(path, times):
    """All that two copies of a file have in common."""
    st = os.lstat(path)
    seen = [oct(st.st_mode), st.st_uid, st.st_gid]
    if not stat.S_ISDIR(st.st_mode):
        seen.append(st.st_nlink)
    if times:
        seen.append(st.st_mtime_ns)
    if stat.S_ISREG(st.st_mode):
        seen += [st.st_size, file_hash(path)]
    elif stat.S_ISLNK(st.st_mode):
        seen.append(os.readlink(os.fsencode(path)))
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        seen.append(st.st_rdev)
    return (*seen, xattrs(path))


def tree(top, times=True):
    """{path: what describe() says} of everything below top."""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = describe(path, times)
    return found


def compare_trees(what, got, want, allowed=lambda path: False):
    wrong = [f"{path}: {got.get(path)}, want {want.get(path)}"
             for path in sorted(got.keys() | want.keys())
             if got.get(path) != want.get(path) and not allowed(path)]
    check(not wrong, f"{what}: {len(wrong)} of {len(want)} differ:\n" + "\n".join(wrong[:20]))
    return len(want)
