/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/queue.c and the notifications: life cycle, breaking, memory changes, two threads. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_driver.h"
#include "virtio/fault.h"

static int pop(struct fake_driver *f)
{
	struct iovec seg[2];
	struct vq_chain c;

	return fake_pop(f, &c, seg, 2);
}

/* Offers, pops and pushes n requests. */
static void serve(struct fake_driver *f, unsigned n)
{
	while (n--) {
		fake_offer_one(f, 0);
		REQUIRE(pop(f) == 1 && vq_push(&f->vq, 0, 0) == 0);
	}
}

#define RAM 0x2000u

static const struct {
	const char *name;
	struct vq_config cfg;
	int want;
} start_cases[] = {
	{ "good", { .size = 8, .desc_uva = 0, .avail_uva = 0x100, .used_uva = 0x200 }, 0 },
	{ "size 0", { .size = 0, .desc_uva = 0, .avail_uva = 0x100, .used_uva = 0x200 }, -EINVAL },
	{ "size 3", { .size = 3, .desc_uva = 0, .avail_uva = 0x100, .used_uva = 0x200 }, -EINVAL },
	{ "size 65536", { .size = 65536 }, -EINVAL },
	{ "size 2^31", { .size = 1u << 31 }, -EINVAL },
	{ "desc unaligned",
	  { .size = 8, .desc_uva = 8, .avail_uva = 0x100, .used_uva = 0x200 },
	  -EINVAL },
	{ "avail unaligned", { .size = 8, .avail_uva = 0x101, .used_uva = 0x200 }, -EINVAL },
	{ "avail at 2", { .size = 8, .avail_uva = 0x102, .used_uva = 0x200 }, 0 },
	{ "used unaligned", { .size = 8, .avail_uva = 0x100, .used_uva = 0x202 }, -EINVAL },
	{ "used at 4", { .size = 8, .avail_uva = 0x100, .used_uva = 0x204 }, 0 },
	{ "desc at the end", { .size = 8, .desc_uva = RAM - 128, .used_uva = 0x200 }, 0 },
	{ "desc ends outside", { .size = 8, .desc_uva = RAM - 112, .used_uva = 0x200 }, -EFAULT },
	{ "avail at the end", { .size = 8, .avail_uva = RAM - 22, .used_uva = 0x200 }, 0 },
	{ "used_event outside", { .size = 8, .avail_uva = RAM - 20, .used_uva = 0x200 }, -EFAULT },
	{ "used at the end", { .size = 8, .used_uva = RAM - 72 }, 0 },
	{ "avail_event outside", { .size = 8, .used_uva = RAM - 68 }, -EFAULT },
	{ "desc wraps", { .size = 8, .desc_uva = UINT64_MAX - 15, .used_uva = 0x200 }, -EFAULT },
	{ "in an unusable region", { .size = 8, .desc_uva = 0x10000 }, -EFAULT },
	{ "desc in memory that is off by 8", { .size = 8, .desc_uva = 0x20000 }, -EINVAL },
	{ "avail in memory that is off by 1", { .size = 8, .avail_uva = 0x30000 }, -EINVAL },
	{ "used in memory that is off by 1", { .size = 8, .used_uva = 0x30000 }, -EINVAL },
};

static void test_start(void)
{
	uint8_t *ram = calloc(1, RAM);
	const struct mem_region r[] = {
		{ .gpa = 0, .size = RAM, .uva = 0, .host = ram },
		{ .gpa = 0x10000, .size = 0x1000, .uva = 0x10000, .host = NULL },
		{ .gpa = 0x20000, .size = 0x1000, .uva = 0x20000, .host = ram + 8 },
		{ .gpa = 0x30000, .size = 0x1000, .uva = 0x30000, .host = ram + 1 },
	};
	struct mem_table *mem = fake_table(r, ARRAY_SIZE(r));
	struct vq vq;

	REQUIRE(ram && vq_init(&vq, "test") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(start_cases); i++) {
		CHECK_EQ(start_cases[i].name, vq_start(&vq, &start_cases[i].cfg, mem),
			 start_cases[i].want);
		CHECK_EQ("references", mem->refs, start_cases[i].want ? 1 : 2);
		vq_stop(&vq);
		CHECK_EQ("references", mem->refs, 1);
	}
	vq_fini(&vq);
	mem_put(mem);
	free(ram);
}

