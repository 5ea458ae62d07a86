/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages about rings, and what makes a ring run. Handlers: see vhost/dispatch.h. */
#ifndef VHOST_RINGS_H
#define VHOST_RINGS_H

#include "vhost/vhost.h"

int op_set_vring_num(struct vhost *v, struct vhost_msg *m);
int op_set_vring_addr(struct vhost *v, struct vhost_msg *m);
int op_set_vring_base(struct vhost *v, struct vhost_msg *m);
int op_get_vring_base(struct vhost *v, struct vhost_msg *m);
int op_set_vring_kick(struct vhost *v, struct vhost_msg *m);
int op_set_vring_call(struct vhost *v, struct vhost_msg *m);
int op_set_vring_err(struct vhost *v, struct vhost_msg *m);
int op_set_vring_enable(struct vhost *v, struct vhost_msg *m);

/* Asks all queues for their rings. True when all are here, else v->parked will tell. */
bool rings_park_all(struct vhost *v);

/* The same, and ends a transfer of the device's state: nobody else uses the device then. */
bool rings_free_device(struct vhost *v);

/* Everything about rings as it is at first, and the device told. All must be parked. */
void rings_reset(struct vhost *v);

#endif
