/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_KMOD_MATH64_H
#define TESTS_KMOD_MATH64_H

#include <linux/types.h>

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

#endif
