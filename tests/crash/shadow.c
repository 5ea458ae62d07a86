/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/crash/shadow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTORS (SHADOW_PAGE / SHADOW_SECTOR)

/* Chances in 256, chosen by the last bits of a seed, that a page is newer than the base. */
static const uint8_t density[] = { 0, 8, 128, 248 };

int shadow_init(struct shadow *s, const void *live, size_t size)
{
	*s = (struct shadow){ .live = live, .pages = size / SHADOW_PAGE };
	s->started = malloc(size);
	s->done = malloc(size);
	s->cut = malloc(size);
	s->fresh = calloc(s->pages, 1);
	if (!s->started || !s->done || !s->cut || !s->fresh) {
		shadow_fini(s);
		return -ENOMEM;
	}
	pthread_mutex_init(&s->lock, NULL);
	memcpy(s->started, live, size);
	memcpy(s->done, s->started, size);
	return 0;
}

void shadow_fini(struct shadow *s)
{
	free(s->started);
	free(s->done);
	free(s->cut);
	free(s->fresh);
	*s = (struct shadow){ 0 };
}

void shadow_begin(struct shadow *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->pages; i++) {
		const uint8_t *now = s->live + i * SHADOW_PAGE;
		uint8_t *copy = s->started + i * SHADOW_PAGE;

		if (memcmp(copy, now, SHADOW_PAGE) == 0)
			continue;
		memcpy(copy, now, SHADOW_PAGE);
		s->fresh[i] = 1;
	}
	s->begun++;
	pthread_mutex_unlock(&s->lock);
}

void shadow_end(struct shadow *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->pages; i++) {
		if (!s->fresh[i])
			continue;
		memcpy(s->done + i * SHADOW_PAGE, s->started + i * SHADOW_PAGE, SHADOW_PAGE);
		s->fresh[i] = 0;
	}
	s->ended++;
	pthread_mutex_unlock(&s->lock);
}

/* splitmix64: the next of a sequence that seed determines. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The sectors of a page that have reached the disk, as bits: all, or if it is torn some. */
static unsigned sectors(uint64_t random)
{
	const unsigned all = (1u << SECTORS) - 1;

	return random >> 8 & 3 ? all : (unsigned)(random >> 16) & all;
}

/* Brings one page that differs up to date, or a part of it, or leaves it. */
static void renew(uint8_t *page, const uint8_t *now, uint64_t random, unsigned chance,
		  struct shadow_cut *cut)
{
	unsigned bits = (random & 255) < chance ? sectors(random) : 0;

	for (unsigned i = 0; i < SECTORS; i++)
		if (bits >> i & 1)
			memcpy(page + i * SHADOW_SECTOR, now + i * SHADOW_SECTOR, SHADOW_SECTOR);
	cut->differed++;
	if (bits == (1u << SECTORS) - 1)
		cut->taken++;
	else if (bits)
		cut->torn++;
}

void shadow_cut(struct shadow *s, uint64_t seed, struct shadow_cut *cut)
{
	unsigned chance = density[seed % sizeof(density)];

	*cut = (struct shadow_cut){ 0 };
	pthread_mutex_lock(&s->lock);
	memcpy(s->cut, s->done, s->pages * SHADOW_PAGE);
	for (size_t i = 0; i < s->pages; i++) {
		const uint8_t *now = s->live + i * SHADOW_PAGE;
		uint8_t *page = s->cut + i * SHADOW_PAGE;

		if (memcmp(page, now, SHADOW_PAGE) != 0)
			renew(page, now, next_random(&seed), chance, cut);
	}
	cut->syncs = s->ended;
	pthread_mutex_unlock(&s->lock);
}
