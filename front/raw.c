/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/macros.h"
#include "front/queue.h"
#include "front/ram.h"
#include "host/fd.h"
#include "wire/ring.h"

#define DEFAULT_QUEUE_SIZE 128u
#define DEFAULT_BYTES	   KIB(16)

static int make_queue(struct front_raw *r, unsigned int i)
{
	const size_t tables = sizeof(struct vring_desc) * FRONT_RAW_SEGS * FRONT_RAW_DEPTH;
	struct front_raw_queue *q = &r->q[i];
	struct front *f = r->f;
	void *mem;
	int ret;

	mem = front_ram_alloc(f, VDAX_RING_BYTES(r->queue_size), VDAX_RING_ALIGN);
	q->tables = front_ram_alloc(f, tables, VRING_DESC_ALIGN);
	q->ring_slots = calloc(r->queue_size, sizeof(*q->ring_slots));
	if (!mem || !q->tables || !q->ring_slots)
		return -ENOMEM;
	for (unsigned int s = 0; s < FRONT_RAW_DEPTH; s++) {
		q->slot[s].mem = front_ram_alloc(f, r->bytes, 64);
		if (!q->slot[s].mem)
			return -ENOMEM;
	}
	ret = vdax_ring_init(&q->ring, mem, q->ring_slots, r->queue_size, f->features);
	if (!ret)
		front_queue_set(f, i, r->queue_size, q->ring.desc, q->ring.avail, q->ring.used);
	return ret;
}

/* What fits all queues, unless the caller says more. */
static uint64_t ram_for(const struct front_raw *r, const struct front_opts *fo)
{
	uint64_t each = VDAX_RING_BYTES(r->queue_size) + KIB(64) +
			(align_up(r->bytes, 64) + KIB(1)) * FRONT_RAW_DEPTH;

	return MAX(fo->ram_size, align_up(MAX(fo->num_queues, 1u) * each + MIB(1), MIB(2)));
}

int front_raw_open(struct front_raw **out, const struct front_raw_opts *opts)
{
	struct front_raw *r = calloc(1, sizeof(*r));
	struct front_opts fo = opts->front;
	int ret;

	*out = NULL;
	if (!r) {
		fd_close(&fo.fd);
		return -ENOMEM;
	}
	r->queue_size = opts->queue_size ? opts->queue_size : DEFAULT_QUEUE_SIZE;
	r->bytes = opts->bytes ? opts->bytes : DEFAULT_BYTES;
	fo.ram_size = ram_for(r, &fo);
	ret = front_open(&r->f, &fo);
	if (!ret)
		r->f->features &= VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
				  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
	for (unsigned int i = 0; !ret && i < r->f->num_queues; i++)
		ret = make_queue(r, i);
	if (!ret && !opts->before_start)
		ret = front_start(r->f);
	if (ret) {
		front_raw_close(r);
		return ret;
	}
	*out = r;
	return 0;
}

void front_raw_close(struct front_raw *r)
{
	if (!r)
		return;
	front_close(r->f);
	for (unsigned int i = 0; i < FRONT_MAX_QUEUES; i++)
		free(r->q[i].ring_slots);
	free(r);
}

/* Pieces of the chain, in the order of memory. Returns how many, or -EINVAL. */
static int fill_segs(struct front_raw *r, uint8_t *mem, const struct iovec *readable,
		     unsigned int n, size_t writable, size_t piece, struct vdax_seg *seg)
{
	uint64_t addr = front_ram_gpa(r->f, mem, r->bytes);
	unsigned int k = 0;

	for (; k < n; k++) {
		memcpy(mem, readable[k].iov_base, readable[k].iov_len);
		mem += readable[k].iov_len;
		seg[k] = (struct vdax_seg){ addr, (uint32_t)readable[k].iov_len };
		addr += readable[k].iov_len;
	}
	while (writable) {
		size_t len = piece ? MIN(piece, writable) : writable;

		if (k == FRONT_RAW_SEGS)
			return -EINVAL;
		seg[k++] = (struct vdax_seg){ addr, (uint32_t)len };
		addr += len;
		writable -= len;
	}
	return (int)k;
}

