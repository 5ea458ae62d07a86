// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the host has lost (a memory error that was passed on to the guest). The kernel marks
 * them; reading one is an error; writing all of it makes it good, because the host then takes
 * another page.
 */
#include "poison.h"

#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/set_memory.h>

static struct page *page_at(const struct vpmem_memory *memory, u64 page)
{
	return pfn_to_page(PHYS_PFN(memory->range.start) + page);
}

/**
 * vpmem_poison_before() - how far can one go?
 * @memory:	with pages
 * @page:	the first page, counted from the start of the memory
 * @nr_pages:	so many at most
 *
 * Return: how many pages from the first one on are good.
 */
u64 vpmem_poison_before(const struct vpmem_memory *memory, u64 page, u64 nr_pages)
{
	u64 n = 0;

	while (n < nr_pages && !PageHWPoison(page_at(memory, page + n)))
		n++;
	return n;
}

/**
 * vpmem_poison_within() - is a part of it lost?
 * @memory:	where
 * @offset:	bytes from the start of the memory
 * @size:	bytes
 *
 * Return: true if a page that is touched by the range is lost.
 */
bool vpmem_poison_within(const struct vpmem_memory *memory, u64 offset, u64 size)
{
	u64 first = PHYS_PFN(offset);
	u64 pages = PFN_UP(offset + size) - first;

	return vpmem_poison_any(memory) && vpmem_poison_before(memory, first, pages) < pages;
}

/**
 * vpmem_poison_clear() - pages are about to be written as a whole
 * @memory:	where
 * @offset:	bytes from the start of the memory
 * @size:	bytes; pages that the range covers only in part stay as they are
 */
void vpmem_poison_clear(const struct vpmem_memory *memory, u64 offset, u64 size)
{
	struct page *page;
	u64 n;

	if (!vpmem_poison_any(memory))
		return;
	for (n = PFN_UP(offset); n < PHYS_PFN(offset + size); n++) {
		page = page_at(memory, n);
		if (!PageHWPoison(page))
			continue;
		ClearPageHWPoison(page);
		clear_mce_nospec(page_to_pfn(page));
	}
}
