# SPDX-License-Identifier: BSD-2-Clause
"""Our kernel modules, built for a kernel of the lab.

VDAX_KMOD names the folder that they are built in, by default build/kmod. While nothing has
changed a build takes a few milliseconds, so whoever wants a module just asks for it.
"""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "lab"))
import guest as lab  # noqa: E402

OUTPUT = os.path.abspath(os.environ.get("VDAX_KMOD", f"{TOP}/build/kmod"))


def missing():
    """Why nothing can be built here, or None."""
    if os.path.exists(f"{lab.LAB}/stamps/kbuild"):
        return None
    return f"the lab has no kbuild in {lab.LAB}: run lab/fetch"


def folder(kernel, source="kmod"):
    """Builds the modules of a folder of this tree. Returns where their files are."""
    output = os.path.join(OUTPUT, source.replace("/", "-"))
    subprocess.run([f"{TOP}/lab/kmod", "--kernel", kernel, f"{TOP}/{source}", output],
                   stdin=subprocess.DEVNULL, check=True)
    return f"{output}/{kernel}"


def vpmem(kernel):
    """The file of our driver."""
    return f"{folder(kernel)}/vpmem.ko"
