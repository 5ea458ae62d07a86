/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver side of a split virtqueue: VIRTIO 1.3, section 2.7.
 *
 * A chain goes through three states: free (its descriptors are on the free list), added
 * (filled in and entered in the available ring, beyond the index that the device sees), live
 * (published: the device owns it until it appears in the used ring). The free list and the
 * lengths of chains are in slots[], private memory: nothing that the device could have
 * changed is read back, except the used ring itself, each field once.
 */
#include "vdax/ring.h"

#include "base/align.h"
#include "base/barrier.h"
#include "base/event_idx.h"
#include "vdax/errno.h"
#include "wire/ring.h"

_Static_assert(VDAX_RING_AVAIL(8) == VRING_DESC_BYTES(8), "avail ring follows the table");
_Static_assert(VDAX_RING_USED(1) >= VRING_DESC_BYTES(1) + VRING_AVAIL_BYTES(1), "used, 1");
_Static_assert(VDAX_RING_USED(256) >= VRING_DESC_BYTES(256) + VRING_AVAIL_BYTES(256), "used, 256");
_Static_assert(VDAX_RING_BYTES(256) == VDAX_RING_USED(256) + VRING_USED_BYTES(256), "bytes");
_Static_assert(VDAX_RING_ALIGN % VRING_DESC_ALIGN == 0, "alignment");

/* End of a list of slots: no ring has that many. */
#define SLOT_NONE UINT16_MAX

/* Where we tell the device at which used index to interrupt. */
static le16 *used_event(struct vdax_ring *r)
{
	return &r->avail->ring[r->size];
}

/* Where the device tells us at which available index to notify it. */
static const le16 *avail_event(const struct vdax_ring *r)
{
	return (const le16 *)&r->used->ring[r->size];
}

int vdax_ring_init(struct vdax_ring *r, void *mem, struct vdax_ring_slot *slots, unsigned int size,
		   uint64_t features)
{
	uint8_t *m = mem;

	if (!is_pow2(size) || size > VRING_SIZE_MAX)
		return -VDAX_EINVAL;
	if (!is_aligned((uintptr_t)mem, VDAX_RING_ALIGN))
		return -VDAX_EINVAL;

	__builtin_memset(mem, 0, VDAX_RING_BYTES(size));
	*r = (struct vdax_ring){
		.desc = mem,
		.avail = (void *)(m + VDAX_RING_AVAIL(size)),
		.used = (void *)(m + VDAX_RING_USED(size)),
		.slots = slots,
		.size = (uint16_t)size,
		.num_free = (uint16_t)size,
		.unpublished = SLOT_NONE,
		.event_idx = features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX),
		.indirect = features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC),
	};
	for (unsigned int i = 0; i < size; i++)
		slots[i] = (struct vdax_ring_slot){ .next = (uint16_t)(i + 1) };
	return 0;
}

static struct vring_desc desc_of(const struct vdax_seg *seg, bool writable, bool more,
				 unsigned int next)
{
	unsigned int flags = (writable ? VRING_DESC_F_WRITE : 0) | (more ? VRING_DESC_F_NEXT : 0);

	return (struct vring_desc){
		.addr = le64_of(seg->addr),
		.len = le32_of(seg->len),
		.flags = le16_of((uint16_t)flags),
		.next = le16_of((uint16_t)(more ? next : 0)),
	};
}

/* One ring entry that points to a table of n descriptors in the caller's memory. */
static void fill_indirect(struct vdax_ring *r, const struct vdax_seg *seg, unsigned int readable,
			  unsigned int n, struct vring_desc *table, uint64_t table_addr)
{
	for (unsigned int i = 0; i < n; i++)
		table[i] = desc_of(&seg[i], i >= readable, i + 1 < n, i + 1);
	r->desc[r->free_head] = (struct vring_desc){
		.addr = le64_of(table_addr),
		.len = le32_of((uint32_t)VRING_DESC_BYTES(n)),
		.flags = le16_of(VRING_DESC_F_INDIRECT),
	};
}

/* n entries of the free list, in its order: the links of the chain are those of the list. */
static void fill_direct(struct vdax_ring *r, const struct vdax_seg *seg, unsigned int readable,
			unsigned int n)
{
	uint16_t id = r->free_head;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t next = r->slots[id].next;

		r->desc[id] = desc_of(&seg[i], i >= readable, i + 1 < n, next);
		id = next;
	}
}

/* Bytes the device may write, or UINT64_MAX if a length is 0 or the sum does not fit. */
static uint64_t writable_bytes(const struct vdax_seg *seg, unsigned int readable,
			       unsigned int writable)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < readable + writable; i++) {
		if (!seg[i].len)
			return UINT64_MAX;
		if (i >= readable)
			sum += seg[i].len;
	}
	return sum;
}

