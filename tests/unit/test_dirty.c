/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/dirty.c, and that a queue logs every byte it writes, on its page and no other. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_driver.h"
#include "virtio/fault.h"

#define PAGE	 4096u
#define LOG_SIZE 64u /* bytes: 512 pages, 2 MiB */

static uint8_t bits[LOG_SIZE];

/* Is the page marked? Clears the mark. */
static bool taken(uint64_t page)
{
	uint8_t mask = (uint8_t)(1u << (page % 8));
	bool was = bits[page / 8] & mask;

	bits[page / 8] &= (uint8_t)~mask;
	return was;
}

static bool none_left(void)
{
	static const uint8_t zero[LOG_SIZE];

	return !memcmp(bits, zero, sizeof(bits));
}

/* Exactly [first, first + n) was marked. */
static void check_pages(const char *name, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		CHECK_NAMED(name, taken(first + i));
	CHECK_NAMED(name, none_left());
	memset(bits, 0, sizeof(bits));
}

static const struct {
	const char *name;
	uint64_t gpa, len;
	int ret;
	uint64_t first, n;
} mark_cases[] = {
	{ "nothing", 5 * PAGE, 0, 0, 0, 0 },
	{ "one byte", 5 * PAGE + 7, 1, 0, 5, 1 },
	{ "a whole page", 5 * PAGE, PAGE, 0, 5, 1 },
	{ "its last byte", 5 * PAGE + PAGE - 1, 1, 0, 5, 1 },
	{ "one byte more", 5 * PAGE, PAGE + 1, 0, 5, 2 },
	{ "two bytes on two pages", 6 * PAGE - 1, 2, 0, 5, 2 },
	{ "over the end of a byte", 7 * PAGE, 2 * PAGE, 0, 7, 2 },
	{ "a byte of the log", 8 * PAGE, 8 * PAGE, 0, 8, 8 },
	{ "many", 3 * PAGE + 5, 100 * PAGE, 0, 3, 101 },
	{ "all", 0, 512 * PAGE, 0, 0, 512 },
	{ "the first", 0, 1, 0, 0, 1 },
	{ "the last", 512 * PAGE - 1, 1, 0, 511, 1 },
	{ "one page too many", 511 * PAGE, 2 * PAGE, -ERANGE, 511, 1 },
	{ "behind", 512 * PAGE, 1, -ERANGE, 0, 0 },
	{ "far behind", UINT64_MAX - 5, 3, -ERANGE, 0, 0 },
	{ "wraps", UINT64_MAX - 5, PAGE, -ERANGE, 0, 0 },
};

static void test_mark(void)
{
	struct dirty_log *log = dirty_over(bits, LOG_SIZE);

	REQUIRE(log);
	for (size_t i = 0; i < ARRAY_SIZE(mark_cases); i++) {
		CHECK_EQ(mark_cases[i].name, dirty_mark(log, mark_cases[i].gpa, mark_cases[i].len),
			 mark_cases[i].ret);
		check_pages(mark_cases[i].name, mark_cases[i].first, mark_cases[i].n);
	}
	memset(bits, 0xff, sizeof(bits));
	CHECK_EQ("marked already", dirty_mark(log, 0, 20 * PAGE), 0);
	CHECK_EQ("others stay", bits[LOG_SIZE - 1], 0xff);
	memset(bits, 0, sizeof(bits));
	dirty_put(log);
	dirty_put(NULL);
	CHECK_NAMED("none", !dirty_get(NULL));
}

