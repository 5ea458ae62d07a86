/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request, from its chain to its answer.
 *
 * The dispatcher (fs/dispatch.c) copies header and body into private memory, converts them to
 * host byte order, checks the sizes that the table of opcodes has, and calls the handler. A
 * handler looks only at that copy. It returns
 *   >= 0       success: so many bytes of rq->reply are the body of the answer
 *   -errno     the guest's error
 *   FS_LATER   it has handed the request on (fs/async.h, fs/lock.h), which will answer
 *   FS_SILENT  the request has no answer (FORGET, INTERRUPT)
 * The dispatcher alone writes reply headers, and swaps the body back.
 */
#ifndef FS_REQ_H
#define FS_REQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "fs/fs.h"
#include "virtio/queue.h"

#define FS_LATER  INT32_MIN
#define FS_SILENT (INT32_MIN + 1)

/* The largest body that is copied: SETXATTR with a value of XATTR_SIZE_MAX, and room. */
#define FS_BODY_MAX (72u << 10)
/* The largest answer that a handler builds in private memory: READDIR, GETXATTR. */
#define FS_REPLY_MAX (128u << 10)

struct async_engine;

#define CRED_GROUPS_MAX 32u
#define CRED_KNOWN	8u

/* Credentials and file mode mask of the thread, as last set: see fs/cred.h. */
struct cred_state {
	bool ready;	   /* the rest means something: cred_thread_init() was called */
	bool own_umask;	   /* the mask is the thread's, not the process's */
	uint32_t self[2];  /* uid and gid that we were started with */
	uint32_t id[2];	   /* that files are made with at present */
	uint32_t umask;	   /* at present */
	unsigned n_groups; /* supplementary ones, at present */
	uint32_t groups[CRED_GROUPS_MAX];
	uint32_t known[2][CRED_KNOWN]; /* ids that the kernel has taken before */
};

/* What the thread of a queue owns. */
struct fs_queue {
	struct fs *fs;
	unsigned index;
	struct vq *vq; /* while served */
	struct vq_chain chain;
	struct cred_state cred;
	struct async_engine *async; /* fs/async.h */
	struct queue_stats stats;
	uint8_t *body;	       /* FS_BODY_MAX + 1 */
	uint8_t *reply;	       /* a reply header, then FS_REPLY_MAX */
	bool thread_ready;     /* cred_thread_init() was called */
	bool stopped;	       /* the ring is not the thread's, */
	struct vq_config ring; /* and was this, base being where it stopped */
};

/* The longest body that a ticket can be answered with, unless it is in place already. */
#define FS_TICKET_BODY 32u

/* What is left of a request when its chain has been used for another: enough to answer it. */
struct fs_ticket {
	uint64_t unique;
	uint64_t started_ns; /* 0: nobody measures */
	uint32_t opcode;
	uint32_t hint; /* fs_swap_hint() */
	uint16_t head;
	bool swapped;
	uint8_t n_iov;
	uint32_t room; /* bytes that iov has: the reply header and FS_TICKET_BODY, or less */
	struct mem_table *mem; /* that iov points into; borrowed: who has the ticket holds it */
	struct iovec iov[4];   /* the begin of the chain's writable part */
};

struct fs_req {
	struct fs *fs;
	struct fs_queue *q;
	struct fuse_in_header in; /* host order */
	uint8_t *body;		  /* host order, then a NUL; may be changed by the handler */
	uint32_t body_len;
	uint8_t *reply;	    /* body of the answer; suitably aligned */
	uint32_t reply_max; /* what the handler may put there: the guest's room, and ours */
	uint32_t data_len;  /* WRITE: readable bytes behind the body, in the chain */
	uint32_t data_off;
	uint32_t room; /* READ: bytes of the chain behind the reply header */
	struct inode
		*inode; /* of in.nodeid, if the table of opcodes says so; put by the dispatcher */
	struct handle *handle; /* the same, of the body's first field, fh */
	uint32_t hint;	       /* fs_swap_hint() */
	bool swapped;
	bool in_place;	     /* the body is in the chain already; the handler returns its length */
	uint64_t started_ns; /* 0: nobody measures */
};

/* A body as its type; the table of opcodes has checked that it is long enough. */
#define FS_BODY(rq, type)  ((const struct type *)(const void *)(rq)->body)
#define FS_REPLY(rq, type) ((struct type *)(void *)(rq)->reply)

/* What fs/async.c and fs/lock.c need to answer later. 0, or -EFAULT if nobody could be answered. */
int fs_ticket_of(const struct fs_req *rq, struct fs_ticket *t);

/*
 * Answers a ticket on its queue's thread: res >= 0 with that many bytes of body, from body, or,
 * with body NULL, in place already; -errno. The driver sees it after the next vq_publish().
 */
void fs_ticket_answer(struct fs_queue *q, const struct fs_ticket *t, const void *body, int64_t res);

/* Is the ring that starts the one that stopped, where it stopped? For who keeps requests. */
static inline bool fs_ring_continues(const struct vq_config *stopped,
				     const struct vq_config *starts)
{
	return stopped->size == starts->size && stopped->base == starts->base &&
	       stopped->desc_uva == starts->desc_uva && stopped->avail_uva == starts->avail_uva &&
	       stopped->used_uva == starts->used_uva;
}

/* A queue's work: device_ops.serve. */
uint64_t fs_serve(struct fs_queue *q, struct vq *vq);

/* Makes the thread's own memory. NULL if there is none. */
struct fs_queue *fs_queue_new(struct fs *fs, unsigned index);
void fs_queue_free(struct fs_queue *q);

#endif
