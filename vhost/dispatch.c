/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/dispatch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/macros.h"
#include "base/range.h"
#include "host/log.h"
#include "vhost/dirty.h"
#include "vhost/regions.h"
#include "vhost/rings.h"
#include "vhost/transfer.h"

#define PROTOCOL_BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)

/* Protocol features that this device is offered with. */
static uint64_t offered_protocol(const struct vhost *v)
{
	const struct device_ops *ops = v->ops;
	uint64_t bits = PROTOCOL_BIT(MQ) | PROTOCOL_BIT(REPLY_ACK) | PROTOCOL_BIT(RESET_DEVICE) |
			PROTOCOL_BIT(CONFIGURE_MEM_SLOTS);

	/*
	 * QEMU sets status 0, which is a reset, also when it only stops a device. One whose state
	 * can be migrated would lose it before it is saved.
	 */
	bits |= ops->save ? PROTOCOL_BIT(DEVICE_STATE) : PROTOCOL_BIT(STATUS);
	if (ops->migratable)
		bits |= PROTOCOL_BIT(LOG_SHMFD);
	if (ops->config_size)
		bits |= PROTOCOL_BIT(CONFIG);
	if (ops->shm_size)
		bits |= PROTOCOL_BIT(SHMEM) | PROTOCOL_BIT(BACKEND_REQ) |
			PROTOCOL_BIT(BACKEND_SEND_FD);
	return bits & ~v->withheld;
}

static uint64_t offered_features(const struct vhost *v)
{
	return v->ops->features | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
	       VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
	       VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
	       (v->ops->migratable ? VIRTIO_BIT(VHOST_USER_F_LOG_ALL) : 0);
}

static int reply_u64(struct vhost_msg *m, uint64_t x)
{
	m->p.u64 = x;
	return sizeof(x);
}

static int op_get_features(struct vhost *v, struct vhost_msg *m)
{
	return reply_u64(m, offered_features(v));
}

static int op_set_features(struct vhost *v, struct vhost_msg *m)
{
	const uint64_t log = VIRTIO_BIT(VHOST_USER_F_LOG_ALL);
	uint64_t changed = m->p.u64 ^ v->features;

	if (m->p.u64 & ~offered_features(v))
		return -EINVAL;
	if (v->dev_started && (changed & ~log)) /* logging is switched while rings run */
		return -EBUSY;
	if ((changed & log) && !transfer_end(&v->transfer))
		return VHOST_DEFER;
	v->features = m->p.u64;
	if (changed & log) {
		dirty_apply_all(v);
		if (v->ops->logging)
			v->ops->logging(v->dev, v->features & log);
	}
	return dirty_settled(v) ? 0 : VHOST_DEFER;
}

static int op_get_protocol_features(struct vhost *v, struct vhost_msg *m)
{
	return reply_u64(m, offered_protocol(v));
}

static int op_set_protocol_features(struct vhost *v, struct vhost_msg *m)
{
	uint64_t bits = m->p.u64;
	uint64_t to_map = PROTOCOL_BIT(SHMEM) | PROTOCOL_BIT(BACKEND_REQ) |
			  PROTOCOL_BIT(BACKEND_SEND_FD);

	if (bits & ~offered_protocol(v))
		return -EINVAL;
	v->protocol_features = bits;
	v->backend.reply_ack = bits & PROTOCOL_BIT(REPLY_ACK);
	v->backend.config_changed = bits & PROTOCOL_BIT(CONFIG);
	v->backend.can_map = (bits & to_map) == to_map;
	return 0;
}

static int op_set_owner(struct vhost *v, struct vhost_msg *m)
{
	(void)v;
	(void)m;
	return 0;
}

/* RESET_OWNER and RESET_DEVICE; the former is deprecated and never meant anything else to us. */
static int op_reset_device(struct vhost *v, struct vhost_msg *m)
{
	(void)m;
	backend_close_window(&v->backend);
	if (!rings_free_device(v))
		return VHOST_DEFER;
	rings_reset(v);
	v->status = 0;
	return 0;
}

