/* SPDX-License-Identifier: BSD-2-Clause */
/* The user namespace of an ordinary user's `vdax fs`. */
#ifndef CMD_FS_USERNS_H
#define CMD_FS_USERNS_H

#include <stdint.h>

#include "cmd/options.h"

/* A range of ids. */
struct fs_id_range {
	uint32_t inside, outside, count;
};

struct fs_id_maps {
	unsigned n_uid, n_gid; /* 0: only our own id, as it is */
	struct fs_id_range uid[OPTION_LIST_MAX], gid[OPTION_LIST_MAX];
};

/* ":inside:outside:count:", with any delimiter that is no letter or digit. 0 or -EINVAL. */
int fs_id_range_parse(struct fs_id_range *r, const char *text);

/*
 * Enters one with these maps: newuidmap and newgidmap, if more than our own id is asked for, and
 * then as its root. While there is one thread. 0, or -errno after a message.
 */
int fs_userns_enter(const struct fs_id_maps *maps);

#endif
