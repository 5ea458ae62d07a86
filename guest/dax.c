/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DAX window: what is asked. The books are in dax_ranges.c, requests to the device in
 *dax_call.c.
 *
 * A request of the embedder (struct vdax_dax_rq) is a question that is asked again and again: can
 * it be settled now? If not, something is under way that will change the answer: a request to the
 * device (struct vdax_dax_op) that it has sent itself, or that of another. So each end of an op
 * asks for all that wait, in the order they came, before any callback runs. Nobody waits for an
 * unpin, which may never come.
 *
 *	map	find; else take a free range and send SETUPMAPPING; else send REMOVEMAPPING for the
 *		ranges that are to go, and take what becomes free
 *	forget	send REMOVEMAPPING for all that is mapped, wait for what is under way
 *
 * Callbacks run last in the end of an op, when everything is in order again, so they may call
 * any function.
 */
#include "vdax/dax.h"

#include "base/align.h"
#include "base/macros.h"
#include "base/range.h"
#include "guest/dax_call.h"
#include "guest/dax_ranges.h"
#include "vdax/errno.h"
#include "wire/virtio_fs.h"

/* A reader is sequential if it has used the range before this one so few changes ago. */
#define RECENT 16u

static void op_done(struct vdax_fs_rq *rq, int ret);

/* --- Set-up --- */

static unsigned int log2_of(uint64_t x)
{
	return 63 - (unsigned int)__builtin_clzll(x);
}

/* Fills in what is 0. */
static bool opts_ok(struct vdax_dax_opts *o)
{
	const struct vdax_fs *fs = o->queue->fs;

	if (!o->min_range)
		o->min_range = o->max_range ? o->max_range : VDAX_DAX_RANGE;
	if (!o->max_range)
		o->max_range = o->min_range;
	if (!o->batch)
		o->batch = VDAX_DAX_BATCH;
	return fs->ready && is_pow2(o->min_range) && is_pow2(o->max_range) &&
	       o->min_range <= o->max_range && o->min_range >= fs->map_alignment &&
	       log2_of(o->max_range) - log2_of(o->min_range) < VDAX_DAX_ORDERS &&
	       o->batch <= VDAX_DAX_BATCH_MAX && o->num_ops >= 2;
}

static int begin(struct vdax_dax *d)
{
	const struct vdax_dax_opts *o = &d->opts;
	const unsigned int shift = log2_of(o->min_range);
	uint64_t n = d->window.region.len >> shift;

	if (n > o->num_ranges)
		n = o->num_ranges;
	if (!n || n == VDAX_DAX_NONE)
		return -VDAX_EINVAL;
	vdax_book_init(&d->book, o->ranges, (uint32_t)n, shift, log2_of(o->max_range) - shift + 1);
	d->free_ops = NULL;
	for (unsigned int i = 0; i < o->num_ops; i++) {
		o->ops[i] = (struct vdax_dax_op){ .rq.done = op_done, .d = d, .next = d->free_ops };
		d->free_ops = &o->ops[i];
	}
	d->num_free_ops = o->num_ops;
	d->last = VDAX_DAX_NONE;
	return 0;
}

int vdax_dax_init(struct vdax_dax *d, const struct vdax_dax_opts *opts)
{
	const struct vdax_platform *p = opts->platform;
	struct vdax_region region;
	int ret;

	*d = (struct vdax_dax){ .opts = *opts };
	if (!opts_ok(&d->opts))
		return -VDAX_EINVAL;
	ret = p->ops->shm_region(p->ctx, VIRTIO_FS_SHMID_CACHE, &region);
	if (!ret)
		ret = vdax_window_init(&d->window, p, &region, opts->base);
	return ret ? ret : begin(d);
}

int vdax_dax_reset(struct vdax_dax *d)
{
	struct vdax_dax_stats stats = d->stats;
	const struct vdax_dax_opts o = d->opts;
	int ret;

	if (d->under_way || d->book.pinned)
		return -VDAX_EBUSY;
	ret = vdax_dax_init(d, &o);
	d->stats = stats;
	return ret;
}

/* --- What is asked: 1 if it is settled well, 0 if it has to wait, or an error --- */

/* Wait for better times if something will end. */
static int unless_full(const struct vdax_dax *d, int ret)
{
	return ret == -VDAX_EAGAIN && d->under_way ? 0 : ret;
}

