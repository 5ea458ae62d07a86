/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may take long is done beside the queue's thread: reads and writes that would block, syncs,
 * copies. One engine for each queue, used by its thread alone. Two make: io_uring (fs/uring.c) and
 * threads (fs/pool.c). The pool is shared by all queues and has at most FS_POOL_MAX threads;
 * with io_uring one of them remains for the calls that io_uring does not have.
 *
 * A job holds the memory table that its iovecs point into, and its file handle, until it is
 * answered. Jobs in flight are bounded by the size of the ring.
 */
#ifndef FS_ASYNC_H
#define FS_ASYNC_H

#include "fs/req.h"

enum job_kind { JOB_READ, JOB_WRITE, JOB_FSYNC, JOB_FDATASYNC, JOB_FALLOCATE, JOB_CALL };

struct job {
	struct job *next; /* the engine's */
	struct fs_queue *q;
	struct fs_ticket ticket;
	struct mem_table *mem;
	struct handle *handle; /* or NULL */
	enum job_kind kind;
	int fd;
	int mode;     /* FALLOCATE */
	int rwf;      /* READ, WRITE: RWF_* */
	bool whole;   /* READ, WRITE: an error after a part of it is the answer, not the part */
	uint64_t off; /* bytes; READ, WRITE, FALLOCATE */
	uint64_t len; /* FALLOCATE */
	/*
	 * JOB_CALL: runs on a thread of the pool; its result is the answer's, the body is
	 * job->reply. Must not touch the queue, the chain or guest memory.
	 */
	int64_t (*call)(struct job *job);
	void *arg; /* the caller's; freed by free_arg, if set, after the answer */
	void (*free_arg)(void *arg);
	_Alignas(8) uint8_t reply[FS_TICKET_BODY]; /* WRITE's, COPY_FILE_RANGE's */
	int64_t done;				   /* bytes so far */
	int64_t result;
	unsigned n_iov, first; /* iovecs; those before first are done */
	size_t skip; /* bytes by which iov[first] was shortened in front, as they are done */
	struct iovec iov[];
};

/*
 * A job for rq with room for n_iov iovecs, which the caller fills in. Takes its own references to
 * the handle (may be NULL) and to the memory table. NULL if there is no memory: -ENOMEM.
 */
struct job *job_new(struct fs_req *rq, struct handle *h, unsigned n_iov);
void job_free(struct job *job);

/* The first n bytes are done already. Before async_submit(). */
void job_skip(struct job *job, uint64_t n);

/* Hands it over. The request's handler returns FS_LATER after this. */
void async_submit(struct job *job);

/* The engine of a queue. -errno. Made before the sandbox is locked, on any thread. */
int async_new(struct fs_queue *q, struct async_engine **out);
void async_free(struct async_engine *e);

/* The queue's thread: gives what was submitted to the kernel. One system call, or none. */
void async_flush(struct async_engine *e);

/*
 * Answers (fs_ticket_answer()) what is finished. True if there was any, or a part of one: what goes
 * on from there wants async_flush(), and nothing else will wake the thread for it.
 */
bool async_reap(struct async_engine *e);

/* Jobs that are not answered. */
unsigned async_pending(const struct async_engine *e);

/* Waits until all are answered: the ring is wanted back. */
void async_drain(struct async_engine *e);

/*
 * Becomes readable (edge) when something is finished, or -1. Threads of the pool wake through
 * device_host. A thread that waits for it may be woken with EINTR instead.
 */
int async_fd(const struct async_engine *e);

/*
 * Shared by all queues, and started after their engines were made: one thread if all of these have
 * io_uring, else threads (1..FS_POOL_MAX). 0 or -errno. Stopped when nothing is pending.
 */
int pool_start(struct fs *fs, unsigned threads);
void pool_stop(struct fs *fs);

#endif
