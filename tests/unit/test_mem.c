/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/mem.c: the table of guest memory. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "virtio/mem.h"

static int memfd(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

/* Replaces *t by itself and one more region whose uva is gpa + 0x100000. */
static void add(struct mem_table **t, uint64_t gpa, uint64_t size, uint64_t off, int fd)
{
	struct mem_table *new;

	REQUIRE(mem_with(*t, gpa, size, gpa + 0x100000, off, fd, NULL, &new) == 0);
	mem_put(*t);
	*t = new;
}

/* mem_with() beside regions at [0x2000, 0x4000) and [0x6000, 0x7000). */
static const struct {
	const char *name;
	uint64_t gpa, size, uva, off;
	int want, place;
} with_cases[] = {
	{ "before all", 0, 0x2000, 0, 0, 0, 0 },
	{ "fills the gap", 0x4000, 0x2000, 0, 0, 0, 1 },
	{ "after all", 0x7000, 1, 0, 0, 0, 2 },
	{ "up to the top", UINT64_MAX - 0x1000, 0x1000, 0, 0, 0, 2 },
	{ "the same again", 0x2000, 0x2000, 0, 0, -EEXIST, 0 },
	{ "inside one", 0x2800, 0x100, 0, 0, -EEXIST, 0 },
	{ "around one", 0x1000, 0x4000, 0, 0, -EEXIST, 0 },
	{ "around all", 0, 0x10000, 0, 0, -EEXIST, 0 },
	{ "on a last byte", 0x3fff, 1, 0, 0, -EEXIST, 0 },
	{ "into a first byte", 0x5fff, 2, 0, 0, -EEXIST, 0 },
	{ "empty", 0x9000, 0, 0, 0, -EINVAL, 0 },
	{ "empty inside one", 0x2800, 0, 0, 0, -EINVAL, 0 },
	{ "gpa wraps", UINT64_MAX - 0xfff, 0x1001, 0, 0, -EINVAL, 0 },
	{ "uva wraps", 0x9000, 0x1001, UINT64_MAX - 0xfff, 0, -EINVAL, 0 },
	{ "offset wraps", 0x9000, 0x1001, 0, UINT64_MAX - 0xfff, -EINVAL, 0 },
	{ "offset past off_t", 0x9000, 1, 0, INT64_MAX, -EINVAL, 0 },
	{ "size of everything", 0, UINT64_MAX, 0, 0, -EINVAL, 0 },
};

static void test_with(void)
{
	int fd = memfd(0x10000);
	struct mem_table *t = mem_new(), *out;

	add(&t, 0x6000, 0x1000, 0, fd);
	add(&t, 0x2000, 0x2000, 0, fd);
	for (size_t i = 0; i < ARRAY_SIZE(with_cases); i++) {
		int ret = mem_with(t, with_cases[i].gpa, with_cases[i].size, with_cases[i].uva,
				   with_cases[i].off, fd, NULL, &out);

		CHECK_EQ(with_cases[i].name, ret, with_cases[i].want);
		CHECK_EQ(with_cases[i].name, t->n, 2);
		if (ret)
			continue;
		CHECK_EQ(with_cases[i].name, out->n, 3);
		CHECK_EQ(with_cases[i].name, out->r[with_cases[i].place].gpa, with_cases[i].gpa);
		CHECK(out->r[0].gpa < out->r[1].gpa && out->r[1].gpa < out->r[2].gpa);
		mem_put(out);
	}
	CHECK_EQ("bad fd", mem_with(t, 0x9000, 1, 0, 0, -1, NULL, &out), -EBADF);
	CHECK_EQ("fd is still ours", fcntl(fd, F_GETFD) >= 0, true);
	mem_put(t);
	mem_put(NULL);
	close(fd);
}

static void test_without(void)
{
	int fd = memfd(0x10000);
	struct mem_table *t = mem_new(), *out;
	uint64_t len = 1;

	add(&t, 0x1000, 0x1000, 0, fd);
	add(&t, 0x2000, 0x1000, 0, fd);
	add(&t, 0x3000, 0x1000, 0, fd);
	CHECK_EQ("gpa", mem_without(t, 0x1001, 0x1000, 0x102000, &out), -ENOENT);
	CHECK_EQ("size", mem_without(t, 0x2000, 0x1001, 0x102000, &out), -ENOENT);
	CHECK_EQ("uva", mem_without(t, 0x2000, 0x1000, 0x102001, &out), -ENOENT);
	REQUIRE(mem_without(t, 0x2000, 0x1000, 0x102000, &out) == 0);
	mem_put(t);
	CHECK_EQ("two left", out->n, 2);
	CHECK(mem_span(out, 0x1000, &len) && mem_span(out, 0x3000, &len));
	CHECK(!mem_span(out, 0x2000, &len));
	mem_put(out);
	close(fd);
}

static void test_full(void)
{
	int fd = memfd(MEM_MAX_REGIONS * 0x1000);
	struct mem_table *t = mem_new(), *out;

	/* Every other page, from the top down: each goes in front of the others. */
	for (uint64_t i = MEM_MAX_REGIONS; i--;)
		add(&t, i * 0x2000, 0x1000, i * 0x1000, fd);
	CHECK_EQ("full", mem_with(t, 0x1000, 1, 0, 0, fd, NULL, &out), -ENOSPC);
	for (uint64_t i = 0; i < MEM_MAX_REGIONS; i++) {
		uint64_t len = 0x2000;
		uint8_t *p = mem_span(t, i * 0x2000, &len);

		REQUIRE(p && len == 0x1000);
		*p = (uint8_t)i;
		REQUIRE(pread(fd, &len, 1, (off_t)i * 0x1000) == 1);
		CHECK_EQ("byte in the file", *(uint8_t *)&len, (uint8_t)i);
		CHECK_NAMED("gap", !mem_span(t, i * 0x2000 + 0x1000, &len));
	}
	mem_put(t);
	close(fd);
}

static bool is_mapped(void *p)
{
	return msync(p, 1, MS_ASYNC) == 0;
}

/* What of a region in an old table lets a new one take its mmap over. */
static const struct {
	const char *name;
	uint64_t gpa, size, off;
	bool same_file, reused;
} reuse_cases[] = {
	{ "unchanged", 0x10000, 0x10000, 0x10000, true, true },
	{ "moved in the guest", 0x70000, 0x10000, 0x10000, true, true },
	{ "other offset", 0x10000, 0x10000, 0, true, false },
	{ "other size", 0x10000, 0x20000, 0x10000, true, false },
	{ "other file", 0x10000, 0x10000, 0x10000, false, false },
};

static void test_reuse(void)
{
	int fd = memfd(0x40000), other = memfd(0x40000);

	for (size_t i = 0; i < ARRAY_SIZE(reuse_cases); i++) {
		struct mem_table *old = mem_new(), *empty = mem_new(), *new;
		uint64_t len = 1;
		uint8_t *was, *is;

		add(&old, 0x10000, 0x10000, 0x10000, fd);
		was = old->r[0].host;
		REQUIRE(mem_with(empty, reuse_cases[i].gpa, reuse_cases[i].size, 0,
				 reuse_cases[i].off, reuse_cases[i].same_file ? fd : other, old,
				 &new) == 0);
		is = mem_span(new, reuse_cases[i].gpa, &len);
		REQUIRE(is);
		CHECK_EQ(reuse_cases[i].name, is == was, reuse_cases[i].reused);
		mem_put(old);
		mem_put(empty);
		CHECK_EQ(reuse_cases[i].name, is_mapped(was), reuse_cases[i].reused);
		*is = 1; /* outlives the old table either way */
		mem_put(new);
		CHECK_NAMED(reuse_cases[i].name, !is_mapped(was));
	}
	close(fd);
	close(other);
}

/* The tables before and after a change share the mmaps of the regions that stay. */
static void test_derived(void)
{
	int fd = memfd(0x20000);
	struct mem_table *a = mem_new(), *b, *c;
	uint8_t *host;

	add(&a, 0, 0x10000, 0, fd);
	host = a->r[0].host;
	REQUIRE(mem_with(a, 0x10000, 0x10000, 0, 0x10000, fd, a, &b) == 0);
	REQUIRE(mem_without(b, 0x10000, 0x10000, 0, &c) == 0);
	CHECK(b->r[0].host == host && c->r[0].host == host);
	CHECK(mem_get(c) == c);
	mem_put(a);
	mem_put(b);
	mem_put(c);
	*host = 1;
	mem_put(c);
	CHECK(!is_mapped(host));
	close(fd);
}

static int read_only(void)
{
	int fd = memfd(0x1000), ro;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(ro >= 0);
	close(fd);
	return ro;
}

static int not_mappable(void)
{
	int fds[2];

	REQUIRE(pipe(fds) == 0);
	close(fds[1]);
	return fds[0];
}

static int one_page(void)
{
	return memfd(0x1000);
}

static int hundred_bytes(void)
{
	return memfd(100);
}

static const struct {
	const char *name;
	int (*open)(void);
	uint64_t size, off;
	bool usable;
} usable_cases[] = {
	{ "whole file", one_page, 0x1000, 0, true },
	{ "one byte past its end", one_page, 0x1001, 0, false },
	{ "last byte", one_page, 1, 0xfff, true },
	{ "behind its end", one_page, 1, 0x1000, false },
	{ "far behind its end", one_page, 1, (uint64_t)1 << 62, false },
	{ "part of a page", hundred_bytes, 100, 0, true },
	{ "more than that part", hundred_bytes, 101, 0, false },
	{ "read-only", read_only, 0x1000, 0, false },
	{ "pipe", not_mappable, 0x1000, 0, false },
};

static void test_usable(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(usable_cases); i++) {
		int fd = usable_cases[i].open();
		struct mem_table *t = mem_new(), *out;
		uint64_t len = 1;
		struct stat st;

		REQUIRE(fstat(fd, &st) == 0);
		add(&t, 0x5000, usable_cases[i].size, usable_cases[i].off, fd);
		CHECK_EQ(usable_cases[i].name, mem_span(t, 0x5000, &len) != NULL,
			 usable_cases[i].usable);
		CHECK_EQ(usable_cases[i].name, mem_by_uva(t, 0x105000, 1) != NULL,
			 usable_cases[i].usable);
		/* Its place is taken all the same. */
		CHECK_EQ(usable_cases[i].name, mem_with(t, 0x5000, 1, 0, 0, fd, NULL, &out),
			 -EEXIST);
		CHECK_NAMED(usable_cases[i].name,
			    mem_lists(t, st.st_dev, st.st_ino, usable_cases[i].off));
		mem_put(t);
		close(fd);
	}
}

