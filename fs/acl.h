/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX ACLs as the values of system.posix_acl_access and system.posix_acl_default: they hold
 * ids, which --translate-uid and --translate-gid are about as much as those of a file's owner.
 */
#ifndef FS_ACL_H
#define FS_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/idmap.h"

/*
 * Translates the ids in an ACL of len bytes in place: the guest's to the host's, or the other
 * way round. A map may be NULL: those ids stay. No length is an ACL too: that of none.
 *
 * Returns 0; or, and value is unchanged, -EINVAL if it is not an ACL, -EOPNOTSUPP if it is one
 * of another version, or -EPERM if it has an id that is forbidden. Only what has to be known for
 * the ids is checked. Whether the entries together are an ACL that means something is left to
 * the kernel that enforces it.
 *
 * Squashing may leave two entries for one id. Kernels use the first, and accept that.
 */
int acl_translate(void *value, size_t len, const struct idmap *uid, const struct idmap *gid,
		  bool to_host);

#endif
