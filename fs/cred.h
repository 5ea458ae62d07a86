/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On whose behalf a file is made. Handlers run with all our rights, as the guest's kernel has
 * checked its user's; only what makes a file or directory takes on the user, so that owner,
 * set-group bit, quota and default ACL come out as on the host.
 *
 * A thread stays what it was last: changing back is done when somebody needs the rights, and
 * costs nothing when requests of one kind follow one another.
 */
#ifndef FS_CRED_H
#define FS_CRED_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/req.h"

/*
 * The user of rq (translated), its group, the file mode mask, and the supplementary groups that
 * an extension of the request names, if any. 0, or -EPERM when we may not. Without the right to
 * change users (fs->as_root), the guest's root and whoever we are become us, and nobody else.
 */
int cred_become(struct fs_req *rq, uint32_t mask, const uint32_t *groups, unsigned n_groups);

/*
 * The mode to ask for after cred_become() with that mask. It is the same, unless the thread could
 * not get a mask of its own: then the mask is in the mode, and too strict below a default ACL.
 */
uint32_t cred_mode(const struct fs_queue *q, uint32_t mode, uint32_t mask);

/* May this process take on any user? Asked once, after the sandbox has set its capabilities. */
bool cred_can_switch(void);

/* The queue's thread, once: gives it a file mode mask of its own, and no supplementary groups. 0,
 * or -errno: the mask stays the process's, and is 0. */
int cred_thread_init(struct fs_queue *q);

/* All our rights again. Cheap when nothing has changed; the dispatcher calls it first. */
void cred_self(struct fs_queue *q);

#endif
