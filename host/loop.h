/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of the control plane: one thread, level-triggered, one event at a time.
 * One at a time costs a system call per event, which no data path pays, and makes it safe
 * for a handler to remove and free any source, its own included.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_source {
	int fd; /* borrowed; remove the source before closing it */
	void (*ready)(struct loop_source *src, uint32_t events); /* EPOLL* */
};

struct loop {
	int epfd;
	bool quit;
	/* Called before each wait, to do what must not be done inside a handler; or NULL. */
	void (*before_wait)(void *ctx);
	void *ctx;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* The source stays with the caller and must live until removed. 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *src, uint32_t events);
void loop_del(struct loop *loop, struct loop_source *src);

/* Runs until loop_quit(). 0 or -errno if waiting itself fails. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

#endif
