/* SPDX-License-Identifier: BSD-2-Clause */
/* Powers of two: rounding and tests. Freestanding. */
#ifndef BASE_ALIGN_H
#define BASE_ALIGN_H

#include <stdbool.h>
#include <stdint.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static inline bool is_pow2(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* Is x a multiple of a, a power of two? */
static inline bool is_aligned(uint64_t x, uint64_t a)
{
	return !(x & (a - 1));
}

static inline uint64_t align_down(uint64_t x, uint64_t a)
{
	return x & ~(a - 1);
}

/* Rounds x up to a multiple of a, a power of two; 0 if that does not fit 64 bits. */
static inline uint64_t align_up(uint64_t x, uint64_t a)
{
	return x > UINT64_MAX - (a - 1) ? 0 : align_down(x + (a - 1), a);
}

/* The smallest power of two that is >= x (1 for 0); 0 if that does not fit 64 bits. */
static inline uint64_t pow2_up(uint64_t x)
{
	if (x <= 1)
		return 1;
	if (x > (uint64_t)1 << 63)
		return 0;
	return (uint64_t)1 << (64 - __builtin_clzll(x - 1));
}

#endif