/* A ring goes on where it was, however the first start ended. */
static void test_restart(void)
{
	struct fake_driver *f = fake_new(8, 0);
	struct vq_config bad = f->cfg;

	serve(f, 5);
	REQUIRE(vq_publish(&f->vq) == 0);
	fake_offer_one(f, 0);
	fake_offer_one(f, 1);
	REQUIRE(pop(f) == 1 && vq_push(&f->vq, 0, 0) == 0 && vq_publish(&f->vq) == 0);
	CHECK_EQ("base", vq_stop(&f->vq), 6);

	bad.base = f->cfg.base = 6;
	bad.desc_uva = UINT64_MAX - 15;
	CHECK_EQ("bad start", vq_start(&f->vq, &bad, f->mem), -EFAULT);
	CHECK_EQ("base after a bad start", vq_stop(&f->vq), 6);

	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	CHECK_EQ("the one that waited", pop(f), 1);
	CHECK_EQ("no other", pop(f), 0);
	REQUIRE(vq_push(&f->vq, 1, 0) == 0 && vq_publish(&f->vq) == 0);
	CHECK_EQ("used idx goes on", fake_used_idx(f), 7);
	CHECK_EQ("used id", le32_get(fake_used(f, 6).id), 1);
	fake_free(f);
}

/* Requests that were kept over a stop are answered after it. */
static void test_adopt(void)
{
	struct fake_driver *f = fake_new(8, 0);

	fake_offer_one(f, 0);
	fake_offer_one(f, 1);
	REQUIRE(pop(f) == 1 && pop(f) == 1);
	f->cfg.base = vq_stop(&f->vq);
	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	CHECK_EQ("more than the ring has", vq_adopt(&f->vq, 9), -EINVAL);
	CHECK_EQ("two", vq_adopt(&f->vq, 2), 0);
	CHECK_EQ("more than is left", vq_adopt(&f->vq, 7), -EINVAL);
	for (uint16_t i = 2; i < 9; i++) /* 6 entries are left, whatever the driver says */
		fake_offer_one(f, i % 8);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ("others", pop(f), 1);
	REQUIRE(vq_push(&f->vq, 0, 0) == 0 && vq_push(&f->vq, 1, 0) == 0);
	CHECK_EQ("answered", vq_publish(&f->vq), 0);
	CHECK_EQ("answered", fake_used_idx(f), 2);
	CHECK_EQ("room again", pop(f), 1);
	fake_free(f);
}

/* A base that was never started from is given back. */
static void test_failed_first_start(void)
{
	const struct vq_config cfg = { .size = 8, .base = 1234 };
	struct mem_table *empty = mem_new();
	struct vq vq;

	REQUIRE(empty && vq_init(&vq, "test") == 0);
	CHECK_EQ("start", vq_start(&vq, &cfg, empty), -EFAULT);
	CHECK_EQ("base", vq_stop(&vq), 1234);
	vq_fini(&vq);
	mem_put(empty);
}

