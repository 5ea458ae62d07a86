/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver side of a split virtqueue (VIRTIO 1.3, 2.7).
 *
 * The embedder meets it only to learn where the ring lies, for the transport; the drivers of
 * this library do the rest. One ring is used by one CPU at a time: the caller locks.
 *
 * The device is not believed: an index that runs ahead, an id that is out of range or not
 * outstanding marks the ring broken for good, and a length is cut to what was offered.
 * What the driver must remember about a chain is kept in slots, where no device writes.
 */
#ifndef VDAX_RING_H
#define VDAX_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vring_avail;
struct vring_desc;
struct vring_used;

/*
 * Memory of a ring of n entries, n a power of two up to 32768: bytes and alignment. The
 * used ring, which the device writes, starts on a cache line of its own.
 */
#define VDAX_RING_ALIGN	   64u
#define VDAX_RING_AVAIL(n) ((size_t)16 * (n))
#define VDAX_RING_USED(n)  (((size_t)18 * (n) + 6 + 63) & ~(size_t)63)
#define VDAX_RING_BYTES(n) (VDAX_RING_USED(n) + (size_t)8 * (n) + 6)

/* A piece of a chain. */
struct vdax_seg {
	uint64_t addr; /* as the device sees it, see dma_addr() */
	uint32_t len;  /* bytes */
};

/* Opaque. What the driver knows of the chain that starts at a descriptor, or of a free one. */
struct vdax_ring_slot {
	void *cookie;
	uint32_t writable; /* bytes the device may write */
	uint16_t next;	   /* next descriptor of the chain, or of the free list */
	uint16_t count;	   /* descriptors in the chain */
	uint16_t unpublished;
	bool live; /* the device has it */
};

/* Opaque, but for desc, avail and used: the addresses to give to the transport. */
struct vdax_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	struct vdax_ring_slot *slots;
	uint16_t size;
	uint16_t free_head;
	uint16_t num_free;
	uint16_t num_live;
	uint16_t unpublished; /* first of a list, in no special order */
	uint16_t added;	      /* avail index after the last chain added */
	uint16_t published;   /* avail index the device has been shown */
	uint16_t last_used;   /* used index up to which we collected */
	bool event_idx;
	bool indirect;
	bool broken;
};

/*
 * mem: VDAX_RING_BYTES(size) bytes that the device can reach; slots: size of them. Both are
 * lent until the device has been reset; the device must not be running yet. Writes all of
 * mem. features: as negotiated; RING_EVENT_IDX and INDIRECT_DESC matter (6).
 * Interrupts are on. Returns 0; -VDAX_EINVAL for a size or an alignment that is not allowed.
 */
int vdax_ring_init(struct vdax_ring *r, void *mem, struct vdax_ring_slot *slots, unsigned int size,
		   uint64_t features);

/*
 * Prepare a chain of readable segments followed by writable ones; the device does not see it
 * before vdax_ring_publish(). cookie comes back from vdax_ring_collect(); not NULL.
 * table, table_addr: room for all descriptors of the chain as the CPU and as the device see
 * it, lent until the chain is collected; used if INDIRECT_DESC was negotiated, so the chain
 * takes one entry of the ring. NULL: never indirect.
 * Returns 0; -VDAX_EAGAIN if there is no room; -VDAX_EIO if the ring is broken; -VDAX_EINVAL
 * for a chain that is empty or may return 4 GiB or more (2.7.5.2).
 */
int vdax_ring_add(struct vdax_ring *r, const struct vdax_seg *seg, unsigned int readable,
		  unsigned int writable, struct vring_desc *table, uint64_t table_addr,
		  void *cookie);

/*
 * Show the device all chains added. Everything stored before is visible to a device that
 * sees them. Returns whether the device wants to be notified (2.7.7, 2.7.10); the caller
 * must then do it, and must not otherwise.
 */
bool vdax_ring_publish(struct vdax_ring *r);

/*
 * Take back one chain. Returns 1 and its cookie and the number of bytes the device says it
 * wrote, never more than the chain has; 0 if there is none; -VDAX_EIO if the ring is broken.
 */
int vdax_ring_collect(struct vdax_ring *r, void **cookie, uint32_t *written);

/* Ask for no interrupts: a hint, the device may raise one all the same. */
void vdax_ring_interrupts_off(struct vdax_ring *r);

/*
 * Ask for an interrupt at the next used entry. Returns true if there was none to collect at
 * that moment: it is safe to sleep. If false, collect and call again.
 */
bool vdax_ring_interrupts_on(struct vdax_ring *r);

#endif
