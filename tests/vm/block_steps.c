/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In a guest: works on one block device or file by the steps that its command line gives, with
 * system calls that no program at hand can be made to use. The first step that does not come out
 * as it says ends it with status 1.
 *
 * usage: block_steps FILE STEP...
 *
 *	fill OFF LEN BYTE	write, around the page cache
 *	nowait OFF LEN BYTE	the same with RWF_NOWAIT, then read it so
 *	dsync OFF LEN BYTE	the same with RWF_DSYNC
 *	check OFF LEN BYTE	is read, around the page cache
 *	zero OFF LEN		BLKZEROOUT
 *	no-discard OFF LEN	BLKDISCARD is not supported
 *	no-map-sync		a mapping with MAP_SYNC is not supported
 *	dax, no-dax		what statx says
 *	stores SECONDS		store into each page of a mapping of the first MiB, again and again
 *
 * OFF and LEN are bytes, LEN at most 1 MiB for what reads and writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (1u << 20)

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

struct step {
	const char *name;
	int words; /* that follow */
	int (*run)(int fd, uint64_t off, uint64_t len, int byte);
};

static unsigned char *buffer;

static int fail(const char *what)
{
	perror(what);
	return -1;
}

static int transfer(int fd, uint64_t off, uint64_t len, bool write, int flags)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = len };
	ssize_t n;

	if (len > BUFFER) {
		errno = E2BIG;
		return fail("length");
	}
	n = write ? pwritev2(fd, &iov, 1, (off_t)off, flags)
		  : preadv2(fd, &iov, 1, (off_t)off, flags);
	if (n < 0)
		return fail(write ? "pwritev2" : "preadv2");
	if ((uint64_t)n == len)
		return 0;
	fprintf(stderr, "%zd of %ju bytes at %ju\n", n, (uintmax_t)len, (uintmax_t)off);
	return -1;
}

static int fill_flags(int fd, uint64_t off, uint64_t len, int byte, int flags)
{
	memset(buffer, byte, len <= BUFFER ? len : BUFFER);
	return transfer(fd, off, len, true, flags);
}

static int check_flags(int fd, uint64_t off, uint64_t len, int byte, int flags)
{
	memset(buffer, ~byte, len <= BUFFER ? len : BUFFER);
	if (transfer(fd, off, len, false, flags))
		return -1;
	for (uint64_t i = 0; i < len; i++) {
		if (buffer[i] == (unsigned char)byte)
			continue;
		fprintf(stderr, "%#x instead of %#x at %ju\n", buffer[i], (unsigned)byte,
			(uintmax_t)(off + i));
		return -1;
	}
	return 0;
}

static int fill(int fd, uint64_t off, uint64_t len, int byte)
{
	return fill_flags(fd, off, len, byte, 0);
}

static int nowait(int fd, uint64_t off, uint64_t len, int byte)
{
	if (fill_flags(fd, off, len, byte, RWF_NOWAIT))
		return -1;
	return check_flags(fd, off, len, byte, RWF_NOWAIT);
}

static int dsync(int fd, uint64_t off, uint64_t len, int byte)
{
	return fill_flags(fd, off, len, byte, RWF_DSYNC);
}

static int check(int fd, uint64_t off, uint64_t len, int byte)
{
	return check_flags(fd, off, len, byte, 0);
}

static int zero(int fd, uint64_t off, uint64_t len, int byte)
{
	uint64_t range[] = { off, len };

	(void)byte;
	return ioctl(fd, BLKZEROOUT, range) ? fail("BLKZEROOUT") : 0;
}

static int no_discard(int fd, uint64_t off, uint64_t len, int byte)
{
	uint64_t range[] = { off, len };

	(void)byte;
	if (!ioctl(fd, BLKDISCARD, range)) {
		fprintf(stderr, "BLKDISCARD succeeds\n");
		return -1;
	}
	return errno == EOPNOTSUPP ? 0 : fail("BLKDISCARD");
}

static int no_map_sync(int fd, uint64_t off, uint64_t len, int byte)
{
	(void)off, (void)len, (void)byte;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0) !=
	    MAP_FAILED) {
		fprintf(stderr, "MAP_SYNC succeeds\n");
		return -1;
	}
	return errno == EOPNOTSUPP ? 0 : fail("MAP_SYNC");
}

static int has_dax(int fd, bool want)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
		return fail("statx");
	if (!(st.stx_attributes & STATX_ATTR_DAX) == !want)
		return 0;
	fprintf(stderr, "statx says that it is %sDAX\n", want ? "not " : "");
	return -1;
}

static int dax(int fd, uint64_t off, uint64_t len, int byte)
{
	(void)off, (void)len, (void)byte;
	return has_dax(fd, true);
}

static int no_dax(int fd, uint64_t off, uint64_t len, int byte)
{
	(void)off, (void)len, (void)byte;
	return has_dax(fd, false);
}

static int stores(int fd, uint64_t seconds, uint64_t len, int byte)
{
	time_t end = time(NULL) + (time_t)seconds;
	volatile unsigned char *map;

	(void)len, (void)byte;
	map = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return fail("mmap");
	while (time(NULL) < end) {
		for (size_t i = 0; i < BUFFER; i += 4096)
			map[i]++;
		usleep(10000);
	}
	return 0;
}

static const struct step steps[] = {
	{ "fill", 3, fill },	 { "nowait", 3, nowait }, { "dsync", 3, dsync },
	{ "check", 3, check },	 { "zero", 2, zero },	  { "no-discard", 2, no_discard },
	{ "dax", 0, dax },	 { "no-dax", 0, no_dax }, { "no-map-sync", 0, no_map_sync },
	{ "stores", 1, stores },
};

static const struct step *find(const char *name)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (!strcmp(name, steps[i].name))
			return &steps[i];
	return NULL;
}

static uint64_t word(char **words, int n, int i)
{
	return i < n ? strtoull(words[i], NULL, 0) : 0;
}

/* Around the page cache where there is a choice. */
static int open_direct(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT);

	return fd >= 0 ? fd : open(path, O_RDWR);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open_direct(argv[1]) : -1;

	if (fd < 0 || posix_memalign((void **)&buffer, 4096, BUFFER)) {
		perror(argc > 1 ? argv[1] : "usage: block_steps FILE STEP...");
		return 1;
	}
	for (char **at = argv + 2; *at;) {
		const struct step *step = find(*at);
		int left = (int)(argv + argc - at) - 1;

		if (!step || left < step->words) {
			fprintf(stderr, "%s?\n", *at);
			return 1;
		}
		if (step->run(fd, word(at + 1, step->words, 0), word(at + 1, step->words, 1),
			      (int)word(at + 1, step->words, 2))) {
			fprintf(stderr, "in step %s %s\n", argv[1], *at);
			return 1;
		}
		at += 1 + step->words;
	}
	return 0;
}
