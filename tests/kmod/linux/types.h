/* SPDX-License-Identifier: BSD-2-Clause */
/* In the place of the kernel's header: what the pure files of kmod/ take from it. */
#ifndef TESTS_KMOD_TYPES_H
#define TESTS_KMOD_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Little-endian wherever this runs; asm/byteorder.h converts. */
typedef u32 __le32;
typedef u64 __le64;

#endif
