/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/latency.h"

#include "base/macros.h"

#define STEP_BITS 6u
_Static_assert(1u << STEP_BITS == LATENCY_STEPS, "steps");

/*
 * Values below 64 have a bucket each; then each power of two has 64 buckets, numbered by
 * the six bits after the leading one.
 */
static unsigned bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < LATENCY_STEPS)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - STEP_BITS;
	return (shift + 1) * LATENCY_STEPS + (unsigned)((ns >> shift) - LATENCY_STEPS);
}

/* The smallest value of a bucket. */
static uint64_t bucket_start(unsigned i)
{
	if (i < LATENCY_STEPS)
		return i;
	return (uint64_t)(LATENCY_STEPS + i % LATENCY_STEPS) << (i / LATENCY_STEPS - 1);
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->n++;
	l->max = MAX(l->max, ns);
	l->bucket[bucket_of(ns)]++;
}

uint64_t latency_at(const struct latency *l, double part)
{
	uint64_t rank = (uint64_t)(part * (double)l->n), seen = 0;

	if (!l->n)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(l->bucket); i++) {
		seen += l->bucket[i];
		if (seen > rank)
			return bucket_start(i);
	}
	return l->max;
}
