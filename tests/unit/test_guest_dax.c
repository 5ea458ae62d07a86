/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/dax*.c, rule by rule. */
#include "tests/lib/fake_dax.h"

static void test_map(void)
{
	struct user a = { .calls = 0 }, b = { .calls = 0 };
	void *p;

	start(16, 2, 2);
	CHECK_EQ("lookup", map(&a, 7, 5, 1, false), 0);
	CHECK_EQ("twice", map(&a, 7, 5, 1, false), -VDAX_EBUSY);
	CHECK_EQ("another waits", map(&b, 7, 4, 1, false), 0);
	CHECK(!is_mapped(7, 5));
	dev_take();
	CHECK_EQ("one request", n_pending, 1);
	CHECK_EQ("node", pending[0].nodeid, 7);
	CHECK_EQ("file", pending[0].in.foffset, 4 * PAGE);
	CHECK_EQ("length", pending[0].in.len, 2 * PAGE);
	CHECK_EQ("flags", pending[0].in.flags, FUSE_SETUPMAPPING_FLAG_READ);
	answer(0);
	CHECK_EQ("both", a.calls + b.calls, 2);
	check_pin("first", &a);
	check_pin("second", &b);
	CHECK(!vdax_dax_ptr(&dax, &a.rq.pin, &p));
	CHECK(p == bytes + a.rq.pin.window_off);
	CHECK(a.rq.pin.window_off == b.rq.pin.window_off + PAGE);
	CHECK_EQ("only to read", vdax_dax_write(&dax, &a.rq.pin, 0, "x", 1), -VDAX_EINVAL);
	CHECK_EQ("past it", vdax_dax_read(&dax, &a.rq.pin, PAGE, &p, 1), -VDAX_ERANGE);
	unpin(&a);
	CHECK_EQ("hit", map(&a, 7, 4, 4, false), 1);
	CHECK_EQ("as far as it goes", a.rq.pin.len, 2 * PAGE);
	check_pin("hit", &a);
	unpin(&a);
	unpin(&b);
	CHECK_EQ("hits", dax.stats.hits, 1);
	CHECK_EQ("misses", dax.stats.misses, 2);
	CHECK_EQ("maps", dax.stats.maps, 1);
	CHECK_EQ("no bytes", map(&a, 7, 0, 0, false), -VDAX_EINVAL);
	CHECK_EQ("no node", map(&a, 0, 0, 1, false), -VDAX_EINVAL);
	CHECK_EQ("no file so long", map(&a, 7, INT64_MAX / PAGE, 2, false), -VDAX_EINVAL);
}

/* In pages: what is asked for, and the range that it makes. */
static const struct {
	const char *name;
	uint64_t page, n;
	uint64_t range_page, range_n;
} size_cases[] = {
	{ "one page", 3, 1, 3, 1 },
	{ "two", 2, 2, 2, 2 },
	{ "two, odd", 3, 2, 2, 2 },
	{ "three", 8, 3, 8, 4 },
	{ "the largest", 64, 64, 64, 64 },
	{ "more than that", 70, 640, 64, 64 },
	{ "far away", 1 << 20, 5, 1 << 20, 8 },
};

static void test_sizes(void)
{
	struct user u = { .calls = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(size_cases); i++) {
		const char *name = size_cases[i].name;

		start(128, 1, 64);
		CHECK_EQ(name, map(&u, 7, size_cases[i].page, size_cases[i].n, true), 0);
		dev_take();
		CHECK_EQ(name, pending[0].in.foffset, size_cases[i].range_page * PAGE);
		CHECK_EQ(name, pending[0].in.len, size_cases[i].range_n * PAGE);
		answer(0);
		check_pin(name, &u);
		unpin(&u);
	}
}

/* Small ones are found inside of large ones, and a window of any size is used to its last page. */
static void test_odd_window(void)
{
	struct user u[7] = { { .calls = 0 } };

	start(7, 1, 4);
	map_pinned("4", &u[0], 7, 0, 4, false);
	map_pinned("2", &u[1], 7, 4, 2, false);
	map_pinned("1", &u[2], 7, 6, 1, false);
	CHECK_EQ("inside", map(&u[3], 7, 2, 1, false), 1);
	check_pin("inside", &u[3]);
	CHECK_EQ("full", map(&u[4], 7, 7, 1, false), -VDAX_EAGAIN);
	CHECK_EQ("counted", dax.stats.full, 1);
	unpin(&u[1]);
	map_pinned("smaller than asked for", &u[4], 7, 8, 4, false);
	CHECK_EQ("smaller than asked for", u[4].rq.pin.len, 2 * PAGE);
}

