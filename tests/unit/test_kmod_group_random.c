/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kmod/group.c in any order of events, beside a model of bios that each know when they came and
 * which request they wait for. usage: test_kmod_group_random [SEED]
 */
#include "base/macros.h"
#include "kmod/group.h"
#include "tests/lib/check.h"

#define STEPS 300000
#define BIOS  40

static u64 seed = 20261121;

static u64 random_below(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static struct waiter {
	struct bio bio;
	bool waits;
	u64 came;
	u64 request; /* that it waits for; 0 if that has not been sent */
} waiters[BIOS];

/* What must be so. Requests are numbered from 1. */
static struct {
	u64 now;
	bool outstanding, held;
	u64 request, sent_at;
	blk_status_t error;
	u64 flushes, requests, merged, errors;
} model;

static struct vpmem_group group;
static unsigned int well, badly, late;

static unsigned int wait_for(u64 request)
{
	unsigned int n = 0;

	for (size_t i = 0; i < BIOS; i++)
		n += waiters[i].waits && waiters[i].request == request;
	return n;
}

static void end_well(struct waiter *w)
{
	well++;
	CHECK_NAMED("success before a failure", !model.error);
	CHECK_EQ("of the request that was answered", w->request, model.request);
	CHECK_NAMED("sent after the bio came", model.sent_at > w->came);
}

static void end_badly(struct waiter *w)
{
	badly++;
	model.errors++;
	CHECK_EQ("the first error", w->bio.bi_status, model.error);
}

static void take_ended(struct bio_list *ended)
{
	struct bio *bio;

	while ((bio = bio_list_pop(ended))) {
		struct waiter *w = container_of(bio, struct waiter, bio);

		CHECK_NAMED("ended once", w->waits);
		w->waits = false;
		if (bio->bi_status)
			end_badly(w);
		else
			end_well(w);
	}
}

/* Comes to wait, if it does not yet. */
static void add_one(struct bio_list *bios, struct waiter *w)
{
	if (w->waits)
		return;
	bio_list_add(bios, &w->bio);
	model.flushes++;
	model.merged += !model.error && wait_for(0);
	w->waits = true;
	w->came = model.now;
	w->request = 0;
	w->bio.bi_status = BLK_STS_OK;
}

static void do_add(void)
{
	struct bio_list bios, ended;

	bio_list_init(&bios);
	bio_list_init(&ended);
	for (u64 n = random_below(5); n; n--)
		add_one(&bios, &waiters[random_below(BIOS)]);
	vpmem_group_add(&group, &bios, &ended);
	CHECK_NAMED("taken", bio_list_empty(&bios));
	CHECK_NAMED("refused only after a failure", model.error || bio_list_empty(&ended));
	take_ended(&ended);
	CHECK_NAMED("refused at once", !model.error || !wait_for(0));
}

static void begin(void)
{
	CHECK_NAMED("one request at a time", !model.outstanding);
	model.outstanding = true;
	model.requests++;
	model.request++;
	model.sent_at = model.now;
}

/* There was no memory to send it: it was never there. */
static void take_back(void)
{
	vpmem_group_unsend(&group);
	for (size_t i = 0; i < BIOS; i++)
		if (waiters[i].request == model.request)
			waiters[i].request = 0;
	model.outstanding = false;
	model.requests--;
	model.request--;
}

static void do_send(void)
{
	bool due = !model.outstanding && !model.held && !model.error && wait_for(0);
	bool sent = vpmem_group_send(&group);

	CHECK_NAMED("sent when it is time", sent == due);
	if (!sent)
		return;
	begin();
	for (size_t i = 0; i < BIOS; i++)
		if (!waiters[i].request)
			waiters[i].request = model.request;
	if (!random_below(10))
		take_back();
}

/* As at probe and after a suspension: nobody waits for this one. */
static void do_begin(void)
{
	if (model.outstanding || model.error || !model.held)
		return;
	vpmem_group_begin(&group);
	begin();
}

static void do_fail(void)
{
	static const blk_status_t errors[] = { BLK_STS_IOERR, BLK_STS_TIMEOUT, BLK_STS_OFFLINE };
	blk_status_t error = errors[random_below(ARRAY_SIZE(errors))];
	struct bio_list ended;

	bio_list_init(&ended);
	vpmem_group_fail(&group, error, &ended);
	if (!model.error)
		model.error = error;
	take_ended(&ended);
	for (size_t i = 0; i < BIOS; i++)
		CHECK_NAMED("nobody waits after a failure", !waiters[i].waits);
}

static void do_break(void)
{
	if (!random_below(8))
		do_fail();
}

static void do_answer(void)
{
	struct bio_list ended;

	if (!model.outstanding)
		return;
	late += !!model.error;
	if (!random_below(100))
		do_fail();
	bio_list_init(&ended);
	vpmem_group_answer(&group, &ended);
	CHECK_NAMED("a late answer ends nobody", !model.error || bio_list_empty(&ended));
	take_ended(&ended);
	model.outstanding = false;
	CHECK_EQ("nobody is left behind", wait_for(model.request), 0);
}

static void do_hold(void)
{
	model.held = !model.held && !random_below(2);
	group.held = model.held;
}

static void bind(void)
{
	vpmem_group_init(&group);
	model.outstanding = false;
	model.held = true;
	model.error = BLK_STS_OK;
	model.flushes = model.requests = model.merged = model.errors = 0;
	for (size_t i = 0; i < BIOS; i++)
		waiters[i].request = 0;
}

/* The driver is bound anew: everybody has been told by then. */
static void do_bind(void)
{
	if (model.error && !random_below(4))
		bind();
}

static void compare(void)
{
	bool idle = model.error || (!model.outstanding && (model.held || !wait_for(0)));

	CHECK_EQ("outstanding", group.outstanding, model.outstanding);
	CHECK_EQ("error", group.error, model.error);
	CHECK_EQ("idle", vpmem_group_idle(&group), idle);
	CHECK_EQ("flushes", group.flushes, model.flushes);
	CHECK_EQ("requests", group.requests, model.requests);
	CHECK_EQ("merged", group.merged, model.merged);
	CHECK_EQ("errors", group.errors, model.errors);
}

/* Of a hundred steps. */
static const struct {
	unsigned int share;
	void (*what)(void);
} steps[] = {
	{ 32, do_add },	 { 30, do_send }, { 27, do_answer }, { 5, do_hold },
	{ 1, do_begin }, { 1, do_break }, { 4, do_bind },
};

static void step(void)
{
	unsigned int dice = (unsigned int)random_below(100);
	size_t i = 0;

	while (dice >= steps[i].share)
		dice -= steps[i++].share;
	model.now++;
	steps[i].what();
	compare();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	fprintf(stderr, "seed %llu\n", seed);
	bind();
	for (int i = 0; i < STEPS && check_failed < 100; i++)
		step();
	fprintf(stderr, "%u ended well, %u badly, %u late answers\n", well, badly, late);
	CHECK_NAMED("all of it happened",
		    check_failed || (well > STEPS / 10 && badly > 100 && late > 10));
	return check_done();
}
