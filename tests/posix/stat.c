/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes and times. */
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include "tests/posix/posix.h"

static const struct {
	const char *name;
	struct timespec at, mt;
} stamps[] = {
	{ "zero", { 0, 0 }, { 0, 0 } },
	{ "ns", { 1000000000, 1 }, { 1000000001, 999999999 } },
	{ "before 1970", { -1, 500000000 }, { -1000000, 1 } },
	{ "after 2038", { 1LL << 31, 7 }, { (1LL << 32) + 5, 8 } },
	{ "far", { 1LL << 33, 0 }, { 15000000000, 123456789 } },
	{ "very far", { 1LL << 40, 0 }, { INT64_MAX, 0 } },
	{ "very early", { -(1LL << 31), 0 }, { -(1LL << 40), 0 } },
	{ "omit m", { 5, 6 }, { 0, UTIME_OMIT } },
	{ "omit a", { 0, UTIME_OMIT }, { 7, 8 } },
	{ "omit both", { 0, UTIME_OMIT }, { 0, UTIME_OMIT } },
	{ "bad ns", { 0, 1000000000 }, { 0, 0 } },
	{ "negative ns", { 0, -1 }, { 0, 0 } },
};

static void say_times(const char *what, const struct stat *st)
{
	say("%s atime %lld.%09ld mtime %lld.%09ld", what, (long long)st->st_atim.tv_sec,
	    st->st_atim.tv_nsec, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static void set_times(void)
{
	static const struct timespec start[2] = { { 100, 100 }, { 200, 200 } };
	struct stat st;

	make_file("f", "x");
	MUST(symlink("f", "l"));
	make_dir("d", 0755);
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		struct timespec t[2] = { stamps[i].at, stamps[i].mt };

		with("%s", stamps[i].name);
		MUST(utimensat(AT_FDCWD, "f", start, 0));
		T(utimensat(AT_FDCWD, "f", t, 0));
		st = look("f");
		say_times("f", &st);
		T(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
		st = look("l");
		if (t[0].tv_nsec != UTIME_OMIT && t[1].tv_nsec != UTIME_OMIT && t[0].tv_nsec >= 0 &&
		    t[0].tv_nsec < 1000000000)
			say_times("l", &st);
		T(utimensat(AT_FDCWD, "d", t, 0));
		T(futimens(open("d", O_RDONLY), t));
	}
	with("%s", "");
	T(utimensat(AT_FDCWD, "missing", start, 0));
	T(utimensat(AT_FDCWD, "f/x", start, 0));
	T(utimensat(AT_FDCWD, "f", start, 0x1));
}

static bool is_recent(struct timespec t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return t.tv_sec >= now.tv_sec - 20 && t.tv_sec <= now.tv_sec + 5;
}

static void set_now(void)
{
	static const struct timespec start[2] = { { 100, 100 }, { 200, 200 } };
	static const struct {
		const char *name;
		long a, m;
	} which[] = { { "both", UTIME_NOW, UTIME_NOW },
		      { "a only", UTIME_NOW, UTIME_OMIT },
		      { "m only", UTIME_OMIT, UTIME_NOW },
		      { "a, m set", UTIME_NOW, 5 } };
	struct stat st;

	make_file("f", "x");
	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		struct timespec t[2] = { { 0, which[i].a }, { 0, which[i].m } };

		MUST(utimensat(AT_FDCWD, "f", start, 0));
		with("%s", which[i].name);
		T(utimensat(AT_FDCWD, "f", t, 0));
		st = look("f");
		say("a recent %d m recent %d c recent %d", is_recent(st.st_atim),
		    is_recent(st.st_mtim), is_recent(st.st_ctim));
	}
	MUST(utimensat(AT_FDCWD, "f", start, 0));
	T(utimensat(AT_FDCWD, "f", NULL, 0));
	st = look("f");
	say("a recent %d m recent %d", is_recent(st.st_atim), is_recent(st.st_mtim));
}

static void who_sets_times(void)
{
	static const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	static const struct timespec one[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	static const struct timespec then[2] = { { 5, 5 }, { 6, 6 } };
	static const struct timespec none[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };

	make_file("f", "x");
	MUST(chown("f", 1000, 1000));
	for (mode_t mode = 0; mode <= 0666; mode += 0222)
		for (uid_t uid = 1000; uid <= 1001; uid++) {
			MUST(chmod("f", mode));
			as_user(uid, uid, NULL);
			with("mode %04o by %u", mode, uid);
			T(utimensat(AT_FDCWD, "f", NULL, 0));
			T(utimensat(AT_FDCWD, "f", now, 0));
			T(utimensat(AT_FDCWD, "f", one, 0));
			T(utimensat(AT_FDCWD, "f", then, 0));
			T(utimensat(AT_FDCWD, "f", none, 0));
			as_root();
		}
}

static void extended(void)
{
	static const unsigned masks[] = {
		0,	     STATX_TYPE,	STATX_SIZE,
		STATX_BTIME, STATX_BASIC_STATS, STATX_BASIC_STATS | STATX_BTIME,
		0x80000000u
	};
	static const char *const names[] = { "f", "d", "l", ".", "p", "missing", "f/x", "" };
	struct statx x;

	make_file("f", "content");
	make_dir("d", 01755);
	MUST(symlink("f", "l"));
	MUST(mkfifo("p", 0600));
	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
			memset(&x, 0, sizeof(x));
			with("%s mask %#x", names[n], masks[i]);
			if (T(statx(AT_FDCWD, names[n], AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
				    masks[i], &x)))
				continue;
			/* There may be more than was asked for, and it may be old. */
			say("asked for %d type %o", !(masks[i] & STATX_BASIC_STATS & ~x.stx_mask),
			    x.stx_mode & S_IFMT);
			if ((masks[i] & STATX_BASIC_STATS) == STATX_BASIC_STATS)
				say("mode %06o links %u owner %u:%u", x.stx_mode, x.stx_nlink,
				    x.stx_uid, x.stx_gid);
			if (masks[i] & STATX_BTIME)
				say("btime there %d recent %d", (x.stx_mask & STATX_BTIME) != 0,
				    is_recent((struct timespec){ .tv_sec = x.stx_btime.tv_sec }));
		}
	with("%s", "");
	T(statx(AT_FDCWD, "f", 0x6000, STATX_BASIC_STATS, &x));
	T(statx(open("f", O_PATH), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
	say("size %llu", (unsigned long long)x.stx_size);
	T(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &x));
	say("size %llu", (unsigned long long)x.stx_size);
}

static void birth_stays(void)
{
	struct statx a, b;

	make_file("f", "x");
	MUST(statx(AT_FDCWD, "f", 0, STATX_BTIME, &a));
	if (!(a.stx_mask & STATX_BTIME))
		skip("no birth time");
	tick();
	MUST(chmod("f", 0600));
	make_file("f", "other");
	MUST(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 1, 1 }, { 2, 2 } }, 0));
	MUST(rename("f", "g"));
	MUST(statx(AT_FDCWD, "g", AT_STATX_FORCE_SYNC, STATX_BTIME | STATX_BASIC_STATS, &b));
	say("same birth %d",
	    a.stx_btime.tv_sec == b.stx_btime.tv_sec && a.stx_btime.tv_nsec == b.stx_btime.tv_nsec);
	say("other change %d", b.stx_ctime.tv_nsec != b.stx_btime.tv_nsec);
}

