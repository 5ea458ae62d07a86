#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What people do on a file system, done in user-mode Linux on a share: copy a tree, git, SQLite,
dpkg, fio. Afterwards the host's view is compared with what it must be.

usage: test_fs_workload.py copy|git|sqlite|dpkg|fio [SIZE] [-- OPTION...]

SIZE is in thousands of files, rounds or MiB; without it the test takes some seconds. A tree of the
size of a kernel's is `copy 80`. The options are the daemon's.
"""

import os
import random
import shutil
import sqlite3
import subprocess

import fstest
import vmtest
from vmtest import check, check_eq, read_text, skip

QUIET_GIT = ("git -c user.name=t -c user.email=t@example.org -c gc.auto=0 "
             "-c commit.gpgsign=false -c init.defaultBranch=main -c safe.directory='*'")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            skip(f"no {program} on this host")


def run(*words, **how):
    done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **how)
    check_eq(f"{words}: {done.stdout[-2000:]}", done.returncode, 0)
    return done.stdout


def write_random(dice, path, size):
    with open(path, "wb") as f:
        f.write(dice.randbytes(size))


def decorate(dice, path):
    """Some files have odd modes, owners, times, attributes, links."""
    choice = dice.randrange(20)
    if choice == 0:
        os.chmod(path, dice.choice([0o400, 0o755, 0o4755, 0o2711, 0o000]))
    elif choice == 1:
        os.chown(path, dice.randrange(1, 70000), dice.randrange(1, 70000))
    elif choice == 2:
        try:
            os.setxattr(path, "user.note", dice.randbytes(dice.randrange(1, 200)))
        except OSError:
            pass  # not a file system for it: then there is nothing to copy
    elif choice == 3:
        os.symlink(os.path.basename(path), path + ".link")
    elif choice == 4:
        os.link(path, path + ".hard")
    elif choice == 5:
        os.mkfifo(path + ".fifo", 0o640)
    elif choice == 6:
        os.truncate(path, dice.randrange(1, 200000))


def make_tree(top, count, seed):
    """Sizes and depths roughly as in source code: many small files, some hundred a folder."""
    dice = random.Random(seed)
    folders = [top]
    os.mkdir(top)
    for n in range(count):
        if n % 14 == 0:
            folder = f"{dice.choice(folders[-200:])}/d{n:x}"
            os.mkdir(folder)
            folders.append(folder)
        path = f"{dice.choice(folders[-30:])}/file-{n:x}.{dice.choice('cho')}"
        write_random(dice, path, min(int(dice.lognormvariate(8.3, 1.6)), 1 << 21))
        decorate(dice, path)
    for path, _, names in os.walk(top, topdown=False):
        for name in [*names, "."]:
            os.utime(os.path.join(path, name), ns=(10**18, 10**18 + dice.randrange(10**17)),
                     follow_symlinks=False)


def copy(scratch, daemon, place, size):
    """cp -a of what the host put there, cp -a of the copy, and removing a part of it."""
    # On the share: the guest's own root, which is the host's, has no attributes.
    make_tree(f"{daemon.share}/source", int(size * 1000), 1)
    want = fstest.tree(f"{daemon.share}/source")
    fstest.uml(scratch, f"""set -e
