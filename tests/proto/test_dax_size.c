/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in the DAX window that are no whole pages, and that grow and shrink: where a front end
 * cannot map the file itself, the guest sees it all the same, and what it stores gets there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

static struct fsd d;

/* --- the last page --- */

static const uint64_t tail_sizes[] = { 1, 19, 4095, 4097, 5000, MIB(2) - 1, MIB(2) + 1234 };

static bool same_times(const struct stat *a, const struct stat *b)
{
	const struct timespec *const x[] = { &a->st_atim, &a->st_mtim, &a->st_ctim };
	const struct timespec *const y[] = { &b->st_atim, &b->st_mtim, &b->st_ctim };
	bool same = a->st_size == b->st_size;

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		same &= x[i]->tv_sec == y[i]->tv_sec && x[i]->tv_nsec == y[i]->tv_nsec;
	return same;
}

static void test_tail_reading(uint64_t flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(tail_sizes); i++) {
		const uint64_t size = tail_sizes[i], end = align_up(size, DAX_PAGE);
		struct stat before, after;
		struct dax_guest g;
		struct dax_sample f;

		dax_boot(&g, &d, NULL);
		f = dax_sample_make(&g, size);
		REQUIRE(!fstat(f.fd, &before));
		dax_sample_map(&g, &f, flags);
		CHECK_NAMED("to the last byte", dax_shows(&g, 0, f.seed, 0, size));
		CHECK_NAMED("then nothing", dax_shows_zeros(&g, size, end - size));
		CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_SIZE), 0);
		CHECK_EQ("RELEASE", dax_release(&g, f.node, f.fh), 0);
		f.fh = fsd_open(g.r, 1, FUSE_OPEN, f.node, O_RDONLY);
		REQUIRE(!fstat(f.fd, &after));
		CHECK_NAMED("the file is as before", same_times(&before, &after));
		CHECK_EQ("size", after.st_size, size);
		dax_sample_drop(&g, &f);
		dax_close(&g);
	}
}

/* Within a second or so, without a request. */
static bool gets_there(struct dax_guest *g, const struct dax_sample *f, uint64_t off,
		       const char *text)
{
	uint64_t deadline = clock_ns() + 3 * UINT64_C(1000000000);

	while (clock_ns() < deadline) {
		if (dax_file_has(f->fd, off, text, strlen(text)))
			return true;
		front_poll(g->f, 20);
	}
	return false;
}

static void test_tail_storing(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(tail_sizes); i++) {
		const uint64_t size = tail_sizes[i];
		struct dax_guest g;
		struct dax_sample f;

		dax_boot(&g, &d, NULL);
		f = dax_sample_make(&g, size);
		dax_sample_map(&g, &f, DAX_RW);
		CHECK(dax_store(&g, size - 1, "A", 1));
		CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
		CHECK_NAMED("in the file", dax_file_has(f.fd, size - 1, "A", 1));
		CHECK(dax_store(&g, size - 1, "B", 1));
		CHECK_NAMED("in the file by itself", gets_there(&g, &f, size - 1, "B"));
		CHECK(dax_store(&g, size - 1, "C", 1));
		CHECK_EQ("RELEASE", dax_release(&g, f.node, f.fh), 0);
		CHECK_NAMED("in the file at a close, or soon", gets_there(&g, &f, size - 1, "C"));
		f.fh = fsd_open(g.r, 1, FUSE_OPEN, f.node, O_RDWR);
		if (size % DAX_PAGE) {
			CHECK_NAMED("behind the end", dax_store(&g, size, "D", 1));
			CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
		}
		CHECK_EQ("no longer than it was", dax_sample_size(&f), size);
		CHECK(dax_store(&g, size - 1, "E", 1));
		CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_SIZE), 0);
		CHECK_NAMED("in the file when given back", gets_there(&g, &f, size - 1, "E"));
		dax_sample_drop(&g, &f);
		dax_close(&g);
	}
}

/* The host writes into the last page, and the guest is told of the change. */
static void test_tail_host_writes(void)
{
	struct fuse_attr attr;
	struct dax_guest g;
	struct dax_sample f;
	char got[4];

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 5000);
	dax_sample_map(&g, &f, DAX_READ);
	CHECK(dax_shows(&g, 0, f.seed, 0, 5000));
	REQUIRE(pwrite(f.fd, "host", 4, 4500) == 4);
	CHECK(dax_getattr(&g, f.node, &attr) > 0);
	CHECK(dax_load(&g, 4500, got, 4));
	CHECK_NAMED("seen after GETATTR", !memcmp(got, "host", 4));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* --- growth --- */

