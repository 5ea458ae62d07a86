/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a message to its handler and back to a reply.
 *
 * A handler gets a message whose size, descriptors and protocol feature have been checked,
 * and may take descriptors out of it. It returns
 *   0             done; acknowledged if the front end asked for that
 *   > 0           done; the payload has been replaced by a reply of so many bytes
 *   -errno        refused and logged; the front end hears of it if it asked
 *   VHOST_REFUSE  refused, as a rule and not as an event: not logged
 *   -EPROTO       not vhost-user: the connection is closed
 *   VHOST_DEFER   to be called again when a queue has let go of its ring
 */
#ifndef VHOST_DISPATCH_H
#define VHOST_DISPATCH_H

#include "vhost/vhost.h"

#define VHOST_DEFER  INT32_MIN
#define VHOST_REFUSE (-EREMOTE) /* which nothing else returns */

/* Handles v->sock.msg. 0, VHOST_DEFER, or -errno when the connection must be closed. */
int dispatch(struct vhost *v);

#endif
