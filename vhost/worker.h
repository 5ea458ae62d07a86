/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread for each queue, and the hand-over of the ring between it and the control
 * thread. The thread is made once, before the sandbox, and waits between connections.
 *
 *   IDLE     the ring is the control thread's. worker_run() leaves it.
 *   RUNNING  the ring is the worker's. worker_park() leaves it.
 *   PARKING  the worker has been asked to let go and finishes what it has popped (for pmem
 *            at most one sync). It then signals parked_fd, and worker_parked() sees IDLE.
 *
 * Only the control thread changes the state.
 */
#ifndef VHOST_WORKER_H
#define VHOST_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "virtio/device.h"

enum worker_state { WORKER_IDLE, WORKER_RUNNING, WORKER_PARKING };

struct worker {
	struct vq vq;
	char name[64];
	unsigned index;
	const struct device_ops *ops;
	void *dev;
	int parked_fd; /* eventfd of the control thread, borrowed */
	int epfd;      /* the thread sleeps here */
	int wake_fd;   /* eventfd: look again at everything */
	int kick_fd;   /* -1: the ring is polled, as vhost-user has it. Set while IDLE */
	bool kick_usable;
	int device_fd; /* of ops->wait_fd, borrowed while the ring is handed over; or -1 */
	enum worker_state state;

	pthread_t thread;
	bool created;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	bool run;  /* asked to take the ring */
	bool done; /* has let go of it */
	bool quit;
};

/* Makes the thread. obj is the device's name for messages. 0 or -errno. */
int worker_init(struct worker *w, unsigned index, const char *obj, const struct device_ops *ops,
		void *dev, int parked_fd);

/* Ends the thread; the worker must be IDLE. May be called on a half-built one. */
void worker_fini(struct worker *w);

/* Takes fd, closes the former one; -1 for none. Only while IDLE. */
void worker_set_kick(struct worker *w, int fd);

/* Gives the ring, started by vq_start(), to the thread. Only while IDLE. */
void worker_run(struct worker *w);

/* Asks for the ring back. True if it is here already, false if parked_fd will tell. */
bool worker_park(struct worker *w);

/* Has a worker that was asked let go by now? Then it is IDLE. */
bool worker_parked(struct worker *w);

/* Any thread. */
void worker_wake(struct worker *w);

#endif
