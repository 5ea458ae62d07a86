/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/raw.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/fd.h"
#include "tests/lib/check.h"
#include "wire/ring.h"

#define ANSWER_MS 5000
#define RING_SIZE 16u

void raw_open_on(struct raw *r, int sock)
{
	r->sock = sock;
	r->ram_fd = memfd_create("test-ram", MFD_CLOEXEC);
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	REQUIRE(r->ram_fd >= 0 && r->event >= 0 && !ftruncate(r->ram_fd, (off_t)RAW_RAM));
	make_pair(r->pair);
}

void raw_open(struct raw *r, const struct daemon *d)
{
	int sock = front_sock_connect(d->sock);

	REQUIRE(sock >= 0);
	raw_open_on(r, sock);
}

void raw_close(struct raw *r)
{
	fd_close(&r->sock);
	fd_close(&r->ram_fd);
	fd_close(&r->event);
	fd_close(&r->pair[0]);
	fd_close(&r->pair[1]);
}

static struct front_msg msg_u64(uint32_t request, uint64_t value)
{
	struct front_msg m = { .hdr = { request, VHOST_USER_VERSION, sizeof(m.p.u64) } };

	m.p.u64 = value;
	return m;
}

void raw_negotiate(struct raw *r, uint64_t protocol)
{
	struct front_msg m = msg_u64(VHOST_USER_SET_PROTOCOL_FEATURES, protocol);

	REQUIRE(raw_call(r, &m) == RAW_SILENT);
	m = msg_u64(VHOST_USER_SET_FEATURES, RAW_FEATURES);
	REQUIRE(raw_call(r, &m) == RAW_SILENT);
}

static const struct vhost_user_region ram_region = { .size = RAW_RAM, .uva = RAW_UVA };

static void fill_state(struct front_msg *m, uint32_t num)
{
	m->hdr.size = sizeof(m->p.state);
	m->p.state = (struct vhost_user_vring_state){ .num = num };
}

static void fill_region(const struct raw *r, struct front_msg *m, bool with_fd)
{
	m->hdr.size = sizeof(m->p.reg);
	m->p.reg.region = ram_region;
	m->fds[0] = r->ram_fd;
	m->nfds = with_fd;
}

static void fill_event(const struct raw *r, struct front_msg *m)
{
	m->fds[0] = r->event;
	m->nfds = 1;
}

void raw_fill(const struct raw *r, uint32_t request, struct front_msg *m)
{
	*m = msg_u64(request, 0);
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_SET_OWNER:
	case VHOST_USER_RESET_OWNER:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_RESET_DEVICE:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
	case VHOST_USER_GET_SHMEM_CONFIG:
	case VHOST_USER_CHECK_DEVICE_STATE:
		m->hdr.size = 0;
		break;
	case VHOST_USER_SET_FEATURES:
		m->p.u64 = RAW_FEATURES;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		m->p.u64 = RAW_PROTOCOL_BITS;
		break;
	case VHOST_USER_SET_STATUS:
		m->p.u64 = VIRTIO_STATUS_FEATURES_OK;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		m->hdr.size = 8 + sizeof(ram_region);
		m->p.table.nregions = 1;
		m->p.table.regions[0] = ram_region;
		m->fds[0] = r->ram_fd;
		m->nfds = 1;
		break;
	case VHOST_USER_ADD_MEM_REG:
		fill_region(r, m, true);
		break;
	case VHOST_USER_REM_MEM_REG:
		fill_region(r, m, false);
		break;
	case VHOST_USER_SET_VRING_NUM:
		fill_state(m, RING_SIZE);
		break;
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		fill_state(m, 0);
		break;
	case VHOST_USER_SET_VRING_ADDR:
		m->hdr.size = sizeof(m->p.addr);
		m->p.addr = (struct vhost_user_vring_addr){ .desc = RAW_UVA + 0x1000,
							    .avail = RAW_UVA + 0x2000,
							    .used = RAW_UVA + 0x3000 };
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
	case VHOST_USER_SET_DEVICE_STATE_FD:
		fill_event(r, m);
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		m->hdr.size = 0;
		m->fds[0] = r->pair[1];
		m->nfds = 1;
		break;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		m->hdr.size = VHOST_USER_CONFIG_HDR + 16;
		m->p.config.offset = 0;
		m->p.config.size = 16;
		break;
	default:
		break;
	}
}

void raw_set_fds(const struct raw *r, struct front_msg *m, unsigned n)
{
	m->nfds = n;
	for (unsigned i = 0; i < n; i++)
		m->fds[i] = r->event;
}

/* Is it the answer to GET_FEATURES? */
static bool is_features(const struct front_msg *m)
{
	return m->hdr.request == VHOST_USER_GET_FEATURES && m->hdr.size == 8 &&
	       m->p.u64 == RAW_FEATURES;
}