/* Broken: said once, for good, and by nobody else. */
static void test_broken(void)
{
	struct fake_driver *f = fake_new(8, 0), *g = fake_new(8, 0);

	serve(f, 1);
	fake_offer(f, 8);
	CHECK_EQ("bad head", pop(f), -EINVAL);
	CHECK_EQ("told", fake_signals(f->err), 1);
	for (unsigned i = 0; i < 3; i++) {
		fake_offer_one(f, 1); /* a good one does not help */
		CHECK_EQ("pop", pop(f), -EINVAL);
		CHECK_EQ("push", vq_push(&f->vq, 0, 0), -EINVAL);
		CHECK_EQ("publish", vq_publish(&f->vq), -EINVAL);
		CHECK_EQ("kicks on", vq_kicks_on(&f->vq), -EINVAL);
		CHECK_EQ("the first error stays", vq_break(&f->vq, -EIO, "test"), -EINVAL);
		vq_kicks_off(&f->vq);
		vq_set_mem(&f->vq, f->mem);
		vq_refresh(&f->vq);
	}
	CHECK_EQ("told once", fake_signals(f->err), 0);
	CHECK_EQ("no call", fake_signals(f->call), 0);
	CHECK_EQ("nothing published", fake_used_idx(f), 0);

	serve(g, 1);
	CHECK_EQ("another queue", vq_publish(&g->vq), 0);
	CHECK_EQ("another queue", fake_signals(g->call), 1);
	CHECK_EQ("another queue", fake_signals(g->err), 0);

	f->cfg.base = vq_stop(&f->vq);
	f->avail_idx = f->cfg.base;
	ring_store(&f->avail->idx, f->avail_idx);
	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	fake_offer_one(f, 1);
	CHECK_EQ("whole again after a start", pop(f), 1);
	fake_free(f);
	fake_free(g);
}

/* Does a publish notify? old and n: used indices before, and how many are added. */
static const struct {
	const char *name;
	uint64_t features;
	uint16_t flags, used_event, old;
	unsigned n, want;
} call_cases[] = {
	{ "flags clear", 0, 0, 0, 0, 1, 1 },
	{ "flags clear, nothing new", 0, 0, 0, 0, 0, 0 },
	{ "several at once", 0, 0, 0, 0, 5, 1 },
	{ "suppressed", 0, VRING_AVAIL_F_NO_INTERRUPT, 0, 0, 5, 0 },
	{ "other flags", 0, 0xfffe, 0, 0, 1, 1 },
	{ "used_event without the feature", 0, 0, 1000, 0, 1, 1 },
	{ "event next", FAKE_EVENT_IDX, 0, 0, 0, 1, 1 },
	{ "event ignores the flags", FAKE_EVENT_IDX, VRING_AVAIL_F_NO_INTERRUPT, 0, 0, 1, 1 },
	{ "event one later", FAKE_EVENT_IDX, 0, 11, 10, 1, 0 },
	{ "event at the last of several", FAKE_EVENT_IDX, 0, 13, 10, 4, 1 },
	{ "event just behind several", FAKE_EVENT_IDX, 0, 14, 10, 4, 0 },
	{ "event in the past", FAKE_EVENT_IDX, 0, 9, 10, 4, 0 },
	{ "event across the wrap", FAKE_EVENT_IDX, 0, 1, 65534, 4, 1 },
	{ "event before the wrap", FAKE_EVENT_IDX, 0, 65535, 65534, 4, 1 },
	{ "event behind the wrap", FAKE_EVENT_IDX, 0, 2, 65534, 4, 0 },
};

static void test_calls(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(call_cases); i++) {
		struct fake_driver *f = fake_new(8, call_cases[i].features);
		uint16_t old = call_cases[i].old;

		/* One request first: the first publish after a start is special. */
		f->cfg.base = f->avail_idx = (uint16_t)(old - 1);
		ring_store(&f->used->idx, f->avail_idx);
		ring_store(&f->avail->idx, f->avail_idx);
		REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
		serve(f, 1);
		REQUIRE(vq_publish(&f->vq) == 0);
		fake_signals(f->call);

		ring_store(&f->avail->flags, call_cases[i].flags);
		fake_set_used_event(f, call_cases[i].used_event);
		serve(f, call_cases[i].n);
		CHECK_EQ(call_cases[i].name, vq_publish(&f->vq), 0);
		CHECK_EQ(call_cases[i].name, fake_signals(f->call), call_cases[i].want);
		CHECK_EQ(call_cases[i].name, fake_used_idx(f), (uint16_t)(old + call_cases[i].n));
		fake_free(f);
	}
}

