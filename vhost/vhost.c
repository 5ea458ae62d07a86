/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a connection. */
#include "vhost/vhost.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"
#include "vhost/dirty.h"
#include "vhost/dispatch.h"
#include "vhost/rings.h"

static int listen_more(struct vhost *v)
{
	int ret = loop_add(v->loop, &v->listen, EPOLLIN);

	v->listening = !ret;
	return ret;
}

/* All queues have let go, and nobody else uses the device: nothing of the connection is left. */
static void conn_finish(struct vhost *v)
{
	backend_detach(&v->backend);
	rings_reset(v);
	for (unsigned i = 0; i < v->ops->num_queues; i++) {
		vq_set_call(&v->workers[i].vq, -1);
		vq_set_err(&v->workers[i].vq, -1);
	}
	dirty_forget(v);
	transfer_forget(&v->transfer);
	mem_put(v->mem);
	v->mem = NULL;
	vhost_sock_close(&v->sock);
	v->main.fd = -1;
	v->closing = false;
	if (v->backend.file_sent) {
		peer_forget(&v->holder);
		v->holder = v->front;
		v->front.pidfd = -1; /* moved */
	}
	peer_forget(&v->front);
	v->backend.file_sent = false;
	if (v->quitting || v->once || v->listen.fd < 0 || listen_more(v))
		loop_quit(v->loop);
}

/* Reads nothing more; the connection ends when the queues have let go. */
static void conn_close(struct vhost *v)
{
	if (v->closing)
		return;
	v->closing = true;
	if (!v->deferred)
		loop_del(v->loop, &v->main);
	v->deferred = false;
	backend_close_window(&v->backend);
	if (rings_free_device(v))
		conn_finish(v);
}

/* Handles the message that is complete, perhaps not for the first time. */
static void handle(struct vhost *v)
{
	bool was_deferred = v->deferred;
	int ret = dispatch(v);

	v->deferred = ret == VHOST_DEFER;
	if (v->deferred) {
		if (!was_deferred)
			loop_del(v->loop, &v->main);
		return;
	}
	if (was_deferred && loop_add(v->loop, &v->main, EPOLLIN))
		ret = -ENOMEM;
	v->messages++;
	vhost_sock_next(&v->sock);
	if (ret) {
		if (ret != -EPROTO)
			log_err(v->name, "cannot answer the front end: %s", strerror(-ret));
		conn_close(v);
	}
}

static void main_ready(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, main);
	int ret = vhost_sock_recv(&v->sock);

	(void)events;
	if (ret == 1) {
		handle(v);
		return;
	}
	if (!ret)
		return;
	if (ret == -ECONNRESET)
		log_info(v->name, "front end disconnected");
	else
		log_err(v->name, "closing the connection: %s",
			ret == -EPROTO ? "this is not vhost-user" : strerror(-ret));
	conn_close(v);
}

static void parked_ready(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, parked);

	(void)events;
	fd_drain(src->fd);
	if (v->closing) {
		if (rings_free_device(v))
			conn_finish(v);
	} else if (v->deferred) {
		handle(v);
	}
}

static int conn_start(struct vhost *v, int fd)
{
	int ret = fd_set_nonblock(fd);

	vhost_sock_init(&v->sock, fd);
	v->main.fd = fd;
	v->features = 0;
	v->protocol_features = 0;
	v->status = 0;
	v->mem = mem_new();
	if (!ret && !v->mem)
		ret = -ENOMEM;
	if (!ret)
		ret = loop_add(v->loop, &v->main, EPOLLIN);
	if (ret) {
		vhost_sock_close(&v->sock);
		mem_put(v->mem);
		v->mem = NULL;
		v->main.fd = -1;
		return ret;
	}
	v->connections++;
	log_info(v->name, "front end connected");
	return 0;
}

/* The one that waits leaves its place. Its descriptor becomes the caller's. */
static int end_waiting(struct vhost *v)
{
	int fd = v->waiting.fd;

	loop_del(v->loop, &v->waiting);
	loop_del(v->loop, &v->holder_end);
	v->waiting.fd = -1;
	return fd;
}

static void waiting_gone(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, waiting);
	int fd = end_waiting(v);

	(void)events;
	fd_close(&fd);
	peer_forget(&v->front);
	log_info(v->name, "the front end that waited has disconnected");
	if (listen_more(v))
		loop_quit(v->loop);
}

static void holder_ended(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, holder_end);
	int ret = conn_start(v, end_waiting(v));

	(void)events;
	if (!ret)
		return;
	log_err(v->name, "cannot serve the front end: %s", strerror(-ret));
	peer_forget(&v->front);
	if (listen_more(v))
		loop_quit(v->loop);
}

/* Lets a new connection, of the process v->front, wait. Takes fd. 0 or -errno. */
static int wait_for_holder(struct vhost *v, int fd)
{
	int ret;

	v->waiting.fd = fd;
	v->holder_end.fd = v->holder.pidfd;
	ret = loop_add(v->loop, &v->waiting, EPOLLRDHUP);
	if (!ret)
		ret = loop_add(v->loop, &v->holder_end, EPOLLIN);
	if (ret) {
		fd = end_waiting(v);
		fd_close(&fd);
		return ret;
	}
	log_warn(v->name,
		 "the front end of process %d waits for process %d to end, which is disconnected "
		 "but may still have our file mapped",
		 (int)v->front.pid, (int)v->holder.pid);
	return 0;
}

