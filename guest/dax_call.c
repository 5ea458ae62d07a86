/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/dax_call.h"

#include "base/macros.h"
#include "guest/dax_ranges.h"

struct vdax_dax_op *vdax_dax_get_op(struct vdax_dax *d, enum vdax_dax_op_kind kind,
				    struct vdax_dax_rq *waiter)
{
	struct vdax_dax_op *op = d->free_ops;

	if (!op)
		return NULL;
	d->free_ops = op->next;
	d->num_free_ops--;
	op->kind = (uint8_t)kind;
	op->waiter = waiter;
	op->n = 0;
	return op;
}

void vdax_dax_put_op(struct vdax_dax *d, struct vdax_dax_op *op)
{
	op->next = d->free_ops;
	d->free_ops = op;
	d->num_free_ops++;
}

/* It is sent: its waiter is not asked before it ends. */
static void started(struct vdax_dax *d, struct vdax_dax_op *op)
{
	d->under_way++;
	if (op->kind == VDAX_DAX_OP_REMOVE)
		d->removing++;
	if (op->waiter)
		op->waiter->under_way++;
}

/* SETUPMAPPING. Takes op, in every case. 0 or an error. */
static int send_setup(struct vdax_dax *d, struct vdax_dax_op *op, const struct vdax_dax_range *r,
		      bool write)
{
	const uint64_t flags = FUSE_SETUPMAPPING_FLAG_READ |
			       (write ? FUSE_SETUPMAPPING_FLAG_WRITE : 0);
	int ret;

	op->range[op->n++] = vdax_book_index(&d->book, r);
	op->write = write;
	ret = vdax_fs_setupmapping(d->opts.queue, &op->rq, &d->window, r->nodeid, UINT64_MAX,
				   r->file_off, vdax_book_bytes(&d->book, r->order), flags,
				   vdax_book_offset(&d->book, r));
	if (ret)
		vdax_dax_put_op(d, op);
	else
		started(d, op);
	return ret;
}

int vdax_dax_send_new(struct vdax_dax *d, struct vdax_dax_range *r, bool write, bool again,
		      struct vdax_dax_rq *waiter)
{
	int ret = send_setup(d, vdax_dax_get_op(d, VDAX_DAX_OP_SETUP, waiter), r, write);

	if (ret) {
		vdax_book_free(&d->book, r, false);
		return ret;
	}
	d->stats.maps++;
	d->stats.again += again;
	return 0;
}

int vdax_dax_send_upgrade(struct vdax_dax *d, struct vdax_dax_range *r, struct vdax_dax_rq *waiter)
{
	int ret = send_setup(d, vdax_dax_get_op(d, VDAX_DAX_OP_UPGRADE, waiter), r, true);

	if (ret)
		return ret;
	vdax_book_pin(&d->book, r);
	r->upgrading = true;
	d->stats.upgrades++;
	return 0;
}

void vdax_dax_add_removal(struct vdax_dax *d, struct vdax_dax_op *op, struct vdax_dax_range *r)
{
	vdax_book_remove(&d->book, r);
	op->range[op->n++] = vdax_book_index(&d->book, r);
}

int vdax_dax_send_removal(struct vdax_dax *d, struct vdax_dax_op *op)
{
	struct fuse_removemapping_one list[VDAX_FS_LIST_MAX];
	const struct vdax_dax_range *r;
	int ret;

	for (unsigned int i = 0; i < op->n; i++) {
		r = &d->book.r[op->range[i]];
		list[i].moffset = vdax_book_offset(&d->book, r);
		list[i].len = vdax_book_bytes(&d->book, r->order);
	}
	ret = vdax_fs_removemapping(d->opts.queue, &op->rq, &d->window,
				    d->book.r[op->range[0]].nodeid, list, op->n);
	if (ret) {
		while (op->n)
			vdax_book_keep(&d->book, &d->book.r[op->range[--op->n]]);
		vdax_dax_put_op(d, op);
		return ret;
	}
	started(d, op);
	d->stats.removals++;
	d->stats.removed += op->n;
	return 0;
}

/* --- Making room --- */

/* How many ranges go at once: no large part of a small window. */
static unsigned int batch_of(const struct vdax_dax *d, unsigned int order)
{
	const uint32_t eighth = (d->book.n >> order) / 8;

	return MAX(1u, MIN(eighth, d->opts.batch));
}

/* What goes at the same time: a request for each file. */
struct round {
	struct vdax_dax_op *first;
};

/* The one for the file of r, with room; NULL: there is none, and none free. */
static struct vdax_dax_op *op_for(struct vdax_dax *d, struct round *round,
				  const struct vdax_dax_range *r)
{
	struct vdax_dax_op *op = round->first;

	while (op && (op->n == VDAX_FS_LIST_MAX || d->book.r[op->range[0]].nodeid != r->nodeid))
		op = op->next;
	if (op)
		return op;
	op = vdax_dax_get_op(d, VDAX_DAX_OP_REMOVE, NULL);
	if (op) {
		op->next = round->first;
		round->first = op;
	}
	return op;
}

/* All of [first, first + n) that is mapped. False: no more fits. */
static bool add_part(struct vdax_dax *d, struct round *round, uint32_t first, uint32_t n)
{
	struct vdax_dax_book *b = &d->book;

	for (uint32_t i = first; i - first < n; i += (uint32_t)1 << b->r[i].order) {
		struct vdax_dax_op *op;

		if (b->r[i].state != VDAX_DAX_READY)
			continue;
		op = op_for(d, round, &b->r[i]);
		if (!op)
			return false;
		vdax_dax_add_removal(d, op, &b->r[i]);
	}
	return true;
}

int vdax_dax_reclaim(struct vdax_dax *d, unsigned int order)
{
	struct round round = { NULL };
	uint32_t first, n;
	int ret = 0;

	for (unsigned int k = batch_of(d, order); k; k--) {
		if (!vdax_book_victim(&d->book, order, &first, &n) ||
		    !add_part(d, &round, first, n))
			break;
	}
	while (round.first) {
		struct vdax_dax_op *op = round.first;
		const unsigned int ranges = op->n;
		int sent;

		round.first = op->next;
		sent = vdax_dax_send_removal(d, op);
		if (!sent)
			d->stats.reclaimed += ranges;
		if (ret <= 0)
			ret = sent ? sent : 1;
	}
	return ret;
}