/* After a start, any request that the driver may still wait for is announced. */
static void test_first_call(void)
{
	for (uint16_t event = 92; event <= 101; event++) {
		struct fake_driver *f = fake_new(8, FAKE_EVENT_IDX);

		f->cfg.base = f->avail_idx = 100;
		ring_store(&f->used->idx, 100);
		ring_store(&f->avail->idx, 100);
		fake_set_used_event(f, event);
		REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
		serve(f, 1);
		REQUIRE(vq_publish(&f->vq) == 0);
		CHECK_EQ("first call", fake_signals(f->call), event <= 100);
		fake_free(f);
	}
}

static void test_call_fd(void)
{
	struct fake_driver *f = fake_new(8, 0);
	int later = fake_eventfd();

	vq_set_call(&f->vq, -1);
	vq_set_err(&f->vq, -1);
	serve(f, 1);
	CHECK_EQ("nobody to call", vq_publish(&f->vq), 0);
	CHECK_EQ("not counted", f->vq.notified, 0);
	vq_set_call(&f->vq, dup(later));
	serve(f, 1);
	CHECK_EQ("publish", vq_publish(&f->vq), 0);
	CHECK_EQ("the new one", fake_signals(later), 1);
	CHECK_EQ("counted", f->vq.notified, 1);
	CHECK_EQ("not the old one", fake_signals(f->call), 0);
	CHECK_EQ("break without an err fd", vq_break(&f->vq, -EIO, "test"), -EIO);
	close(later);
	fake_free(f);
}

/* As a front end can make it that shares the call descriptor: its counter is full, and it waits. */
static int full_eventfd(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, &full, sizeof(full)) == sizeof(full));
	return fd;
}

static void *publish_thread(void *vq)
{
	return vq_publish(vq) ? vq : NULL;
}

/* A notification that blocks holds up nobody who changes the queue, and is not lost. */
static void test_call_blocks(void)
{
	struct fake_driver *f = fake_new(8, 0);
	int blocks = full_eventfd(), given = dup(blocks);
	pthread_t worker;
	void *failed;

	alarm(20); /* it would hang */
	vq_set_call(&f->vq, given);
	serve(f, 1);
	REQUIRE(pthread_create(&worker, NULL, publish_thread, &f->vq) == 0);
	while (fake_used_idx(f) != 1)
		;
	poll(NULL, 0, 50); /* by now it is in its write() */
	vq_set_mem(&f->vq, f->mem);
	vq_set_call(&f->vq, dup(f->call));
	vq_set_err(&f->vq, -1);
	CHECK_NAMED("not closed under it", fcntl(given, F_GETFD) >= 0);
	CHECK_EQ("it blocks", fake_signals(f->call), 0);
	fd_drain(blocks);
	pthread_join(worker, &failed);
	CHECK_NAMED("publish", !failed);
	CHECK_EQ("the new one is signalled", fake_signals(f->call), 1);
	CHECK_EQ("the old one, too", fake_signals(blocks), 1);
	CHECK_NAMED("and closed", fcntl(given, F_GETFD) < 0);
	CHECK_EQ("counted", f->vq.notified, 1);
	alarm(0);
	close(blocks);
	fake_free(f);
}

