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
#include <linux/fs.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/suspend.h>
#include <linux/uio.h>
#include <linux/virtio.h>

#include "poison.h"

/* NULL if the device has just been removed, or the memory is not there any more. */
static struct vpmem_memory *memory_of(struct dax_device *dax)
{
	struct vpmem_memory *memory = dax_get_private(dax);

	return memory && !READ_ONCE(memory->lost) ? memory : NULL;
}

static void *address_of(const struct vpmem_memory *memory, pgoff_t page)
{
	return memory->map.vaddr + PFN_PHYS(page);
}

static long direct_access(struct dax_device *dax, pgoff_t page, long nr_pages,
			  enum dax_access_mode mode, void **addr, vpmem_pfn *pfn)
{
	const struct vpmem_memory *memory = memory_of(dax);
	u64 pages;

	if (!memory)
		return -ENXIO;
	pages = PHYS_PFN(memory->range.size);
	if (page >= pages)
		return -ERANGE;
	pages -= page;
	if (mode != DAX_RECOVERY_WRITE && vpmem_poison_any(memory)) {
		pages = vpmem_poison_before(memory, page, min_t(u64, pages, nr_pages));
		if (!pages)
			return VPMEM_POISONED;
	}
	if (addr)
		*addr = address_of(memory, page);
	if (pfn)
		*pfn = vpmem_phys_to_pfn(memory->range.start + PFN_PHYS(page));
	return pages;
}

static int zero_page_range(struct dax_device *dax, pgoff_t page, size_t nr_pages)
{
	struct vpmem_memory *memory = memory_of(dax);

	if (!memory)
		return -ENXIO;
	vpmem_poison_clear(memory, PFN_PHYS(page), (u64)nr_pages << PAGE_SHIFT);
	memset(address_of(memory, page), 0, nr_pages << PAGE_SHIFT);
	return 0;
}

/* A lost page is as good as new once it is written as a whole: the host takes another. */
static size_t recovery_write(struct dax_device *dax, pgoff_t page, void *addr, size_t bytes,
			     struct iov_iter *iter)
{
	struct vpmem_memory *memory = memory_of(dax);
	u64 offset = PFN_PHYS(page) + offset_in_page(addr);

	if (!memory)
		return 0;
	vpmem_poison_clear(memory, offset, bytes);
	if (vpmem_poison_within(memory, offset, bytes))
		return 0;
	return copy_from_iter(addr, bytes, iter);
}

static const struct dax_operations operations = {
	.direct_access = direct_access,
	.zero_page_range = zero_page_range,
	.recovery_write = recovery_write,
};

/**
 * vpmem_dax_alloc() - make what file systems use, if there can be such a thing
 * @vdev:	the device
 * @memory:	its memory, mapped; gets dax, or NULL if there is no DAX
 */
void vpmem_dax_alloc(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	struct dax_device *dax;

	if (!memory->pages)
		return;
	dax = alloc_dax(memory, &operations);
	if (IS_ERR(dax)) {
		dev_info(&vdev->dev, "a block device without DAX: the kernel refuses it (%pe)\n",
			 dax);
		return;
	}
	set_dax_nomc(dax); /* a page that the host has lost is an error and no panic */
	memory->dax = dax;
}

/**
 * vpmem_dax_free() - undo vpmem_dax_alloc()
 * @memory:	unmapped
 */
void vpmem_dax_free(struct vpmem_memory *memory)
{
	if (!memory->dax)
		return;
	kill_dax(memory->dax);
	put_dax(memory->dax);
	memory->dax = NULL;
}

/*
 * A suspension would stop those who can unmount, and then wait for the device that is being
 * removed.
 */
static int refuse_suspension(struct notifier_block *block, unsigned long event, void *data)
{
	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
		return notifier_from_errno(-EBUSY);
	default:
		return NOTIFY_DONE;
	}
}

static bool is_used(struct dax_device *dax)
{
	return atomic_read(&dax_inode(dax)->i_count) > 1;
}

/**
 * vpmem_dax_wait() - wait until no file system uses the memory
 * @vdev:	the device
 * @memory:	of a disk that is removed
 *
 * A mounted file system holds a reference, and so does a device mapper target. As long as there is
 * one there are pages in the page tables of programs and in the records of DAX, which
 * memunmap_pages() does not wait for.
 *
 * Return: false if there is still one when the system goes down, which must not wait. Then nothing
 * may be undone.
 */
bool vpmem_dax_wait(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	struct notifier_block block = { .notifier_call = refuse_suspension };

	if (!memory->dax || !is_used(memory->dax))
		return true;
	dev_warn(&vdev->dev, "still used by a file system: unmount it\n");
	register_pm_notifier(&block);
	while (is_used(memory->dax) && system_state <= SYSTEM_RUNNING)
		schedule_timeout_idle(HZ / 10);
	unregister_pm_notifier(&block);
	return !is_used(memory->dax);
}

/**
 * vpmem_dax_add() - offer DAX on a disk
 * @memory:	of the disk
 * @gendisk:	not added yet
 *
 * Return: 0 or a negative errno.
 */
int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	return memory->dax ? dax_add_host(memory->dax, gendisk) : 0;
}

/**
 * vpmem_dax_remove() - undo vpmem_dax_add(), and wait for those who use it just now
 * @memory:	of the disk
 * @gendisk:	removed
 */
void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	if (!memory->dax)
		return;
	dax_remove_host(gendisk);
	kill_dax(memory->dax);
}
