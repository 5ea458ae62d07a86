/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of an engine: async.c (jobs, and the queue's side), uring.c and pool.c (who
 * does them). Nobody else includes this; the rest of fs/ sees async.h.
 */
#ifndef FS_ENGINE_H
#define FS_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/async.h"

struct pool;
struct uring;

/* First in, first out. All 0 is empty. */
struct job_list {
	struct job *first, *last;
};

void job_list_add(struct job_list *l, struct job *job);
struct job *job_list_take(struct job_list *l); /* NULL if it is empty */

struct async_engine {
	struct fs_queue *q;
	struct uring *uring; /* NULL: the pool does everything */
	unsigned pending;    /* submitted, not answered */

	/* Threads of the pool hand over here. */
	pthread_mutex_t lock;	  /* guards finished */
	pthread_cond_t some;	  /* there is something in finished */
	struct job_list finished; /* waits for the queue's thread */
	_Atomic bool any;	  /* finished is not empty: a look without the lock */
};

/* Makes the next system call of a job on this thread. Its result, or -errno. */
int64_t job_call(struct job *job);

/* What a call had for a result. True if the job is finished: job->result is set. */
bool job_advance(struct job *job, int64_t res);

/* The buffers of the next call of a READ or WRITE: at most IOV_MAX. Returns how many. */
unsigned job_iov(struct job *job, struct iovec **iov);

/* A thread of the pool has finished it. */
void async_finished(struct job *job);

/* The queue's thread: answers, and frees the job. */
void async_answer(struct async_engine *e, struct job *job);

/* fs/pool.c. Any queue's thread. */
void pool_add(struct pool *p, struct job *job);

/* fs/uring.c. The ring of one queue. 0 or -errno; -EPERM or -ENOSYS: the kernel has none for us. */
int uring_new(struct async_engine *e, struct uring **out);
void uring_free(struct uring *u);
int uring_fd(const struct uring *u);

/* The queue's thread. */
void uring_add(struct uring *u, struct job *job);
bool uring_has_new(const struct uring *u); /* something that uring_flush() is for */
void uring_flush(struct uring *u);
bool uring_reap(struct uring *u); /* as async_reap() */
bool uring_busy(const struct uring *u);
void uring_wait(struct uring *u); /* until one call is finished */

#endif
