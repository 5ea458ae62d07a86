/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device side of one virtqueue. The functions do not say which ring layout is behind them:
 * split.c is the split ring (VIRTIO 1.3, 2.7); a packed ring goes beside it.
 *
 * Who may do what. Between vq_start() and vq_stop() the ring belongs to one thread, the
 * queue's: it alone calls pop, push, publish and the kick functions. Any thread may call
 * those marked so. The control thread calls the rest while the ring is stopped.
 *
 * Everything in the ring is read once, checked, and used from the private copy. What a
 * driver must not do (an impossible index, a loop, a wrong direction) breaks this queue
 * alone: every later pop returns the error, the err eventfd is signalled once, and the
 * process and other queues go on.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/chain.h"
#include "virtio/dirty.h"
#include "virtio/mem.h"
#include "virtio/spin.h"
#include "wire/ring.h"

/*
 * Descriptors in one chain: the queue size is the spec's limit (2.7.5.3.1), but drivers
 * exist that exceed it in an indirect table of a small queue; this much is always fine.
 */
#define VQ_CHAIN_MIN_MAX 1024u

/* What the control plane was told about a ring. */
struct vq_config {
	uint32_t size; /* entries, a power of two <= VRING_SIZE_MAX */
	uint64_t desc_uva;
	uint64_t avail_uva;
	uint64_t used_uva;
	uint16_t base;	   /* next available index to pop */
	uint64_t features; /* acknowledged by the driver */
};

/* What of a queue's writes is logged for live migration, and where. */
struct vq_log {
	struct dirty_log *log; /* NULL: nothing is logged */
	bool data;	       /* what vq_wrote() is told, and the ring */
	bool used;	       /* the used ring, at used_gpa */
	uint64_t used_gpa;     /* as the front end says */
};

struct vq {
	const char *name; /* for messages; borrowed */

	/* Owned by the queue's thread while started. */
	struct vq_config cfg;
	struct mem_table *mem; /* what the ring and all popped chains translate through */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail; /* first index not popped yet */
	uint16_t avail_seen; /* the driver's index, as last read */
	uint16_t next_used;  /* where the next push goes */
	uint16_t published;  /* the used index that the driver can see */
	uint16_t signalled;  /* the used index at the last decision to notify */
	uint32_t inflight;   /* popped, not pushed */
	bool event_idx;
	bool indirect;
	int broken;	   /* -errno, or 0 */
	struct vq_log log; /* owns a reference on log.log */
	struct vq_spin spin;
	int refreshed_fd; /* eventfd, borrowed: signalled when a log was taken over; or -1 */

	/* Shared: any thread. */
	_Atomic bool stopping;	    /* the control plane wants the ring back */
	_Atomic bool news;	    /* mem_next or log_next wait for vq_refresh() */
	pthread_mutex_t lock;	    /* guards what follows; never held while anything may block */
	struct mem_table *mem_next; /* newer than mem, or NULL */
	struct vq_log log_next;	    /* newer than log, if log_waits */
	bool log_waits;
	int call_fd;
	int err_fd;
	int signalling; /* the one of them that is being written to, so must not be closed; or -1 */
	_Atomic uint64_t notified; /* notifications sent */
};

/* 0 or -errno. */
int vq_init(struct vq *vq, const char *name);
void vq_fini(struct vq *vq);

/* --- control thread --- */

/*
 * Translates and checks the ring; the queue's thread may use it from then on. mem is
 * borrowed (vq takes its own reference). 0, -EINVAL (size, alignment) or -EFAULT.
 */
int vq_start(struct vq *vq, const struct vq_config *cfg, struct mem_table *mem);

/* Drops the memory. Returns the next available index to pop, for GET_VRING_BASE. */
uint16_t vq_stop(struct vq *vq);

/* Any thread. Takes fd, closes the former one; -1 for none. */
void vq_set_call(struct vq *vq, int fd);
void vq_set_err(struct vq *vq, int fd);

/* Any thread. The table is borrowed; the queue changes over at its next vq_refresh(). */
void vq_set_mem(struct vq *vq, struct mem_table *mem);

/*
 * Any thread. What is to be logged from now on; log->log is borrowed. The queue changes over
 * at its next vq_refresh(), or vq_start(), and signals refreshed_fd then.
 */
void vq_set_log(struct vq *vq, const struct vq_log *log);

/* Any thread. Has the queue's thread changed over, so that no mark goes to a former log? */
bool vq_log_settled(struct vq *vq);

/* --- the queue's thread --- */

/*
 * Changes over to the newest memory table, if the ring is in it; else goes on in the table that
 * it has. The buffers of requests that are popped and not pushed may go with the former table:
 * who keeps such a request over this call holds a reference on it (mem_get(vq->mem), when it
 * was popped). Also changes over to the newest log.
 */
void vq_refresh(struct vq *vq);

/* Returns 1 and fills c (whose seg and cap the caller has set), 0 if the ring is empty, or -errno.
 */
int vq_pop(struct vq *vq, struct vq_chain *c);

/* Answers a popped chain with len bytes written; the driver sees it after vq_publish(). 0 or
 * -errno. */
int vq_push(struct vq *vq, uint16_t head, uint32_t len);

/* Shows all pushed chains to the driver, and notifies it if it wants to be told. 0 or -errno. */
int vq_publish(struct vq *vq);

/* Asks the driver not to kick. A kick may come all the same. */
void vq_kicks_off(struct vq *vq);

/* Asks for a kick with the next request. Returns 1 if there is one already, 0, or -errno. */
int vq_kicks_on(struct vq *vq);

/*
 * Call when the ring is empty, before kicks are asked for. Looks for a request for a moment, at
 * most spin.max_ns, if experience says that one will come: then sleeping would cost more.
 * True if there is one, or something else to do (vq->stopping, a newer memory table).
 */
bool vq_spin(struct vq *vq);

/*
 * The first len bytes of these buffers of the driver have been written, by whomever: marks them
 * for live migration. After the write, before the push. Costs a branch while nothing is logged.
 */
static inline void vq_wrote(struct vq *vq, const struct iovec *iov, unsigned n, uint64_t len);

/* The same for a request that was popped before a vq_refresh(): mem is the table it holds. */
void vq_wrote_in(struct vq *vq, const struct mem_table *mem, const struct iovec *iov, unsigned n,
		 uint64_t len);

/*
 * n requests that were popped before the ring was last stopped will be pushed after all: for a
 * device that keeps requests over a stop. 0, or -EINVAL if the ring cannot have so many.
 */
int vq_adopt(struct vq *vq, uint32_t n);

/* Marks the queue broken, says why, signals the err eventfd. Returns err. */
int vq_break(struct vq *vq, int err, const char *why);

/* How many iovecs vq_pop() can need for a chain of this ring at most. */
uint32_t vq_chain_max(const struct vq *vq);

static inline void vq_wrote(struct vq *vq, const struct iovec *iov, unsigned n, uint64_t len)
{
	if (vq->log.data)
		vq_wrote_in(vq, vq->mem, iov, n, len);
}

#endif
