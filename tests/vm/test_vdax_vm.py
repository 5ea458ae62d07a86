#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax vm`: the guest has the image mounted with DAX, its status comes back, nothing is left
behind. usage: test_vdax_vm.py KERNEL"""

import re

import vmtest
from vmtest import check, check_eq


def test(s, kernel):
    image = s.ext4(64 * vmtest.MIB)
    options = ["vm", "--kernel", kernel, "--pmem", image]
    done = vmtest.vdax(*options, "--", "cat /proc/mounts; echo kept >/mnt/pmem0/file; "
                       "sync /mnt/pmem0/file; echo complaint >&2; exit 7")
    check_eq(f"exit status ({done.stderr})", done.returncode, 7)
    check(re.search(r"^/dev/pmem0 /mnt/pmem0 ext4 .*dax=always", done.stdout, re.M),
          f"no DAX mount: {done.stdout}")
    check("complaint" in done.stderr, f"its stderr is missing: {done.stderr}")
    vmtest.check_ext4(image)
    check_eq("the file", vmtest.read_ext4(image, "/file"), "kept\n")

    done = vmtest.vdax(*options, "--dry-run")
    check_eq(f"exit status of --dry-run ({done.stderr})", done.returncode, 0)
    for word in ("vhost-user-test-device-pci", "virtio-id=27", "vdax", image):
        check(word in done.stdout, f"--dry-run does not show {word}: {done.stdout}")

    daemon = s.daemon(image)  # the image is not in use any more
    daemon.stop_cleanly()


vmtest.main(test)
