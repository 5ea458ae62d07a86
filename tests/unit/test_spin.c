/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio/spin.c in a time of its own: the clock goes on with each look at it, and a request
 * arrives when it says so.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_driver.h"
#include "virtio/fault.h"

uint64_t __wrap_clock_ns(void);

#define US    1000u
#define STEP  500u /* ns, from one look at the clock to the next */
#define BOUND (20 * US)

static struct {
	uint64_t now;
	uint64_t offer_at; /* 0: never */
	unsigned looks;
	struct fake_driver *f;
} sim;

uint64_t __wrap_clock_ns(void)
{
	sim.now += STEP;
	sim.looks++;
	if (sim.offer_at && sim.now >= sim.offer_at) {
		fake_offer_one(sim.f, 0);
		sim.offer_at = 0;
	}
	return sim.now;
}

static struct vq *begin(uint32_t max_ns)
{
	if (sim.f)
		fake_free(sim.f);
	sim.f = fake_new(8, FAKE_EVENT_IDX);
	sim.f->vq.spin.max_ns = max_ns;
	sim.now = 1000 * US;
	sim.offer_at = 0;
	sim.looks = 0;
	return &sim.f->vq;
}

/* Takes all requests; answers them, or keeps them. */
static void take(struct vq *vq, bool answer)
{
	struct iovec seg[2];
	struct vq_chain c;

	while (fake_pop(sim.f, &c, seg, 2) == 1)
		if (answer)
			REQUIRE(!vq_push(vq, c.head, 0));
}

/* One request is served, the next comes after gap (0: not soon). What vq_spin() says. */
static bool cycle(struct vq *vq, uint64_t gap)
{
	bool found;

	if (vq->next_avail == sim.f->avail_idx)
		fake_offer_one(sim.f, 0);
	take(vq, true);
	sim.offer_at = gap ? sim.now + gap : 0;
	found = vq_spin(vq);
	if (!found) {
		sim.now += 200 * US; /* asleep */
		if (sim.offer_at)
			fake_offer_one(sim.f, 0);
		sim.offer_at = 0;
	}
	return found;
}

static void test_never(void)
{
	struct vq *vq = begin(0);

	CHECK_NAMED("not asked for", !cycle(vq, 5 * US));
	CHECK_EQ("costs nothing", sim.looks, 0);
	vq = begin(BOUND);
	CHECK_NAMED("nothing has been served yet", !vq_spin(vq));
	CHECK_EQ("costs nothing", sim.looks, 0);
	vq_break(vq, -EIO, "test");
	vq->next_avail = 1;
	CHECK_NAMED("broken", !vq_spin(vq));
}

static void test_bound(void)
{
	static const uint32_t bounds[] = { 1, 1000, BOUND, 100 * US };

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		struct vq *vq = begin(bounds[i]);
		uint64_t before = sim.now;

		fake_offer_one(sim.f, 0);
		take(vq, true);
		CHECK_NAMED("nothing comes", !vq_spin(vq));
		CHECK_NAMED("looked as long as it may", sim.now - before >= bounds[i]);
		CHECK_NAMED("and not longer", sim.now - before <= bounds[i] + 2 * STEP);
		before = sim.now;
		CHECK_NAMED("not again before the ring has moved", !vq_spin(vq));
		CHECK_EQ("which costs nothing", sim.now, before);
	}
}

static void test_found(void)
{
	struct vq *vq = begin(BOUND);

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before = sim.now;

		CHECK_NAMED("found", cycle(vq, 5 * US));
		CHECK_NAMED("as soon as it came", sim.now - before <= 5 * US + 2 * STEP);
	}
	CHECK_EQ("all by looking", vq->spin.hits, 1000);
	CHECK_EQ("none missed", vq->spin.misses, 0);
}

/* When requests come late it gives up soon, and tries again rarely. */
static void test_gives_up(void)
{
	struct vq *vq = begin(BOUND);
	uint64_t spent = 0, start;

	for (unsigned i = 0; i < 10; i++)
		cycle(vq, 0);
	CHECK_NAMED("has given up", vq->spin.misses < 10);
	start = sim.now;
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t before;

		fake_offer_one(sim.f, 0);
		take(vq, true);
		before = sim.now;
		CHECK_NAMED("nothing comes", !vq_spin(vq));
		if (sim.now - before > STEP) /* more than a look at the clock */
			spent += sim.now - before;
		sim.now += 30 * US;
	}
	CHECK_NAMED("tries again", spent > 0);
	CHECK_NAMED("for less than 1 % of the time", spent * 100 < sim.now - start);
}