static void test_kicks(uint64_t features)
{
	struct fake_driver *f = fake_new(8, features);

	CHECK_EQ("asks at start", ring_load(&f->used->flags), 0);
	CHECK_EQ("asks at start", fake_avail_event(f), 0);
	fake_offer_one(f, 0);
	vq_kicks_off(&f->vq);
	if (!features)
		CHECK_EQ("off", ring_load(&f->used->flags), VRING_USED_F_NO_NOTIFY);
	REQUIRE(pop(f) == 1);
	CHECK_EQ("on, ring empty", vq_kicks_on(&f->vq), 0);
	CHECK_EQ("flag", ring_load(&f->used->flags), 0);
	CHECK_EQ("event", fake_avail_event(f), features ? 1 : 0);

	vq_kicks_off(&f->vq);
	/* The driver does not kick: it sees the flag, or no event at its index. */
	if (features)
		CHECK_EQ("still behind", fake_avail_event(f), 1);
	fake_offer_one(f, 1);
	CHECK_EQ("something came", vq_kicks_on(&f->vq), 1);
	CHECK_EQ("pop it", pop(f), 1);
	CHECK_EQ("on again", vq_kicks_on(&f->vq), 0);
	CHECK_EQ("event", fake_avail_event(f), features ? 2 : 0);
	fake_free(f);
}

/* The queue goes on in a new table, with the ring at another place in our memory. */
static void test_refresh(void)
{
	struct fake_driver *f = fake_new(8, 0);
	uint8_t *moved = malloc(FAKE_RAM_SIZE);
	struct mem_table *other = mem_over(moved, FAKE_RAM_SIZE), *empty = mem_new();

	REQUIRE(moved && other && empty);
	serve(f, 3);
	REQUIRE(vq_publish(&f->vq) == 0);
	memcpy(moved, f->ram, FAKE_RAM_SIZE);
	vq_set_mem(&f->vq, empty); /* replaced before anybody looked */
	vq_set_mem(&f->vq, other);
	memset(f->ram, 0xff, FAKE_RAM_SIZE); /* what is left behind is not looked at again */
	vq_refresh(&f->vq);
	vq_refresh(&f->vq);
	CHECK_EQ("released", f->mem->refs, 1);
	f->desc = (void *)(moved + f->cfg.desc_uva);
	f->avail = (void *)(moved + f->cfg.avail_uva);
	f->used = (void *)(moved + f->cfg.used_uva);
	serve(f, 1);
	CHECK_EQ("publish", vq_publish(&f->vq), 0);
	CHECK_EQ("goes on", fake_used_idx(f), 4);

	fake_free(f);
	CHECK_EQ("released", other->refs, 1);
	mem_put(other);
	mem_put(empty);
	free(moved);
}

/* The region with the ring is removed, and comes back elsewhere in our memory. */
static void test_ring_away(void)
{
	struct fake_driver *f = fake_new(8, 0);
	uint8_t *moved = calloc(1, FAKE_RAM_SIZE);
	const struct mem_region r = { .size = FAKE_RAM_SIZE, .uva = 4, .host = moved };
	struct mem_table *other = mem_over(moved, FAKE_RAM_SIZE), *empty = mem_new();
	struct mem_table *unaligned = fake_table(&r, 1);

	REQUIRE(moved && other && empty);
	for (uint16_t i = 0; i < 3; i++) {
		vq_set_mem(&f->vq, i ? empty : unaligned);
		vq_refresh(&f->vq);
		serve(f, 1);
		CHECK_EQ("goes on in the old one", vq_publish(&f->vq), 0);
		CHECK_EQ("goes on in the old one", fake_used_idx(f), i + 1);
	}
	CHECK_EQ("not broken", fake_signals(f->err), 0);
	CHECK_EQ("released", empty->refs, 1);
	CHECK_EQ("released", unaligned->refs, 1);
	memcpy(moved, f->ram, FAKE_RAM_SIZE);
	vq_set_mem(&f->vq, other);
	vq_refresh(&f->vq);
	CHECK_EQ("the old one is let go", f->mem->refs, 1);
	f->used = (void *)(moved + f->cfg.used_uva);
	f->avail = (void *)(moved + f->cfg.avail_uva);
	f->desc = (void *)(moved + f->cfg.desc_uva);
	serve(f, 1);
	CHECK_EQ("goes on in the new one", vq_publish(&f->vq), 0);
	CHECK_EQ("goes on in the new one", fake_used_idx(f), 4);

	vq_break(&f->vq, -EIO, "test");
	vq_set_mem(&f->vq, empty);
	vq_refresh(&f->vq);
	CHECK_EQ("broken, it needs none", other->refs, 1);
	fake_free(f);
	mem_put(unaligned);
	mem_put(other);
	mem_put(empty);
	free(moved);
}

