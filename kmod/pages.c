// SPDX-License-Identifier: GPL-2.0-only
/*
 * Struct pages for the persistent memory: what DAX is made of.
 */
#include "pages.h"

#include <linux/dax.h>

/* The host has lost a page, and the guest was told so. */
static int memory_failure_at(struct dev_pagemap *pgmap, unsigned long pfn, unsigned long pages,
			     int flags)
{
	struct vpmem_memory *memory = container_of(pgmap, struct vpmem_memory, pgmap);

	WRITE_ONCE(memory->poisoned, true);
	if (!memory->dax)
		return -EOPNOTSUPP;
	return dax_holder_notify_failure(memory->dax, PFN_PHYS(pfn) - memory->range.start,
					 (u64)pages << PAGE_SHIFT, flags);
}

static const struct dev_pagemap_ops pgmap_ops = {
	.memory_failure = memory_failure_at,
};

/**
 * vpmem_pages_map() - map the memory with struct pages
 * @memory:	reserved; map and pages are set if it works
 *
 * Return: NULL, or why it does not work.
 */
const char *vpmem_pages_map(struct vpmem_memory *memory)
{
	struct dev_pagemap *pgmap = &memory->pgmap;
	const char *problem = vpmem_range_no_dax(&memory->range, memremap_compat_align());
	void *addr;

	if (problem)
		return problem;
	pgmap->type = MEMORY_DEVICE_FS_DAX;
	pgmap->ops = &pgmap_ops;
	pgmap->nr_range = 1;
	pgmap->range.start = memory->range.start;
	pgmap->range.end = memory->range.start + memory->range.size - 1;
	addr = memremap_pages(pgmap, NUMA_NO_NODE);
	if (IS_ERR(addr))
		return "its pages cannot be mapped (too high an address, or too little memory)";
	iosys_map_set_vaddr(&memory->map, addr);
	memory->pages = true;
	return NULL;
}

/**
 * vpmem_pages_unmap() - undo vpmem_pages_map()
 * @memory:	mapped; nobody has one of its pages, see vpmem_dax_wait()
 */
void vpmem_pages_unmap(struct vpmem_memory *memory)
{
	memunmap_pages(&memory->pgmap);
	memory->pages = false;
}