/* Two processes with the same file mapped would be two guests that write it. */
static bool must_wait(const struct vhost *v)
{
	return v->front.pid != v->holder.pid && peer_lives(&v->holder);
}

static void listen_ready(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, listen);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int ret;

	(void)events;
	if (fd < 0) {
		if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
			log_guest(v->name, "cannot accept a front end: %s", strerror(errno));
		return;
	}
	if (v->ops->exclusive)
		v->front = peer_of(fd);
	ret = must_wait(v) ? wait_for_holder(v, fd) : conn_start(v, fd);
	if (ret) {
		log_err(v->name, "cannot serve the front end: %s", strerror(-ret));
		peer_forget(&v->front);
		return;
	}
	loop_del(v->loop, &v->listen); /* the next one waits in the backlog */
	v->listening = false;
}

static void host_wake(void *ctx, unsigned queue)
{
	struct vhost *v = ctx;

	worker_wake(&v->workers[queue]);
}

static void host_attend(void *ctx)
{
	struct vhost *v = ctx;

	fd_signal(v->attend.fd);
}

/* The device's turn on this thread, and when the next one is due. */
static void attend_ready(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, attend);
	uint64_t next;

	(void)events;
	fd_drain(v->attend.fd);
	fd_drain(v->attend_timer.fd);
	next = v->ops->attend(v->dev);
	fd_timer_set(v->attend_timer.fd, next == UINT64_MAX ? 0 : next);
}

static void attend_timer_ready(struct loop_source *src, uint32_t events)
{
	struct vhost *v = container_of(src, struct vhost, attend_timer);

	attend_ready(&v->attend, events);
}

static int attend_init(struct vhost *v)
{
	int ret;

	v->attend.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->attend_timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->attend.fd < 0 || v->attend_timer.fd < 0)
		return -errno;
	ret = loop_add(v->loop, &v->attend, EPOLLIN);
	return ret ? ret : loop_add(v->loop, &v->attend_timer, EPOLLIN);
}

static void attend_fini(struct vhost *v)
{
	loop_del(v->loop, &v->attend);
	loop_del(v->loop, &v->attend_timer);
	fd_close(&v->attend.fd);
	fd_close(&v->attend_timer.fd);
}

static void before_wait(void *ctx)
{
	struct vhost *v = ctx;

	if (v->main.fd >= 0 && !v->closing)
		backend_pump(&v->backend, v->main.fd);
}

int vhost_init(struct vhost *v, struct loop *loop, const char *name, const struct device_ops *ops,
	       void *dev)
{
	int ret;

	*v = (struct vhost){
		.name = name,
		.ops = ops,
		.dev = dev,
		.loop = loop,
		.listen = { .fd = -1, .ready = listen_ready },
		.main = { .fd = -1, .ready = main_ready },
		.front.pidfd = -1,
		.holder.pidfd = -1,
		.waiting = { .fd = -1, .ready = waiting_gone },
		.holder_end = { .fd = -1, .ready = holder_ended },
		.attend = { .fd = -1, .ready = attend_ready },
		.attend_timer = { .fd = -1, .ready = attend_timer_ready },
		.parked = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = parked_ready },
		.sock.fd = -1,
		.backend = { .sock.fd = -1, .timer.fd = -1 },
	};
	v->host = (struct device_host){
		.shm = &backend_shm_ops,
		.shm_ctx = &v->backend,
		.wake = host_wake,
		.attend = host_attend,
		.ctx = v,
	};
	for (unsigned i = 0; i < VHOST_MAX_QUEUES; i++)
		v->workers[i] = (struct worker){ .kick_fd = -1, .wake_fd = -1, .epfd = -1 };
	if (ops->num_queues > VHOST_MAX_QUEUES)
		return -EINVAL;
	if (v->parked.fd < 0)
		return -errno;
	ret = loop_add(loop, &v->parked, EPOLLIN);
	if (!ret)
		ret = backend_init(&v->backend, loop, name);
	for (unsigned i = 0; !ret && i < ops->num_queues; i++)
		ret = worker_init(&v->workers[i], i, name, ops, dev, v->parked.fd);
	if (!ret && ops->attend)
		ret = attend_init(v);
	if (!ret && ops->save)
		ret = transfer_init(&v->transfer, name, ops, dev, v->parked.fd);
	loop->before_wait = before_wait;
	loop->ctx = v;
	return ret;
}

void vhost_fini(struct vhost *v)
{
	if (v->backend.loop)
		backend_fini(&v->backend);
	for (unsigned i = 0; i < v->ops->num_queues; i++)
		worker_fini(&v->workers[i]);
	transfer_fini(&v->transfer);
	dirty_put(v->log);
	mem_put(v->mem);
	vhost_sock_close(&v->sock);
	if (v->waiting.fd >= 0) {
		int fd = end_waiting(v);

		fd_close(&fd);
	}
	peer_forget(&v->front);
	peer_forget(&v->holder);
	attend_fini(v);
	loop_del(v->loop, &v->parked);
	fd_close(&v->parked.fd);
	if (v->listening)
		loop_del(v->loop, &v->listen);
	fd_close(&v->listen.fd);
}

int vhost_listen(struct vhost *v, int fd)
{
	int ret;

	v->listen.fd = fd;
	ret = fd_set_nonblock(fd);
	return ret ? ret : listen_more(v);
}

int vhost_attach(struct vhost *v, int fd)
{
	return conn_start(v, fd);
}

void vhost_quit(struct vhost *v)
{
	v->quitting = true;
	if (v->main.fd < 0)
		loop_quit(v->loop);
	else
		conn_close(v);
}
