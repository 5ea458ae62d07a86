/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/macros.h"
#include "host/fd.h"

/* How often a ring without a kick descriptor is looked at. */
#define POLL_INTERVAL_NS 1000000u

/*
 * Sleeps until a kick, a wake-up or ns later; a broken queue only waits for the wake-up.
 * False if the kick descriptor is unusable.
 */
static bool wait_kick(struct worker *w, uint64_t ns)
{
	struct pollfd p[] = {
		{ .fd = w->wake_fd, .events = POLLIN },
		{ .fd = w->vq.broken ? -1 : w->kick_fd, .events = POLLIN }, /* -1 is ignored */
	};
	struct timespec t;

	if (w->vq.broken)
		ns = UINT64_MAX;
	else if (w->kick_fd < 0)
		ns = MIN(ns, POLL_INTERVAL_NS);
	t = (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
			       .tv_nsec = (long)(ns % NS_PER_S) };
	if (ppoll(p, 2, ns == UINT64_MAX ? NULL : &t, NULL) <= 0)
		return true;
	if (p[0].revents)
		fd_drain(w->wake_fd);
	if (p[1].revents & POLLIN)
		fd_drain(w->kick_fd);
	return !(p[1].revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* The ring is ours: serve it until asked to let go. */
static void serve(struct worker *w)
{
	while (!w->vq.stopping) {
		uint64_t again = UINT64_MAX;

		vq_refresh(&w->vq);
		if (!w->vq.broken)
			again = w->ops->serve(w->dev, w->index, &w->vq);
		if (!w->vq.stopping && !wait_kick(w, again))
			vq_break(&w->vq, -EBADF, "its kick descriptor is unusable");
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->run && !w->quit)
			pthread_cond_wait(&w->cond, &w->lock);
		if (w->quit)
			break;
		w->run = false;
		pthread_mutex_unlock(&w->lock);
		serve(w);
		pthread_mutex_lock(&w->lock);
		w->done = true;
		fd_signal(w->parked_fd);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int worker_init(struct worker *w, unsigned index, const char *obj, const struct device_ops *ops,
		void *dev, int parked_fd)
{
	int ret;

	*w = (struct worker){
		.index = index,
		.ops = ops,
		.dev = dev,
		.parked_fd = parked_fd,
		.kick_fd = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	snprintf(w->name, sizeof(w->name), "%s/q%u", obj, index);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0)
		return -errno;
	ret = vq_init(&w->vq, w->name);
	if (ret)
		return ret;
	ret = -pthread_create(&w->thread, NULL, worker_main, w);
	w->created = !ret;
	return ret;
}

void worker_fini(struct worker *w)
{
	assert(w->state == WORKER_IDLE);
	if (w->created) {
		pthread_mutex_lock(&w->lock);
		w->quit = true;
		pthread_cond_signal(&w->cond);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		w->created = false;
		vq_fini(&w->vq);
	}
	worker_set_kick(w, -1);
	fd_close(&w->wake_fd);
}

void worker_set_kick(struct worker *w, int fd)
{
	fd_close(&w->kick_fd);
	w->kick_fd = fd;
}

void worker_run(struct worker *w)
{
	assert(w->state == WORKER_IDLE);
	w->state = WORKER_RUNNING;
	pthread_mutex_lock(&w->lock);
	w->run = true;
	w->done = false;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

bool worker_park(struct worker *w)
{
	if (w->state == WORKER_RUNNING) {
		w->state = WORKER_PARKING;
		w->vq.stopping = true;
		worker_wake(w);
	}
	return worker_parked(w);
}

bool worker_parked(struct worker *w)
{
	if (w->state == WORKER_PARKING) {
		pthread_mutex_lock(&w->lock);
		if (w->done)
			w->state = WORKER_IDLE;
		pthread_mutex_unlock(&w->lock);
	}
	return w->state == WORKER_IDLE;
}

void worker_wake(struct worker *w)
{
	fd_signal(w->wake_fd);
}