static int new_file(size_t size)
{
	int fd = memfd_create("test-log", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

static const struct {
	const char *name;
	uint64_t off, len;
	int ret;
} open_cases[] = {
	{ "all", 0, 2 * PAGE, 0 },
	{ "a part", PAGE, 16, 0 },
	{ "at an odd place", 100, 16, 0 },
	{ "up to the end", 2 * PAGE - 1, 1, 0 },
	{ "nothing", 0, 0, -EINVAL },
	{ "past the end", PAGE, PAGE + 1, -EINVAL },
	{ "behind", 2 * PAGE, 1, -EINVAL },
	{ "wraps", UINT64_MAX - 10, 20, -EINVAL },
	{ "a negative offset", UINT64_MAX, 1, -EINVAL },
	{ "a huge one", 0, UINT64_MAX, -EINVAL },
};

static void test_open(void)
{
	int fd = new_file(2 * PAGE);
	struct dirty_log *log;
	uint8_t byte;

	for (size_t i = 0; i < ARRAY_SIZE(open_cases); i++) {
		int ret = dirty_open(fd, open_cases[i].off, open_cases[i].len, &log);

		CHECK_EQ(open_cases[i].name, ret, open_cases[i].ret);
		if (ret)
			continue;
		CHECK_EQ(open_cases[i].name, dirty_mark(log, 3 * PAGE, 1), 0);
		CHECK_EQ(open_cases[i].name, pread(fd, &byte, 1, (off_t)open_cases[i].off), 1);
		CHECK_EQ(open_cases[i].name, byte, 8);
		CHECK_EQ(open_cases[i].name, dirty_mark(log, open_cases[i].len * 8 * PAGE, 1),
			 -ERANGE);
		byte = 0;
		REQUIRE(pwrite(fd, &byte, 1, (off_t)open_cases[i].off) == 1);
		dirty_put(log);
	}
	CHECK_NAMED("no descriptor", dirty_open(-1, 0, 16, &log) < 0);

	REQUIRE(!dirty_open(fd, 0, PAGE, &log) && !ftruncate(fd, 0));
	CHECK_EQ("truncated", dirty_mark(log, 0, 1), -EFAULT);
	dirty_put(log);
	close(fd);
}

/* A ring of 1024 entries, its used part at 0x8000: it fills three pages. */
#define RING   1024u
#define USED   0x8000u
#define USED_N 3u
#define SHIFT  (0x100 * PAGE) /* where log.used_gpa says it is */

static struct fake_driver *new_queue(uint64_t features, const struct vq_log *log)
{
	struct fake_driver *f = malloc(sizeof(*f));
	uint8_t *ram = calloc(1, FAKE_RAM_SIZE);
	const struct vq_config cfg = {
		.size = RING, .features = features, .avail_uva = 0x4000, .used_uva = USED
	};

	REQUIRE(f && ram);
	fake_init(f, &cfg, ram, mem_over(ram, FAKE_RAM_SIZE));
	REQUIRE(!vq_start(&f->vq, &f->cfg, f->mem));
	vq_set_log(&f->vq, log);
	vq_refresh(&f->vq);
	CHECK_NAMED("the start is not a write", none_left());
	return f;
}

/* Pops and pushes one request. */
static void answer_one(struct fake_driver *f)
{
	struct iovec seg[2];
	struct vq_chain c;

	fake_offer_one(f, 0);
	REQUIRE(fake_pop(f, &c, seg, 2) == 1 && !vq_push(&f->vq, c.head, 0));
}

/* Every write to the used ring, one after the other; base: the page it counts as. */
static void check_ring(const char *name, struct fake_driver *f, uint64_t base)
{
	struct vq *vq = &f->vq;

	for (unsigned i = 0; i < RING; i++) {
		uint64_t off = sizeof(struct vring_used) + i * sizeof(struct vring_used_elem);

		answer_one(f);
		check_pages(name, base + off / PAGE, (off + 7) / PAGE - off / PAGE + 1);
	}
	CHECK_EQ(name, vq_publish(vq), 0);
	check_pages("used index", base, 1);
	CHECK_EQ(name, vq_publish(vq), 0);
	check_pages("nothing new", 0, 0);
	vq_kicks_off(vq);
	check_pages("kicks off", base, !vq->event_idx);
	CHECK_EQ(name, vq_kicks_on(vq), 0);
	check_pages("kicks on", vq->event_idx ? base + 2 : base, 1);
}

static void test_ring(void)
{
	static const uint64_t features[] = { 0, FAKE_EVENT_IDX };
	struct dirty_log *log = dirty_over(bits, LOG_SIZE);

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct vq_log data = { .log = log, .data = true };
		const struct vq_log used = { .log = log, .used = true, .used_gpa = USED + SHIFT };
		const struct vq_log none = { .log = log };
		struct fake_driver *f = new_queue(features[i], &data);

		check_ring("where it is", f, USED / PAGE);
		vq_set_log(&f->vq, &used);
		vq_refresh(&f->vq);
		check_ring("where it is said to be", f, (USED + SHIFT) / PAGE);
		vq_set_log(&f->vq, &none);
		vq_refresh(&f->vq);
		answer_one(f);
		vq_publish(&f->vq);
		vq_kicks_on(&f->vq);
		check_pages("off again", 0, 0);
		fake_free(f);
	}
	CHECK_EQ("references", log->refs, 1);
	dirty_put(log);
}

static uint8_t area[0x40000];

/* Two regions, side by side here and apart in the guest; a hole that is unusable between. */
static struct mem_table *two_regions(uint64_t second_gpa)
{
	const struct mem_region r[] = {
		{ .gpa = 0x10000, .size = 0x10000, .host = area },
		{ .gpa = 0x30000, .size = 0x10000, .host = NULL },
		{ .gpa = second_gpa, .size = 0x10000, .host = area + 0x10000 },
	};

	return fake_table(r, ARRAY_SIZE(r));
}

static const struct {
	const char *name;
	struct iovec iov[3];
	uint64_t len;
	uint64_t first, n;   /* pages */
	uint64_t first2, n2; /* of the other region */
} wrote_cases[] = {
	{ "nothing", { { area, 100 } }, 0, 0, 0, 0, 0 },
	{ "one byte", { { area + 0x1000, 100 } }, 1, 0x11, 1, 0, 0 },
	{ "a part", { { area + 0x1ff0, 0x5000 } }, 0x11, 0x11, 2, 0, 0 },
	{ "more than there is", { { area, 0x1000 } }, UINT64_MAX, 0x10, 1, 0, 0 },
	{ "two buffers",
	  { { area + 0x3000, 16 }, { area + 0x4000, 0x1001 } },
	  16 + 0x1001,
	  0x13,
	  3,
	  0,
	  0 },
	{ "the second not reached",
	  { { area + 0x3000, 16 }, { area + 0x9000, 0x1001 } },
	  16,
	  0x13,
	  1,
	  0,
	  0 },
	{ "an empty one between",
	  { { area + 0x3000, 16 }, { area + 0x9000, 0 }, { area + 0x4000, 4 } },
	  20,
	  0x13,
	  2,
	  0,
	  0 },
	{ "one that does not translate",
	  { { NULL, 0x1000 }, { area + 0x4000, 4 } },
	  0x1004,
	  0x14,
	  1,
	  0,
	  0 },
	{ "the last byte of a region", { { area + 0xffff, 1 } }, 1, 0x1f, 1, 0, 0 },
	{ "the other region", { { area + 0x10000, 0x2000 } }, 0x2000, 0, 0, 0x80, 2 },
	{ "over the edge", { { area + 0xf000, 0x2000 } }, 0x2000, 0x1f, 1, 0x80, 1 },
	{ "off the end", { { area + 0x1f000, 0x3000 } }, 0x3000, 0, 0, 0x8f, 1 },
	{ "somewhere else", { { bits, 8 } }, 8, 0, 0, 0, 0 },
};

static void test_data(void)
{
	struct dirty_log *log = dirty_over(bits, LOG_SIZE);
	struct fake_driver *f = new_queue(0, &(struct vq_log){ .log = log, .data = true });
	struct mem_table *t = two_regions(0x80000), *moved = two_regions(0xc0000);

	for (size_t i = 0; i < ARRAY_SIZE(wrote_cases); i++) {
		uint64_t n2 = wrote_cases[i].n2;

		vq_wrote_in(&f->vq, t, wrote_cases[i].iov, 3, wrote_cases[i].len);
		for (uint64_t p = 0; p < n2; p++)
			CHECK_NAMED(wrote_cases[i].name, taken(wrote_cases[i].first2 + p));
		check_pages(wrote_cases[i].name, wrote_cases[i].first, wrote_cases[i].n);
	}
	/* A request that was popped before the table changed says which one it means. */
	vq_wrote_in(&f->vq, moved, (struct iovec[]){ { area + 0x10000, 1 } }, 1, 1);
	check_pages("another table", 0xc0, 1);
	vq_wrote(&f->vq, (struct iovec[]){ { f->ram + FAKE_DATA, 1 } }, 1, 1);
	check_pages("the queue's own table", FAKE_DATA / PAGE, 1);

	vq_set_log(&f->vq, &(struct vq_log){ .log = log, .used = true });
	vq_refresh(&f->vq);
	vq_wrote(&f->vq, (struct iovec[]){ { f->ram + FAKE_DATA, 1 } }, 1, 1);
	vq_wrote_in(&f->vq, t, (struct iovec[]){ { area, 1 } }, 1, 1);
	check_pages("only the ring is logged", 0, 0);
	fake_free(f);
	mem_put(t);
	mem_put(moved);
	dirty_put(log);
}

/* The hand-over of a log. */
static void test_settled(void)
{
	struct dirty_log *a = dirty_over(bits, LOG_SIZE), *b = dirty_over(bits, LOG_SIZE);
	struct fake_driver *f = fake_new(8, 0);
	int told = fake_eventfd();
	const struct vq_log none = { 0 };

	f->vq.refreshed_fd = told;
	CHECK_NAMED("at first", vq_log_settled(&f->vq));
	vq_set_log(&f->vq, &(struct vq_log){ .log = a, .data = true });
	CHECK_NAMED("not yet", !vq_log_settled(&f->vq));
	CHECK_EQ("not yet", fake_signals(told), 0);
	vq_set_log(&f->vq, &(struct vq_log){ .log = b, .data = true });
	CHECK_EQ("one that was never used", a->refs, 1);
	vq_refresh(&f->vq);
	CHECK_NAMED("now", vq_log_settled(&f->vq));
	CHECK_EQ("now", fake_signals(told), 1);
	CHECK_EQ("held", b->refs, 2);
	vq_refresh(&f->vq);
	vq_set_mem(&f->vq, f->mem);
	vq_refresh(&f->vq);
	CHECK_EQ("nothing new", fake_signals(told), 0);

	vq_set_log(&f->vq, &(struct vq_log){ .log = a, .data = true });
	vq_stop(&f->vq);
	REQUIRE(!vq_start(&f->vq, &f->cfg, f->mem));
	CHECK_NAMED("a start is a change-over", vq_log_settled(&f->vq));
	CHECK_EQ("which lets go of the former", b->refs, 1);
	answer_one(f);
	check_pages("and logs", 0, 1);
	vq_set_log(&f->vq, &none);
	vq_refresh(&f->vq);
	CHECK_EQ("nobody holds it", a->refs, 1);
	vq_set_log(&f->vq, &(struct vq_log){ .log = a, .data = true });
	fake_free(f);
	CHECK_EQ("not even the end of a queue", a->refs, 1);
	dirty_put(a);
	dirty_put(b);
	close(told);
}

/* A log that fails is not the guest's fault: its queue goes on. */
static void test_failing(void)
{
	int fd = new_file(PAGE);
	struct fake_driver *f;
	struct dirty_log *log;

	REQUIRE(!dirty_open(fd, 0, 1, &log));
	f = new_queue(0, &(struct vq_log){ .log = log, .used = true, .used_gpa = USED + SHIFT });
	answer_one(f);
	CHECK_EQ("too short", vq_publish(&f->vq), 0);
	CHECK_EQ("answered", fake_used_idx(f), 1);
	CHECK_NAMED("goes on", f->vq.log.used);
	vq_set_log(&f->vq, &(struct vq_log){ .log = log, .data = true });
	vq_refresh(&f->vq);
	REQUIRE(!ftruncate(fd, 0));
	vq_wrote(&f->vq, (struct iovec[]){ { f->ram, 4 * PAGE } }, 1, 4 * PAGE);
	answer_one(f);
	CHECK_EQ("truncated", vq_publish(&f->vq), 0);
	CHECK_EQ("answered", fake_used_idx(f), 2);
	CHECK_EQ("not broken", f->vq.broken, 0);
	CHECK_NAMED("not tried again", !f->vq.log.data);
	fake_free(f);
	dirty_put(log);
	close(fd);
}

int main(void)
{
	REQUIRE(!fault_init());
	test_mark();
	test_open();
	test_ring();
	test_data();
	test_settled();
	test_failing();
	return check_done();
}