/* A page that was in the window twice could be two copies. */
static void test_no_overlap(void)
{
	struct user a = { .calls = 0 }, b = a, c = a;

	start(64, 1, 8);
	map_pinned("one page", &a, 7, 5, 1, false);
	map_pinned("eight pages around it", &b, 7, 0, 8, false);
	CHECK_EQ("only up to it", b.rq.pin.len, 4 * PAGE);
	unpin(&a);
	unpin(&b);
	CHECK_EQ("forget", forget(&a, 7), 0);
	CHECK_EQ("map what is on its way out", map(&c, 7, 0, 8, false), 0);
	dev_take();
	CHECK_EQ("not yet", setups, 2);
	answer_all();
	check_pin("again", &c);
	CHECK_EQ("forgotten, first", a.calls, 1);
	unpin(&c);
}

static void test_ages(void)
{
	struct user pinned = { .calls = 0 }, u = { .calls = 0 };

	start(32, 1, 1);
	for (uint64_t i = 0; i < 32; i++)
		use("fill", 7, i, 1);
	CHECK_EQ("no removal", removals, 0);
	map_pinned("pin", &pinned, 7, 1, 1, false);
	use("use", 7, 0, 1);
	/* 0 is young, 1 is pinned: an eighth of the window goes from 2 on. */
	CHECK_EQ("one more", map(&u, 7, 32, 1, false), 0);
	dev_take();
	REQUIRE(n_pending == 1 && !pending[0].setup);
	CHECK_EQ("a batch", pending[0].n, 4);
	answer(0);
	for (uint64_t i = 0; i < 32; i++)
		CHECK_EQ("who is there", is_mapped(7, i), i < 2 || i > 5);
	answer_all();
	CHECK_EQ("done", u.calls, 1);
	check_pin("one more", &u);
	CHECK_EQ("reclaimed", dax.stats.reclaimed, 4);
	use("three more", 7, 33, 1);
	use("three more", 7, 34, 1);
	use("three more", 7, 35, 1);
	CHECK_EQ("no other batch", removals, 1);
	unpin(&u);
	unpin(&pinned);
}

static void test_batches(void)
{
	struct user u = { .calls = 0 };

	start(256, 1, 1);
	dax_opts.batch = 32;
	start_again();
	for (uint64_t i = 0; i < 256; i++)
		use("fill", 7 + i % 3, i, 1);
	CHECK_EQ("one more", map(&u, 7, 300, 1, false), 0);
	dev_take();
	REQUIRE(n_pending == 3);
	CHECK_EQ("a large batch", pending[0].n + pending[1].n + pending[2].n, 32);
	answer_all();
	unpin(&u);
	removals = 0;
	CHECK_EQ("forget", forget(&u, 8), 0);
	answer_all();
	CHECK_EQ("forgotten", u.calls, 1);
	CHECK_EQ("forgotten", u.ret, 0);
	CHECK_EQ("75 ranges", removals, 3);
	for (uint64_t i = 0; i < 256; i++)
		CHECK_EQ("the others are there", is_mapped(7 + i % 3, i), i >= 32 && i % 3 != 1);
	CHECK_EQ("nothing to do", forget(&u, 8), 1);
	CHECK_EQ("never seen", forget(&u, 99), 1);
}

/* For a large range goes the part of the window whose youngest page is the oldest. */
static void test_mixed(void)
{
	struct user u = { .calls = 0 };
	uint64_t first;

	start(32, 1, 8);
	for (uint64_t i = 0; i < 32; i++)
		use("fill", 7, i * 8, 1);
	for (uint64_t i = 0; i < 32; i += 8)
		use("one of each eight", 7, i * 8, 1);
	for (uint64_t i = 1; i < 32; i++) {
		if (i / 8 != 2)
			use("all but the third eight", 7, i * 8, 1);
	}
	CHECK_EQ("large", map(&u, 8, 0, 8, false), 0);
	dev_take();
	REQUIRE(n_pending == 1);
	CHECK_EQ("eight pages go", pending[0].n, 8);
	first = pages[pending[0].list[0].moffset / PAGE].off;
	CHECK_NAMED("the third", first / (64 * PAGE) == 2);
	answer_all();
	check_pin("large", &u);
	CHECK_EQ("at once", u.rq.pin.len, 8 * PAGE);
	unpin(&u);
	use("the large one goes for a small one, if it is the oldest", 7, 0, 1);
}

