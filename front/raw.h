/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of any bytes to any device, for tests that want to be hostile: a queue is a ring
 * of guest/ and a place in guest RAM for each request. Nothing here looks at what is sent or
 * answered. One thread.
 *
 *	front_raw_open()	connects, starts all queues
 *	front_raw_call()	sends and waits for the answer
 *	front_raw_post(), front_raw_wait()	the same, with others in between
 *
 * A test that wants an impossible ring, rather than an impossible request, writes to
 * raw->q[i].ring.desc and the like.
 */
#ifndef FRONT_RAW_H
#define FRONT_RAW_H

#include <sys/uio.h>

#include "front/front.h"
#include "vdax/ring.h"

#define FRONT_RAW_DEPTH 64u /* requests under way in one queue */
#define FRONT_RAW_SEGS	16u /* pieces of one request, readable and writable */

struct front_raw_opts {
	struct front_opts front; /* num_queues: all, with the high-priority one of virtio-fs */
	unsigned int queue_size; /* entries, a power of two; 0: 128 */
	size_t bytes;		 /* of one request and its answer; 0: 16 KiB */
	bool before_start;	 /* do not start the queues: the caller calls front_start() */
};

struct front_raw_slot {
	bool busy, answered;
	uint8_t *mem; /* in guest RAM */
	size_t readable, writable;
	size_t written; /* as the device says, cut to writable */
};

struct front_raw_queue {
	struct vdax_ring ring;
	struct vdax_ring_slot *ring_slots;
	struct vring_desc *tables; /* in guest RAM: FRONT_RAW_SEGS for each slot */
	struct front_raw_slot slot[FRONT_RAW_DEPTH];
};

struct front_raw {
	struct front *f;
	unsigned int queue_size;
	size_t bytes;
	struct front_raw_queue q[FRONT_MAX_QUEUES];
};

/* Takes opts->front.fd in every case. *out is NULL on error. Returns 0 or -errno. */
int front_raw_open(struct front_raw **out, const struct front_raw_opts *opts);

/* NULL is fine. Drops the connection without a word. */
void front_raw_close(struct front_raw *r);

/*
 * Send a chain of n readable pieces (bytes are copied; n may be 0) and, if writable is not 0,
 * room for an answer, in pieces of at most piece bytes (0: one). Returns a ticket for
 * front_raw_wait(), or -EAGAIN if the queue is full, or -EINVAL.
 */
int front_raw_post(struct front_raw *r, unsigned int queue, const struct iovec *readable,
		   unsigned int n, size_t writable, size_t piece);

/*
 * Wait for the answer to a ticket; another queue's and other tickets' are kept. Copies at
 * most size bytes of it. Returns how many bytes the device says that it wrote (at most
 * what there was room for), -ETIMEDOUT (the ticket stays good), -EPIPE if the back end closed
 * the connection, -EIO if it broke the ring or signalled the queue's err eventfd.
 */
int front_raw_wait(struct front_raw *r, unsigned int queue, int ticket, void *answer, size_t size,
		   int timeout_ms);

/* What the device writes to while a ticket is waited for, and what it reads: a test may
 * change it meanwhile. The answer follows the request's bytes. */
uint8_t *front_raw_memory(struct front_raw *r, unsigned int queue, int ticket);

/* post, then wait. */
int front_raw_call(struct front_raw *r, unsigned int queue, const struct iovec *readable,
		   unsigned int n, void *answer, size_t size, int timeout_ms);

#endif
