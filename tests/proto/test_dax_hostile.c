/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that ask for what cannot be, or for far too much of what can: each request is answered
 * with an error, the daemon stays within bounds, and so does the front end, which would die of more
 * mappings than it has room for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

#define SEED	 3u
#define MIB_RSS	 128u /* of the daemon, at most */
#define HUGE_OFF (UINT64_MAX - DAX_PAGE + 1)

static struct fsd d;

static void check_alive(struct dax_guest *g)
{
	struct fuse_attr attr;

	CHECK_NAMED("alive", dax_getattr(g, FUSE_ROOT_ID, &attr) > 0);
	CHECK_EQ("QEMU lives", g->f->stats.violations, 0);
	CHECK_NAMED("memory", fsd_rss(&d) < MIB_RSS << 10);
}

/* --- ranges that cannot be --- */

static const struct {
	const char *name;
	struct fuse_setupmapping_in in; /* .fh is -1 */
} bad_setups[] = {
	{ "behind the window", { .moffset = DAX_SIZE, .len = DAX_PAGE } },
	{ "beyond the window", { .moffset = DAX_SIZE - DAX_PAGE, .len = 2 * DAX_PAGE } },
	{ "all and a page", { .len = DAX_SIZE + DAX_PAGE } },
	{ "offset and length wrap", { .moffset = HUGE_OFF, .len = 2 * DAX_PAGE } },
	{ "length of all numbers", { .moffset = DAX_PAGE, .len = HUGE_OFF } },
	{ "no length", { .len = 0 } },
	{ "odd place", { .moffset = 512, .len = DAX_PAGE } },
	{ "odd offset in the file", { .foffset = 512, .len = DAX_PAGE } },
	{ "offset in the file is negative", { .foffset = HUGE_OFF, .len = DAX_PAGE } },
	{ "the end in the file is", { .foffset = INT64_MAX - DAX_PAGE + 1, .len = 2 * DAX_PAGE } },
};

static int setup(struct dax_guest *g, uint64_t node, struct fuse_setupmapping_in in)
{
	struct fsd_rq rq = { FUSE_SETUPMAPPING, node, { .head = &in, .head_len = sizeof(in) }, 0 };

	in.fh = UINT64_MAX;
	in.flags = in.flags ? in.flags : DAX_RW;
	return fsd_call(g->r, 1, &rq, NULL, 0);
}

static void test_bad_setups(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	for (size_t i = 0; i < ARRAY_SIZE(bad_setups); i++)
		CHECK_EQ(bad_setups[i].name, setup(&g, node, bad_setups[i].in), -EINVAL);
	CHECK_EQ("none of them was tried", g.f->stats.backend, 0);
	check_alive(&g);
	CHECK_EQ("a good one", dax_map(&g, node, 0, DAX_RANGE, DAX_RW, DAX_SIZE - DAX_RANGE), 0);
	CHECK(dax_shows(&g, DAX_SIZE - DAX_RANGE, SEED, 0, DAX_RANGE));
	dax_close(&g);
}

static const char *const not_files[] = { "dir", "link", "fifo", "socket" };

static void test_not_files(void)
{
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(not_files); i++) {
		uint64_t node = fsd_lookup(g.r, 1, FUSE_ROOT_ID, not_files[i]);

		if (strcmp(not_files[i], "socket") != 0)
			REQUIRE(node);
		CHECK_NAMED(not_files[i], dax_map(&g, node, 0, DAX_RANGE, DAX_RW, 0) < 0);
		CHECK_NAMED(not_files[i], dax_map(&g, node, 0, DAX_RANGE, DAX_READ, 0) < 0);
	}
	for (uint64_t node = 2; node; node = node > UINT64_MAX / 3 ? 0 : node * 3)
		CHECK_NAMED("made up",
			    dax_map(&g, node << 20 | 0xfffff, 0, DAX_PAGE, DAX_RW, 0) < 0);
	CHECK_NAMED("made up", dax_map(&g, UINT64_MAX, 0, DAX_PAGE, DAX_RW, 0) < 0);
	CHECK_EQ("none of them was tried", g.f->stats.backend, 0);
	check_alive(&g);
	dax_close(&g);
}

/* --- lists of ranges to give back --- */

static const struct {
	const char *name;
	uint32_t count;
	unsigned there; /* entries in the body */
	struct fuse_removemapping_one one;
	bool fine;
} removals[] = {
	{ "one", 1, 1, { 0, DAX_PAGE }, true },
	{ "twice the same", 2, 2, { 0, DAX_PAGE }, true },
	{ "more than are there", 2, 1, { 0, DAX_PAGE }, false },
	{ "far more", UINT32_MAX, 1, { 0, DAX_PAGE }, false },
	{ "so many that 32 bits are full", 0x10000001, 1, { 0, DAX_PAGE }, false },
	{ "none of them is there", 1, 0, { 0, DAX_PAGE }, false },
	{ "behind the window", 1, 1, { DAX_SIZE, DAX_PAGE }, false },
	{ "beyond the window", 1, 1, { DAX_SIZE - DAX_PAGE, 2 * DAX_PAGE }, false },
	{ "wraps", 1, 1, { HUGE_OFF, 2 * DAX_PAGE }, false },
	{ "odd place", 1, 1, { 100, DAX_PAGE }, false },
	{ "odd length", 1, 1, { 0, 100 }, false },
};

