/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_DAX_H
#define VPMEM_DAX_H

#include "compat.h"
#include "memory.h"

struct gendisk;
struct virtio_device;

#if VPMEM_HAVE_DAX

void vpmem_dax_alloc(struct virtio_device *vdev, struct vpmem_memory *memory);
void vpmem_dax_free(struct vpmem_memory *memory);
bool vpmem_dax_wait(struct virtio_device *vdev, struct vpmem_memory *memory);
int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk);
void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk);

#else

static inline void vpmem_dax_alloc(struct virtio_device *vdev, struct vpmem_memory *memory)
{
}

static inline void vpmem_dax_free(struct vpmem_memory *memory)
{
}

static inline bool vpmem_dax_wait(struct virtio_device *vdev, struct vpmem_memory *memory)
{
	return true;
}

static inline int vpmem_dax_add(struct vpmem_memory *memory, struct gendisk *gendisk)
{
	return 0;
}

static inline void vpmem_dax_remove(struct vpmem_memory *memory, struct gendisk *gendisk)
{
}

#endif

#endif /* VPMEM_DAX_H */
