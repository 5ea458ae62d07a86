/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Live migration's transfer of a device's state, through a descriptor of the front end, while no
 * queue runs. A thread of its own, made before the sandbox, calls the device's save() or
 * load(), so that neither a slow device nor a slow front end holds up the control thread.
 *
 *   NONE     there was none on this connection. SET_DEVICE_STATE_FD leaves it.
 *   RUNNING  the device belongs to the state thread.
 *   ENDED    with a result, which CHECK_DEVICE_STATE answers (and waits for, while RUNNING).
 *
 * A front end that starts a ring, resets the device or goes away meanwhile has given the
 * transfer up: it is cancelled, and what it wants comes after that. Only the control thread
 * changes the state.
 */
#ifndef VHOST_TRANSFER_H
#define VHOST_TRANSFER_H

#include <pthread.h>
#include <stdbool.h>

#include "virtio/device.h"

struct vhost;
struct vhost_msg;

enum transfer_state { TRANSFER_NONE, TRANSFER_RUNNING, TRANSFER_ENDED };

struct transfer {
	const char *name; /* for messages; borrowed */
	const struct device_ops *ops;
	void *dev;
	int done_fd;   /* eventfd of the control thread, borrowed: signalled at the end */
	int cancel_fd; /* eventfd: readable when it shall end early */
	enum transfer_state state;
	union transfer_io *io;

	pthread_t thread;
	bool created;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	bool run; /* asked to begin */
	bool done;
	bool quit;
	bool loading;
	int fd; /* the thread's from run to done */
	int result;
};

/* Makes the thread. 0 or -errno; call transfer_fini() in both cases. */
int transfer_init(struct transfer *t, const char *name, const struct device_ops *ops, void *dev,
		  int done_fd);

/* None may be running. May be called on one that is all zero. */
void transfer_fini(struct transfer *t);

/* Is none running (any more)? If one is, it is cancelled, and done_fd will tell. */
bool transfer_end(struct transfer *t);

/* The connection is over, and none is running: there was none. */
void transfer_forget(struct transfer *t);

/* Handlers: see vhost/dispatch.h. */
int op_set_device_state_fd(struct vhost *v, struct vhost_msg *m);
int op_check_device_state(struct vhost *v, struct vhost_msg *m);

#endif
