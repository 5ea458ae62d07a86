/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/stats.h"

#include <stdlib.h>

#include "base/macros.h"
#include "host/fd.h"

/* Bucket 0 ends at 2^FIRST_BIT ns; the last one has no end. */
#define FIRST_BIT 8u

/* One writer: no read-modify-write is needed. */
static void add(_Atomic uint64_t *n, uint64_t more)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

void stats_popped(struct queue_stats *s)
{
	add(&s->popped, 1);
}

uint64_t stats_begin(struct queue_stats *s)
{
	uint64_t until = atomic_load_explicit(&s->watched_until, memory_order_relaxed);
	uint64_t now;

	if (!until)
		return 0;
	now = clock_ns();
	if (now < until)
		return now;
	/* Nobody has asked for a while. If somebody does just now, this fails. */
	atomic_compare_exchange_strong(&s->watched_until, &until, 0);
	return 0;
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
	uint64_t ns;

	if (opcode >= STATS_OPCODES)
		opcode = 0; /* which no request has */
	add(&s->answered, 1);
	add(&s->ops[opcode].count, 1);
	if (err)
		add(&s->ops[opcode].errors, 1);
	if (!started)
		return;
	l = atomic_load_explicit(&s->latency, memory_order_acquire);
	if (!l)
		return;
	ns = clock_ns() - started;
	add(&l->n[opcode][bucket_of(ns)], 1);
	add(&l->sum_ns[opcode], ns);
}

void stats_dropped(struct queue_stats *s)
{
	atomic_fetch_add_explicit(&s->dropped, 1, memory_order_relaxed);
}

void stats_watch(struct queue_stats *s, uint64_t until)
{
	if (!s->latency)
		atomic_store_explicit(&s->latency, calloc(1, sizeof(*s->latency)),
				      memory_order_release);
	if (s->latency)
		atomic_store(&s->watched_until, until);
}

void stats_free(struct queue_stats *s)
{
	s->watched_until = 0;
	free(s->latency);
	s->latency = NULL;
}
