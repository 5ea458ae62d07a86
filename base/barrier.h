/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory shared with the other side of a ring, which runs at the same time.
 *
 * Ring indices and event fields are read and written only through these accessors. A
 * load-acquire of an index pairs with the other side's store-release of it: entries
 * written before the index are seen by whoever sees the index. The full fence pairs with
 * the other side's full fence in "publish the index, then read the notification switch".
 * Freestanding.
 */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

#include "base/le.h"

static inline uint16_t ring_load_acquire(const le16 *p)
{
	return LE_SWAP16(__atomic_load_n(&p->v, __ATOMIC_ACQUIRE));
}

static inline void ring_store_release(le16 *p, uint16_t x)
{
	__atomic_store_n(&p->v, LE_SWAP16(x), __ATOMIC_RELEASE);
}

/* For fields whose order comes from a fence or another index next to the access. */
static inline uint16_t ring_load(const le16 *p)
{
	return LE_SWAP16(__atomic_load_n(&p->v, __ATOMIC_RELAXED));
}

static inline void ring_store(le16 *p, uint16_t x)
{
	__atomic_store_n(&p->v, LE_SWAP16(x), __ATOMIC_RELAXED);
}

static inline uint32_t ring_load32(const le32 *p)
{
	return LE_SWAP32(__atomic_load_n(&p->v, __ATOMIC_RELAXED));
}

static inline void ring_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
