/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/stats.h"

#include <stdlib.h>

#include "base/macros.h"
#include "host/fd.h"

/* Bucket 0 ends at 2^FIRST_BIT ns; the last one has no end. */
#define FIRST_BIT 8u

/* One writer: no read-modify-write is needed. */
static void add_one(_Atomic uint64_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void stats_popped(struct queue_stats *s)
{
	add_one(&s->popped);
}

uint64_t stats_begin(const struct queue_stats *s)
{
	return atomic_load_explicit(&s->watched, memory_order_relaxed) ? clock_ns() : 0;
}

uint64_t stats_bucket_ns(unsigned b)
{
	uint64_t power = UINT64_C(1) << (FIRST_BIT + b / 2);

	return b % 2 ? power + power / 2 : power;
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned b = 0;

	while (b < STATS_BUCKETS - 1 && ns > stats_bucket_ns(b))
		b++;
	return b;
}

void stats_end(struct queue_stats *s, uint32_t opcode, uint64_t started, int err)
{
	struct stats_latency *l;

	if (opcode >= STATS_OPCODES)
		opcode = 0; /* which no request has */
	add_one(&s->answered);
	add_one(&s->ops[opcode].count);
	if (err)
		add_one(&s->ops[opcode].errors);
	if (!started)
		return;
	l = atomic_load_explicit(&s->latency, memory_order_acquire);
	if (l)
		add_one(&l->n[opcode][bucket_of(clock_ns() - started)]);
}

void stats_watch(struct queue_stats *s, bool on)
{
	if (on && !s->latency)
		atomic_store_explicit(&s->latency, calloc(1, sizeof(*s->latency)),
				      memory_order_release);
	s->watched = on && s->latency;
}

void stats_free(struct queue_stats *s)
{
	free(s->latency);
	s->latency = NULL;
}
