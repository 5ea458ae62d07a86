#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A page of vpmem.ko's memory is lost, as by a memory error of the host: an error for who uses it,
no panic, and good again once it is written. usage: test_kmod_lost_page.py KERNEL"""

import os

import kmodguest
import vmtest

SCRIPT = """
mount -t {fs} -o dax /dev/vpmem0 /m
/lose_page /m/file
umount /m
"""
PROGRAM = os.environ.get("VDAX_LOSE_PAGE", f"{vmtest.TOP}/build/tests/vm/vdax-lose-page")


def test(s, kernel):
    image = s.image(512 * vmtest.MIB)
    disk = kmodguest.Disk(s, "vdax", image)
    script = "mkdir -p /m\n"
    for fs, make in (("ext4", "mkfs.ext4 -q -b 4096"), ("xfs", "mkfs.xfs -q -f")):
        script += f"{make} /dev/vpmem0 >&2\n" + SCRIPT.format(fs=fs)
    guest = kmodguest.boot(s, script, disk, kernel, more=["--add", f"{PROGRAM}:/lose_page"])
    guest.finish()
    disk.end()


kmodguest.main(test)
