/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may follow the names of a request that creates something: a security label for it, and
 * groups of its user. Since 7.38 these are extensions at the end of the body, as many bytes as
 * the header says. Before, the label alone followed the names, without being announced.
 */
#ifndef FS_EXT_H
#define FS_EXT_H

#include <stdint.h>

#include "fs/name.h"
#include "fs/req.h"

struct fs_ext {
	const char *label_name; /* NULL: no label. Both are in the body */
	const void *label;
	uint32_t label_len;
	unsigned n_groups; /* the guest's ids */
	uint32_t groups[CRED_GROUPS_MAX];
};

/*
 * after: what follows the names. What was not negotiated is ignored. 0; -EINVAL if it is
 * malformed, or too much of it; -EOPNOTSUPP for several labels.
 */
int ext_parse(const struct fs_req *rq, struct cursor after, struct fs_ext *ext);

#endif