cp -a {place}/source {place}/one
cp -a {place}/one {place}/two
sums() {{ cd $1; find . -type f -exec sha256sum {{}} + | sort | sha256sum; }}
[ "$(sums {place}/source)" = "$(sums {place}/two)" ]
mv {place}/two {place}/three
cp -a {place}/one {place}/four && rm -rf {place}/four""", daemon, place, timeout=1800)
    check_eq("names", sorted(os.listdir(daemon.share)), ["one", "source", "three"])
    for name in ("source", "one", "three"):
        n = fstest.compare_trees(name, fstest.tree(f"{daemon.share}/{name}"), want)
    print(f"{n} names copied twice")


def git(scratch, daemon, place, size):
    """clone, status, commits, gc, fsck; the host's git then finds the same in it."""
    need("git")
    origin = fstest.new_folder(scratch, "origin") + "/repo"
    make_tree(origin, int(size * 1000), 2)
    run("sh", "-ec", f"""cd {origin}; find . -type p -delete; find . -type f -exec chmod u+rw {{}} +
{QUIET_GIT} init -q; {QUIET_GIT} add .; {QUIET_GIT} commit -qm one
for n in 1 2 3; do echo $n >>extra; {QUIET_GIT} add extra; {QUIET_GIT} commit -qm "n $n"; done""")
    out = fstest.uml(scratch, f"""set -e
export HOME={place} GIT_CONFIG_NOSYSTEM=1
cd {place}
{QUIET_GIT} clone -q --no-hardlinks {origin} work
cd work
{QUIET_GIT} status --porcelain | wc -l
echo changed >>extra; echo new >fresh; {QUIET_GIT} mv "$(git ls-files | tail -1)" moved
{QUIET_GIT} status --porcelain | wc -l
{QUIET_GIT} add -A; {QUIET_GIT} commit -qm two
{QUIET_GIT} checkout -qb other HEAD~2; {QUIET_GIT} checkout -q -
{QUIET_GIT} gc -q --prune=now
{QUIET_GIT} fsck --full --strict
{QUIET_GIT} status --porcelain | wc -l""", daemon, place, timeout=900)
    counts = [line.strip() for line in out.splitlines() if line.strip().isdigit()]
    check_eq(f"changes git saw: {out}", counts, ["0", "3", "0"])
    work = f"{daemon.share}/work"
    run("git", "-c", "safe.directory=*", "-C", work, "fsck", "--full", "--strict")
    check_eq("host's git status", run("git", "-c", "safe.directory=*", "-C", work, "status",
                                      "--porcelain"), "")
    run("git", "-c", "safe.directory=*", "-C", work, "diff", "--exit-code", "HEAD")
    print(run("git", "-c", "safe.directory=*", "-C", work, "count-objects", "-v").split("\n")[2])


SQLITE = """
import os, sqlite3, sys
place, rounds = sys.argv[1], int(sys.argv[2])
for mode in ("delete", "truncate", "persist", "memory", "wal"):
    db = sqlite3.connect(f"{place}/{mode}.db", isolation_level=None, timeout=30)
    if mode == "wal":   # its index is shared memory: a mapping of a file on the share
        got = db.execute("pragma journal_mode=wal").fetchone()[0]
    else:
        got = db.execute(f"pragma journal_mode={mode}").fetchone()[0]
    assert got == mode, (got, mode)
    db.execute("create table t(id integer primary key, word text, data blob)")
    db.execute("create index i on t(word)")
    pids = []
    for writer in range(2):
        pid = os.fork()
        if not pid:
            db = sqlite3.connect(f"{place}/{mode}.db", isolation_level=None, timeout=60)
            for n in range(rounds):
                db.execute("begin immediate")
                for k in range(5):
                    x = (writer * rounds + n) * 5 + k
                    db.execute("insert into t values(?, ?, ?)",
                               (x, str(x * x % 9973), bytes([x % 251]) * (x % 3000)))
                db.execute("rollback" if n % 7 == 3 else "commit")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    db.execute("update t set word = word || 'x' where id % 3 = 0")
    db.execute("delete from t where id % 5 = 4")
    db.execute("vacuum")
    assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
    db.close()
"""


def expected_rows(rounds):
    rows = []
    for writer in range(2):
        for n in range(rounds):
            for k in range(5):
                x = (writer * rounds + n) * 5 + k
                if n % 7 != 3 and x % 5 != 4:
                    word = str(x * x % 9973) + ("x" if x % 3 == 0 else "")
                    rows.append((x, word, bytes([x % 251]) * (x % 3000)))
    return rows


def sqlite(scratch, daemon, place, size):
    """Two processes write to a database in each journal mode; the host reads what they wrote."""
    need("python3")
    program = scratch.name("writer.py")
    with open(program, "w", encoding="utf-8") as f:
        f.write(SQLITE)
    fstest.uml(scratch, f"python3 {program} {place} {int(size)}", daemon, place, timeout=600)
    want = expected_rows(int(size))
    for mode in ("delete", "truncate", "persist", "memory", "wal"):
        with sqlite3.connect(f"{daemon.share}/{mode}.db") as db:
            check_eq(mode, db.execute("pragma integrity_check").fetchone()[0], "ok")
            check(db.execute("select * from t order by id").fetchall() == want,
                  f"{mode}: other rows than were written")
        db.close()
    print(f"{len(want)} rows in each of 5 databases")


