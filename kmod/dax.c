// SPDX-License-Identifier: GPL-2.0-only
/*
 * DAX: file systems use the memory itself.
 *
 * It is not marked synchronous, so MAP_SYNC is refused: a store is durable after a flush, not
 * before. And no cache line is ever written back: the memory is the host's page cache, which is
 * coherent, and only the flush makes it durable.
 */
#include "dax.h"

#include <linux/dax.h>
#include <linux/uio.h>

static void *address_of(const struct vpmem_memory *memory, pgoff_t page)
{
	return memory->map.vaddr + PFN_PHYS(page);
}

static long direct_access(struct dax_device *dax, pgoff_t page, long nr_pages,
			  enum dax_access_mode mode, void **addr, vpmem_pfn *pfn)
{
	const struct vpmem_memory *memory = dax_get_private(dax);
	u64 pages = PHYS_PFN(memory->range.size);

	if (page >= pages)
		return -ERANGE;
	if (addr)
		*addr = address_of(memory, page);
	if (pfn)
		*pfn = vpmem_phys_to_pfn(memory->range.start + PFN_PHYS(page));
	return pages - page;
}

static int zero_page_range(struct dax_device *dax, pgoff_t page, size_t nr_pages)
{
	const struct vpmem_memory *memory = dax_get_private(dax);

	memset(address_of(memory, page), 0, nr_pages << PAGE_SHIFT);
	return 0;
}

/* What was lost is replaced by writing it anew; the host does the rest. */
static size_t recovery_write(struct dax_device *dax, pgoff_t page, void *addr, size_t bytes,
			     struct iov_iter *iter)
{
	return copy_from_iter(addr, bytes, iter);
}

static const struct dax_operations operations = {
	.direct_access = direct_access,
	.zero_page_range = zero_page_range,
	.recovery_write = recovery_write,
};

/**
 * vpmem_dax_add() - offer DAX on a disk
 * @memory:	with pages, or else nothing is done
 * @gendisk:	not added yet
 *
 * Return: 0 or a negative errno.
 */
int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	struct dax_device *dax;
	int err;

	if (!memory->pages)
		return 0;
	dax = alloc_dax(memory, &operations);
	if (IS_ERR(dax))
		return PTR_ERR(dax);
	err = dax_add_host(dax, gendisk);
	if (err) {
		kill_dax(dax);
		put_dax(dax);
		return err;
	}
	memory->dax = dax;
	return 0;
}

/**
 * vpmem_dax_remove() - undo vpmem_dax_add(), and wait for those who use it just now
 * @memory:	of the disk
 * @gendisk:	removed
 */
void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	struct dax_device *dax = memory->dax;

	if (!dax)
		return;
	dax_remove_host(gendisk);
	kill_dax(dax);
	memory->dax = NULL;
	put_dax(dax);
}
