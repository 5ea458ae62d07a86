/* SPDX-License-Identifier: BSD-2-Clause */
/* The size of files and where their blocks are: truncate, fallocate, holes. */
#include <limits.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/resource.h>
#include "tests/posix/posix.h"

#define KIB 1024
#define MIB (1024 * 1024)

static const off_t sizes[] = { 0,	  1,	     4095,	4096,	   4097,
			       65536,	  1000000,   3LL << 31, 1LL << 40, (1LL << 44) - 4096,
			       1LL << 50, INT64_MAX, -1,	INT64_MIN };

static void truncate_sizes(void)
{
	make_big("f", 10000, 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		with("to %lld", (long long)sizes[i]);
		T(truncate("f", sizes[i]));
		show_stat("f");
	}
	with("%s", "");
	T(truncate("f", 5000));
	show_content("f");
}

static void ftruncate_sizes(void)
{
	int fd;

	make_big("f", 10000, 2);
	fd = open("f", O_RDWR);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		with("to %lld", (long long)sizes[i]);
		T(ftruncate(fd, sizes[i]));
		show_fstat("f", fd);
	}
	with("%s", "");
	T(ftruncate(fd, 0));
	T(ftruncate(open("f", O_RDONLY), 10));
	T(ftruncate(open(".", O_RDONLY), 10));
	T(ftruncate(-1, 10));
	T(ftruncate(open("f", O_WRONLY | O_APPEND), 10));
	show_content("f");
}

static void shrink_and_grow(void)
{
	int fd;

	make_big("f", 20000, 3);
	fd = open("f", O_RDWR);
	T(ftruncate(fd, 5001));
	T(ftruncate(fd, 20000)); /* zeros, not what was there */
	show_fd_content("f", fd);
	T(pwrite(fd, "end", 3, 30000));
	show_fd_content("f", fd);
	T(truncate("f", 30001));
	show_fd_content("f", fd);
}

static void truncate_times(void)
{
	struct stat before, after;

	make_file("f", "0123456789");
	before = look("f");
	tick();
	T(truncate("f", 10));
	after = look("f");
	say("same size: changed %s", changed_times(&before, &after));
	tick();
	T(truncate("f", 5));
	before = after;
	after = look("f");
	say("smaller: changed %s", changed_times(&before, &after));
	tick();
	T(ftruncate(open("f", O_RDWR), 5));
	before = after;
	after = look("f");
	say("ftruncate, same size: changed %s", changed_times(&before, &after));
}

static void size_limit(void)
{
	struct rlimit limit = { 10000, RLIM_INFINITY };
	char buffer[4096] = "x";
	int fd;

	make_file("f", "x");
	fd = open("f", O_RDWR);
	signal(SIGXFSZ, SIG_IGN);
	MUST(setrlimit(RLIMIT_FSIZE, &limit));
	T(ftruncate(fd, 10000));
	T(ftruncate(fd, 10001));
	T(truncate("f", 20000));
	T(pwrite(fd, buffer, 4096, 9000));
	T(pwrite(fd, buffer, 4096, 10000));
	T(pwrite(fd, buffer, 1, 9999));
	T(fallocate(fd, 0, 0, 20000));
	show_stat("f");
}

static void far_writes(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char c = 0;

	T(pwrite(fd, "x", 1, 1LL << 40));
	T(pread(fd, &c, 1, 1LL << 40));
	say("got %c", c);
	show_stat("f");
	T(pwrite(fd, "x", 1, INT64_MAX));
	T(pwrite(fd, "x", 1, INT64_MAX - 1));
	T(pwrite(fd, "x", 1, -1));
	T(pread(fd, &c, 1, -1));
	T(pread(fd, &c, 1, INT64_MAX));
	T(pwrite(fd, "x", 1, 1LL << 60));
	T(lseek(fd, INT64_MAX, SEEK_SET));
	T(lseek(fd, 1, SEEK_CUR));
	T(lseek(fd, -1, SEEK_SET));
	T(lseek(fd, 5, 99));
	show_stat("f");
	T(ftruncate(fd, 100)); /* what is left is read by the runner */
}

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{ "plain", 0 },
	{ "KEEP_SIZE", FALLOC_FL_KEEP_SIZE },
	{ "PUNCH", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	{ "PUNCH alone", FALLOC_FL_PUNCH_HOLE },
	{ "ZERO", FALLOC_FL_ZERO_RANGE },
	{ "ZERO|KEEP_SIZE", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
	{ "COLLAPSE", FALLOC_FL_COLLAPSE_RANGE },
	{ "INSERT", FALLOC_FL_INSERT_RANGE },
	{ "UNSHARE", FALLOC_FL_UNSHARE_RANGE },
	{ "COLLAPSE|INSERT", FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE },
	{ "unknown", 0x4000 },
};

static const struct {
	off_t at, length;
} ranges[] = {
	{ 4096, 8192 }, { 100, 5000 }, { 15000, 30000 }, { 40960, 4096 },     { 0, 0 },
	{ -1, 10 },	{ 0, -1 },     { INT64_MAX, 1 }, { 1LL << 50, 4096 },
};

static void allocate_matrix(void)
{
	for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			int fd;

			make_big("f", 20480, 7);
			fd = open("f", O_RDWR);
			with("%s %lld+%lld", modes[m].name, (long long)ranges[i].at,
			     (long long)ranges[i].length);
			T(fallocate(fd, modes[m].mode, ranges[i].at, ranges[i].length));
			show_fd_content("f", fd);
			show_fstat("f", fd);
			close(fd);
		}
}