/* What was unusable is tried again, not taken over. */
static void test_usable_later(void)
{
	int fd = memfd(0x800);
	struct mem_table *old = mem_new(), *empty = mem_new(), *new;
	uint64_t len = 1;

	add(&old, 0, 0x1000, 0, fd);
	REQUIRE(!mem_span(old, 0, &len) && ftruncate(fd, 0x1000) == 0);
	REQUIRE(mem_with(empty, 0, 0x1000, 0, 0, fd, old, &new) == 0);
	CHECK(mem_span(new, 0, &len));
	mem_put(old);
	mem_put(new);
	mem_put(empty);
	close(fd);
}

static void test_odd_offset(void)
{
	static const char text[] = "0123456789";
	int fd = memfd(0x3000);
	struct mem_table *t = mem_new();
	uint64_t len = 10;
	char *p;

	REQUIRE(pwrite(fd, text, 10, 0x1ffb) == 10);
	add(&t, 0, 0x1000, 0x1ffb, fd);
	p = mem_span(t, 0, &len);
	CHECK(p && len == 10 && memcmp(p, text, 10) == 0);
	mem_put(t);
	close(fd);
}

/* Two adjacent regions, an unusable one behind them, a gap and one more. */
static const struct mem_region span_regions[] = {
	{ .gpa = 0x1000, .size = 0x1000, .uva = 0x51000, .host = (uint8_t *)0x100000 },
	{ .gpa = 0x2000, .size = 0x1000, .uva = 0x52000, .host = (uint8_t *)0x200000 },
	{ .gpa = 0x3000, .size = 0x1000, .uva = 0x53000, .host = NULL },
	{ .gpa = 0x8000, .size = 0x1000, .uva = 0x10000, .host = (uint8_t *)0x300000 },
};

