/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_KMOD_BITOPS_H
#define TESTS_KMOD_BITOPS_H

#include <linux/types.h>

/* The number of the highest bit that is set, counted from 1; 0 if none is. */
static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

#endif
