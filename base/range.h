/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranges of untrusted numbers: compared without ever adding two of them. Freestanding. */
#ifndef BASE_RANGE_H
#define BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* Do [off, off + len) and the sum itself stay within limit? An empty range at limit does. */
static inline bool range_ok(uint64_t off, uint64_t len, uint64_t limit)
{
	return len <= limit && off <= limit - len;
}

/* Is [off, off + len) a part of [base, base + size)? The outer range must not wrap. */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t base, uint64_t size)
{
	return off >= base && range_ok(off - base, len, size);
}

/* Do two non-empty ranges, neither of which wraps, share a byte? */
static inline bool range_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

#endif
