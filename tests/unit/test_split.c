/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/split.c: popping chains, good and impossible ones, and answering them. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_driver.h"
#include "virtio/fault.h"

#define R 0u
#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define I VRING_DESC_F_INDIRECT

/* Memory of the chain cases: the ring and tables in A, B right behind it, then nothing. */
#define QSIZE 8u
#define DATA  0x1000u
#define TABLE 0x2000u
#define EDGE  0x3000u /* of A and B */
#define END   0x4000u

struct test_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static const struct {
	const char *name;
	uint64_t features;
	uint16_t head;
	struct test_desc d[4], t[4]; /* of the ring, and at TABLE */
	int want;		     /* of vq_pop() */
	unsigned n_readable, n_writable;
	uint32_t readable_len, writable_len;
} chain_cases[] = {
	{ "readable", 0, 0, { { DATA, 16, R, 0 } }, { { 0 } }, 1, 1, 0, 16, 0 },
	{ "writable", 0, 0, { { DATA, 16, W, 0 } }, { { 0 } }, 1, 0, 1, 0, 16 },
	{ "other head", 0, 2, { [2] = { DATA, 4, R, 0 } }, { { 0 } }, 1, 1, 0, 4, 0 },
	{ "both", 0, 0, { { DATA, 4, N, 1 }, { DATA, 8, W, 0 } }, { { 0 } }, 1, 1, 1, 4, 8 },
	{ "four, out of order",
	  0,
	  3,
	  { { DATA, 2, N | W, 1 }, { DATA, 4, W, 0 }, { DATA, 8, N, 0 }, { DATA, 16, N, 2 } },
	  { { 0 } },
	  1,
	  2,
	  2,
	  24,
	  6 },
	{ "next without the flag", 0, 0, { { DATA, 4, R, 999 } }, { { 0 } }, 1, 1, 0, 4, 0 },
	{ "empty buffer", 0, 0, { { DATA, 0, R, 0 } }, { { 0 } }, 1, 0, 0, 0, 0 },
	{ "empty buffer nowhere", 0, 0, { { UINT64_MAX, 0, W, 0 } }, { { 0 } }, 1, 0, 0, 0, 0 },
	{ "empty buffer between",
	  0,
	  0,
	  { { DATA, 4, N, 1 }, { DATA, 0, N | W, 2 }, { DATA, 4, W, 0 } },
	  { { 0 } },
	  1,
	  1,
	  1,
	  4,
	  4 },

	{ "readable after writable",
	  0,
	  0,
	  { { DATA, 4, N | W, 1 }, { DATA, 4, R, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "empty readable after writable",
	  0,
	  0,
	  { { DATA, 4, N | W, 1 }, { DATA, 0, R, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "points to itself", 0, 0, { { DATA, 4, N, 0 } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },
	{ "empty, points to itself", 0, 0, { { 0, 0, N, 0 } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },
	{ "loop of two",
	  0,
	  0,
	  { { DATA, 4, N, 1 }, { DATA, 4, N, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "next outside", 0, 0, { { DATA, 4, N, QSIZE } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },
	{ "next far outside", 0, 0, { { DATA, 4, N, 0xffff } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },
	{ "head outside", 0, QSIZE, { { DATA, 4, R, 0 } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },
	{ "head far outside", 0, 0xffff, { { DATA, 4, R, 0 } }, { { 0 } }, -EINVAL, 0, 0, 0, 0 },

	{ "just below 4 GiB",
	  0,
	  0,
	  { { END, 0x80000000, N, 1 }, { END, 0x7fffffff, R, 0 } },
	  { { 0 } },
	  1,
	  2,
	  0,
	  UINT32_MAX,
	  0 },
	{ "4 GiB",
	  0,
	  0,
	  { { END, 0x80000000, N, 1 }, { END, 0x80000000, R, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "4 GiB in both directions",
	  0,
	  0,
	  { { END, UINT32_MAX, N, 1 }, { END, 1, W, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },

	{ "across the edge", 0, 0, { { EDGE - 4, 12, R, 0 } }, { { 0 } }, 1, 2, 0, 12, 0 },
	{ "across the edge, writable",
	  0,
	  0,
	  { { EDGE - 4, 12, W, 0 } },
	  { { 0 } },
	  1,
	  0,
	  2,
	  0,
	  12 },
	{ "ends at the edge", 0, 0, { { EDGE - 4, 4, R, 0 } }, { { 0 } }, 1, 1, 0, 4, 0 },
	{ "out of memory", 0, 0, { { END - 4, 12, R, 0 } }, { { 0 } }, 1, 2, 0, 12, 0 },
	{ "nowhere", 0, 0, { { END, 12, N, 1 }, { DATA, 4, W, 0 } }, { { 0 } }, 1, 1, 1, 12, 4 },
	{ "address wraps", 0, 0, { { UINT64_MAX - 3, 12, R, 0 } }, { { 0 } }, 1, 1, 0, 12, 0 },
	{ "in too many pieces",
	  0,
	  0,
	  { { EDGE - 1, 2, N, 1 },
	    { EDGE - 1, 2, N, 2 },
	    { EDGE - 1, 2, N, 3 },
	    { DATA, 1, R, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },

	{ "indirect",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 4, N, 1 }, { DATA, 8, W, 0 } },
	  1,
	  1,
	  1,
	  4,
	  8 },
	{ "indirect after direct",
	  FAKE_INDIRECT,
	  0,
	  { { DATA, 16, N, 1 }, { TABLE, 32, I, 0 } },
	  { { DATA, 4, N, 1 }, { DATA, 8, W, 0 } },
	  1,
	  2,
	  1,
	  20,
	  8 },
	{ "indirect and write",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 16, I | W, 0 } },
	  { { DATA, 4, R, 0 } },
	  1,
	  1,
	  0,
	  4,
	  0 },
	{ "indirect in the ring's table",
	  FAKE_INDIRECT,
	  1,
	  { { DATA, 4, R, 0 }, { 0, 16, I, 0 } },
	  { { 0 } },
	  1,
	  1,
	  0,
	  4,
	  0 },
	{ "table in the other region",
	  FAKE_INDIRECT,
	  0,
	  { { EDGE, 16, I, 0 } },
	  { { 0 } },
	  1,
	  0,
	  0,
	  0,
	  0 },
	{ "indirect without the feature",
	  0,
	  0,
	  { { TABLE, 16, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "indirect and next",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 16, I | N, 1 }, { DATA, 4, R, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "nested",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 4, N, 1 }, { TABLE + 32, 16, I, 0 }, { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "nested, outer in the ring's table",
	  FAKE_INDIRECT,
	  1,
	  { { TABLE, 16, I, 0 }, { 0, 16, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "table contains itself",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 16, I, 0 } },
	  { { TABLE, 16, I, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "loop in the table",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 4, N, 1 }, { DATA, 4, N, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "next outside the table",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 4, N, 2 }, { 0 }, { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "empty table",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 0, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "half a descriptor",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 8, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "one and a byte",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 17, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "table nowhere",
	  FAKE_INDIRECT,
	  0,
	  { { END, 16, I, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "table ends outside",
	  FAKE_INDIRECT,
	  0,
	  { { END - 16, 32, I, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "table wraps",
	  FAKE_INDIRECT,
	  0,
	  { { UINT64_MAX - 15, 32, I, 0 } },
	  { { 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
	{ "huge table",
	  FAKE_INDIRECT,
	  0,
	  { { TABLE, 0xfffffff0, I, 0 } },
	  { { DATA, 4, R, 0 } },
	  -EINVAL,
	  0,
	  0,
	  0,
	  0 },
};

/* Everything beyond these would be found by the address sanitizer. */
static struct fake_driver *fake_two_regions(uint64_t features)
{
	struct fake_driver *f = malloc(sizeof(*f));
	const struct vq_config cfg = fake_config(QSIZE, features);
	uint8_t *a = calloc(1, EDGE), *b = calloc(1, END - EDGE);
	const struct mem_region r[] = {
		{ .gpa = 0, .size = EDGE, .uva = 0, .host = a },
		{ .gpa = EDGE, .size = END - EDGE, .uva = EDGE, .host = b },
	};

	REQUIRE(f && a && b);
	fake_init(f, &cfg, a, fake_table(r, 2));
	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	return f;
}

static void fake_two_regions_free(struct fake_driver *f)
{
	free(f->mem->r[1].host);
	fake_free(f);
}

static uint64_t total(const struct iovec *seg, unsigned n)
{
	uint64_t len = 0;

	while (n--)
		len += seg[n].iov_len;
	return len;
}

static void check_chain(size_t i)
{
	const char *name = chain_cases[i].name;
	struct fake_driver *f = fake_two_regions(chain_cases[i].features);
	struct vring_desc *table = (void *)(f->ram + TABLE);
	struct iovec seg[6];
	struct vq_chain c;
	int ret;

	for (unsigned k = 0; k < 4; k++) {
		const struct test_desc *d = &chain_cases[i].d[k], *t = &chain_cases[i].t[k];

		fake_desc(&f->desc[k], d->addr, d->len, d->flags, d->next);
		fake_desc(&table[k], t->addr, t->len, t->flags, t->next);
	}
	CHECK_EQ("empty ring", fake_pop(f, &c, seg, ARRAY_SIZE(seg)), 0);
	fake_offer(f, chain_cases[i].head);
	ret = fake_pop(f, &c, seg, ARRAY_SIZE(seg));
	CHECK_EQ(name, ret, chain_cases[i].want);
	CHECK_EQ(name, f->vq.inflight, chain_cases[i].want == 1);
	CHECK_EQ(name, fake_signals(f->err), chain_cases[i].want < 0);
	if (ret == 1) {
		CHECK_EQ(name, c.head, chain_cases[i].head);
		CHECK_EQ(name, c.n_readable, chain_cases[i].n_readable);
		CHECK_EQ(name, c.n_writable, chain_cases[i].n_writable);
		CHECK_EQ(name, c.readable_len, chain_cases[i].readable_len);
		CHECK_EQ(name, c.writable_len, chain_cases[i].writable_len);
		CHECK_EQ(name, total(seg, c.n_readable), c.readable_len);
		CHECK_EQ(name, total(seg + c.n_readable, c.n_writable), c.writable_len);
	}
	fake_two_regions_free(f);
}

/* Indirect tables may be anywhere in memory: not aligned, and in pieces. */
static const struct {
	const char *name;
	uint64_t at;
	int want;
} table_cases[] = {
	{ "aligned", TABLE, 1 },
	{ "off by 1", TABLE + 1, 1 },
	{ "off by 4", TABLE + 4, 1 },
	{ "ends at the edge", EDGE - 48, 1 },
	{ "ends at the edge, off by 1", EDGE - 47, 1 },
	{ "across the edge, between two", EDGE - 16, 1 },
	{ "across the edge, in the address of one", EDGE - 20, 1 },
	{ "across the edge, in the flags of one", EDGE - 45, 1 },
	{ "begins at the edge", EDGE, 1 },
	{ "ends at the end", END - 48, 1 },
	{ "ends at the end, off by 1", END - 49, 1 },
	{ "one byte too many", END - 47, -EINVAL },
};

static void test_table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table_cases); i++) {
		const char *name = table_cases[i].name;
		struct fake_driver *f = fake_two_regions(FAKE_INDIRECT);
		struct vring_desc t[3];
		struct iovec seg[6];
		struct vq_chain c;

		fake_desc(&t[0], DATA, 4, N, 2);
		fake_desc(&t[1], DATA + 4, 16, W, 0);
		fake_desc(&t[2], DATA + 20, 8, N | W, 1);
		for (size_t k = 0; k < sizeof(t); k++) {
			uint64_t one = 1;
			uint8_t *to = mem_span(f->mem, table_cases[i].at + k, &one);

			if (to)
				*to = ((uint8_t *)t)[k];
		}
		fake_desc(&f->desc[0], table_cases[i].at, sizeof(t), I, 0);
		fake_offer(f, 0);
		CHECK_EQ(name, fake_pop(f, &c, seg, ARRAY_SIZE(seg)), table_cases[i].want);
		if (table_cases[i].want == 1) {
			CHECK_EQ(name, c.readable_len, 4);
			CHECK_EQ(name, c.writable_len, 24);
			CHECK_EQ(name, (uint8_t *)seg[1].iov_base - f->ram, DATA + 20);
			CHECK_EQ(name, (uint8_t *)seg[2].iov_base - f->ram, DATA + 4);
		}
		fake_two_regions_free(f);
	}
}

/* A buffer that does not translate is the request's problem, not the queue's. */
static void test_hole(void)
{
	struct fake_driver *f = fake_two_regions(0);
	struct iovec seg[6], out[2];
	struct vq_chain c;
	char buf[8];

	fake_desc(&f->desc[0], EDGE - 4, 8, N, 1);
	fake_desc(&f->desc[1], END - 4, 8, N, 2);
	fake_desc(&f->desc[2], END, 8, N | W, 3);
	fake_desc(&f->desc[3], DATA, 8, W, 0);
	memcpy(f->ram + EDGE - 4, "abcd", 4);
	memcpy(f->mem->r[1].host, "efgh", 4);
	memcpy(f->mem->r[1].host + (END - 4 - EDGE), "ijkl", 4);
	fake_offer(f, 0);
	REQUIRE(fake_pop(f, &c, seg, ARRAY_SIZE(seg)) == 1);
	CHECK_EQ("across the edge", chain_read(&c, 0, buf, 8), 0);
	CHECK_EQ("across the edge", memcmp(buf, "abcdefgh", 8), 0);
	CHECK_EQ("before the hole", chain_read(&c, 8, buf, 4), 0);
	CHECK_EQ("before the hole", memcmp(buf, "ijkl", 4), 0);
	CHECK_EQ("into the hole", chain_read(&c, 8, buf, 5), -EFAULT);
	CHECK_EQ("writable hole", chain_writable(&c, 0, 1, out, 2), -EFAULT);
	REQUIRE(chain_writable(&c, 8, 8, out, 2) == 1);
	CHECK_EQ("answer", chain_fill(out, 1, "response"), 0);
	CHECK_EQ("answer", memcmp(f->ram + DATA, "response", 8), 0);
	CHECK_EQ("push", vq_push(&f->vq, c.head, 16), 0);
	CHECK_EQ("publish", vq_publish(&f->vq), 0);
	CHECK_EQ("used", fake_used_idx(f), 1);
	fake_two_regions_free(f);
}

/* Requests enough for the indices to wrap, answered in reverse order. */
static void test_run(uint32_t size)
{
	struct fake_driver *f = fake_new(size, 0);
	unsigned batch = MIN(size, 1000u), done = 0;
	struct iovec seg[2];
	struct vq_chain c;

	while (done <= 70000) {
		for (unsigned i = 0; i < batch; i++)
			fake_offer_one(f, (uint16_t)((done + i) % size));
		for (unsigned i = 0; i < batch; i++) {
			REQUIRE(fake_pop(f, &c, seg, 2) == 1);
			CHECK_EQ("head", c.head, (done + i) % size);
			CHECK_EQ("buffer", (uint8_t *)seg[0].iov_base - f->ram, FAKE_DATA);
		}
		CHECK_EQ("all popped", vq_pop(&f->vq, &c), 0);
		for (unsigned i = batch; i--;)
			REQUIRE(vq_push(&f->vq, (uint16_t)((done + i) % size), i) == 0);
		CHECK_EQ("not published", fake_used_idx(f), (uint16_t)done);
		REQUIRE(vq_publish(&f->vq) == 0);
		CHECK_EQ("published", fake_used_idx(f), (uint16_t)(done + batch));
		for (unsigned i = 0; i < batch; i++) {
			struct vring_used_elem e = fake_used(f, (uint16_t)(done + i));

			CHECK_EQ("used id", le32_get(e.id), (done + batch - 1 - i) % size);
			CHECK_EQ("used len", le32_get(e.len), batch - 1 - i);
		}
		done += batch;
	}
	CHECK_EQ("base", vq_stop(&f->vq), (uint16_t)done);
	CHECK_EQ("err", fake_signals(f->err), 0);
	fake_free(f);
}

/* The avail ring is full, all of it is popped, and the next one is impossible. */
static void test_too_many(uint32_t size)
{
	struct fake_driver *f = fake_new(size, 0);
	struct iovec seg[2];
	struct vq_chain c;

	for (uint32_t i = 0; i < size; i++)
		fake_offer_one(f, (uint16_t)i);
	for (uint32_t i = 0; i < size; i++)
		REQUIRE(fake_pop(f, &c, seg, 2) == 1);
	CHECK_EQ("all in flight", fake_pop(f, &c, seg, 2), 0);
	fake_offer(f, 0);
	CHECK_EQ("more than the size", fake_pop(f, &c, seg, 2), -EINVAL);
	CHECK_EQ("bounded", f->vq.inflight, size);
	fake_free(f);
}

static const struct {
	const char *name;
	uint32_t size;
	uint16_t base, idx;
	int want;
} idx_cases[] = {
	{ "nothing new", 8, 0, 0, 0 },
	{ "all of it", 8, 0, 8, 1 },
	{ "one too many", 8, 0, 9, -EINVAL },
	{ "moved back", 8, 5, 4, -EINVAL },
	{ "wrapped", 8, 65535, 3, 1 },
	{ "wrapped, all of it", 8, 65535, 7, 1 },
	{ "wrapped, one too many", 8, 65535, 8, -EINVAL },
	{ "largest ring", 32768, 0, 32768, 1 },
	{ "largest ring, one too many", 32768, 0, 32769, -EINVAL },
	{ "smallest ring", 1, 100, 101, 1 },
	{ "smallest ring, one too many", 1, 100, 102, -EINVAL },
};

static void test_avail_idx(void)
{
	struct iovec seg[2];
	struct vq_chain c;

	for (size_t i = 0; i < ARRAY_SIZE(idx_cases); i++) {
		struct fake_driver *f = fake_new(idx_cases[i].size, 0);

		f->cfg.base = idx_cases[i].base;
		REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
		ring_store(&f->avail->idx, idx_cases[i].idx);
		CHECK_EQ(idx_cases[i].name, fake_pop(f, &c, seg, 2), idx_cases[i].want);
		CHECK_EQ(idx_cases[i].name, vq_stop(&f->vq),
			 (uint16_t)(idx_cases[i].base + (idx_cases[i].want == 1)));
		fake_free(f);
	}
}

/* The longest chains: as long as the queue, or VQ_CHAIN_MIN_MAX in an indirect table. */
static const struct {
	const char *name;
	uint32_t size, count;
	bool indirect;
	int want;
} long_cases[] = {
	{ "whole ring", 128, 128, false, 1 },
	{ "whole large ring", 32768, 32768, false, 1 },
	{ "table of a small queue", 2, VQ_CHAIN_MIN_MAX, true, 1 },
	{ "too long a table of a small queue", 2, VQ_CHAIN_MIN_MAX + 1, true, -EINVAL },
	{ "table of a large queue", 4096, 4096, true, 1 },
	{ "too long a table of a large queue", 4096, 4097, true, -EINVAL },
};

static void test_long(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(long_cases); i++) {
		struct fake_driver *f = fake_new(long_cases[i].size, FAKE_INDIRECT);
		uint32_t n = long_cases[i].count, cap = vq_chain_max(&f->vq);
		struct iovec *seg = calloc(cap, sizeof(*seg));
		struct vring_desc *d = f->desc;
		struct vq_chain c;

		REQUIRE(seg);
		if (long_cases[i].indirect) {
			d = (void *)(f->ram + 0x80000);
			fake_desc(&f->desc[0], 0x80000, n * 16, I, 0);
		}
		for (uint32_t k = 0; k < n; k++)
			fake_desc(&d[k], FAKE_DATA, 1, k + 1 < n ? N : 0, (uint16_t)(k + 1));
		fake_offer(f, 0);
		CHECK_EQ(long_cases[i].name, fake_pop(f, &c, seg, cap), long_cases[i].want);
		if (long_cases[i].want == 1)
			CHECK_EQ(long_cases[i].name, c.n_readable, n);
		free(seg);
		fake_free(f);
	}
}

/* The driver changes its mind between two pops: what was read is what counts. */
static void test_read_once(void)
{
	struct fake_driver *f = fake_new(8, 0);
	struct iovec seg[2];
	struct vq_chain c;

	fake_offer_one(f, 1);
	fake_offer_one(f, 2);
	REQUIRE(fake_pop(f, &c, seg, 2) == 1);
	ring_store(&f->avail->idx, 1); /* takes the second back, too late */
	CHECK_EQ("seen is seen", fake_pop(f, &c, seg, 2), 1);
	CHECK_EQ("head", c.head, 2);
	CHECK_EQ("now it is wrong", fake_pop(f, &c, seg, 2), -EINVAL);
	fake_free(f);
}

/* Rewrites the fields of two descriptors and of a table, one at a time, without end. */
struct scribbler {
	struct fake_driver *f;
	_Atomic bool stop;
};

static void *scribble(void *arg)
{
	static const struct test_desc values[] = {
		{ DATA, 16, R, 0 },	{ TABLE, 32, I, 0 },	    { EDGE - 4, 0x1000, N, 1 },
		{ DATA, 16, N | W, 9 }, { END - 4, 8, N, 1 },	    { TABLE, 0xfffffff0, I, 1 },
		{ EDGE - 4, 64, I, 0 }, { DATA, UINT32_MAX, N, 1 },
	};
	struct scribbler *s = arg;
	struct vring_desc *d[] = { &s->f->desc[0], &s->f->desc[1], (void *)(s->f->ram + TABLE) };

	for (unsigned i = 0; !s->stop; i++) {
		struct vring_desc *to = d[i % 3];
		unsigned v = i / 3;

		ring_store(&to->flags, values[v % 8].flags);
		__atomic_store_n(&to->len.v, le32_of(values[v / 2 % 8].len).v, __ATOMIC_RELAXED);
		ring_store(&to->next, values[v / 4 % 8].next);
		__atomic_store_n(&to->addr.v, le64_of(values[v / 8 % 8].addr).v, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool in_region(const struct mem_region *r, const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	return p >= r->host && p < r->host + r->size &&
	       v->iov_len <= (size_t)(r->host + r->size - p);
}

/* The driver writes while we read: whatever we saw is what was checked. */
static void test_scribble(void)
{
	struct fake_driver *f = fake_two_regions(FAKE_INDIRECT);
	struct scribbler s = { .f = f };
	unsigned good = 0;
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, scribble, &s) == 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct iovec seg[6];
		struct vq_chain c;

		fake_offer(f, 0);
		if (fake_pop(f, &c, seg, ARRAY_SIZE(seg)) != 1) {
			f->cfg.base = f->avail_idx;
			REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
			continue;
		}
		good++;
		for (unsigned k = 0; k < c.n_readable + c.n_writable; k++)
			CHECK(!seg[k].iov_base || in_region(&f->mem->r[0], &seg[k]) ||
			      in_region(&f->mem->r[1], &seg[k]));
		CHECK_EQ("readable", total(seg, c.n_readable), c.readable_len);
		CHECK_EQ("writable", total(seg + c.n_readable, c.n_writable), c.writable_len);
		REQUIRE(vq_push(&f->vq, c.head, 0) == 0);
	}
	s.stop = true;
	pthread_join(t, NULL);
	fprintf(stderr, "%u good chains of a driver that scribbles\n", good);
	fake_two_regions_free(f);
}

int main(void)
{
	static const uint32_t sizes[] = { 1, 2, 128, VRING_SIZE_MAX };

	REQUIRE(fault_init() == 0);
	for (size_t i = 0; i < ARRAY_SIZE(chain_cases); i++)
		check_chain(i);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		test_run(sizes[i]);
		test_too_many(sizes[i]);
	}
	test_table();
	test_hole();
	test_avail_idx();
	test_long();
	test_read_once();
	test_scribble();
	return check_done();
}