/* A table given to a stopped queue does not replace the one it is started with later. */
static void test_set_mem_while_stopped(void)
{
	struct fake_driver *f = fake_new(8, 0);
	struct mem_table *empty = mem_new();

	vq_stop(&f->vq);
	vq_set_mem(&f->vq, empty);
	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	vq_refresh(&f->vq);
	CHECK_EQ("not broken", pop(f), 0);
	CHECK_EQ("released", empty->refs, 1);
	mem_put(empty);
	fake_free(f);
}

static int do_pop(struct fake_driver *f)
{
	return pop(f);
}

static int do_push(struct fake_driver *f)
{
	return vq_push(&f->vq, 0, 0);
}

static int do_publish(struct fake_driver *f)
{
	return vq_publish(&f->vq);
}

static int do_kicks_on(struct fake_driver *f)
{
	return vq_kicks_on(&f->vq);
}

static int do_kicks_off(struct fake_driver *f)
{
	vq_kicks_off(&f->vq);
	return f->vq.broken;
}

static int do_start(struct fake_driver *f)
{
	struct vq vq;
	int ret;

	vq_init(&vq, "test");
	ret = vq_start(&vq, &f->cfg, f->mem);
	vq_fini(&vq);
	vq_break(&f->vq, ret, "test");
	return ret;
}

static const struct {
	const char *name;
	int (*fn)(struct fake_driver *f);
} gone_cases[] = {
	{ "pop", do_pop },	     { "push", do_push },	    { "publish", do_publish },
	{ "kicks on", do_kicks_on }, { "kicks off", do_kicks_off }, { "start", do_start },
};

/*
 * The thread sanitizer cannot run the next test: it holds a lock of its own around an
 * atomic access, and the jump out of a fault would leave it locked.
 */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN false
#endif

/* The file behind the ring is truncated: that queue breaks, this one goes on. */
static void test_gone(void)
{
	struct fake_driver *alive = fake_new(8, 0);

	for (size_t i = 0; i < ARRAY_SIZE(gone_cases); i++) {
		int fd = memfd_create("test", MFD_CLOEXEC);
		const struct vq_config cfg = fake_config(8, 0);
		struct mem_table *none = mem_new(), *mem;
		struct fake_driver f;

		REQUIRE(fd >= 0 && ftruncate(fd, FAKE_RAM_SIZE) == 0);
		REQUIRE(mem_with(none, 0, FAKE_RAM_SIZE, 0, 0, fd, NULL, &mem) == 0);
		fake_init(&f, &cfg, mem->r[0].host, mem);
		REQUIRE(vq_start(&f.vq, &f.cfg, mem) == 0);
		serve(&f, 1);
		for (unsigned n = 0; n < 2; n++) {
			fake_offer_one(&f, 0);
			REQUIRE(pop(&f) == 1);
		}
		REQUIRE(vq_push(&f.vq, 0, 0) == 0); /* one to publish, one to push, */
		fake_offer_one(&f, 0);		    /* one to pop */
		REQUIRE(ftruncate(fd, 0) == 0);
		CHECK_EQ(gone_cases[i].name, gone_cases[i].fn(&f), -EFAULT);
		CHECK_EQ("told", fake_signals(f.err), 1);
		CHECK_EQ("stays so", pop(&f), -EFAULT);
		serve(alive, 1);
		CHECK_EQ("the other one", vq_publish(&alive->vq), 0);
		fake_fini(&f);
		mem_put(none);
		close(fd);
	}
	fake_free(alive);
}

/*
 * A driver and a device in two threads, which sleep whenever the other side says that it
 * will notify: a lost notification would leave both asleep.
 */
