/* SPDX-License-Identifier: BSD-2-Clause */
/* pmem/device.c over a transport that only notes what it is asked. */
#include <errno.h>

#include "base/align.h"
#include "host/log.h"
#include "pmem/device.h"
#include "tests/lib/check.h"
#include "tests/lib/flush_request.h"

#define IMAGE_DEV 7
#define IMAGE_INO 42
#define MAP_FD	  1000

static struct {
	int map_ret; /* what map() returns */
	unsigned maps, unmaps, wakes, syncs;
	struct shm_req *req; /* the latest */
} host;

static struct image image = { .path = "test", .map_fd = MAP_FD, .sync_fd = -1 };
static struct fake_driver *driver;
static struct flush flush;
static struct latch latch;
static struct pmem pmem;

static int fake_map(void *ctx, struct shm_req *req)
{
	CHECK(ctx == &host);
	host.maps++;
	host.req = req;
	return host.map_ret;
}

static int fake_unmap(void *ctx, struct shm_req *req)
{
	(void)ctx, (void)req;
	host.unmaps++;
	return 0;
}

static void fake_wake(void *ctx, unsigned queue)
{
	CHECK(ctx == &image);
	CHECK_EQ("queue", queue, 0);
	host.wakes++;
}

static int fake_sync(void *ctx)
{
	(void)ctx;
	host.syncs++;
	return 0;
}

static const struct shm_ops shm_ops = { .map = fake_map, .unmap = fake_unmap };
static const struct sync_ops sync_ops = { .sync = fake_sync };
static const struct device_host device_host = {
	.shm = &shm_ops, .shm_ctx = &host, .wake = fake_wake, .ctx = &image
};

static void set_up(void)
{
	memset(&host, 0, sizeof(host));
	image.size = 3 * PMEM_ALIGN;
	image.dev = IMAGE_DEV;
	image.ino = IMAGE_INO;
	REQUIRE(latch_open(&latch, "test", -1) == 0);
	flush_init(&flush, "test", &sync_ops, NULL, &latch, 0);
	pmem_init(&pmem, "test", &image, &flush, &device_host);
	driver = fake_new(64, 0);
}

static void tear_down(void)
{
	CHECK_EQ("never unmapped", host.unmaps, 0);
	fake_free(driver);
	flush_fini(&flush);
	latch_close(&latch);
}

/* The front end has these regions, all of them files. */
static void start(bool continued, const struct mem_region *r, unsigned n)
{
	struct mem_table *t = fake_table(r, n);

	pmem_device_ops.start(&pmem, &(struct device_start){ .mem = t, .continued = continued });
	mem_put(t);
}

static void start_plain(bool continued)
{
	static const struct mem_region ram = { .size = MIB(1), .dev = 1, .ino = IMAGE_INO };

	start(continued, &ram, 1);
}

/* Sends a flush, calls the device, and returns the answer. */
static uint32_t try_flush(unsigned slot)
{
	request_send(driver, slot, REQUEST_FLUSH);
	CHECK_EQ("waits for a kick or wake", pmem_device_ops.serve(&pmem, 0, &driver->vq),
		 UINT64_MAX);
	return request_answer(driver, slot, REQUEST_FLUSH);
}

static void check_state(const char *what, enum pmem_state state)
{
	static const char *const names[] = { "unmapped", "mapped", "refused" };

	CHECK_EQ(what, pmem.state, state);
	CHECK_NAMED(what, !strcmp(pmem_state_name(&pmem), names[state]));
}

static void test_identity(void)
{
	struct pmem_config config;

	set_up();
	CHECK_EQ("queues", pmem_device_ops.num_queues, 1);
	CHECK_EQ("config", pmem_device_ops.config_size, sizeof(config));
	CHECK_EQ("features", pmem_device_ops.features, VIRTIO_BIT(PMEM_F_SHMEM_REGION));
	memset(&config, 0xff, sizeof(config));
	pmem_device_ops.config_read(&pmem, 0, &config, 12);
	CHECK_EQ("start", le64_get(config.start), 0);
	CHECK_EQ("half of size", le64_get(config.size), 0xffffffff00000000);
	pmem_device_ops.config_read(&pmem, 12, (char *)&config + 12, 4);
	CHECK_EQ("size", le64_get(config.size), 0);
	CHECK_NAMED("the image", pmem_device_ops.shm_file(&pmem, IMAGE_DEV, IMAGE_INO));
	CHECK_NAMED("other device", !pmem_device_ops.shm_file(&pmem, 1, IMAGE_INO));
	CHECK_NAMED("other inode", !pmem_device_ops.shm_file(&pmem, IMAGE_DEV, 1));
	tear_down();
}

