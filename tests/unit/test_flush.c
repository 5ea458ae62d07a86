/* SPDX-License-Identifier: BSD-2-Clause */
/* pmem/flush.c, case by case. test_flush_random.c looks for what nobody thought of here. */
#include <errno.h>

#include "host/fd.h"
#include "host/log.h"
#include "pmem/flush.h"
#include "tests/lib/check.h"
#include "tests/lib/flush_request.h"

#define MS 1000000u /* ns */

static struct flush flush;
static struct latch latch;
static struct fake_driver *driver;

/* The file behind the device. */
static struct {
	unsigned syncs;
	unsigned fail_at;     /* which sync fails; 0: none */
	uint64_t begin[64];   /* the clock at each sync */
	uint64_t now;	      /* the clock */
	void (*during)(void); /* what the driver does during a sync */
} file;

/* The engine's clock is ours: the linker puts this in its place (--wrap). */
uint64_t __wrap_clock_ns(void);

uint64_t __wrap_clock_ns(void)
{
	return file.now;
}

static int fake_sync(void *ctx)
{
	(void)ctx;
	if (file.syncs < ARRAY_SIZE(file.begin))
		file.begin[file.syncs] = file.now;
	file.syncs++;
	if (file.during)
		file.during();
	return file.syncs == file.fail_at ? -ENOSPC : 0;
}

static const struct sync_ops sync_ops = { .sync = fake_sync };

static void set_up(uint32_t size, uint64_t features, uint32_t max_rate)
{
	memset(&file, 0, sizeof(file));
	file.now = 1000 * (uint64_t)MS;
	REQUIRE(latch_open(&latch, "test", -1) == 0);
	flush_init(&flush, "test", &sync_ops, NULL, &latch, max_rate);
	driver = fake_new(size, features);
}

static void tear_down(void)
{
	fake_free(driver);
	flush_fini(&flush);
	latch_close(&latch);
}

static uint64_t serve(void)
{
	return flush_serve(&flush, &driver->vq, false);
}

static uint16_t used(void)
{
	return fake_used_idx(driver);
}

static void send_flush(unsigned slot)
{
	request_send(driver, slot, REQUEST_FLUSH);
}

static uint32_t answer(unsigned slot)
{
	return request_answer(driver, slot, REQUEST_FLUSH);
}

static const struct {
	uint32_t size, requests;
} merge_cases[] = { { 1, 1 }, { 2, 2 }, { 64, 1 }, { 64, 2 }, { 64, 64 }, { 32768, 32768 } };

/* As many as you like, if they are available together, cost one sync and one notification. */
static void test_merge(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(merge_cases); i++) {
		uint32_t n = merge_cases[i].requests, answered = 0;

		set_up(merge_cases[i].size, FAKE_INDIRECT, 0);
		request_prepare(driver, 0, REQUEST_FLUSH);
		for (uint32_t k = 0; k < n; k++) { /* all of them use the table of slot 0 */
			driver->desc[k] = driver->desc[0];
			fake_offer(driver, (uint16_t)k);
		}
		CHECK_EQ("nothing more to do", serve(), UINT64_MAX);
		CHECK_EQ("one sync", file.syncs, 1);
		CHECK_EQ("one notification", driver->vq.notified, 1);
		CHECK_EQ("all used", used(), (uint16_t)n);
		for (uint32_t k = 0; k < n; k++)
			answered += le32_get(driver->used->ring[k].id) == k &&
				    le32_get(driver->used->ring[k].len) == 4;
		CHECK_EQ("all answered, in their order", answered, n);
		CHECK_EQ("OK", answer(0), PMEM_RESP_OK);
		CHECK_EQ("popped", flush.popped, n);
		CHECK_EQ("started", flush.started, n);
		CHECK_EQ("done", flush.done, n);
		CHECK_EQ("syncs", flush.syncs, 1);
		serve();
		CHECK_EQ("an empty ring costs none", file.syncs, 1);
		tear_down();
	}
}

/* Slots 1 to 3 come during the first sync, slot 4 during the second. */
static void more_during(void)
{
	uint64_t before = file.syncs == 1 ? 1 : 4;

	CHECK_EQ("popped", flush.popped, before);
	CHECK_EQ("started", flush.started, before);
	CHECK_EQ("done", flush.done, file.syncs == 1 ? 0 : 1);
	CHECK_EQ("the generation before is answered", used(), file.syncs == 1 ? 0 : 1);
	for (unsigned slot = 1; slot <= 3 && file.syncs == 1; slot++)
		send_flush(slot);
	if (file.syncs == 2)
		send_flush(4);
	if (file.syncs == 2)
		file.during = NULL;
	CHECK_EQ("not yet", answer(3), REQUEST_UNTOUCHED);
}

static void test_generations(void)
{
	set_up(64, 0, 0);
	file.during = more_during;
	send_flush(0);
	serve();
	CHECK_EQ("three generations", file.syncs, 3);
	CHECK_EQ("all used", used(), 5);
	CHECK_EQ("each published once", driver->vq.notified, 3);
	CHECK_EQ("done", flush.done, 5);
	for (unsigned slot = 0; slot < 5; slot++)
		CHECK_EQ("OK", answer(slot), PMEM_RESP_OK);
	tear_down();
}

