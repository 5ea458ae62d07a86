/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers that the table of opcodes lists; what they return is in fs/req.h. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs/req.h"

/* fs/session.c */
int op_init(struct fs_req *rq);

/* fs/op_dax.c: the window, and the end of a session */
int op_setupmapping(struct fs_req *rq);
int op_removemapping(struct fs_req *rq);
int op_destroy(struct fs_req *rq);

/* fs/op_node.c: what is known of an inode */
int op_lookup(struct fs_req *rq);
int op_forget(struct fs_req *rq);
int op_batch_forget(struct fs_req *rq);
int op_getattr(struct fs_req *rq);
int op_statx(struct fs_req *rq);
int op_readlink(struct fs_req *rq);
int op_statfs(struct fs_req *rq);
int op_access(struct fs_req *rq);

/* fs/op_setattr.c */
int op_setattr(struct fs_req *rq);

/* fs/op_create.c: what makes names */
int op_create(struct fs_req *rq);
int op_mknod(struct fs_req *rq);
int op_mkdir(struct fs_req *rq);
int op_symlink(struct fs_req *rq);
int op_link(struct fs_req *rq);
int op_tmpfile(struct fs_req *rq);

/* fs/op_remove.c: what takes names away, or moves them */
int op_unlink(struct fs_req *rq);
int op_rmdir(struct fs_req *rq);
int op_rename(struct fs_req *rq);
int op_rename2(struct fs_req *rq);

/* fs/op_file.c */
int op_open(struct fs_req *rq);
int op_release(struct fs_req *rq);
int op_flush(struct fs_req *rq);
int op_lseek(struct fs_req *rq);
int op_poll(struct fs_req *rq);

/* fs/op_io.c */
int op_read(struct fs_req *rq);
int op_write(struct fs_req *rq);

/* fs/op_later.c: what always takes long */
int op_fsync(struct fs_req *rq); /* FSYNCDIR, too */
int op_fallocate(struct fs_req *rq);
int op_copy_file_range(struct fs_req *rq);
int op_syncfs(struct fs_req *rq);

/* fs/op_ioctl.c */
int op_ioctl(struct fs_req *rq);

/* fs/op_dir.c */
int op_opendir(struct fs_req *rq);
int op_readdir(struct fs_req *rq);
int op_readdirplus(struct fs_req *rq);
int op_releasedir(struct fs_req *rq);

/* fs/op_xattr.c */
int op_setxattr(struct fs_req *rq);
int op_getxattr(struct fs_req *rq);
int op_listxattr(struct fs_req *rq);
int op_removexattr(struct fs_req *rq);

/* fs/op_lock.c */
int op_getlk(struct fs_req *rq);
int op_setlk(struct fs_req *rq);
int op_setlkw(struct fs_req *rq);
int op_interrupt(struct fs_req *rq);

/* Opens inode for the guest: shared by OPEN, OPENDIR, CREATE and TMPFILE (fs/op_file.c). */
uint32_t open_reply_flags(struct fs *fs, const struct inode *inode, bool is_dir);
/* The guest's open flags as we use them on the host: no O_CREAT, O_NOFOLLOW, O_DIRECT unless
 * allowed, O_APPEND not with a write-back cache. */
int open_host_flags(const struct fs *fs, uint32_t guest_flags);
/* What O_TRUNC in flags asks for, of a file that was opened as fd without it. 0 or -errno. */
int file_truncate(struct fs *fs, struct inode *inode, int fd, int flags);
/* Takes away the set-user-id bit, and set-group-id of what the group can execute. 0 or -errno. */
int file_kill_suidgid(int fd);
/* The same for requests that change contents and have no flag for it: if the guest has left it to
 * us (HANDLE_KILLPRIV_V2), unless root asks. */
int file_kill_unasked(const struct fs_req *rq, int fd);
/*
 * Opens rq->inode for this request alone, as inode_open() does. 0 and *out, with a reference: with
 * the last one it is closed. Or -errno.
 */
int file_open_once(struct fs_req *rq, int flags, struct handle **out);

#endif
