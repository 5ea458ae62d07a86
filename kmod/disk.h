/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_DISK_H
#define VPMEM_DISK_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "flush.h"
#include "memory.h"

/**
 * struct vpmem_disk - the block device
 * @memory:	its content
 * @flush:	its durability
 * @gendisk:	what the block layer knows; its private_data is this
 * @index:	the number in the name
 * @workqueue:	for @work
 * @lock:	protects @ready and @suspended. Taken in interrupt context
 * @ready:	bios whose data may be copied now, or after the suspension
 * @suspended:	the memory must not be touched; bios wait
 * @work:	copies what is ready
 */
struct vpmem_disk {
	struct vpmem_memory *memory;
	struct vpmem_flush *flush;
	struct gendisk *gendisk;
	int index;
	struct workqueue_struct *workqueue;

	spinlock_t lock; /* protects ready and suspended */
	struct bio_list ready;
	bool suspended;
	struct work_struct work;
};

void vpmem_disk_flushed(struct vpmem_disk *disk, struct bio *bio);
int vpmem_disk_alloc(struct vpmem_disk *disk, struct device *parent);
int vpmem_disk_add(struct vpmem_disk *disk, struct device *parent,
		   const struct attribute_group **groups);
void vpmem_disk_remove(struct vpmem_disk *disk);
void vpmem_disk_free(struct vpmem_disk *disk);
int vpmem_disk_suspend(struct vpmem_disk *disk);
void vpmem_disk_resume(struct vpmem_disk *disk);

#endif /* VPMEM_DISK_H */
