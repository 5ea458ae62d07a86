/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user back end: one device, one front end at a time.
 *
 * The control thread (the one that runs the loop) owns everything here but the rings. It
 * never waits for the front end or for a queue: a message that needs a ring back keeps
 * its place, and is handled again from the top when the queue has let go. Meanwhile
 * no other message is read, and the control socket, timers and signals go on.
 *
 * The end of a connection is not the end of the mappings that were made on it. While the
 * process that may have them lives, another one that connects waits: nothing is read from it.
 */
#ifndef VHOST_VHOST_H
#define VHOST_VHOST_H

#include "host/loop.h"
#include "vhost/backend.h"
#include "vhost/peer.h"
#include "vhost/sock.h"
#include "vhost/transfer.h"
#include "vhost/worker.h"
#include "virtio/device.h"

#define VHOST_MAX_QUEUES 17u /* a high-priority queue and 16 others */

/* One queue, as the messages describe it. */
struct vhost_ring {
	struct vq_config cfg;
	bool addr_set;
	bool started; /* SET_VRING_KICK came, and no GET_VRING_BASE since */
	bool enabled;
	bool left;	  /* GET_VRING_BASE came, and no reset since */
	uint16_t left_at; /* what we answered */
	bool log_used;	  /* VHOST_USER_VRING_F_LOG */
	uint64_t log_used_gpa;
};

struct vhost {
	const char *name; /* for messages; borrowed */
	const struct device_ops *ops;
	void *dev;
	struct loop *loop;
	struct device_host host; /* for the device */

	struct worker workers[VHOST_MAX_QUEUES];
	struct vhost_ring rings[VHOST_MAX_QUEUES];
	struct loop_source parked; /* eventfd: a worker has let go */
	struct loop_source attend; /* eventfd: the device wants its turn on this thread */
	struct loop_source attend_timer;

	struct loop_source listen;
	bool listening;	   /* listen is in the loop */
	bool once;	   /* quit the loop after the first front end */
	uint64_t withheld; /* protocol features not to offer, though we could */

	struct vhost_sock sock;
	struct loop_source main; /* the connection */
	bool deferred;		 /* sock.msg waits for a queue to let go */
	bool closing;		 /* the connection ends when all queues have let go */
	bool quitting;
	struct peer front;	    /* the process of the connection, served or waiting */
	struct peer holder;	    /* the latest, of a former connection, that was sent a file */
	struct loop_source waiting; /* a connection that is not served before holder has ended */
	struct loop_source holder_end;

	struct backend backend;
	struct mem_table *mem;
	struct dirty_log *log; /* of SET_LOG_BASE, or NULL */
	struct transfer transfer;
	uint64_t features; /* acknowledged virtio features */
	uint64_t protocol_features;
	bool dev_started;
	uint8_t status;

	uint64_t connections; /* statistics */
	uint64_t messages;
};

/*
 * Makes the queue threads. loop, ops, dev and name stay the caller's and must outlive v.
 * 0 or -errno; call vhost_fini() in both cases.
 */
int vhost_init(struct vhost *v, struct loop *loop, const char *name, const struct device_ops *ops,
	       void *dev);
/* Only after the loop has ended, or before anything was attached. */
void vhost_fini(struct vhost *v);

/* Serves one front end after another on a listening socket. Takes fd. 0 or -errno. */
int vhost_listen(struct vhost *v, int fd);

/* Serves the front end behind a connected socket, then quits the loop. Takes fd. 0 or -errno. */
int vhost_attach(struct vhost *v, int fd);

/* Ends the connection, after what the queues have popped is answered, then quits the loop. */
void vhost_quit(struct vhost *v);

#endif
