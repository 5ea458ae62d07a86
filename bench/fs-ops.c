/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times single operations on one or more directories, in turn: for bench/fs-uml, in a guest.
 *
 *	fs-ops ROUNDS COUNT DIR...
 *
 * Each operation is done ROUNDS times COUNT times in each directory, round by round from one
 * directory to the next. Prints for each operation and directory a line: the name, the number
 * of the directory from 0, and the median and the 90th percentile in nanoseconds. Whoever reads it
 * wants medians: user-mode Linux misses an interrupt now and then, and that costs milliseconds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES	 20
#define FILE_LEN (1 << 20)
#define PAGE	 4096

static const char *what;
static char *page;
static int direct; /* "big", open with O_DIRECT */

static void must(int ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "fs-ops: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	must(fd);
	close(fd);
}

static void op_statfs(unsigned i)
{
	struct statfs s;

	(void)i;
	must(statfs(".", &s));
}

/* Whatever the guest remembers, it asks. */
static void op_getattr(unsigned i)
{
	struct statx s;

	(void)i;
	must(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &s));
}

static void op_lookup_none(unsigned i)
{
	struct stat s;

	(void)i;
	if (!stat("no-such-file", &s))
		must(-1);
}

static void op_chmod(unsigned i)
{
	must(chmod("file", i & 1 ? 0600 : 0644));
}

static void op_create(unsigned i)
{
	(void)i;
	make("new");
}

static void op_make_new(unsigned i)
{
	(void)i;
	make("new");
}

static void op_unlink(unsigned i)
{
	(void)i;
	must(unlink("new"));
}

static void op_mkdir(unsigned i)
{
	(void)i;
	must(mkdir("newdir", 0755));
}

static void op_rmdir(unsigned i)
{
	(void)i;
	must(rmdir("newdir"));
}

static void op_symlink(unsigned i)
{
	(void)i;
	must(symlink("somewhere", "new"));
}

static void op_rename(unsigned i)
{
	must(i & 1 ? rename("b", "a") : rename("a", "b"));
}

static void op_open(unsigned i)
{
	int fd = open("file", O_RDWR);

	(void)i;
	must(fd);
	close(fd);
}

static void op_open_read(unsigned i)
{
	int fd = open("file", O_RDONLY);

	(void)i;
	must(fd);
	must((int)read(fd, page, PAGE));
	close(fd);
}

static off_t place(unsigned i)
{
	return (off_t)(i * 2654435761u % (FILE_LEN / PAGE)) * PAGE;
}

static void op_read(unsigned i)
{
	must((int)pread(direct, page, PAGE, place(i)));
}

static void op_write(unsigned i)
{
	must((int)pwrite(direct, page, PAGE, place(i)));
}

static void op_readdir(unsigned i)
{
	DIR *d = opendir("list");

	(void)i;
	must(d ? 0 : -1);
	while (readdir(d))
		;
	closedir(d);
}

static const struct {
	const char *name;
	void (*before)(unsigned i), (*timed)(unsigned i), (*after)(unsigned i);
} ops[] = {
	{ "statfs", NULL, op_statfs, NULL },
	{ "getattr", NULL, op_getattr, NULL },
	{ "lookup, no such file", NULL, op_lookup_none, NULL },
	{ "chmod", NULL, op_chmod, NULL },
	{ "create+close", NULL, op_create, op_unlink },
	{ "unlink", op_make_new, op_unlink, NULL },
	{ "mkdir", NULL, op_mkdir, op_rmdir },
	{ "rmdir", op_mkdir, op_rmdir, NULL },
	{ "symlink", NULL, op_symlink, op_unlink },
	{ "rename", NULL, op_rename, NULL },
	{ "open+close", NULL, op_open, NULL },
	{ "open+read+close", NULL, op_open_read, NULL },
	{ "read 4 KiB", NULL, op_read, NULL },
	{ "write 4 KiB", NULL, op_write, NULL },
	{ "readdir, 20 names", NULL, op_readdir, NULL },
};

static void fill(const char *dir)
{
	char name[32];
	int fd;

	must(chdir(dir));
	make("a");
	must(mkdir("list", 0755));
	for (unsigned i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "list/name-%u", i);
		make(name);
	}
	fd = open("big", O_WRONLY | O_CREAT, 0644);
	must(fd);
	for (unsigned i = 0; i < FILE_LEN / PAGE; i++)
		must((int)write(fd, page, PAGE));
	close(fd);
	fd = open("file", O_WRONLY | O_CREAT, 0644);
	must(fd);
	must((int)write(fd, page, PAGE));
	close(fd);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void run(size_t op, unsigned count, uint64_t *times)
{
	direct = open("big", O_RDWR | O_DIRECT);
	must(direct);
	for (unsigned i = 0; i < count; i++) {
		uint64_t began;

		if (ops[op].before)
			ops[op].before(i);
		began = now_ns();
		ops[op].timed(i);
		times[i] = now_ns() - began;
		if (ops[op].after)
			ops[op].after(i);
	}
	close(direct);
}

int main(int argc, char **argv)
{
	unsigned rounds, count, n = argc > 3 ? (unsigned)argc - 3 : 0;
	uint64_t *times;

	if (!n)
		return 2;
	rounds = (unsigned)atoi(argv[1]);
	count = (unsigned)atoi(argv[2]) & ~1u; /* a rename to and fro */
	times = calloc((size_t)n * rounds * count, sizeof(*times));
	what = "setting up";
	must(times && !posix_memalign((void **)&page, PAGE, PAGE) ? 0 : -1);
	memset(page, 'x', PAGE);
	for (unsigned d = 0; d < n; d++)
		fill(argv[3 + d]);
	for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
		what = ops[op].name;
		for (unsigned r = 0; r < rounds; r++) {
			for (unsigned d = 0; d < n; d++) {
				must(chdir(argv[3 + d]));
				run(op, count, times + ((size_t)d * rounds + r) * count);
			}
		}
		for (unsigned d = 0; d < n; d++) {
			uint64_t *t = times + (size_t)d * rounds * count;

			qsort(t, (size_t)rounds * count, sizeof(*t), compare);
			printf("%s\t%u\t%llu\t%llu\n", what, d,
			       (unsigned long long)t[rounds * count / 2],
			       (unsigned long long)t[rounds * count / 10 * 9]);
			fflush(stdout);
		}
	}
	free(times);
	return 0;
}
