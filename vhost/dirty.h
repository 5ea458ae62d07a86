/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of live migration's dirty log. Handlers: see vhost/dispatch.h.
 *
 * Three of them decide what is logged: SET_LOG_BASE where, VHOST_USER_F_LOG_ALL in SET_FEATURES
 * whether, a flag of SET_VRING_ADDR whether the used ring is. All may come while rings run.
 * Each is answered when every queue that runs has changed over: the front end relies on it
 * that no mark goes to a former log after the answer, nor is left out.
 */
#ifndef VHOST_DIRTY_H
#define VHOST_DIRTY_H

#include "vhost/vhost.h"

int op_set_log_base(struct vhost *v, struct vhost_msg *m);

/* Tells queue i, or all of them, what v says now about logging. */
void dirty_apply(struct vhost *v, unsigned i);
void dirty_apply_all(struct vhost *v);

/* Have all queues changed over? If not, v->parked will tell. */
bool dirty_settled(struct vhost *v);

/* The connection is over: nothing is logged any more. */
void dirty_forget(struct vhost *v);

#endif
