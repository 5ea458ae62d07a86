/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/loop.h"

#include <errno.h>
#include <sys/epoll.h>

#include "host/fd.h"

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ .epfd = epoll_create1(EPOLL_CLOEXEC) };
	return loop->epfd < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	fd_close(&loop->epfd);
}

int loop_add(struct loop *loop, struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(loop->epfd, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
}

void loop_del(struct loop *loop, struct loop_source *src)
{
	if (src->fd >= 0)
		epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
}

int loop_run(struct loop *loop)
{
	struct epoll_event ev;
	struct loop_source *src;
	int n;

	while (!loop->quit) {
		if (loop->before_wait)
			loop->before_wait(loop->ctx);
		if (loop->quit)
			break;
		n = epoll_wait(loop->epfd, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n != 1)
			continue;
		src = ev.data.ptr;
		src->ready(src, ev.events);
	}
	return 0;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}
