/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-pmem driver: VIRTIO 1.3, section 5.19.
 *
 * A flush covers the stores made before its request was published. So a flush may join a
 * request that is not published yet (the batch), but not one that is: the device may have
 * begun its sync before the newcomer's stores. Hence at most one request in flight and one
 * batch, which becomes the next request as a whole. Each request is published alone and
 * notified on its own: some devices take one request per notification, and fail on a
 * notification without a request.
 *
 * Request and response lie in a cell that belongs to the device from publication until it
 * comes back through the used ring. When we give up on the device (timeout, broken ring,
 * needs reset), waiters get their error and the cells stay with the device: failed is
 * never cleared, and nothing is published or collected any more.
 */
#include "vdax/pmem.h"

#include "base/barrier.h"

#include "base/align.h"
#include "base/range.h"
#include "vdax/errno.h"
#include "wire/pmem.h"
#include "wire/ring.h"

#define QUEUE		  0u
#define DEFAULT_ALIGN	  4096u
#define WAIT_NO_LIMIT	  UINT64_MAX
#define WAIT_CHECK_STATUS 1000000000u /* ns between looks at the status while blocked */

struct vdax_pmem_cell {
	struct vring_desc table[2]; /* if INDIRECT_DESC */
	struct pmem_req req;
	struct pmem_resp resp;
	uint8_t padding[24];
};
_Static_assert(sizeof(struct vdax_pmem_cell) == 64, "VDAX_PMEM_SHARED_BYTES counts 64");

uint64_t vdax_pmem_features(uint64_t offered)
{
	const uint64_t known = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
			       VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(PMEM_F_SHMEM_REGION);

	return offered & VIRTIO_BIT(VIRTIO_F_VERSION_1) ? offered & known : 0;
}

static int read_config(const struct vdax_platform *p, struct vdax_region *region)
{
	struct pmem_config config;
	int ret;

	ret = p->ops->config_read(p->ctx, 0, &config, sizeof(config));
	if (ret)
		return ret;
	region->addr = le64_get(config.start);
	region->len = le64_get(config.size);
	return 0;
}

static int find_region(const struct vdax_pmem_opts *opts, struct vdax_region *region)
{
	const struct vdax_platform *p = opts->platform;
	uint64_t align = opts->align ? opts->align : DEFAULT_ALIGN;
	int ret;

	if (!is_pow2(align))
		return -VDAX_EINVAL;
	if (opts->features & VIRTIO_BIT(PMEM_F_SHMEM_REGION))
		ret = p->ops->shm_region(p->ctx, PMEM_SHMID, region);
	else
		ret = read_config(p, region);
	if (ret)
		return ret;
	if (!region->len || !range_ok(region->addr, region->len, UINT64_MAX))
		return -VDAX_EINVAL;
	if (!is_aligned(region->addr | region->len, align))
		return -VDAX_EINVAL;
	return 0;
}

static int init_rqs(struct vdax_pmem *pm, const struct vdax_pmem_opts *opts)
{
	const struct vdax_platform *p = opts->platform;
	size_t bytes = VDAX_PMEM_SHARED_BYTES(opts->queue_size);
	uint64_t addr = p->ops->dma_addr(p->ctx, opts->shared, bytes);
	uint8_t *cells = (uint8_t *)opts->shared + VDAX_PMEM_CELLS(opts->queue_size);

	if (addr == VDAX_DMA_BAD)
		return -VDAX_ENODEV;
	for (unsigned int i = opts->queue_size; i-- > 0;) {
		struct vdax_pmem_rq *rq = &opts->rqs[i];

		*rq = (struct vdax_pmem_rq){
			.cell = (void *)(cells + i * sizeof(struct vdax_pmem_cell)),
			.cell_addr = addr + VDAX_PMEM_CELLS(opts->queue_size) +
				     i * sizeof(struct vdax_pmem_cell),
			.next = pm->free_rqs,
		};
		pm->free_rqs = rq;
	}
	return 0;
}

int vdax_pmem_init(struct vdax_pmem *pm, const struct vdax_pmem_opts *opts)
{
	int ret;

	*pm = (struct vdax_pmem){
		.platform = opts->platform,
		.timeout_ns = opts->timeout_ns,
		.separate = opts->separate,
		.no_interrupts = opts->no_interrupts,
	};
	if (opts->queue_size < 2) /* a flush is two descriptors */
		return -VDAX_EINVAL;
	ret = find_region(opts, &pm->region);
	if (ret)
		return ret;
	ret = vdax_ring_init(&pm->ring, opts->shared, opts->slots, opts->queue_size,
			     opts->features);
	if (ret)
		return ret;
	if (pm->no_interrupts)
		vdax_ring_interrupts_off(&pm->ring);
	return init_rqs(pm, opts);
}

