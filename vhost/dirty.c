/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/dirty.h"

#include <errno.h>
#include <string.h>

#include "host/log.h"
#include "vhost/dispatch.h"

void dirty_apply(struct vhost *v, unsigned i)
{
	const struct vhost_ring *r = &v->rings[i];
	struct worker *w = &v->workers[i];
	const struct vq_log log = {
		.log = v->log,
		.data = v->log && (v->features & VIRTIO_BIT(VHOST_USER_F_LOG_ALL)),
		.used = v->log && r->log_used,
		.used_gpa = r->log_used_gpa,
	};

	vq_set_log(&w->vq, &log);
	if (w->state == WORKER_IDLE)
		vq_refresh(&w->vq); /* it is ours, and should not keep a former log */
	else
		worker_wake(w);
}

void dirty_apply_all(struct vhost *v)
{
	for (unsigned i = 0; i < v->ops->num_queues; i++)
		dirty_apply(v, i);
}

bool dirty_settled(struct vhost *v)
{
	for (unsigned i = 0; i < v->ops->num_queues; i++)
		if (!vq_log_settled(&v->workers[i].vq))
			return false;
	return true;
}

void dirty_forget(struct vhost *v)
{
	bool was_on = v->features & VIRTIO_BIT(VHOST_USER_F_LOG_ALL);

	v->features &= ~VIRTIO_BIT(VHOST_USER_F_LOG_ALL);
	dirty_put(v->log);
	v->log = NULL;
	dirty_apply_all(v);
	if (was_on && v->ops->logging)
		v->ops->logging(v->dev, false);
}

int op_set_log_base(struct vhost *v, struct vhost_msg *m)
{
	struct dirty_log *log;
	int ret;

	if (m->hdr.size != sizeof(m->p.log) || m->nfds != 1)
		return -EPROTO; /* what it is without LOG_SHMFD */
	if (!v->deferred) {
		ret = dirty_open(m->fds[0], m->p.log.mmap_offset, m->p.log.mmap_size, &log);
		if (ret) {
			/*
			 * QEMU does not look into the answer: it would go on, and the guest's
			 * memory be wrong after the migration. The end of the connection it
			 * notices.
			 */
			log_err(v->name, "cannot use the dirty log of the front end: %s",
				strerror(-ret));
			return -EPROTO;
		}
		dirty_put(v->log);
		v->log = log;
		dirty_apply_all(v);
	}
	if (!dirty_settled(v))
		return VHOST_DEFER;
	m->p.u64 = 0;
	return sizeof(m->p.u64);
}
