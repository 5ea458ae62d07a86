// SPDX-License-Identifier: GPL-2.0-only
/*
 * vpmem: virtio-pmem (VIRTIO 1.3, section 5.19) as a block device with DAX, /dev/vpmemN.
 *
 *	main.c    the driver: bind, remove, suspend
 *	disk.c    the block device: order of flush and copy
 *	flush.c   requests to the host and what becomes of them; group.c: who shares one
 *	memory.c  the range; range.c: can it be true; pages.c: struct pages; poison.c: lost ones
 *	dax.c     what file systems call
 *	stats.c   numbers; latency.c: their histogram
 *	compat.h  what differs between kernels
 *
 * Who owns what: a struct vpmem lives from probe to remove and owns all parts. When it is freed
 * the device has been reset, and so has forgotten the request; the disk is deleted, and so no bio
 * can come; DAX is killed, and so nobody asks for an address. Somebody may still have the disk
 * open: the block layer keeps the gendisk for that, which does not lead here any more. A file
 * system that is still mounted with DAX has pages of the memory, so remove waits for its end.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "compat.h"
#include "dax.h"
#include "disk.h"
#include "flush.h"
#include "memory.h"
#include "stats.h"

/**
 * struct vpmem - a device
 * @flush:	durability
 * @memory:	the range
 * @disk:	the block device
 * @debugfs:	its directory there
 */
struct vpmem {
	struct vpmem_flush flush;
	struct vpmem_memory memory;
	struct vpmem_disk disk;
	struct dentry *debugfs;
};

/* Both also work when memory is short. A device without power must not be looked at. */
static struct workqueue_struct *copy_queue, *watch_queue;

static struct vpmem *vpmem_of(struct virtio_device *vdev)
{
	return container_of(vdev->priv, struct vpmem, flush);
}

static void flushed(struct vpmem_flush *flush, struct bio *bio)
{
	vpmem_disk_flushed(&container_of(flush, struct vpmem, flush)->disk, bio);
}

/* Without indirect descriptors a request needs no memory but the ring's. */
static int vpmem_validate(struct virtio_device *vdev)
{
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

/* From the range to a memory that may be touched. */
static int start_memory(struct virtio_device *vdev, struct vpmem *vpmem)
{
	int err;

	err = vpmem_memory_find(vdev, &vpmem->memory);
	if (err)
		return err;
	err = vpmem_memory_reserve(vdev, &vpmem->memory);
	if (err)
		return err;
	err = vpmem_flush_connect(&vpmem->flush);
	if (err)
		goto err_release;
	virtio_device_ready(vdev);
	err = vpmem_flush_first(&vpmem->flush, true);
	if (err)
		goto err_disconnect;
	err = vpmem_memory_map(vdev, &vpmem->memory);
	if (err)
		goto err_disconnect;
	vpmem_dax_alloc(vdev, &vpmem->memory);
	return 0;

err_disconnect:
	vpmem_flush_disconnect(&vpmem->flush);
err_release:
	vpmem_memory_release(&vpmem->memory);
	return err;
}

static void stop_flush(struct vpmem *vpmem)
{
	vpmem_flush_fail(&vpmem->flush, BLK_STS_OFFLINE);
	vpmem_flush_disconnect(&vpmem->flush);
}

static void stop_memory(struct vpmem *vpmem)
{
	vpmem_memory_unmap(&vpmem->memory);
	vpmem_dax_free(&vpmem->memory); /* a page may fail until it is unmapped */
	vpmem_memory_release(&vpmem->memory);
}

/* From the memory to a disk that everybody can see. */
static int start_disk(struct virtio_device *vdev, struct vpmem *vpmem)
{
	struct vpmem_disk *disk = &vpmem->disk;
	int err;

	disk->memory = &vpmem->memory;
	disk->flush = &vpmem->flush;
	disk->workqueue = copy_queue;
	err = vpmem_disk_alloc(disk, &vdev->dev);
	if (err)
		return err;
	err = vpmem_dax_add(&vpmem->memory, disk->gendisk);
	if (err)
		goto err_disk;
	vpmem_flush_release(&vpmem->flush);
	vpmem->debugfs = vpmem_stats_add(disk);
	err = vpmem_disk_add(disk, &vdev->dev, vpmem_stats_groups);
	if (err)
		goto err_stats;
	return 0;

err_stats:
	debugfs_remove(vpmem->debugfs);
	vpmem_dax_remove(&vpmem->memory, disk->gendisk);
err_disk:
	vpmem_disk_free(disk);
	return err;
}

static int vpmem_probe(struct virtio_device *vdev)
{
	struct vpmem *vpmem;
	int err;

	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the configuration space cannot be read\n");
		return -EINVAL;
	}
	vpmem = kzalloc(sizeof(*vpmem), GFP_KERNEL);
	if (!vpmem)
		return -ENOMEM;
	err = vpmem_flush_init(&vpmem->flush, vdev, watch_queue, flushed);
	if (err)
		goto err_free;
	err = start_memory(vdev, vpmem);
	if (err)
		goto err_flush;
	err = start_disk(vdev, vpmem);
	if (err)
		goto err_memory;
	return 0;

err_memory:
	stop_flush(vpmem);
	stop_memory(vpmem);
err_flush:
	vpmem_flush_free(&vpmem->flush);
err_free:
	kfree(vpmem);
	return err;
}

