/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_MEMORY_H
#define VPMEM_MEMORY_H

#include <linux/ioport.h>
#include <linux/iosys-map.h>
#include <linux/memremap.h>
#include <linux/virtio.h>

#include "range.h"

struct dax_device;

/**
 * struct vpmem_memory - the persistent memory, reserved and mapped
 * @range:	where it is
 * @ram_like:	the processor may use it like RAM; else it is reached through I/O accessors
 * @resource:	the reservation
 * @map:	how the kernel reaches it
 * @pages:	it has struct pages, so there can be DAX
 * @pgmap:	these pages
 * @poisoned:	the host may have lost some of them
 * @lost:	the memory is not where it was before the system slept: nothing may touch it
 * @dax:	what file systems use; NULL if there is no DAX
 */
struct vpmem_memory {
	struct vpmem_range range;
	bool ram_like;
	struct resource *resource;
	struct iosys_map map;
	bool pages;
	struct dev_pagemap pgmap;
	bool poisoned;
	bool lost;
	struct dax_device *dax;
};

int vpmem_memory_find(struct virtio_device *vdev, struct vpmem_memory *memory);
int vpmem_memory_reserve(struct virtio_device *vdev, struct vpmem_memory *memory);
void vpmem_memory_release(struct vpmem_memory *memory);
int vpmem_memory_map(struct virtio_device *vdev, struct vpmem_memory *memory);
void vpmem_memory_unmap(struct vpmem_memory *memory);

#endif /* VPMEM_MEMORY_H */
