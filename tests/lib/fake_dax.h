/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-fs device with a DAX window, for tests of guest/dax*.c: it notes for each page of the
 * window what is mapped there, and watches that nothing changes under a pin, that nothing is mapped
 * over something else, and that what is lost is left alone.
 */
#ifndef TESTS_LIB_FAKE_DAX_H
#define TESTS_LIB_FAKE_DAX_H

#include "tests/lib/fake_fs.h"

#include "base/align.h"
#include "vdax/dax.h"

#define PAGE	   4096u
#define PAGES	   256u
#define WINDOW_GPA ((uint64_t)1 << 32)
#define OPS_MAX	   32u
#define PENDING	   64u

/* --- The platform: RAM-like or not --- */

static _Alignas(PAGE) uint8_t bytes[PAGES * PAGE];
static uint64_t window_len;
static unsigned int accesses; /* through the platform */

static inline int op_shm_region(void *ctx, uint8_t id, struct vdax_region *region)
{
	(void)ctx;
	CHECK_EQ("region", id, VIRTIO_FS_SHMID_CACHE);
	*region = (struct vdax_region){ WINDOW_GPA, window_len };
	return window_len ? 0 : -VDAX_ENODEV;
}

static inline int op_window_read(void *ctx, uint64_t addr, void *dst, size_t len)
{
	(void)ctx;
	accesses++;
	memcpy(dst, bytes + (addr - WINDOW_GPA), len);
	return 0;
}

static inline int op_window_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	(void)ctx;
	accesses++;
	memcpy(bytes + (addr - WINDOW_GPA), src, len);
	return 0;
}

static const struct vdax_platform_ops window_ops = { .shm_region = op_shm_region,
						     .window_read = op_window_read,
						     .window_write = op_window_write };
static const struct vdax_platform ram = { .ops = &window_ops, .ram_like = true };
static const struct vdax_platform pci = { .ops = &window_ops, .ram_like = false };

/* --- The device --- */

static struct page {
	uint64_t node, off;
	bool mapped, writable;
	bool lost;	   /* it failed to remove it */
	unsigned int pins; /* of the test */
} pages[PAGES];

/* A request that is not answered yet. */
struct pending {
	struct request r;
	bool setup;
	uint64_t nodeid;
	struct fuse_setupmapping_in in;
	struct fuse_removemapping_one list[VDAX_FS_LIST_MAX];
	uint32_t n;
};
static struct pending pending[PENDING];
static unsigned int n_pending;
static unsigned int setups, removals;

/* A page is in the window once. */
static inline bool is_elsewhere(uint64_t node, uint64_t off, uint64_t here)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		if (i != here && pages[i].mapped && !pages[i].lost && pages[i].node == node &&
		    pages[i].off == off)
			return true;
	}
	return false;
}

static inline void check_setup(const struct pending *p)
{
	const uint64_t first = p->in.moffset / PAGE, n = p->in.len / PAGE;
	const uint64_t flags = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE;

	CHECK(p->in.fh == UINT64_MAX);
	CHECK(is_pow2(p->in.len) && p->in.len >= PAGE);
	CHECK(is_aligned(p->in.foffset | p->in.moffset, p->in.len));
	CHECK(p->in.flags == flags || p->in.flags == FUSE_SETUPMAPPING_FLAG_READ);
	REQUIRE(first + n <= PAGES);
	for (uint64_t i = 0; i < n; i++) {
		const struct page *page = &pages[first + i];
		bool same = page->mapped && page->node == p->nodeid && !page->writable &&
			    page->off == p->in.foffset + i * PAGE && p->in.flags == flags;

		CHECK_NAMED("mapped over something", !page->mapped || same);
		CHECK_NAMED("what is lost is used", !page->lost);
		CHECK_NAMED("a page is there twice",
			    !is_elsewhere(p->nodeid, p->in.foffset + i * PAGE, first + i));
		CHECK_NAMED("a pinned page is mapped", !page->pins || same);
	}
}

