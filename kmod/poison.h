/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_POISON_H
#define VPMEM_POISON_H

#include "compat.h"
#include "memory.h"

/**
 * vpmem_poison_any() - may there be lost pages?
 * @memory:	where
 *
 * Return: false almost always, so that nobody else has to look.
 */
static inline bool vpmem_poison_any(const struct vpmem_memory *memory)
{
	return READ_ONCE(memory->poisoned);
}

#if VPMEM_HAVE_DAX

u64 vpmem_poison_before(const struct vpmem_memory *memory, u64 page, u64 nr_pages);
bool vpmem_poison_within(const struct vpmem_memory *memory, u64 offset, u64 size);
void vpmem_poison_clear(const struct vpmem_memory *memory, u64 offset, u64 size);

#else

static inline bool vpmem_poison_within(const struct vpmem_memory *memory, u64 offset, u64 size)
{
	return false;
}

static inline void vpmem_poison_clear(const struct vpmem_memory *memory, u64 offset, u64 size)
{
}

#endif

#endif /* VPMEM_POISON_H */
