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
#define STATS_BUCKETS 40u /* of latency: bucket i holds [2^(i/2), ...) times 128 ns, see stats.c \
			   */

struct op_stats {
	_Atomic uint64_t count;
	_Atomic uint64_t errors;
};

struct queue_stats {
	struct op_stats ops[STATS_OPCODES];
	_Atomic uint64_t depth;	    /* requests that are popped and not answered */
	_Atomic uint64_t max_depth; /* since the last look */
	/* While somebody looks: allocated at the first look, so NULL costs one branch. */
	_Atomic uint64_t (*_Atomic latency)[STATS_BUCKETS];
};

/* The queue's thread: nanoseconds, if somebody looks, else 0. */
uint64_t stats_begin(const struct queue_stats *s);

/* A request was answered: err 0 or -errno. started as stats_begin() gave it. */
void stats_end(struct queue_stats *s, uint32_t opcode, uint64_t started, int err);

#endif