/* A driver that becomes quick again is noticed. */
static void test_comes_back(void)
{
	struct vq *vq = begin(BOUND);
	unsigned slept = 0;

	for (unsigned i = 0; i < 1000; i++)
		cycle(vq, 0);
	for (unsigned i = 0; i < 1000; i++)
		slept += !cycle(vq, 3 * US);
	CHECK_NAMED("learns", slept && slept < 20);
	slept = 0;
	for (unsigned i = 0; i < 1000; i++)
		slept += !cycle(vq, 3 * US);
	CHECK_EQ("and has learnt", slept, 0);
}

/* Of each eight gaps this many are short. */
static const struct {
	const char *name;
	unsigned of_eight;
	uint64_t gap;
	bool spins;
} mixed[] = {
	{ "all but one short", 7, 3 * US, true },
	{ "most short", 6, 3 * US, true },
	{ "few short", 2, 3 * US, false },
	{ "most just inside of the bound", 4, 19 * US, false },
};

static void test_mixed(void)
{
	for (size_t m = 0; m < ARRAY_SIZE(mixed); m++) {
		struct vq *vq = begin(BOUND);
		uint64_t tried = 0;

		for (unsigned i = 0; i < 8000; i++) {
			uint64_t before = vq->spin.hits + vq->spin.misses;

			cycle(vq, i % 8 < mixed[m].of_eight ? mixed[m].gap : 0);
			tried += vq->spin.hits + vq->spin.misses - before;
		}
		CHECK_NAMED(mixed[m].name, mixed[m].spins ? tried > 7500 : tried < 2500);
	}
}

/* Requests behind others in flight come late, those after an answer soon; or the reverse. */
static void test_habits(void)
{
	struct vq *vq = begin(BOUND);
	unsigned slept = 0;

	for (unsigned i = 0; i < 1000; i++) {
		uint16_t kept = sim.f->avail_idx;

		fake_offer_one(sim.f, 1);
		take(vq, false);
		CHECK_NAMED("late while one is in flight", !vq_spin(vq));
		CHECK_EQ("in flight", vq->inflight, (uint16_t)(sim.f->avail_idx - kept));
		sim.now += 100 * US;
		REQUIRE(!vq_push(vq, 1, 0));
		sim.offer_at = sim.now + 4 * US;
		slept += !vq_spin(vq);
		sim.offer_at = 0;
		take(vq, true);
	}
	CHECK_EQ("soon after the answer", slept, 0);
	CHECK_NAMED("rarely looked in between", vq->spin.misses < 100);
}

/* Something else to do ends it at once, and teaches nothing. */
static void test_interrupted(void)
{
	struct vq *vq = begin(BOUND);
	const struct vq_log none = { 0 };
	unsigned looks;

	for (unsigned i = 0; i < 3; i++) {
		struct vq_habit before = vq->spin.habit[0];

		fake_offer_one(sim.f, 0);
		take(vq, true);
		if (i == 0)
			vq->stopping = true;
		else if (i == 1)
			vq_set_mem(vq, sim.f->mem);
		else
			vq_set_log(vq, &none);
		looks = sim.looks;
		CHECK_NAMED("there is something to do", vq_spin(vq));
		CHECK_EQ("at once", sim.looks, looks + 1);
		CHECK_EQ("nothing learnt", vq->spin.habit[0].average_ns, before.average_ns);
		vq->stopping = false;
		vq_refresh(vq);
	}
}

/* The ring's memory goes away: pop says so. */
static void test_fault(void)
{
	const struct vq_config cfg = fake_config(8, 0);
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct fake_driver f;
	struct iovec seg[2];
	struct vq_chain c;
	uint8_t *ram;

	REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)FAKE_RAM_SIZE));
	ram = mmap(NULL, FAKE_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(ram != MAP_FAILED);
	fake_init(&f, &cfg, ram, mem_over(ram, FAKE_RAM_SIZE));
	REQUIRE(!vq_start(&f.vq, &f.cfg, f.mem));
	f.vq.spin.max_ns = BOUND;
	fake_offer_one(&f, 0);
	REQUIRE(fake_pop(&f, &c, seg, 2) == 1);
	REQUIRE(!ftruncate(fd, 0));
	CHECK_NAMED("something is there", vq_spin(&f.vq));
	CHECK_EQ("namely an end", fake_pop(&f, &c, seg, 2), -EFAULT);
	fake_fini(&f);
	munmap(ram, FAKE_RAM_SIZE);
	close(fd);
}

int main(void)
{
	REQUIRE(!fault_init());
	test_never();
	test_bound();
	test_found();
	test_gives_up();
	test_comes_back();
	test_mixed();
	test_habits();
	test_interrupted();
	test_fault();
	fake_free(sim.f);
	return check_done();
}
