/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/backend.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"

/* How long after the answer the change of the memory table may take before we ask. */
#define COMMIT_WAIT_NS 100000000u

/* The request that is under way ends; done() is called by the next pump. */
static void finish_head(struct backend *b, int err)
{
	assert(!b->finished);
	b->phase = BACKEND_IDLE;
	fd_timer_set(b->timer.fd, 0);
	b->finished = b->head;
	b->finished_err = err;
	b->head = b->head->next;
	if (!b->head)
		b->tail = &b->head;
}

static void call_finished(struct backend *b)
{
	struct shm_req *req = b->finished;

	b->finished = NULL;
	if (req)
		req->done(req, b->finished_err);
}

static int enqueue(struct backend *b, struct shm_req *req, bool is_map)
{
	if (!b->can_map || b->sock.fd < 0)
		return -ENOTSUP;
	if (!b->open)
		return -ECANCELED;
	req->is_map = is_map;
	req->next = NULL;
	*b->tail = req;
	b->tail = &req->next;
	return 0;
}

static int shm_map(void *ctx, struct shm_req *req)
{
	return enqueue(ctx, req, true);
}

static int shm_unmap(void *ctx, struct shm_req *req)
{
	return enqueue(ctx, req, false);
}

const struct shm_ops backend_shm_ops = { .map = shm_map, .unmap = shm_unmap };

/* The channel is of no use any more; the main one decides about the connection. */
static void channel_lost(struct backend *b, int err)
{
	if (err == -ECONNRESET)
		log_debug(b->name, "back-end channel closed"); /* as a front end that ends does */
	else
		log_warn(b->name, "back-end channel: %s; no mapping can be made on this connection",
			 strerror(-err));
	loop_del(b->loop, &b->src);
	vhost_sock_close(&b->sock);
	b->stale = false;
	while (b->head) {
		finish_head(b, -EPIPE);
		call_finished(b);
	}
}

/* Accepted, but no change of the table will come. */
static void commit_late(struct backend *b)
{
	if (b->config_changed && b->reply_ack)
		b->phase = BACKEND_LATE;
	else
		finish_head(b, 0);
}

static void handle_reply(struct backend *b)
{
	const struct vhost_msg *m = &b->sock.msg;

	if (b->stale) {
		b->stale = false;
		return;
	}
	if (b->phase == BACKEND_PROBED) {
		finish_head(b, 0);
		return;
	}
	if (m->p.u64) {
		finish_head(b, -EIO);
		return;
	}
	if (!b->head->is_map) { /* what is sent next is read after its commit */
		finish_head(b, 0);
		return;
	}
	b->phase = BACKEND_REPLIED;
	if (b->table_full)
		commit_late(b);
	else
		fd_timer_set(b->timer.fd, COMMIT_WAIT_NS);
}

static bool reply_expected(const struct backend *b)
{
	const struct vhost_user_hdr *hdr = &b->sock.msg.hdr;

	return (b->stale || b->phase == BACKEND_SENT || b->phase == BACKEND_PROBED) &&
	       (hdr->flags & VHOST_USER_F_REPLY) && hdr->request == b->last_request &&
	       hdr->size == sizeof(uint64_t);
}

/* Takes all answers that are there. */
static void receive(struct backend *b)
{
	int ret;

	while (b->sock.fd >= 0 && !b->finished) {
		ret = vhost_sock_recv(&b->sock);
		if (!ret)
			return;
		if (ret == 1 && !reply_expected(b))
			ret = -EPROTO;
		if (ret < 0) {
			channel_lost(b, ret);
			return;
		}
		handle_reply(b);
		vhost_sock_next(&b->sock);
	}
}

static void channel_ready(struct loop_source *src, uint32_t events)
{
	(void)events;
	receive(container_of(src, struct backend, src));
}

static void send_msg(struct backend *b, const struct vhost_msg *m, int fd, enum backend_phase phase)
{
	int ret = vhost_sock_send(&b->sock, m, fd);

	if (ret) {
		channel_lost(b, ret);
		return;
	}
	b->last_request = m->hdr.request;
	b->phase = phase;
	if (!b->reply_ack) { /* nothing will answer: the table change or the timer tells */
		b->phase = BACKEND_REPLIED;
		fd_timer_set(b->timer.fd, COMMIT_WAIT_NS);
	}
}

