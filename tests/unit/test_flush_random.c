/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmem/flush.c against a driver that runs "on another CPU": the linker puts a hook around
 * every step that the engine makes on the ring (--wrap), and in each of them, as in every
 * sync, the driver may send requests, kick, arm and disarm its interrupt, and the control
 * plane may change memory or ask for the ring. All from one seed, so a failure repeats:
 *
 *	unit_flush_random [SEED]
 *
 * An observer reads the used ring at every hook. It knows when each request was made
 * available and which syncs began and ended when, so it can tell the right answers from
 * lucky ones.
 */
#include <errno.h>

#include "host/fd.h"
#include "host/log.h"
#include "pmem/flush.h"
#include "tests/lib/check.h"
#include "tests/lib/flush_request.h"

#define ROUNDS	     100000u /* calls of flush_serve() */
#define EPOCH	     50u     /* of them in one configuration */
#define DEFAULT_SEED 20240607u

enum slot_state { SLOT_FREE, SLOT_SENT, SLOT_ANSWERED };

struct slot {
	enum slot_state state;
	const struct request_kind *kind;
	uint64_t sent_at;    /* stamp of its becoming available */
	uint64_t syncs_then; /* syncs that had ended */
	uint64_t asked_then; /* how often the ring had been asked for */
};

/* The interrupt, as the driver has it. */
enum irq { IRQ_AWAKE, IRQ_ARMED, IRQ_ASLEEP };

static struct {
	struct fake_driver *f;
	unsigned slots;
	struct slot slot[REQUEST_SLOTS_MAX];
	unsigned budget;    /* requests that may still be sent in this round */
	bool check_due;	    /* published, and not yet looked whether to kick */
	uint16_t checked;   /* the available index at the last such look */
	bool kicked;	    /* and the device has not been called for it */
	uint16_t last_used; /* what the driver has seen of the used ring */
	enum irq irq;
	uint64_t acked;	       /* notifications before the interrupt was armed */
	uint64_t sent;	       /* requests */
	uint64_t flushes_sent; /* those of them that are flushes */
} guest;

static struct {
	uint64_t stamp;	    /* counts events */
	uint64_t now;	    /* the clock, ns */
	uint64_t syncs;	    /* ended */
	uint64_t ok_start;  /* stamp at the start of the latest successful sync that ended */
	uint64_t last_sync; /* the clock at the start of the latest sync */
	uint64_t fail_at;   /* the number of the sync that fails */
	bool failed;	    /* from now on no flush may succeed */
	bool in_sync;
	bool no_syncs; /* refused or latched */
	unsigned syncs_since_stop;
	uint64_t asked;	    /* how often the ring has been asked for */
	bool may_notify;    /* the first publish after a start always does */
	uint16_t base;	    /* the available index at the very start */
	uint16_t seen_used; /* of the observer */
	uint64_t answered, answered_fail;
	uint64_t popped, started, done;
} dev;

/* What the whole run met; a test that never meets the hard cases proves nothing. */
static struct {
	uint64_t sent, syncs, in_sync, merged, found_late, failures, stops, waits, waited_two;
	uint64_t sleeps;
} total;

static struct flush flush;
static struct latch latch;
static uint64_t rng_state;

static uint32_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)(rng_state >> 32);
}

static bool one_in(uint32_t n)
{
	return rng() % n == 0;
}

/* --- the observer --- */

static void judge_flush(const struct slot *s, uint32_t answer)
{
	CHECK_EQ("OK or the spec's -1", answer, dev.failed ? PMEM_RESP_FAIL : PMEM_RESP_OK);
	if (answer == PMEM_RESP_OK)
		CHECK_NAMED("its sync began after it was available", dev.ok_start > s->sent_at);
	/* Or one more each time that the ring is asked for in the middle of a generation. */
	CHECK_NAMED("waits for two syncs at most",
		    dev.syncs - s->syncs_then <= 2 + (dev.asked - s->asked_then));
	total.waited_two += dev.syncs - s->syncs_then == 2;
}

static void judge_used(struct vring_used_elem e)
{
	unsigned i = request_slot(guest.f, le32_get(e.id));
	struct slot *s = &guest.slot[i];
	uint32_t answer;

	REQUIRE(i < guest.slots && request_head(guest.f, i) == le32_get(e.id));
	CHECK_EQ("answered once", s->state, SLOT_SENT);
	s->state = SLOT_ANSWERED;
	answer = request_answer(guest.f, i, s->kind);
	CHECK_EQ(s->kind->name, le32_get(e.len), s->kind->used);
	CHECK_NAMED(s->kind->name, request_rest_untouched(guest.f, i, s->kind));
	if (s->kind->flush)
		judge_flush(s, answer);
	else
		CHECK_EQ(s->kind->name, answer, s->kind->used ? PMEM_RESP_FAIL : REQUEST_UNTOUCHED);
	dev.answered++;
	dev.answered_fail += answer != PMEM_RESP_OK;
}

