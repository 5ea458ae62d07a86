/* SPDX-License-Identifier: BSD-2-Clause */
/* The split ring behind virtio/queue.h; nobody else includes this. */
#ifndef VIRTIO_SPLIT_H
#define VIRTIO_SPLIT_H

#include "virtio/queue.h"

/* Finds the three parts of the ring in mem. 0, or they stay: -EINVAL (alignment) or -EFAULT. */
int split_translate(struct vq *vq, const struct mem_table *mem);

/* Takes the used index over from the ring. 0 or -EFAULT. */
int split_start(struct vq *vq);

/* Shows the pushed chains; returns 1 if the driver wants a notification, 0 or -errno. */
int split_publish(struct vq *vq);

/* Is a request available? Only inside fault_guard(); vq_pop() looks again. */
bool split_peek(const struct vq *vq);

/* len bytes at off of the used ring have been written: logs that if it is wanted. */
void vq_wrote_used(struct vq *vq, uint64_t off, uint64_t len);

#endif
