/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/dax_map.c against a model that has one entry for each page. */
#include <string.h>

#include "base/macros.h"
#include "fs/dax.h"
#include "fs/dax_map.h"
#include "tests/lib/check.h"

#define PAGES  300u /* more than four words of bits, and no multiple of one */
#define PIECES PAGES
#define STEPS  60000u

static uint64_t pages(uint64_t n)
{
	return n * DAX_PAGE;
}

/* --- counts --- */

/* Ranges that begin and end at, before and behind a word of 64 bits. */
static void test_word_boundaries(void)
{
	static const uint64_t at[] = { 0, 1, 63, 64, 65, 127, 128, 129, 192, 255, 256, 299, 300 };
	struct dax_piece p = { .len = pages(PAGES) };
	struct dax_map m;

	REQUIRE(!dax_map_init(&m, pages(PAGES)));
	REQUIRE(!dax_map_insert(&m, &p));
	dax_map_live(&m, &p, 1);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		for (size_t k = i + 1; k < ARRAY_SIZE(at); k++) {
			uint64_t n = at[k] - at[i];

			dax_map_own(&m, pages(at[i]), pages(at[k]));
			CHECK_EQ("all", dax_map_count(&m, 0, m.size), n);
			CHECK_EQ("inside", dax_map_count(&m, pages(at[i]), pages(at[k])), n);
			CHECK_EQ("before", dax_map_count(&m, 0, pages(at[i])), 0);
			CHECK_EQ("behind", dax_map_count(&m, pages(at[k]), m.size), 0);
			CHECK_EQ("of the piece", p.owned, n);
			CHECK_NAMED("not idle", !p.listed && !m.oldest);
			dax_map_own(&m, pages(at[i]), pages(at[k])); /* twice is once */
			CHECK_EQ("of the map", m.owned, n);
			dax_map_disown(&m, pages(at[i]), pages(at[k]), 2);
			CHECK_EQ("none", m.owned + p.owned + dax_map_count(&m, 0, m.size), 0);
			CHECK(p.listed && m.oldest == &p && m.newest == &p);
		}
	dax_map_remove(&m, &p);
	CHECK(!m.oldest && !m.newest);
	dax_map_fini(&m);
}

/* --- what is idle --- */

static void test_idle_order(void)
{
	struct dax_piece p[4] = { { 0 } };
	struct dax_map m;

	REQUIRE(!dax_map_init(&m, pages(8)));
	for (unsigned i = 0; i < 4; i++) {
		p[i].off = pages(2 * i);
		p[i].len = pages(2);
		REQUIRE(!dax_map_insert(&m, &p[i]));
		CHECK_NAMED("not while it is new", !p[i].listed);
		dax_map_live(&m, &p[i], 10 + i);
	}
	CHECK(m.oldest == &p[0] && m.newest == &p[3]);
	dax_map_own(&m, pages(1), pages(5)); /* one of 0, all of 1, one of 2 */
	CHECK(m.oldest == &p[3] && m.newest == &p[3]);
	dax_map_disown(&m, pages(2), pages(3), 20);
	CHECK_NAMED("still owned in part", !p[1].listed);
	dax_map_disown(&m, pages(3), pages(4), 21);
	CHECK(p[1].listed && p[1].idle_ns == 21);
	dax_map_disown(&m, pages(3), pages(4), 22);
	CHECK_EQ("what is idle is not idle anew", p[1].idle_ns, 21);
	dax_map_disown(&m, 0, pages(8), 23);
	CHECK(m.oldest == &p[3] && p[3].newer == &p[1] && p[1].newer == &p[0] &&
	      p[0].newer == &p[2] && m.newest == &p[2] && !p[2].newer);
	dax_map_leaves(&m, &p[1], PIECE_LEAVING);
	CHECK(p[3].newer == &p[0] && p[0].older == &p[3] && !p[1].listed);
	dax_map_leaves(&m, &p[3], PIECE_UNSURE);
	dax_map_leaves(&m, &p[2], PIECE_UNSURE);
	CHECK(m.oldest == &p[0] && m.newest == &p[0]);
	for (unsigned i = 0; i < 4; i++)
		dax_map_remove(&m, &p[i]);
	CHECK(!m.oldest && !m.newest && !m.n);
	dax_map_fini(&m);
}

static void test_hole_end(void)
{
	struct dax_piece p[2] = { { .off = pages(2), .len = pages(3) },
				  { .off = pages(7), .len = pages(1) } };
	static const struct {
		uint64_t off, end, want;
	} cases[] = {
		{ 0, 8, 2 }, { 0, 2, 2 }, { 0, 1, 1 }, { 1, 1, 1 }, { 2, 8, 2 },
		{ 4, 8, 4 }, { 5, 8, 7 }, { 5, 7, 7 }, { 5, 6, 6 }, { 8, 9, 9 },
	};
	struct dax_map m;

	REQUIRE(!dax_map_init(&m, pages(9)));
	CHECK_EQ("empty", dax_map_hole_end(&m, 0, pages(9)), pages(9));
	REQUIRE(!dax_map_insert(&m, &p[1]) && !dax_map_insert(&m, &p[0]));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_EQ("hole_end", dax_map_hole_end(&m, pages(cases[i].off), pages(cases[i].end)),
			 pages(cases[i].want));
	dax_map_remove(&m, &p[0]);
	dax_map_remove(&m, &p[1]);
	dax_map_fini(&m);
}

