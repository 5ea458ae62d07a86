/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads for what takes long: all of it where there is no io_uring, else the calls that io_uring
 * does not have. They are shared by all queues and take what comes in order. A thread touches
 * nothing but the job's descriptor, buffers and argument; answering is for the queue's own thread.
 * The system calls of the jobs are listed where these come from, and in async.c.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/macros.h"
#include "fs/engine.h"

struct pool {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t some;  /* todo is not empty, or quit is set */
	struct job_list todo;
	bool quit;

	unsigned n;
	pthread_t threads[FS_POOL_MAX];
};

static void run(struct job *job)
{
	while (!job_advance(job, job_call(job)))
		;
	async_finished(job);
}

static void *pool_main(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *job = job_list_take(&p->todo);

		if (!job && p->quit)
			break;
		if (!job) {
			pthread_cond_wait(&p->some, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		run(job);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void pool_add(struct pool *p, struct job *job)
{
	pthread_mutex_lock(&p->lock);
	job_list_add(&p->todo, job);
	pthread_cond_signal(&p->some);
	pthread_mutex_unlock(&p->lock);
}

/* Has every queue a ring? Then calls alone are left for the pool. */
static bool all_have_rings(const struct fs *fs)
{
	for (unsigned i = 0; i < FS_MAX_QUEUES; i++)
		if (fs->queues[i] && fs->queues[i]->async && !fs->queues[i]->async->uring)
			return false;
	return true;
}

int pool_start(struct fs *fs, unsigned threads)
{
	struct pool *p = calloc(1, sizeof(*p));
	sigset_t all, former;
	int ret = 0;

	assert(threads >= 1 && threads <= FS_POOL_MAX);
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->some, NULL);
	fs->pool = p;
	if (all_have_rings(fs))
		threads = 1;
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &former);
	while (!ret && p->n < threads) {
		ret = -pthread_create(&p->threads[p->n], NULL, pool_main, p);
		p->n += !ret;
	}
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (ret)
		pool_stop(fs);
	return ret;
}

void pool_stop(struct fs *fs)
{
	struct pool *p = fs->pool;

	if (!p)
		return;
	fs->pool = NULL;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->some);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->some);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
