// SPDX-License-Identifier: GPL-2.0-only
/*
 * The range of persistent memory: found, validated, reserved, mapped.
 *
 * Whether it may be touched like RAM is the platform's knowledge. An address from the
 * configuration space is one of the guest's memory. A shared memory region is in a window of the
 * transport, which on most platforms is as good. On s390 that window is PCI memory and needs
 * instructions of its own: there it is mapped as I/O memory, and there is no DAX.
 */
#include "memory.h"

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/limits.h>
#include <linux/virtio_config.h>

#include "pages.h"

static int find_shmem(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	struct virtio_shm_region region = { 0 };

	if (!virtio_get_shm_region(vdev, &region, VPMEM_SHMID)) {
		dev_err(&vdev->dev, "the device has no shared memory region %u\n", VPMEM_SHMID);
		return -EINVAL;
	}
	memory->range = (struct vpmem_range){ .start = region.addr, .size = region.len };
	memory->ram_like = !IS_ENABLED(CONFIG_S390);
	return 0;
}

static void find_config(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	struct vpmem_config config;

	/* A field of 64 bits is read as two of 32, never as bytes (4.1.3.1). */
	__virtio_cread_many(vdev, 0, &config, sizeof(config) / sizeof(u64), sizeof(u64));
	memory->range = vpmem_range_from_config(&config);
	memory->ram_like = true;
}

/**
 * vpmem_memory_find() - where the device says that its memory is
 * @vdev:	the device; features are negotiated
 * @memory:	gets the range, if it can be true
 *
 * Return: 0 or -EINVAL, after saying why.
 */
int vpmem_memory_find(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	const struct vpmem_range *range = &memory->range;
	const char *problem;
	int err = 0;

	if (virtio_has_feature(vdev, VPMEM_F_SHMEM_REGION))
		err = find_shmem(vdev, memory);
	else
		find_config(vdev, memory);
	if (err)
		return err;

	problem = vpmem_range_problem(range, PAGE_SIZE, (resource_size_t)-1);
	if (!problem && range->size > SIZE_MAX)
		problem = "is larger than what this kernel can map";
	if (!problem && region_intersects(range->start, range->size, IORESOURCE_SYSTEM_RAM,
					  IORES_DESC_NONE) != REGION_DISJOINT)
		problem = "is memory of the system";
	if (problem) {
		dev_err(&vdev->dev, "the range of %llu bytes at %#llx %s\n", range->size,
			range->start, problem);
		return -EINVAL;
	}
	return 0;
}

/**
 * vpmem_memory_reserve() - make sure that nobody else uses the range
 * @vdev:	the device
 * @memory:	with its range
 *
 * Return: 0 or -EBUSY, after saying why.
 */
int vpmem_memory_reserve(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	const struct vpmem_range *range = &memory->range;

	memory->resource = request_mem_region(range->start, range->size, dev_name(&vdev->dev));
	if (memory->resource)
		return 0;
	dev_err(&vdev->dev, "the range of %llu bytes at %#llx is in use (see /proc/iomem)\n",
		range->size, range->start);
	return -EBUSY;
}

/**
 * vpmem_memory_release() - undo vpmem_memory_reserve()
 * @memory:	not mapped
 */
void vpmem_memory_release(struct vpmem_memory *memory)
{
	release_mem_region(memory->range.start, memory->range.size);
	memory->resource = NULL;
}

static int map_without_pages(struct vpmem_memory *memory)
{
	const struct vpmem_range *range = &memory->range;
	void __iomem *io;
	void *addr;

	if (memory->ram_like) {
		addr = memremap(range->start, range->size, MEMREMAP_WB);
		if (!addr)
			return -ENOMEM;
		iosys_map_set_vaddr(&memory->map, addr);
		return 0;
	}
	io = ioremap(range->start, range->size);
	if (!io)
		return -ENOMEM;
	iosys_map_set_vaddr_iomem(&memory->map, io);
	return 0;
}

/**
 * vpmem_memory_map() - make the memory accessible, with DAX if that is possible
 * @vdev:	the device
 * @memory:	reserved
 *
 * Return: 0, or a negative errno after saying why.
 */
int vpmem_memory_map(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	const char *problem = "the range is not like RAM on this platform";
	int err;

	if (memory->ram_like)
		problem = vpmem_pages_map(memory);
	if (!problem)
		return 0;
	err = map_without_pages(memory);
	if (err)
		dev_err(&vdev->dev, "the range of %llu bytes at %#llx cannot be mapped\n",
			memory->range.size, memory->range.start);
	else
		dev_info(&vdev->dev, "a block device without DAX: %s\n", problem);
	return err;
}

/**
 * vpmem_memory_unmap() - undo vpmem_memory_map()
 * @memory:	mapped; nobody uses it any more
 */
void vpmem_memory_unmap(struct vpmem_memory *memory)
{
	if (memory->pages)
		vpmem_pages_unmap(memory);
	else if (memory->map.is_iomem)
		iounmap(memory->map.vaddr_iomem);
	else
		memunmap(memory->map.vaddr);
}
