/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/dax*.c: users that map, unpin and forget as they like, and a device that answers in any
 * order and fails some. What is compared with the device's own notes is in fake_dax.h.
 */
#include "tests/lib/fake_dax.h"

#define USERS 12u
#define NODES 5u

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

enum { IDLE, WAITS, PINNED, FORGETS };
static struct random_user {
	struct user u;
	int state;
} users[USERS];
static unsigned int forgetting[NODES + 1]; /* or about to: nobody maps it */
static unsigned int ends_ok, ends_badly, full;

static void random_ended(struct random_user *x, int ret)
{
	if (x->state == FORGETS) {
		forgetting[x->u.rq.nodeid]--;
		x->state = IDLE;
		if (!ret) {
			for (unsigned int i = 0; i < PAGES; i++)
				CHECK_NAMED("forgotten", !pages[i].mapped || pages[i].lost ||
								 pages[i].node != x->u.rq.nodeid);
		}
		return;
	}
	full += ret == -VDAX_EAGAIN;
	if (ret < 0) {
		ends_badly++;
		x->state = IDLE;
		return;
	}
	ends_ok++;
	x->state = PINNED;
	check_pin("random", &x->u);
}

static void random_done(struct vdax_dax_rq *r, int ret)
{
	random_ended(container_of(r, struct random_user, u.rq), ret);
}

static void random_map(struct random_user *x)
{
	struct vdax_dax_rq *r = &x->u.rq;
	int ret;

	r->done = random_done;
	if (r->nodeid && random_below(4)) { /* goes on where it was */
		r->off = (r->off + r->len) % (96 * PAGE);
	} else {
		r->nodeid = 1 + random_below(NODES);
		r->off = random_below(96) * PAGE;
		r->len = (1 + random_below(1 + random_below(20))) * PAGE;
	}
	if (forgetting[r->nodeid])
		return;
	r->size = 96 * PAGE;
	r->write = !random_below(3);
	x->state = WAITS;
	ret = vdax_dax_map(&dax, r);
	if (ret)
		random_ended(x, ret);
}

static void random_forget(struct random_user *x)
{
	struct vdax_dax_rq *r = &x->u.rq;
	int ret;

	r->nodeid = 1 + random_below(NODES);
	for (unsigned int i = 0; i < USERS; i++) {
		if (users[i].state == WAITS && users[i].u.rq.nodeid == r->nodeid)
			return;
	}
	r->done = random_done;
	ret = vdax_dax_forget(&dax, r);
	if (ret == -VDAX_EBUSY || ret == -VDAX_EAGAIN)
		return;
	x->state = FORGETS;
	forgetting[r->nodeid]++;
	if (ret)
		random_ended(x, ret > 0 ? 0 : ret);
}

static unsigned int pages_lost(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		n += pages[i].lost;
	return n;
}

static void random_step(unsigned int failures)
{
	struct random_user *x = &users[random_below(USERS)];
	int error = 0;

	dev_take();
	if (n_pending && random_below(2)) {
		if (failures && !random_below(failures))
			error = -5;
		/* A removal that fails is for ever: not more than the window can take. */
		if (error && pages_lost() > dax.window.region.len / PAGE / 4)
			error = 0;
		answer_with((unsigned int)random_below(n_pending), error, 0);
	} else if (x->state == PINNED) {
		unpin(&x->u);
		x->state = IDLE;
	} else if (x->state == IDLE && random_below(20)) {
		random_map(x);
	} else if (x->state == IDLE) {
		random_forget(x);
	}
	dev_take();
	for (unsigned int i = 0; i < USERS && !n_pending; i++)
		CHECK_NAMED("waits for nothing", !users[i].u.rq.busy);
}

static void random_drain(void)
{
	struct user u = { .calls = 0 };

	answer_all();
	for (unsigned int i = 0; i < USERS; i++) {
		if (users[i].state == PINNED)
			unpin(&users[i].u);
		CHECK_NAMED("drained", !users[i].u.rq.busy);
	}
	for (uint64_t node = 1; node <= NODES; node++) {
		if (!forget(&u, node))
			answer_all();
	}
	for (unsigned int i = 0; i < PAGES; i++)
		CHECK_NAMED("drained", !pages[i].mapped || pages[i].lost);
	CHECK_EQ("all ahead is in maps", dax.stats.ahead <= dax.stats.maps, 1);
	CHECK_EQ("ahead", dax.stats.ahead_hits <= dax.stats.ahead, 1);
	CHECK_EQ("removed", dax.stats.reclaimed <= dax.stats.removed, 1);
	CHECK_EQ("removals", dax.stats.removals, removals);
	CHECK_EQ("setups", dax.stats.maps + dax.stats.upgrades, setups);
}

static const struct {
	const char *name;
	unsigned int pages, min, max, ops, ahead, batch, failures, max_mapped;
	uint64_t features;
} random_cases[] = {
	{ "one size", 32, 1, 1, 8, 0, 0, 0, 0, INDIRECT },
	{ "many sizes", 100, 1, 16, 8, 0, 0, 0, 0, INDIRECT },
	{ "ahead", 64, 1, 8, 8, 2, 0, 0, 0, INDIRECT },
	{ "failures", 128, 1, 16, 8, 1, 0, 10, 0, INDIRECT },
	{ "two requests", 64, 2, 16, 2, 1, 0, 20, 0, INDIRECT },
	{ "a full ring", 200, 1, 8, OPS_MAX, 3, 32, 30, 0, EVENT_IDX },
	{ "few ranges", 200, 1, 16, 8, 1, 0, 0, 20, INDIRECT },
	{ "a small window", 8, 1, 4, 8, 1, 1, 0, 0, INDIRECT },
};

static void test_random(unsigned int k, unsigned int steps)
{
	seed = 0x123456789 + k;
	start(random_cases[k].pages, random_cases[k].min, random_cases[k].max);
	set_up(random_cases[k].features);
	dax_opts.num_ops = random_cases[k].ops;
	dax_opts.ahead = random_cases[k].ahead;
	dax_opts.batch = random_cases[k].batch;
	dax_opts.max_mapped = random_cases[k].max_mapped;
	start_again();
	memset(users, 0, sizeof(users));
	memset(forgetting, 0, sizeof(forgetting));
	ends_ok = ends_badly = full = 0;
	for (unsigned int i = 0; i < steps; i++)
		random_step(random_cases[k].failures);
	if (dax_opts.max_mapped)
		CHECK_EQ("too many", dax.book.mapped <= dax_opts.max_mapped, 1);
	random_drain();
	CHECK_NAMED(random_cases[k].name, ends_ok > steps / 10);
	CHECK_NAMED(random_cases[k].name, dax.stats.hits && dax.stats.reclaimed);
	CHECK_NAMED(random_cases[k].name, !random_cases[k].ahead || dax.stats.ahead_hits);
	fprintf(stderr, "%s: %u mapped, %u not (%u: full), %llu hits, %llu maps, %llu lost\n",
		random_cases[k].name, ends_ok, ends_badly, full, (unsigned long long)dax.stats.hits,
		(unsigned long long)dax.stats.maps, (unsigned long long)dax.stats.lost);
}

int main(void)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(random_cases); k++)
		test_random(k, 100000);
	return check_done();
}
