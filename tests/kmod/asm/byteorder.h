/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_KMOD_BYTEORDER_H
#define TESTS_KMOD_BYTEORDER_H

#include <linux/types.h>

static inline u64 le64_to_cpu(__le64 x)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(x);
#else
	return x;
#endif
}

#endif