static enum raw_outcome judge(const struct front_msg *reply, uint32_t request)
{
	if (reply->hdr.request != request || reply->nfds ||
	    reply->hdr.flags != (VHOST_USER_VERSION | VHOST_USER_F_REPLY))
		return RAW_WRONG;
	if (!reply->hdr.size)
		return RAW_EMPTY;
	if (reply->hdr.size != sizeof(uint64_t))
		return RAW_REPLY;
	return reply->p.u64 ? RAW_NACK : RAW_ACK;
}

/* What came back for request, GET_FEATURES having been sent after it. */
static enum raw_outcome outcome(struct raw *r, uint32_t request)
{
	struct front_msg probe;
	enum raw_outcome o;

	if (front_sock_recv(r->sock, &r->reply, ANSWER_MS))
		return RAW_CLOSED;
	if (request != VHOST_USER_GET_FEATURES && is_features(&r->reply))
		return RAW_SILENT;
	o = judge(&r->reply, request);
	front_msg_close(&r->reply);
	if (front_sock_recv(r->sock, &probe, ANSWER_MS))
		return RAW_CLOSED;
	return is_features(&probe) ? o : RAW_WRONG;
}

enum raw_outcome raw_call_fds(struct raw *r, const struct front_msg *m, unsigned nfds)
{
	const struct front_msg probe = { .hdr = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION,
						  0 } };
	uint8_t buf[sizeof(m->hdr) + sizeof(m->p)];
	size_t size = m->hdr.size < sizeof(m->p) ? m->hdr.size : sizeof(m->p);
	int fds[64];

	for (unsigned i = 0; i < nfds; i++)
		fds[i] = i < m->nfds ? m->fds[i] : r->event;
	memcpy(buf, &m->hdr, sizeof(m->hdr));
	memcpy(buf + sizeof(m->hdr), &m->p, size);
	/* The daemon may close at any moment: what comes back tells. */
	if (!front_sock_send_raw(r->sock, buf, sizeof(m->hdr) + size, fds, nfds))
		front_sock_send(r->sock, &probe);
	return outcome(r, m->hdr.request);
}

enum raw_outcome raw_call(struct raw *r, const struct front_msg *m)
{
	return raw_call_fds(r, m, m->nfds);
}

unsigned raw_startup(const struct raw *r, struct front_msg out[RAW_STARTUP_MAX])
{
	/* As QEMU 11.1.3 sends them, with VHOST_USER_F_NEED_REPLY where it sets it. */
	static const struct {
		uint32_t request;
		bool ack;
	} order[] = {
		{ VHOST_USER_GET_FEATURES, false },
		{ VHOST_USER_GET_PROTOCOL_FEATURES, false },
		{ VHOST_USER_SET_PROTOCOL_FEATURES, false },
		{ VHOST_USER_GET_QUEUE_NUM, false },
		{ VHOST_USER_GET_MAX_MEM_SLOTS, false },
		{ VHOST_USER_SET_BACKEND_REQ_FD, true },
		{ VHOST_USER_SET_OWNER, false },
		{ VHOST_USER_GET_FEATURES, false },
		{ VHOST_USER_SET_VRING_CALL, true },
		{ VHOST_USER_SET_VRING_ERR, true },
		{ VHOST_USER_GET_SHMEM_CONFIG, false },
		{ VHOST_USER_GET_CONFIG, false },
		{ VHOST_USER_SET_FEATURES, false },
		{ VHOST_USER_GET_STATUS, false },
		{ VHOST_USER_SET_STATUS, true },
		{ VHOST_USER_ADD_MEM_REG, true },
		{ VHOST_USER_SET_VRING_NUM, false },
		{ VHOST_USER_SET_VRING_BASE, false },
		{ VHOST_USER_SET_VRING_ADDR, false },
		{ VHOST_USER_SET_VRING_KICK, true },
		{ VHOST_USER_SET_VRING_CALL, true },
		{ VHOST_USER_SET_VRING_ENABLE, false },
		{ VHOST_USER_SET_VRING_CALL, true },
	};
	unsigned n = sizeof(order) / sizeof(order[0]);

	_Static_assert(sizeof(order) / sizeof(order[0]) <= RAW_STARTUP_MAX, "start-up fits");
	for (unsigned i = 0; i < n; i++) {
		raw_fill(r, order[i].request, &out[i]);
		out[i].hdr.flags |= order[i].ack ? VHOST_USER_F_NEED_REPLY : 0;
		if (order[i].request == VHOST_USER_SET_VRING_ENABLE)
			out[i].p.state.num = 1;
	}
	return n;
}
