#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fio writes blocks with checksums to files on DAX, by mappings, pwrite and asynchronous I/O, and
verifies them; then the host verifies them, too. usage: test_dax_fio.py KERNEL [MIB-OF-EACH]"""

import os
import shutil
import subprocess

import daxtest
import vmtest
from vmtest import MIB, check, check_eq

MODES = ("inode", "always")
JOBS = """[global]
directory={place}
size={size}
verify=crc32c
verify_fatal=1
randseed=7
overwrite=1
[mmap]
filename={mode}-mmap
rw=randwrite
bs=4k
ioengine=mmap
[psync]
stonewall
filename={mode}-psync
rw=randwrite
bsrange=512-64k
ioengine=psync
[libaio]
stonewall
filename={mode}-libaio
rw=write
bs=16k
iodepth=8
ioengine=libaio
"""

SCRIPT = """
for mode in inode always; do
    share $mode
    dax_map $mode-mmap dax
    cd /tmp
    fio --output=out /jobs-$mode >&2 || { tail -n 30 out >&2; exit 60; }
    echo "$mode: $(grep -c 'err= 0' out) jobs"
    unshare_it
done
"""


def write_jobs(path, place, mode, size):
    with open(path, "w", encoding="ascii") as f:
        f.write(JOBS.format(place=place, mode=mode, size=size))
    return path


def test(s, kernel, size="8"):
    fio = shutil.which("fio") or vmtest.skip("no fio on this host")
    size = int(size) * MIB
    daemon = daxtest.Daemon(s, "64M", *daxtest.ALL_FILES)
    more = ["--memory", "768M", "--add", f"{fio}:/bin/fio"]
    for mode in MODES:
        for engine in ("mmap", "psync", "libaio"):
            daxtest.make_file(daemon.path(f"{mode}-{engine}"), size)
        jobs = write_jobs(s.name("jobs"), "/m", mode, size)
        more += ["--add", f"{jobs}:/jobs-{mode}"]
    guest = daxtest.boot(s, [daemon], SCRIPT, kernel, more=more, timeout=1000)
    guest.finish()
    daemon.check_ended()
    check_eq("jobs", guest.output().splitlines(), [f"{mode}: 3 jobs" for mode in MODES])
    for mode in MODES:
        jobs = write_jobs(s.name("jobs"), daemon.share, mode, size)
        done = subprocess.run([fio, "--verify_only", jobs], cwd=s.path, text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        check(done.returncode == 0 and done.stdout.count("err= 0") == 3,
              f"the host's fio: {done.stdout[-3000:]}{done.stderr}")
        check_eq("sizes", {os.path.getsize(daemon.path(f"{mode}-{e}"))
                           for e in ("mmap", "psync", "libaio")}, {size})


vmtest.main(test)
