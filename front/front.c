/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Main channel: negotiation, requests and their answers.
 *
 * One request is outstanding at a time. While front_call() waits it serves the back-end
 * channel, whose handler may not send on the main channel then: what has to follow (the
 * memory table) is noted in table_dirty and done when the outermost call is over.
 */
#include "front/front.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "front/ram.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "wire/ring.h"

#define DEFAULT_TIMEOUT_MS 5000
#define PROTOCOL_BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)

/* Those that QEMU 11.1.3 accepts from a generic device, if offered. */
#define PROTOCOL_KNOWN                                                                       \
	(PROTOCOL_BIT(MQ) | PROTOCOL_BIT(REPLY_ACK) | PROTOCOL_BIT(BACKEND_REQ) |            \
	 PROTOCOL_BIT(CONFIG) | PROTOCOL_BIT(BACKEND_SEND_FD) | PROTOCOL_BIT(RESET_DEVICE) | \
	 PROTOCOL_BIT(CONFIGURE_MEM_SLOTS) | PROTOCOL_BIT(STATUS) | PROTOCOL_BIT(SHMEM))

bool front_has(const struct front *f, unsigned int bit)
{
	return f->protocol & ((uint64_t)1 << bit);
}

/* Wait until the main channel is readable, serving the other one. */
static int wait_main(struct front *f, uint64_t deadline)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = f->sock, .events = POLLIN },
				       { .fd = f->faults.deaf ? -1 : f->backend,
					 .events = POLLIN } };
		uint64_t now = clock_ns();
		int n = poll(p, 2, now < deadline ? (int)((deadline - now) / 1000000 + 1) : 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0 && p[1].revents) /* first: it may have been sent before the answer */
			front_backend_serve(f);
		else if (n > 0 && p[0].revents)
			return 0;
	}
}

static int wait_answer(struct front *f, struct front_msg *m)
{
	uint64_t deadline = clock_ns() + (uint64_t)f->opts.timeout_ms * 1000000;
	uint32_t request = m->hdr.request;
	int ret;

	ret = wait_main(f, deadline);
	if (!ret)
		ret = front_sock_recv(f->sock, m, f->opts.timeout_ms);
	if (ret)
		return ret;
	front_msg_close(m); /* no answer that we ask for comes with descriptors */
	if (m->hdr.request != request || !(m->hdr.flags & VHOST_USER_F_REPLY))
		return -EPROTO;
	return 0;
}

int front_call(struct front *f, struct front_msg *m, enum front_wait wait)
{
	bool ack = wait == FRONT_ACK && front_has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret;

	if (f->sock < 0)
		return -EPIPE;
	m->hdr.flags = VHOST_USER_VERSION | (ack ? VHOST_USER_F_NEED_REPLY : 0);
	f->depth++;
	f->stats.sent++;
	ret = front_sock_send(f->sock, m);
	if (!ret && (ack || wait == FRONT_REPLY))
		ret = wait_answer(f, m);
	if (!ret && ack) {
		if (m->hdr.size != sizeof(m->p.u64))
			ret = -EPROTO;
		else if (m->p.u64)
			ret = -EREMOTEIO;
	}
	if (!--f->depth)
		front_table_flush(f);
	return ret;
}

int front_set_u64(struct front *f, uint32_t request, uint64_t value, enum front_wait wait)
{
	struct front_msg m = { .hdr = { .request = request, .size = sizeof(value) } };

	m.p.u64 = value;
	return front_call(f, &m, wait);
}

int front_get_u64(struct front *f, uint32_t request, uint64_t *value)
{
	struct front_msg m = { .hdr = { .request = request } };
	int ret = front_call(f, &m, FRONT_REPLY);

	if (!ret && m.hdr.size != sizeof(m.p.u64))
		ret = -EPROTO;
	*value = ret ? 0 : m.p.u64;
	return ret;
}

int front_config_read(struct front *f, uint32_t off, void *dst, uint32_t len)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_GET_CONFIG,
					.size = (uint32_t)VHOST_USER_CONFIG_HDR + len } };
	int ret;

	if (off > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - off)
		return -EINVAL;
	m.p.config.offset = off;
	m.p.config.size = len;
	ret = front_call(f, &m, FRONT_REPLY);
	if (ret)
		return ret;
	if (m.hdr.size != VHOST_USER_CONFIG_HDR + len) /* size 0 is how failure looks */
		return -EREMOTEIO;
	memcpy(dst, m.p.config.payload, len);
	return 0;
}

int front_config_write(struct front *f, uint32_t off, const void *src, uint32_t len)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_SET_CONFIG,
					.size = (uint32_t)VHOST_USER_CONFIG_HDR + len } };

	if (off > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - off)
		return -EINVAL;
	m.p.config.offset = off;
	m.p.config.size = len;
	memcpy(m.p.config.payload, src, len);
	return front_call(f, &m, FRONT_ACK);
}

