/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/transfer.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"
#include "vhost/dispatch.h"
#include "vhost/vhost.h"

union transfer_io {
	struct state_out out;
	struct state_in in;
};

/* Waits for the front end. 0, or -ECANCELED. */
static int wait_for(const struct transfer *t, short events)
{
	struct pollfd p[] = {
		{ .fd = t->fd, .events = events },
		{ .fd = t->cancel_fd, .events = POLLIN },
	};

	while (poll(p, ARRAY_SIZE(p), -1) < 0)
		if (errno != EINTR)
			return -errno;
	return p[1].revents ? -ECANCELED : 0;
}

/*
 * The front end may have made its descriptor one that blocks. A pipe that is ready takes PIPE_BUF
 * bytes all the same, so the thread can always be cancelled.
 */
static int write_all(void *ctx, const void *data, size_t len)
{
	const struct transfer *t = ctx;
	const char *from = data;

	while (len) {
		int ret = wait_for(t, POLLOUT);
		ssize_t n;

		if (ret)
			return ret;
		n = write(t->fd, from, MIN(len, (size_t)PIPE_BUF));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int64_t read_some(void *ctx, void *data, size_t len)
{
	const struct transfer *t = ctx;

	for (;;) {
		int ret = wait_for(t, POLLIN);
		ssize_t n;

		if (ret)
			return ret;
		n = read(t->fd, data, len);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

static int save(struct transfer *t)
{
	struct state_out *out = &t->io->out;
	int ret;

	memset(out, 0, sizeof(*out));
	out->write = write_all;
	out->ctx = t;
	ret = t->ops->save(t->dev, out);
	if (!ret)
		ret = state_flush(out);
	if (!ret)
		log_info(t->name, "state saved: %llu bytes", (unsigned long long)out->total);
	return ret;
}

static int load(struct transfer *t)
{
	struct state_in *in = &t->io->in;
	char more;
	int ret;

	memset(in, 0, sizeof(*in));
	in->read = read_some;
	in->ctx = t;
	ret = t->ops->load(t->dev, in);
	if (!ret && state_get(in, &more, 1) != -ENODATA) {
		ret = in->err ? in->err : -EPROTO; /* it goes on behind its end */
		t->ops->reset(t->dev);
	}
	if (!ret)
		log_info(t->name, "state loaded: %llu bytes", (unsigned long long)in->total);
	return ret;
}

static void *transfer_main(void *arg)
{
	struct transfer *t = arg;
	sigset_t pipe;

	sigemptyset(&pipe); /* a front end that does not read on is an error, not our end */
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	pthread_mutex_lock(&t->lock);
	for (;;) {
		int ret;

		while (!t->run && !t->quit)
			pthread_cond_wait(&t->cond, &t->lock);
		if (t->quit)
			break;
		t->run = false;
		pthread_mutex_unlock(&t->lock);
		ret = t->loading ? load(t) : save(t);
		fd_close(&t->fd);
		if (ret)
			log_err(t->name, "cannot %s the state: %s", t->loading ? "load" : "save",
				strerror(-ret));
		pthread_mutex_lock(&t->lock);
		t->result = ret;
		t->done = true;
		fd_signal(t->done_fd);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int transfer_init(struct transfer *t, const char *name, const struct device_ops *ops, void *dev,
		  int done_fd)
{
	int ret;

	*t = (struct transfer){
		.name = name,
		.ops = ops,
		.dev = dev,
		.done_fd = done_fd,
		.fd = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
		.io = malloc(sizeof(*t->io)),
	};
	t->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->cancel_fd < 0)
		return -errno;
	if (!t->io)
		return -ENOMEM;
	ret = -pthread_create(&t->thread, NULL, transfer_main, t);
	t->created = !ret;
	return ret;
}

void transfer_fini(struct transfer *t)
{
	assert(t->state != TRANSFER_RUNNING);
	if (t->created) {
		pthread_mutex_lock(&t->lock);
		t->quit = true;
		pthread_cond_signal(&t->cond);
		pthread_mutex_unlock(&t->lock);
		pthread_join(t->thread, NULL);
		t->created = false;
	}
	if (t->ops)
		fd_close(&t->cancel_fd);
	free(t->io);
	t->io = NULL;
}

/* Sees whether a running one has ended. */
static bool has_ended(struct transfer *t)
{
	if (t->state != TRANSFER_RUNNING)
		return true;
	pthread_mutex_lock(&t->lock);
	if (t->done)
		t->state = TRANSFER_ENDED;
	pthread_mutex_unlock(&t->lock);
	return t->state != TRANSFER_RUNNING;
}

bool transfer_end(struct transfer *t)
{
	if (has_ended(t))
		return true;
	fd_signal(t->cancel_fd);
	return false;
}

void transfer_forget(struct transfer *t)
{
	assert(t->state != TRANSFER_RUNNING);
	t->state = TRANSFER_NONE;
}

/* Takes fd. */
static void begin(struct transfer *t, int fd, bool loading)
{
	fd_drain(t->cancel_fd);
	t->state = TRANSFER_RUNNING;
	pthread_mutex_lock(&t->lock);
	t->fd = fd;
	t->loading = loading;
	t->done = false;
	t->run = true;
	pthread_cond_signal(&t->cond);
	pthread_mutex_unlock(&t->lock);
}

/* Why the transfer cannot begin, or NULL. */
static const char *refusal(struct vhost *v, const struct vhost_user_transfer_state *s)
{
	if (s->direction > VHOST_USER_STATE_LOAD || s->phase != VHOST_USER_STATE_STOPPED)
		return "an unknown direction or phase";
	if (v->dev_started)
		return "a queue has not been stopped";
	if (!has_ended(&v->transfer))
		return "there is one already";
	return NULL;
}

int op_set_device_state_fd(struct vhost *v, struct vhost_msg *m)
{
	bool loading = m->p.transfer.direction == VHOST_USER_STATE_LOAD;
	const char *why = refusal(v, &m->p.transfer);
	int ret;

	m->p.u64 = VHOST_USER_STATE_FD_NONE;
	ret = why ? -EINVAL : fd_set_nonblock(m->fds[0]);
	if (ret) {
		log_guest(v->name, "the state cannot be transferred: %s",
			  why ? why : strerror(-ret));
		m->p.u64 |= VHOST_USER_STATE_FD_ERROR & (uint64_t)-ret;
	} else {
		begin(&v->transfer, m->fds[0], loading);
		m->fds[0] = -1;
	}
	return sizeof(m->p.u64);
}

int op_check_device_state(struct vhost *v, struct vhost_msg *m)
{
	struct transfer *t = &v->transfer;

	if (!has_ended(t))
		return VHOST_DEFER;
	m->p.u64 = t->state == TRANSFER_ENDED && !t->result ? 0 : 1;
	return sizeof(m->p.u64);
}