#define GROWN UINT64_C(70001)

static int grow_by_write(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	static uint8_t buf[GROWN];

	dax_pattern(f->seed, size, buf, GROWN - size);
	return dax_write(g, f->node, f->fh, size, buf, GROWN - size) == (int)(GROWN - size) ? 0
											    : -EIO;
}

static int grow_by_setattr(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	(void)size;
	return dax_truncate(g, f->node, GROWN);
}

static int grow_by_fallocate(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	const struct fsd_rq rq = { FUSE_FALLOCATE,
				   f->node,
				   { FSD_BODY(fallocate, .fh = f->fh, .offset = size,
					      .length = GROWN - size) },
				   0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

static int grow_by_copy(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	struct dax_sample from = { .fd = dax_make(&d, "from", f->seed, GROWN),
				   .node = dax_find(g, "from") };
	struct fuse_write_out out = { 0 };
	struct fsd_rq rq = { FUSE_COPY_FILE_RANGE, from.node, { 0 }, 0 };
	int ret;

	from.fh = fsd_open(g->r, 1, FUSE_OPEN, from.node, O_RDONLY);
	rq.body = (struct fsd_body){ FSD_BODY(copy_file_range, .fh_in = from.fh, .off_in = size,
					      .nodeid_out = f->node, .fh_out = f->fh,
					      .off_out = size, .len = GROWN - size) };
	ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));
	dax_sample_drop(g, &from);
	return ret < 0 ? ret : out.size == GROWN - size ? 0 : -EIO;
}

static int grow_on_host(const struct dax_sample *f, uint64_t size)
{
	static uint8_t buf[GROWN];

	dax_pattern(f->seed, size, buf, GROWN - size);
	REQUIRE(pwrite(f->fd, buf, GROWN - size, (off_t)size) == (ssize_t)(GROWN - size));
	return 0;
}

static int grow_then_getattr(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	struct fuse_attr attr;
	int ret;

	grow_on_host(f, size);
	ret = dax_getattr(g, f->node, &attr);
	CHECK_EQ("told", attr.size, GROWN);
	return ret < 0 ? ret : 0;
}

static int grow_then_lookup(struct dax_guest *g, const struct dax_sample *f, uint64_t size)
{
	struct fuse_entry_out out = { 0 };
	int ret;

	grow_on_host(f, size);
	ret = dax_lookup(g, f->name, &out);
	CHECK_EQ("told", out.attr.size, GROWN);
	CHECK_EQ("FORGET", fsd_forget(g->r, 0, f->node, 1), 0);
	return ret < 0 ? ret : 0;
}

static const struct {
	const char *name;
	int (*grow)(struct dax_guest *g, const struct dax_sample *f, uint64_t size);
	bool zeros; /* what is new */
} growths[] = {
	{ "WRITE", grow_by_write, false },
	{ "SETATTR", grow_by_setattr, true },
	{ "FALLOCATE", grow_by_fallocate, true },
	{ "COPY_FILE_RANGE", grow_by_copy, false },
	{ "host, GETATTR", grow_then_getattr, false },
	{ "host, LOOKUP", grow_then_lookup, false },
};

/* The guest believes that all it asked for is mapped, also what the file had not then. */
static void test_growth(uint64_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(growths); i++) {
		const char *name = growths[i].name;
		struct dax_guest g;
		struct dax_sample f;

		dax_boot(&g, &d, NULL);
		f = dax_sample_make(&g, size);
		dax_sample_map(&g, &f, DAX_RW);
		CHECK_NAMED(name, dax_shows(&g, 0, f.seed, 0, size));
		CHECK_EQ(name, growths[i].grow(&g, &f, size), 0);
		CHECK_NAMED(name, dax_shows(&g, 0, f.seed, 0, size));
		CHECK_NAMED(name, growths[i].zeros
					  ? dax_shows_zeros(&g, size, GROWN - size)
					  : dax_shows(&g, size, f.seed, size, GROWN - size));
		CHECK_EQ(name, dax_sample_size(&f), GROWN);
		CHECK_NAMED(name, dax_store(&g, size + 10, "just behind", 11));
		CHECK_NAMED(name, dax_store(&g, 40000, "far behind", 10));
		CHECK_NAMED(name, dax_store(&g, GROWN - 5, "the e", 5));
		CHECK_EQ(name, dax_fsync(&g, f.node, f.fh), 0);
		CHECK_NAMED(name, dax_file_has(f.fd, size + 10, "just behind", 11));
		CHECK_NAMED(name, dax_file_has(f.fd, 40000, "far behind", 10));
		CHECK_NAMED(name, dax_file_has(f.fd, GROWN - 5, "the e", 5));
		CHECK_EQ(name, dax_sample_size(&f), GROWN);
		dax_sample_drop(&g, &f);
		dax_close(&g);
	}
}

