/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In a guest or on the host: works on one file, mostly through a shared mapping, by the steps that
 * its command line gives. The first step that does not come out as it says ends it with status 1.
 *
 * usage: dax_map FILE STEP...
 *
 *	file FILE		go on with another one; this one stays open and mapped
 *	map			map the whole file as it is now; what was mapped before is unmapped.
 *				Nothing is mapped of an empty one
 *	store OFF TEXT		into the mapping
 *	load OFF TEXT		is in the mapping
 *	await OFF TEXT		is in the mapping within a minute
 *	fill OFF LEN SEED	store a pattern of bytes that depends on the seed and on the place
 *	check OFF LEN SEED	the pattern is in the mapping
 *	zero OFF LEN		only zeros are in the mapping
 *	crc			print a checksum (zlib's crc32) of the mapping and the name
 *	copy FILE		make this file a copy of that one, from mapping to mapping
 *	write OFF TEXT, read OFF TEXT	the same as store and load by system calls
 *	truncate SIZE		and "truncate-fails SIZE": with ETXTBSY
 *	size SIZE		the size that fstat says
 *	await-size SIZE		within a minute
 *	dax, no-dax		what statx says of DAX (Linux guests do)
 *	msync, fsync
 *	say TEXT		a line on standard output
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

#define WAIT_STEPS  6000
#define WAIT_USEC   10000
#define PATTERN_MUL UINT64_C(0x9e3779b97f4a7c15)

struct file {
	const char *name;
	int fd;
	unsigned char *map; /* NULL: not mapped */
	size_t size;	    /* of the mapping */
};

static int fail(const char *what)
{
	perror(what);
	return -1;
}

/* A number of bytes, with M for MiB. */
static size_t number(const char *word)
{
	char *end;
	unsigned long long n = strtoull(word, &end, 0);

	return (size_t)(*end == 'M' ? n << 20 : n);
}

static int step_file(struct file *f, char **w)
{
	*f = (struct file){ .name = w[0], .fd = open(w[0], O_RDWR | O_CREAT, 0644) };
	return f->fd < 0 ? fail(f->name) : 0;
}

static int step_map(struct file *f, char **w)
{
	struct stat st;

	(void)w;
	if (f->map && munmap(f->map, f->size) < 0)
		return fail("munmap");
	f->map = NULL;
	if (fstat(f->fd, &st) < 0)
		return fail("fstat");
	f->size = (size_t)st.st_size;
	if (f->size == 0)
		return 0;
	f->map = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->map == MAP_FAILED) {
		f->map = NULL;
		return fail("mmap");
	}
	return 0;
}

/* Where the bytes are, or NULL: what is stored beyond the mapping would be lost in any case. */
static unsigned char *place(struct file *f, const char *off, size_t len)
{
	size_t at = number(off);

	if (f->map && at <= f->size && len <= f->size - at)
		return f->map + at;
	fprintf(stderr, "%zu bytes at %s are not mapped\n", len, off);
	return NULL;
}

static int step_store(struct file *f, char **w)
{
	unsigned char *p = place(f, w[0], strlen(w[1]));

	if (!p)
		return -1;
	memcpy(p, w[1], strlen(w[1]));
	return 0;
}

static int step_load(struct file *f, char **w)
{
	unsigned char *p = place(f, w[0], strlen(w[1]));

	if (!p)
		return -1;
	if (memcmp(p, w[1], strlen(w[1])) == 0)
		return 0;
	fprintf(stderr, "there is \"%.*s\"\n", (int)strlen(w[1]), p);
	return -1;
}

static int step_await(struct file *f, char **w)
{
	size_t len = strlen(w[1]);
	unsigned char *p = place(f, w[0], len);

	for (int i = 0; p && i < WAIT_STEPS; i++) {
		__asm__ volatile("" ::: "memory"); /* somebody else stores there */
		if (memcmp(p, w[1], len) == 0)
			return 0;
		usleep(WAIT_USEC);
	}
	return p ? step_load(f, w) : -1;
}

/* The byte of the pattern at a place. */
static unsigned char pattern(uint64_t seed, size_t at)
{
	uint64_t x = ((seed << 40) + at / 8 + 1) * PATTERN_MUL;

	x ^= x >> 29;
	return (unsigned char)(x >> (at % 8 * 8));
}

static int step_fill(struct file *f, char **w)
{
	size_t off = number(w[0]), len = number(w[1]), seed = number(w[2]);
	unsigned char *p = place(f, w[0], len);

	for (size_t i = 0; p && i < len; i++)
		p[i] = pattern(seed, off + i);
	return p ? 0 : -1;
}

static int step_check(struct file *f, char **w)
{
	size_t off = number(w[0]), len = number(w[1]), seed = number(w[2]);
	unsigned char *p = place(f, w[0], len);

	for (size_t i = 0; p && i < len; i++) {
		if (p[i] == pattern(seed, off + i))
			continue;
		fprintf(stderr, "byte %zu is %#x, not %#x\n", off + i, p[i],
			pattern(seed, off + i));
		return -1;
	}
	return p ? 0 : -1;
}

static int step_zero(struct file *f, char **w)
{
	size_t len = number(w[1]);
	unsigned char *p = place(f, w[0], len);

	for (size_t i = 0; p && i < len; i++) {
		if (p[i] == 0)
			continue;
		fprintf(stderr, "byte %zu is %#x, not 0\n", number(w[0]) + i, p[i]);
		return -1;
	}
	return p ? 0 : -1;
}

