/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edge-triggered: each write to an eventfd is an event, although nobody reads the counter. It
 * would take a back end centuries to fill it.
 */
#include "front/waiter.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/fd.h"

#define EVENT_LOST FRONT_MAX_QUEUES
#define EVENT_ERR  (FRONT_MAX_QUEUES + 1)

static int add(struct front_waiter *w, int fd, uint32_t events, uint32_t what)
{
	struct epoll_event e = { .events = events, .data.u32 = what };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int front_waiter_open(struct front_waiter *w, const struct front *f)
{
	int ret;

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return -errno;
	ret = add(w, f->sock, EPOLLIN | EPOLLRDHUP, EVENT_LOST);
	if (ret)
		front_waiter_close(w);
	return ret;
}

void front_waiter_close(struct front_waiter *w)
{
	fd_close(&w->epoll);
}

int front_waiter_add(struct front_waiter *w, const struct front *f, unsigned int i)
{
	int ret = add(w, f->q[i].call, EPOLLIN | EPOLLET, i);

	return ret ? ret : add(w, f->q[i].err, EPOLLIN, EVENT_ERR);
}

int front_waiter_wait(struct front_waiter *w, int timeout_ms)
{
	struct epoll_event e[FRONT_MAX_QUEUES + 2];
	int n = epoll_wait(w->epoll, e, FRONT_MAX_QUEUES + 2, timeout_ms);
	int queues = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		if (e[i].data.u32 == EVENT_LOST)
			return -EPIPE;
		if (e[i].data.u32 == EVENT_ERR)
			return -EIO;
		queues |= 1 << e[i].data.u32;
	}
	return queues;
}

uint64_t front_count_calls(struct front *f, unsigned int i)
{
	struct pollfd p = { .fd = f->q[i].call, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, 0) != 1 || read(f->q[i].call, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return 0;
	f->q[i].calls += n;
	return n;
}