/* The smallest that has len bytes, or the largest. */
static unsigned int order_for(const struct vdax_dax_book *b, uint64_t len)
{
	unsigned int order = 0;

	while (order + 1 < b->orders && vdax_book_bytes(b, order) < len)
		order++;
	return order;
}

/* A free range, unless there are as many as there may be. */
static struct vdax_dax_range *take(struct vdax_dax *d, unsigned int order, uint64_t nodeid,
				   uint64_t off, bool *again)
{
	if (d->opts.max_mapped && d->book.mapped >= d->opts.max_mapped)
		return NULL;
	return vdax_book_take(&d->book, order, nodeid, off, again);
}

/* See that take() will succeed. As vdax_dax_reclaim(). */
static int make_room(struct vdax_dax *d, unsigned int order)
{
	bool too_many = d->opts.max_mapped && d->book.mapped >= d->opts.max_mapped;

	return vdax_dax_reclaim(d, too_many ? 0 : order);
}

static int map_new(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	unsigned int order = order_for(&d->book, rq->len);

	if (!d->free_ops)
		return 0;
	order = vdax_book_fit(&d->book, order, rq->nodeid, rq->off);
	for (;; order--) {
		bool again;
		struct vdax_dax_range *r = take(d, order, rq->nodeid, rq->off, &again);
		int ret;

		if (r)
			return unless_full(d, vdax_dax_send_new(d, r, rq->write, again, rq));
		if (d->removing)
			return 0;
		ret = make_room(d, order);
		if (ret)
			return ret > 0 ? 0 : unless_full(d, ret);
		if (!order) {
			d->stats.full++;
			return -VDAX_EAGAIN;
		}
	}
}

/* Map what comes after r, as far as it is not, with what is free; see that something will be. */
static void map_ahead(struct vdax_dax *d, const struct vdax_dax_range *r, uint64_t size, bool write)
{
	const uint64_t bytes = vdax_book_bytes(&d->book, r->order);
	uint64_t off = r->file_off;

	for (unsigned int i = 0; i < d->opts.ahead && d->num_free_ops > 1; i++) {
		struct vdax_dax_range *next;
		bool again;

		if (size <= bytes || off >= size - bytes)
			return;
		off += bytes;
		if (vdax_book_find(&d->book, r->nodeid, off) ||
		    vdax_book_fit(&d->book, r->order, r->nodeid, off) != r->order)
			continue;
		next = take(d, r->order, r->nodeid, off, &again);
		if (!next) {
			if (!d->removing)
				make_room(d, r->order);
			return;
		}
		next->ahead = true;
		if (vdax_dax_send_new(d, next, write, again, NULL))
			return;
		d->stats.ahead++;
	}
}

static bool is_sequential(const struct vdax_dax *d, const struct vdax_dax_range *r)
{
	const struct vdax_dax_range *before;

	if (!r->file_off)
		return false;
	before = vdax_book_find(&d->book, r->nodeid, r->file_off - 1);
	return before && before->state == VDAX_DAX_READY && !before->ahead &&
	       d->book.clock - before->stamp <= RECENT;
}

static void pin(struct vdax_dax *d, struct vdax_dax_rq *rq, struct vdax_dax_range *r)
{
	const uint64_t at = rq->off - r->file_off;
	const uint64_t left = vdax_book_bytes(&d->book, r->order) - at;

	vdax_book_pin(&d->book, r);
	rq->pin = (struct vdax_dax_pin){ .range = r,
					 .window_off = vdax_book_offset(&d->book, r) + at,
					 .len = MIN(left, rq->len) };
}

/* rq has what it wants. */
static void grant(struct vdax_dax *d, struct vdax_dax_rq *rq, struct vdax_dax_range *r)
{
	const uint32_t i = vdax_book_index(&d->book, r);
	const bool changed = i != d->last;

	if (changed) {
		d->book.clock++;
		d->last = i;
	}
	pin(d, rq, r);
	d->stats.ahead_hits += r->ahead;
	r->ahead = false;
	if (changed && d->opts.ahead && is_sequential(d, r))
		map_ahead(d, r, rq->size, rq->write);
}