static int op_get_queue_num(struct vhost *v, struct vhost_msg *m)
{
	return reply_u64(m, v->ops->num_queues);
}

static int op_set_backend_req_fd(struct vhost *v, struct vhost_msg *m)
{
	int fd = m->fds[0];

	if (v->dev_started && backend_busy(&v->backend))
		return -EBUSY;
	m->fds[0] = -1;
	return backend_attach(&v->backend, fd);
}

/* The body names a part of the configuration space and has room for it. */
static bool config_ok(const struct vhost *v, const struct vhost_msg *m)
{
	const struct vhost_user_config *c = &m->p.config;

	return c->size == m->hdr.size - VHOST_USER_CONFIG_HDR &&
	       range_ok(c->offset, c->size, v->ops->config_size);
}

static int op_get_config(struct vhost *v, struct vhost_msg *m)
{
	struct vhost_user_config *c = &m->p.config;

	if (!config_ok(v, m))
		return -EINVAL;
	v->ops->config_read(v->dev, c->offset, c->payload, c->size);
	return (int)m->hdr.size;
}

static int op_set_config(struct vhost *v, struct vhost_msg *m)
{
	const struct vhost_user_config *c = &m->p.config;

	if (!config_ok(v, m))
		return -EINVAL;
	if (!v->ops->config_write)
		return -EPERM;
	return v->ops->config_write(v->dev, c->offset, c->payload, c->size);
}

static int op_set_status(struct vhost *v, struct vhost_msg *m)
{
	if (m->p.u64 > UINT8_MAX)
		return -EINVAL;
	if (!m->p.u64)
		return op_reset_device(v, m);
	v->status = (uint8_t)m->p.u64;
	return 0;
}

static int op_get_status(struct vhost *v, struct vhost_msg *m)
{
	return reply_u64(m, v->status);
}

static int op_get_shmem_config(struct vhost *v, struct vhost_msg *m)
{
	struct vhost_user_shmem_config *c = &m->p.shmem;

	memset(c, 0, sizeof(*c));
	for (unsigned id = 0; id < VHOST_USER_MAX_SHMEM; id++) {
		c->sizes[id] = v->ops->shm_size(v->dev, (uint8_t)id);
		c->nregions += c->sizes[id] != 0;
	}
	return sizeof(*c);
}

#define ANY	   (-1) /* no protocol feature needed */
#define REPLIES	   1	/* has an answer of its own, so REPLY_ACK does not apply */
#define REPLIES_IF 2	/* the same if its protocol feature was negotiated */

/* One line for each message of the specification. Without a handler it is not offered. */
struct op {
	const char *name;
	int (*handler)(struct vhost *v, struct vhost_msg *m);
	uint16_t size_min, size_max; /* of the payload */
	uint8_t fds_min, fds_max;
	int8_t needs; /* VHOST_USER_PROTOCOL_F_* */
	uint8_t replies;
};

#define SIZE(n)	    (n), (n)
#define U64	    SIZE(sizeof(uint64_t))
#define STATE	    SIZE(sizeof(struct vhost_user_vring_state))
#define MEM_REG	    SIZE(sizeof(struct vhost_user_mem_reg))
#define CONFIG_BODY VHOST_USER_CONFIG_HDR, sizeof(struct vhost_user_config)
#define NEEDS(name) VHOST_USER_PROTOCOL_F_##name
/* What we do not offer may look like anything. */
#define NOT_OFFERED NULL, 0, UINT16_MAX, 0, VHOST_USER_MAX_FDS, ANY

