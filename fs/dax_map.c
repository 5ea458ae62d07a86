/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/dax_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fs/dax.h"

#define WORD_BITS 64u

int dax_map_init(struct dax_map *m, uint64_t size)
{
	uint64_t words = size / DAX_PAGE / WORD_BITS + 1;

	*m = (struct dax_map){ .size = size, .bits = calloc(words, sizeof(*m->bits)) };
	return m->bits ? 0 : -ENOMEM;
}

void dax_map_fini(struct dax_map *m)
{
	assert(!m->n);
	free(m->bits);
	free(m->v);
}

/* --- pieces --- */

/* The place of the first piece that ends behind off. */
static size_t find(const struct dax_map *m, uint64_t off)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->v[mid]->off + m->v[mid]->len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct dax_piece *dax_map_first(const struct dax_map *m, uint64_t off, uint64_t end)
{
	size_t i = find(m, off);

	return i < m->n && m->v[i]->off < end ? m->v[i] : NULL;
}

uint64_t dax_map_hole_end(const struct dax_map *m, uint64_t off, uint64_t end)
{
	const struct dax_piece *p = dax_map_first(m, off, end);

	return p ? MAX(p->off, off) : end;
}

int dax_map_insert(struct dax_map *m, struct dax_piece *p)
{
	size_t i = find(m, p->off);

	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		struct dax_piece **v = realloc(m->v, cap * sizeof(struct dax_piece *));

		if (!v)
			return -ENOMEM;
		m->v = v;
		m->cap = cap;
	}
	assert(i == m->n || p->off + p->len <= m->v[i]->off);
	memmove(&m->v[i + 1], &m->v[i], (m->n - i) * sizeof(struct dax_piece *));
	m->v[i] = p;
	m->n++;
	return 0;
}

/* --- what is idle --- */

static void idle_add(struct dax_map *m, struct dax_piece *p, uint64_t now_ns)
{
	assert(!p->listed);
	p->listed = true;
	p->idle_ns = now_ns;
	p->older = m->newest;
	p->newer = NULL;
	if (m->newest)
		m->newest->newer = p;
	else
		m->oldest = p;
	m->newest = p;
}

static void idle_del(struct dax_map *m, struct dax_piece *p)
{
	if (!p->listed)
		return;
	p->listed = false;
	if (p->older)
		p->older->newer = p->newer;
	else
		m->oldest = p->newer;
	if (p->newer)
		p->newer->older = p->older;
	else
		m->newest = p->older;
}

void dax_map_remove(struct dax_map *m, struct dax_piece *p)
{
	size_t i = find(m, p->off);

	assert(!p->owned && i < m->n && m->v[i] == p);
	idle_del(m, p);
	m->n--;
	memmove(&m->v[i], &m->v[i + 1], (m->n - i) * sizeof(struct dax_piece *));
}

void dax_map_live(struct dax_map *m, struct dax_piece *p, uint64_t now_ns)
{
	p->state = PIECE_LIVE;
	idle_add(m, p, now_ns);
}

void dax_map_leaves(struct dax_map *m, struct dax_piece *p, enum piece_state state)
{
	idle_del(m, p);
	p->state = state;
}

/* --- who owns what --- */

/* The bits of word w that stand for pages [first, end). */
static uint64_t mask(uint64_t w, uint64_t first, uint64_t end)
{
	uint64_t from = MAX(first, w * WORD_BITS) - w * WORD_BITS;
	uint64_t to = MIN(end, (w + 1) * WORD_BITS) - w * WORD_BITS;
	uint64_t upto = to == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << to) - 1;

	return upto & ~((UINT64_C(1) << from) - 1);
}

uint64_t dax_map_count(const struct dax_map *m, uint64_t off, uint64_t end)
{
	uint64_t first = off / DAX_PAGE, last = end / DAX_PAGE, n = 0;

	for (uint64_t w = first / WORD_BITS; w * WORD_BITS < last; w++)
		n += (uint64_t)__builtin_popcountll(m->bits[w] & mask(w, first, last));
	return n;
}

/* Sets or clears all bits of [off, end). How many have changed. */
static uint32_t set_bits(struct dax_map *m, uint64_t off, uint64_t end, bool on)
{
	uint64_t first = off / DAX_PAGE, last = end / DAX_PAGE;
	uint32_t n = 0;

	for (uint64_t w = first / WORD_BITS; w * WORD_BITS < last; w++) {
		uint64_t change = (on ? ~m->bits[w] : m->bits[w]) & mask(w, first, last);

		m->bits[w] ^= change;
		n += (uint32_t)__builtin_popcountll(change);
	}
	return n;
}

void dax_map_own(struct dax_map *m, uint64_t off, uint64_t end)
{
	for (size_t i = find(m, off); i < m->n && m->v[i]->off < end; i++) {
		struct dax_piece *p = m->v[i];
		uint32_t n = set_bits(m, MAX(off, p->off), MIN(end, p->off + p->len), true);

		assert(p->state == PIECE_LIVE);
		idle_del(m, p);
		p->owned += n;
		m->owned += n;
	}
	assert(dax_map_count(m, off, end) == (end - off) / DAX_PAGE);
}

void dax_map_disown(struct dax_map *m, uint64_t off, uint64_t end, uint64_t now_ns)
{
	for (size_t i = find(m, off); i < m->n && m->v[i]->off < end; i++) {
		struct dax_piece *p = m->v[i];
		uint32_t n = set_bits(m, MAX(off, p->off), MIN(end, p->off + p->len), false);

		p->owned -= n;
		m->owned -= n;
		if (n && !p->owned)
			idle_add(m, p, now_ns);
	}
}