static int step_crc(struct file *f, char **w)
{
	static uint32_t table[256];
	uint32_t crc = UINT32_MAX;

	(void)w;
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (size_t i = 0; i < f->size; i++)
		crc = table[(crc ^ f->map[i]) & 255] ^ crc >> 8;
	printf("crc %08x %s\n", ~crc, f->name);
	return 0;
}

static int step_truncate(struct file *f, char **w)
{
	return ftruncate(f->fd, (off_t)number(w[0])) < 0 ? fail("ftruncate") : 0;
}

static int step_truncate_fails(struct file *f, char **w)
{
	if (ftruncate(f->fd, (off_t)number(w[0])) == 0) {
		fprintf(stderr, "ftruncate does not fail\n");
		return -1;
	}
	return errno == ETXTBSY ? 0 : fail("ftruncate");
}

static int step_size(struct file *f, char **w)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return fail("fstat");
	if ((size_t)st.st_size == number(w[0]))
		return 0;
	fprintf(stderr, "the size is %lld\n", (long long)st.st_size);
	return -1;
}

static int step_await_size(struct file *f, char **w)
{
	struct stat st = { 0 };

	for (int i = 0; i < WAIT_STEPS; i++) {
		if (fstat(f->fd, &st) < 0)
			return fail("fstat");
		if ((size_t)st.st_size == number(w[0]))
			return 0;
		usleep(WAIT_USEC);
	}
	return step_size(f, w);
}

static int step_copy(struct file *f, char **w)
{
	struct file from = { .name = w[0], .fd = open(w[0], O_RDWR) };

	if (from.fd < 0 || step_map(&from, NULL) < 0)
		return fail(w[0]);
	if (ftruncate(f->fd, (off_t)from.size) < 0)
		return fail("ftruncate");
	if (step_map(f, NULL) < 0)
		return -1;
	if (from.size) {
		memcpy(f->map, from.map, from.size);
		munmap(from.map, from.size);
	}
	close(from.fd);
	return 0;
}

static int step_write(struct file *f, char **w)
{
	ssize_t len = (ssize_t)strlen(w[1]);

	return pwrite(f->fd, w[1], (size_t)len, (off_t)number(w[0])) == len ? 0 : fail("pwrite");
}

static int step_read(struct file *f, char **w)
{
	char buf[4096] = "";
	ssize_t len = (ssize_t)strlen(w[1]);

	if (len > (ssize_t)sizeof(buf) ||
	    pread(f->fd, buf, (size_t)len, (off_t)number(w[0])) != len)
		return fail("pread");
	if (memcmp(buf, w[1], (size_t)len) == 0)
		return 0;
	fprintf(stderr, "read \"%.*s\"\n", (int)len, buf);
	return -1;
}

static int is_dax(struct file *f, bool want)
{
	struct statx st;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
		return fail("statx");
	if (!(st.stx_attributes & STATX_ATTR_DAX) == !want)
		return 0;
	fprintf(stderr, "it is %sDAX\n", want ? "not " : "");
	return -1;
}

static int step_dax(struct file *f, char **w)
{
	(void)w;
	return is_dax(f, true);
}

static int step_no_dax(struct file *f, char **w)
{
	(void)w;
	return is_dax(f, false);
}

static int step_msync(struct file *f, char **w)
{
	(void)w;
	return msync(f->map, f->size, MS_SYNC) < 0 ? fail("msync") : 0;
}

static int step_fsync(struct file *f, char **w)
{
	(void)w;
	return fsync(f->fd) < 0 ? fail("fsync") : 0;
}

static int step_say(struct file *f, char **w)
{
	(void)f;
	return puts(w[0]) < 0 || fflush(stdout) ? fail("stdout") : 0;
}

static const struct {
	const char *name;
	int words; /* that follow */
	int (*run)(struct file *f, char **words);
} steps[] = {
	{ "file", 1, step_file },	  { "map", 0, step_map },
	{ "store", 2, step_store },	  { "load", 2, step_load },
	{ "await", 2, step_await },	  { "fill", 3, step_fill },
	{ "check", 3, step_check },	  { "zero", 2, step_zero },
	{ "crc", 0, step_crc },		  { "copy", 1, step_copy },
	{ "write", 2, step_write },	  { "read", 2, step_read },
	{ "truncate", 1, step_truncate }, { "truncate-fails", 1, step_truncate_fails },
	{ "size", 1, step_size },	  { "await-size", 1, step_await_size },
	{ "dax", 0, step_dax },		  { "no-dax", 0, step_no_dax },
	{ "msync", 0, step_msync },	  { "fsync", 0, step_fsync },
	{ "say", 1, step_say },
};

/* One step; returns the number of words that it took, or -1 after a message. */
static int step(struct file *f, int left, char **words)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strcmp(words[0], steps[i].name) != 0 || steps[i].words >= left)
			continue;
		if (steps[i].run(f, words + 1) == 0)
			return steps[i].words + 1;
		fprintf(stderr, "%s: step failed:", f->name);
		for (int w = 0; w <= steps[i].words; w++)
			fprintf(stderr, " %s", words[w]);
		fprintf(stderr, "\n");
		return -1;
	}
	fprintf(stderr, "no step \"%s\"\n", words[0]);
	return -1;
}

int main(int argc, char **argv)
{
	struct file f;
	int at = 2, n;

	if (argc < 3)
		return 2;
	if (step_file(&f, argv + 1) < 0)
		return 1;
	for (; at < argc; at += n) {
		n = step(&f, argc - at, argv + at);
		if (n < 0)
			return 1;
	}
	return 0;
}
