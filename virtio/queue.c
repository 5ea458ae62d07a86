/* SPDX-License-Identifier: BSD-2-Clause */
/* What does not depend on the ring layout: life cycle, memory changes, breaking, notifying. */
#include "virtio/queue.h"

#include <errno.h>
#include <string.h>

#include "base/align.h"
#include "host/fd.h"
#include "host/log.h"
#include "virtio/split.h"

int vq_init(struct vq *vq, const char *name)
{
	*vq = (struct vq){ .name = name, .call_fd = -1, .err_fd = -1, .signalling = -1 };
	return -pthread_mutex_init(&vq->lock, NULL);
}

void vq_fini(struct vq *vq)
{
	vq_stop(vq);
	fd_close(&vq->call_fd);
	fd_close(&vq->err_fd);
	pthread_mutex_destroy(&vq->lock);
}

int vq_start(struct vq *vq, const struct vq_config *cfg, struct mem_table *mem)
{
	int ret;

	vq_stop(vq); /* a table that came while it was stopped is older than mem */
	vq->next_avail = cfg->base;
	vq->avail_seen = cfg->base;
	if (!is_pow2(cfg->size) || cfg->size > VRING_SIZE_MAX)
		return -EINVAL;
	vq->mem = mem_get(mem);
	vq->cfg = *cfg;
	vq->event_idx = cfg->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
	vq->indirect = cfg->features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
	vq->inflight = 0;
	vq->broken = 0;
	vq->stopping = false;
	ret = split_translate(vq, mem);
	if (!ret)
		ret = split_start(vq);
	if (ret)
		vq_stop(vq);
	return ret;
}

uint16_t vq_stop(struct vq *vq)
{
	mem_put(vq->mem);
	vq->mem = NULL;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	pthread_mutex_lock(&vq->lock);
	mem_put(vq->mem_next);
	vq->mem_next = NULL;
	pthread_mutex_unlock(&vq->lock);
	return vq->next_avail;
}

static void set_fd(struct vq *vq, int *slot, int fd)
{
	int former;

	pthread_mutex_lock(&vq->lock);
	former = *slot;
	*slot = fd;
	if (former == vq->signalling)
		former = -1; /* signal_slot() closes it */
	pthread_mutex_unlock(&vq->lock);
	fd_close(&former);
}

/*
 * Signals the call or err eventfd, if there is one. That may block, if the front end wants it
 * to, so it is done without the lock. One that replaces it meanwhile is signalled as well: who
 * has replaced it looks there from now on.
 */
static bool signal_slot(struct vq *vq, const int *slot, bool careful)
{
	bool any = false;
	int fd;

	pthread_mutex_lock(&vq->lock);
	while ((fd = *slot) >= 0) {
		any = true;
		vq->signalling = fd;
		pthread_mutex_unlock(&vq->lock);
		if (!careful || fd_has_room(fd))
			fd_signal(fd);
		pthread_mutex_lock(&vq->lock);
		vq->signalling = -1;
		if (fd == *slot)
			break;
		fd_close(&fd);
	}
	pthread_mutex_unlock(&vq->lock);
	return any;
}

void vq_set_call(struct vq *vq, int fd)
{
	set_fd(vq, &vq->call_fd, fd);
}

void vq_set_err(struct vq *vq, int fd)
{
	set_fd(vq, &vq->err_fd, fd);
}

void vq_set_mem(struct vq *vq, struct mem_table *mem)
{
	struct mem_table *former;

	mem_get(mem);
	pthread_mutex_lock(&vq->lock);
	former = vq->mem_next;
	vq->mem_next = mem;
	pthread_mutex_unlock(&vq->lock);
	mem_put(former); /* may unmap, which takes its time */
}

void vq_refresh(struct vq *vq)
{
	struct mem_table *next;

	pthread_mutex_lock(&vq->lock);
	next = vq->mem_next;
	vq->mem_next = NULL;
	pthread_mutex_unlock(&vq->lock);
	if (!next)
		return;
	/*
	 * QEMU changes a region by removing it and adding it again. Until the ring is back, the
	 * mmaps of the table that has it are as good. Each table is whole: none is missed.
	 */
	if (!vq->broken && split_translate(vq, next)) {
		log_debug(vq->name,
			  "the new memory table is without the ring; keeping the old one");
		mem_put(next);
		return;
	}
	mem_put(vq->mem);
	vq->mem = next;
}

int vq_break(struct vq *vq, int err, const char *why)
{
	if (vq->broken)
		return vq->broken;
	vq->broken = err;
	log_guest(vq->name, "queue broken: %s; it stays so until it is started again", why);
	/* Perhaps on the control thread, which a full eventfd that blocks must not hold up. */
	signal_slot(vq, &vq->err_fd, true);
	return err;
}

int vq_publish(struct vq *vq)
{
	int notify = split_publish(vq);

	if (notify <= 0)
		return notify;
	if (signal_slot(vq, &vq->call_fd, false))
		vq->notified++;
	return 0;
}

uint32_t vq_chain_max(const struct vq *vq)
{
	uint32_t descs = vq->cfg.size > VQ_CHAIN_MIN_MAX ? vq->cfg.size : VQ_CHAIN_MIN_MAX;

	return 2 * descs; /* a buffer may cross from one region into the next */
}
