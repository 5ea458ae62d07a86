/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, device side: VIRTIO 1.3, section 2.7.
 *
 * All functions that touch the ring come in two halves: the inner one may fault if the
 * memory goes away, so it runs inside fault_guard(), holds no lock and owns nothing; the
 * outer one turns a fault into a broken queue.
 *
 * Order. The driver writes descriptors and the available entry, then releases avail->idx;
 * we acquire it, then read them. We write the answer and the used entry, then release
 * used->idx; the driver acquires it. For notifications each side publishes its index, does
 * a full fence and reads the other's switch; so at least one of the two sees the other.
 */
#include "virtio/split.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/align.h"
#include "base/barrier.h"
#include "base/event_idx.h"
#include "base/macros.h"
#include "virtio/fault.h"

/* 2.7.10: used_event is in the available ring, written by the driver; avail_event is ours. */
static le16 *used_event(const struct vq *vq)
{
	return &vq->avail->ring[vq->cfg.size];
}

static le16 *avail_event(const struct vq *vq)
{
	return (le16 *)&vq->used->ring[vq->cfg.size];
}

/* Turns what a guarded half returned into what the caller sees. */
static int outcome(struct vq *vq, int ret, const char *why)
{
	if (ret == -EFAULT)
		why = "its memory was taken away";
	return ret < 0 ? vq_break(vq, ret, why) : ret;
}

/* A part of the used ring has been written. */
static void wrote(struct vq *vq, const void *part, size_t len)
{
	if (vq->log.data || vq->log.used)
		vq_wrote_used(vq, (uint64_t)((const char *)part - (const char *)vq->used), len);
}

int split_translate(struct vq *vq, const struct mem_table *mem)
{
	const struct vq_config *cfg = &vq->cfg;
	void *desc = mem_by_uva(mem, cfg->desc_uva, VRING_DESC_BYTES(cfg->size));
	void *avail = mem_by_uva(mem, cfg->avail_uva, VRING_AVAIL_BYTES(cfg->size));
	void *used = mem_by_uva(mem, cfg->used_uva, VRING_USED_BYTES(cfg->size));

	if (!desc || !avail || !used)
		return -EFAULT;
	/* Our own addresses: the front end's need not be aligned alike. */
	if (!is_aligned((uintptr_t)desc, VRING_DESC_ALIGN) ||
	    !is_aligned((uintptr_t)avail, VRING_AVAIL_ALIGN) ||
	    !is_aligned((uintptr_t)used, VRING_USED_ALIGN))
		return -EINVAL;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	return 0;
}

static int start_guarded(void *arg)
{
	struct vq *vq = arg;

	vq->next_used = ring_load(&vq->used->idx);
	vq->published = vq->next_used;
	/* Who had the ring before may owe a call: the first publish makes up for it. */
	vq->signalled = (uint16_t)(vq->next_used - vq->cfg.size);
	return 0;
}

int split_start(struct vq *vq)
{
	return fault_guard(start_guarded, vq);
}

/* A descriptor in private memory. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Each field once: the driver may change it while we look. */
static struct desc desc_read(const struct vring_desc *d)
{
	return (struct desc){
		.addr = LE_SWAP64(__atomic_load_n(&d->addr.v, __ATOMIC_RELAXED)),
		.len = ring_load32(&d->len),
		.flags = ring_load(&d->flags),
		.next = ring_load(&d->next),
	};
}

/* A walk over the descriptors of one chain. */
struct walk {
	struct vq *vq;
	struct vq_chain *chain;
	const struct vring_desc *table; /* the ring's own, or an indirect one; NULL: at odd_table */
	uint64_t odd_table;		/* guest address of one that is not aligned, or in pieces */
	uint32_t table_len;		/* entries */
	bool indirect;			/* in an indirect table, which may be the ring's own */
	uint32_t left;			/* buffers the chain may still have */
	const char *why;		/* what was wrong, for the message */
};

static int bad(struct walk *w, const char *why)
{
	w->why = why;
	return -EINVAL;
}

