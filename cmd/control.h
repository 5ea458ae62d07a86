/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The read-only control socket. Whoever connects gets the daemon's state as lines "key value" and
 * the end of the stream; nothing is read from it. Its mode lets the same user and root connect.
 */
#ifndef CMD_CONTROL_H
#define CMD_CONTROL_H

#include <stddef.h>

#include "host/loop.h"

struct control {
	struct loop *loop;
	struct loop_source listen; /* fd -1: there is no control socket */
	/* Writes the lines into buf[len]; returns their length. */
	size_t (*report)(void *ctx, char *buf, size_t len);
	void *ctx;
};

/* Takes fd, which listens. 0 or -errno. */
int control_init(struct control *c, struct loop *loop, int fd,
		 size_t (*report)(void *ctx, char *buf, size_t len), void *ctx);
void control_fini(struct control *c);

#endif