static void list_add(struct vdax_flush_list *l, struct vdax_flush *f)
{
	f->next = NULL;
	if (!l->tail)
		l->tail = &l->first;
	*l->tail = f;
	l->tail = &f->next;
}

static struct vdax_flush *list_take(struct vdax_flush_list *l)
{
	struct vdax_flush *first = l->first;

	*l = (struct vdax_flush_list){ 0 };
	return first;
}

/* Call everybody on the list, which nobody else can see any more. Returns how many. */
static int end_all(struct vdax_pmem *pm, struct vdax_flush *f, int ret)
{
	int n = 0;

	while (f) {
		struct vdax_flush *next = f->next; /* the callback may reuse f */

		f->submitted = false;
		if (ret)
			pm->stats.errors++;
		n++;
		f->done(f, ret);
		f = next;
	}
	return n;
}

static void link_outstanding(struct vdax_pmem *pm, struct vdax_pmem_rq *rq)
{
	rq->next = NULL;
	rq->prev = pm->newest;
	if (pm->newest)
		pm->newest->next = rq;
	else
		pm->oldest = rq;
	pm->newest = rq;
}

static void unlink_outstanding(struct vdax_pmem *pm, struct vdax_pmem_rq *rq)
{
	if (rq->prev)
		rq->prev->next = rq->next;
	else
		pm->oldest = rq->next;
	if (rq->next)
		rq->next->prev = rq->prev;
	else
		pm->newest = rq->prev;
}

static int add_to_ring(struct vdax_pmem *pm, struct vdax_pmem_rq *rq)
{
	const struct vdax_seg seg[2] = {
		{ rq->cell_addr + offsetof(struct vdax_pmem_cell, req), sizeof(rq->cell->req) },
		{ rq->cell_addr + offsetof(struct vdax_pmem_cell, resp), sizeof(rq->cell->resp) },
	};

	rq->cell->req.type = le32_of(PMEM_REQ_FLUSH);
	rq->cell->resp.ret = le32_of(PMEM_RESP_FAIL); /* unless the device says otherwise */
	return vdax_ring_add(&pm->ring, seg, 1, 1, rq->cell->table,
			     rq->cell_addr + offsetof(struct vdax_pmem_cell, table), rq);
}

/* Send one request for everybody in the batch. Returns 0 or -VDAX_EAGAIN, -VDAX_EIO. */
static int send_batch(struct vdax_pmem *pm)
{
	const struct vdax_platform *p = pm->platform;
	struct vdax_pmem_rq *rq = pm->free_rqs;
	int ret;

	if (!rq)
		return -VDAX_EAGAIN;
	ret = add_to_ring(pm, rq);
	if (ret)
		return ret;
	pm->free_rqs = rq->next;
	rq->waiters = list_take(&pm->batch);
	rq->sent_at = pm->timeout_ns ? p->ops->now(p->ctx) : 0;
	link_outstanding(pm, rq);
	pm->stats.sent++;
	/*
	 * From here the device may answer; stores before this line are covered, those too that
	 * a release does not order: non-temporal ones, for one.
	 */
	ring_fence();
	if (vdax_ring_publish(&pm->ring)) {
		pm->stats.notified++;
		p->ops->notify(p->ctx, QUEUE);
	}
	return 0;
}

int vdax_pmem_submit(struct vdax_pmem *pm, struct vdax_flush *f)
{
	int ret;

	if (pm->failed)
		return pm->failed;
	if (f->submitted)
		return -VDAX_EBUSY;

	if (pm->batch.first)
		pm->stats.merged++;
	list_add(&pm->batch, f);
	if (pm->separate || (!pm->oldest && !pm->in_callbacks)) {
		ret = send_batch(pm);
		if (ret) { /* the batch is f alone: the one before left when it came */
			list_take(&pm->batch);
			return ret;
		}
	}
	f->submitted = true;
	pm->stats.asked++;
	return 0;
}

void vdax_pmem_fail(struct vdax_pmem *pm, int error)
{
	bool nested = pm->in_callbacks;
	struct vdax_pmem_rq *rq;

	if (pm->failed)
		return;
	pm->failed = error;
	pm->in_callbacks = true;
	for (rq = pm->oldest; rq; rq = rq->next) {
		struct vdax_flush *waiters = rq->waiters;

		rq->waiters = NULL;
		end_all(pm, waiters, error);
	}
	end_all(pm, list_take(&pm->batch), error);
	pm->in_callbacks = nested;
}

