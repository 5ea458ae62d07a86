// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device: bios go to the memory, and to the flush engine before or after that.
 *
 *	bio --+--------------------------> copy --+-----------------> end
 *	      |                             ^     |                    ^
 *	      +-- PREFLUSH: wait for a -> ready   +-- FUA: wait for a -+
 *	          request sent from now           |   request sent     |
 *	          on; without data: end           |   from now on      |
 *
 * What waits for nothing is copied at once by whoever submitted it. What waited for a flush is
 * copied by a work item, since the answer comes in an interrupt. A bio is in one list at a time, by
 * bi_next; PREFLUSH is taken off it once it has been obeyed.
 */
#include "disk.h"

#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "poison.h"

static DEFINE_IDA(indexes);

/* Memory of the host may have been lost, which must not be a panic of the guest. */
static bool read_segment(const struct iosys_map *map, size_t offset, void *buffer, size_t size)
{
	if (!map->is_iomem)
		return !copy_mc_to_kernel(buffer, map->vaddr + offset, size);
	iosys_map_memcpy_from(buffer, map, offset, size);
	return true;
}

static bool copy_segment(struct iosys_map *map, size_t offset, struct bio_vec *segment, bool write)
{
	void *buffer = bvec_kmap_local(segment);
	bool ok = true;

	if (write) {
		iosys_map_memcpy_to(map, offset, buffer, segment->bv_len);
	} else {
		ok = read_segment(map, offset, buffer, segment->bv_len);
		flush_dcache_page(segment->bv_page);
	}
	kunmap_local(buffer);
	return ok;
}

static bool copy_data(struct vpmem_disk *disk, struct bio *bio, bool write)
{
	size_t offset = bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec segment;

	bio_for_each_segment(segment, bio, iter) {
		if (!copy_segment(&disk->memory->map, offset, &segment, write))
			return false;
		offset += segment.bv_len;
	}
	return true;
}

static void zero(struct vpmem_disk *disk, const struct bio *bio)
{
	iosys_map_memset(&disk->memory->map, bio->bi_iter.bi_sector << SECTOR_SHIFT, 0,
			 bio->bi_iter.bi_size);
}

/* Why nothing can be copied for the bio; BLK_STS_OK if it can. */
static blk_status_t refuse(struct vpmem_disk *disk, const struct bio *bio)
{
	struct vpmem_memory *memory = disk->memory;
	u64 offset = bio->bi_iter.bi_sector << SECTOR_SHIFT;
	bool write = op_is_write(bio_op(bio));

	if (READ_ONCE(memory->lost))
		return BLK_STS_OFFLINE;
	if (write && vpmem_flush_error(disk->flush))
		return vpmem_flush_error(disk->flush);
	if (!vpmem_poison_any(memory))
		return BLK_STS_OK;
	if (write)
		vpmem_poison_clear(memory, offset, bio->bi_iter.bi_size);
	return vpmem_poison_within(memory, offset, bio->bi_iter.bi_size) ? BLK_STS_IOERR
									 : BLK_STS_OK;
}

