/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the test modules are built for: 6.1, 6.12 and 7.2.
 */
#ifndef VPMEM_TEST_COMPAT_H
#define VPMEM_TEST_COMPAT_H

#include <linux/blkdev.h>
#include <linux/version.h>
#include <linux/virtio_config.h>

/*
 * The last arguments of the find_vqs operation, and what they say of the only queue. Parallel
 * arrays became a table of structures in 6.11.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define TEST_QUEUE_ARGS	    struct virtqueue_info info[], struct irq_affinity *affinity
#define TEST_QUEUE_CALLBACK (info[0].callback)
#define TEST_QUEUE_NAME	    (info[0].name)
#else
#define TEST_QUEUE_ARGS                                                         \
	vq_callback_t *callbacks[], const char *const names[], const bool *ctx, \
		struct irq_affinity *affinity
#define TEST_QUEUE_CALLBACK (callbacks[0])
#define TEST_QUEUE_NAME	    (names[0])
#endif

/*
 * An open block device: a file since 6.9. What was between 6.1 and 6.9 is not looked after.
 * It is opened for reading: a kernel may refuse to open one for writing that is mounted, and bios
 * are not asked how they came by their device.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#define test_bdev_handle file

static inline struct test_bdev_handle *test_bdev_open(const char *path)
{
	return bdev_file_open_by_path(path, BLK_OPEN_READ, NULL, NULL);
}

static inline struct block_device *test_bdev(struct test_bdev_handle *handle)
{
	return file_bdev(handle);
}

static inline void test_bdev_close(struct test_bdev_handle *handle)
{
	fput(handle);
}
#else
#define test_bdev_handle block_device

static inline struct test_bdev_handle *test_bdev_open(const char *path)
{
	return blkdev_get_by_path(path, FMODE_READ, NULL);
}

static inline struct block_device *test_bdev(struct test_bdev_handle *handle)
{
	return handle;
}

static inline void test_bdev_close(struct test_bdev_handle *handle)
{
	blkdev_put(handle, FMODE_READ);
}
#endif

/* The core has these only where a machine can be suspended. */
#ifdef CONFIG_PM_SLEEP
#define test_virtio_freeze  virtio_device_freeze
#define test_virtio_restore virtio_device_restore
#else
static inline int test_virtio_freeze(struct virtio_device *vdev)
{
	return -EOPNOTSUPP;
}

#define test_virtio_restore test_virtio_freeze
#endif

#endif /* VPMEM_TEST_COMPAT_H */
