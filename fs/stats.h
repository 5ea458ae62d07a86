/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of a queue, written by its thread alone and read by the control thread whenever
 * somebody asks. Latencies need two looks at the clock for each request, so they are taken only
 * while somebody is looking: until a time that each question puts off, and that the queue's thread
 * finds to be over with the next request.
 */
#ifndef FS_STATS_H
#define FS_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STATS_OPCODES 64u
#define STATS_BUCKETS 48u

struct op_stats {
	_Atomic uint64_t count;
	_Atomic uint64_t errors;
};

/* Requests by opcode and latency. A bucket is a half step of the binary logarithm. */
struct stats_latency {
	_Atomic uint64_t n[STATS_OPCODES][STATS_BUCKETS];
	_Atomic uint64_t sum_ns[STATS_OPCODES];
};

struct queue_stats {
	struct op_stats ops[STATS_OPCODES];
	_Atomic uint64_t popped;
	_Atomic uint64_t answered;
	_Atomic uint64_t dropped; /* any thread */
	/* Made when somebody looks for the first time, and not used but while somebody does. */
	struct stats_latency *_Atomic latency;
	_Atomic uint64_t watched_until; /* CLOCK_MONOTONIC ns; 0: nobody looks */
};

/* The queue's thread: a request was taken from the ring. */
void stats_popped(struct queue_stats *s);

/* The queue's thread: CLOCK_MONOTONIC in ns if somebody looks, else 0. */
uint64_t stats_begin(struct queue_stats *s);

/* A request was answered, with err 0 or -errno. started as stats_begin() gave it. */
void stats_end(struct queue_stats *s, uint32_t opcode, uint64_t started, int err);

/* Any thread: a request that was popped will never be answered. */
void stats_dropped(struct queue_stats *s);

/* The control thread: latencies are measured until then, in ns. Without memory: they are not. */
void stats_watch(struct queue_stats *s, uint64_t until);
void stats_free(struct queue_stats *s);

/* The longest latency, in ns, that counts in bucket b. The last bucket has no end. */
uint64_t stats_bucket_ns(unsigned b);

#endif