static const struct {
	const char *name;
	uint64_t gpa, len;
	uint64_t host, got; /* 0: does not translate */
} span_cases[] = {
	{ "below all", 0xfff, 1, 0, 0 },
	{ "first byte", 0x1000, 1, 0x100000, 1 },
	{ "whole region", 0x1000, 0x1000, 0x100000, 0x1000 },
	{ "stops at the region's end", 0x1800, 0x1000, 0x100800, 0x800 },
	{ "last byte", 0x1fff, UINT64_MAX, 0x100fff, 1 },
	{ "next region", 0x2000, 0x10, 0x200000, 0x10 },
	{ "stops at the unusable one", 0x2fff, 2, 0x200fff, 1 },
	{ "unusable", 0x3000, 1, 0, 0 },
	{ "end of unusable", 0x3fff, 1, 0, 0 },
	{ "gap", 0x4000, 1, 0, 0 },
	{ "end of gap", 0x7fff, 2, 0, 0 },
	{ "last region", 0x8fff, 2, 0x300fff, 1 },
	{ "behind all", 0x9000, 1, 0, 0 },
	{ "top", UINT64_MAX, 1, 0, 0 },
	{ "nothing wanted", 0x1000, 0, 0, 0 },
};

static const struct {
	const char *name;
	uint64_t uva, len, host;
} uva_cases[] = {
	{ "whole region", 0x51000, 0x1000, 0x100000 },
	{ "one byte too many", 0x51000, 0x1001, 0 },
	{ "last byte", 0x51fff, 1, 0x100fff },
	{ "across two regions", 0x51fff, 2, 0 },
	{ "unusable", 0x53000, 1, 0 },
	{ "not by gpa", 0x1000, 1, 0 },
	{ "uva order differs from gpa order", 0x10010, 0x10, 0x300010 },
	{ "length wraps", 0x51001, UINT64_MAX, 0 },
	{ "top", UINT64_MAX, 1, 0 },
};