static blk_status_t copy(struct vpmem_disk *disk, struct bio *bio)
{
	blk_status_t error = refuse(disk, bio);

	if (error)
		return error;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return copy_data(disk, bio, false) ? BLK_STS_OK : BLK_STS_IOERR;
	case REQ_OP_WRITE:
		copy_data(disk, bio, true);
		return BLK_STS_OK;
	case REQ_OP_WRITE_ZEROES:
		zero(disk, bio);
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

/* Counts for iostat what is copied; how long flushes take is in our own statistics. */
static void transfer(struct vpmem_disk *disk, struct bio *bio)
{
	bool counted = blk_queue_io_stat(disk->gendisk->queue);
	unsigned long start = counted ? bio_start_io_acct(bio) : 0;

	bio->bi_status = copy(disk, bio);
	if (counted)
		bio_end_io_acct(bio, start);
}

/* The data has been copied, or could not be. What has to become durable goes to @fua. */
static void transferred(struct bio *bio, struct bio_list *fua)
{
	if (!bio->bi_status && bio->bi_opf & REQ_FUA)
		bio_list_add(fua, bio);
	else
		bio_endio(bio);
}

static void make_ready(struct vpmem_disk *disk, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	bio_list_add(&disk->ready, bio);
	if (!disk->suspended)
		queue_work(disk->workqueue, &disk->work);
	spin_unlock_irqrestore(&disk->lock, flags);
}

static struct bio_list take_ready(struct vpmem_disk *disk)
{
	struct bio_list bios = BIO_EMPTY_LIST;

	spin_lock_irq(&disk->lock);
	if (!disk->suspended) {
		bios = disk->ready;
		bio_list_init(&disk->ready);
	}
	spin_unlock_irq(&disk->lock);
	return bios;
}

/* All of them ask for FUA together, so they share one request. */
static void transfer_ready(struct work_struct *work)
{
	struct vpmem_disk *disk = container_of(work, struct vpmem_disk, work);
	struct bio_list bios = take_ready(disk);
	struct bio_list fua = BIO_EMPTY_LIST;
	struct bio *bio;

	while ((bio = bio_list_pop(&bios))) {
		transfer(disk, bio);
		transferred(bio, &fua);
		cond_resched();
	}
	if (!bio_list_empty(&fua))
		vpmem_flush_add(disk->flush, &fua);
}

static void submit(struct bio *bio)
{
	struct vpmem_disk *disk = bio->bi_bdev->bd_disk->private_data;
	struct bio_list waiting = BIO_EMPTY_LIST;

	if (bio->bi_opf & REQ_PREFLUSH) {
		bio_list_add(&waiting, bio);
	} else if (READ_ONCE(disk->suspended)) {
		make_ready(disk, bio);
	} else {
		transfer(disk, bio);
		transferred(bio, &waiting);
	}
	if (!bio_list_empty(&waiting))
		vpmem_flush_add(disk->flush, &waiting);
}

/**
 * vpmem_disk_flushed() - a flush that a bio waited for has ended
 * @disk:	its disk
 * @bio:	with bi_status set
 *
 * Context: Any, also atomic.
 */
void vpmem_disk_flushed(struct vpmem_disk *disk, struct bio *bio)
{
	bool before = bio->bi_opf & REQ_PREFLUSH;

	bio->bi_opf &= ~REQ_PREFLUSH;
	if (before && !bio->bi_status && bio_sectors(bio))
		make_ready(disk, bio);
	else
		bio_endio(bio);
}

static const struct block_device_operations operations = {
	.owner = THIS_MODULE,
	.submit_bio = submit,
};

/**
 * vpmem_disk_alloc() - a disk that nobody sees yet
 * @disk:	with memory, flush and workqueue set
 * @parent:	the device
 *
 * Return: 0 or a negative errno.
 */
int vpmem_disk_alloc(struct vpmem_disk *disk, struct device *parent)
{
	const struct vpmem_disk_shape shape = {
		.physical_block_size = PAGE_SIZE,
		/* one bio is zeroed at a stretch by who submitted it */
		.max_write_zeroes_sectors = SZ_2M >> SECTOR_SHIFT,
		.dax = disk->memory->dax,
	};
	struct gendisk *gendisk;

	disk->index = ida_alloc(&indexes, GFP_KERNEL);
	if (disk->index < 0)
		return disk->index;
	gendisk = vpmem_alloc_disk(&shape, dev_to_node(parent));
	if (IS_ERR(gendisk)) {
		ida_free(&indexes, disk->index);
		return PTR_ERR(gendisk);
	}

	spin_lock_init(&disk->lock);
	bio_list_init(&disk->ready);
	INIT_WORK(&disk->work, transfer_ready);
	snprintf(gendisk->disk_name, DISK_NAME_LEN, "vpmem%d", disk->index);
	gendisk->fops = &operations;
	gendisk->private_data = disk;
	set_capacity(gendisk, disk->memory->range.size >> SECTOR_SHIFT);
	disk->gendisk = gendisk;
	return 0;
}

/**
 * vpmem_disk_free() - undo vpmem_disk_alloc()
 * @disk:	not added, or removed
 */
void vpmem_disk_free(struct vpmem_disk *disk)
{
	put_disk(disk->gendisk);
	ida_free(&indexes, disk->index);
}

/**
 * vpmem_disk_add() - show the disk to everybody
 * @disk:	allocated
 * @parent:	the device
 * @groups:	more attributes
 *
 * Return: 0 or a negative errno.
 */
int vpmem_disk_add(struct vpmem_disk *disk, struct device *parent,
		   const struct attribute_group **groups)
{
	return device_add_disk(parent, disk->gendisk, groups);
}

/**
 * vpmem_disk_remove() - take the disk away and wait until all its bios have ended
 * @disk:	added
 *
 * What file systems still have to write is written and flushed, if the host answers.
 */
void vpmem_disk_remove(struct vpmem_disk *disk)
{
	del_gendisk(disk->gendisk);
	/* No more bios come. One may be waiting, then be copied, then wait once more. */
	vpmem_flush_drain(disk->flush);
	flush_work(&disk->work);
	vpmem_flush_drain(disk->flush);
}

/**
 * vpmem_disk_suspend() - stop touching the memory and the device
 * @disk:	added
 *
 * Bios that come from now on wait.
 *
 * Return: 0, or -EBUSY if the host does not answer a flush; then nothing is suspended.
 */
int vpmem_disk_suspend(struct vpmem_disk *disk)
{
	int err;

	spin_lock_irq(&disk->lock);
	WRITE_ONCE(disk->suspended, true);
	spin_unlock_irq(&disk->lock);
	vpmem_wait_for_submitters(disk->gendisk->queue); /* some may not have seen it */
	flush_work(&disk->work);
	err = vpmem_flush_hold(disk->flush);
	if (err)
		vpmem_disk_resume(disk);
	return err;
}

/**
 * vpmem_disk_resume() - undo vpmem_disk_suspend(), but for the flush engine
 * @disk:	suspended; its memory can be touched again
 */
void vpmem_disk_resume(struct vpmem_disk *disk)
{
	spin_lock_irq(&disk->lock);
	WRITE_ONCE(disk->suspended, false);
	queue_work(disk->workqueue, &disk->work);
	spin_unlock_irq(&disk->lock);
}