/*
 * The memory is not there any more: nothing can be read or written, and nobody waits for ever. DAX
 * is not killed here, as file systems would have to write before that.
 */
static void lose(struct vpmem *vpmem)
{
	vpmem_flush_fail(&vpmem->flush, BLK_STS_OFFLINE);
	WRITE_ONCE(vpmem->memory.lost, true);
	vpmem_disk_resume(&vpmem->disk);
}

static void vpmem_remove(struct virtio_device *vdev)
{
	struct vpmem *vpmem = vpmem_of(vdev);

	if (vpmem->disk.suspended) /* it has not come back */
		lose(vpmem);
	vpmem_flush_hurry(&vpmem->flush, true);
	vpmem_disk_remove(&vpmem->disk);
	/* After the disk: an XFS that is still alive looks for mappings of 2^52 pages (7.2). */
	vpmem_dax_remove(&vpmem->memory, vpmem->disk.gendisk);
	debugfs_remove(vpmem->debugfs);
	stop_flush(vpmem);
	if (!vpmem_dax_wait(vdev, &vpmem->memory))
		return;
	stop_memory(vpmem);
	vpmem_disk_free(&vpmem->disk);
	vpmem_flush_free(&vpmem->flush);
	kfree(vpmem);
}

static void vpmem_config_changed(struct virtio_device *vdev)
{
	vpmem_flush_look(&vpmem_of(vdev)->flush);
}

static int __maybe_unused vpmem_freeze(struct virtio_device *vdev)
{
	struct vpmem *vpmem = vpmem_of(vdev);
	int err;

	err = vpmem_disk_suspend(&vpmem->disk);
	if (err)
		return err;
	vpmem_flush_disconnect(&vpmem->flush);
	return 0;
}

/* The device may be another one after hibernation: it has to be at the same place. */
static int check_range(struct virtio_device *vdev, const struct vpmem_memory *memory)
{
	struct vpmem_memory now = { 0 };
	int err;

	err = vpmem_memory_find(vdev, &now);
	if (err)
		return err;
	if (now.range.start == memory->range.start && now.range.size == memory->range.size)
		return 0;
	dev_err(&vdev->dev, "the range is not where it was before the suspension\n");
	return -ENODEV;
}

/* The device is as it was when it was bound: nothing may be touched before the first answer. */
static int start_again(struct virtio_device *vdev, struct vpmem *vpmem)
{
	int err;

	err = vpmem_flush_connect(&vpmem->flush);
	if (err)
		return err;
	virtio_device_ready(vdev);
	err = check_range(vdev, &vpmem->memory);
	if (err || vpmem_flush_error(&vpmem->flush)) /* failed before: reads go on */
		return err;
	vpmem_flush_hurry(&vpmem->flush, true);
	err = vpmem_flush_first(&vpmem->flush, false);
	vpmem_flush_hurry(&vpmem->flush, false);
	return err;
}

static int __maybe_unused vpmem_restore(struct virtio_device *vdev)
{
	struct vpmem *vpmem = vpmem_of(vdev);
	int err = start_again(vdev, vpmem);

	if (err) {
		lose(vpmem);
		return err;
	}
	vpmem_disk_resume(&vpmem->disk);
	vpmem_flush_release(&vpmem->flush);
	return 0;
}

static const struct virtio_device_id id_table[] = {
	{ VPMEM_DEVICE_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, id_table);

static const unsigned int features[] = {
	VPMEM_F_SHMEM_REGION,
};

static struct virtio_driver vpmem_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = id_table,
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.validate = vpmem_validate,
	.probe = vpmem_probe,
	.remove = vpmem_remove,
	.config_changed = vpmem_config_changed,
#ifdef CONFIG_PM
	.freeze = vpmem_freeze,
	.restore = vpmem_restore,
#endif
#if VPMEM_HAVE_RESET_HOOKS
	.reset_prepare = vpmem_freeze,
	.reset_done = vpmem_restore,
#endif
};

static int __init vpmem_init(void)
{
	int err = -ENOMEM;

	copy_queue = alloc_workqueue("vpmem", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 0);
	if (!copy_queue)
		return err;
	watch_queue = alloc_workqueue("vpmem_watch", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!watch_queue)
		goto err_copy_queue;
	vpmem_stats_init();
	err = register_virtio_driver(&vpmem_driver);
	if (err)
		goto err_stats;
	return 0;

err_stats:
	vpmem_stats_exit();
	destroy_workqueue(watch_queue);
err_copy_queue:
	destroy_workqueue(copy_queue);
	return err;
}
module_init(vpmem_init);

static void __exit vpmem_exit(void)
{
	unregister_virtio_driver(&vpmem_driver);
	vpmem_stats_exit();
	destroy_workqueue(watch_queue);
	destroy_workqueue(copy_queue);
}
module_exit(vpmem_exit);

MODULE_DESCRIPTION("virtio-pmem: persistent memory of the host as a block device with DAX");
MODULE_AUTHOR("The vdax authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
