# SPDX-License-Identifier: BSD-2-Clause
"""A short workload for a guest that has only busybox, and the same questions asked of the host.

It is for what differs between guests: byte order, kernels, transports. So its numbers need all
their bytes: large owners, sizes beyond 4 GiB, times, device numbers, many names.
"""

import hashlib
import os
import stat

import fstest
import vmtest
from vmtest import check_eq

FAR = 6000000000  # where there is one byte in a sparse file

PREPARE = """set -e
mkdir -p /m
mount -t virtiofs fs0 /m
cd /m
"""

# What the host has made is seen, then what is made here is told.
WORKLOAD = """
tell() { find . -exec stat -c 'stat %n %f %u %g %Y %t:%T' {} +
         find . ! -type d -exec stat -c 'link %n %h %s' {} +
         find . -type f ! -name sparse -exec sha256sum {} +
         find . -type l -exec sh -c 'echo "to $1 $(readlink "$1")"' - {} ';'
         stat -f -c 'fs %S %b %l' . ; }
tell | sed 's/^/before /'
mkdir -p a/b/c many
seq 1 30000 >a/seq
dd if=host/big of=a/copy bs=64k 2>/dev/null
dd if=a/seq of=a/copy bs=1000 seek=321 count=20 conv=notrunc 2>/dev/null
dd if=host/big of=a/odd bs=12345 skip=3 count=17 2>/dev/null
cat a/seq >>a/odd
ln a/seq a/hard
ln -s ../a/seq a/b/link
mkfifo a/fifo
mknod a/null c 1 3
mknod a/device b 259 70000
echo far | dd of=a/sparse bs=1 seek=FAR conv=notrunc 2>/dev/null
[ "$(dd if=a/sparse bs=1 skip=FAR 2>/dev/null)" = far ]
i=0
while [ $i -lt 300 ]; do echo $i >many/file$i; i=$((i + 1)); done
rm many/file1* && mv many/file200 a/b/moved && mv a/b a/c
[ "$(ls many | wc -l)" = 188 ]
chmod 4751 a/seq; chmod 1777 many; chmod 000 a/odd
chown 70001:3000000001 a/copy; chown -h 5:6 a/c/link
touch -d @1000000000 a/copy; touch -d @4000000000 a/odd
truncate -s 1000 a/hard 2>/dev/null || true
rmdir nothing 2>/dev/null && exit 41
mkdir many 2>/dev/null && exit 42
cat nothing 2>&1 | grep -q 'No such file' || exit 43
rm many 2>&1 | grep -qi 'is a directory' || exit 44
sync
tell | sed 's/^/after /'
cd /
umount /m
mount -t virtiofs fs0 /m
cd /m
sha256sum a/copy | sed 's/^/again /'
cd /
umount /m
""".replace("FAR", str(FAR))


def make_share(path):
    """What the guest is to find."""
    os.makedirs(f"{path}/host/deep/er")
    with open(f"{path}/host/big", "wb") as f:
        f.write(bytes((i * i >> 5) & 255 for i in range(1234567)))
    os.chown(f"{path}/host/big", 65536, 4000000000)
    os.utime(f"{path}/host/big", (10**9, 1234567890))
    os.symlink("/nowhere/else", f"{path}/host/link")
    os.mknod(f"{path}/host/node", 0o6604 | stat.S_IFCHR, os.makedev(300, 0x12345))
    for n in range(200):
        with open(f"{path}/host/deep/er/name-{n}", "w", encoding="ascii") as f:
            f.write("x" * n)


def tell(path):
    """What WORKLOAD's tell prints."""
    lines = set()
    for folder, folders, names in os.walk(path):
        for name in [*folders, *names, *([""] if folder == path else [])]:
            full = os.path.join(folder, name) if name else folder
            lines |= tell_one(full, "./" + os.path.relpath(full, path) if name else ".")
    fs = os.statvfs(path)
    lines.add(f"fs {fs.f_frsize} {fs.f_blocks} {fs.f_namemax}")
    return lines


def tell_one(full, name):
    st = os.lstat(full)
    device = st.st_rdev if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode) else 0
    lines = {f"stat {name} {st.st_mode:x} {st.st_uid} {st.st_gid} {int(st.st_mtime)} "
             f"{os.major(device):x}:{os.minor(device):x}"}
    if not stat.S_ISDIR(st.st_mode):
        lines.add(f"link {name} {st.st_nlink} {st.st_size}")
    if stat.S_ISLNK(st.st_mode):
        lines.add(f"to {name} {os.readlink(full)}")
    if stat.S_ISREG(st.st_mode) and not name.endswith("sparse"):
        lines.add(f"{fstest.file_hash(full)}  {name}")
    return lines


def check_same(what, output, host):
    got = {line.split(" ", 1)[1] for line in output.splitlines() if line.startswith(what + " ")}
    check_eq(f"{what}: only the guest says", sorted(got - host)[:10], [])
    check_eq(f"{what}: only the host says", sorted(host - got)[:10], [])
    return len(got)


def check_far(path):
    with open(path, "rb") as f:
        check_eq("size", os.fstat(f.fileno()).st_size, FAR + 4)
        f.seek(FAR)
        check_eq("far away", f.read(), b"far\n")


def run(scratch, kernel, *options, more=()):
    """The workload in a guest of lab/boot, and the host's view of it."""
    daemon = fstest.FsDaemon(scratch, *options, tag=None)
    make_share(daemon.share)
    before = tell(daemon.share)
    guest = boot(scratch, daemon, PREPARE + WORKLOAD, kernel, more)
    guest.finish()
    daemon.check_ended()
    output = guest.output()
    n = check_same("before", output, before) + check_same("after", output, tell(daemon.share))
    check_far(f"{daemon.share}/a/sparse")
    with open(f"{daemon.share}/a/copy", "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    check_eq("mounted again", check_same("again", output, {f"{want}  a/copy"}), 1)
    print(f"{kernel}: {n} lines equal")


def boot(scratch, daemon, script, kernel, more=(), properties=""):
    modules = [] if kernel == "s390x" else ["--modules", "virtio_pci,virtiofs"]
    words = ["--fs-device", daemon.socket + properties, *modules, *more]
    return vmtest.Guest(scratch, script, [], kernel=kernel, more=words, timeout=120)