/* Take count descriptors off the free list; they are a chain with this head already. */
static uint16_t take_chain(struct vdax_ring *r, unsigned int count)
{
	uint16_t head = r->free_head;

	for (unsigned int i = 0; i < count; i++)
		r->free_head = r->slots[r->free_head].next;
	r->num_free = (uint16_t)(r->num_free - count);
	return head;
}

int vdax_ring_add(struct vdax_ring *r, const struct vdax_seg *seg, unsigned int readable,
		  unsigned int writable, struct vring_desc *table, uint64_t table_addr,
		  void *cookie)
{
	bool indirect = r->indirect && table;
	unsigned int n, count;
	uint64_t bytes;
	uint16_t head;

	if (r->broken)
		return -VDAX_EIO;
	if (readable > r->size || writable > r->size || readable + writable > r->size)
		return -VDAX_EINVAL;
	n = readable + writable;
	bytes = writable_bytes(seg, readable, writable);
	if (!n || bytes > UINT32_MAX || !cookie)
		return -VDAX_EINVAL;
	count = indirect ? 1 : n;
	if (count > r->num_free)
		return -VDAX_EAGAIN;

	if (indirect)
		fill_indirect(r, seg, readable, n, table, table_addr);
	else
		fill_direct(r, seg, readable, n);
	head = take_chain(r, count);
	r->slots[head].cookie = cookie;
	r->slots[head].writable = (uint32_t)bytes;
	r->slots[head].count = (uint16_t)count;
	r->slots[head].unpublished = r->unpublished;
	r->unpublished = head;
	r->avail->ring[r->added & (r->size - 1)] = le16_of(head);
	r->added++;
	return 0;
}

bool vdax_ring_publish(struct vdax_ring *r)
{
	uint16_t old_idx = r->published;

	if (r->broken || r->added == old_idx)
		return false;
	for (uint16_t id = r->unpublished; id != SLOT_NONE; id = r->slots[id].unpublished) {
		r->slots[id].live = true;
		r->num_live++;
	}
	r->unpublished = SLOT_NONE;
	r->published = r->added;

	/* Pairs with the device's load-acquire: it sees the entries with the index. */
	ring_store_release(&r->avail->idx, r->published);
	/*
	 * Pairs with the device's fence between "I want to be notified" and its last look
	 * at the index: either it sees the new index or we see its wish.
	 */
	ring_fence();
	if (r->event_idx)
		return event_idx_passed(ring_load(avail_event(r)), r->published, old_idx);
	return !(ring_load(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
}

static int mark_broken(struct vdax_ring *r)
{
	r->broken = true;
	return -VDAX_EIO;
}

static void free_chain(struct vdax_ring *r, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < r->slots[head].count; i++)
		last = r->slots[last].next;
	r->slots[last].next = r->free_head;
	r->free_head = head;
	r->num_free = (uint16_t)(r->num_free + r->slots[head].count);
	r->slots[head].live = false;
	r->num_live--;
}

int vdax_ring_collect(struct vdax_ring *r, void **cookie, uint32_t *written)
{
	const struct vring_used_elem *e = &r->used->ring[r->last_used & (r->size - 1)];
	uint16_t pending;
	uint32_t id, len;

	if (r->broken)
		return -VDAX_EIO;
	/* Pairs with the device's store-release: entry and buffers are there. */
	pending = (uint16_t)(ring_load_acquire(&r->used->idx) - r->last_used);
	if (!pending)
		return 0;
	if (pending > r->num_live)
		return mark_broken(r);
	id = ring_load32(&e->id);
	len = ring_load32(&e->len);
	if (id >= r->size || !r->slots[id].live)
		return mark_broken(r);

	*cookie = r->slots[id].cookie;
	*written = len < r->slots[id].writable ? len : r->slots[id].writable;
	free_chain(r, (uint16_t)id);
	r->last_used++;
	return 1;
}

void vdax_ring_interrupts_off(struct vdax_ring *r)
{
	/* With event indices the flag must stay 0: point at an entry just passed instead. */
	if (r->event_idx)
		ring_store(used_event(r), (uint16_t)(r->last_used - 1));
	else
		ring_store(&r->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

bool vdax_ring_interrupts_on(struct vdax_ring *r)
{
	if (r->event_idx)
		ring_store(used_event(r), r->last_used);
	else
		ring_store(&r->avail->flags, 0);
	/*
	 * Pairs with the device's fence between its store of the used index and its look at
	 * our wish: either it sees the wish and interrupts, or we see its entry.
	 */
	ring_fence();
	return r->broken || ring_load(&r->used->idx) == r->last_used;
}