static void allocate_elsewhere(void)
{
	int p[2];

	make_file("f", "x");
	MUST(mkfifo("p", 0600));
	T(fallocate(open("f", O_RDONLY), 0, 0, 100));
	T(fallocate(open(".", O_RDONLY), 0, 0, 100));
	T(fallocate(open("p", O_RDWR), 0, 0, 100));
	T(fallocate(open("f", O_PATH), 0, 0, 100));
	MUST(pipe(p));
	T(fallocate(p[1], 0, 0, 100));
	T(fallocate(open("f", O_WRONLY | O_APPEND), 0, 0, 100));
	T(posix_fallocate(open("f", O_RDWR), 0, 5000));
	show_stat("f");
}

static void allocate_takes_blocks(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;

	T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, MIB));
	st = look("f");
	say("size %lld, has the blocks: %d", (long long)st.st_size, st.st_blocks >= 2048);
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB));
	st = look("f");
	say("size %lld, gave them back: %d", (long long)st.st_size, st.st_blocks < 100);
	T(fallocate(fd, 0, 100 * KIB, 100 * KIB));
	show_content("f");
	T(fchmod(fd, 06777));
	T(fallocate(fd, 0, 0, 300 * KIB));
	show_fstat("f", fd);
}

static void show_seek(int fd, const char *what, off_t at, int whence)
{
	off_t found = lseek(fd, at, whence);

	if (found < 0)
		say("%s from %lld: %s", what, (long long)at, strerrorname_np(errno));
	else
		say("%s from %lld: %lld", what, (long long)at, (long long)found);
}

static void data_and_holes(void)
{
	static const off_t from[] = { 0,       1,	4096,	 65536,	  100000,  1048576,
				      1048577, 2097152, 2101247, 2101248, 3000000, -1 };
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	MUST(ftruncate(fd, 2101248)); /* hole up to 1 MiB, 4 KiB of data, hole, 4 KiB of data */
	MUST(pwrite(fd, "data", 4, 1048576));
	MUST(pwrite(fd, "data", 4, 2097152));
	MUST(fsync(fd));
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		show_seek(fd, "data", from[i], SEEK_DATA);
		show_seek(fd, "hole", from[i], SEEK_HOLE);
	}
	show_seek(fd, "end", -1, SEEK_END);
	show_seek(fd, "here", 0, SEEK_CUR);
	fd = open("empty", O_RDWR | O_CREAT, 0644);
	show_seek(fd, "data", 0, SEEK_DATA);
	show_seek(fd, "hole", 0, SEEK_HOLE);
	fd = open(".", O_RDONLY);
	show_seek(fd, "dir data", 0, SEEK_DATA);
}

static void sparse_by_write(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;

	for (int i = 0; i < 10; i++)
		MUST(pwrite(fd, "x", 1, i * (off_t)MIB));
	MUST(fsync(fd));
	st = look("f");
	say("size %lld, sparse %d", (long long)st.st_size, st.st_blocks < 1000);
	show_content("f");
}

static const struct posix_case size_cases[] = {
	POSIX_CASE(truncate_sizes),
	POSIX_CASE(ftruncate_sizes),
	POSIX_CASE(shrink_and_grow),
	POSIX_CASE(truncate_times),
	POSIX_CASE(size_limit),
	POSIX_CASE(far_writes),
	POSIX_CASE(allocate_matrix),
	POSIX_CASE(allocate_elsewhere),
	POSIX_CASE(allocate_takes_blocks),
	POSIX_CASE(data_and_holes),
	POSIX_CASE(sparse_by_write),
};

POSIX_GROUP(size);
