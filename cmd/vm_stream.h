/* SPDX-License-Identifier: BSD-2-Clause */
/* Passes on what comes through a pipe, as it comes, without ever waiting for the reader. */
#ifndef CMD_VM_STREAM_H
#define CMD_VM_STREAM_H

#include <limits.h>
#include <poll.h>
#include <stddef.h>

struct stream {
	int from; /* our end of the pipe; -1 once it has ended */
	int to;
	const char *const
		*drop;	    /* lines with one of these are dropped, NULL ends; or NULL: bytes */
	size_t start, end;  /* in buf: what is to be written */
	size_t held;	    /* bytes after it: the beginning of a line */
	char buf[PIPE_BUF]; /* as much as a pipe takes at once if poll() says so */
};

/* Makes the pipe; *other is the writer's end, which a child inherits. 0 or -errno. */
int stream_open(struct stream *s, int to, int *other);

/* What to wait for. */
struct pollfd stream_pollfd(const struct stream *s);

/*
 * Moves what can be moved after poll() found something. 0, or -EPIPE if nobody reads any
 * more; the stream then throws away what comes.
 */
int stream_move(struct stream *s);

void stream_close(struct stream *s);

#endif