static void judge_counters(void)
{
	uint64_t popped = flush.popped, started = flush.started, done = flush.done;

	if (popped == dev.popped && started == dev.started && done == dev.done)
		return;
	CHECK_NAMED("popped grows", popped >= dev.popped);
	CHECK_NAMED("started grows", started >= dev.started);
	CHECK_NAMED("done grows", done >= dev.done);
	CHECK_NAMED("started of popped", started <= popped);
	CHECK_NAMED("done of started", done <= started);
	dev.popped = popped;
	dev.started = started;
	dev.done = done;
}

static void observe(void)
{
	uint16_t idx = fake_used_idx(guest.f);

	if (dev.in_sync)
		CHECK_EQ("nothing is answered during a sync", idx, dev.seen_used);
	while (dev.seen_used != idx)
		judge_used(fake_used(guest.f, dev.seen_used++));
	judge_counters();
	if (guest.irq == IRQ_ASLEEP && guest.last_used != idx)
		CHECK_NAMED("no lost interrupt", guest.f->vq.notified > guest.acked);
}

/* --- the driver --- */

static void send_one(void)
{
	unsigned first = rng() % guest.slots, n = 0;
	struct slot *s;

	while (n < guest.slots && guest.slot[(first + n) % guest.slots].state != SLOT_FREE)
		n++;
	if (n == guest.slots || !guest.budget)
		return;
	guest.budget--;
	first = (first + n) % guest.slots;
	s = &guest.slot[first];
	*s = (struct slot){
		.state = SLOT_SENT,
		.kind = &request_kinds[one_in(4) ? rng() % ARRAY_SIZE(request_kinds) : 0],
		.sent_at = ++dev.stamp,
		.syncs_then = dev.syncs,
		.asked_then = dev.asked,
	};
	request_send(guest.f, first, s->kind);
	guest.sent++;
	guest.flushes_sent += s->kind->flush;
	guest.check_due = true;
	total.in_sync += dev.in_sync;
}

/* The second half of sending, which may come much later: does the device want a kick? */
static void look_whether_to_kick(void)
{
	struct fake_driver *f = guest.f;

	if (!guest.check_due)
		return;
	guest.check_due = false;
	if (f->vq.event_idx)
		guest.kicked |= event_idx_passed(fake_avail_event(f), f->avail_idx, guest.checked);
	else
		guest.kicked |= !(ring_load(&f->used->flags) & VRING_USED_F_NO_NOTIFY);
	guest.checked = f->avail_idx;
}

static void collect_used(void)
{
	while (guest.last_used != fake_used_idx(guest.f)) {
		struct vring_used_elem e = fake_used(guest.f, guest.last_used++);

		guest.slot[request_slot(guest.f, le32_get(e.id))].state = SLOT_FREE;
	}
}

