/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kmod/group.c, step by step. A case is a line of letters:
 *
 *	a     a bio comes		A     three come together	e     nobody comes
 *	s     a request is sent		x     none can be sent
 *	r     the device answers	b     a request that nobody waits for begins
 *	t     what was sent is taken back, as there was no memory for it
 *	F     it fails with IOERR	T     it fails with TIMEOUT
 *	h     hold			u     release
 *	i     there is nothing to wait for; n: there is
 *	0-9   so many bios have ended; they are numbered as they came
 */
#include "base/macros.h"
#include "kmod/group.h"
#include "tests/lib/check.h"

#define BIOS 9

static const struct group_case {
	const char *name, *steps;
	u64 flushes, requests, merged, errors;
	blk_status_t status[BIOS]; /* of those that have ended */
} cases[] = {
	{ "one flush", "uiasn0r1i", 1, 1, 0, 0, { 0 } },
	{ "nobody, so no request", "uxeix", 0, 0, 0, 0, { 0 } },
	{ "three together share a request", "uAsr3i", 3, 1, 2, 0, { 0 } },
	{ "three one by one share a request", "uaaasr3", 3, 1, 2, 0, { 0 } },
	{ "never two requests", "uasaxr1snr2i", 2, 2, 0, 0, { 0 } },
	{ "who comes late waits for the next", "uasAAr1sr7i", 7, 2, 5, 0, { 0 } },
	{ "nobody comes to those who wait", "uaesr1", 1, 1, 0, 0, { 0 } },
	{ "three rounds", "uasar1sar2sr3xi", 3, 3, 0, 0, { 0 } },
	{ "taken back and sent later", "uastn0sr1i", 1, 1, 0, 0, { 0 } },
	{ "who comes in between joins", "uAstasr4i", 4, 1, 3, 0, { 0 } },
	{ "taken back, then a failure", "uAstF3r3i", 3, 0, 2, 3, { 10, 10, 10 } },
	{ "held from the begin", "axaxi0usr2", 2, 1, 1, 0, { 0 } },
	{ "held with a request outstanding", "uashnr1ixax1usr2", 2, 2, 0, 0, { 0 } },
	{ "the first flush has nobody", "bnxri0", 0, 1, 0, 0, { 0 } },
	{ "who comes during the first flush", "bar0xusr1", 1, 2, 0, 0, { 0 } },
	{ "failure ends who waits for the answer", "uasF1i", 1, 1, 0, 1, { 10 } },
	{ "failure ends who waits for the next", "uasAF4i", 4, 1, 2, 4, { 10, 10, 10, 10 } },
	{ "failure ends who is held", "AF3i", 3, 0, 2, 3, { 10, 10, 10 } },
	{ "the first failure counts", "uasaT2Fa3", 3, 1, 0, 3, { 2, 2, 2 } },
	{ "failure is final", "uFa1xA4xi", 4, 0, 0, 4, { 10, 10, 10, 10 } },
	{ "nobody comes after a failure", "uFe0", 0, 0, 0, 0, { 0 } },
	{ "success before a failure stays", "uasr1aF2", 2, 1, 0, 1, { 0, 10 } },
	{ "a late answer changes nothing", "uasTr1ia2x", 2, 1, 0, 2, { 2, 2 } },
	{ "a late answer ends nobody who came since", "uasTa2r2xi", 2, 1, 0, 2, { 2, 2 } },
	{ "an answer that is an error", "uasaFr2xi", 2, 1, 0, 2, { 10, 10 } },
	{ "released after a failure", "ahFux1i", 1, 0, 0, 1, { 10 } },
};

struct run {
	const struct group_case *c;
	struct vpmem_group group;
	struct bio bios[BIOS];
	unsigned int came, ended;
};

/* Bios come back in the order in which they came, as nobody overtakes here. */
static void take_ended(struct run *run, struct bio_list *ended)
{
	struct bio *bio;

	while ((bio = bio_list_pop(ended))) {
		CHECK_NAMED(run->c->name, run->ended < run->came);
		if (run->ended >= BIOS)
			return;
		CHECK_NAMED(run->c->name, bio == &run->bios[run->ended]);
		CHECK_EQ(run->c->name, bio->bi_status, run->c->status[run->ended]);
		run->ended++;
	}
}

static void come(struct run *run, unsigned int n)
{
	struct bio_list bios, ended;

	bio_list_init(&bios);
	bio_list_init(&ended);
	while (n--)
		bio_list_add(&bios, &run->bios[run->came++]);
	vpmem_group_add(&run->group, &bios, &ended);
	CHECK_NAMED(run->c->name, bio_list_empty(&bios));
	take_ended(run, &ended);
}

static void fail(struct run *run, blk_status_t error)
{
	struct bio_list ended;

	bio_list_init(&ended);
	vpmem_group_fail(&run->group, error, &ended);
	take_ended(run, &ended);
}

static void answer(struct run *run)
{
	struct bio_list ended;

	bio_list_init(&ended);
	vpmem_group_answer(&run->group, &ended);
	take_ended(run, &ended);
}

static void step(struct run *run, char what)
{
	switch (what) {
	case 'a':
		come(run, 1);
		break;
	case 'A':
		come(run, 3);
		break;
	case 'e':
		come(run, 0);
		break;
	case 's':
	case 'x':
		CHECK_EQ(run->c->name, vpmem_group_send(&run->group), what == 's');
		break;
	case 'r':
		answer(run);
		break;
	case 't':
		vpmem_group_unsend(&run->group);
		break;
	case 'b':
		vpmem_group_begin(&run->group);
		break;
	case 'F':
		fail(run, BLK_STS_IOERR);
		break;
	case 'T':
		fail(run, BLK_STS_TIMEOUT);
		break;
	case 'h':
	case 'u':
		run->group.held = what == 'h';
		break;
	case 'i':
	case 'n':
		CHECK_EQ(run->c->name, vpmem_group_idle(&run->group), what == 'i');
		break;
	default:
		REQUIRE(what >= '0' && what <= '9');
		CHECK_EQ(run->c->name, run->ended, what - '0');
	}
}

static void run_case(const struct group_case *c)
{
	struct run run = { .c = c };

	vpmem_group_init(&run.group);
	for (const char *s = c->steps; *s; s++)
		step(&run, *s);
	CHECK_EQ(c->name, run.group.flushes, c->flushes);
	CHECK_EQ(c->name, run.group.requests, c->requests);
	CHECK_EQ(c->name, run.group.merged, c->merged);
	CHECK_EQ(c->name, run.group.errors, c->errors);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(&cases[i]);
	return check_done();
}