/* clang-format off */
static const struct op ops[] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", op_get_features, SIZE(0), 0, 0, ANY, REPLIES },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", op_set_features, U64, 0, 0, ANY, 0 },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", op_set_owner, SIZE(0), 0, 0, ANY, 0 },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", op_reset_device, SIZE(0), 0, 0, ANY, 0 },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", op_set_mem_table,
		8, sizeof(struct vhost_user_mem_table), 0, VHOST_USER_MAX_REGIONS, ANY, 0 },
	[VHOST_USER_SET_LOG_BASE] = { "SET_LOG_BASE", op_set_log_base,
		sizeof(uint64_t), sizeof(struct vhost_user_log), 0, 1, NEEDS(LOG_SHMFD), REPLIES_IF },
	[VHOST_USER_SET_LOG_FD] = { "SET_LOG_FD", NOT_OFFERED, 0 },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", op_set_vring_num, STATE, 0, 0, ANY, 0 },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", op_set_vring_addr,
		SIZE(sizeof(struct vhost_user_vring_addr)), 0, 0, ANY, 0 },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", op_set_vring_base, STATE, 0, 0, ANY, 0 },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", op_get_vring_base, STATE, 0, 0, ANY, REPLIES },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", op_set_vring_kick, U64, 0, 1, ANY, 0 },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", op_set_vring_call, U64, 0, 1, ANY, 0 },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", op_set_vring_err, U64, 0, 1, ANY, 0 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", op_get_protocol_features,
		SIZE(0), 0, 0, ANY, REPLIES },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", op_set_protocol_features,
		U64, 0, 0, ANY, 0 },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", op_get_queue_num, SIZE(0), 0, 0, NEEDS(MQ), REPLIES },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", op_set_vring_enable, STATE, 0, 0, ANY, 0 },
	[VHOST_USER_SEND_RARP] = { "SEND_RARP", NOT_OFFERED, 0 },
	[VHOST_USER_NET_SET_MTU] = { "NET_SET_MTU", NOT_OFFERED, 0 },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", op_set_backend_req_fd,
		SIZE(0), 1, 1, NEEDS(BACKEND_REQ), 0 },
	[VHOST_USER_IOTLB_MSG] = { "IOTLB_MSG", NOT_OFFERED, 0 },
	[VHOST_USER_SET_VRING_ENDIAN] = { "SET_VRING_ENDIAN", NOT_OFFERED, 0 },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", op_get_config, CONFIG_BODY, 0, 0, NEEDS(CONFIG), REPLIES },
	[VHOST_USER_SET_CONFIG] = { "SET_CONFIG", op_set_config, CONFIG_BODY, 0, 0, NEEDS(CONFIG), 0 },
	[VHOST_USER_CREATE_CRYPTO_SESSION] = { "CREATE_CRYPTO_SESSION", NOT_OFFERED, REPLIES },
	[VHOST_USER_CLOSE_CRYPTO_SESSION] = { "CLOSE_CRYPTO_SESSION", NOT_OFFERED, 0 },
	[VHOST_USER_POSTCOPY_ADVISE] = { "POSTCOPY_ADVISE", NOT_OFFERED, REPLIES },
	[VHOST_USER_POSTCOPY_LISTEN] = { "POSTCOPY_LISTEN", NOT_OFFERED, 0 },
	[VHOST_USER_POSTCOPY_END] = { "POSTCOPY_END", NOT_OFFERED, REPLIES },
	[VHOST_USER_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", NOT_OFFERED, REPLIES },
	[VHOST_USER_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", NOT_OFFERED, 0 },
	[VHOST_USER_GPU_SET_SOCKET] = { "GPU_SET_SOCKET", NOT_OFFERED, 0 },
	[VHOST_USER_RESET_DEVICE] = { "RESET_DEVICE", op_reset_device, SIZE(0), 0, 0, NEEDS(RESET_DEVICE), 0 },
	[VHOST_USER_VRING_KICK] = { "VRING_KICK", NOT_OFFERED, 0 },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", op_get_max_mem_slots,
		SIZE(0), 0, 0, NEEDS(CONFIGURE_MEM_SLOTS), REPLIES },
	[VHOST_USER_ADD_MEM_REG] = { "ADD_MEM_REG", op_add_mem_reg, MEM_REG, 1, 1, NEEDS(CONFIGURE_MEM_SLOTS), 0 },
	/* The specification once had a descriptor here, and front ends that send it remain. */
	[VHOST_USER_REM_MEM_REG] = { "REM_MEM_REG", op_rem_mem_reg, MEM_REG, 0, 1, NEEDS(CONFIGURE_MEM_SLOTS), 0 },
	[VHOST_USER_SET_STATUS] = { "SET_STATUS", op_set_status, U64, 0, 0, NEEDS(STATUS), 0 },
	[VHOST_USER_GET_STATUS] = { "GET_STATUS", op_get_status, SIZE(0), 0, 0, NEEDS(STATUS), REPLIES },
	[VHOST_USER_GET_SHARED_OBJECT] = { "GET_SHARED_OBJECT", NOT_OFFERED, REPLIES },
	[VHOST_USER_SET_DEVICE_STATE_FD] = { "SET_DEVICE_STATE_FD", op_set_device_state_fd,
		SIZE(sizeof(struct vhost_user_transfer_state)), 1, 1, NEEDS(DEVICE_STATE), REPLIES },
	[VHOST_USER_CHECK_DEVICE_STATE] = { "CHECK_DEVICE_STATE", op_check_device_state,
		SIZE(0), 0, 0, NEEDS(DEVICE_STATE), REPLIES },
	[VHOST_USER_GET_SHMEM_CONFIG] = { "GET_SHMEM_CONFIG", op_get_shmem_config, SIZE(0), 0, 0, NEEDS(SHMEM), REPLIES },
};
/* clang-format on */

