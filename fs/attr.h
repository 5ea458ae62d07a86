/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes as FUSE has them. Owners are translated (fs->uids, fs->gids). */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <sys/stat.h>

#include "fs/fs.h"
#include "wire/fuse.h"

/* inode may be NULL: then no per-inode flags (FUSE_ATTR_SUBMOUNT, FUSE_ATTR_DAX). */
void attr_of(struct fs *fs, struct inode *inode, const struct statx *st, struct fuse_attr *out);

/* A whole answer to LOOKUP and its like, with the timeouts of the configuration. */
void attr_entry(struct fs *fs, struct inode *inode, const struct statx *st,
		struct fuse_entry_out *out);

/* GETATTR, SETATTR. */
void attr_out(struct fs *fs, struct inode *inode, const struct statx *st,
	      struct fuse_attr_out *out);

/* STATX. */
void attr_statx(struct fs *fs, struct inode *inode, const struct statx *st,
		struct fuse_statx_out *out);

/*
 * The mode that is left when somebody without the right to keep them changes the contents of a
 * regular file: no set-user-ID, and no set-group-ID if the group may execute it.
 */
uint32_t attr_mode_killed(uint32_t mode);

#endif