static inline void check_removal(const struct pending *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const uint64_t first = p->list[i].moffset / PAGE, n = p->list[i].len / PAGE;

		REQUIRE(first + n <= PAGES);
		for (uint64_t k = first; k < first + n; k++) {
			CHECK_NAMED("removes what is not there", pages[k].mapped && !pages[k].lost);
			CHECK_NAMED("removes what is pinned", !pages[k].pins);
			CHECK_NAMED("the node of a removal", pages[k].node == p->nodeid);
		}
	}
}

/* Takes all requests that are there into pending. */
static inline void dev_take(void)
{
	vdax_fs_submit(&q);
	while (dev_pop(&q)) {
		struct pending *p = &pending[n_pending++];

		REQUIRE(n_pending <= PENDING);
		*p = (struct pending){ .r = got, .nodeid = got.h.nodeid };
		if (got.h.opcode == FUSE_SETUPMAPPING) {
			p->setup = true;
			REQUIRE(got.body_len == sizeof(p->in));
			memcpy(&p->in, got.body, sizeof(p->in));
			check_setup(p);
			setups++;
		} else {
			REQUIRE(got.h.opcode == FUSE_REMOVEMAPPING);
			memcpy(&p->n, got.body, sizeof(p->n));
			REQUIRE(p->n && p->n <= VDAX_FS_LIST_MAX);
			REQUIRE(got.body_len == 4 + p->n * sizeof(p->list[0]));
			memcpy(p->list, got.body + 4, p->n * sizeof(p->list[0]));
			check_removal(p);
			removals++;
		}
	}
}

/* What shows that a page is that of a file. */
static inline uint64_t mark_of(uint64_t node, uint64_t off)
{
	return node * UINT64_C(0x100000001) + off;
}

static inline void do_setup(const struct pending *p)
{
	for (uint64_t i = 0; i < p->in.len / PAGE; i++) {
		struct page *page = &pages[p->in.moffset / PAGE + i];
		uint64_t mark = mark_of(p->nodeid, p->in.foffset + i * PAGE);

		page->node = p->nodeid;
		page->off = p->in.foffset + i * PAGE;
		page->mapped = true;
		page->writable = p->in.flags & FUSE_SETUPMAPPING_FLAG_WRITE;
		memcpy(bytes + p->in.moffset + i * PAGE, &mark, sizeof(mark));
		CHECK_NAMED("a page is there twice",
			    !is_elsewhere(page->node, page->off, p->in.moffset / PAGE + i));
	}
}

static inline void do_removal(const struct pending *p, bool fails)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const uint64_t first = p->list[i].moffset / PAGE;

		for (uint64_t k = first; k < first + p->list[i].len / PAGE; k++) {
			pages[k].lost = fails;
			pages[k].mapped = fails;
			if (!fails)
				memset(bytes + k * PAGE, 0, 8);
		}
	}
}

/* Answers the i-th, and the driver sees it. */
static inline void answer_with(unsigned int i, int error, uint32_t body)
{
	static const uint8_t zeros[64];
	struct pending *p = &pending[i];

	if (p->setup && !error && !body)
		do_setup(p);
	else if (!p->setup)
		do_removal(p, error || body);
	got = p->r;
	dev_reply(&q, error, zeros, body);
	memmove(p, p + 1, (--n_pending - i) * sizeof(*p));
	CHECK_EQ("poll", vdax_fs_poll(&q), 1);
	dev_take();
}

static inline void answer(int error)
{
	REQUIRE(n_pending);
	answer_with(0, error, 0);
}

/* All, also what comes of it. */
static inline void answer_all(void)
{
	dev_take();
	while (n_pending)
		answer(0);
}

/* --- The embedder --- */

static struct vdax_dax dax;
static struct vdax_dax_range ranges[PAGES];
static struct vdax_dax_op dax_ops[OPS_MAX];
static struct vdax_dax_opts dax_opts;

struct user {
	struct vdax_dax_rq rq;
	unsigned int calls;
	int ret;
};

static inline void user_done(struct vdax_dax_rq *r, int ret)
{
	struct user *u = container_of(r, struct user, rq);

	u->calls++;
	u->ret = ret;
}