def make_package(scratch, count):
    root = fstest.new_folder(scratch, "package")
    os.mkdir(f"{root}/DEBIAN")
    with open(f"{root}/DEBIAN/control", "w", encoding="utf-8") as f:
        f.write("Package: vdax-test\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\n"
                "Description: many files\n")
    with open(f"{root}/DEBIAN/conffiles", "w", encoding="utf-8") as f:
        f.write("/etc/vdax-test.conf\n")
    os.mkdir(f"{root}/etc")
    with open(f"{root}/etc/vdax-test.conf", "w", encoding="utf-8") as f:
        f.write("setting\n")
    os.mkdir(f"{root}/usr")
    make_tree(f"{root}/usr/share", count, 3)
    for folder, _, names in os.walk(root):
        for name in [*names, "."]:
            path = os.path.join(folder, name)
            # What tar in a .deb cannot say: times below a second, attributes.
            os.utime(path, (10**9, 10**9 + len(names)), follow_symlinks=False)
            for attribute in fstest.xattrs(path):
                os.removexattr(path, attribute, follow_symlinks=False)
    deb = scratch.name("package") + ".deb"
    run("dpkg-deb", "-Zgzip", "-z1", "-b", root, deb)
    return deb


def unpacked(top):
    """The tree without the times of folders, which tar leaves to the order of things."""
    found, bare = fstest.tree(top), fstest.tree(top, times=False)
    return {path: bare[path] if os.path.isdir(f"{top}/{path}") and
            not os.path.islink(f"{top}/{path}") else found[path] for path in found}


def dpkg(scratch, daemon, place, size):
    """dpkg-deb unpacks a package; dpkg installs it three times, syncing at last."""
    need("dpkg", "dpkg-deb")
    deb = make_package(scratch, int(size * 1000))
    admin = "mkdir -p root/var/lib/dpkg/updates root/var/lib/dpkg/info && " \
            ": >root/var/lib/dpkg/status && : >root/var/lib/dpkg/available"
    install = "dpkg --root=$PWD/root --force-not-root --force-unsafe-io --force-bad-path --log=/dev/null"
    script = f"""set -e
cd {place}
mkdir unpacked; dpkg-deb -x {deb} unpacked
{admin}
{install} -i {deb} >/dev/null
{install} -i {deb} >/dev/null
{install.replace('--force-unsafe-io', '')} -i {deb} >/dev/null
dpkg --root=$PWD/root -V vdax-test
dpkg --root=$PWD/root -s vdax-test | grep '^Status'"""
    out = fstest.uml(scratch, script, daemon, place, timeout=900)
    check("Status: install ok installed" in out, f"dpkg says: {out}")
    host = fstest.new_folder(scratch, "unpacked")
    run("dpkg-deb", "-x", deb, host)
    want = unpacked(host)
    n = fstest.compare_trees("dpkg-deb -x", unpacked(f"{daemon.share}/unpacked"), want)
    installed = {path: seen for path, seen in unpacked(f"{daemon.share}/root").items()
                 if not path.startswith("var")}
    fstest.compare_trees("dpkg -i", installed, want)
    print(f"{n} names unpacked and installed")


FIO = """[global]
directory={place}
size={size}m
verify=crc32c
verify_fatal=1
randrepeat=1
group_reporting
[seq]
rw=write
bs=256k
[rand]
rw=randwrite
bs=4k
fsync=200
[mixed]
rw=randrw
bssplit=512/10:4k/40:12k/30:64k/20
[direct]
rw=randwrite
bs=4k
direct=1
[vectors]
rw=randwrite
ioengine=pvsync2
bs=16k
[mapped]
rw=randwrite
ioengine=mmap
bs=4k
"""


def fio(scratch, daemon, place, size):
    """Writes with a checksum in each block, verified in the guest, and once more by the host."""
    need("fio")
    jobs = scratch.name("fio")
    with open(jobs, "w", encoding="utf-8") as f:
        f.write(FIO.format(place=place, size=int(size)))
    folder = scratch.name("state")
    os.mkdir(folder)
    fstest.uml(scratch, f"cd {folder} && fio --output={folder}/out {jobs} >/dev/null", daemon,
               place, timeout=900)
    with open(jobs, "w", encoding="utf-8") as f:
        f.write(FIO.format(place=daemon.share, size=int(size)))
    print(next(line.strip() for line in read_text(f"{folder}/out").splitlines() if "WRITE" in line))
    run("fio", "--verify_only", jobs, cwd=folder)


# Each with the size of `make check`.
WORKLOADS = {"copy": (copy, 3), "git": (git, 1.5), "sqlite": (sqlite, 40), "dpkg": (dpkg, 0.8),
             "fio": (fio, 16)}


def test(scratch, what, *words):
    options = list(words[words.index("--") + 1:]) if "--" in words else []
    size = [word for word in words[:1] if word != "--"]
    function, usual = WORKLOADS[what]
    fstest.require_uml()
    fstest.require_daemon(*options)
    daemon = fstest.FsDaemon(scratch, "--xattr", *options)
    place = fstest.new_folder(scratch, "mount")
    function(scratch, daemon, place, float(size[0]) if size else usual)


vmtest.main(test)
