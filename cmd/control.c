/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "host/fd.h"

static void drop_client(struct control_client *k)
{
	if (!k->answer)
		return;
	loop_del(k->control->loop, &k->source);
	fd_close(&k->source.fd);
	free(k->answer);
	k->answer = NULL;
}

/* Sends what the socket takes. 1 if all is sent, 0 if some is left, or -errno. */
static int send_some(struct control_client *k)
{
	while (k->sent < k->len) {
		ssize_t n = send(k->source.fd, k->answer + k->sent, k->len - k->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		k->sent += (size_t)n;
	}
	return 1;
}

static void client_ready(struct loop_source *src, uint32_t events)
{
	struct control_client *k = container_of(src, struct control_client, source);

	(void)events;
	if (send_some(k))
		drop_client(k);
}

static struct control_client *free_place(struct control *c)
{
	struct control_client *k;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (!c->clients[i].answer)
			return &c->clients[i];
	k = &c->clients[c->next++ % CONTROL_CLIENTS];
	drop_client(k);
	return k;
}

/* Keeps what could not be sent, and its descriptor, for later; or gives the client up. */
static void keep(struct control *c, const struct control_client *client)
{
	struct control_client *k = free_place(c);

	*k = *client;
	if (loop_add(c->loop, &k->source, EPOLLOUT)) {
		fd_close(&k->source.fd);
		free(k->answer);
		k->answer = NULL;
	}
}

static void listen_ready(struct loop_source *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, listen);
	struct control_client k = {
		.source = { .fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
			    .ready = client_ready },
		.control = c,
	};

	(void)events;
	if (k.source.fd < 0)
		return;
	k.answer = malloc(CONTROL_ANSWER_MAX);
	if (k.answer) {
		k.len = c->report(c->ctx, k.answer, CONTROL_ANSWER_MAX);
		if (send_some(&k) == 0) {
			keep(c, &k);
			return;
		}
	}
	free(k.answer);
	fd_close(&k.source.fd);
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
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		drop_client(&c->clients[i]);
	if (c->loop)
		loop_del(c->loop, &c->listen);
	fd_close(&c->listen.fd);
}