#define RACE_ROUNDS 10000u
#define RACE_SIZE   4u

struct race {
	struct fake_driver *f;
	int kick;
	unsigned kicks;
};

static void sleep_on(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 20000) != 1) {
		fprintf(stderr, "a notification was lost\n");
		abort();
	}
	fd_drain(fd);
}

static void *race_device(void *arg)
{
	struct race *r = arg;
	struct vq *vq = &r->f->vq;
	unsigned done = 0;

	while (done < RACE_ROUNDS) {
		struct iovec seg[2];
		struct vq_chain c;
		int ret;

		vq_refresh(vq);
		vq_kicks_off(vq);
		while ((ret = fake_pop(r->f, &c, seg, 2)) == 1) {
			ret = vq_push(vq, c.head, 0);
			done++;
		}
		if (ret || vq_publish(vq))
			break;
		if (done < RACE_ROUNDS && !vq_kicks_on(vq))
			sleep_on(r->kick);
	}
	return NULL;
}

/* What a driver does after fake_offer(), 2.7.13.4. */
static void race_kick(struct race *r)
{
	struct fake_driver *f = r->f;
	bool wanted;

	ring_fence();
	if (f->vq.event_idx)
		wanted = event_idx_passed(fake_avail_event(f), f->avail_idx,
					  (uint16_t)(f->avail_idx - 1));
	else
		wanted = !(ring_load(&f->used->flags) & VRING_USED_F_NO_NOTIFY);
	if (wanted) {
		fd_signal(r->kick);
		r->kicks++;
	}
}

static void test_race(uint64_t features)
{
	struct race r = { .f = fake_new(RACE_SIZE, features), .kick = fake_eventfd() };
	struct fake_driver *f = r.f;
	unsigned offered = 0, seen = 0;
	pthread_t device;

	REQUIRE(pthread_create(&device, NULL, race_device, &r) == 0);
	while (seen < RACE_ROUNDS) {
		while (offered < RACE_ROUNDS && offered - seen < RACE_SIZE) {
			fake_offer_one(f, (uint16_t)(offered++ % RACE_SIZE));
			race_kick(&r);
			if (offered % 64 == 0) {
				vq_set_mem(&f->vq, f->mem);
				vq_set_call(&f->vq, dup(f->call));
			}
		}
		fake_set_used_event(f, (uint16_t)seen);
		ring_fence();
		if (fake_used_idx(f) == (uint16_t)seen)
			sleep_on(f->call);
		seen += (uint16_t)(fake_used_idx(f) - (uint16_t)seen);
	}
	pthread_join(device, NULL);
	CHECK_EQ("all answered", fake_used_idx(f), (uint16_t)RACE_ROUNDS);
	CHECK(r.kicks <= RACE_ROUNDS && f->vq.notified <= RACE_ROUNDS);
	CHECK_EQ("not broken", f->vq.broken, 0);
	close(r.kick);
	fake_free(f);
}

/* A front end whose err eventfd is full and blocks: the queue breaks all the same. */
static void test_full_err(void)
{
	struct fake_driver *f = fake_new(8, 0);

	vq_set_err(&f->vq, full_eventfd());
	alarm(10); /* a write would wait for ever */
	CHECK_EQ("broken", vq_break(&f->vq, -EINVAL, "the test says so"), -EINVAL);
	alarm(0);
	fake_free(f);
}

int main(void)
{
	REQUIRE(fault_init() == 0);
	test_start();
	test_restart();
	test_adopt();
	test_failed_first_start();
	test_broken();
	test_calls();
	test_first_call();
	test_call_fd();
	test_call_blocks();
	test_kicks(0);
	test_kicks(FAKE_EVENT_IDX);
	test_refresh();
	test_ring_away();
	test_set_mem_while_stopped();
	if (!UNDER_TSAN)
		test_gone();
	test_race(0);
	test_race(FAKE_EVENT_IDX);
	test_full_err();
	return check_done();
}