/* The window has room, but there may be no more ranges. */
static void test_max_mapped(void)
{
	struct user u[4] = { { .calls = 0 } };

	start(64, 1, 8);
	dax_opts.max_mapped = 4;
	start_again();
	use("oldest", 7, 0, 8);
	for (unsigned int i = 0; i < 3; i++)
		map_pinned("three", &u[i], 8, i * 8, 1, false);
	CHECK_EQ("a fifth", map(&u[3], 9, 0, 8, false), 0);
	dev_take();
	REQUIRE(n_pending == 1);
	CHECK_NAMED("takes one back", !pending[0].setup && pending[0].n == 1);
	answer_all();
	check_pin("a fifth", &u[3]);
	CHECK_EQ("as large as it wants", u[3].rq.pin.len, 8 * PAGE);
	CHECK_EQ("the oldest", is_mapped(7, 0), false);
	CHECK_EQ("all are pinned", map(&(struct user){ .calls = 0 }, 9, 8, 1, false), -VDAX_EAGAIN);
	for (unsigned int i = 0; i < 4; i++)
		unpin(&u[i]);
	for (uint64_t i = 0; i < 20; i++)
		use("many", 10, i, 1);
	CHECK_EQ("no more than these", dax.book.mapped <= 4, 1);
}

/* More ranges go for one than a request has room for. */
static void test_many_for_one(void)
{
	struct user u = { .calls = 0 };

	start(64, 1, 64);
	for (uint64_t i = 0; i < 64; i++)
		use("fill", 7, i * 64, 1);
	CHECK_EQ("large", map(&u, 8, 0, 64, false), 0);
	dev_take();
	REQUIRE(n_pending == 2);
	CHECK_EQ("all of it", pending[0].n + pending[1].n, 64);
	answer_all();
	check_pin("large", &u);
	CHECK_EQ("large", u.rq.pin.len, 64 * PAGE);
	unpin(&u);
}

static void test_ahead(void)
{
	struct user u = { .calls = 0 };

	start(64, 2, 2);
	dax_opts.ahead = 2;
	start_again();
	u.rq.size = 20 * PAGE;
	map_pinned("0", &u, 7, 0, 1, false);
	unpin(&u);
	CHECK_EQ("a beginning says nothing", setups, 1);
	map_pinned("1", &u, 7, 2, 1, false);
	unpin(&u);
	answer_all();
	CHECK_EQ("two ahead", setups, 4);
	CHECK_EQ("two ahead", dax.stats.ahead, 2);
	CHECK(is_mapped(7, 4) && is_mapped(7, 6) && !is_mapped(7, 8));
	for (uint64_t i = 4; i < 20; i += 2) {
		CHECK_EQ("no wait", map(&u, 7, i, 1, false), 1);
		check_pin("no wait", &u);
		unpin(&u);
		answer_all();
	}
	CHECK_EQ("not past the end", setups, 10);
	CHECK_EQ("hits", dax.stats.ahead_hits, 8);
	CHECK_EQ("all of them", dax.stats.ahead, 8);
	u.rq.size = UINT64_MAX;
	for (uint64_t i = 0; i < 8; i++) {
		map_pinned("not in sequence", &u, 8, (i * 5 % 8) * 4, 1, false);
		unpin(&u);
	}
	for (uint64_t i = 0; i < 18; i++)
		use("meanwhile", 9, i * 4 % 72, 1);
	use("what is before it was used long ago", 8, 2, 1);
	CHECK_EQ("none ahead", dax.stats.ahead, 8);
	use("now it was not", 8, 4, 1);
	CHECK_EQ("now it was not", dax.stats.ahead, 9);
	answer_all();
}