/* It grows under a store that has not got into the file yet. */
static void test_growth_keeps_stores(void)
{
	struct dax_guest g;
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 100);
	dax_sample_map(&g, &f, DAX_RW);
	CHECK(dax_store(&g, 50, "stored", 6));
	CHECK_EQ("WRITE", dax_write(&g, f.node, f.fh, 100, "written", 7), 7);
	CHECK(dax_store(&g, 60, "more", 4));
	CHECK_EQ("SETATTR", dax_truncate(&g, f.node, 9000), 0);
	CHECK(dax_store(&g, 8990, "end", 3));
	CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
	CHECK(dax_file_has(f.fd, 50, "stored", 6));
	CHECK(dax_file_has(f.fd, 60, "more", 4));
	CHECK(dax_file_has(f.fd, 100, "written", 7));
	CHECK(dax_file_has(f.fd, 8990, "end", 3));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* What was stored behind the end was never a part of the file, and does not become one. */
static void test_growth_over_stray_stores(void)
{
	struct dax_sample f;
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 100);
	dax_sample_map(&g, &f, DAX_RW);
	CHECK(dax_store(&g, 200, "stray", 5));
	CHECK(dax_store(&g, 9000, "stray", 5));
	CHECK_EQ("SETATTR", dax_truncate(&g, f.node, 10000), 0);
	CHECK_NAMED("zeros", dax_shows_zeros(&g, 100, 9900));
	CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
	CHECK_NAMED("zeros", dax_file_has(f.fd, 200, "\0\0\0\0\0", 5));
	CHECK_NAMED("zeros", dax_file_has(f.fd, 9000, "\0\0\0\0\0", 5));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* Another file comes to its place before it was written back. */
static void test_replaced_copy_is_saved(void)
{
	struct dax_sample f, other;
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 100);
	other = dax_sample_make(&g, 200);
	for (char i = 0; i < 20; i++) {
		CHECK_EQ("map", dax_map(&g, f.node, 0, DAX_RANGE, DAX_RW, 0), 0);
		CHECK(dax_store(&g, 50, &i, 1));
		CHECK_EQ("map", dax_map(&g, other.node, 0, DAX_RANGE, DAX_RW, 0), 0);
		CHECK_NAMED("the other", dax_shows(&g, 0, other.seed, 0, 200));
		CHECK_NAMED("what was stored", dax_file_has(f.fd, 50, &i, 1));
	}
	dax_sample_drop(&g, &f);
	dax_sample_drop(&g, &other);
	dax_close(&g);
}

static void test_appending(void)
{
	struct dax_guest g;
	uint64_t maps, at;
	uint8_t buf[100];
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 100);
	dax_sample_map(&g, &f, DAX_RW);
	maps = g.f->stats.maps;
	for (at = 100; at < 100 * 1001; at += 100) {
		dax_pattern(f.seed, at, buf, 100);
		CHECK_EQ("WRITE", dax_write(&g, f.node, f.fh, at, buf, 100), 100);
		CHECK_NAMED("the new bytes", dax_shows(&g, at, f.seed, at, 100));
	}
	CHECK_NAMED("all", dax_shows(&g, 0, f.seed, 0, at));
	CHECK_NAMED("not one for each page", g.f->stats.maps - maps <= 4);
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* A write-back cache of stores must not undo what WRITE has changed, or a READ be without them. */
static void test_stores_and_requests_agree(void)
{
	struct dax_guest g;
	struct fsd_rq rq;
	struct dax_sample f;
	char got[16];

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 1000);
	dax_sample_map(&g, &f, DAX_RW);
	CHECK(dax_store(&g, 500, "by store", 8));
	rq = (struct fsd_rq){
		FUSE_READ, f.node, { FSD_BODY(read, .fh = f.fh, .offset = 500, .size = 8) }, 0
	};
	CHECK_EQ("READ", fsd_call(g.r, 1, &rq, got, 8), 8);
	CHECK_NAMED("sees the store", !memcmp(got, "by store", 8));
	CHECK_EQ("WRITE", dax_write(&g, f.node, f.fh, 502, "WR", 2), 2);
	CHECK(dax_load(&g, 500, got, 8));
	CHECK_NAMED("is seen", !memcmp(got, "byWRtore", 8));
	CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
	CHECK_NAMED("and stays", dax_file_has(f.fd, 500, "byWRtore", 8));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* --- the guest stores, and then a request changes the same bytes --- */

