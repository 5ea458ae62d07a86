/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages that change the guest memory table. Handlers: see vhost/dispatch.h. */
#ifndef VHOST_REGIONS_H
#define VHOST_REGIONS_H

#include "vhost/vhost.h"

int op_set_mem_table(struct vhost *v, struct vhost_msg *m);
int op_get_max_mem_slots(struct vhost *v, struct vhost_msg *m);
int op_add_mem_reg(struct vhost *v, struct vhost_msg *m);
int op_rem_mem_reg(struct vhost *v, struct vhost_msg *m);

#endif