/* --- anything --- */

struct model {
	struct dax_map m;
	struct dax_piece p[PIECES]; /* len 0: not there */
	struct dax_piece *at[PAGES];
	bool owned[PAGES];
	struct dax_piece *idle[PIECES]; /* the oldest first */
	size_t n_idle, n;
	uint64_t now;
};

static uint32_t any(uint32_t below)
{
	static uint64_t state = 42;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % below;
}

static void model_busy(struct model *w, const struct dax_piece *p)
{
	for (size_t i = 0; i < w->n_idle; i++)
		if (w->idle[i] == p) {
			w->n_idle--;
			memmove(&w->idle[i], &w->idle[i + 1], (w->n_idle - i) * sizeof(w->idle[0]));
			return;
		}
}

static unsigned model_count(const struct model *w, unsigned from, unsigned to)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++)
		n += w->owned[i];
	return n;
}

static unsigned page_of(uint64_t off)
{
	return (unsigned)(off / DAX_PAGE);
}

static unsigned end_of(const struct dax_piece *p)
{
	return page_of(p->off + p->len);
}

/* A piece where there is none. */
static void insert(struct model *w, unsigned from, unsigned to)
{
	struct dax_piece *p = w->p;

	for (unsigned i = from; i < to; i++)
		if (w->at[i])
			return;
	while (p->len)
		p++;
	*p = (struct dax_piece){ .off = pages(from), .len = pages(to - from) };
	REQUIRE(!dax_map_insert(&w->m, p));
	for (unsigned i = from; i < to; i++)
		w->at[i] = p;
	w->n++;
	dax_map_live(&w->m, p, w->now);
	w->idle[w->n_idle++] = p;
}

static void drop(struct model *w, struct dax_piece *p)
{
	if (!p || model_count(w, page_of(p->off), end_of(p)))
		return;
	if (any(2))
		dax_map_leaves(&w->m, p, any(2) ? PIECE_LEAVING : PIECE_UNSURE);
	dax_map_remove(&w->m, p);
	model_busy(w, p);
	for (unsigned i = page_of(p->off); i < end_of(p); i++)
		w->at[i] = NULL;
	p->len = 0;
	w->n--;
}

static void own(struct model *w, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (!w->at[i])
			return;
	dax_map_own(&w->m, pages(from), pages(to));
	for (unsigned i = from; i < to; i++) {
		w->owned[i] = true;
		model_busy(w, w->at[i]);
	}
}

static void disown(struct model *w, unsigned from, unsigned to)
{
	dax_map_disown(&w->m, pages(from), pages(to), w->now);
	for (unsigned i = from; i < to; i++) {
		struct dax_piece *p = w->at[i];
		bool was = w->owned[i];

		w->owned[i] = false;
		if (!was || model_count(w, page_of(p->off), end_of(p)))
			continue;
		w->idle[w->n_idle++] = p;
		CHECK_EQ("idle since", p->idle_ns, w->now);
	}
}

static void check_range(const struct model *w, unsigned from, unsigned to)
{
	unsigned first = from;

	while (first < to && !w->at[first])
		first++;
	CHECK(dax_map_first(&w->m, pages(from), pages(to)) == (first < to ? w->at[first] : NULL));
	CHECK_EQ("hole_end", dax_map_hole_end(&w->m, pages(from), pages(to)), pages(first));
	CHECK_EQ("count", dax_map_count(&w->m, pages(from), pages(to)), model_count(w, from, to));
}

static void check_all(const struct model *w)
{
	const struct dax_piece *p = w->m.oldest;

	CHECK_EQ("pieces", w->m.n, w->n);
	CHECK_EQ("owned", w->m.owned, model_count(w, 0, PAGES));
	for (size_t i = 0; i < w->m.n; i++) {
		const struct dax_piece *v = w->m.v[i];

		CHECK(w->at[page_of(v->off)] == v);
		CHECK_NAMED("in order", !i || w->m.v[i - 1]->off + w->m.v[i - 1]->len <= v->off);
		CHECK_EQ("owned", v->owned, model_count(w, page_of(v->off), end_of(v)));
	}
	for (size_t i = 0; i < w->n_idle; i++, p = p->newer) {
		REQUIRE(p == w->idle[i]);
		CHECK(p->listed && p->older == (i ? w->idle[i - 1] : NULL));
	}
	CHECK(!p);
}

static void test_random(void)
{
	static struct model w;

	REQUIRE(!dax_map_init(&w.m, pages(PAGES)));
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned from = any(PAGES), most = 1 + any(100);
		unsigned to = from + 1 + any(MIN(PAGES - from, most));

		w.now++;
		switch (any(8)) {
		case 0:
		case 1:
			insert(&w, from, to);
			break;
		case 2:
			drop(&w, w.at[from]);
			break;
		case 3:
		case 4:
			own(&w, from, to);
			break;
		case 5:
			disown(&w, from, to);
			break;
		default:
			check_range(&w, from, to);
		}
		if (step % 16 == 0)
			check_all(&w);
	}
	disown(&w, 0, PAGES);
	while (w.m.n)
		drop(&w, w.m.v[0]);
	check_all(&w);
	dax_map_fini(&w.m);
}

int main(void)
{
	test_word_boundaries();
	test_idle_order();
	test_hole_end();
	test_random();
	return check_done();
}