static void test_span(void)
{
	struct mem_table *t = malloc(sizeof(*t) + sizeof(span_regions)), *empty = mem_new();
	uint64_t one = 1;

	REQUIRE(t);
	t->refs = 1;
	t->n = ARRAY_SIZE(span_regions);
	memcpy(t->r, span_regions, sizeof(span_regions));
	for (size_t i = 0; i < ARRAY_SIZE(span_cases); i++) {
		uint64_t len = span_cases[i].len;
		void *p = mem_span(t, span_cases[i].gpa, &len);

		CHECK_EQ(span_cases[i].name, (uintptr_t)p, span_cases[i].host);
		if (p)
			CHECK_EQ(span_cases[i].name, len, span_cases[i].got);
	}
	for (size_t i = 0; i < ARRAY_SIZE(uva_cases); i++)
		CHECK_EQ(uva_cases[i].name,
			 (uintptr_t)mem_by_uva(t, uva_cases[i].uva, uva_cases[i].len),
			 uva_cases[i].host);
	CHECK_NAMED("empty table", !mem_span(empty, 0, &one) && !mem_by_uva(empty, 0, 1));
	mem_put(t);
	mem_put(empty);
}

static void test_lists(void)
{
	int fd = memfd(0x3000);
	struct mem_table *t = mem_new();
	struct stat st;

	REQUIRE(fstat(fd, &st) == 0);
	CHECK(!mem_lists(t, st.st_dev, st.st_ino, 0));
	add(&t, 0, 0x1000, 0, fd);
	add(&t, 0x1000, 0x1000, 0x2000, fd);
	CHECK(mem_lists(t, st.st_dev, st.st_ino, 0) && mem_lists(t, st.st_dev, st.st_ino, 0x2000));
	CHECK(!mem_lists(t, st.st_dev, st.st_ino, 0x1000)); /* covered by none */
	CHECK(!mem_lists(t, st.st_dev, st.st_ino + 1, 0));
	CHECK(!mem_lists(t, st.st_dev + 1, st.st_ino, 0));
	mem_put(t);
	close(fd);
}

#define SHARE_ROUNDS 5000

static void *share_thread(void *arg)
{
	struct mem_table *t = arg;

	for (unsigned i = 0; i < SHARE_ROUNDS; i++) {
		uint64_t len = 1;
		char *p = mem_span(mem_get(t), 0, &len);

		if (p)
			__atomic_add_fetch(p, 1, __ATOMIC_RELAXED);
		mem_put(t);
	}
	mem_put(t);
	return NULL;
}

/* The last reference may go in any thread. */
static void test_share(void)
{
	int fd = memfd(0x1000);
	struct mem_table *t = mem_new();
	pthread_t a, b;

	add(&t, 0, 0x1000, 0, fd);
	REQUIRE(pthread_create(&a, NULL, share_thread, mem_get(t)) == 0);
	REQUIRE(pthread_create(&b, NULL, share_thread, mem_get(t)) == 0);
	mem_put(t);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	close(fd);
}

int main(void)
{
	test_with();
	test_without();
	test_full();
	test_reuse();
	test_derived();
	test_usable();
	test_usable_later();
	test_odd_offset();
	test_span();
	test_lists();
	test_share();
	return check_done();
}