/* A request is left for who waits. */
static void test_ahead_leaves_one(void)
{
	struct user u = { .calls = 0 };

	start(64, 1, 1);
	dax_opts.ahead = 4;
	dax_opts.num_ops = 3;
	start_again();
	use("0", 7, 0, 1);
	u.rq.size = UINT64_MAX;
	CHECK_EQ("1", map(&u, 7, 1, 1, false), 0);
	dev_take();
	answer(0);
	check_pin("1", &u);
	unpin(&u);
	CHECK_EQ("one ahead", dax.stats.ahead, 1);
	CHECK_EQ("another file", map(&u, 8, 0, 1, false), 0);
	CHECK_EQ("is not kept waiting", (dev_take(), n_pending), 2);
	answer_all();
	CHECK_EQ("is not kept waiting", u.ret, 0);
	check_pin("another file", &u);
	unpin(&u);
}

/* No room in the ring: an error if nothing of ours will end, else a wait. */
static void test_full_ring(void)
{
	static struct vdax_fs_rq other[SIZE];
	struct user u = { .calls = 0 }, v = u, f = u, w = u;
	unsigned int n = 0;

	start(64, 1, 1);
	use("one", 7, 0, 1);
	for (; n < SIZE; n++) {
		other[n] = (struct vdax_fs_rq){ .done = done };
		REQUIRE(!vdax_fs_statfs(&q, &other[n], 1));
	}
	CHECK_EQ("map", map(&u, 7, 1, 1, false), -VDAX_EAGAIN);
	CHECK_EQ("upgrade", map(&u, 7, 0, 1, true), -VDAX_EAGAIN);
	CHECK_EQ("forget", forget(&f, 7), -VDAX_EAGAIN);
	CHECK_EQ("as it was", is_mapped(7, 0), true);
	vdax_fs_submit(&q);
	REQUIRE(dev_pop(&q));
	dev_reply(&q, -5, NULL, 0);
	vdax_fs_poll(&q);
	CHECK_EQ("there is room for one", map(&u, 8, 1, 1, false), 0);
	CHECK_EQ("map", map(&v, 8, 2, 1, false), 0);
	CHECK_EQ("upgrade", map(&w, 7, 0, 1, true), 0);
	CHECK_EQ("forget", forget(&f, 7), 0);
	vdax_fs_submit(&q);
	for (n = 1; n < SIZE; n++) {
		REQUIRE(dev_pop(&q));
		dev_reply(&q, -5, NULL, 0);
	}
	vdax_fs_poll(&q);
	CHECK_EQ("nothing of ours has ended", u.calls + v.calls + w.calls + f.calls, 0);
	answer_all();
	CHECK_EQ("all have", u.calls + v.calls + w.calls + f.calls, 4);
	CHECK_EQ("and well", u.ret | v.ret | w.ret, 0);
	CHECK_EQ("it was mapped meanwhile", f.ret, -VDAX_EBUSY);
	check_pin("map", &u);
	check_pin("map", &v);
	check_pin("upgrade", &w);
}

/* It waits for what is on its way, is mapped for writing if the reader writes; makes room itself.
 */
static void test_ahead_writer(void)
{
	struct user u = { .calls = 0 };

	start(32, 1, 1);
	dax_opts.ahead = 1;
	start_again();
	for (uint64_t i = 0; i < 30; i++)
		use("fill", 6, i * 3, 1);
	u.rq.size = UINT64_MAX;
	map_pinned("0", &u, 7, 0, 1, true);
	unpin(&u);
	CHECK_EQ("1", map(&u, 7, 1, 1, true), 0);
	dev_take();
	answer(0);
	check_pin("1", &u);
	unpin(&u);
	CHECK_EQ("makes room", n_pending, 1);
	CHECK_NAMED("makes room", !pending[0].setup && pending[0].n == 4);
	answer_all();
	setups = 0;
	CHECK_EQ("2", map(&u, 7, 2, 1, true), 0);
	answer_all();
	check_pin("2", &u);
	unpin(&u);
	CHECK_EQ("2 and 3", setups, 2);
	CHECK_EQ("3, for writing", map(&u, 7, 3, 1, true), 1);
	check_pin("3", &u);
	unpin(&u);
	dev_take();
	CHECK_EQ("waits for 4", map(&u, 7, 4, 1, true), 0);
	CHECK_EQ("only one request", n_pending, 1);
	answer(0);
	CHECK_EQ("waits for 4", u.ret, 0);
	check_pin("4", &u);
	unpin(&u);
	CHECK_EQ("three", dax.stats.ahead_hits, 2);
	answer_all();
}

