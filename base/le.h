/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Little-endian integers as types. A wire structure holds le16/le32/le64, so that a
 * forgotten conversion does not compile. Freestanding.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <stdint.h>

typedef struct {
	uint16_t v;
} le16;
typedef struct {
	uint32_t v;
} le32;
typedef struct {
	uint64_t v;
} le64;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LE_SWAP16(x) __builtin_bswap16(x)
#define LE_SWAP32(x) __builtin_bswap32(x)
#define LE_SWAP64(x) __builtin_bswap64(x)
#else
#define LE_SWAP16(x) ((uint16_t)(x))
#define LE_SWAP32(x) ((uint32_t)(x))
#define LE_SWAP64(x) ((uint64_t)(x))
#endif

static inline uint16_t le16_get(le16 x)
{
	return LE_SWAP16(x.v);
}

static inline uint32_t le32_get(le32 x)
{
	return LE_SWAP32(x.v);
}

static inline uint64_t le64_get(le64 x)
{
	return LE_SWAP64(x.v);
}

static inline le16 le16_of(uint16_t x)
{
	return (le16){ LE_SWAP16(x) };
}

static inline le32 le32_of(uint32_t x)
{
	return (le32){ LE_SWAP32(x) };
}

static inline le64 le64_of(uint64_t x)
{
	return (le64){ LE_SWAP64(x) };
}

#endif
