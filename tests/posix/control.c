/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctl(): the flags of files, and everything else, which is not for files. */
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <termios.h>
#include "tests/posix/posix.h"

/* Of the flags only what a caller can set; extents and such are the file system's own. */
#define SHOWN \
	(FS_APPEND_FL | FS_IMMUTABLE_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL | FS_DIRSYNC_FL)

static int get_flags(int fd)
{
	int flags = 0;

	if (T(ioctl(fd, FS_IOC_GETFLAGS, &flags)) == 0)
		say("flags %#x", (unsigned)(flags & (int)SHOWN));
	return flags;
}

static void set_flags(int fd, int flags)
{
	T(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static void need_flags(void)
{
	int flags, fd;

	make_file("f", "content");
	fd = open("f", O_RDONLY);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		skip("no FS_IOC_GETFLAGS");
	close(fd);
	make_dir("d", 0755);
}

static void flags(void)
{
	static const int each[] = { FS_NODUMP_FL,
				    FS_NOATIME_FL,
				    FS_SYNC_FL,
				    FS_DIRSYNC_FL,
				    FS_NODUMP_FL | FS_NOATIME_FL,
				    0x40000000 };
	int f, d, base;

	need_flags();
	f = open("f", O_RDONLY);
	d = open("d", O_RDONLY);
	base = get_flags(f);
	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		with("flags %#x", (unsigned)each[i]);
		set_flags(f, (base & ~(int)SHOWN) | each[i]);
		get_flags(f);
		set_flags(d, each[i]);
		get_flags(d);
	}
}

static void append_only(void)
{
	int fd, base;

	need_flags();
	fd = open("f", O_RDONLY);
	base = get_flags(fd);
	set_flags(fd, base | FS_APPEND_FL);
	get_flags(fd);
	FD(open("f", O_WRONLY));
	FD(open("f", O_WRONLY | O_TRUNC));
	T(write(FD(open("f", O_WRONLY | O_APPEND)), "more", 4));
	T(truncate("f", 0));
	T(unlink("f"));
	T(rename("f", "g"));
	T(chmod("f", 0600));
	set_flags(fd, base & ~FS_APPEND_FL);
	T(truncate("f", 2));
	show_content("f");
}

static void immutable(void)
{
	int fd, base;

	need_flags();
	fd = open("f", O_RDONLY);
	base = get_flags(fd);
	set_flags(fd, base | FS_IMMUTABLE_FL);
	FD(open("f", O_WRONLY));
	FD(open("f", O_WRONLY | O_APPEND));
	T(truncate("f", 0));
	T(unlink("f"));
	T(link("f", "l"));
	T(rename("f", "g"));
	T(chmod("f", 0600));
	T(chown("f", 1, 1));
	T(utimensat(AT_FDCWD, "f", NULL, 0));
	set_flags(fd, base & ~FS_IMMUTABLE_FL);
	T(truncate("f", 2));
	show_content("f");
}

static void by_users(void)
{
	int fd, base;

	need_flags();
	MUST(chown("f", 1000, 1000));
	fd = open("f", O_RDONLY);
	base = get_flags(fd);
	as_user(1000, 1000, NULL);
	set_flags(fd, base | FS_NODUMP_FL);
	set_flags(fd, base | FS_NODUMP_FL | FS_IMMUTABLE_FL);
	get_flags(fd);
	as_root();
	as_user(1001, 1001, NULL);
	set_flags(fd, base);
	get_flags(fd);
	as_root();
	close(fd);
	MUST(chmod("f", 0600));
	fd = open("f", O_RDONLY);
	as_user(1001, 1001, NULL);
	set_flags(fd, base);
	as_root();
}

static void extended(void)
{
	struct fsxattr x = { 0 };
	int fd;

	need_flags();
	fd = open("f", O_RDONLY);
	T(ioctl(fd, FS_IOC_FSGETXATTR, &x));
	say("flags %#x project %u extent %u", x.fsx_xflags, x.fsx_projid, x.fsx_extsize);
	x.fsx_xflags |= FS_XFLAG_NODUMP;
	T(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	memset(&x, 0, sizeof(x));
	T(ioctl(fd, FS_IOC_FSGETXATTR, &x));
	say("flags %#x", x.fsx_xflags);
	get_flags(fd);
	x.fsx_xflags |= FS_XFLAG_IMMUTABLE;
	as_user(1001, 1001, NULL);
	T(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	as_root();
	x.fsx_xflags = 0xffffffff;
	T(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	fd = open("d", O_RDONLY);
	T(ioctl(fd, FS_IOC_FSGETXATTR, &x));
}

static void verity(void)
{
	struct fsverity_enable_arg arg = { .version = 1, .hash_algorithm = 1, .block_size = 4096 };
	uint64_t space[16] = { 0 };
	struct fsverity_digest *digest = (struct fsverity_digest *)space;
	int fd;

	make_big("f", 20000, 4);
	fd = open("f", O_RDONLY);
	T(ioctl(fd, FS_IOC_ENABLE_VERITY, &arg));
	digest->digest_size = 64;
	T(ioctl(fd, FS_IOC_MEASURE_VERITY, digest));
	T(ioctl(open("f", O_RDWR), FS_IOC_ENABLE_VERITY, &arg));
}

static void others(void)
{
	struct termios t;
	int fd, dir = open(".", O_RDONLY), number = 0;

	make_file("f", "content");
	fd = open("f", O_RDWR);
	say("isatty %d", isatty(fd));
	T(ioctl(fd, TCGETS, &t));
	T(ioctl(dir, TCGETS, &t));
	T(ioctl(fd, TIOCGWINSZ, &(struct winsize){ 0 }));
	T(ioctl(fd, BLKGETSIZE64, &(uint64_t){ 0 }));
	T(ioctl(fd, 0x12345678, &number));
	T(ioctl(fd, 0, 0));
	T(ioctl(fd, FIONREAD, &number));
	say("to read %d", number);
	T(ioctl(fd, FIOCLEX, 0));
	T(ioctl(fd, FIONBIO, &(int){ 1 }));
	T(ioctl(fd, FIGETBSZ, &number));
	say("block %d", number);
	T(ioctl(open("f", O_PATH), FS_IOC_GETFLAGS, &number));
	T(ioctl(-1, FS_IOC_GETFLAGS, &number));
}

static const struct posix_case control_cases[] = {
	POSIX_CASE(flags),    POSIX_CASE(append_only), POSIX_CASE(immutable), POSIX_CASE(by_users),
	POSIX_CASE(extended), POSIX_CASE(verity),      POSIX_CASE(others),
};

POSIX_GROUP(control);
