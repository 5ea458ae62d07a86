/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread that sleeps until one of its queues is called: one system call for each wake-up,
 * whether or not the back end has made the descriptor non-blocking. Threads with a waiter of
 * their own may run different queues of one front at once, as long as nobody calls
 * front_poll() or sends a message meanwhile; so the back-end channel is not served.
 */
#ifndef FRONT_WAITER_H
#define FRONT_WAITER_H

#include "front/front.h"

struct front_waiter {
	int epoll;
};

/* Wakes also when the back end is gone. 0 or -errno; on error there is nothing to close. */
int front_waiter_open(struct front_waiter *w, const struct front *f);
void front_waiter_close(struct front_waiter *w);

/* Wake up for calls of queue i, and for its errors. */
int front_waiter_add(struct front_waiter *w, const struct front *f, unsigned int i);

/*
 * Returns a bit for each queue that was called since the last return, 0 after timeout_ms (-1:
 * never), -EPIPE if the back end is gone, -EIO if it signalled an error of a queue.
 */
int front_waiter_wait(struct front_waiter *w, int timeout_ms);

/* Calls of queue i since the last front_count_calls() or front_poll(); adds them to q[i].calls. */
uint64_t front_count_calls(struct front *f, unsigned int i);

#endif
