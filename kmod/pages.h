/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_PAGES_H
#define VPMEM_PAGES_H

#include "compat.h"
#include "memory.h"

#if VPMEM_HAVE_DAX

const char *vpmem_pages_map(struct vpmem_memory *memory);
void vpmem_pages_unmap(struct vpmem_memory *memory);

#else

static inline const char *vpmem_pages_map(struct vpmem_memory *memory)
{
	return "this kernel has no struct pages for devices";
}

static inline void vpmem_pages_unmap(struct vpmem_memory *memory)
{
}

#endif

#endif /* VPMEM_PAGES_H */
