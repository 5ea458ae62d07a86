/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-fs driver in the guest of a front end: the client of guest/ on as many queues as
 * wanted. Works with any vhost-user daemon for virtio-fs: with SET_MEM_TABLE or memory slots, with
 *or without status, reset, configuration space and acknowledgements.
 *
 *	front_fs_open()		connects, starts hiprio (0) and the request queues (1 ...), INIT
 *	front_fs_call()		for what may block: set-up, tests
 *	vdax_fs_...(&g->q[i])	anything else, with front_fs_poll() or a waiter
 */
#ifndef FRONT_FS_H
#define FRONT_FS_H

#include "front/front.h"
#include "vdax/fs.h"

struct front_fs_opts {
	struct front_opts front;     /* num_queues is set by request_queues */
	unsigned int request_queues; /* 0: 1; fewer if the device has fewer */
	unsigned int queue_size;     /* 0: 128 */
	unsigned int segs;	     /* pieces of data of one request; 0: 4 */
	uint64_t flags;		     /* of INIT; FUSE_INIT_EXT is added */
};

struct front_fs_memory {
	void *shared; /* in guest RAM */
	struct vdax_ring_slot *ring_slots;
	struct vdax_fs_slot *slots;
	struct vdax_seg *scratch;
};

struct front_fs {
	struct front *f;
	struct vdax_platform platform;
	struct vdax_fs fs;
	char tag[VDAX_FS_TAG_MAX + 1]; /* empty if there is no configuration space */
	unsigned int num_queues;       /* all: hiprio and those for requests */
	struct vdax_fs_queue q[FRONT_MAX_QUEUES];
	struct front_fs_memory mem[FRONT_MAX_QUEUES];
};

/* A request that somebody waits for. The structure is the caller's. */
struct front_fs_call {
	struct vdax_fs_rq rq; /* give it to the request functions */
	int ret;	      /* what done() was told */
};

/* Takes opts->front.fd in every case. *out is NULL on error. Returns 0 or -errno. */
int front_fs_open(struct front_fs **out, const struct front_fs_opts *opts);

/* Drops the connection without a word. NULL is fine. */
void front_fs_close(struct front_fs *g);

/* Ready for a request function. */
void front_fs_call_init(struct front_fs_call *c);

/*
 * Wait for c. sent is what the request function returned; if that is an error it is returned.
 * All queues are polled meanwhile. Returns what done() was told; -ETIMEDOUT after the timeout of
 * front_opts (then c is still under way); -EPIPE.
 *
 *	ret = front_fs_wait(g, &c, vdax_fs_unlink(&g->q[1], &c.rq, FUSE_ROOT_ID, "name"));
 */
int front_fs_wait(struct front_fs *g, struct front_fs_call *c, int sent);

/* Submit, front_poll(), then vdax_fs_poll() of all queues. Returns requests ended, or -errno. */
int front_fs_poll(struct front_fs *g, int timeout_ms);

/* Memory of the guest as one piece of data; see front_ram_alloc(). */
struct vdax_seg front_fs_seg(const struct front_fs *g, const void *ptr, uint32_t len);

#endif
