/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring runs when it has a size and addresses, SET_VRING_KICK has started it and it is
 * enabled (from the start if protocol features were not negotiated). GET_VRING_BASE stops it.
 * A handler that needs a running ring to itself parks it and, if that takes time, returns
 * VHOST_DEFER: it is called again from the top, so what it has done so far must bear that.
 */
#include "vhost/rings.h"

#include <errno.h>

#include "base/align.h"
#include "host/fd.h"
#include "vhost/dirty.h"
#include "vhost/dispatch.h"

static int ring_index(const struct vhost *v, uint32_t index)
{
	return index < v->ops->num_queues ? (int)index : -EINVAL;
}

/* Asks for the ring. True when it is here; what it had reached is then in the ring's cfg. */
static bool ring_park(struct vhost *v, int i)
{
	struct worker *w = &v->workers[i];
	bool was_running = w->state != WORKER_IDLE;

	if (!worker_park(w))
		return false;
	if (was_running)
		v->rings[i].cfg.base = vq_stop(&w->vq);
	return true;
}

bool rings_park_all(struct vhost *v)
{
	bool all = true;

	for (int i = 0; i < v->ops->num_queues; i++)
		all = ring_park(v, i) && all;
	return all;
}

bool rings_free_device(struct vhost *v)
{
	bool parked = rings_park_all(v);

	return transfer_end(&v->transfer) && parked;
}

static bool want_running(const struct vhost_ring *r)
{
	return r->started && r->enabled && r->addr_set && r->cfg.size;
}

/* Do all rings go on where they stopped? A new driver begins each of them at 0. */
static bool is_continued(const struct vhost *v)
{
	bool any = false;

	for (unsigned i = 0; i < v->ops->num_queues; i++) {
		const struct vhost_ring *r = &v->rings[i];

		if (r->left && r->cfg.base != r->left_at)
			return false;
		any |= r->left && r->left_at;
	}
	return any;
}

static void device_start(struct vhost *v)
{
	const struct device_start how = {
		.mem = v->mem,
		.continued = is_continued(v),
		.can_map = v->backend.can_map && v->backend.sock.fd >= 0,
	};

	if (v->dev_started)
		return;
	v->dev_started = true;
	backend_open_window(&v->backend);
	v->ops->start(v->dev, &how);
}

static void device_stop(struct vhost *v)
{
	backend_close_window(&v->backend);
	if (!v->dev_started)
		return;
	v->dev_started = false;
	v->ops->stop(v->dev);
}

/* Starts the ring if all is there and it does not run. 0 or -errno. */
static int ring_update(struct vhost *v, int i)
{
	struct vhost_ring *r = &v->rings[i];
	struct worker *w = &v->workers[i];
	int ret;

	if (!want_running(r) || w->state != WORKER_IDLE)
		return 0;
	r->cfg.features = v->features;
	ret = vq_start(&w->vq, &r->cfg, v->mem);
	if (ret)
		return vq_break(&w->vq, ret,
				ret == -EINVAL ? "its memory is not aligned"
					       : "it is not in the guest's memory");
	v->backend.paused = false;
	device_start(v);
	worker_run(w);
	return 0;
}

void rings_reset(struct vhost *v)
{
	device_stop(v);
	for (unsigned i = 0; i < v->ops->num_queues; i++) {
		v->rings[i] = (struct vhost_ring){ 0 };
		worker_set_kick(&v->workers[i], -1);
	}
	dirty_apply_all(v);
	v->ops->reset(v->dev);
}

int op_set_vring_num(struct vhost *v, struct vhost_msg *m)
{
	int i = ring_index(v, m->p.state.index);
	uint32_t num = m->p.state.num;

	if (i < 0 || !is_pow2(num) || num > VRING_SIZE_MAX)
		return -EINVAL;
	if (v->workers[i].state != WORKER_IDLE)
		return num == v->rings[i].cfg.size ? 0 : -EBUSY;
	if (!transfer_end(&v->transfer))
		return VHOST_DEFER;
	v->rings[i].cfg.size = num;
	return ring_update(v, i);
}

/* Logging of the used ring may be switched by the same message while the ring runs. */
static int set_used_log(struct vhost *v, int i, const struct vhost_user_vring_addr *a)
{
	struct vhost_ring *r = &v->rings[i];
	bool on = a->flags & VHOST_USER_VRING_F_LOG;

	if (on != r->log_used || (on && a->log != r->log_used_gpa)) {
		r->log_used = on;
		r->log_used_gpa = a->log;
		dirty_apply(v, (unsigned)i);
	}
	return dirty_settled(v) ? 0 : VHOST_DEFER;
}

