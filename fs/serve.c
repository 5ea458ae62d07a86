/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work of one queue's thread. What is finished elsewhere is answered first, then what is in the
 * ring; answers are shown in batches, and always before the thread sleeps or waits.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/async.h"
#include "fs/cred.h"
#include "fs/dax.h"
#include "fs/dispatch.h"
#include "fs/lock.h"
#include "fs/req.h"
#include "host/log.h"
#include "wire/virtio_fs.h"

/*
 * Requests that are answered together at most. With fewer the guest is woken too often where both
 * share a CPU; with more they take turns where each has its own.
 */
#define BATCH  4u
#define SUBMIT 16u

struct fs_queue *fs_queue_new(struct fs *fs, unsigned index)
{
	struct fs_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->fs = fs;
	q->index = index;
	q->body = malloc(FS_BODY_MAX + 1);
	q->reply = malloc(sizeof(struct fuse_out_header) + FS_REPLY_MAX);
	if (q->body && q->reply)
		return q;
	fs_queue_free(q);
	return NULL;
}

void fs_queue_free(struct fs_queue *q)
{
	if (!q)
		return;
	async_free(q->async);
	stats_free(&q->stats);
	free(q->chain.seg);
	free(q->body);
	free(q->reply);
	free(q);
}

/* Room for any chain of this ring. Kept from one start to the next. */
static bool size_chain(struct fs_queue *q, const struct vq *vq)
{
	unsigned cap = vq_chain_max(vq);
	struct iovec *seg;

	if (q->chain.cap >= cap)
		return true;
	seg = realloc(q->chain.seg, cap * sizeof(*seg));
	if (!seg)
		return false;
	q->chain.seg = seg;
	q->chain.cap = cap;
	return true;
}

/* Serves up to a batch. 1 if there may be more, 0 if the ring is empty, or -errno. */
static int serve_batch(struct fs_queue *q, struct vq *vq)
{
	int ret = 1;

	for (unsigned n = 0; n < BATCH && !vq->stopping; n++) {
		ret = vq_pop(vq, &q->chain);
		if (ret != 1)
			break;
		stats_popped(&q->stats);
		fs_dispatch(q);
	}
	/* As many jobs as possible with one system call. */
	if (ret != 1 || vq->next_avail % SUBMIT < BATCH)
		async_flush(q->async);
	return ret;
}

/*
 * Nobody waits for a FORGET, so the hiprio queue collects: who has served some of them looks again
 * after this time, without asking for kicks meanwhile. An INTERRUPT may be late by that.
 */
#define COLLECT_NS 1000000u

/* The ring is empty. True if it is worth while to look again at once. */
static bool look_again(struct fs_queue *q, struct vq *vq)
{
	if (q->index != VIRTIO_FS_QUEUE_HIPRIO && !async_pending(q->async) && vq_spin(vq))
		return true;
	if (vq_kicks_on(vq) != 1)
		return false;
	vq_kicks_off(vq);
	return true;
}

/* What the thread must have before it serves a ring. 0 or -errno. */
static int prepare(struct fs_queue *q, struct vq *vq)
{
	q->vq = vq;
	/* Where the system forbids a mask of its own (containers), it does without: fs/cred.h. */
	if (!q->thread_ready && cred_thread_init(q))
		log_debug(vq->name, "file mode masks are applied here, not by the host");
	q->thread_ready = true;
	return size_chain(q, vq) ? 0 : -ENOMEM;
}

/* Whoever kept requests over a stop is told whether the ring goes on where it stopped. */
static void resume(struct fs_queue *q, const struct vq *vq)
{
	if (!q->stopped)
		return;
	q->stopped = false;
	dax_resume(q, fs_ring_continues(&q->ring, &vq->cfg));
}

uint64_t fs_serve(struct fs_queue *q, struct vq *vq)
{
	uint64_t again_ns = UINT64_MAX;
	bool hiprio = q->index == VIRTIO_FS_QUEUE_HIPRIO;
	bool last = vq->stopping;
	uint16_t begin = vq->next_avail;
	int ret = prepare(q, vq);

	if (ret)
		vq_break(vq, ret, "its thread could not be set up");
	locks_resume(q);
	resume(q, vq);
	/* A request that waited on would never be answered: it is not part of the state. */
	if (last && q->fs->logging)
		q->fs->frozen = true;
	vq_kicks_off(vq);
	do {
		bool reaped = async_reap(q->async);

		vq_refresh(vq);
		ret = serve_batch(q, vq);
		reaped |= dax_reap(q);
		reaped |= async_reap(q->async); /* what the kernel has done at once */
		async_flush(q->async);		/* and what it has done in part */
		again_ns = locks_retry(q);
		vq_publish(vq);
		if (reaped && !ret)
			ret = 1;
		if (!ret && hiprio && vq->next_avail != begin)
			return COLLECT_NS;
	} while (!vq->stopping && (ret > 0 || (!ret && look_again(q, vq))));
	if (last) {
		if (q->index == VIRTIO_FS_QUEUE_REQUEST)
			dax_write_back_all(q->fs); /* a guest that stands still is in its files */
		async_drain(q->async);
		vq_publish(vq);
		q->stopped = true;
		q->ring = vq->cfg;
		q->ring.base = vq->next_avail;
	}
	return again_ns;
}