static int free_slot(const struct front_raw_queue *q)
{
	for (unsigned int s = 0; s < FRONT_RAW_DEPTH; s++) {
		if (!q->slot[s].busy)
			return (int)s;
	}
	return -EAGAIN;
}

int front_raw_post(struct front_raw *r, unsigned int queue, const struct iovec *readable,
		   unsigned int n, size_t writable, size_t piece)
{
	struct front_raw_queue *q = &r->q[queue];
	struct vdax_seg seg[FRONT_RAW_SEGS];
	struct front_raw_slot *slot;
	struct vring_desc *table;
	size_t sum = 0;
	int s, k, ret;

	if (queue >= r->f->num_queues || n > FRONT_RAW_SEGS)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		sum += readable[i].iov_len;
	if (sum > r->bytes || writable > r->bytes - sum)
		return -EINVAL;
	s = free_slot(q);
	if (s < 0)
		return s;
	slot = &q->slot[s];
	memset(slot->mem, 0, r->bytes);
	k = fill_segs(r, slot->mem, readable, n, writable, piece, seg);
	if (k < 0)
		return k;
	table = &q->tables[(unsigned int)s * FRONT_RAW_SEGS];
	ret = vdax_ring_add(&q->ring, seg, n, (unsigned int)k - n, table,
			    front_ram_gpa(r->f, table, sizeof(*table) * FRONT_RAW_SEGS), slot);
	if (ret)
		return ret;
	slot->busy = true;
	slot->answered = false;
	slot->readable = sum;
	slot->writable = writable;
	if (vdax_ring_publish(&q->ring))
		front_kick(r->f, queue);
	return s;
}

/* Everything that the device has given back. 0, or -EIO if the ring is broken. */
static int collect(struct front_raw_queue *q)
{
	for (;;) {
		struct front_raw_slot *slot;
		uint32_t written;
		void *cookie;
		int ret = vdax_ring_collect(&q->ring, &cookie, &written);

		if (ret < 0)
			return -EIO;
		if (ret) {
			slot = cookie;
			slot->answered = true;
			slot->written = written;
		} else if (vdax_ring_interrupts_on(&q->ring)) {
			return 0;
		}
	}
}

int front_raw_wait(struct front_raw *r, unsigned int queue, int ticket, void *answer, size_t size,
		   int timeout_ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)MAX(timeout_ms, 0) * 1000000;
	struct front_raw_slot *slot;
	struct front_raw_queue *q;
	int ret;

	if (queue >= r->f->num_queues || ticket < 0 || ticket >= (int)FRONT_RAW_DEPTH ||
	    !r->q[queue].slot[ticket].busy)
		return -EINVAL;
	q = &r->q[queue];
	slot = &q->slot[ticket];
	for (;;) {
		uint64_t now = clock_ns();

		ret = collect(q);
		if (ret || slot->answered)
			break;
		if (now >= deadline)
			return -ETIMEDOUT;
		ret = front_poll(r->f, (int)((deadline - now) / 1000000 + 1));
		if (ret < 0)
			return ret;
		if (r->f->q[queue].errs)
			return -EIO;
	}
	if (ret)
		return ret;
	slot->busy = false;
	memcpy(answer, slot->mem + slot->readable, MIN(size, slot->written));
	return (int)slot->written;
}

uint8_t *front_raw_memory(struct front_raw *r, unsigned int queue, int ticket)
{
	return r->q[queue].slot[ticket].mem;
}

int front_raw_call(struct front_raw *r, unsigned int queue, const struct iovec *readable,
		   unsigned int n, void *answer, size_t size, int timeout_ms)
{
	int ticket = front_raw_post(r, queue, readable, n, size, 0);

	return ticket < 0 ? ticket : front_raw_wait(r, queue, ticket, answer, size, timeout_ms);
}
