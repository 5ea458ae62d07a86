/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/async.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/cred.h"
#include "fs/dax.h"
#include "fs/engine.h"
#include "fs/seccomp.h"
#include "host/log.h"

/* The p...2 calls are how the C library makes the plain ones, where it has flags. */
const int fs_async_syscalls[] = {
	SCMP_SYS(preadv),    SCMP_SYS(pwritev), SCMP_SYS(preadv2),   SCMP_SYS(pwritev2),
	SCMP_SYS(fdatasync), SCMP_SYS(fsync),	SCMP_SYS(fallocate), SYSCALLS_END,
};

/* A read without the page cache begins on such a boundary, or it is an error. */
#define DIRECT_ALIGN 512u

void job_list_add(struct job_list *l, struct job *job)
{
	job->next = NULL;
	if (l->first)
		l->last->next = job;
	else
		l->first = job;
	l->last = job;
}

struct job *job_list_take(struct job_list *l)
{
	struct job *job = l->first;

	if (job)
		l->first = job->next;
	return job;
}

struct job *job_new(struct fs_req *rq, struct handle *h, unsigned n_iov)
{
	struct job *job = malloc(sizeof(*job) + n_iov * sizeof(job->iov[0]));

	if (!job)
		return NULL;
	memset(job, 0, sizeof(*job));
	if (fs_ticket_of(rq, &job->ticket)) {
		free(job);
		return NULL;
	}
	job->q = rq->q;
	job->mem = mem_get(rq->q->vq->mem);
	job->handle = h ? handle_ref(h) : NULL;
	job->fd = h ? h->fd : -1;
	return job;
}

void job_free(struct job *job)
{
	if (job->free_arg)
		job->free_arg(job->arg);
	if (job->handle)
		handle_put(job->q->fs, job->handle);
	mem_put(job->mem);
	free(job);
}

unsigned job_iov(struct job *job, struct iovec **iov)
{
	*iov = job->iov + job->first;
	return MIN(job->n_iov - job->first, (unsigned)IOV_MAX);
}

/* Makes iov[first] what it was. */
static void unskip(struct job *job)
{
	if (!job->skip)
		return;
	job->iov[job->first].iov_base = (char *)job->iov[job->first].iov_base - job->skip;
	job->iov[job->first].iov_len += job->skip;
	job->skip = 0;
}

void job_skip(struct job *job, uint64_t n)
{
	job->done += (int64_t)n;
	while (n && job->first < job->n_iov) {
		struct iovec *v = &job->iov[job->first];

		if (n < v->iov_len) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= n;
			job->skip += n;
			return;
		}
		n -= v->iov_len;
		unskip(job);
		job->first++;
	}
}

static int64_t read_or_write(struct job *job)
{
	off_t off = (off_t)job->off + job->done;
	struct iovec *iov;
	unsigned n = job_iov(job, &iov);

	return job->kind == JOB_READ ? preadv2(job->fd, iov, (int)n, off, job->rwf)
				     : pwritev2(job->fd, iov, (int)n, off, job->rwf);
}

int64_t job_call(struct job *job)
{
	int64_t ret = -1;

	switch (job->kind) {
	case JOB_READ:
	case JOB_WRITE:
		ret = read_or_write(job);
		break;
	case JOB_FSYNC:
		ret = fsync(job->fd);
		break;
	case JOB_FDATASYNC:
		ret = fdatasync(job->fd);
		break;
	case JOB_FALLOCATE:
		ret = fallocate(job->fd, job->mode, (off_t)job->off, (off_t)job->len);
		break;
	case JOB_CALL:
		return job->call(job); /* -errno already */
	}
	return ret < 0 ? -errno : ret;
}

static bool finish(struct job *job, int64_t result)
{
	job->result = result;
	return true;
}

bool job_advance(struct job *job, int64_t res)
{
	if (res == -EINTR && job->kind != JOB_CALL)
		return false;
	if (job->kind != JOB_READ && job->kind != JOB_WRITE)
		return finish(job, res);
	if (res == 0 && job->kind == JOB_WRITE)
		res = -EIO; /* the host takes no more, and does not say why */
	if (res < 0)
		return finish(job, job->whole || !job->done ? res : job->done);
	if (res == 0)
		return finish(job, job->done); /* end of file */
	job_skip(job, (uint64_t)res);
	if (job->first == job->n_iov)
		return finish(job, job->done);
	/* There is no more, and from here it could not be asked for. */
	if (job->kind == JOB_READ && !job->whole && job->done % DIRECT_ALIGN)
		return finish(job, job->done);
	return false;
}

static uint64_t iov_bytes(const struct job *job)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < job->n_iov; i++)
		sum += job->iov[i].iov_len;
	return sum;
}

/*
 * What a read may have put into guest memory: all of its buffers. After an error nobody knows how
 * far it came, and without the page cache the disk's blocks go there as they are, beyond the end of
 * the file.
 */
