// SPDX-License-Identifier: GPL-2.0-only
/*
 * vpmem_testdev: a virtio-pmem device in the kernel that its driver runs in.
 *
 * The range is physical memory that the kernel was told to leave alone, with
 * memmap=64M$0x18000000. It stays when a device goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include "compat.h"
#include "testdev.h"

#define TD_F_SHMEM_REGION 0

static unsigned long long start = 0x18000000;
module_param(start, ullong, 0444);
MODULE_PARM_DESC(start, "physical address of the range");

static unsigned long long size = 0x4000000;
module_param(size, ullong, 0444);
MODULE_PARM_DESC(size, "bytes of the range");

static bool shm = true;
module_param(shm, bool, 0644);
MODULE_PARM_DESC(shm, "the next device shows the range as a shared memory region");

DEFINE_SPINLOCK(td_lock);
struct td_counts td_counts;
u64 td_watch;
struct workqueue_struct *td_wq;

static void *td_range;
static struct device *td_root;
static struct td_device *td_current; /* the pointer: td_mutex and, to change it, td_lock */
static DEFINE_MUTEX(td_mutex);	     /* one device is made or removed at a time */

/**
 * td_byte() - what is at the watched place now
 *
 * Return: the byte.
 */
u8 td_byte(void)
{
	return READ_ONCE(((u8 *)td_range)[td_watch]);
}

/**
 * td_in_range() - whether a place can be watched
 * @offset: in the range
 *
 * Return: true if it is inside.
 */
bool td_in_range(u64 offset)
{
	return offset < size;
}

/* The configuration space: struct virtio_pmem_config. */
static void td_get(struct virtio_device *vdev, unsigned int offset, void *buf, unsigned int len)
{
	/* Not virtio_has_feature(), which is for features that the driver knows. */
	const bool hidden = __virtio_test_bit(vdev, TD_F_SHMEM_REGION);
	const __le64 config[] = {
		cpu_to_le64(hidden ? 0 : start),
		cpu_to_le64(hidden ? 0 : size),
	};

	size_t there = offset < sizeof(config) ? sizeof(config) - offset : 0;

	memset(buf, 0, len);
	memcpy(buf, (const u8 *)config + offset, min_t(size_t, len, there));
}

static void td_set(struct virtio_device *vdev, unsigned int offset, const void *buf,
		   unsigned int len)
{
	pr_warn("a driver writes %u bytes of configuration at %u\n", len, offset);
}

static u8 td_get_status(struct virtio_device *vdev)
{
	return READ_ONCE(to_td(vdev)->status);
}

