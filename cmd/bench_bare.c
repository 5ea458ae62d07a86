/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/bench_bare.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/fd.h"

/* Sleeps in poll(), as an event loop does. */
static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) != 1)
		;
	fd_drain(fd);
}

static void *sync_for_others(void *arg)
{
	struct bare *b = arg;

	for (;;) {
		wait_for(b->go);
		if (b->quit)
			return NULL;
		b->result = bare_sync(b);
		fd_signal(b->done);
	}
}

int bare_init(struct bare *b, int fd)
{
	int ret;

	*b = (struct bare){
		.fd = fd,
		.go = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	if (b->go < 0 || b->done < 0)
		return -errno;
	ret = -pthread_create(&b->thread, NULL, sync_for_others, b);
	b->running = !ret;
	return ret;
}

void bare_fini(struct bare *b)
{
	if (b->running) {
		b->quit = true;
		fd_signal(b->go);
		pthread_join(b->thread, NULL);
		b->running = false;
	}
	fd_close(&b->go);
	fd_close(&b->done);
}

int bare_sync(struct bare *b)
{
	return fdatasync(b->fd) < 0 ? -errno : 0;
}

int bare_sync_handed(struct bare *b)
{
	fd_signal(b->go);
	wait_for(b->done);
	return b->result;
}