static void file_system(void)
{
	struct statvfs v;
	struct statfs s;

	MUST(statvfs(".", &v));
	say("block %lu fragment %lu names %lu", v.f_bsize, v.f_frsize, v.f_namemax);
	say("blocks %llu files %llu", (unsigned long long)v.f_blocks,
	    (unsigned long long)v.f_files);
	say("free sane %d, available sane %d", v.f_bfree <= v.f_blocks, v.f_bavail <= v.f_bfree);
	MUST(statfs(".", &s));
	say("block %ld names %ld", (long)s.f_bsize, (long)s.f_namelen);
	make_file("f", "x");
	T(statvfs("f", &v));
	T(fstatvfs(open("f", O_RDONLY), &v));
	T(statvfs("missing", &v));
	T(statvfs("f/x", &v));
	say("read-only %lu", v.f_flag & ST_RDONLY);
	say("pathconf names %ld links>1 %d path %ld", pathconf(".", _PC_NAME_MAX),
	    pathconf(".", _PC_LINK_MAX) > 1, pathconf(".", _PC_PATH_MAX));
}

static void numbers(void)
{
	struct stat a, b, d;

	make_file("a", "x");
	make_file("b", "y");
	make_dir("d", 0755);
	a = look("a");
	b = look("b");
	d = look("d");
	say("inodes differ %d, one device %d", a.st_ino != b.st_ino && a.st_ino != d.st_ino,
	    a.st_dev == b.st_dev && a.st_dev == d.st_dev);
	say("inode sane %d, block size %ld", a.st_ino > 1, (long)a.st_blksize);
	MUST(rename("a", "c"));
	b = look("c");
	say("inode stays %d", a.st_ino == b.st_ino);
	make_big("big", 100000, 1);
	MUST(fsync(open("big", O_RDONLY)));
	a = look("big");
	say("blocks %lld", (long long)a.st_blocks);
}

static void access_time(void)
{
	struct stat st;
	char c;

	make_file("f", "content");
	MUST(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 100, 0 }, { 200, 0 } }, 0));
	T(read(open("f", O_RDONLY | O_NOATIME), &c, 1));
	st = look("f");
	say_times("f", &st);
	MUST(symlink("f", "l"));
	T(readlink("l", &c, 1));
}

static const struct posix_case stat_cases[] = {
	POSIX_CASE(set_times), POSIX_CASE(set_now),	POSIX_CASE(who_sets_times),
	POSIX_CASE(extended),  POSIX_CASE(birth_stays), POSIX_CASE(file_system),
	POSIX_CASE(numbers),   POSIX_CASE(access_time),
};

POSIX_GROUP(stat);