static int ask_map(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	struct vdax_dax_range *r = vdax_book_find(&d->book, rq->nodeid, rq->off);

	if (!r)
		return map_new(d, rq);
	if (r->state != VDAX_DAX_READY) /* also what is on its way out has to end first */
		return 0;
	if (!rq->write || r->writable) {
		grant(d, rq, r);
		return 1;
	}
	if (r->upgrading || !d->free_ops)
		return 0;
	return unless_full(d, vdax_dax_send_upgrade(d, r, rq));
}

/* Adds what is mapped of the file to op. False if something else has to end first. */
static bool add_file(struct vdax_dax *d, struct vdax_dax_op *op, uint64_t nodeid, bool *pinned)
{
	struct vdax_dax_range *r = NULL;
	bool all = true;

	while (op->n < VDAX_FS_LIST_MAX && (r = vdax_book_of_file(&d->book, nodeid, r))) {
		if (r->state == VDAX_DAX_READY && !r->pins)
			vdax_dax_add_removal(d, op, r);
		else if (r->state == VDAX_DAX_READY && !r->upgrading)
			*pinned = true;
		else
			all = false;
	}
	return all;
}

/* The device's errors are told at the end; what stops it is that nothing can be sent. */
static int ask_forget(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	bool all = false, pinned = false;
	int ret = 0;

	while (!ret && d->free_ops) {
		struct vdax_dax_op *op = vdax_dax_get_op(d, VDAX_DAX_OP_REMOVE, rq);

		all = add_file(d, op, rq->nodeid, &pinned);
		if (!op->n) {
			vdax_dax_put_op(d, op);
			break;
		}
		all = false; /* it has to end first */
		ret = vdax_dax_send_removal(d, op);
	}
	if (ret && unless_full(d, ret))
		rq->ret = ret;
	else if (!all)
		return 0;
	else if (pinned && !rq->ret)
		rq->ret = -VDAX_EBUSY;
	if (rq->under_way)
		return 0;
	return rq->ret ? rq->ret : 1;
}

static int ask(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	if (rq->settled)
		return rq->ret < 0 ? rq->ret : 1;
	if (rq->forgets)
		return ask_forget(d, rq);
	return rq->under_way ? 0 : ask_map(d, rq);
}

/* --- The end of a request to the device --- */

static void settle(struct vdax_dax_rq *rq, int ret)
{
	rq->settled = true;
	rq->ret = ret;
}

static void end_setup(struct vdax_dax *d, struct vdax_dax_op *op, int ret)
{
	struct vdax_dax_range *r = &d->book.r[op->range[0]];

	if (ret < 0) {
		d->stats.failed++;
		vdax_book_free(&d->book, r, false);
	} else {
		r->writable = op->write;
		vdax_book_ready(&d->book, r);
		if (op->waiter)
			grant(d, op->waiter, r);
	}
	if (op->waiter)
		settle(op->waiter, ret);
}

/* It can be read all the time. */
static void end_upgrade(struct vdax_dax *d, struct vdax_dax_op *op, int ret)
{
	struct vdax_dax_range *r = &d->book.r[op->range[0]];

	r->upgrading = false;
	if (ret < 0) {
		d->stats.failed++;
	} else {
		r->writable = true;
		grant(d, op->waiter, r);
	}
	vdax_book_unpin(&d->book, r);
	settle(op->waiter, ret);
}

static void end_removal(struct vdax_dax *d, struct vdax_dax_op *op, int ret)
{
	for (unsigned int i = 0; i < op->n; i++) {
		struct vdax_dax_range *r = &d->book.r[op->range[i]];

		if (ret < 0) {
			d->stats.lost++;
			vdax_book_lose(&d->book, r);
		} else {
			vdax_book_free(&d->book, r, true);
		}
	}
	d->removing--;
	if (op->waiter && ret < 0 && !op->waiter->ret)
		op->waiter->ret = ret;
}

static void (*const end[])(struct vdax_dax *, struct vdax_dax_op *,
			   int) = { [VDAX_DAX_OP_SETUP] = end_setup,
				    [VDAX_DAX_OP_UPGRADE] = end_upgrade,
				    [VDAX_DAX_OP_REMOVE] = end_removal };