static void test_upgrade(void)
{
	struct user r = { .calls = 0 }, w = r, v = r, x = r;
	uint64_t place, mark = mark_of(7, 4 * PAGE);

	start(16, 1, 1);
	map_pinned("read", &r, 7, 4, 1, false);
	place = r.rq.pin.window_off;
	CHECK_EQ("write", map(&w, 7, 4, 1, true), 0);
	CHECK_EQ("waits", map(&v, 7, 4, 1, true), 0);
	dev_take();
	CHECK_EQ("one request", n_pending, 1);
	CHECK_NAMED("the same place", pending[0].setup && pending[0].in.moffset == place);
	CHECK_EQ("reading goes on", is_mapped(7, 4), true);
	CHECK_EQ("in use", forget(&x, 7), -VDAX_EBUSY);
	unpin(&r);
	answer(-13);
	CHECK_EQ("refused", w.ret, -13);
	CHECK_EQ("the other tries, too", v.calls, 0);
	answer(0);
	CHECK_EQ("granted", v.ret, 0);
	check_pin("granted", &v);
	CHECK_EQ("write", vdax_dax_write(&dax, &v.rq.pin, 0, &mark, sizeof(mark)), 0);
	unpin(&v);
	CHECK_EQ("upgrades", dax.stats.upgrades, 2);
	CHECK_EQ("failed", dax.stats.failed, 1);
	CHECK_EQ("now it is", map(&w, 7, 4, 1, true), 1);
	check_pin("now it is", &w);
	unpin(&w);
	CHECK_EQ("maps", dax.stats.maps, 1);
}

static void test_setup_fails(void)
{
	struct user u = { .calls = 0 }, v = { .calls = 0 };

	start(4, 1, 4);
	CHECK_EQ("map", map(&u, 7, 0, 4, false), 0);
	CHECK_EQ("another", map(&v, 7, 1, 1, false), 0);
	dev_take();
	answer(-5);
	CHECK_EQ("fails", u.ret, -5);
	CHECK_EQ("the other has its own try", v.calls, 0);
	answer(-12);
	CHECK_EQ("fails", v.ret, -12);
	CHECK_EQ("counted", dax.stats.failed, 2);
	/* A reply that is too long, and one with an error that is none. */
	CHECK_EQ("map", map(&u, 7, 0, 4, false), 0);
	dev_take();
	answer_with(0, 0, 8);
	CHECK_EQ("too long", u.ret, -VDAX_EIO);
	CHECK_EQ("map", map(&u, 7, 0, 4, false), 0);
	dev_take();
	answer_with(0, 7, 0);
	CHECK_EQ("no error", u.ret, -VDAX_EIO);
	map_pinned("all of it is free", &u, 8, 0, 4, false);
	CHECK_EQ("all of it is free", u.rq.pin.len, 4 * PAGE);
	CHECK_EQ("nothing has come back", dax.stats.again, 0);
	unpin(&u);
}

static void test_lost(void)
{
	struct user u = { .calls = 0 };

	start(4, 1, 1);
	for (uint64_t i = 0; i < 4; i++)
		use("fill", 7, i, 1);
	CHECK_EQ("map", map(&u, 8, 0, 1, false), 0);
	dev_take();
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ("tries the next", u.calls, 0);
		if (i & 1)
			answer_with(0, 0, 8);
		else
			answer(-5);
	}
	CHECK_EQ("all lost", u.ret, -VDAX_EAGAIN);
	CHECK_EQ("all lost", dax.stats.lost, 4);
	CHECK_EQ("not found", is_mapped(7, 3), false);
	CHECK_EQ("still", map(&u, 8, 0, 1, false), -VDAX_EAGAIN);
	memset(pages, 0, sizeof(pages));
	CHECK_EQ("reset", vdax_dax_reset(&dax), 0);
	CHECK_EQ("stats stay", dax.stats.lost, 4);
	use("as new", 8, 0, 1);
	CHECK_EQ("forget", forget(&u, 8), 0);
	dev_take();
	answer(-5);
	CHECK_EQ("is told", u.ret, -5);
	CHECK_EQ("and gone", forget(&u, 8), 1);
}

