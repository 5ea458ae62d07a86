/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring as an engine: one ring for each queue. It is made, restricted to the four operations
 * below and enabled before the sandbox is locked, as later nobody may make or change one; from then
 * on the queue's thread alone uses it.
 *
 * System calls. What a pass of fs_serve() submits goes to the kernel in one call; completions are
 * read from memory. The thread sleeps in epoll_wait(), edge-triggered on the ring. Mostly it is
 * woken not by the ring but by the work that the kernel does on this very thread to complete a
 * request: epoll_wait() then ends with EINTR, and the completion is there.
 *
 * No completion can be lost: no more is in flight than the completion ring has places. The rest
 * waits in a list, whose length the virtqueue bounds.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <seccomp.h>
#include <stdlib.h>

#include "base/macros.h"
#include "fs/engine.h"
#include "fs/seccomp.h"

const int fs_uring_syscalls[] = { SCMP_SYS(io_uring_enter), SYSCALLS_END };

#define SUBMIT_ENTRIES	 64u
#define COMPLETE_ENTRIES 512u
/* Of each queue's thread: for files, and for what is none. */
#define WORKERS	      4u
#define WORKERS_OTHER 1u
/* The ring has to wait for memory of the kernel. */
#define RETRY_MS 1

struct uring {
	struct io_uring ring;
	struct async_engine *e;
	struct job_list todo; /* not in the ring yet */
	unsigned in_ring;     /* whose completion was not read */
};

/* --- set-up --- */

static int allow_only_ours(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				       IORING_OP_FALLOCATE };
	struct io_uring_restriction r[ARRAY_SIZE(ops)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = ops[i];
	}
	/* liburing 2.3 forgot to export its own name for this one, and for enabling. */
	return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, r,
				 ARRAY_SIZE(r));
}

static int make_ring(struct io_uring *ring)
{
	struct io_uring_params p = {
		/* The last two: no interrupt of this thread when it is awake anyway. Linux 5.19. */
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG,
		.cq_entries = COMPLETE_ENTRIES,
	};
	int ret = io_uring_queue_init_params(SUBMIT_ENTRIES, ring, &p);

	if (ret != -EINVAL)
		return ret;
	p = (struct io_uring_params){
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETE_ENTRIES,
	};
	return io_uring_queue_init_params(SUBMIT_ENTRIES, ring, &p);
}

static int set_up(struct io_uring *ring)
{
	unsigned workers[] = { WORKERS, WORKERS_OTHER };
	int ret = allow_only_ours(ring);

	if (!ret)
		ret = io_uring_register_iowq_max_workers(ring, workers);
	if (!ret)
		ret = io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
					0);
	return ret;
}

int uring_new(struct async_engine *e, struct uring **out)
{
	struct uring *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return -ENOMEM;
	u->e = e;
	ret = make_ring(&u->ring);
	if (ret)
		goto err_free;
	ret = set_up(&u->ring);
	if (ret)
		goto err_exit;
	*out = u;
	return 0;
err_exit:
	io_uring_queue_exit(&u->ring);
err_free:
	free(u);
	return ret;
}

void uring_free(struct uring *u)
{
	if (!u)
		return;
	assert(!u->in_ring);
	io_uring_queue_exit(&u->ring);
	free(u);
}

int uring_fd(const struct uring *u)
{
	return u->ring.ring_fd;
}

/* --- the queue's thread --- */

void uring_add(struct uring *u, struct job *job)
{
	job_list_add(&u->todo, job);
}

static void prepare(struct io_uring_sqe *sqe, struct job *job)
{
	uint64_t off = job->off + (uint64_t)job->done;
	struct iovec *iov;
	unsigned n;

	switch (job->kind) {
	case JOB_READ:
		n = job_iov(job, &iov);
		io_uring_prep_readv2(sqe, job->fd, iov, n, off, job->rwf);
		break;
	case JOB_WRITE:
		n = job_iov(job, &iov);
		io_uring_prep_writev2(sqe, job->fd, iov, n, off, job->rwf);
		break;
	case JOB_FSYNC:
		io_uring_prep_fsync(sqe, job->fd, 0);
		break;
	case JOB_FDATASYNC:
		io_uring_prep_fsync(sqe, job->fd, IORING_FSYNC_DATASYNC);
		break;
	case JOB_FALLOCATE:
		io_uring_prep_fallocate(sqe, job->fd, job->mode, (off_t)job->off, (off_t)job->len);
		break;
	case JOB_CALL:
		assert(!"a call is for the pool");
	}
	io_uring_sqe_set_data(sqe, job);
}

/* Fills the submission ring. */
static void fill(struct uring *u)
{
	while (u->todo.first && u->in_ring < u->ring.cq.ring_entries) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		if (!sqe)
			return;
		prepare(sqe, job_list_take(&u->todo));
		u->in_ring++;
	}
}

bool uring_has_new(const struct uring *u)
{
	return (u->todo.first && u->in_ring < u->ring.cq.ring_entries) ||
	       io_uring_sq_ready(&u->ring);
}

/* Submits what there is room for. 0, or -errno: what is left stays in the submission ring. */
static int submit(struct uring *u)
{
	int ret = 0;

	while (ret >= 0 && uring_has_new(u)) {
		fill(u);
		ret = io_uring_submit(&u->ring);
		if (ret == -EINTR)
			ret = 0;
	}
	return ret < 0 ? ret : 0;
}

void uring_flush(struct uring *u)
{
	const struct fs_queue *q = u->e->q;
	const struct device_host *host = q->fs->host;

	/* Only for want of memory. If something is under way, its end is when to try again. */
	if (submit(u) && u->in_ring == io_uring_sq_ready(&u->ring)) {
		poll(NULL, 0, RETRY_MS);
		host->wake(host->ctx, q->index);
	}
}

/* Lets the kernel finish what it has ready for this thread, if it says that there is something. */
static void run_ready(struct uring *u)
{
	if (IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
		io_uring_get_events(&u->ring);
}

bool uring_reap(struct uring *u)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	if (!u->in_ring)
		return false;
	run_ready(u);
	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		struct job *job = io_uring_cqe_get_data(cqe);

		n++;
		if (job_advance(job, cqe->res))
			async_answer(u->e, job);
		else
			uring_add(u, job);
	}
	io_uring_cq_advance(&u->ring, n);
	u->in_ring -= n;
	return n;
}

bool uring_busy(const struct uring *u)
{
	return u->in_ring || u->todo.first;
}

void uring_wait(struct uring *u)
{
	/* Nothing of ours is with the kernel: it had no memory, and will not wake us. */
	if (u->in_ring == io_uring_sq_ready(&u->ring))
		poll(NULL, 0, RETRY_MS);
	else
		io_uring_submit_and_wait(&u->ring, 1);
}