static void td_set_status(struct virtio_device *vdev, u8 status)
{
	struct td_device *dev = to_td(vdev);
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	dev->status = status | (dev->dead ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
	spin_unlock_irqrestore(&td_lock, flags);
}

static void td_reset(struct virtio_device *vdev)
{
	struct td_device *dev = to_td(vdev);
	unsigned long flags;

	td_ring_stop(dev);
	spin_lock_irqsave(&td_lock, flags);
	dev->status = 0;
	dev->dead = false;
	td_counts.resets++;
	spin_unlock_irqrestore(&td_lock, flags);
}

static u64 td_get_features(struct virtio_device *vdev)
{
	return BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
	       BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | (shm ? BIT_ULL(TD_F_SHMEM_REGION) : 0);
}

static int td_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static int td_find_vqs(struct virtio_device *vdev, unsigned int nvqs, struct virtqueue *vqs[],
		       TEST_QUEUE_ARGS)
{
	struct td_device *dev = to_td(vdev);
	unsigned long flags;

	if (nvqs != 1)
		return -EINVAL;
	vqs[0] = vring_create_virtqueue(0, TD_RING_SIZE, PAGE_SIZE, vdev, true, false, false,
					td_notify, TEST_QUEUE_CALLBACK, TEST_QUEUE_NAME);
	if (!vqs[0])
		return -ENOMEM;
	spin_lock_irqsave(&td_lock, flags);
	dev->vq = vqs[0];
	spin_unlock_irqrestore(&td_lock, flags);
	return 0;
}

static void td_del_vqs(struct virtio_device *vdev)
{
	struct virtqueue *vq, *next;

	td_ring_stop(to_td(vdev));
	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		vring_del_virtqueue(vq);
}

static void td_synchronize_cbs(struct virtio_device *vdev)
{
	td_ring_synchronize(to_td(vdev));
}

static const char *td_bus_name(struct virtio_device *vdev)
{
	return KBUILD_MODNAME;
}

static bool td_get_shm_region(struct virtio_device *vdev, struct virtio_shm_region *region, u8 id)
{
	if (!shm || id)
		return false;
	region->addr = start;
	region->len = size;
	return true;
}

static const struct virtio_config_ops td_config_ops = {
	.get = td_get,
	.set = td_set,
	.get_status = td_get_status,
	.set_status = td_set_status,
	.reset = td_reset,
	.find_vqs = td_find_vqs,
	.del_vqs = td_del_vqs,
	.synchronize_cbs = td_synchronize_cbs,
	.get_features = td_get_features,
	.finalize_features = td_finalize_features,
	.bus_name = td_bus_name,
	.get_shm_region = td_get_shm_region,
};

static void td_free(struct device *d)
{
	kfree(to_td(dev_to_virtio(d)));
}

static struct td_device *td_new(void)
{
	struct td_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->vdev.dev.parent = td_root;
	dev->vdev.dev.release = td_free;
	dev->vdev.id.device = VIRTIO_ID_PMEM;
	dev->vdev.id.vendor = 0;
	dev->vdev.config = &td_config_ops;
	td_ring_init(dev);
	return dev;
}

static void td_set_current(struct td_device *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	td_current = dev;
	spin_unlock_irqrestore(&td_lock, flags);
}

/**
 * td_create() - make the device
 *
 * A driver that is there is bound, and has done its probe, when this returns.
 *
 * Return: 0, -EEXIST if there is one, or another error.
 */
int td_create(void)
{
	struct td_device *dev;
	int ret = -EEXIST;

	mutex_lock(&td_mutex);
	if (td_current)
		goto out;
	ret = -ENOMEM;
	dev = td_new();
	if (!dev)
		goto out;
	td_set_current(dev);
	ret = register_virtio_device(&dev->vdev);
	if (!ret) {
		td_counts.created++;
		goto out;
	}
	td_set_current(NULL);
	put_device(&dev->vdev.dev);
out:
	mutex_unlock(&td_mutex);
	return ret;
}

/* td_mutex is held. Until the driver has let go, the device can be told to release and so on. */
static void td_remove(struct td_device *dev)
{
	get_device(&dev->vdev.dev);
	unregister_virtio_device(&dev->vdev);
	td_set_current(NULL);
	td_ring_stop(dev); /* a driver that did not reset it */
	put_device(&dev->vdev.dev);
}

/**
 * td_destroy() - remove the device, as an orderly unplug does
 *
 * Return: 0, or -ENODEV if there is none.
 */
int td_destroy(void)
{
	int ret = -ENODEV;

	mutex_lock(&td_mutex);
	if (td_current) {
		td_remove(td_current);
		ret = 0;
	}
	mutex_unlock(&td_mutex);
	return ret;
}

/* An unplug that the plan wants. */
static void td_gone(struct work_struct *work)
{
	mutex_lock(&td_mutex);
	if (td_current && td_current->gone) {
		if (td_current->broken)
			virtio_break_device(&td_current->vdev);
		td_remove(td_current);
	}
	mutex_unlock(&td_mutex);
}

static DECLARE_WORK(td_gone_work, td_gone);

/**
 * td_act() - do what concerns the device as a whole
 * @dev: the device
 * @action: what is planned
 *
 * Context: td_lock is held.
 */
void td_act(struct td_device *dev, const struct td_action *action)
{
	if (action->flags & TD_NEEDS_RESET) {
		dev->dead = true;
		dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	}
	if (action->flags & TD_CONFIG) {
		dev->config = true;
		irq_work_queue(&dev->irq);
	}
	if (action->flags & TD_GONE) {
		dev->gone = true;
		dev->broken = action->flags & TD_BREAK;
		queue_work(td_wq, &td_gone_work);
	}
}

/**
 * td_with_device() - call a function with the device, which stays meanwhile
 * @what: the function, called with td_lock held
 * @arg: its second argument
 *
 * Return: what it returned, or -ENODEV if there is no device.
 */
int td_with_device(int (*what)(struct td_device *dev, const void *arg), const void *arg)
{
	unsigned long flags;
	int ret = -ENODEV;

	spin_lock_irqsave(&td_lock, flags);
	if (td_current)
		ret = what(td_current, arg);
	spin_unlock_irqrestore(&td_lock, flags);
	return ret;
}

/**
 * td_exists() - whether there is a device
 *
 * Return: true until it is removed completely.
 */
bool td_exists(void)
{
	return READ_ONCE(td_current);
}

static int td_sleep(int (*sleep)(struct virtio_device *vdev))
{
	int ret = -ENODEV;

	mutex_lock(&td_mutex);
	if (td_current)
		ret = sleep(&td_current->vdev);
	mutex_unlock(&td_mutex);
	return ret;
}

/**
 * td_freeze() - what a transport does when the machine is suspended
 *
 * Return: 0 or an error of the driver.
 */
int td_freeze(void)
{
	return td_sleep(test_virtio_freeze);
}

/**
 * td_restore() - what a transport does when the machine is resumed
 *
 * Return: 0 or an error of the driver.
 */
int td_restore(void)
{
	return td_sleep(test_virtio_restore);
}

static int td_map_range(void)
{
	if (!size || start + size < start ||
	    region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
		    REGION_DISJOINT) {
		pr_err("0x%llx + 0x%llx is memory of the system; boot with memmap=\n", start, size);
		return -EINVAL;
	}
	td_range = memremap(start, size, MEMREMAP_WB);
	return td_range ? 0 : -ENOMEM;
}

static int __init td_init(void)
{
	int ret = td_map_range();

	if (ret)
		return ret;
	ret = -ENOMEM;
	td_wq = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	if (!td_wq)
		goto err_unmap;
	td_root = root_device_register(KBUILD_MODNAME);
	ret = PTR_ERR_OR_ZERO(td_root);
	if (ret)
		goto err_wq;
	ret = td_debugfs_init();
	if (ret)
		goto err_root;
	return 0;

err_root:
	root_device_unregister(td_root);
err_wq:
	destroy_workqueue(td_wq);
err_unmap:
	memunmap(td_range);
	return ret;
}

static void __exit td_exit(void)
{
	td_debugfs_exit();
	td_destroy();
	destroy_workqueue(td_wq); /* runs td_gone_work, if it is queued */
	root_device_unregister(td_root);
	memunmap(td_range);
}

module_init(td_init);
module_exit(td_exit);

MODULE_DESCRIPTION("A virtio-pmem device for tests of its drivers");
MODULE_LICENSE("GPL");