/* For what a later specification may add. */
static const struct op unknown = { "?", NOT_OFFERED, 0 };

static const struct op *find_op(uint32_t request)
{
	return request < ARRAY_SIZE(ops) && ops[request].name ? &ops[request] : &unknown;
}

/* Is the message well formed, so far as its line says? */
static bool well_formed(const struct op *op, const struct vhost_msg *m)
{
	return !(m->hdr.flags & VHOST_USER_F_REPLY) && m->hdr.size >= op->size_min &&
	       m->hdr.size <= op->size_max && m->nfds >= op->fds_min && m->nfds <= op->fds_max;
}

static bool offered(const struct vhost *v, const struct op *op)
{
	return op->handler &&
	       (op->needs == ANY || (v->protocol_features & ((uint64_t)1 << op->needs)));
}

/* Sends what the handler returned, as the message and the negotiation ask for it. */
static int answer(struct vhost *v, const struct op *op, int ret)
{
	struct vhost_msg *m = &v->sock.msg;
	bool ack = (m->hdr.flags & VHOST_USER_F_NEED_REPLY) &&
		   (v->protocol_features & PROTOCOL_BIT(REPLY_ACK));

	if (op->replies == REPLIES || (op->replies == REPLIES_IF && offered(v, op))) {
		/* An empty payload is how the specification says "no" where it says it at all. */
		m->hdr.size = ret > 0 ? (uint32_t)ret : 0;
	} else if (ack) {
		m->p.u64 = ret ? 1 : 0;
		m->hdr.size = sizeof(m->p.u64);
	} else {
		return 0;
	}
	m->hdr.flags = VHOST_USER_VERSION | VHOST_USER_F_REPLY;
	return vhost_sock_send(&v->sock, m, -1);
}

int dispatch(struct vhost *v)
{
	struct vhost_msg *m = &v->sock.msg;
	const struct op *op = find_op(m->hdr.request);
	int ret = -EPROTO;

	if (well_formed(op, m))
		ret = offered(v, op) ? op->handler(v, m) : -ENOTSUP;
	if (ret == VHOST_DEFER)
		return ret;
	if (ret == -EPROTO) {
		log_err(v->name,
			"malformed message %" PRIu32 " (%s): flags %#" PRIx32 ", %" PRIu32
			" bytes, %u descriptors",
			m->hdr.request, op->name, m->hdr.flags, m->hdr.size, m->nfds);
		return ret;
	}
	if (ret < 0 && ret != VHOST_REFUSE)
		log_guest(v->name, "message %" PRIu32 " (%s) refused: %s", m->hdr.request, op->name,
			  ret == -ENOTSUP ? "not offered, or not negotiated" : strerror(-ret));
	return answer(v, op, ret);
}