/* Adds the buffer of d, in as many pieces as it has in our address space. */
static int add_buffer(struct walk *w, const struct desc *d)
{
	struct vq_chain *c = w->chain;
	bool writable = d->flags & VRING_DESC_F_WRITE;
	uint32_t *total = writable ? &c->writable_len : &c->readable_len;
	uint64_t addr = d->addr;
	uint64_t left = d->len;

	if (!w->left--)
		return bad(w, "a chain that loops or is too long");
	if (!writable && c->n_writable)
		return bad(w, "a device-readable descriptor after a device-writable one");
	if (d->len > UINT32_MAX - c->readable_len - c->writable_len)
		return bad(w, "a chain of more than 4 GiB");
	*total += d->len;
	while (left) {
		uint64_t len = left;
		void *host = mem_span(w->vq->mem, addr, &len);
		unsigned n = c->n_readable + c->n_writable;

		if (n == c->cap)
			return bad(w, "a chain in too many pieces");
		if (!host)
			len = left; /* the rest of this buffer is the request's problem */
		c->seg[n] = (struct iovec){ host, len };
		*(writable ? &c->n_writable : &c->n_readable) += 1;
		addr += len;
		left -= len;
	}
	return 0;
}

/* Copies len bytes of guest memory, which may be in several regions. dst NULL: only looks. */
static bool gather(const struct mem_table *mem, uint64_t addr, uint64_t len, uint8_t *dst)
{
	while (len) {
		uint64_t part = len;
		const void *host = mem_span(mem, addr, &part);

		if (!host)
			return false;
		if (dst) {
			memcpy(dst, host, part);
			dst += part;
		}
		addr += part;
		len -= part;
	}
	return true;
}

/* Entry i, which is inside of the table. */
static struct desc table_read(const struct walk *w, uint32_t i)
{
	struct vring_desc copy = { 0 };

	if (w->table)
		return desc_read(&w->table[i]);
	gather(w->vq->mem, w->odd_table + i * sizeof(copy), sizeof(copy), (uint8_t *)&copy);
	return desc_read(&copy);
}

/* Makes the walk go on in the table that d points to; it is the last of its own (2.7.5.3). */
static int enter_indirect(struct walk *w, const struct desc *d)
{
	uint64_t len = d->len;

	if (!w->vq->indirect)
		return bad(w, "an indirect descriptor without the feature");
	if (w->indirect)
		return bad(w, "an indirect descriptor inside an indirect table");
	if (d->flags & VRING_DESC_F_NEXT)
		return bad(w, "an indirect descriptor with a next one");
	if (!d->len || d->len % sizeof(struct vring_desc))
		return bad(w, "an indirect table of a wrong size");
	w->indirect = true;
	w->table = mem_span(w->vq->mem, d->addr, &len);
	w->table_len = d->len / sizeof(struct vring_desc);
	if (w->table && len == d->len && is_aligned((uintptr_t)w->table, sizeof(le64)))
		return 0;
	/* Neither alignment nor being in one region is required of it: it is read in copies. */
	w->table = NULL;
	w->odd_table = d->addr;
	if (!gather(w->vq->mem, d->addr, d->len, NULL))
		return bad(w, "an indirect table outside memory");
	return 0;
}

/* Walks the chain from index i of the ring's table. */
static int walk_chain(struct walk *w, uint32_t i)
{
	struct desc d;
	int ret;

	for (;;) {
		if (i >= w->table_len)
			return bad(w, "a descriptor index outside the table");
		d = table_read(w, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			ret = enter_indirect(w, &d);
			i = 0;
		} else {
			ret = add_buffer(w, &d);
			i = d.next;
		}
		if (ret)
			return ret;
		if (!(d.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)))
			return 0;
	}
}

/* How many chains wait; -EINVAL if the index cannot be right. */
static int available(struct walk *w)
{
	struct vq *vq = w->vq;

	if (vq->avail_seen == vq->next_avail) {
		vq->avail_seen = ring_load_acquire(&vq->avail->idx);
		if ((uint16_t)(vq->avail_seen - vq->next_avail) > vq->cfg.size)
			return bad(w, "an available index that is too far ahead");
	}
	return (uint16_t)(vq->avail_seen - vq->next_avail);
}