static void send_head(struct backend *b)
{
	const struct shm_req *req = b->head;
	struct vhost_msg m = {
		.hdr = {
			.request = req->is_map ? VHOST_USER_BACKEND_SHMEM_MAP :
						 VHOST_USER_BACKEND_SHMEM_UNMAP,
			.flags = VHOST_USER_VERSION | (b->reply_ack ? VHOST_USER_F_NEED_REPLY : 0),
			.size = sizeof(m.p.mmap),
		},
		.p.mmap = {
			.shmid = req->shmid,
			.fd_offset = req->is_map ? req->fd_offset : 0,
			.shm_offset = req->shm_offset,
			.len = req->len,
			.flags = req->writable ? VHOST_USER_SHMEM_RW : 0,
		},
	};

	b->file_sent |= req->is_map;
	send_msg(b, &m, req->is_map ? req->fd : -1, BACKEND_SENT);
}

static void send_probe(struct backend *b)
{
	const struct vhost_msg m = {
		.hdr = {
			.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
			.flags = VHOST_USER_VERSION | VHOST_USER_F_NEED_REPLY,
		},
	};

	send_msg(b, &m, -1, BACKEND_PROBED);
}

static void commit_waited(struct loop_source *src, uint32_t events)
{
	struct backend *b = container_of(src, struct backend, timer);

	(void)events;
	fd_drain(b->timer.fd);
	if (b->phase != BACKEND_REPLIED)
		return;
	b->table_full = true;
	commit_late(b);
}

int backend_init(struct backend *b, struct loop *loop, const char *name)
{
	*b = (struct backend){ .loop = loop, .name = name, .src = { .fd = -1 } };
	vhost_sock_init(&b->sock, -1);
	b->tail = &b->head;
	b->src.ready = channel_ready;
	b->timer.ready = commit_waited;
	b->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->timer.fd < 0)
		return -errno;
	return loop_add(loop, &b->timer, EPOLLIN);
}

void backend_fini(struct backend *b)
{
	backend_detach(b);
	loop_del(b->loop, &b->timer);
	fd_close(&b->timer.fd);
}

int backend_attach(struct backend *b, int fd)
{
	bool open = b->open;

	backend_detach(b);
	b->open = open;
	vhost_sock_init(&b->sock, fd);
	b->src.fd = fd;
	return loop_add(b->loop, &b->src, EPOLLIN);
}

bool backend_busy(const struct backend *b)
{
	return b->head;
}

void backend_detach(struct backend *b)
{
	backend_close_window(b);
	if (b->sock.fd >= 0)
		loop_del(b->loop, &b->src);
	vhost_sock_close(&b->sock);
	b->src.fd = -1;
	b->stale = false;
}

void backend_open_window(struct backend *b)
{
	b->open = true;
}

void backend_close_window(struct backend *b)
{
	if (!b->open)
		return;
	b->open = false;
	receive(b);
	if (b->phase == BACKEND_SENT || b->phase == BACKEND_PROBED)
		b->stale = b->reply_ack;
	call_finished(b);
	while (b->head) {
		finish_head(b, -ECANCELED);
		call_finished(b);
	}
}

void backend_table_changed(struct backend *b)
{
	b->table_full = false;
	/* An answer that waits in the socket was sent before the message we are handling. */
	if (b->phase == BACKEND_SENT)
		receive(b);
	if (b->phase == BACKEND_REPLIED || b->phase == BACKEND_LATE)
		finish_head(b, 0);
}

static bool quiet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

void backend_pump(struct backend *b, int main_fd)
{
	bool waits;

	call_finished(b);
	waits = b->head && (b->phase == BACKEND_IDLE || b->phase == BACKEND_LATE);
	if (!waits || !b->open || b->paused || b->stale || !quiet(main_fd))
		return;
	if (b->phase == BACKEND_IDLE)
		send_head(b);
	else
		send_probe(b);
}