/* Ask for all that wait; what is settled goes over to ended. Both in the order they came. */
static void ask_all(struct vdax_dax *d)
{
	struct vdax_dax_rq **at = &d->waiting, **tail = &d->ended;

	while (*tail)
		tail = &(*tail)->next;
	while (*at) {
		struct vdax_dax_rq *rq = *at;
		int ret = ask(d, rq);

		if (!ret) {
			at = &rq->next;
			continue;
		}
		*at = rq->next;
		rq->next = NULL;
		rq->ret = ret < 0 ? ret : 0;
		*tail = rq;
		tail = &rq->next;
	}
}

static void op_done(struct vdax_fs_rq *rq, int ret)
{
	struct vdax_dax_op *op = container_of(rq, struct vdax_dax_op, rq);
	struct vdax_dax *d = op->d;
	struct vdax_dax_rq *ended;

	d->under_way--;
	if (op->waiter)
		op->waiter->under_way--;
	end[op->kind](d, op, ret);
	vdax_dax_put_op(d, op);
	ask_all(d);
	while ((ended = d->ended)) { /* a callback may end others */
		d->ended = ended->next;
		ended->busy = false;
		ended->done(ended, ended->ret);
	}
}

/* --- What the embedder calls --- */

static int begin_rq(struct vdax_dax *d, struct vdax_dax_rq *rq, bool forgets)
{
	struct vdax_dax_rq **at = &d->waiting;
	int ret;

	rq->pin = (struct vdax_dax_pin){ 0 };
	rq->next = NULL;
	rq->forgets = forgets;
	rq->settled = false;
	rq->under_way = 0;
	rq->ret = 0;
	ret = ask(d, rq);
	if (ret)
		return ret;
	rq->busy = true;
	while (*at)
		at = &(*at)->next;
	*at = rq;
	return 0;
}

static int check_map(const struct vdax_dax *d, const struct vdax_dax_rq *rq)
{
	if (rq->busy)
		return -VDAX_EBUSY;
	if (!d->window.base && !d->opts.accessors)
		return -VDAX_ENOTSUP;
	if (!rq->nodeid || !rq->len || !range_ok(rq->off, rq->len, INT64_MAX))
		return -VDAX_EINVAL;
	return 0;
}

int vdax_dax_map(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	int ret = check_map(d, rq);

	if (ret)
		return ret;
	ret = begin_rq(d, rq, false);
	d->stats.hits += ret > 0;
	d->stats.misses += ret == 0;
	return ret;
}

int vdax_dax_lookup(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	struct vdax_dax_range *r;
	int ret = check_map(d, rq);

	if (ret)
		return ret;
	rq->pin = (struct vdax_dax_pin){ 0 };
	r = vdax_book_find(&d->book, rq->nodeid, rq->off);
	if (!r || r->state != VDAX_DAX_READY || (rq->write && !r->writable))
		return -VDAX_ENOENT;
	pin(d, rq, r);
	return 0;
}

void vdax_dax_unpin(struct vdax_dax *d, struct vdax_dax_pin *p)
{
	vdax_book_unpin(&d->book, p->range);
	p->range = NULL;
}

int vdax_dax_ptr(const struct vdax_dax *d, const struct vdax_dax_pin *p, void **ptr)
{
	return vdax_window_ptr(&d->window, p->window_off, p->len, ptr);
}

int vdax_dax_read(const struct vdax_dax *d, const struct vdax_dax_pin *p, uint64_t at, void *dst,
		  size_t len)
{
	if (!range_ok(at, len, p->len))
		return -VDAX_ERANGE;
	return vdax_window_read(&d->window, p->window_off + at, dst, len);
}

int vdax_dax_write(const struct vdax_dax *d, const struct vdax_dax_pin *p, uint64_t at,
		   const void *src, size_t len)
{
	if (!p->range->writable)
		return -VDAX_EINVAL;
	if (!range_ok(at, len, p->len))
		return -VDAX_ERANGE;
	return vdax_window_write(&d->window, p->window_off + at, src, len);
}

int vdax_dax_forget(struct vdax_dax *d, struct vdax_dax_rq *rq)
{
	const struct vdax_dax_range *r = NULL;

	if (rq->busy)
		return -VDAX_EBUSY;
	while ((r = vdax_book_of_file(&d->book, rq->nodeid, r))) {
		if (r->pins > r->upgrading)
			return -VDAX_EBUSY;
	}
	return begin_rq(d, rq, true);
}
