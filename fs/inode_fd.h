/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of fs/inode.h that has to do with descriptors: for fs/inode*.c and fs/handle.c only. */
#ifndef FS_INODE_FD_H
#define FS_INODE_FD_H

#include "fs/inode.h"

int inode_fds_init(struct inode_fds *f, uint64_t max);
void inode_fds_fini(struct inode_fds *f);

/* Room for a descriptor that stays open. 0 or -ENFILE. */
int inode_fd_reserve(struct fs *fs);
void inode_fd_unreserve(struct fs *fs);

/*
 * A descriptor that the guest has caused, which is taken in every case: it, or another of the same
 * open file, where its number says that only those that we keep for ourselves are left. -ENFILE if
 * there is none. The kernel always gives the lowest number.
 */
int inode_fd_lower(struct fs *fs, int fd);

/* Gives i, which nobody else knows yet, its descriptor for good. */
void inode_fd_set(struct inode *i, int fd);

/* The inode has no references. */
void inode_fd_close(struct fs *fs, struct inode *i);

#endif