static int pop_guarded(void *arg)
{
	struct walk *w = arg;
	struct vq *vq = w->vq;
	int ret = available(w);

	if (ret <= 0)
		return ret;
	if (vq->inflight == vq->cfg.size)
		return bad(w, "more requests than the queue has entries");
	w->chain->head = ring_load(&vq->avail->ring[vq->next_avail % vq->cfg.size]);
	ret = walk_chain(w, w->chain->head);
	return ret ? ret : 1;
}

int vq_pop(struct vq *vq, struct vq_chain *c)
{
	struct walk w = {
		.vq = vq,
		.chain = c,
		.table = vq->desc,
		.table_len = vq->cfg.size,
		.left = vq_chain_max(vq) / 2,
	};
	int ret;

	if (vq->broken)
		return vq->broken;
	c->n_readable = c->n_writable = 0;
	c->readable_len = c->writable_len = 0;
	ret = fault_guard(pop_guarded, &w);
	if (ret == 1) {
		vq->next_avail++;
		vq->inflight++;
	}
	return outcome(vq, ret, w.why);
}

struct push {
	struct vq *vq;
	uint32_t head;
	uint32_t len;
};

static int push_guarded(void *arg)
{
	const struct push *p = arg;
	const struct vq *vq = p->vq;

	vq->used->ring[vq->next_used % vq->cfg.size] = (struct vring_used_elem){
		.id = le32_of(p->head),
		.len = le32_of(p->len),
	};
	return 0;
}

int vq_push(struct vq *vq, uint16_t head, uint32_t len)
{
	struct push p = { .vq = vq, .head = head, .len = len };
	int ret;

	if (vq->broken)
		return vq->broken;
	assert(vq->inflight);
	ret = fault_guard(push_guarded, &p);
	if (!ret) {
		wrote(vq, &vq->used->ring[vq->next_used % vq->cfg.size], sizeof(vq->used->ring[0]));
		vq->next_used++;
		vq->inflight--;
	}
	return outcome(vq, ret, NULL);
}

static int publish_guarded(void *arg)
{
	const struct vq *vq = arg;

	ring_store_release(&vq->used->idx, vq->next_used);
	ring_fence(); /* pairs with the driver's, between its switch and its look at used->idx */
	if (vq->event_idx)
		return event_idx_passed(ring_load(used_event(vq)), vq->next_used, vq->signalled);
	return !(ring_load(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

int split_publish(struct vq *vq)
{
	int ret;

	if (vq->broken)
		return vq->broken;
	if (vq->published == vq->next_used)
		return 0;
	ret = fault_guard(publish_guarded, vq);
	if (ret >= 0) {
		wrote(vq, &vq->used->idx, sizeof(vq->used->idx));
		vq->published = vq->next_used;
		vq->signalled = vq->next_used;
	}
	return outcome(vq, ret, NULL);
}

static int kicks_off_guarded(void *arg)
{
	const struct vq *vq = arg;

	/* With event index the point we asked for is behind us: nothing to write. */
	if (!vq->event_idx)
		ring_store(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
	return 0;
}

/* The switch for kicks has been written. */
static void wrote_switch(struct vq *vq)
{
	wrote(vq, vq->event_idx ? (void *)avail_event(vq) : (void *)&vq->used->flags, sizeof(le16));
}

void vq_kicks_off(struct vq *vq)
{
	if (vq->broken)
		return;
	outcome(vq, fault_guard(kicks_off_guarded, vq), NULL);
	if (!vq->event_idx)
		wrote_switch(vq);
}

static int kicks_on_guarded(void *arg)
{
	const struct vq *vq = arg;

	if (vq->event_idx)
		ring_store(avail_event(vq), vq->next_avail);
	else
		ring_store(&vq->used->flags, 0);
	ring_fence(); /* pairs with the driver's, between avail->idx and its look at the switch */
	return ring_load(&vq->avail->idx) != vq->next_avail;
}

int vq_kicks_on(struct vq *vq)
{
	int ret;

	if (vq->broken)
		return vq->broken;
	ret = fault_guard(kicks_on_guarded, vq);
	wrote_switch(vq);
	return outcome(vq, ret, NULL);
}

bool split_peek(const struct vq *vq)
{
	return ring_load(&vq->avail->idx) != vq->next_avail;
}
