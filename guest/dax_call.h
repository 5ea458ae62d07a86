/* SPDX-License-Identifier: BSD-2-Clause */
/* Between what is asked of the DAX window (dax.c) and the requests to the device (dax_call.c). */
#ifndef GUEST_DAX_CALL_H
#define GUEST_DAX_CALL_H

#include "vdax/dax.h"

/* Of struct vdax_dax_op. */
enum vdax_dax_op_kind { VDAX_DAX_OP_SETUP, VDAX_DAX_OP_UPGRADE, VDAX_DAX_OP_REMOVE };

/* NULL: all are under way. waiter, or NULL, is not asked before it ends. */
struct vdax_dax_op *vdax_dax_get_op(struct vdax_dax *d, enum vdax_dax_op_kind kind,
				    struct vdax_dax_rq *waiter);
void vdax_dax_put_op(struct vdax_dax *d, struct vdax_dax_op *op);

/*
 * SETUPMAPPING of r, which was just taken (again: see vdax_book_take()); there is a free op. 0, or
 * an error, and r is free again.
 */
int vdax_dax_send_new(struct vdax_dax *d, struct vdax_dax_range *r, bool write, bool again,
		      struct vdax_dax_rq *waiter);

/* The same once more, for writing; r is pinned until it ends. There is a free op. */
int vdax_dax_send_upgrade(struct vdax_dax *d, struct vdax_dax_range *r, struct vdax_dax_rq *waiter);

/* One more range, READY and not pinned, for a REMOVEMAPPING that has room. */
void vdax_dax_add_removal(struct vdax_dax *d, struct vdax_dax_op *op, struct vdax_dax_range *r);

/*
 * REMOVEMAPPING. Takes op, in every case. 0 or an error, then nothing has changed. All are of one
 * file: places in the window say what is meant, but a device may do something for the node that
 * the header names, such as to write back what it has copied.
 */
int vdax_dax_send_removal(struct vdax_dax *d, struct vdax_dax_op *op);

/*
 * REMOVEMAPPING of what was not used for longest, for a range of order, and of some more. 1:
 * something is under way; 0: there is nothing to give up, or an error.
 */
int vdax_dax_reclaim(struct vdax_dax *d, unsigned int order);

#endif
