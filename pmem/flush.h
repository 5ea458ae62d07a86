/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The group flush engine: many requests, one sync.
 *
 * The queue's thread pops every request that is available, then syncs once, then answers
 * exactly what it had popped before the sync began. What arrives meanwhile stays in the
 * ring and is the next generation: a request never waits for more than the rest of one
 * sync and the whole of the next, and no request is ever answered by a sync that had
 * begun before it was available.
 *
 * Three counters say so, and tests check them: popped counts requests; started is what
 * popped was when the latest sync began; done is what started was when it ended.
 */
#ifndef PMEM_FLUSH_H
#define PMEM_FLUSH_H

#include <stdatomic.h>
#include <stdint.h>

#include "pmem/latch.h"
#include "virtio/queue.h"

/* The file behind the device. Tests put another one here, that fails, waits or records. */
struct sync_ops {
	/* Makes all of it durable. Queue's thread. 0 or -errno. */
	int (*sync)(void *ctx);
};

/* A request that waits for the sync: where its answer goes. */
struct flush_slot {
	uint16_t head;
	uint8_t n;	     /* of out */
	struct iovec out[4]; /* the four bytes may be in as many buffers */
};

struct flush {
	const char *name; /* for messages; borrowed */
	const struct sync_ops *ops;
	void *ctx;
	struct latch *latch;   /* borrowed */
	uint64_t interval_ns;  /* between the beginnings of two syncs at least; 0: no limit */
	uint64_t next_sync_ns; /* CLOCK_MONOTONIC */

	struct flush_slot *slots; /* as many as the largest queue so far has entries */
	struct iovec *segs;	  /* for the chain being popped */
	uint32_t n, cap, segs_cap;

	_Atomic uint64_t popped; /* flush requests, since the process began */
	_Atomic uint64_t started;
	_Atomic uint64_t done;
	_Atomic uint64_t syncs;	  /* syncs of the file */
	_Atomic uint64_t failed;  /* requests answered with an error, malformed ones included */
	_Atomic uint64_t sync_ns; /* time in syncs, total */
	_Atomic uint64_t sync_ns_max;
};

/* max_rate: syncs per second, 0 for no limit. The rest is borrowed. */
void flush_init(struct flush *f, const char *name, const struct sync_ops *ops, void *ctx,
		struct latch *latch, uint32_t max_rate);
void flush_fini(struct flush *f);

/*
 * The queue's thread: answers all requests of the ring, generation after generation, until
 * it is empty (with kicks on), stopping or broken. refuse: answer all with failure, without
 * a sync. Returns the nanoseconds after which to call it again, or UINT64_MAX.
 */
uint64_t flush_serve(struct flush *f, struct vq *vq, bool refuse);

#endif
