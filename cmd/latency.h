/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram of times. Buckets grow with the value: what is read back is at most 1/64 too
 * low, and the largest value is exact. Fixed size, so recording costs no memory.
 */
#ifndef CMD_LATENCY_H
#define CMD_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS 64u /* buckets for each power of two */

struct latency {
	uint64_t n;
	uint64_t max; /* ns */
	uint64_t bucket[59 * LATENCY_STEPS];
};

void latency_add(struct latency *l, uint64_t ns);

/* The value below which part (0 to 1) of all lie, in ns; 0 if there are none. */
uint64_t latency_at(const struct latency *l, double part);

#endif
