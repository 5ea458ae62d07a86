/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest does while it is migrated: it reads, writes and lists without pause, through files
 * that it opened at the beginning, and compares everything with what has to be there. Each buffer
 * that the device has filled is looked at again much later: memory that the device wrote and
 * did not tell of would be old on the other side.
 *
 * usage: guest_migrate DIR NAMES [unlinked]
 * DIR has data (64-bit words that are their own offset, times FACTOR), list/ with NAMES files, and
 * sub/file, which says "here". Ends when DIR/stop is there. unlinked: keeps a file open that it
 * unlinks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FACTOR	0x9e3779b97f4a7c15u
#define BLOCK	65536u
#define BUFFERS 256u

static uint8_t *buffers;
static uint64_t filled_from[BUFFERS]; /* offset + 1; 0: not yet */
static int data, list, sub, log_file, kept = -1;
static unsigned round_no;

static void fail(const char *what)
{
	printf("WRONG in round %u: %s: %s\n", round_no, what, strerror(errno));
	exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static uint32_t random32(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static int open_in(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags, 0644);

	must(fd >= 0, name);
	return fd;
}

/* A buffer that was filled in some round has to have what the file had. */
static void look_at(unsigned k)
{
	const uint64_t *words = (const void *)(buffers + (size_t)k * BLOCK);

	if (!filled_from[k])
		return;
	for (uint64_t i = 0; i < BLOCK / 8; i++)
		if (words[i] != (filled_from[k] - 1 + 8 * i) * FACTOR) {
			printf("buffer %u, word %u\n", k, (unsigned)i);
			fail("what the device wrote into memory");
		}
}

static void read_some(uint64_t blocks)
{
	unsigned k = round_no % BUFFERS;
	uint64_t off = random32() % blocks * BLOCK;

	must(pread(data, buffers + (size_t)k * BLOCK, BLOCK, (off_t)off) == (ssize_t)BLOCK, "read");
	filled_from[k] = off + 1;
	look_at(k);
	look_at(random32() % BUFFERS);
}

/* One part of the list; each name has to come once before the end. */
static void list_some(unsigned names)
{
	static char seen[100000];
	static unsigned n;
	uint64_t raw[64];
	char *buf = (char *)raw;
	long len = syscall(SYS_getdents64, list, buf, sizeof(raw));

	must(len >= 0, "list");
	for (long at = 0; at < len;) {
		struct dirent64 *d = (void *)(buf + at);
		unsigned k = (unsigned)atoi(d->d_name);

		at += d->d_reclen;
		if (d->d_name[0] == '.')
			continue;
		must(k < names && !seen[k], "a name twice");
		seen[k] = 1;
		n++;
	}
	if (len)
		return;
	must(n == names, "names in the list");
	memset(seen, 0, sizeof(seen));
	n = 0;
	must(lseek(list, 0, SEEK_SET) == 0, "rewind");
}

static void use_files(void)
{
	char line[32], text[8] = "";
	int n = snprintf(line, sizeof(line), "%u\n", round_no);
	int fd = open_in(sub, "file", O_RDONLY);

	must(read(fd, text, sizeof(text)) == 4 && !memcmp(text, "here", 4), "sub/file");
	close(fd);
	must(write(log_file, line, (size_t)n) == n, "log");
	if (kept >= 0)
		must(pread(kept, text, 4, 0) == 4 && !memcmp(text, "kept", 4), "unlinked file");
}

static void check_log(void)
{
	char line[32];
	FILE *f = fdopen(log_file, "r");

	must(f && lseek(log_file, 0, SEEK_SET) == 0, "log");
	for (unsigned k = 0; k <= round_no; k++)
		must(fgets(line, sizeof(line), f) && (unsigned)atoi(line) == k, "lines of the log");
	must(!fgets(line, sizeof(line), f), "end of the log");
}

int main(int argc, char **argv)
{
	unsigned names = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	struct stat st;
	int dir;

	setvbuf(stdout, NULL, _IOLBF, 0);
	must(argc > 2 && chdir(argv[1]) == 0, "arguments");
	dir = open_in(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
	data = open_in(dir, "data", O_RDONLY | O_DIRECT);
	log_file = open_in(dir, "log", O_RDWR | O_CREAT | O_APPEND);
	list = open_in(dir, "list", O_RDONLY | O_DIRECTORY);
	sub = open_in(dir, "sub", O_RDONLY | O_DIRECTORY);
	if (argc > 3) {
		kept = open_in(dir, "kept", O_RDWR | O_CREAT);
		must(write(kept, "kept", 4) == 4 && unlinkat(dir, "kept", 0) == 0, "kept");
	}
	buffers = aligned_alloc(4096, (size_t)BUFFERS * BLOCK);
	must(buffers && fstat(data, &st) == 0, "memory");
	for (;; round_no++) {
		read_some((uint64_t)st.st_size / BLOCK);
		list_some(names);
		use_files();
		if (round_no % 50 == 49)
			printf("round %u.\n", round_no + 1);
		if (faccessat(dir, "stop", F_OK, 0) == 0)
			break;
	}
	for (unsigned k = 0; k < BUFFERS; k++)
		look_at(k);
	check_log();
	printf("all right after %u rounds\n", round_no + 1);
	return 0;
}
