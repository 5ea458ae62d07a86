#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A big-endian guest, by vhost-user-fs-ccw: its numbers come in its own byte order."""

import os

import fsguest
import fstest
import vmtest


def test(scratch):
    if not os.path.exists(f"{vmtest.lab.LAB}/stamps/s390x"):
        vmtest.skip("the lab has no s390x; run: lab/fetch")
    fstest.require_daemon()
    fsguest.run(scratch, "s390x")


vmtest.main(test)