/* The sync fails for its own generation and for all that follow, not for those before. */
static void test_failure(void)
{
	set_up(64, 0, 0);
	file.during = more_during;
	file.fail_at = 2;
	send_flush(0);
	serve();
	CHECK_EQ("no sync after the failed one", file.syncs, 2);
	CHECK_EQ("all used", used(), 5);
	CHECK_EQ("before", answer(0), PMEM_RESP_OK);
	for (unsigned slot = 1; slot <= 4; slot++)
		CHECK_EQ("from then on", answer(slot), PMEM_RESP_FAIL);
	CHECK_EQ("done", flush.done, 1);
	CHECK_EQ("started", flush.started, 4);
	CHECK_EQ("failed", flush.failed, 4);
	CHECK_EQ("latched", latch_error(&latch), ENOSPC);

	send_flush(5);
	serve();
	CHECK_EQ("later", answer(5), PMEM_RESP_FAIL);
	CHECK_EQ("still no sync", file.syncs, 2);
	tear_down();
}

/* Somebody else found that writes were lost. */
static void latch_now(void)
{
	latch_set(&latch, ENXIO);
}

static void test_latched_elsewhere(void)
{
	set_up(64, 0, 0);
	file.during = latch_now;
	send_flush(0);
	serve();
	send_flush(1);
	serve();
	CHECK_EQ("latched before", answer(1), PMEM_RESP_FAIL);
	CHECK_EQ("no sync", file.syncs, 1);
	tear_down();
}

static void test_refuse(void)
{
	set_up(64, 0, 1);
	send_flush(0);
	send_flush(1);
	CHECK_EQ("no waiting", flush_serve(&flush, &driver->vq, true), UINT64_MAX);
	send_flush(2);
	CHECK_EQ("no waiting", flush_serve(&flush, &driver->vq, true), UINT64_MAX);
	for (unsigned slot = 0; slot < 3; slot++)
		CHECK_EQ("refused", answer(slot), PMEM_RESP_FAIL);
	CHECK_EQ("no sync", file.syncs, 0);
	CHECK_EQ("not latched", latch_error(&latch), 0);
	CHECK_EQ("failed", flush.failed, 3);
	tear_down();
}

/* Each kind alone, then again between good ones: the queue lives. */
static void test_kinds(uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(request_kinds); i++) {
		const struct request_kind *k = &request_kinds[i];
		uint32_t bad = k->used ? PMEM_RESP_FAIL : REQUEST_UNTOUCHED;

		set_up(64, features, 0);
		request_send(driver, 0, k);
		serve();
		CHECK_EQ(k->name, used(), 1);
		CHECK_EQ(k->name, le32_get(fake_used(driver, 0).len), k->used);
		CHECK_EQ(k->name, request_answer(driver, 0, k), k->flush ? PMEM_RESP_OK : bad);
		CHECK_NAMED(k->name, request_rest_untouched(driver, 0, k));
		CHECK_EQ(k->name, file.syncs, k->flush);
		CHECK_EQ(k->name, flush.popped, k->flush);
		CHECK_EQ(k->name, flush.failed, !k->flush);

		send_flush(1);
		request_send(driver, 2, k);
		send_flush(3);
		serve();
		CHECK_EQ(k->name, used(), 4);
		CHECK_EQ("first", answer(1), PMEM_RESP_OK);
		CHECK_EQ(k->name, request_answer(driver, 2, k), k->flush ? PMEM_RESP_OK : bad);
		CHECK_EQ("last", answer(3), PMEM_RESP_OK);
		CHECK_EQ(k->name, file.syncs, k->flush + 1);
		CHECK_EQ(k->name, driver->vq.broken, 0);
		tear_down();
	}
}

/* What is popped when the ring breaks is never answered with OK. */
static void test_broken(void)
{
	set_up(64, 0, 0);
	send_flush(0);
	fake_offer(driver, 64); /* there is no such descriptor */
	send_flush(1);
	CHECK_EQ("nothing more to do", serve(), UINT64_MAX);
	CHECK_EQ("broken", driver->vq.broken, -EINVAL);
	CHECK_EQ("not used", used(), 0);
	CHECK_EQ("signalled", fake_signals(driver->err), 1);
	CHECK_EQ("left alone", serve(), UINT64_MAX);
	CHECK_EQ("left alone", used(), 0);
	tear_down();
}

static void stop_during(void)
{
	if (file.syncs > 1)
		return;
	send_flush(1);
	send_flush(2);
	driver->vq.stopping = true;
}