#define LAST_SIZE 1000u

static int then_write(struct dax_guest *g, const struct dax_sample *f)
{
	uint8_t buf[20];

	memset(buf, 'W', sizeof(buf));
	return dax_write(g, f->node, f->fh, 900, buf, sizeof(buf)) == sizeof(buf) ? 0 : -EIO;
}

static int then_punch(struct dax_guest *g, const struct dax_sample *f)
{
	const struct fsd_rq rq = { FUSE_FALLOCATE,
				   f->node,
				   { FSD_BODY(fallocate, .fh = f->fh, .offset = 900, .length = 20,
					      .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) },
				   0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

static int then_shrink(struct dax_guest *g, const struct dax_sample *f)
{
	int ret = dax_truncate(g, f->node, 890);

	return ret ? ret : dax_truncate(g, f->node, LAST_SIZE);
}

static int then_copy(struct dax_guest *g, const struct dax_sample *f)
{
	struct dax_sample from = { .fd = dax_make(&d, "from", 0, 0) };
	struct fuse_write_out out = { 0 };
	uint8_t buf[20];
	struct fsd_rq rq;
	int ret;

	memset(buf, 'W', sizeof(buf));
	REQUIRE(pwrite(from.fd, buf, sizeof(buf), 0) == sizeof(buf));
	from.node = dax_find(g, "from");
	from.fh = fsd_open(g->r, 1, FUSE_OPEN, from.node, O_RDONLY);
	rq = (struct fsd_rq){ FUSE_COPY_FILE_RANGE, from.node, { 0 }, 0 };
	rq.body = (struct fsd_body){ FSD_BODY(copy_file_range, .fh_in = from.fh,
					      .nodeid_out = f->node, .fh_out = f->fh,
					      .off_out = 900, .len = sizeof(buf)) };
	ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));
	dax_sample_drop(g, &from);
	return ret < 0 ? ret : 0;
}

static const struct {
	const char *name;
	int (*request)(struct dax_guest *g, const struct dax_sample *f);
	char want;
} later[] = {
	{ "WRITE", then_write, 'W' },
	{ "punch a hole", then_punch, 0 },
	{ "shrink and grow", then_shrink, 0 },
	{ "COPY_FILE_RANGE", then_copy, 'W' },
};

/* What comes later counts, also in a page that is a private copy; and nothing else is undone. */
static void test_later_request_counts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		const char *name = later[i].name;
		uint8_t got[20], want[20];
		struct dax_guest g;
		struct dax_sample f;

		memset(want, later[i].want, sizeof(want));
		dax_boot(&g, &d, NULL);
		f = dax_sample_make(&g, LAST_SIZE);
		dax_sample_map(&g, &f, DAX_RW);
		CHECK(dax_store(&g, 880, "before it", 9));
		CHECK(dax_store(&g, 905, "below it", 8));
		CHECK_EQ(name, later[i].request(&g, &f), 0);
		CHECK_NAMED(name, dax_load(&g, 900, got, 20) && !memcmp(got, want, 20));
		CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
		CHECK_NAMED(name, dax_load(&g, 900, got, 20) && !memcmp(got, want, 20));
		CHECK_NAMED(name, dax_file_has(f.fd, 900, want, 20));
		CHECK_NAMED(name, dax_file_has(f.fd, 880, "before it", 9));
		dax_sample_drop(&g, &f);
		dax_close(&g);
	}
}

