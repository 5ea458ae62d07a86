/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that this driver is built for: 6.1, 6.12 and 7.2, and those
 * between. Nothing else asks for a version.
 */
#ifndef VPMEM_COMPAT_H
#define VPMEM_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/pfn.h>
#include <linux/version.h>

/* Pages of devices, and file systems that use them. Kbuild has the same condition. */
#define VPMEM_HAVE_DAX                                                  \
	(IS_ENABLED(CONFIG_FS_DAX) && IS_ENABLED(CONFIG_ZONE_DEVICE) && \
	 !IS_ENABLED(CONFIG_FS_DAX_LIMITED))

/* A bus may reset a device that is in use, and tells the driver before and after. */
#define VPMEM_HAVE_RESET_HOOKS (LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0))

/**
 * struct vpmem_disk_shape - what the block layer has to know
 * @physical_block_size: bytes
 * @max_write_zeroes_sectors: in one bio, of 512 bytes
 * @dax:	there is DAX
 */
struct vpmem_disk_shape {
	unsigned int physical_block_size;
	unsigned int max_write_zeroes_sectors;
	bool dax;
};

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
static inline struct gendisk *vpmem_blk_alloc_disk(int node)
{
	struct gendisk *disk = blk_alloc_disk(node);

	return disk ? disk : ERR_PTR(-ENOMEM);
}
#else
#define vpmem_blk_alloc_disk(node) blk_alloc_disk(NULL, node)
#endif

/* Limits were set one by one, and features were flags of the queue. */
static inline struct gendisk *vpmem_alloc_disk(const struct vpmem_disk_shape *shape, int node)
{
	struct gendisk *disk = vpmem_blk_alloc_disk(node);
	struct request_queue *q;

	if (IS_ERR(disk))
		return disk;
	q = disk->queue;
	blk_queue_physical_block_size(q, shape->physical_block_size);
	blk_queue_max_hw_sectors(q, UINT_MAX);
	blk_queue_max_write_zeroes_sectors(q, shape->max_write_zeroes_sectors);
	blk_queue_write_cache(q, true, true);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_set(QUEUE_FLAG_NOWAIT, q);
	blk_queue_flag_set(QUEUE_FLAG_IO_STAT, q);
	if (shape->dax)
		blk_queue_flag_set(QUEUE_FLAG_DAX, q);
	return disk;
}

#else

static inline struct gendisk *vpmem_alloc_disk(const struct vpmem_disk_shape *shape, int node)
{
	struct queue_limits limits = {
		.physical_block_size = shape->physical_block_size,
		.max_hw_sectors = UINT_MAX,
		.max_write_zeroes_sectors = shape->max_write_zeroes_sectors,
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_NOWAIT |
			    BLK_FEAT_SYNCHRONOUS | BLK_FEAT_IO_STAT |
			    (shape->dax ? BLK_FEAT_DAX : 0),
	};

	return blk_alloc_disk(&limits, node);
}

#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)

/* Wait until everybody who is in submit_bio() has left it. */
static inline void vpmem_wait_for_submitters(struct request_queue *q)
{
	blk_mq_freeze_queue(q);
	blk_mq_unfreeze_queue(q);
}

#else

static inline void vpmem_wait_for_submitters(struct request_queue *q)
{
	blk_mq_unfreeze_queue(q, blk_mq_freeze_queue(q));
}

#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)

#include <linux/pfn_t.h>

#define vpmem_pfn pfn_t

static inline vpmem_pfn vpmem_phys_to_pfn(phys_addr_t addr)
{
	return phys_to_pfn_t(addr, PFN_DEV | PFN_MAP);
}

#else

#define vpmem_pfn unsigned long

static inline vpmem_pfn vpmem_phys_to_pfn(phys_addr_t addr)
{
	return PHYS_PFN(addr);
}

#endif

/* What direct_access() says of a lost page. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define VPMEM_POISONED (-EIO)
#else
#define VPMEM_POISONED (-EHWPOISON)
#endif

struct dax_device;
struct inode;

/* Exported by all of them, and declared only in drivers/dax. */
struct inode *dax_inode(struct dax_device *dax_dev);

#endif /* VPMEM_COMPAT_H */
