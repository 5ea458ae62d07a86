/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmem/flush.c with real threads: a driver, the queue's worker and a control plane that
 * takes the ring away, changes memory and eventfds, and reads the counters. Meant for the
 * thread sanitizer (-Db_sanitize=thread); what it proves without is that nothing hangs and
 * that each flush is answered by a sync that began after it was sent.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "host/fd.h"
#include "host/log.h"
#include "pmem/flush.h"
#include "tests/lib/check.h"
#include "tests/lib/flush_request.h"
#include "vhost/worker.h"

#define FLUSHES	   100000u
#define FAIL_AFTER 90000u /* answers, after which the next sync fails */
#define PATIENCE   20000  /* ms until a test that hangs is a failed test */

static struct flush flush;
static struct latch latch;
static struct fake_driver driver; /* its ring and memory; the queue is the worker's */
static struct worker worker;

static _Atomic uint64_t stamp;	  /* counts sends and starts of syncs */
static _Atomic uint64_t ok_start; /* stamp of the latest successful sync that ended */
static _Atomic unsigned in_sync, overlaps, after_failure;
static _Atomic bool fail_next, failed, driver_done;

static void nap(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static int slow_sync(void *ctx)
{
	uint64_t start = ++stamp;
	bool fails = fail_next;

	(void)ctx;
	overlaps += in_sync++ > 0;
	after_failure += failed;
	nap(20000);
	if (fails)
		failed = true;
	else
		ok_start = start;
	in_sync--;
	return fails ? -EIO : 0;
}

static const struct sync_ops sync_ops = { .sync = slow_sync };

static uint64_t serve(void *dev, unsigned queue, struct vq *vq)
{
	(void)dev, (void)queue;
	return flush_serve(&flush, vq, false);
}

static const struct device_ops ops = { .serve = serve };

/* --- the driver's thread --- */

struct slot {
	bool busy;
	uint64_t sent_at;
};

/* Results; the main thread looks at them after the join. */
static struct {
	unsigned sent, answered, ok, early, wrong, hung;
} result;

/* Sends up to n flushes, then kicks if asked to. */
static void send_some(struct slot *slots, unsigned count, unsigned n)
{
	uint16_t before = driver.avail_idx;

	for (unsigned i = 0; i < count && n && result.sent < FLUSHES; i++) {
		if (slots[i].busy)
			continue;
		slots[i] = (struct slot){ .busy = true, .sent_at = ++stamp };
		request_send(&driver, i, REQUEST_FLUSH);
		result.sent++;
		n--;
	}
	ring_fence();
	if (before != driver.avail_idx &&
	    event_idx_passed(fake_avail_event(&driver), driver.avail_idx, before))
		fd_signal(worker.kick_fd);
}

static void judge(struct slot *slots, uint32_t head)
{
	unsigned i = request_slot(&driver, head);
	uint32_t answer = request_answer(&driver, i, REQUEST_FLUSH);

	if (!slots[i].busy || (answer != PMEM_RESP_OK && answer != PMEM_RESP_FAIL))
		result.wrong++;
	if (answer == PMEM_RESP_OK && ok_start < slots[i].sent_at)
		result.early++;
	if (answer == PMEM_RESP_FAIL && !failed)
		result.wrong++;
	result.ok += answer == PMEM_RESP_OK;
	result.answered++;
	slots[i].busy = false;
}

/* Sleeps until there is an answer behind idx. False if none comes. */
static bool wait_answer(uint16_t idx)
{
	struct pollfd p = { .fd = driver.call, .events = POLLIN };

	for (;;) {
		fake_set_used_event(&driver, idx);
		ring_fence();
		if (fake_used_idx(&driver) != idx)
			return true;
		if (poll(&p, 1, PATIENCE) <= 0)
			return false;
		fd_drain(driver.call);
	}
}

static void *driver_main(void *arg)
{
	static struct slot slots[REQUEST_SLOTS_MAX];
	unsigned count = request_slots(&driver);
	uint16_t idx = 0;

	(void)arg;
	while (result.answered < FLUSHES && !result.hung) {
		send_some(slots, count, 1 + result.answered % count);
		if (result.answered % 3 && !wait_answer(idx))
			result.hung++;
		while (idx != fake_used_idx(&driver))
			judge(slots, le32_get(fake_used(&driver, idx++).id));
		if (result.answered > FAIL_AFTER)
			fail_next = true;
	}
	driver_done = true;
	return NULL;
}

/* --- the control plane --- */

static uint64_t last_popped, last_started, last_done;

/* Read one after the other while the worker goes on, so later ones may have moved. */
static void look_at_counters(void)
{
	uint64_t done = flush.done, started = flush.started, popped = flush.popped;

	CHECK_NAMED("order", done <= started && started <= popped);
	CHECK_NAMED("monotonic",
		    done >= last_done && started >= last_started && popped >= last_popped);
	last_done = done;
	last_started = started;
	last_popped = popped;
}

static void park(int parked_fd)
{
	struct pollfd p = { .fd = parked_fd, .events = POLLIN };

	if (worker_park(&worker))
		return;
	while (!worker_parked(&worker)) {
		REQUIRE(poll(&p, 1, PATIENCE) == 1);
		fd_drain(parked_fd);
	}
}

static void start_ring(void)
{
	REQUIRE(vq_start(&worker.vq, &driver.cfg, driver.mem) == 0);
	worker_run(&worker);
}

static void change_memory(void)
{
	struct mem_table *t = mem_over(driver.ram, FAKE_RAM_SIZE);

	REQUIRE(t);
	vq_set_mem(&worker.vq, t);
	mem_put(t);
}

static void control(int parked_fd)
{
	for (unsigned n = 0; !driver_done; n++) {
		look_at_counters();
		nap(100000);
		switch (n % 8) {
		case 2:
			change_memory();
			break;
		case 4:
			vq_set_call(&worker.vq, dup(driver.call));
			break;
		case 6:
			park(parked_fd);
			CHECK_EQ("nothing in flight", worker.vq.inflight, 0);
			driver.cfg.base = vq_stop(&worker.vq);
			start_ring();
			break;
		default:
			worker_wake(&worker);
			break;
		}
	}
}

static void set_up(int parked_fd)
{
	struct vq_config cfg = fake_config(64, FAKE_EVENT_IDX | FAKE_INDIRECT);
	uint8_t *ram = calloc(1, FAKE_RAM_SIZE);

	REQUIRE(ram);
	fake_init(&driver, &cfg, ram, mem_over(ram, FAKE_RAM_SIZE));
	driver.vq.indirect = true; /* not started, but it says how we lay requests out */
	REQUIRE(latch_open(&latch, "test", -1) == 0);
	flush_init(&flush, "test", &sync_ops, NULL, &latch, 0);
	REQUIRE(worker_init(&worker, 0, "test", &ops, NULL, parked_fd) == 0);
	worker_set_kick(&worker, fake_eventfd());
	vq_set_call(&worker.vq, dup(driver.call));
}

int main(void)
{
	int parked_fd = fake_eventfd();
	pthread_t thread;

	log_set_level((enum log_level) - 1); /* one sync fails, as it should */
	set_up(parked_fd);
	start_ring();
	REQUIRE(!pthread_create(&thread, NULL, driver_main, NULL));
	control(parked_fd);
	REQUIRE(!pthread_join(thread, NULL));
	park(parked_fd);
	vq_stop(&worker.vq);

	fprintf(stderr, "%u flushes, %u OK, %llu syncs\n", result.answered, result.ok,
		(unsigned long long)flush.syncs);
	CHECK_EQ("hung", result.hung, 0);
	CHECK_EQ("sent", result.sent, FLUSHES);
	CHECK_EQ("answered", result.answered, FLUSHES);
	CHECK_EQ("answered by an earlier sync", result.early, 0);
	CHECK_EQ("answered wrongly", result.wrong, 0);
	CHECK_EQ("one sync at a time", overlaps, 0);
	CHECK_EQ("no sync after the failed one", after_failure, 0);
	CHECK_NAMED("some failed", failed && result.ok < FLUSHES);
	CHECK_NAMED("fewer syncs than flushes", flush.syncs < result.ok);
	CHECK_EQ("popped", flush.popped, FLUSHES);
	CHECK_EQ("failed", flush.failed, FLUSHES - result.ok);
	CHECK_EQ("done", flush.done, result.ok);
	worker_fini(&worker);
	flush_fini(&flush);
	latch_close(&latch);
	fake_fini(&driver);
	free(driver.ram);
	close(parked_fd);
	return check_done();
}
