/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_FLUSH_H
#define VPMEM_FLUSH_H

#include <linux/ktime.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "group.h"
#include "latency.h"

struct vpmem_request;

/**
 * struct vpmem_flush - asks the host for durability
 * @vdev:	the device; its priv is this
 * @workqueue:	for @watch
 * @done:	gets each bio that was added, once, with its bi_status set. Called without the
 *		lock, also in interrupt context and from vpmem_flush_add() itself
 * @lock:	protects all that follows but @watch and @idle. Taken in interrupt context
 * @group:	who waits for what
 * @vq:		the only queue; NULL while the device is suspended or gone
 * @request:	what the device reads and writes. At most one is outstanding, so there is one. It
 *		is freed only after the device was reset
 * @readable:	the part of @request that the device reads
 * @writable:	the part that it writes
 * @sent_at:	when the outstanding request was sent
 * @starved:	there was no memory to send it; @sent_at is when that began
 * @warned:	the log has a line about the outstanding request
 * @hurry:	somebody waits for the end of the device: do not wait long for the host
 * @ending:	so many are calling @done
 * @latency:	of requests
 * @watch:	looks after a request that is outstanding for long
 * @idle:	woken when there is nothing to wait for, and nobody calls @done
 */
struct vpmem_flush {
	struct virtio_device *vdev;
	struct workqueue_struct *workqueue;
	void (*done)(struct vpmem_flush *flush, struct bio *bio);

	spinlock_t lock; /* protects what follows */
	struct vpmem_group group;
	struct virtqueue *vq;
	struct vpmem_request *request;
	struct scatterlist readable;
	struct scatterlist writable;
	ktime_t sent_at;
	bool starved;
	bool warned;
	bool hurry;
	unsigned int ending;
	struct vpmem_latency latency;

	struct delayed_work watch;
	wait_queue_head_t idle;
};

int vpmem_flush_init(struct vpmem_flush *flush, struct virtio_device *vdev,
		     struct workqueue_struct *workqueue,
		     void (*done)(struct vpmem_flush *flush, struct bio *bio));
void vpmem_flush_free(struct vpmem_flush *flush);
int vpmem_flush_connect(struct vpmem_flush *flush);
void vpmem_flush_disconnect(struct vpmem_flush *flush);
int vpmem_flush_first(struct vpmem_flush *flush, bool killable);
void vpmem_flush_add(struct vpmem_flush *flush, struct bio_list *bios);
int vpmem_flush_hold(struct vpmem_flush *flush);
void vpmem_flush_release(struct vpmem_flush *flush);
void vpmem_flush_hurry(struct vpmem_flush *flush, bool hurry);
void vpmem_flush_drain(struct vpmem_flush *flush);
void vpmem_flush_fail(struct vpmem_flush *flush, blk_status_t error);
void vpmem_flush_look(struct vpmem_flush *flush);

/**
 * vpmem_flush_error() - have writes begun to fail?
 * @flush:	of the device
 *
 * Return: BLK_STS_OK, or what they fail with.
 */
static inline blk_status_t vpmem_flush_error(const struct vpmem_flush *flush)
{
	return READ_ONCE(flush->group.error);
}

#endif /* VPMEM_FLUSH_H */