static void irq_switch(bool on)
{
	if (!guest.f->vq.event_idx)
		ring_store(&guest.f->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
	else if (on)
		fake_set_used_event(guest.f, guest.last_used);
	guest.irq = on ? IRQ_ARMED : IRQ_AWAKE;
}

static void irq_step(void)
{
	switch (guest.irq) {
	case IRQ_AWAKE:
		collect_used();
		if (one_in(2)) {
			guest.acked = guest.f->vq.notified;
			irq_switch(true);
		}
		break;
	case IRQ_ARMED:
		if (fake_used_idx(guest.f) != guest.last_used)
			irq_switch(false);
		else
			guest.irq = IRQ_ASLEEP;
		break;
	case IRQ_ASLEEP:
		if (guest.f->vq.notified > guest.acked) {
			total.sleeps++;
			irq_switch(false);
		}
		break;
	}
}

static void ask_for_ring(void)
{
	guest.f->vq.stopping = true;
	dev.asked++;
	dev.syncs_since_stop = dev.in_sync;
}

/* The same memory in a new table. */
static void change_memory(void)
{
	struct mem_table *t = mem_over(guest.f->ram, FAKE_RAM_SIZE);

	REQUIRE(t);
	vq_set_mem(&guest.f->vq, t);
	mem_put(t);
}

/* What other CPUs do between two steps of the engine. */
static void others_run(void)
{
	uint32_t what = rng() % 256;

	observe();
	dev.now += rng() % 64;
	if (what < 48)
		for (uint32_t n = rng() % 4; n < 4; n++)
			send_one();
	else if (what < 112)
		look_whether_to_kick();
	else if (what < 176)
		irq_step();
	else if (what == 176 && !guest.f->vq.stopping)
		ask_for_ring();
	else if (what == 177)
		change_memory();
}

/* --- the seams of the engine --- */

static int record_sync(void *ctx)
{
	uint64_t start = ++dev.stamp;
	bool fails = dev.syncs == dev.fail_at;

	(void)ctx;
	CHECK_NAMED("one sync at a time", !dev.in_sync);
	CHECK_NAMED("no sync after a failure", !dev.no_syncs);
	CHECK_EQ("started is what was popped", flush.started, flush.popped);
	if (guest.f->vq.stopping)
		CHECK_EQ("one more sync at most", dev.syncs_since_stop++, 0);
	if (flush.interval_ns && dev.syncs)
		CHECK_NAMED("the rate is bounded", dev.now - dev.last_sync >= flush.interval_ns);
	dev.last_sync = dev.now;
	total.merged += flush.popped - flush.done > 1;
	observe();
	dev.in_sync = true;
	for (uint32_t n = rng() % 4; n; n--)
		others_run();
	observe();
	dev.in_sync = false;
	dev.syncs++;
	if (fails)
		dev.failed = dev.no_syncs = true;
	else
		dev.ok_start = start;
	return fails ? -EIO : 0;
}

static const struct sync_ops sync_ops = { .sync = record_sync };

int __wrap_vq_pop(struct vq *vq, struct vq_chain *c);
int __real_vq_pop(struct vq *vq, struct vq_chain *c);
int __wrap_vq_push(struct vq *vq, uint16_t head, uint32_t len);
int __real_vq_push(struct vq *vq, uint16_t head, uint32_t len);
int __wrap_vq_publish(struct vq *vq);
int __real_vq_publish(struct vq *vq);
void __wrap_vq_kicks_off(struct vq *vq);
void __real_vq_kicks_off(struct vq *vq);
int __wrap_vq_kicks_on(struct vq *vq);
int __real_vq_kicks_on(struct vq *vq);
uint64_t __wrap_clock_ns(void);

int __wrap_vq_pop(struct vq *vq, struct vq_chain *c)
{
	others_run();
	return __real_vq_pop(vq, c);
}

int __wrap_vq_push(struct vq *vq, uint16_t head, uint32_t len)
{
	others_run();
	return __real_vq_push(vq, head, len);
}

int __wrap_vq_publish(struct vq *vq)
{
	uint64_t notified;
	uint16_t idx;
	int ret;

	others_run();
	notified = vq->notified;
	idx = fake_used_idx(guest.f);
	ret = __real_vq_publish(vq);
	if (guest.irq == IRQ_AWAKE && !dev.may_notify)
		CHECK_EQ("no unwanted interrupt", vq->notified, notified);
	if (fake_used_idx(guest.f) != idx)
		dev.may_notify = false;
	others_run();
	return ret;
}

void __wrap_vq_kicks_off(struct vq *vq)
{
	others_run();
	__real_vq_kicks_off(vq);
}

int __wrap_vq_kicks_on(struct vq *vq)
{
	int ret;

	others_run();
	ret = __real_vq_kicks_on(vq);
	total.found_late += ret > 0;
	others_run();
	return ret;
}

uint64_t __wrap_clock_ns(void)
{
	return dev.now;
}

/* --- the worker and the control plane --- */

static void start_ring(uint16_t base)
{
	guest.f->cfg.base = base;
	REQUIRE(vq_start(&guest.f->vq, &guest.f->cfg, guest.f->mem) == 0);
	dev.may_notify = true;
	guest.kicked = true; /* a worker looks into the ring when it gets it */
}

/* When nobody is going to call the engine, the ring must be empty. */
static void judge_kick(uint64_t due)
{
	if (due == UINT64_MAX && !guest.kicked && !guest.check_due && !guest.f->vq.stopping)
		CHECK_EQ("no lost kick", guest.f->vq.next_avail, guest.f->avail_idx);
}

/* One call of the engine, and what must be true after it. Returns when to call it again. */
static uint64_t serve(bool refuse)
{
	struct vq *vq = &guest.f->vq;
	bool was_stopping = vq->stopping;
	uint64_t answered = dev.answered, wait;

	guest.kicked = false;
	wait = flush_serve(&flush, vq, refuse);
	observe();
	CHECK_EQ("not broken", vq->broken, 0);
	CHECK_EQ("all that was popped is answered", vq->inflight, 0);
	CHECK_EQ("each once", vq->next_avail, (uint16_t)(dev.base + dev.answered));
	if (wait != UINT64_MAX)
		CHECK_NAMED("waits no longer than asked", wait && wait <= flush.interval_ns);
	judge_kick(wait);
	if (was_stopping)
		CHECK_EQ("a stopped ring is left alone", dev.answered, answered);
	total.waits += wait != UINT64_MAX;
	return wait;
}

/* Takes the ring away and gives it back, as for stop and continue. */
static void restart(void)
{
	uint16_t base = vq_stop(&guest.f->vq);

	CHECK_EQ("the rest stays in the ring", base, (uint16_t)(dev.base + dev.answered));
	total.stops++;
	start_ring(base);
}

/* Calls the engine as its worker would. False if nobody asked for that. */
static bool round_of(bool refuse, uint64_t *due)
{
	if (!guest.kicked && *due != UINT64_MAX)
		dev.now = MAX(dev.now, *due);
	judge_kick(*due);
	if (!guest.kicked && dev.now < *due && !guest.f->vq.stopping)
		return false;
	*due = serve(refuse);
	if (*due != UINT64_MAX)
		*due += dev.now;
	if (guest.f->vq.stopping) {
		restart();
		*due = UINT64_MAX;
	}
	return true;
}

static void check_all_answered(void)
{
	CHECK_EQ("every request is answered", dev.answered, guest.sent);
	CHECK_EQ("popped", flush.popped, guest.flushes_sent);
	CHECK_EQ("failed", flush.failed, dev.answered_fail);
	CHECK_EQ("syncs", flush.syncs, dev.syncs);
	if (!dev.failed)
		CHECK_EQ("done", flush.done, flush.popped);
	CHECK_EQ("latched", latch_error(&latch), dev.no_syncs && dev.syncs ? EIO : 0);
}

static void set_up(bool refuse)
{
	static const uint32_t sizes[] = { 8, 16, 64, 256 };
	uint64_t features = (one_in(2) ? FAKE_EVENT_IDX : 0) | (one_in(2) ? FAKE_INDIRECT : 0);
	uint16_t base = one_in(2) ? (uint16_t)(65530 + rng() % 6) : (uint16_t)rng();

	memset(&guest, 0, sizeof(guest));
	memset(&dev, 0, sizeof(dev));
	REQUIRE(latch_open(&latch, "test", -1) == 0);
	flush_init(&flush, "test", &sync_ops, NULL, &latch, one_in(4) ? 1000000 : 0);
	dev.failed = dev.no_syncs = refuse;
	dev.fail_at = one_in(8) ? rng() % 32 : UINT64_MAX;
	guest.f = fake_new(sizes[rng() % ARRAY_SIZE(sizes)], features);
	guest.slots = request_slots(guest.f);
	guest.f->avail_idx = guest.checked = dev.base = base;
	ring_store(&guest.f->avail->idx, base);
	dev.seen_used = guest.last_used = (uint16_t)rng();
	ring_store(&guest.f->used->idx, dev.seen_used);
	irq_switch(false);
	start_ring(base);
}

static void tear_down(void)
{
	total.sent += guest.sent;
	total.syncs += dev.syncs;
	total.failures += dev.fail_at < dev.syncs;
	flush_fini(&flush);
	latch_close(&latch);
	fake_free(guest.f);
}

/* One configuration, and EPOCH calls of the engine. */
static void epoch(void)
{
	bool refuse = one_in(32);
	uint64_t due = UINT64_MAX;
	unsigned calls = 0, idle = 0;

	set_up(refuse);
	while (calls < EPOCH && !check_failed) {
		guest.budget = rng() % 16;
		do
			others_run();
		while (one_in(2));
		if (round_of(refuse, &due))
			calls++, idle = 0;
		else
			REQUIRE(idle++ < 10000); /* the driver finds no room to send */
	}
	guest.budget = 0;
	look_whether_to_kick();
	while (!check_failed && round_of(refuse, &due))
		look_whether_to_kick();
	if (!check_failed)
		check_all_answered();
	tear_down();
}

static void check_coverage(void)
{
	CHECK_NAMED("enough during a sync", total.in_sync > 10000);
	CHECK_NAMED("enough merged", total.merged > 10000);
	CHECK_NAMED("enough that wait for two syncs", total.waited_two > 10000);
	CHECK_NAMED("enough found by the last look", total.found_late > 1000);
	CHECK_NAMED("enough sleeps", total.sleeps > 10000);
	CHECK_NAMED("enough failures", total.failures > 50);
	CHECK_NAMED("enough stops", total.stops > 1000);
	CHECK_NAMED("enough waits", total.waits > 1000);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : DEFAULT_SEED;
	unsigned n;

	log_set_level((enum log_level) - 1); /* failures and bad requests are the point here */
	for (n = 0; n < ROUNDS / EPOCH && !check_failed; n++) {
		rng_state = (seed + n) * 0x9e3779b97f4a7c15u | 1;
		epoch();
	}
	fprintf(stderr, "seed %llu, %u epochs of %u calls: %llu requests, %llu syncs\n",
		(unsigned long long)seed, n, EPOCH, (unsigned long long)total.sent,
		(unsigned long long)total.syncs);
	if (check_failed)
		fprintf(stderr, "the last epoch comes first with seed %llu\n",
			(unsigned long long)seed + n - 1);
	else
		check_coverage();
	return check_done();
}