/* A window of so many pages, with ranges of min to max of them. */
static inline void start(unsigned int n, unsigned int min, unsigned int max)
{
	window_len = (uint64_t)n * PAGE;
	memset(pages, 0, sizeof(pages));
	memset(bytes, 0, sizeof(bytes));
	n_pending = setups = removals = accesses = 0;
	set_up(INDIRECT);
	dax_opts = (struct vdax_dax_opts){ .platform = &ram,
					   .queue = &q,
					   .base = bytes,
					   .min_range = min * PAGE,
					   .max_range = max * PAGE,
					   .ranges = ranges,
					   .num_ranges = n / min,
					   .ops = dax_ops,
					   .num_ops = 8 };
	REQUIRE(!vdax_dax_init(&dax, &dax_opts));
}

/* The same with other options. */
static inline void start_again(void)
{
	REQUIRE(!vdax_dax_init(&dax, &dax_opts));
}

static inline int map(struct user *u, uint64_t node, uint64_t page, uint64_t n, bool write)
{
	u->rq.done = user_done;
	u->rq.nodeid = node;
	u->rq.off = page * PAGE;
	u->rq.len = n * PAGE;
	u->rq.write = write;
	u->calls = 0;
	return vdax_dax_map(&dax, &u->rq);
}

static inline int forget(struct user *u, uint64_t node)
{
	u->rq.done = user_done;
	u->rq.nodeid = node;
	u->calls = 0;
	return vdax_dax_forget(&dax, &u->rq);
}

/* Is what is pinned what was asked for? From here on the device watches it. */
static inline void check_pin(const char *name, const struct user *u)
{
	const struct vdax_dax_pin *p = &u->rq.pin;
	uint64_t mark;

	REQUIRE(p->range && p->len && p->len <= u->rq.len);
	REQUIRE(p->window_off + p->len <= window_len);
	for (uint64_t at = 0; at < p->len; at += PAGE) {
		struct page *page = &pages[(p->window_off + at) / PAGE];

		page->pins++;
		CHECK_NAMED(name, page->mapped && page->node == u->rq.nodeid &&
					  page->off == align_down(u->rq.off + at, PAGE));
		CHECK_NAMED(name, page->writable || !u->rq.write);
		CHECK_EQ(name, vdax_dax_read(&dax, p, at, &mark, sizeof(mark)), 0);
		CHECK_EQ(name, mark, mark_of(u->rq.nodeid, u->rq.off + at));
	}
}

static inline void unpin(struct user *u)
{
	const struct vdax_dax_pin *p = &u->rq.pin;

	for (uint64_t at = 0; at < p->len; at += PAGE)
		pages[(p->window_off + at) / PAGE].pins--;
	vdax_dax_unpin(&dax, &u->rq.pin);
	CHECK(!u->rq.pin.range);
}

/* Maps, waits, checks. */
static inline void map_pinned(const char *name, struct user *u, uint64_t node, uint64_t page,
			      uint64_t n, bool write)
{
	int ret = map(u, node, page, n, write);

	if (!ret) {
		answer_all();
		CHECK_EQ(name, u->calls, 1);
		ret = u->ret ? u->ret : 1;
	}
	CHECK_EQ(name, ret, 1);
	REQUIRE(ret == 1);
	check_pin(name, u);
}

/* The same, and gives it back: it is in use now, and of that age. */
static inline void use(const char *name, uint64_t node, uint64_t page, uint64_t n)
{
	struct user u = { .calls = 0 };

	u.rq.size = UINT64_MAX;
	map_pinned(name, &u, node, page, n, false);
	unpin(&u);
}

static inline bool is_mapped(uint64_t node, uint64_t page)
{
	struct user u = { .rq = { .nodeid = node, .off = page * PAGE, .len = 1 } };

	if (vdax_dax_lookup(&dax, &u.rq))
		return false;
	vdax_dax_unpin(&dax, &u.rq.pin);
	return true;
}

#endif
