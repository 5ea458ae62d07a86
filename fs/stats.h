/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of a queue, written by its thread alone and read by the control thread whenever
 * somebody asks. Latencies need two looks at the clock for each request, so they are taken only
 * while somebody is looking.
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
};

struct queue_stats {
	struct op_stats ops[STATS_OPCODES];
	_Atomic uint64_t popped;
	_Atomic uint64_t answered;
	/* Made when somebody looks for the first time, and not used but while somebody does. */
	struct stats_latency *_Atomic latency;
	_Atomic bool watched;
};

/* The queue's thread: a request was taken from the ring. */
void stats_popped(struct queue_stats *s);

/* The queue's thread: CLOCK_MONOTONIC in ns if somebody looks, else 0. */
uint64_t stats_begin(const struct queue_stats *s);

/* A request was answered, with err 0 or -errno. started as stats_begin() gave it. */
void stats_end(struct queue_stats *s, uint32_t opcode, uint64_t started, int err);

/* The control thread: begins or ends the measuring of latencies. Without memory: nothing. */
void stats_watch(struct queue_stats *s, bool on);
void stats_free(struct queue_stats *s);

/* The longest latency, in ns, that counts in bucket b. */
uint64_t stats_bucket_ns(unsigned b);

#endif
