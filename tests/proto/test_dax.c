/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in the DAX window: what the guest sees and stores is what the host has; ranges overlap, are
 * cut, given back and asked for again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/fs.h"
#include "front/shmem.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

static struct fsd d;

/* --- what is mapped is the file --- */

static void test_map_load_store(void)
{
	struct dax_guest g;
	struct dax_sample f;
	char got[8];

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, MIB(4));
	CHECK_EQ("map", dax_map(&g, f.node, MIB(2), MIB(2), DAX_RW, MIB(10)), 0);
	CHECK_NAMED("second half", dax_shows(&g, MIB(10), f.seed, MIB(2), MIB(2)));
	CHECK_EQ("map", dax_map(&g, f.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_NAMED("first half", dax_shows(&g, 0, f.seed, 0, MIB(2)));
	CHECK_EQ("two maps", g.f->stats.maps, 2);
	CHECK(dax_store(&g, MIB(10) + 12345, "by guest", 8));
	CHECK_NAMED("at once", dax_file_has(f.fd, MIB(2) + 12345, "by guest", 8));
	REQUIRE(pwrite(f.fd, "by host!", 8, 777) == 8);
	CHECK(dax_load(&g, 777, got, 8));
	CHECK_NAMED("at once", !memcmp(got, "by host!", 8));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* The same with the driver of guest/, which knows the window by itself. */
static void test_guest_driver(void)
{
	struct front_fs_opts o = { .flags = DAX_INIT };
	struct fuse_removemapping_one one = { 0, MIB(2) };
	struct vdax_region region;
	struct front_fs_call c;
	struct vdax_window w;
	struct front_fs *g;
	uint64_t node;
	char got[8];
	int fd = dax_make(&d, "driver", 0, MIB(2));

	o.front.fd = -1;
	o.front.socket_path = d.sock;
	REQUIRE(!front_fs_open(&g, &o));
	CHECK_EQ("alignment", g->fs.map_alignment, 4096);
	REQUIRE(!g->platform.ops->shm_region(g->platform.ctx, 0, &region));
	CHECK_EQ("size", region.len, DAX_SIZE);
	REQUIRE(!vdax_window_init(&w, &g->platform, &region, front_shm_ptr(g->f, 0)));
	front_fs_call_init(&c);
	CHECK_EQ("LOOKUP",
		 front_fs_wait(g, &c, vdax_fs_lookup(&g->q[1], &c.rq, FUSE_ROOT_ID, "driver")), 0);
	node = c.rq.reply.entry.nodeid;
	CHECK_EQ("SETUPMAPPING",
		 front_fs_wait(g, &c,
			       vdax_fs_setupmapping(&g->q[1], &c.rq, &w, node, UINT64_MAX, 0,
						    MIB(2), DAX_RW, 0)),
		 0);
	CHECK_EQ("store", vdax_window_write(&w, 4242, "a driver", 8), 0);
	CHECK(dax_file_has(fd, 4242, "a driver", 8));
	CHECK_EQ("load", vdax_window_read(&w, 4242, got, 8), 0);
	CHECK(!memcmp(got, "a driver", 8));
	CHECK_EQ("REMOVEMAPPING",
		 front_fs_wait(g, &c, vdax_fs_removemapping(&g->q[1], &c.rq, &w, node, &one, 1)),
		 0);
	front_fs_close(g);
	close(fd);
}

/* Linux asks again, for writing, at the same place, when it wants to write. */
static void test_reading_then_writing(void)
{
	struct dax_guest g;
	struct dax_sample f;
	uint64_t maps;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, MIB(2));
	CHECK_EQ("to read", dax_map(&g, f.node, 0, MIB(2), DAX_READ, 0), 0);
	CHECK(dax_shows(&g, 0, f.seed, 0, MIB(2)));
	maps = g.f->stats.maps;
	CHECK_EQ("to write", dax_map(&g, f.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_EQ("no other map", g.f->stats.maps, maps);
	CHECK(dax_store(&g, MIB(2) - 4, "end.", 4));
	CHECK(dax_file_has(f.fd, MIB(2) - 4, "end.", 4));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* --- overlaps, parts, and what is kept --- */

static void test_overlap_replaces(void)
{
	struct dax_guest g;
	struct dax_sample a, b;

	dax_boot(&g, &d, NULL);
	a = dax_sample_make(&g, MIB(4));
	b = dax_sample_make(&g, MIB(4));
	CHECK_EQ("a", dax_map(&g, a.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_EQ("b in its place", dax_map(&g, b.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_NAMED("b is there", dax_shows(&g, 0, b.seed, 0, MIB(2)));
	CHECK_EQ("another part of b", dax_map(&g, b.node, MIB(2), MIB(2), DAX_RW, 0), 0);
	CHECK_NAMED("that is there", dax_shows(&g, 0, b.seed, MIB(2), MIB(2)));
	CHECK_EQ("a again, behind", dax_map(&g, a.node, 0, MIB(2), DAX_RW, MIB(2)), 0);
	CHECK_EQ("b over both", dax_map(&g, b.node, 0, MIB(4), DAX_RW, 0), 0);
	CHECK_NAMED("b is there", dax_shows(&g, 0, b.seed, 0, MIB(4)));
	dax_sample_drop(&g, &a);
	dax_sample_drop(&g, &b);
	dax_close(&g);
}

/* What the front end has mapped in one piece can only go as a whole. */
static void test_replacing_a_part_is_busy(void)
{
	struct dax_guest g;
	struct dax_sample a, b;
	uint64_t unmaps;

	dax_boot(&g, &d, NULL);
	a = dax_sample_make(&g, MIB(2));
	b = dax_sample_make(&g, MIB(2));
	CHECK_EQ("a", dax_map(&g, a.node, 0, MIB(2), DAX_RW, 0), 0);
	unmaps = g.f->stats.unmaps;
	CHECK_EQ("b, in a part", dax_map(&g, b.node, 0, DAX_PAGE, DAX_RW, DAX_PAGE), -EBUSY);
	CHECK_EQ("b, over its end", dax_map(&g, b.node, 0, MIB(2), DAX_RW, MIB(1)), -EBUSY);
	CHECK_EQ("nothing was removed", g.f->stats.unmaps, unmaps);
	CHECK_NAMED("a is as it was", dax_shows(&g, 0, a.seed, 0, MIB(2)));
	CHECK(dax_store(&g, 0, "still a", 7));
	CHECK(dax_file_has(a.fd, 0, "still a", 7));
	CHECK_EQ("a, but for that part", dax_unmap(&g, 2 * DAX_PAGE, MIB(2) - 2 * DAX_PAGE), 0);
	CHECK_EQ("still", dax_map(&g, b.node, 0, DAX_PAGE, DAX_RW, DAX_PAGE), -EBUSY);
	CHECK_EQ("the rest of a", dax_unmap(&g, 0, DAX_PAGE), 0);
	CHECK_EQ("now b", dax_map(&g, b.node, 0, DAX_PAGE, DAX_RW, DAX_PAGE), 0);
	CHECK(dax_shows(&g, DAX_PAGE, b.seed, 0, DAX_PAGE));
	dax_sample_drop(&g, &a);
	dax_sample_drop(&g, &b);
	dax_close(&g);
}

/* Some of what is in the way could go, and something cannot: then nothing goes. */
static void test_busy_changes_nothing(void)
{
	struct dax_guest g;
	struct dax_sample a, b;

	dax_boot(&g, &d, NULL);
	a = dax_sample_make(&g, MIB(4));
	b = dax_sample_make(&g, MIB(4));
	CHECK_EQ("a", dax_map(&g, a.node, 0, MIB(1), DAX_RW, 0), 0);
	CHECK_EQ("a, behind it", dax_map(&g, a.node, MIB(1), MIB(2), DAX_RW, MIB(1)), 0);
	CHECK_EQ("b over one, and half of the other", dax_map(&g, b.node, 0, MIB(2), DAX_RW, 0),
		 -EBUSY);
	CHECK_NAMED("all of a is there", dax_shows(&g, 0, a.seed, 0, MIB(3)));
	dax_sample_drop(&g, &a);
	dax_sample_drop(&g, &b);
	dax_close(&g);
}

static void test_partial_unmap_splits(void)
{
	struct dax_guest g;
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, MIB(2));
	CHECK_EQ("map", dax_map(&g, f.node, 0, MIB(2), DAX_RW, MIB(4)), 0);
	CHECK_EQ("a part", dax_unmap(&g, MIB(5), KIB(64)), 0);
	CHECK_EQ("again", dax_unmap(&g, MIB(5), KIB(64)), 0);
	dax_settle(&g);
	CHECK_NAMED("before it", dax_shows(&g, MIB(4), f.seed, 0, MIB(1)));
	CHECK_NAMED("behind it",
		    dax_shows(&g, MIB(5) + KIB(64), f.seed, MIB(1) + KIB(64), MIB(1) - KIB(64)));
	CHECK_EQ("back", dax_map(&g, f.node, MIB(1), KIB(64), DAX_RW, MIB(5)), 0);
	CHECK_NAMED("all", dax_shows(&g, MIB(4), f.seed, 0, MIB(2)));
	CHECK_EQ("one map for all", g.f->stats.maps, 1);
	CHECK_EQ("never removed", g.f->stats.unmaps, 0);
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

static void test_unmap_of_nothing(void)
{
	struct dax_guest g;
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, MIB(2));
	CHECK_EQ("nothing", dax_unmap(&g, 0, MIB(2)), 0);
	CHECK_EQ("the whole window", dax_unmap(&g, 0, DAX_SIZE), 0);
	CHECK_EQ("map", dax_map(&g, f.node, 0, MIB(2), DAX_RW, MIB(2)), 0);
	CHECK_EQ("before it", dax_unmap(&g, 0, MIB(2)), 0);
	CHECK_EQ("behind it", dax_unmap(&g, MIB(4), MIB(2)), 0);
	CHECK_NAMED("it is there", dax_shows(&g, MIB(2), f.seed, 0, MIB(2)));
	CHECK_EQ("all around", dax_unmap(&g, 0, DAX_SIZE), 0);
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

static void test_again_costs_nothing(void)
{
	struct dax_guest g;
	struct dax_sample a, b;

	dax_boot(&g, &d, NULL);
	a = dax_sample_make(&g, MIB(4));
	b = dax_sample_make(&g, MIB(2));
	for (int i = 0; i < 5; i++) {
		CHECK_EQ("map", dax_map(&g, a.node, MIB(2), MIB(2), DAX_RW, 0), 0);
		CHECK(dax_shows(&g, 0, a.seed, MIB(2), MIB(2)));
		CHECK_EQ("unmap", dax_unmap(&g, 0, MIB(2)), 0);
	}
	CHECK_EQ("one map", g.f->stats.maps, 1);
	CHECK_EQ("another part", dax_map(&g, a.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_NAMED("is not the cached one", dax_shows(&g, 0, a.seed, 0, MIB(2)));
	CHECK_EQ("unmap", dax_unmap(&g, 0, MIB(2)), 0);
	CHECK_EQ("another file", dax_map(&g, b.node, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_NAMED("neither", dax_shows(&g, 0, b.seed, 0, MIB(2)));
	dax_sample_drop(&g, &a);
	dax_sample_drop(&g, &b);
	dax_close(&g);
}

/* 64 MiB, one range after the other, as Linux does. Returns how many SHMEM_MAP that took. */
static uint64_t pass(struct dax_guest *g, const struct dax_sample *f)
{
	uint64_t maps = g->f->stats.maps, size = dax_sample_size(f);

	for (uint64_t at = 0; at < size; at += DAX_RANGE) {
		uint64_t last = MIN(at + DAX_RANGE, size) - 1000;

		CHECK_EQ("map", dax_map(g, f->node, at, DAX_RANGE, DAX_READ, at), 0);
		CHECK_NAMED("begin", dax_shows(g, at, f->seed, at, 1000));
		CHECK_NAMED("end", dax_shows(g, last, f->seed, last, 1000));
	}
	return g->f->stats.maps - maps;
}

static void test_passes(uint64_t size, uint64_t first)
{
	struct dax_guest g;
	uint64_t maps;
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, size);
	maps = pass(&g, &f);
	CHECK_NAMED("first pass", maps <= first);
	if (maps > first)
		fprintf(stderr, "%llu maps\n", (unsigned long long)maps);
	CHECK_EQ("second pass", pass(&g, &f), 0);
	CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_SIZE), 0);
	CHECK_EQ("third pass", pass(&g, &f), 0);
	CHECK_EQ("unmaps", g.f->stats.unmaps, 0);
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* As much as a large window holds, and a front end that bears it: QEMU does without memory slots.
 */
static void test_gibibyte(void)
{
	static const char *const options[] = { "--dax-window", "1G", "--dax-maps", "600", NULL };
	const uint64_t slots = (uint64_t)1 << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	uint64_t maps[2], before;
	struct dax_guest g;
	uint8_t byte = 0;
	uint64_t node;
	struct fsd e;
	int fd;

	fsd_prepare_second(&e, &d, "/tmp");
	fsd_start(&e, options);
	fd = dax_make(&e, "gibibyte", 0, 0);
	REQUIRE(!ftruncate(fd, (off_t)GIB(1)));
	for (uint64_t at = 0; at < GIB(1); at += DAX_RANGE, byte++)
		REQUIRE(pwrite(fd, &byte, 1, (off_t)at + 5) == 1);
	dax_boot(&g, &e, &(struct front_opts){ .drop_protocol = slots });
	node = dax_find(&g, "gibibyte");
	for (unsigned pass = 0; pass < 2; pass++) {
		before = g.f->stats.maps;
		for (uint64_t at = 0; at < GIB(1); at += DAX_RANGE) {
			CHECK_EQ("map", dax_map(&g, node, at, DAX_RANGE, DAX_RW, at), 0);
			CHECK_NAMED("shows", dax_load(&g, at + 5, &byte, 1) &&
						     byte == (uint8_t)(at / DAX_RANGE));
		}
		maps[pass] = g.f->stats.maps - before;
	}
	fprintf(stderr, "%llu and %llu maps\n", (unsigned long long)maps[0],
		(unsigned long long)maps[1]);
	CHECK_NAMED("first pass", maps[0] <= 520);
	CHECK_EQ("second pass", maps[1], 0);
	dax_close(&g);
	close(fd);
	fsd_end(&e);
}

int main(void)
{
	static const char *const options[] = { "--dax-window", DAX_WINDOW, NULL };

	fsd_prepare(&d, "/tmp");
	fsd_start(&d, options);
	test_map_load_store();
	test_guest_driver();
	test_reading_then_writing();
	test_overlap_replaces();
	test_replacing_a_part_is_busy();
	test_busy_changes_nothing();
	test_partial_unmap_splits();
	test_unmap_of_nothing();
	test_again_costs_nothing();
	test_passes(MIB(64), 32);
	test_passes(MIB(64) - 1001, 33);
	test_gibibyte();
	fsd_end(&d);
	return check_done();
}
