/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/queue.h"

#include <errno.h>

#include "front/ram.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "wire/ring.h"

void front_queue_set(struct front *f, unsigned int i, unsigned int size, void *desc, void *avail,
		     void *used)
{
	struct front_queue *q = &f->q[i];

	q->size = size;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
}

void front_kick(struct front *f, unsigned int i)
{
	f->q[i].kicks++;
	fd_signal(f->q[i].kick);
}

static int set_state(struct front *f, uint32_t request, unsigned int i, uint32_t num)
{
	struct front_msg m = { .hdr = { .request = request, .size = sizeof(m.p.state) } };

	m.p.state = (struct vhost_user_vring_state){ .index = i, .num = num };
	return front_call(f, &m, FRONT_NO_WAIT);
}

static int set_addr(struct front *f, unsigned int i)
{
	struct front_msg m = { .hdr = { VHOST_USER_SET_VRING_ADDR, 0, sizeof(m.p.addr) } };
	const struct front_queue *q = &f->q[i];

	m.p.addr = (struct vhost_user_vring_addr){
		.index = i,
		.desc = (uintptr_t)q->desc,
		.avail = (uintptr_t)q->avail,
		.used = (uintptr_t)q->used,
	};
	return front_call(f, &m, FRONT_NO_WAIT);
}

static int set_fd(struct front *f, uint32_t request, unsigned int i, int fd)
{
	struct front_msg m = { .hdr = { .request = request, .size = sizeof(m.p.u64) },
			       .fds = { fd },
			       .nfds = 1 };

	m.p.u64 = i;
	return front_call(f, &m, FRONT_ACK);
}

static int set_up_queue(struct front *f, unsigned int i)
{
	const struct front_queue *q = &f->q[i];
	int ret;

	ret = set_state(f, VHOST_USER_SET_VRING_NUM, i, q->size);
	if (!ret)
		ret = set_state(f, VHOST_USER_SET_VRING_BASE, i, q->base);
	if (!ret)
		ret = set_addr(f, i);
	if (!ret)
		ret = set_fd(f, VHOST_USER_SET_VRING_KICK, i, q->kick);
	if (!ret)
		ret = set_fd(f, VHOST_USER_SET_VRING_CALL, i, q->call);
	return ret;
}

/* QEMU's status for the back end: FEATURES_OK and nothing else, never DRIVER_OK. */
static int set_status(struct front *f)
{
	uint64_t status;
	int ret;

	if (!front_has(f, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	ret = front_get_u64(f, VHOST_USER_GET_STATUS, &status);
	if (ret || (status & VIRTIO_STATUS_FEATURES_OK))
		return ret;
	return front_set_u64(f, VHOST_USER_SET_STATUS, status | VIRTIO_STATUS_FEATURES_OK,
			     FRONT_ACK);
}

static int enable_queues(struct front *f)
{
	int ret = 0;

	/* From the first of these on, the back end may map. */
	f->running = f->window_open = true;
	for (unsigned int i = 0; !ret && i < f->num_queues; i++) {
		if (f->q[i].size)
			ret = set_state(f, VHOST_USER_SET_VRING_ENABLE, i, 1);
	}
	for (unsigned int i = 0; !ret && i < f->num_queues; i++) {
		if (f->q[i].size)
			ret = set_fd(f, VHOST_USER_SET_VRING_CALL, i, f->q[i].call);
	}
	return ret;
}

int front_start(struct front *f)
{
	uint64_t features = f->features | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	int ret;

	if (f->running)
		return -EALREADY;
	ret = front_set_u64(f, VHOST_USER_SET_FEATURES, features, FRONT_NO_WAIT);
	if (!ret)
		ret = set_status(f);
	if (!ret)
		ret = front_table_send(f);
	for (unsigned int i = 0; !ret && i < f->num_queues; i++) {
		if (f->q[i].size)
			ret = set_up_queue(f, i);
	}
	return ret ? ret : enable_queues(f);
}

static int get_base(struct front *f, unsigned int i)
{
	struct front_msg m = { .hdr = { VHOST_USER_GET_VRING_BASE, 0, sizeof(m.p.state) } };
	int ret;

	m.p.state = (struct vhost_user_vring_state){ .index = i };
	ret = front_call(f, &m, FRONT_REPLY);
	f->window_open = false; /* the first answer closes it */
	if (ret)
		return ret;
	if (m.hdr.size != sizeof(m.p.state) || m.p.state.index != i)
		return -EPROTO;
	f->q[i].base = (uint16_t)m.p.state.num;
	return 0;
}

int front_stop(struct front *f)
{
	int ret = 0;

	if (!f->running)
		return -EALREADY;
	front_poll(f, 0);
	f->running = false; /* no memory table is sent from here on */
	for (unsigned int i = 0; !ret && i < f->num_queues; i++) {
		if (f->q[i].size)
			ret = set_state(f, VHOST_USER_SET_VRING_ENABLE, i, 0);
	}
	for (unsigned int i = 0; !ret && i < f->num_queues; i++) {
		if (f->q[i].size)
			ret = get_base(f, i);
	}
	f->window_open = false;
	return ret;
}

static void forget(struct front *f)
{
	front_drop_mappings(f);
	for (unsigned int i = 0; i < f->num_queues; i++) {
		f->q[i].base = 0;
		fd_drain(f->q[i].kick);
		fd_drain(f->q[i].call);
	}
}

int front_reset(struct front *f)
{
	int ret = f->running ? front_stop(f) : 0;

	forget(f);
	return ret;
}

int front_reset_device(struct front *f)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_RESET_DEVICE } };

	if (!front_has(f, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return -ENOTSUP;
	return front_call(f, &m, FRONT_ACK);
}
