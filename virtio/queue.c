/* SPDX-License-Identifier: BSD-2-Clause */
/* What does not depend on the ring layout: life cycle, memory changes, breaking, notifying. */
#include "virtio/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/align.h"
#include "host/fd.h"
#include "host/log.h"
#include "virtio/split.h"

int vq_init(struct vq *vq, const char *name)
{
	*vq = (struct vq){
		.name = name, .call_fd = -1, .err_fd = -1, .signalling = -1, .refreshed_fd = -1
	};
	return -pthread_mutex_init(&vq->lock, NULL);
}

void vq_fini(struct vq *vq)
{
	vq_stop(vq);
	dirty_put(vq->log.log);
	dirty_put(vq->log_next.log);
	fd_close(&vq->call_fd);
	fd_close(&vq->err_fd);
	pthread_mutex_destroy(&vq->lock);
}

/* Changes over to the newest log. Was there one? */
static bool take_log(struct vq *vq)
{
	struct dirty_log *former = NULL;
	bool waits;

	pthread_mutex_lock(&vq->lock);
	waits = vq->log_waits;
	if (waits) {
		former = vq->log.log;
		vq->log = vq->log_next;
		vq->log_next = (struct vq_log){ 0 };
		vq->log_waits = false;
	}
	pthread_mutex_unlock(&vq->lock);
	dirty_put(former);
	return waits;
}

int vq_start(struct vq *vq, const struct vq_config *cfg, struct mem_table *mem)
{
	int ret;

	vq_stop(vq); /* a table that came while it was stopped is older than mem */
	take_log(vq);
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
	vq->news = true;
	pthread_mutex_unlock(&vq->lock);
	mem_put(former); /* may unmap, which takes its time */
}

void vq_set_log(struct vq *vq, const struct vq_log *log)
{
	struct dirty_log *former;

	dirty_get(log->log);
	pthread_mutex_lock(&vq->lock);
	former = vq->log_next.log;
	vq->log_next = *log;
	vq->log_waits = true;
	vq->news = true;
	pthread_mutex_unlock(&vq->lock);
	dirty_put(former);
}

bool vq_log_settled(struct vq *vq)
{
	bool waits;

	pthread_mutex_lock(&vq->lock);
	waits = vq->log_waits;
	pthread_mutex_unlock(&vq->lock);
	return !waits;
}

/* Changes over to the newest memory table. */
static void take_mem(struct vq *vq)
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

void vq_refresh(struct vq *vq)
{
	if (!vq->news)
		return;
	vq->news = false; /* before the look: what comes meanwhile is seen now or next time */
	take_mem(vq);
	if (take_log(vq) && vq->refreshed_fd >= 0)
		fd_signal(vq->refreshed_fd);
}

/* A mark that fails is a front end that breaks its own log: nothing that the guest may suffer for.
 */
static void mark(struct vq *vq, uint64_t gpa, uint64_t len)
{
	int ret = dirty_mark(vq->log.log, gpa, len);

	if (!ret)
		return;
	if (ret == -ERANGE) {
		log_guest(vq->name, "the dirty log does not reach the guest's address %#" PRIx64,
			  gpa);
		return;
	}
	log_guest(vq->name, "the dirty log was taken away; writes are not logged any more");
	vq->log.data = vq->log.used = false;
}

/* Marks host memory that was translated through mem. */
static void mark_host(struct vq *vq, const struct mem_table *mem, const void *host, uint64_t len)
{
	const char *p = host;

	while (len && vq->log.log) {
		uint64_t part = len, gpa;

		if (!mem_gpa(mem, p, &part, &gpa))
			return; /* not in the guest's memory any more: nobody will copy it */
		mark(vq, gpa, part);
		p += part;
		len -= part;
	}
}

void vq_wrote_in(struct vq *vq, const struct mem_table *mem, const struct iovec *iov, unsigned n,
		 uint64_t len)
{
	for (unsigned i = 0; i < n && len && vq->log.data; i++) {
		uint64_t part = iov[i].iov_len < len ? iov[i].iov_len : len;

		mark_host(vq, mem, iov[i].iov_base, part);
		len -= part;
	}
}

void vq_wrote_used(struct vq *vq, uint64_t off, uint64_t len)
{
	if (vq->log.used)
		mark(vq, vq->log.used_gpa + off, len);
	else
		mark_host(vq, vq->mem, (const char *)vq->used + off, len);
}

int vq_adopt(struct vq *vq, uint32_t n)
{
	if (n > vq->cfg.size - vq->inflight)
		return -EINVAL;
	vq->inflight += n;
	return 0;
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
