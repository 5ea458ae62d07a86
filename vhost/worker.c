/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread sleeps in one system call. Its descriptors are edge-triggered and never read: each
 * write to an eventfd is an edge, whatever its counter says. So nothing that the front end
 * does to the open file of a kick, which it shares, can make us wait or spin; and a kick costs
 * no second call.
 */
#include "vhost/worker.h"

#include <assert.h>
#include <errno.h>
#include <linux/time_types.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"

/* How often a ring without a kick descriptor is looked at. */
#define POLL_INTERVAL_NS 1000000u
#define NS_PER_MS	 1000000u

/* The same on every architecture with a generic table of calls; Linux 5.11. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* epoll_wait() for ns at most. */
static int wait_some(int epfd, struct epoll_event *ev, int max, uint64_t ns)
{
	const struct __kernel_timespec t = {
		.tv_sec = (long long)(ns / NS_PER_S),
		.tv_nsec = (long long)(ns % NS_PER_S),
	};
	long n;

	if (ns == UINT64_MAX)
		return epoll_wait(epfd, ev, max, -1);
	n = syscall(SYS_epoll_pwait2, epfd, ev, max, &t, NULL, (size_t)0);
	if (n >= 0 || errno != ENOSYS)
		return (int)n;
	ns = ns / NS_PER_MS + (ns % NS_PER_MS != 0); /* never before its time */
	return epoll_wait(epfd, ev, max, (int)MIN(ns, (uint64_t)INT32_MAX));
}

/* What an event is about. */
enum source { SOURCE_WAKE, SOURCE_KICK, SOURCE_DEVICE };

static int watch(const struct worker *w, int fd, enum source source)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = source };

	return epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* Before the descriptor is closed: the front end may keep its open file, and the watch with it. */
static void unwatch(const struct worker *w, int fd)
{
	if (fd >= 0)
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, fd, NULL);
}

/*
 * Sleeps until a kick, a wake-up or ns later; a broken queue only waits for the wake-up.
 * False if the kick descriptor is unusable.
 */
static bool wait_kick(struct worker *w, uint64_t ns)
{
	struct epoll_event ev[3];
	bool usable = true;
	int n;

	if (w->vq.broken)
		ns = UINT64_MAX;
	else if (w->kick_fd < 0)
		ns = MIN(ns, POLL_INTERVAL_NS);
	/* An error is EINTR, which work of the device's descriptor may cause: look again. */
	n = wait_some(w->epfd, ev, ARRAY_SIZE(ev), ns);
	for (int i = 0; i < n; i++)
		if (ev[i].data.u32 == SOURCE_KICK && (ev[i].events & (EPOLLERR | EPOLLHUP)))
			usable = false;
	return usable;
}

/*
 * The ring is ours: serve it until asked to let go, and then once more, for the device to
 * finish what it has popped.
 */
static void serve(struct worker *w)
{
	bool usable = w->kick_usable, last = false;

	while (!last) {
		uint64_t again = UINT64_MAX;

		last = w->vq.stopping;
		vq_refresh(&w->vq);
		if (!usable)
			vq_break(&w->vq, -EBADF, "its kick descriptor is unusable");
		if (!w->vq.broken || last)
			again = w->ops->serve(w->dev, w->index, &w->vq);
		if (w->vq.broken) { /* no longer woken by what it does not serve */
			unwatch(w, w->kick_fd);
			unwatch(w, w->device_fd);
		}
		if (!w->vq.stopping)
			usable = wait_kick(w, again);
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
		.epfd = -1,
		.wake_fd = -1,
		.kick_fd = -1,
		.device_fd = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	snprintf(w->name, sizeof(w->name), "%s/q%u", obj, index);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epfd < 0 || w->wake_fd < 0)
		return -errno;
	ret = watch(w, w->wake_fd, SOURCE_WAKE);
	if (!ret)
		ret = vq_init(&w->vq, w->name);
	if (ret)
		return ret;
	w->vq.refreshed_fd = parked_fd;
	w->vq.spin.max_ns = ops->spin_ns;
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
	fd_close(&w->epfd);
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
	w->device_fd = w->ops->wait_fd ? w->ops->wait_fd(w->dev, w->index) : -1;
	w->kick_usable = w->kick_fd < 0 || !watch(w, w->kick_fd, SOURCE_KICK);
	if (w->device_fd >= 0)
		watch(w, w->device_fd, SOURCE_DEVICE);
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
		if (w->state == WORKER_IDLE) {
			unwatch(w, w->kick_fd);
			unwatch(w, w->device_fd);
			w->device_fd = -1;
		}
	}
	return w->state == WORKER_IDLE;
}

void worker_wake(struct worker *w)
{
	fd_signal(w->wake_fd);
}
