/* SPDX-License-Identifier: BSD-2-Clause */
/* `vdax fs` as a process, in its sandbox, on a directory of its own, and raw requests to it. */
#ifndef TESTS_PROTO_FSD_H
#define TESTS_PROTO_FSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "front/raw.h"
#include "wire/fuse.h"

#define FSD_TIMEOUT_MS 20000

struct fsd {
	pid_t pid;
	bool once;			   /* without --serve-again: ends with its front end */
	char dir[64];			   /* removed at the end, with all that is in it */
	char share[80], sock[80], log[80]; /* log: what it says */
};

/* Makes d->dir, below where, and the empty share. d is to live until fsd_end(), or exit. */
void fsd_prepare(struct fsd *d, const char *where);

/* Another one, of the share of the first, which lives longer. */
void fsd_prepare_second(struct fsd *d, const struct fsd *first, const char *where);

/*
 * Starts the daemon with --serve-again, unless d->once, and these options, NULL at the end. It ends
 * with us, and at the latest at exit.
 */
void fsd_start(struct fsd *d, const char *const *options);
void fsd_stop(struct fsd *d);
/* And removes d->dir. */
void fsd_end(struct fsd *d);

/* bytes: of one request and its answer; queues: all, with hiprio. No INIT. */
struct front_raw *fsd_connect(const struct fsd *d, unsigned int queues, size_t bytes);
/* The same with any front end; its descriptor is set here. */
struct front_raw *fsd_connect_as(const struct fsd *d, const struct front_raw_opts *opts);

/* Of the process that serves. RSS in KiB. */
unsigned fsd_fds(const struct fsd *d);
unsigned fsd_threads(const struct fsd *d); /* but for those of io_uring, which come and go */
unsigned long fsd_rss(const struct fsd *d);

/* Shows what it has said so far. How many lines. */
unsigned fsd_log_lines(const struct fsd *d);

/* A body made of a structure and what follows it. */
struct fsd_body {
	const void *head;
	size_t head_len;
	const void *tail;
	size_t tail_len;
};
#define FSD_BODY(type, ...)                                      \
	.head = &(const struct fuse_##type##_in){ __VA_ARGS__ }, \
	.head_len = sizeof(struct fuse_##type##_in)
#define FSD_TEXT(literal) .tail = (literal), .tail_len = sizeof(literal)
#define FSD_NAME(name)	  .tail = (name), .tail_len = strlen(name) + 1

struct fsd_rq {
	uint32_t opcode;
	uint64_t nodeid; /* 0: the root */
	struct fsd_body body;
	uint64_t unique;
};

/* Sends it; a ticket of front_raw_wait(). Ends the test if that fails. */
int fsd_post(struct front_raw *r, unsigned int queue, const struct fsd_rq *rq, size_t room);

/* Waits. Bytes of the answer's body, which are copied to reply, or -errno. */
int fsd_wait(struct front_raw *r, unsigned int queue, int ticket, void *reply, size_t size);

/* Both. */
int fsd_call(struct front_raw *r, unsigned int queue, const struct fsd_rq *rq, void *reply,
	     size_t size);

void fsd_init(struct front_raw *r, uint64_t features);

/* The node id, or 0. */
uint64_t fsd_lookup(struct front_raw *r, unsigned int queue, uint64_t parent, const char *name);
int fsd_forget(struct front_raw *r, unsigned int queue, uint64_t nodeid, uint64_t n);

/* fh, or 0. */
uint64_t fsd_open(struct front_raw *r, unsigned int queue, uint32_t opcode, uint64_t nodeid,
		  int flags);

#endif
