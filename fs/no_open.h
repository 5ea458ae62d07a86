/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that the guest uses without OPEN (FUSE_NO_OPEN_SUPPORT, FUSE_NO_OPENDIR_SUPPORT, by
 * option). It sends 0 for fh, and nothing at the end. So each request opens the file for itself;
 * small files that are read once cost one request for three.
 *
 * Such a file goes on after its last name has gone, but the host does not know that it is open. So
 * who removes a name, or puts another file in its place, first makes sure of a descriptor of what
 * is there, which stays until the guest forgets the inode. The same is done of files where the
 * guest has a write-back cache: the times that it holds back come when the name is gone, and if
 * they could not be set then, the guest would take that for lost data.
 */
#ifndef FS_NO_OPEN_H
#define FS_NO_OPEN_H

#include "fs/req.h"

/* Does the guest use files, or directories, like that? */
bool no_open_in_force(const struct fs *fs, bool is_dir);

/* rq->inode, opened for this request: for writing too if writes. 0 and rq->handle, or -errno. */
int no_open_handle(struct fs_req *rq, bool writes);

/*
 * Name below the directory that is open as pfd is about to go. 0, also if there is no such name,
 * or the guest does not know that file; or -errno: -ENFILE.
 */
int no_open_keep(struct fs *fs, const struct inode *dir, int pfd, const char *name);

#endif
