/* SPDX-License-Identifier: BSD-2-Clause */
/* Which capabilities `vdax fs` keeps. */
#ifndef CMD_FS_CAPS_H
#define CMD_FS_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/config.h"

struct fs_caps {
	uint64_t keep;	 /* bits by the number of the capability */
	bool no_handles; /* DAC_READ_SEARCH was taken away, and handles need it */
};

/*
 * What the file system needs for such handles, changed by modcaps ("+sys_admin:-chown", or NULL).
 * 0, or -EINVAL with a message in err.
 */
int fs_caps_choose(struct fs_caps *c, enum fs_handles handles, const char *modcaps, char *err,
		   size_t errlen);

/* Gives up all others, of those that there are. 0 or -errno. */
int fs_caps_apply(const struct fs_caps *c);

/* Gives up all. 0 or -errno. */
int fs_caps_drop_all(void);

#endif