/* The ring is given back after the generation at work; the rest stays in it. */
static void test_stopping(void)
{
	set_up(64, 0, 0);
	file.during = stop_during;
	send_flush(0);
	CHECK_EQ("nothing more to do", serve(), UINT64_MAX);
	CHECK_EQ("one sync", file.syncs, 1);
	CHECK_EQ("answered", answer(0), PMEM_RESP_OK);
	CHECK_EQ("used", used(), 1);
	CHECK_EQ("not answered", answer(1), REQUEST_UNTOUCHED);
	CHECK_EQ("nothing in flight", driver->vq.inflight, 0);
	CHECK_EQ("not popped", driver->vq.next_avail, 1);
	serve();
	CHECK_EQ("left alone", file.syncs, 1);

	file.during = NULL;
	driver->cfg.base = vq_stop(&driver->vq);
	CHECK_EQ("where to go on", driver->cfg.base, 1);
	REQUIRE(vq_start(&driver->vq, &driver->cfg, driver->mem) == 0);
	serve();
	CHECK_EQ("goes on", used(), 3);
	CHECK_EQ("one sync for the rest", file.syncs, 2);
	CHECK_EQ("kicks are on again", ring_load(&driver->used->flags), 0);
	tear_down();
}

/* A driver that always has the next flush ready, for a second and a bit. */
static void test_rate(void)
{
	uint64_t end;

	set_up(64, 0, 10);
	end = file.now + 1050 * (uint64_t)MS;
	send_flush(0);
	CHECK_EQ("the next in 100 ms", serve(), 100 * MS);
	CHECK_EQ("the first at once", file.syncs, 1);
	file.now += 30 * MS;
	send_flush(1);
	CHECK_EQ("the second waits", serve(), 70 * MS);
	CHECK_EQ("no kicks meanwhile", ring_load(&driver->used->flags), VRING_USED_F_NO_NOTIFY);
	CHECK_EQ("too early", file.syncs, 1);
	send_flush(2); /* and is joined by a third */
	for (unsigned n = 0; file.now < end; n++) {
		uint64_t wait = serve();

		if (wait == UINT64_MAX) {
			file.now += 1 * MS;
			send_flush(n % 4);
		} else {
			file.now += wait;
		}
	}
	CHECK_EQ("both", answer(1) | answer(2), PMEM_RESP_OK);
	CHECK_EQ("ten in a second, and the first", file.syncs, 11);
	for (unsigned i = 1; i < file.syncs; i++)
		CHECK_NAMED("apart", file.begin[i] - file.begin[i - 1] >= 100 * (uint64_t)MS);
	tear_down();
}

static void slow_sync(void)
{
	file.now += file.syncs == 1 ? 3 * MS : 1 * MS;
}

static void test_time(void)
{
	set_up(64, 0, 0);
	file.during = slow_sync;
	send_flush(0);
	serve();
	send_flush(1);
	serve();
	CHECK_EQ("total", flush.sync_ns, 4 * MS);
	CHECK_EQ("longest", flush.sync_ns_max, 3 * MS);
	tear_down();
}

/* The same engine on a small ring, a large one and a small one again. */
static void test_ring_sizes(void)
{
	static const uint32_t sizes[] = { 2, 64, 4096, 2 };

	set_up(1, FAKE_INDIRECT, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		fake_free(driver);
		driver = fake_new(sizes[i], FAKE_INDIRECT);
		for (unsigned slot = 0; slot < request_slots(driver); slot++)
			send_flush(slot);
		serve();
		CHECK_EQ("all used", used(), request_slots(driver));
		CHECK_EQ("one sync each", file.syncs, i + 1);
	}
	tear_down();
}

/*
 * A driver that never lets the ring run empty cannot keep the engine from looking at
 * vq->stopping. Here it sends the next bad request when the last is answered: its answer
 * lies on the available index and moves that from 0xfff8 to 0xffff.
 */
static void test_endless_bad_requests(void)
{
	const uint16_t base = 0xfff0;
	uint64_t avail_idx;

	set_up(8, 0, 0);
	driver->cfg.base = driver->avail_idx = base;
	REQUIRE(vq_start(&driver->vq, &driver->cfg, driver->mem) == 0);
	avail_idx = driver->cfg.avail_uva + offsetof(struct vring_avail, idx);
	request_prepare(driver, 0, REQUEST_UNKNOWN);
	fake_desc(&driver->desc[2], request_buf(0, 0), 4, VRING_DESC_F_NEXT, 3);
	fake_desc(&driver->desc[3], avail_idx, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 4);
	fake_desc(&driver->desc[4], request_buf(0, 1), 3, VRING_DESC_F_WRITE, 0);
	for (unsigned i = 0; i < 8; i++)
		fake_offer(driver, i < 7 ? 0 : 2);
	serve();
	CHECK_EQ("all answered", used(), 15);
	CHECK_EQ("no sync", file.syncs, 0);
	CHECK_EQ("shown after a ring full of them", driver->vq.notified, 2);
	tear_down();
}

int main(void)
{
	log_set_level((enum log_level) - 1); /* failures and bad requests are the point here */
	test_merge();
	test_generations();
	test_failure();
	test_latched_elsewhere();
	test_refuse();
	test_kinds(0);
	test_kinds(FAKE_INDIRECT);
	test_broken();
	test_stopping();
	test_rate();
	test_time();
	test_ring_sizes();
	test_endless_bad_requests();
	return check_done();
}