static const struct {
	const char *name;
	uint64_t size, filler;
} size_cases[] = {
	{ "smallest", MIB(2), 0 },
	{ "power of two", GIB(4), 0 },
	{ "not one", MIB(6), MIB(2) },
	{ "just above", GIB(1) + MIB(2), GIB(1) - MIB(2) },
	{ "just below", GIB(64) - MIB(2), MIB(2) },
	{ "largest file", ((uint64_t)1 << 63) - MIB(2), MIB(2) },
};

/* QEMU adds all regions up and wants a power of two; the guest sees the image's own size. */
static void test_sizes(void)
{
	set_up();
	for (size_t i = 0; i < ARRAY_SIZE(size_cases); i++) {
		uint64_t sum = 0;

		image.size = size_cases[i].size;
		for (unsigned shmid = 0; shmid < 256; shmid++)
			sum += pmem_device_ops.shm_size(&pmem, (uint8_t)shmid);
		CHECK_EQ(size_cases[i].name, pmem_device_ops.shm_size(&pmem, PMEM_SHMID),
			 size_cases[i].size);
		CHECK_EQ(size_cases[i].name, pmem_device_ops.shm_size(&pmem, 1),
			 size_cases[i].filler);
		CHECK_NAMED(size_cases[i].name, is_pow2(sum));
	}
	tear_down();
}

static void test_map(void)
{
	set_up();
	check_state("before the start", PMEM_UNMAPPED);
	start_plain(false);
	REQUIRE(host.maps == 1);
	CHECK_EQ("shmid", host.req->shmid, PMEM_SHMID);
	CHECK_NAMED("writable", host.req->writable);
	CHECK_EQ("fd", host.req->fd, MAP_FD);
	CHECK_EQ("from its begin", host.req->fd_offset | host.req->shm_offset, 0);
	CHECK_EQ("all of it", host.req->len, image.size);

	check_state("on its way", PMEM_UNMAPPED);
	CHECK_EQ("not answered", try_flush(0), REQUEST_UNTOUCHED);
	CHECK_EQ("not popped", driver->vq.next_avail, 0);
	CHECK_EQ("nothing to do yet", host.wakes, 0);

	host.req->done(host.req, 0);
	check_state("there", PMEM_MAPPED);
	CHECK_EQ("woken", host.wakes, 1);
	CHECK_EQ("answered", try_flush(1), PMEM_RESP_OK);
	CHECK_EQ("the first too", request_answer(driver, 0, REQUEST_FLUSH), PMEM_RESP_OK);
	CHECK_EQ("one sync", host.syncs, 1);
	CHECK_EQ("maps", pmem.maps, 1);
	CHECK_EQ("kept", pmem.kept, 0);
	tear_down();
}

static const struct {
	const char *name;
	int map_ret; /* of map() */
	int err;     /* of done(), if map() returned 0 */
	bool continued;
	enum pmem_state state;
	unsigned maps, kept; /* as counted */
} map_cases[] = {
	{ "mapped", 0, 0, false, PMEM_MAPPED, 1, 0 },
	{ "mapped again", 0, 0, true, PMEM_MAPPED, 1, 0 },
	{ "not supported", -ENOTSUP, 0, false, PMEM_REFUSED, 0, 0 },
	{ "not supported, continued", -ENOTSUP, 0, true, PMEM_REFUSED, 0, 0 },
	{ "refused", 0, -EIO, false, PMEM_REFUSED, 0, 0 },
	{ "refused, continued: it was never there", 0, -EIO, true, PMEM_REFUSED, 0, 0 },
	{ "cancelled", 0, -ECANCELED, false, PMEM_UNMAPPED, 0, 0 },
	{ "cancelled, continued", 0, -ECANCELED, true, PMEM_UNMAPPED, 0, 0 },
};

static void test_outcomes(void)
{
	static const uint32_t answers[] = { REQUEST_UNTOUCHED, PMEM_RESP_OK, PMEM_RESP_FAIL };

	for (size_t i = 0; i < ARRAY_SIZE(map_cases); i++) {
		const char *name = map_cases[i].name;

		set_up();
		host.map_ret = map_cases[i].map_ret;
		start_plain(map_cases[i].continued);
		if (!host.map_ret)
			host.req->done(host.req, map_cases[i].err);
		check_state(name, map_cases[i].state);
		CHECK_EQ(name, host.maps, 1);
		CHECK_EQ(name, host.wakes, map_cases[i].state != PMEM_UNMAPPED);
		CHECK_EQ(name, try_flush(0), answers[map_cases[i].state]);
		CHECK_EQ(name, host.syncs, map_cases[i].state == PMEM_MAPPED);
		CHECK_EQ(name, pmem.maps, map_cases[i].maps);
		CHECK_EQ(name, pmem.kept, map_cases[i].kept);
		pmem_device_ops.stop(&pmem);
		check_state("stopped", PMEM_UNMAPPED);
		tear_down();
	}
}