static int remove_list(struct dax_guest *g, uint32_t count,
		       const struct fuse_removemapping_one *list, unsigned there)
{
	const struct fsd_rq rq = { FUSE_REMOVEMAPPING,
				   0,
				   { FSD_BODY(removemapping, .count = count), .tail = list,
				     .tail_len = there * sizeof(*list) },
				   0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

static void test_removals(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	CHECK_EQ("map", dax_map(&g, node, MIB(2), MIB(2), DAX_RW, MIB(2)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(removals); i++) {
		const struct fuse_removemapping_one list[] = { removals[i].one, removals[i].one };
		const char *name = removals[i].name;
		int ret = remove_list(&g, removals[i].count, list, removals[i].there);

		CHECK_EQ(name, ret, removals[i].fine ? 0 : -EINVAL);
		CHECK_NAMED(name, dax_shows(&g, MIB(2), SEED, MIB(2), MIB(2)));
	}
	CHECK_NAMED("less than a count",
		    fsd_call(g.r, 1,
			     &(struct fsd_rq){ FUSE_REMOVEMAPPING, 0, { FSD_TEXT("ab") }, 0 }, NULL,
			     0) < 0);
	check_alive(&g);
	dax_close(&g);
}

/* As Linux sends when it drops an inode: a whole page of entries. */
static void test_long_list(void)
{
	struct fuse_removemapping_one list[256];
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	for (unsigned i = 0; i < 256; i++) {
		list[i] = (struct fuse_removemapping_one){ i * 2 * DAX_PAGE, DAX_PAGE };
		CHECK_EQ("map", dax_map(&g, node, i * DAX_PAGE, DAX_PAGE, DAX_RW, list[i].moffset),
			 0);
	}
	CHECK_EQ("all at once", remove_list(&g, 256, list, 256), 0);
	CHECK_EQ("anything in their place", dax_map(&g, node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK(dax_shows(&g, 0, SEED, 0, MIB(2)));
	dax_close(&g);
}

/* --- too much --- */

static void test_small_ranges(void)
{
	unsigned mapped = 0, refused = 0, fds;
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	fds = fsd_fds(&d);
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t off = i * 2 * DAX_PAGE, foff = i * DAX_PAGE % MIB(8);
		int ret = dax_map(&g, node, foff, DAX_PAGE, DAX_RW, off);

		CHECK_NAMED("mapped, or no room", !ret || ret == -EIO || ret == -ENOMEM ||
							  ret == -ENOSPC || ret == -EBUSY);
		mapped += !ret;
		refused += ret != 0;
		if (!ret)
			CHECK_NAMED("shows", dax_shows(&g, off, SEED, foff, DAX_PAGE));
	}
	CHECK_NAMED("hundreds", mapped >= 400);
	CHECK_NAMED("and not more than QEMU bears", mapped < 512 && refused);
	check_alive(&g);
	CHECK_NAMED("descriptors", fsd_fds(&d) <= fds + 8);
	for (unsigned i = 0; i < mapped; i++)
		CHECK_NAMED("the first ones are there",
			    dax_shows(&g, i * 2 * DAX_PAGE, SEED, i * DAX_PAGE, DAX_PAGE));
	CHECK_EQ("give one back", dax_unmap(&g, 0, DAX_PAGE), 0);
	CHECK_EQ("then another fits", dax_map(&g, node, 0, DAX_PAGE, DAX_RW, MIB(60)), 0);
	CHECK_EQ("all", dax_unmap(&g, 0, DAX_SIZE), 0);
	/* One after the other: what is idle makes room. */
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t off = i * 3 * DAX_PAGE % DAX_SIZE, foff = i * 7 * DAX_PAGE % MIB(8);

		CHECK_EQ("map", dax_map(&g, node, foff, DAX_PAGE, DAX_RW, off), 0);
		CHECK_NAMED("shows", dax_shows(&g, off, SEED, foff, DAX_PAGE));
		CHECK_EQ("unmap", dax_unmap(&g, off, DAX_PAGE), 0);
	}
	check_alive(&g);
	dax_close(&g);
}

/* Where other devices of the VM need room, too. */
static void test_few_maps(void)
{
	static const char *const few[] = { "--dax-window", DAX_WINDOW, "--dax-maps", "20", NULL };
	struct dax_guest g;
	unsigned mapped = 0;
	uint64_t node;
	struct fsd e;

	fsd_prepare_second(&e, &d, "/tmp");
	fsd_start(&e, few);
	dax_boot(&g, &e, NULL);
	node = dax_find(&g, "file");
	for (unsigned i = 0; i < 40; i++)
		mapped += !dax_map(&g, node, 0, DAX_PAGE, DAX_RW, i * 2 * DAX_PAGE);
	CHECK_EQ("as many as there may be", mapped, 20);
	CHECK_EQ("and not more", g.f->maps.n, 20);
	dax_close(&g);
	fsd_end(&e);
}

/* Private copies of what is not there, everywhere. */
static void test_behind_the_end(void)
{
	struct dax_guest g;
	uint64_t node;
	struct stat st;
	char path[256];

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "odd");
	snprintf(path, sizeof(path), "%s/odd", d.share);
	for (uint64_t off = 0; off < DAX_SIZE; off += DAX_RANGE)
		CHECK_EQ("map", dax_map(&g, node, off ? GIB(1) + off : 0, DAX_RANGE, DAX_RW, off),
			 0);
	for (uint64_t off = DAX_RANGE; off < DAX_SIZE; off += KIB(64))
		dax_store(&g, off, "nowhere", 7);
	for (int i = 0; i < 60; i++)
		front_poll(g.f, 20); /* it is written back, if there is anything to write */
	REQUIRE(!stat(path, &st));
	CHECK_EQ("not longer", st.st_size, 1001);
	check_alive(&g);
	dax_close(&g);
}

/* --- anything --- */

static uint32_t random_state;

static uint32_t any(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static uint64_t any_number(uint64_t limit)
{
	switch (any(8)) {
	case 0:
		return (uint64_t)any(1u << 24) << (any(41));
	case 1:
		return limit - any(3) * DAX_PAGE;
	case 2:
		return any(2) ? UINT64_MAX : any(5000);
	default:
		return (uint64_t)any((uint32_t)(limit / DAX_PAGE)) * DAX_PAGE;
	}
}

static void any_setup(struct dax_guest *g, const uint64_t *nodes, unsigned n)
{
	const struct fuse_setupmapping_in in = {
		.foffset = any_number(MIB(9)),
		.len = any(4) ? (uint64_t)any(64) * DAX_PAGE : any_number(DAX_SIZE),
		.flags = any(20) ? DAX_RW : any(1u << 20),
		.moffset = any_number(DAX_SIZE),
	};

	setup(g, nodes[any(n)] + !any(50), in);
}

static void any_removal(struct dax_guest *g)
{
	struct fuse_removemapping_one list[40];
	unsigned n = any(ARRAY_SIZE(list));

	for (unsigned i = 0; i < n; i++)
		list[i] = (struct fuse_removemapping_one){ any_number(DAX_SIZE),
							   any(8) ? any(600) * DAX_PAGE
								  : any_number(DAX_SIZE) };
	remove_list(g, any(10) ? n : any(1u << 24), list, n);
}

static void test_anything(unsigned seed)
{
	uint64_t nodes[5];
	struct dax_guest g;

	random_state = seed;
	dax_boot(&g, &d, NULL);
	nodes[0] = dax_find(&g, "file");
	nodes[1] = dax_find(&g, "odd");
	nodes[2] = dax_find(&g, "empty");
	nodes[3] = dax_find(&g, "dir");
	nodes[4] = dax_find(&g, "program");
	for (unsigned i = 0; i < 6000; i++) {
		if (any(3))
			any_setup(&g, nodes, ARRAY_SIZE(nodes));
		else
			any_removal(&g);
		if (!any(500))
			dax_truncate(&g, nodes[2], any(100000));
		if (!any(1000))
			dax_destroy(&g), fsd_init(g.r, DAX_INIT);
		REQUIRE(g.f->maps.n < FRONT_MAX_REGIONS);
	}
	check_alive(&g);
	dax_close(&g);
}

static void make_share(void)
{
	char path[256];

	close(dax_make(&d, "file", SEED, MIB(8)));
	close(dax_make(&d, "odd", SEED, 1001));
	close(dax_make(&d, "empty", SEED, 0));
	close(dax_make(&d, "program", SEED, MIB(8)));
	snprintf(path, sizeof(path), "%s/program", d.share);
	REQUIRE(!chmod(path, 0755));
	snprintf(path, sizeof(path), "%s/dir", d.share);
	REQUIRE(!mkdir(path, 0755));
	snprintf(path, sizeof(path), "%s/link", d.share);
	REQUIRE(!symlink("file", path));
	snprintf(path, sizeof(path), "%s/fifo", d.share);
	REQUIRE(!mkfifo(path, 0644));
}

int main(void)
{
	static const char *const options[] = { "--dax-window", DAX_WINDOW, NULL };
	const char *seed = getenv("VDAX_SEED");
	unsigned first = seed ? (unsigned)atoi(seed) : 1;

	fsd_prepare(&d, "/tmp");
	make_share();
	fsd_start(&d, options);
	test_bad_setups();
	test_not_files();
	test_removals();
	test_long_list();
	test_small_ranges();
	test_few_maps();
	test_behind_the_end();
	for (unsigned i = first; i < first + 3; i++) {
		fprintf(stderr, "seed %u\n", i);
		test_anything(i);
	}
	fsd_end(&d);
	return check_done();
}
