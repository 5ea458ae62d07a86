/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/control.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "host/fd.h"

static void listen_ready(struct loop_source *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, listen);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	char buf[4096]; /* fits the buffer of a new socket: this never waits for the reader */

	(void)events;
	if (fd < 0)
		return;
	send(fd, buf, c->report(c->ctx, buf, sizeof(buf)), MSG_NOSIGNAL);
	fd_close(&fd);
}

int control_init(struct control *c, struct loop *loop, int fd,
		 size_t (*report)(void *ctx, char *buf, size_t len), void *ctx)
{
	*c = (struct control){
		.loop = loop,
		.listen = { .fd = fd, .ready = listen_ready },
		.report = report,
		.ctx = ctx,
	};
	return loop_add(loop, &c->listen, EPOLLIN);
}

void control_fini(struct control *c)
{
	if (c->loop)
		loop_del(c->loop, &c->listen);
	fd_close(&c->listen.fd);
}
