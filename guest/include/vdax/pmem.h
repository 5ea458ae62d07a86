/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-pmem driver (VIRTIO 1.3, 5.19): finds the persistent range and makes stores to it
 * durable. The stores themselves need no driver: see vdax/window.h.
 *
 * Order of use: vdax_pmem_features() while negotiating; vdax_pmem_init(); give the ring's
 * addresses to the transport and set DRIVER_OK; vdax_pmem_probe(); then flushes. After the
 * device was reset, begin again with vdax_pmem_init().
 *
 * Calls on one struct vdax_pmem are made one at a time: the embedder holds a lock or has one
 * thread. Functions that may block say so; the others can be called in interrupt context.
 * Completion callbacks run inside vdax_pmem_poll(), vdax_pmem_config_changed(),
 * vdax_pmem_fail() and the two blocking functions, never inside vdax_pmem_submit().
 */
#ifndef VDAX_PMEM_H
#define VDAX_PMEM_H

#include "vdax/platform.h"
#include "vdax/ring.h"

/*
 * Memory that the device reaches, for a queue of n entries: the ring, then one request and
 * response per entry, each in a cache line of its own. Aligned to VDAX_RING_ALIGN.
 */
#define VDAX_PMEM_CELLS(n)	  ((VDAX_RING_BYTES(n) + 63) & ~(size_t)63)
#define VDAX_PMEM_SHARED_BYTES(n) (VDAX_PMEM_CELLS(n) + (size_t)64 * (n))

/*
 * A flush. The caller owns it and sets done before vdax_pmem_submit(); after that the
 * library has it until done was called, and the callback may free or submit it again.
 */
struct vdax_flush {
	/* ret: 0 if every store made before the submission is durable, else an error. */
	void (*done)(struct vdax_flush *f, int ret);

	struct vdax_flush *next; /* the library's */
	bool submitted;		 /* the library's; false at first */
};

/* Opaque. Flushes in the order they came. */
struct vdax_flush_list {
	struct vdax_flush *first;
	struct vdax_flush **tail; /* where the next one is hung; NULL if empty */
};

struct vdax_pmem_cell;

/* Opaque. One request to the device: who waits for it, since when. */
struct vdax_pmem_rq {
	struct vdax_pmem_cell *cell;
	uint64_t cell_addr; /* as the device sees it */
	struct vdax_flush *waiters;
	uint64_t sent_at; /* ns */
	struct vdax_pmem_rq *next;
	struct vdax_pmem_rq *prev;
};

struct vdax_pmem_stats {
	uint64_t asked;	   /* flushes submitted */
	uint64_t sent;	   /* requests shown to the device */
	uint64_t notified; /* times the device was notified */
	uint64_t merged;   /* flushes that shared a request with an earlier one */
	uint64_t errors;   /* flushes that ended with an error */
};

struct vdax_pmem_opts {
	const struct vdax_platform *platform; /* lent */
	uint64_t features;		      /* as negotiated */
	unsigned int queue_size;	      /* entries, a power of two */

	/* All three are lent until the device was reset. */
	void *shared;		      /* VDAX_PMEM_SHARED_BYTES(queue_size) */
	struct vdax_ring_slot *slots; /* queue_size of them */
	struct vdax_pmem_rq *rqs;     /* queue_size of them */

	/*
	 * Give up on a request that has no answer after so many nanoseconds; 0: never.
	 * Giving up is final, so allow for the longest sync of a busy host disk.
	 */
	uint64_t timeout_ns;

	/* Address and size must be multiples of this power of two; 0: of 4096. */
	uint64_t align;

	/*
	 * Every flush its own request, as many at once as the ring holds. For measuring
	 * the device only: some devices answer one request per notification, and with
	 * several in the ring the rest would wait for ever.
	 */
	bool separate;

	/*
	 * The embedder polls and wants no interrupts; a hint to the device. The blocking
	 * functions then spin, with wait() for 0 ns in between.
	 */
	bool no_interrupts;
};

/* Opaque, but for region, stats and ring. */
struct vdax_pmem {
	const struct vdax_platform *platform;
	struct vdax_region region;
	struct vdax_pmem_stats stats;
	struct vdax_ring ring;

	struct vdax_flush_list batch; /* waits for the next request */
	struct vdax_pmem_rq *free_rqs;
	struct vdax_pmem_rq *oldest; /* outstanding requests, in the order sent */
	struct vdax_pmem_rq *newest;
	uint64_t timeout_ns;
	bool separate;
	bool no_interrupts;
	bool in_callbacks;
	int failed; /* 0, or the error that every submission returns from now on */
};

/*
 * The feature bits of offered that this driver accepts; 0 if it cannot drive the device
 * (VERSION_1 is needed). Any context.
 */
uint64_t vdax_pmem_features(uint64_t offered);

/*
 * Find the region and prepare the ring; the device is not running yet. With SHMEM_REGION
 * negotiated the range is shared memory region 0 and the configuration is not read (5.19.5).
 * The caller then maps pm->region for the CPU. There is nothing to undo.
 * Returns 0; -VDAX_EINVAL for options or a range that make no sense (empty, wraps,
 * unaligned); -VDAX_ENODEV if there is no range or the device cannot reach opts->shared; or
 * the error of config_read().
 */
int vdax_pmem_init(struct vdax_pmem *pm, const struct vdax_pmem_opts *opts);

/*
 * Flush once, blocking, before anything touches the range. A device behind vhost-user may
 * map the range only after DRIVER_OK; it answers no request before that is done.
 * Returns as vdax_pmem_flush().
 */
int vdax_pmem_probe(struct vdax_pmem *pm);

/*
 * Make every store to the range that happened before this call durable, and call f->done
 * once, later. At most one request is outstanding: flushes that arrive meanwhile share the
 * next one and never the current one, which the device may already be answering.
 * Returns 0; on error done is not called: -VDAX_EBUSY if f is already submitted,
 * -VDAX_EAGAIN if the ring is full (only with separate), -VDAX_EIO or -VDAX_ETIMEDOUT if the
 * device has failed before.
 */
int vdax_pmem_submit(struct vdax_pmem *pm, struct vdax_flush *f);

/*
 * Submit and wait. Blocks in the platform's wait(), at most opts->timeout_ns per request:
 * the one in flight and the next. Interrupt handlers need not run: it collects itself.
 * Returns 0; -VDAX_EIO; -VDAX_ETIMEDOUT; -VDAX_EBUSY from inside a callback; -VDAX_EAGAIN.
 */
int vdax_pmem_flush(struct vdax_pmem *pm);

/*
 * Collect answers, call the waiters, send the next request, and look for a timeout. From the
 * interrupt handler, and also from a timer if there is a timeout. Callbacks run before
 * the next request is sent, so whoever flushes again from one still shares it.
 * Returns the number of flushes that ended, or the error with which the device failed. Does
 * nothing and returns 0 from inside a callback.
 */
int vdax_pmem_poll(struct vdax_pmem *pm);

/*
 * The configuration-change interrupt, or from time to time without one: reads the device
 * status, and fails everything if DEVICE_NEEDS_RESET is set (2.1.2).
 */
void vdax_pmem_config_changed(struct vdax_pmem *pm);

/*
 * End every waiter with error, one of vdax_errno negated, and refuse all later flushes with
 * it. The device may still write to opts->shared: reset it before reusing that memory.
 * The first error stays; calling it again does nothing. Used by the embedder at removal.
 */
void vdax_pmem_fail(struct vdax_pmem *pm, int error);

#endif