/* The device gave rq back and wrote so many bytes of the answer. Returns flushes ended. */
static int complete(struct vdax_pmem *pm, struct vdax_pmem_rq *rq, uint32_t written)
{
	struct vdax_flush *waiters = rq->waiters;
	int ret = 0;

	/* What lies beyond the length that the device reports means nothing (2.7.8.3). */
	if (written < sizeof(rq->cell->resp) || le32_get(rq->cell->resp.ret) != PMEM_RESP_OK)
		ret = -VDAX_EIO;
	unlink_outstanding(pm, rq);
	rq->waiters = NULL;
	rq->next = pm->free_rqs;
	pm->free_rqs = rq;
	return end_all(pm, waiters, ret);
}

/* Returns flushes ended, or the error of a broken ring. */
static int collect_all(struct vdax_pmem *pm)
{
	int ended = 0;

	for (;;) {
		uint32_t written;
		void *cookie;
		int ret = vdax_ring_collect(&pm->ring, &cookie, &written);

		if (ret < 0)
			return ret;
		if (ret) {
			ended += complete(pm, cookie, written);
			if (pm->failed) /* by a callback */
				return ended;
		} else if (pm->no_interrupts || vdax_ring_interrupts_on(&pm->ring)) {
			return ended;
		}
	}
}

static bool timed_out(const struct vdax_pmem *pm)
{
	const struct vdax_platform *p = pm->platform;

	return pm->timeout_ns && pm->oldest &&
	       p->ops->now(p->ctx) - pm->oldest->sent_at >= pm->timeout_ns;
}

int vdax_pmem_poll(struct vdax_pmem *pm)
{
	int ended, ret = 0;

	if (pm->in_callbacks)
		return 0;
	if (pm->failed)
		return pm->failed;
	pm->in_callbacks = true;
	ended = collect_all(pm);
	pm->in_callbacks = false;

	if (ended < 0)
		ret = ended;
	else if (timed_out(pm))
		ret = -VDAX_ETIMEDOUT;
	else if (!pm->failed && pm->batch.first && !pm->oldest)
		ret = send_batch(pm);
	if (ret)
		vdax_pmem_fail(pm, ret);
	return pm->failed ? pm->failed : ended;
}

void vdax_pmem_config_changed(struct vdax_pmem *pm)
{
	const struct vdax_platform *p = pm->platform;

	if (!pm->failed && (p->ops->status(p->ctx) & VIRTIO_STATUS_NEEDS_RESET))
		vdax_pmem_fail(pm, -VDAX_EIO);
}

/* How long to sleep for the oldest request; short enough to notice a dead device. */
static uint64_t wait_ns(const struct vdax_pmem *pm)
{
	const struct vdax_platform *p = pm->platform;
	uint64_t gone, left = WAIT_NO_LIMIT;

	if (pm->no_interrupts)
		return 0;
	if (pm->timeout_ns && pm->oldest) {
		gone = p->ops->now(p->ctx) - pm->oldest->sent_at;
		left = gone < pm->timeout_ns ? pm->timeout_ns - gone : 0;
	}
	return left < WAIT_CHECK_STATUS ? left : WAIT_CHECK_STATUS;
}

/* A flush that somebody blocks for, on the stack. */
struct blocking_flush {
	struct vdax_flush flush;
	int ret;
};

static void blocking_done(struct vdax_flush *f, int ret)
{
	((struct blocking_flush *)(void *)f)->ret = ret; /* flush is the first member */
}

int vdax_pmem_flush(struct vdax_pmem *pm)
{
	struct blocking_flush b = { .flush.done = blocking_done };
	const struct vdax_platform *p = pm->platform;
	int ret;

	if (pm->in_callbacks)
		return -VDAX_EBUSY;
	ret = vdax_pmem_submit(pm, &b.flush);
	if (ret)
		return ret;
	/* b leaves the library with an answer, a timeout, or whatever else fails the device. */
	for (;;) {
		vdax_pmem_poll(pm);
		if (!b.flush.submitted)
			return b.ret;
		p->ops->wait(p->ctx, QUEUE, wait_ns(pm));
		if (!vdax_pmem_poll(pm)) /* woken for nothing: is the device alive? */
			vdax_pmem_config_changed(pm);
	}
}

int vdax_pmem_probe(struct vdax_pmem *pm)
{
	return vdax_pmem_flush(pm);
}