/* Its source is what the guest has stored. */
static void test_copy_sees_stores(void)
{
	struct dax_sample from, to;
	struct fuse_write_out out = { 0 };
	struct fsd_rq rq = { FUSE_COPY_FILE_RANGE, 0, { 0 }, 0 };
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	from = dax_sample_make(&g, LAST_SIZE);
	to = dax_sample_make(&g, 0);
	dax_sample_map(&g, &from, DAX_RW);
	CHECK(dax_store(&g, 500, "stored", 6));
	rq.nodeid = from.node;
	rq.body = (struct fsd_body){ FSD_BODY(copy_file_range, .fh_in = from.fh,
					      .nodeid_out = to.node, .fh_out = to.fh,
					      .len = LAST_SIZE) };
	CHECK_NAMED("COPY_FILE_RANGE", fsd_call(g.r, 1, &rq, &out, sizeof(out)) > 0);
	CHECK_EQ("all", out.size, LAST_SIZE);
	CHECK(dax_file_has(to.fd, 500, "stored", 6));
	dax_sample_drop(&g, &from);
	dax_sample_drop(&g, &to);
	dax_close(&g);
}

/* --- shrinking --- */

static void test_shrink(uint64_t size, uint64_t less)
{
	struct dax_guest g;
	struct dax_sample f;
	uint64_t unmaps;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, size);
	dax_sample_map(&g, &f, DAX_RW);
	unmaps = g.f->stats.unmaps;
	CHECK_EQ("the guest's own truncate", dax_truncate(&g, f.node, less), 0);
	CHECK_EQ("size", dax_sample_size(&f), less);
	CHECK_EQ("the mapping is left", g.f->stats.unmaps, unmaps);
	CHECK_NAMED("what is left", dax_shows(&g, 0, f.seed, 0, less));
	CHECK_NAMED("behind it", dax_shows_zeros(&g, less, align_up(less, DAX_PAGE) - less));
	CHECK_EQ("and back", dax_truncate(&g, f.node, size), 0);
	CHECK_NAMED("what is left", dax_shows(&g, 0, f.seed, 0, less));
	CHECK_NAMED("zeros", dax_shows_zeros(&g, less, size - less));
	CHECK(dax_store(&g, size - 3, "new", 3));
	CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
	CHECK(dax_file_has(f.fd, size - 3, "new", 3));
	CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_SIZE), 0);
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

/* --- nothing --- */

/* QEMU makes an empty file as long as the mapping; that must not happen. */
static void test_empty(void)
{
	struct dax_guest g;
	struct dax_sample f;

	dax_boot(&g, &d, NULL);
	f = dax_sample_make(&g, 0);
	CHECK_EQ("map", dax_map(&g, f.node, 0, DAX_RANGE, DAX_RW, 0), 0);
	CHECK_EQ("behind the end", dax_map(&g, f.node, DAX_RANGE, DAX_RANGE, DAX_RW, DAX_RANGE), 0);
	CHECK_EQ("not grown", g.f->stats.grown, 0);
	CHECK_EQ("size", dax_sample_size(&f), 0);
	CHECK_EQ("WRITE", dax_write(&g, f.node, f.fh, 0, "not empty", 9), 9);
	CHECK_EQ("size", dax_sample_size(&f), 9);
	CHECK(dax_file_has(f.fd, 0, "not empty", 9));
	CHECK_NAMED("seen", dax_store(&g, 0, "N", 1));
	CHECK_EQ("FSYNC", dax_fsync(&g, f.node, f.fh), 0);
	CHECK(dax_file_has(f.fd, 0, "Not empty", 9));
	dax_sample_drop(&g, &f);
	dax_close(&g);
}

int main(void)
{
	static const char *const options[] = { "--dax-window", DAX_WINDOW, NULL };

	fsd_prepare(&d, "/tmp");
	fsd_start(&d, options);
	test_tail_reading(DAX_READ);
	test_tail_reading(DAX_RW);
	test_tail_storing();
	test_tail_host_writes();
	test_growth(19);
	test_growth(DAX_PAGE);
	test_growth(12 * DAX_PAGE - 1900);
	test_growth_keeps_stores();
	test_growth_over_stray_stores();
	test_replaced_copy_is_saved();
	test_appending();
	test_stores_and_requests_agree();
	test_later_request_counts();
	test_copy_sees_stores();
	test_shrink(KIB(64), KIB(8));
	test_shrink(KIB(64) + 99, 5000);
	test_shrink(7000, 100);
	test_shrink(7000, 6000);
	test_shrink(3000, 1);
	test_empty();
	fsd_end(&d);
	return check_done();
}
