# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of vpmem.ko in guests share: where the module comes from, the two devices that
it is tested with, and a log that has some complaints on purpose."""

import re
import sys

import vmtest
from vmtest import check_eq

sys.path.insert(0, f"{vmtest.TOP}/tests/lib")
import kmodbuild  # noqa: E402
import vmload  # noqa: E402,F401

DEVICES = ("vdax", "qemu")

# Functions for the guest's scripts.
FUNCTIONS = """
set -ex    # a failed test shows the last steps
await() {    # COMMAND...: until it succeeds
    for i in $(seq 500); do
        "$@" 2>/dev/null && return
        usleep 20000
    done
    echo "no: $*" >&2
    return 1
}
fails() {    # ERROR COMMAND...: it has to fail, and to say so
    error=$1
    shift
    said=$("$@" 2>&1) && { echo "does not fail: $*" >&2; return 1; }
    case $said in
    *"$error"*) ;;
    *) echo "fails otherwise: $*: $said" >&2; return 1 ;;
    esac
}
same() {    # WHAT GOT WANT
    [ "$2" = "$3" ] || { echo "$1: got '$2', want '$3'" >&2; return 1; }
}
"""


class Disk:
    """An image, and the device that shows it to a guest: our daemon's or QEMU's own."""

    def __init__(self, s, device, image):
        self.image = image
        self.daemon = s.daemon(image) if device == "vdax" else None

    def options(self):
        return [] if self.daemon else ["--pmem-file", self.image]

    def end(self, **want):
        """The daemon has nothing to say, and its statistics are these."""
        if self.daemon:
            self.daemon.check_stat(latched_errno=0, flushes_failed=0, **want)
            self.daemon.stop_cleanly()


def boot(s, script, disk, kernel, more=(), **options):
    """A guest with the driver loaded. The script stops at the first command that fails."""
    more = ["--modules", "virtio_pci", "--module", kmodbuild.vpmem(kernel), *disk.options(), *more]
    daemons = [disk.daemon] if disk.daemon else []
    guest = s.guest(FUNCTIONS + script, *daemons, kernel=kernel, more=more, **options)
    s.logs.append(guest.kernel_log)
    return guest


def check_log(guest, expected):
    """A guest that was booted with --allow-warnings: it has no complaints but the expected."""
    complaint = re.compile(vmtest.lab.COMPLAINT.pattern.decode())
    lines = [line for line in vmtest.read_text(guest.kernel_log).splitlines()
             if complaint.search(line) and not re.search(expected, line)]
    check_eq("complaints of the kernel", lines, [])


def main(test):
    if kmodbuild.missing():
        vmtest.skip(kmodbuild.missing())
    vmtest.main(test)
