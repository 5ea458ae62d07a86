/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/flush.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"
#include "wire/pmem.h"

void flush_init(struct flush *f, const char *name, const struct sync_ops *ops, void *ctx,
		struct latch *latch, uint32_t max_rate)
{
	*f = (struct flush){
		.name = name,
		.ops = ops,
		.ctx = ctx,
		.latch = latch,
		.interval_ns = max_rate ? MAX(NS_PER_S / max_rate, 1u) : 0,
	};
}

void flush_fini(struct flush *f)
{
	free(f->slots);
	free(f->segs);
	f->slots = NULL;
	f->segs = NULL;
	f->cap = f->segs_cap = 0;
}

/* Room for every request that the ring can hold: once for each larger queue, never later. */
static int make_room(struct flush *f, const struct vq *vq)
{
	uint32_t size = vq->cfg.size, segs = vq_chain_max(vq);

	if (f->cap >= size)
		return 0;
	flush_fini(f);
	f->slots = malloc(size * sizeof(*f->slots));
	f->segs = malloc(segs * sizeof(*f->segs));
	if (!f->slots || !f->segs) {
		flush_fini(f);
		return -ENOMEM;
	}
	f->cap = size;
	f->segs_cap = segs;
	return 0;
}

/* Answers one request. It becomes visible with the next publish. */
static void answer(struct flush *f, struct vq *vq, const struct flush_slot *s, uint32_t ret)
{
	const struct pmem_resp resp = { .ret = le32_of(ret) };

	if (ret != PMEM_RESP_OK)
		f->failed++;
	if (chain_fill(s->out, s->n, &resp))
		vq_break(vq, -EFAULT, "the memory of an answer was taken away");
	else
		vq_push(vq, s->head, sizeof(resp));
}

/* A popped chain becomes a slot, or is answered at once if it is not a flush. */
static void accept_chain(struct flush *f, struct vq *vq, const struct vq_chain *c)
{
	struct flush_slot *s = &f->slots[f->n];
	struct pmem_req req;
	int n;

	s->head = c->head;
	n = chain_writable(c, 0, sizeof(struct pmem_resp), s->out, ARRAY_SIZE(s->out));
	if (n < 0) {
		log_guest(vq->name, "a request without a usable buffer for the answer");
		f->failed++;
		vq_push(vq, c->head, 0);
		return;
	}
	s->n = (uint8_t)n;
	if (chain_read(c, 0, &req, sizeof(req)) || le32_get(req.type) != PMEM_REQ_FLUSH) {
		log_guest(vq->name, "a request that is not a flush");
		answer(f, vq, s, PMEM_RESP_FAIL);
		return;
	}
	f->n++;
	f->popped++;
}

/*
 * Pops all that is available: this is the generation. At most a ring full, or a driver that
 * keeps sending bad requests, which are answered here, would never let us go.
 */
static void collect(struct flush *f, struct vq *vq)
{
	struct vq_chain c = { .seg = f->segs, .cap = f->segs_cap };

	f->n = 0;
	for (uint32_t i = 0; i < vq->cfg.size && !vq->stopping && vq_pop(vq, &c) == 1; i++)
		accept_chain(f, vq, &c);
}

static void count_time(struct flush *f, uint64_t ns)
{
	f->sync_ns += ns;
	if (ns > f->sync_ns_max)
		f->sync_ns_max = ns;
}

/* One sync for the generation. What to answer. */
static uint32_t sync_generation(struct flush *f)
{
	uint64_t begin;
	int err;

	if (latch_error(f->latch))
		return PMEM_RESP_FAIL;
	f->started = f->popped;
	f->syncs++;
	begin = clock_ns();
	f->next_sync_ns = begin + f->interval_ns;
	err = f->ops->sync(f->ctx);
	count_time(f, clock_ns() - begin);
	if (err) {
		latch_set(f->latch, -err);
		return PMEM_RESP_FAIL;
	}
	f->done = f->started;
	return PMEM_RESP_OK;
}

/* Nanoseconds until the rate limit allows a sync. */
static uint64_t must_wait(const struct flush *f)
{
	uint64_t now;

	if (!f->interval_ns)
		return 0;
	now = clock_ns();
	return now < f->next_sync_ns ? f->next_sync_ns - now : 0;
}

uint64_t flush_serve(struct flush *f, struct vq *vq, bool refuse)
{
	if (make_room(f, vq)) {
		vq_break(vq, -ENOMEM, "out of memory");
		return UINT64_MAX;
	}
	while (!vq->stopping && !vq->broken) {
		uint64_t wait = refuse ? 0 : must_wait(f);
		uint32_t ret = PMEM_RESP_FAIL;

		vq_kicks_off(vq);
		if (wait)
			return wait;
		vq_refresh(vq);
		collect(f, vq);
		if (f->n && !refuse)
			ret = sync_generation(f);
		for (uint32_t i = 0; i < f->n && !vq->broken; i++)
			answer(f, vq, &f->slots[i], ret);
		vq_publish(vq);
		if (!f->n && vq_kicks_on(vq) <= 0)
			break;
	}
	return UINT64_MAX;
}
