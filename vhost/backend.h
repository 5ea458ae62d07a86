/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back-end channel: our requests to the front end. It carries shared-memory mappings,
 * one at a time, each through these phases:
 *
 *   WAITING    in the queue. Sent when the window is open and the main channel is quiet:
 *              a front end that has something to say to us may hold the lock that it needs
 *              to take our request.
 *   SENT       the front end has it. Its answer leads to REPLIED or to an error.
 *   REPLIED    a mapping was accepted and is not visible yet: QEMU answers first and commits
 *              then. The commit shows as a change of the memory table. Nobody waits for
 *              that of an unmapping: QEMU does not read the next request before.
 *   LATE       none has come (a full table has no room for it), nor did the last time. One
 *              more round trip shows it as well: QEMU does not read the next request before
 *              it has committed.
 *   PROBED     that request is sent, under the same conditions.
 *
 * A request that succeeds, or is refused, is done() between two events of the loop; one that is
 * cancelled or loses its channel at once, so from inside of a message handler.
 *
 * The window is open from the device's start to its stop. QEMU 11.1.3 crashes on a request
 * that it reads outside, so closing cancels all that wait; one that is SENT can not be
 * called back, its late answer is swallowed, and nothing is sent before that.
 */
#ifndef VHOST_BACKEND_H
#define VHOST_BACKEND_H

#include <stdbool.h>

#include "host/loop.h"
#include "vhost/sock.h"
#include "virtio/device.h"

enum backend_phase { BACKEND_IDLE, BACKEND_SENT, BACKEND_REPLIED, BACKEND_LATE, BACKEND_PROBED };

struct backend {
	struct loop *loop;
	const char *name; /* for messages; borrowed */
	struct vhost_sock sock;
	struct loop_source src;
	struct loop_source timer; /* REPLIED for too long */
	bool open;
	bool paused;	     /* nothing is sent; what waits goes on waiting */
	bool reply_ack;	     /* negotiated */
	bool can_map;	     /* the front end takes mappings with descriptors */
	bool config_changed; /* the front end takes CONFIG_CHANGE_MSG */
	bool table_full;     /* the last mapping changed no table: nor will the next */
	enum backend_phase phase;
	uint32_t last_request; /* sent: VHOST_USER_BACKEND_* */
	bool file_sent;	       /* on this connection: the front end may have it mapped */
	bool stale;	       /* the answer that is still to come belongs to a cancelled request */
	struct shm_req *head, **tail; /* head is the one that is under way */
	struct shm_req *finished;     /* done() is due, with err */
	int finished_err;
};

extern const struct shm_ops backend_shm_ops; /* ctx is a struct backend */

/* 0 or -errno. */
int backend_init(struct backend *b, struct loop *loop, const char *name);
void backend_fini(struct backend *b);

/* Takes fd. A former channel is closed first. 0 or -errno. */
int backend_attach(struct backend *b, int fd);

/* Has it a request that waits or is under way? */
bool backend_busy(const struct backend *b);

/* The connection is over: cancels everything, closes the channel. */
void backend_detach(struct backend *b);

void backend_open_window(struct backend *b);

/* Takes an answer that is there already, cancels the rest. Calls done() for all of them. */
void backend_close_window(struct backend *b);

/* The front end has changed its memory table: what it accepted is committed. */
void backend_table_changed(struct backend *b);

/* Call outside of handlers: does what is due. main_fd must be quiet before we send. */
void backend_pump(struct backend *b, int main_fd);

#endif