/* A part of the file that comes back goes where it was: the device may have kept it there. */
static void test_again(void)
{
	struct user u = { .calls = 0 };
	uint64_t place[16];

	start(16, 1, 1);
	for (uint64_t i = 0; i < 16; i++) {
		map_pinned("first", &u, 7, i, 1, false);
		place[i] = u.rq.pin.window_off;
		unpin(&u);
	}
	CHECK_EQ("forget", forget(&u, 7), 0);
	answer_all();
	for (uint64_t i = 16; i-- > 0;) {
		map_pinned("again", &u, 7, i, 1, false);
		CHECK_EQ("the same place", u.rq.pin.window_off, place[i]);
		unpin(&u);
	}
	CHECK_EQ("counted", dax.stats.again, 16);
}

static void test_forget(void)
{
	struct user u = { .calls = 0 }, p = { .calls = 0 }, m = { .calls = 0 };

	start(64, 1, 1);
	map_pinned("pin", &p, 7, 0, 1, false);
	CHECK_EQ("pinned", forget(&u, 7), -VDAX_EBUSY);
	CHECK_EQ("others are not", forget(&u, 8), 1);
	unpin(&p);
	/* One that is being mapped, and one that was reclaimed at that moment. */
	CHECK_EQ("map", map(&m, 7, 1, 1, false), 0);
	CHECK_EQ("forget", forget(&u, 7), 0);
	CHECK_EQ("twice", forget(&u, 7), -VDAX_EBUSY);
	dev_take();
	CHECK_EQ("both are under way", n_pending, 2);
	answer_with(1, 0, 0);
	CHECK_EQ("not yet", u.calls, 0);
	answer(0);
	CHECK_EQ("mapped, pinned", m.calls, 1);
	CHECK_EQ("so not forgotten", u.ret, -VDAX_EBUSY);
	check_pin("mapped", &m);
	unpin(&m);
	CHECK_EQ("reset", vdax_dax_reset(&dax), 0);
}

static void test_not_ram(void)
{
	struct user u = { .calls = 0 };
	uint64_t mark = 5;
	void *p;

	start(16, 1, 1);
	dax_opts.platform = &pci;
	CHECK_EQ("not mapped", vdax_dax_init(&dax, &dax_opts), -VDAX_EINVAL);
	dax_opts.base = NULL;
	start_again();
	CHECK_EQ("ordinary requests, then", map(&u, 7, 0, 1, false), -VDAX_ENOTSUP);
	CHECK_EQ("lookup", vdax_dax_lookup(&dax, &u.rq), -VDAX_ENOTSUP);
	dax_opts.accessors = true;
	start_again();
	map_pinned("by the platform", &u, 7, 3, 1, true);
	CHECK_EQ("accesses", accesses, 1);
	CHECK_EQ("no pointers", vdax_dax_ptr(&dax, &u.rq.pin, &p), -VDAX_ENOTSUP);
	CHECK(!p);
	CHECK_EQ("write", vdax_dax_write(&dax, &u.rq.pin, 8, &mark, 8), 0);
	CHECK_EQ("write", memcmp(bytes + u.rq.pin.window_off + 8, &mark, 8), 0);
	CHECK_EQ("accesses", accesses, 2);
	unpin(&u);
}

/* The queue fails: everybody hears of it, and a reset makes all good. */
static void test_queue_fails(void)
{
	struct user u[4] = { { .calls = 0 } };

	start(4, 1, 1);
	for (uint64_t i = 0; i < 4; i++)
		use("fill", 7, i, 1);
	CHECK_EQ("waits", map(&u[0], 8, 0, 1, false), 0);
	CHECK_EQ("waits", map(&u[1], 8, 0, 1, true), 0);
	CHECK_EQ("waits", map(&u[2], 7, 3, 1, true), 0);
	CHECK_EQ("waits", forget(&u[3], 7), 0);
	CHECK_EQ("under way", vdax_dax_reset(&dax), -VDAX_EBUSY);
	vdax_fs_fail(&q, -VDAX_EIO);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ("called", u[i].calls, 1);
		CHECK_EQ("error", u[i].ret, -VDAX_EIO);
	}
	CHECK_EQ("and later ones", map(&u[0], 9, 0, 1, false) < 0, 1);
	set_up(INDIRECT);
	memset(pages, 0, sizeof(pages));
	n_pending = 0;
	CHECK_EQ("reset", vdax_dax_reset(&dax), 0);
	map_pinned("as new", &u[0], 7, 0, 1, false);
	CHECK_EQ("pinned", vdax_dax_reset(&dax), -VDAX_EBUSY);
	unpin(&u[0]);
}

