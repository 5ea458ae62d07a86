/* SPDX-License-Identifier: BSD-2-Clause */
/* A treap: a search tree by address and a heap by random priorities, so shallow enough. */
#include "front/maps.h"

#include <stdlib.h>

#include "base/range.h"
#include "host/fd.h"

static bool has_unlisted(const struct front_mapping *m)
{
	return m && m->unlisted;
}

/* What m knows of those below it, after a change there. */
static struct front_mapping *update(struct front_mapping *m)
{
	m->unlisted = !m->listed || has_unlisted(m->left) || has_unlisted(m->right);
	return m;
}

/* All of low are before all of high. */
static struct front_mapping *merge(struct front_mapping *low, struct front_mapping *high)
{
	if (!low || !high)
		return low ? low : high;
	if (low->priority > high->priority) {
		low->right = merge(low->right, high);
		return update(low);
	}
	high->left = merge(low, high->left);
	return update(high);
}

/* Those that begin before at, and the others. */
static void split(struct front_mapping *m, uint64_t at, struct front_mapping **low,
		  struct front_mapping **high)
{
	*low = *high = NULL;
	if (!m)
		return;
	if (m->at < at) {
		split(m->right, at, &m->right, high);
		*low = update(m);
	} else {
		split(m->left, at, low, &m->left);
		*high = update(m);
	}
}

/* The last one that begins at or before at. */
static struct front_mapping *last_before(struct front_mapping *m, uint64_t at)
{
	struct front_mapping *best = NULL;

	while (m) {
		if (m->at <= at) {
			best = m;
			m = m->right;
		} else {
			m = m->left;
		}
	}
	return best;
}

struct front_mapping *front_maps_find(const struct front_maps *s, uint64_t at, uint64_t len)
{
	struct front_mapping *m = last_before(s->root, at + (len - 1));

	return m && range_overlap(m->at, m->len, at, len) ? m : NULL;
}

struct front_mapping *front_maps_from(const struct front_maps *s, uint64_t at)
{
	struct front_mapping *best = NULL;

	for (struct front_mapping *m = s->root; m;) {
		if (m->at >= at) {
			best = m;
			m = m->left;
		} else {
			m = m->right;
		}
	}
	return best;
}

struct front_mapping *front_maps_unlisted(const struct front_maps *s)
{
	struct front_mapping *m = has_unlisted(s->root) ? s->root : NULL;

	while (m && (has_unlisted(m->left) || m->listed))
		m = has_unlisted(m->left) ? m->left : m->right;
	return m;
}

static uint32_t next_random(struct front_maps *s)
{
	s->random = s->random * 1664525u + 1013904223u;
	return s->random ^ s->random >> 16;
}

static void insert(struct front_maps *s, struct front_mapping *m)
{
	struct front_mapping *low, *high;

	m->left = m->right = NULL;
	split(s->root, m->at, &low, &high);
	s->root = merge(merge(low, update(m)), high);
}

static void take_out(struct front_maps *s, const struct front_mapping *m)
{
	struct front_mapping *low, *high, *only;

	split(s->root, m->at, &low, &high);
	split(high, m->at + 1, &only, &high);
	s->root = merge(low, high);
}

void front_maps_add(struct front_maps *s, struct front_mapping *m)
{
	m->priority = next_random(s);
	insert(s, m);
	s->n++;
}

void front_maps_list(struct front_maps *s, struct front_mapping *m, bool listed)
{
	take_out(s, m);
	m->listed = listed;
	insert(s, m);
}

void front_maps_remove(struct front_maps *s, struct front_mapping *m)
{
	take_out(s, m);
	s->n--;
	fd_close(&m->fd);
	if (!m->listed) {
		free(m);
		return;
	}
	m->left = s->gone;
	s->gone = m;
}

struct front_mapping *front_maps_take_gone(struct front_maps *s)
{
	struct front_mapping *m = s->gone;

	if (m)
		s->gone = m->left;
	return m;
}