static int negotiate(struct front *f)
{
	uint64_t value;
	int ret;

	ret = front_get_u64(f, VHOST_USER_GET_FEATURES, &f->offered);
	if (ret || !(f->offered & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return ret ? ret : -EPROTO;
	ret = front_get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES, &f->protocol_offered);
	if (ret)
		return ret;
	value = f->protocol_offered & PROTOCOL_KNOWN & ~f->opts.drop_protocol;
	ret = front_set_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, value, FRONT_NO_WAIT);
	if (ret)
		return ret;
	f->protocol = value;
	f->features = f->offered & ~f->opts.drop_features &
		      ~VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	if (front_has(f, VHOST_USER_PROTOCOL_F_MQ)) {
		ret = front_get_u64(f, VHOST_USER_GET_QUEUE_NUM, &value);
		if (!ret && value < f->num_queues && !(f->opts.fewer_queues && value))
			ret = -EREMOTEIO;
		f->num_queues = ret ? f->num_queues : MIN(f->num_queues, (unsigned int)value);
	}
	if (!ret && front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = front_get_u64(f, VHOST_USER_GET_MAX_MEM_SLOTS, &f->max_slots);
	return ret;
}

static int announce_queue(struct front *f, unsigned int i)
{
	struct front_msg m = { .hdr = { .size = sizeof(m.p.u64) }, .nfds = 1 };
	int ret;

	m.p.u64 = i;
	m.fds[0] = f->q[i].call;
	m.hdr.request = VHOST_USER_SET_VRING_CALL;
	ret = front_call(f, &m, FRONT_ACK);
	if (ret)
		return ret;
	m = (struct front_msg){ .hdr = { VHOST_USER_SET_VRING_ERR, 0, sizeof(m.p.u64) },
				.fds = { f->q[i].err },
				.nfds = 1 };
	m.p.u64 = i;
	return front_call(f, &m, FRONT_ACK);
}

/* What QEMU does before the guest runs. */
static int set_up(struct front *f)
{
	struct front_msg owner = { .hdr = { .request = VHOST_USER_SET_OWNER } };
	uint64_t offered;
	int ret;

	ret = negotiate(f);
	if (!ret && front_has(f, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		ret = front_backend_open(f);
	if (!ret)
		ret = front_call(f, &owner, FRONT_NO_WAIT);
	if (!ret)
		ret = front_get_u64(f, VHOST_USER_GET_FEATURES, &offered);
	for (unsigned int i = 0; !ret && i < f->num_queues; i++)
		ret = announce_queue(f, i);
	if (!ret && front_has(f, VHOST_USER_PROTOCOL_F_SHMEM))
		ret = front_shmem_config(f);
	return ret;
}

static int make_queues(struct front *f)
{
	for (unsigned int i = 0; i < f->num_queues; i++) {
		struct front_queue *q = &f->q[i];

		q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->kick < 0 || q->call < 0 || q->err < 0)
			return -errno;
	}
	return 0;
}

int front_open(struct front **out, const struct front_opts *opts)
{
	struct front *f = calloc(1, sizeof(*f));
	int ret;

	*out = NULL;
	if (!f || opts->num_queues > FRONT_MAX_QUEUES) {
		if (opts->fd >= 0)
			close(opts->fd);
		free(f);
		return f ? -EINVAL : -ENOMEM;
	}
	f->opts = *opts;
	f->opts.timeout_ms = opts->timeout_ms ? opts->timeout_ms : DEFAULT_TIMEOUT_MS;
	f->opts.ram_size = opts->ram_size ? opts->ram_size : MIB(16);
	f->num_queues = opts->num_queues ? opts->num_queues : 1;
	f->backend = f->ram_fd = -1;
	for (unsigned int i = 0; i < FRONT_MAX_QUEUES; i++)
		f->q[i].kick = f->q[i].call = f->q[i].err = -1;

	f->sock = opts->fd >= 0 ? opts->fd : front_sock_connect(opts->socket_path);
	ret = f->sock < 0 ? f->sock : front_ram_open(f);
	if (!ret)
		ret = make_queues(f);
	if (!ret)
		ret = set_up(f);
	if (ret) {
		front_close(f);
		return ret;
	}
	*out = f;
	return 0;
}

void front_close(struct front *f)
{
	if (!f)
		return;
	fd_close(&f->sock);
	front_backend_close(f);
	for (unsigned int i = 0; i < FRONT_MAX_QUEUES; i++) {
		fd_close(&f->q[i].kick);
		fd_close(&f->q[i].call);
		fd_close(&f->q[i].err);
	}
	front_ram_close(f);
	free(f);
}

/* Take what an eventfd has counted; 0 if it is not readable. */
static uint64_t take_count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

/* The main channel is silent between our requests: whatever comes is its end. */
static int main_lost(struct front *f)
{
	fd_close(&f->sock);
	return -EPIPE;
}

int front_poll(struct front *f, int timeout_ms)
{
	struct pollfd p[2 + 2 * FRONT_MAX_QUEUES];
	unsigned int n = 2;
	int events;

	if (f->sock < 0)
		return -EPIPE;
	p[0] = (struct pollfd){ .fd = f->sock, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = f->backend, .events = POLLIN };
	for (unsigned int i = 0; i < f->num_queues; i++) {
		p[n++] = (struct pollfd){ .fd = f->q[i].call, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = f->q[i].err, .events = POLLIN };
	}
	events = poll(p, n, timeout_ms);
	if (events <= 0)
		return events == 0 || errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < f->num_queues; i++) {
		if (p[2 + 2 * i].revents)
			f->q[i].calls += take_count(f->q[i].call);
		if (p[3 + 2 * i].revents)
			f->q[i].errs += take_count(f->q[i].err);
	}
	if (p[1].revents) {
		front_backend_serve(f);
		front_table_flush(f);
	}
	return p[0].revents ? main_lost(f) : events;
}