/* A callback may ask for the next. */
static unsigned int chained;

static void chain_done(struct vdax_dax_rq *r, int ret)
{
	CHECK_EQ("chain", ret, 0);
	vdax_dax_unpin(&dax, &r->pin);
	chained++;
	r->off += PAGE;
	while (r->off < 20 * PAGE && vdax_dax_map(&dax, r) == 1) {
		vdax_dax_unpin(&dax, &r->pin);
		chained++;
		r->off += PAGE;
	}
}

static void test_callbacks(void)
{
	struct vdax_dax_rq a = { .done = chain_done, .nodeid = 7, .len = PAGE }, b = a;

	start(8, 1, 1);
	CHECK_EQ("first", vdax_dax_map(&dax, &a), 0);
	b.nodeid = 8;
	CHECK_EQ("first", vdax_dax_map(&dax, &b), 0);
	answer_all();
	CHECK_EQ("all of both", chained, 40);
}

static const struct {
	const char *name;
	uint64_t len, min, max;
	uint32_t num_ranges;
	unsigned int num_ops, batch;
	bool ready;
	int ret;
} init_cases[] = {
	{ "good", 1 << 20, 4096, 65536, 256, 2, 32, true, 0 },
	{ "a part of the window", 1 << 20, 4096, 4096, 16, 2, 0, true, 0 },
	{ "one size is said", 1 << 20, 0, 8192, 128, 2, 0, true, 0 },
	{ "no window", 0, 4096, 4096, 16, 2, 0, true, -VDAX_ENODEV },
	{ "smaller than the device maps", 1 << 20, 2048, 4096, 512, 2, 0, true, -VDAX_EINVAL },
	{ "no power of two", 1 << 20, 12288, 0, 64, 2, 0, true, -VDAX_EINVAL },
	{ "nor at the top", 1 << 20, 4096, 12288, 64, 2, 0, true, -VDAX_EINVAL },
	{ "upside down", 1 << 20, 8192, 4096, 64, 2, 0, true, -VDAX_EINVAL },
	{ "too many sizes", 1 << 20, 4096, UINT64_C(1) << 44, 64, 2, 0, true, -VDAX_EINVAL },
	{ "smaller than a range", 1 << 20, 0, 0, 16, 2, 0, true, -VDAX_EINVAL },
	{ "no ranges", 1 << 20, 4096, 4096, 0, 2, 0, true, -VDAX_EINVAL },
	{ "one request", 1 << 20, 4096, 4096, 16, 1, 0, true, -VDAX_EINVAL },
	{ "more than a request takes", 1 << 20, 4096, 4096, 16, 2, 33, true, -VDAX_EINVAL },
	{ "no INIT", 1 << 20, 4096, 4096, 16, 2, 0, false, -VDAX_EINVAL },
};

static void test_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(init_cases); i++) {
		start(16, 1, 1);
		window_len = init_cases[i].len;
		dax_opts.min_range = init_cases[i].min;
		dax_opts.max_range = init_cases[i].max;
		dax_opts.num_ranges = init_cases[i].num_ranges;
		dax_opts.num_ops = init_cases[i].num_ops;
		dax_opts.batch = init_cases[i].batch;
		fs.ready = init_cases[i].ready;
		CHECK_EQ(init_cases[i].name, vdax_dax_init(&dax, &dax_opts), init_cases[i].ret);
	}
}

int main(void)
{
	test_init();
	test_map();
	test_sizes();
	test_odd_window();
	test_no_overlap();
	test_ages();
	test_batches();
	test_mixed();
	test_many_for_one();
	test_max_mapped();
	test_ahead();
	test_ahead_leaves_one();
	test_ahead_writer();
	test_full_ring();
	test_upgrade();
	test_setup_fails();
	test_lost();
	test_again();
	test_forget();
	test_not_ram();
	test_queue_fails();
	test_callbacks();
	return check_done();
}