int op_set_vring_addr(struct vhost *v, struct vhost_msg *m)
{
	const struct vhost_user_vring_addr *a = &m->p.addr;
	int i = ring_index(v, a->index);
	struct vq_config *cfg;
	int ret;

	if (i < 0)
		return i;
	if (!transfer_end(&v->transfer))
		return VHOST_DEFER;
	cfg = &v->rings[i].cfg;
	if (v->workers[i].state != WORKER_IDLE &&
	    (a->desc != cfg->desc_uva || a->avail != cfg->avail_uva || a->used != cfg->used_uva))
		return -EBUSY;
	ret = set_used_log(v, i, a);
	if (ret || v->workers[i].state != WORKER_IDLE)
		return ret;
	cfg->desc_uva = a->desc;
	cfg->avail_uva = a->avail;
	cfg->used_uva = a->used;
	v->rings[i].addr_set = true;
	return ring_update(v, i);
}

int op_set_vring_base(struct vhost *v, struct vhost_msg *m)
{
	int i = ring_index(v, m->p.state.index);

	if (i < 0 || m->p.state.num > UINT16_MAX)
		return -EINVAL;
	if (v->workers[i].state != WORKER_IDLE)
		return -EBUSY;
	v->rings[i].cfg.base = (uint16_t)m->p.state.num;
	return 0;
}

int op_get_vring_base(struct vhost *v, struct vhost_msg *m)
{
	int i = ring_index(v, m->p.state.index);
	struct vhost_ring *r;
	bool any = false;

	if (i < 0)
		return -EPROTO;	  /* there is no way to answer this with an error */
	v->backend.paused = true; /* the front end may have begun to stop the device */
	if (!ring_park(v, i))
		return VHOST_DEFER;
	r = &v->rings[i];
	r->started = false;
	r->left = true;
	r->left_at = r->cfg.base;
	worker_set_kick(&v->workers[i], -1);
	for (unsigned q = 0; q < v->ops->num_queues; q++)
		any = any || v->rings[q].started;
	if (!any)
		device_stop(v);
	m->p.state.num = r->left_at;
	return sizeof(m->p.state);
}

/* The descriptor of SET_VRING_KICK, CALL and ERR: taken from m, or -1. 0 or -EPROTO. */
static int take_fd(struct vhost_msg *m, int *fd)
{
	bool none = m->p.u64 & VHOST_USER_VRING_NOFD_MASK;

	*fd = -1;
	if (m->nfds != (none ? 0u : 1u))
		return -EPROTO;
	*fd = m->fds[0];
	m->fds[0] = -1;
	return *fd >= 0 ? fd_set_nonblock(*fd) : 0;
}

int op_set_vring_kick(struct vhost *v, struct vhost_msg *m)
{
	int i = ring_index(v, m->p.u64 & VHOST_USER_VRING_IDX_MASK);
	int fd, ret;

	if (i < 0)
		return i;
	if (!ring_park(v, i) || !transfer_end(&v->transfer))
		return VHOST_DEFER;
	ret = take_fd(m, &fd);
	if (ret) {
		fd_close(&fd);
		return ret;
	}
	worker_set_kick(&v->workers[i], fd);
	v->rings[i].started = true;
	if (!(v->features & VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		v->rings[i].enabled = true;
	return ring_update(v, i);
}

static int set_event_fd(struct vhost *v, struct vhost_msg *m, void (*set)(struct vq *, int))
{
	int i = ring_index(v, m->p.u64 & VHOST_USER_VRING_IDX_MASK);
	int fd, ret;

	if (i < 0)
		return i;
	ret = take_fd(m, &fd);
	if (ret)
		fd_close(&fd);
	else
		set(&v->workers[i].vq, fd);
	return ret;
}

int op_set_vring_call(struct vhost *v, struct vhost_msg *m)
{
	return set_event_fd(v, m, vq_set_call);
}

int op_set_vring_err(struct vhost *v, struct vhost_msg *m)
{
	return set_event_fd(v, m, vq_set_err);
}

int op_set_vring_enable(struct vhost *v, struct vhost_msg *m)
{
	int i = ring_index(v, m->p.state.index);

	if (i < 0 || m->p.state.num > 1)
		return -EINVAL;
	if (m->p.state.num && !transfer_end(&v->transfer))
		return VHOST_DEFER;
	v->rings[i].enabled = m->p.state.num;
	if (m->p.state.num) {
		v->backend.paused = false;
		return ring_update(v, i);
	}
	v->backend.paused = true; /* as in op_get_vring_base() */
	return ring_park(v, i) ? 0 : VHOST_DEFER;
}