static void log_dirty(struct job *job)
{
	struct vq *vq = job->q->vq;

	if (job->kind != JOB_READ || !vq->log.data)
		return;
	unskip(job);
	vq_wrote_in(vq, job->mem, job->iov, job->n_iov, iov_bytes(job));
}

/* What a window shows of the file must be what it is now. */
static void show_change(const struct job *job)
{
	struct fs *fs = job->q->fs;

	if (!job->handle)
		return;
	if (job->kind == JOB_WRITE || job->kind == JOB_FALLOCATE)
		dax_changed(fs, job->handle->inode, 0, UINT64_MAX);
}

void async_answer(struct async_engine *e, struct job *job)
{
	int64_t res = job->result;
	const void *body = NULL;

	log_dirty(job);
	show_change(job);
	if (job->kind == JOB_WRITE && res >= 0) {
		const struct fuse_write_out out = { .size = (uint32_t)res };

		memcpy(job->reply, &out, sizeof(out));
		res = sizeof(out);
	}
	if (job->kind != JOB_READ && res > 0) {
		assert(res <= (int64_t)sizeof(job->reply));
		body = job->reply;
	}
	fs_ticket_answer(e->q, &job->ticket, body, res);
	e->pending--;
	job_free(job);
}

/* --- the engine, on its queue's thread --- */

/* Makes the ring, if it is wanted and to be had. 0 or -errno. */
static int choose(struct async_engine *e)
{
	const struct fs *fs = e->q->fs;
	int ret;

	if (fs->cfg->engine == FS_ENGINE_POOL)
		return 0;
	ret = uring_new(e, &e->uring);
	if (!ret)
		return 0;
	if (fs->cfg->engine == FS_ENGINE_URING) {
		log_err(fs->name, "io_uring is not to be had: %s", strerror(-ret));
		return ret;
	}
	if (e->q->index == 0) /* it will be the same for the others */
		log_info(fs->name, "io_uring is not to be had (%s): %u threads do what takes long",
			 strerror(-ret), fs->cfg->pool_threads);
	return 0;
}

int async_new(struct fs_queue *q, struct async_engine **out)
{
	struct async_engine *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	e->q = q;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->some, NULL);
	ret = choose(e);
	if (ret) {
		async_free(e);
		return ret;
	}
	*out = e;
	return 0;
}

void async_free(struct async_engine *e)
{
	if (!e)
		return;
	assert(!e->pending);
	uring_free(e->uring);
	pthread_cond_destroy(&e->some);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void async_submit(struct job *job)
{
	struct async_engine *e = job->q->async;

	e->pending++;
	if (e->uring && job->kind != JOB_CALL)
		uring_add(e->uring, job);
	else
		pool_add(job->q->fs->pool, job);
}

void async_flush(struct async_engine *e)
{
	if (!e->uring || !uring_has_new(e->uring))
		return;
	cred_self(e->q); /* what the kernel does for us, it does with the rights of now */
	uring_flush(e->uring);
}

void async_finished(struct job *job)
{
	struct fs_queue *q = job->q;
	struct async_engine *e = q->async;
	const struct device_host *host = q->fs->host;
	bool first;

	pthread_mutex_lock(&e->lock);
	first = !e->finished.first;
	job_list_add(&e->finished, job);
	e->any = true;
	pthread_cond_signal(&e->some);
	pthread_mutex_unlock(&e->lock);
	/* The job may be gone. If there was one before, the thread has been woken for that. */
	if (first)
		host->wake(host->ctx, q->index);
}

/* What the pool has finished. */
static bool reap_pool(struct async_engine *e)
{
	struct job_list l;
	struct job *job;

	if (!e->any)
		return false;
	pthread_mutex_lock(&e->lock);
	l = e->finished;
	e->finished = (struct job_list){ 0 };
	e->any = false;
	pthread_mutex_unlock(&e->lock);
	while ((job = job_list_take(&l)))
		async_answer(e, job);
	return true;
}

bool async_reap(struct async_engine *e)
{
	bool any = reap_pool(e);

	return e->uring ? uring_reap(e->uring) || any : any;
}

unsigned async_pending(const struct async_engine *e)
{
	return e->pending;
}

static void wait_pool(struct async_engine *e)
{
	pthread_mutex_lock(&e->lock);
	while (!e->finished.first)
		pthread_cond_wait(&e->some, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

void async_drain(struct async_engine *e)
{
	while (e->pending) {
		async_flush(e);
		if (async_reap(e))
			continue;
		if (e->uring && uring_busy(e->uring))
			uring_wait(e->uring);
		else
			wait_pool(e);
	}
}

int async_fd(const struct async_engine *e)
{
	return e->uring ? uring_fd(e->uring) : -1;
}
