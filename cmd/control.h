/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The read-only control socket. Whoever connects gets the daemon's state as lines "key value" and
 * the end of the stream; nothing is read from it. Its mode lets the same user and root connect.
 *
 * Nothing waits for a reader: what the socket does not take at once is kept and sent when there is
 * room, for a few clients; if more are slow, one of them is given up.
 */
#ifndef CMD_CONTROL_H
#define CMD_CONTROL_H

#include <stddef.h>

#include "host/loop.h"

/* The longest answer: fs/report.c has at most 55 opcodes with 48 numbers each. */
#define CONTROL_ANSWER_MAX (128u << 10)
#define CONTROL_CLIENTS	   4u

struct control_client {
	struct loop_source source;
	struct control *control;
	char *answer; /* owned; NULL: the place is free */
	size_t len;
	size_t sent;
};

struct control {
	struct loop *loop;
	struct loop_source listen; /* fd -1: there is no control socket */
	/* Writes the lines into buf[len]; returns their length. */
	size_t (*report)(void *ctx, char *buf, size_t len);
	void *ctx;
	struct control_client clients[CONTROL_CLIENTS];
	unsigned next; /* the client that is given up when all places are taken */
};

/* Takes fd, which listens. The structure stays where it is. 0 or -errno. */
int control_init(struct control *c, struct loop *loop, int fd,
		 size_t (*report)(void *ctx, char *buf, size_t len), void *ctx);
void control_fini(struct control *c);

#endif
