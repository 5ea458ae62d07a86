/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_DAX_H
#define VPMEM_DAX_H

#include "compat.h"
#include "memory.h"

struct gendisk;

#if VPMEM_HAVE_DAX

int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk);
void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk);

#else

static inline int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	return 0;
}

static inline void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk)
{
}

#endif

#endif /* VPMEM_DAX_H */