static const struct {
	const char *name;
	int first, second; /* what becomes of the mapping at the first start, and at the next */
	bool reset;	   /* in between */
	bool continued;	   /* the next start */
	enum pmem_state state;
} again_cases[] = {
	{ "it is there still", 0, -EIO, false, true, PMEM_MAPPED },
	{ "a new driver", 0, -EIO, false, false, PMEM_REFUSED },
	{ "reset", 0, -EIO, true, true, PMEM_REFUSED },
	{ "it was refused before", -EIO, -EIO, false, true, PMEM_REFUSED },
	{ "nobody said that it is there", 0, -EPIPE, false, true, PMEM_REFUSED },
};

/* A refusal after a stop shows that the mapping was kept only if there was one. */
static void test_refused_again(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(again_cases); i++) {
		const char *name = again_cases[i].name;

		set_up();
		start_plain(false);
		host.req->done(host.req, again_cases[i].first);
		pmem_device_ops.stop(&pmem);
		if (again_cases[i].reset)
			pmem_device_ops.reset(&pmem);
		start_plain(again_cases[i].continued);
		host.req->done(host.req, again_cases[i].second);
		check_state(name, again_cases[i].state);
		CHECK_EQ(name, pmem.kept, again_cases[i].state == PMEM_MAPPED);
		tear_down();
	}
}

static const struct {
	const char *name;
	uint64_t dev, ino, off;
	bool kept;
} table_cases[] = {
	{ "the image", IMAGE_DEV, IMAGE_INO, 0, true },
	{ "not from its begin", IMAGE_DEV, IMAGE_INO, PMEM_ALIGN, false },
	{ "another file", IMAGE_DEV, IMAGE_INO + 1, 0, false },
	{ "another file system", IMAGE_DEV + 1, IMAGE_INO, 0, false },
};

/* A front end that kept the mapping over a stop lists it; a second one would be refused. */
static void test_kept(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table_cases); i++) {
		const struct mem_region r[] = {
			{ .size = MIB(1), .dev = 1, .ino = 1 },
			{ .gpa = GIB(4),
			  .size = 3 * PMEM_ALIGN,
			  .off = table_cases[i].off,
			  .dev = table_cases[i].dev,
			  .ino = table_cases[i].ino },
		};

		set_up();
		start(false, r, ARRAY_SIZE(r));
		CHECK_EQ(table_cases[i].name, host.maps, !table_cases[i].kept);
		check_state(table_cases[i].name, table_cases[i].kept ? PMEM_MAPPED : PMEM_UNMAPPED);
		CHECK_EQ(table_cases[i].name, pmem.kept, table_cases[i].kept);
		CHECK_EQ(table_cases[i].name, host.wakes, table_cases[i].kept);
		tear_down();
	}
}

/* A mapping that is on its way when the device stops, twice, and arrives the third time. */
static void test_restarts(void)
{
	set_up();
	for (unsigned n = 1; n <= 2; n++) {
		start_plain(false);
		CHECK_EQ("asked", host.maps, n);
		host.req->done(host.req, -ECANCELED);
		if (n == 1)
			pmem_device_ops.stop(&pmem);
		else
			pmem_device_ops.reset(&pmem);
		check_state("stopped", PMEM_UNMAPPED);
		CHECK_EQ("not woken", host.wakes, 0);
		CHECK_EQ("not answered", try_flush(n), REQUEST_UNTOUCHED);
	}
	start_plain(true);
	host.req->done(host.req, 0);
	CHECK_EQ("answered", try_flush(3), PMEM_RESP_OK);
	CHECK_EQ("all of them", fake_used_idx(driver), 3);

	/* A refusal holds for one start only. */
	pmem_device_ops.reset(&pmem);
	start_plain(false);
	host.req->done(host.req, -EIO);
	CHECK_EQ("refused", try_flush(4), PMEM_RESP_FAIL);
	CHECK_EQ("not latched", latch_error(&latch), 0);
	pmem_device_ops.reset(&pmem);
	start_plain(false);
	host.req->done(host.req, 0);
	CHECK_EQ("good again", try_flush(5), PMEM_RESP_OK);
	tear_down();
}

int main(void)
{
	log_set_level((enum log_level) - 1); /* refusals are the point here */
	test_identity();
	test_sizes();
	test_map();
	test_outcomes();
	test_refused_again();
	test_kept();
	test_restarts();
	return check_done();
}
