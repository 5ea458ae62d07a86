/* SPDX-License-Identifier: BSD-2-Clause */
/* What takes names away, or moves them. The guest's kernel has checked its user's rights. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/cred.h"
#include "fs/name.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "fs/seccomp.h"

/* libc's renameat2() calls renameat() if it has no flags. */
const int fs_op_remove_syscalls[] = { SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2),
				      SYSCALLS_END };

#define RENAME_KNOWN ((uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))

static int remove_name(struct fs_req *rq, int flags)
{
	struct cursor c = fs_cursor(rq, 0);
	const char *name;
	int ret = fs_next_name(&c, &name);
	int pfd;

	if (ret)
		return ret;
	pfd = inode_fd(rq->fs, rq->inode);
	if (pfd < 0)
		return pfd;
	ret = no_open_keep(rq->fs, rq->inode, pfd, name);
	if (!ret && unlinkat(pfd, name, flags) < 0)
		ret = -errno;
	inode_fd_put(rq->inode);
	return ret;
}

int op_unlink(struct fs_req *rq)
{
	return remove_name(rq, 0);
}

int op_rmdir(struct fs_req *rq)
{
	return remove_name(rq, AT_REMOVEDIR);
}

struct move {
	int from_dir, to_dir;
	const char *from, *to;
	uint32_t flags;
};

static int move_now(const struct move *m)
{
	return renameat2(m->from_dir, m->from, m->to_dir, m->to, m->flags) < 0 ? -errno : 0;
}

/*
 * A whiteout is made by the rename, so it belongs to the user. If the user may that only by a group
 * that the request does not name, it is ours.
 */
static int move_names(struct fs_req *rq, const struct move *m)
{
	int ret;

	if (!(m->flags & RENAME_WHITEOUT))
		return move_now(m);
	ret = cred_become(rq, 0, NULL, 0);
	if (!ret)
		ret = move_now(m);
	cred_self(rq->q);
	return ret == -EACCES || ret == -EPERM ? move_now(m) : ret;
}

static int rename_between(struct fs_req *rq, const char *from, struct inode *newdir, const char *to,
			  uint32_t flags)
{
	struct move m = { .from = from, .to = to, .flags = flags };
	int ret = 0;

	m.from_dir = inode_fd(rq->fs, rq->inode);
	if (m.from_dir < 0)
		return m.from_dir;
	m.to_dir = inode_fd(rq->fs, newdir);
	if (m.to_dir < 0) {
		inode_fd_put(rq->inode);
		return m.to_dir;
	}
	if (!(flags & RENAME_EXCHANGE))
		ret = no_open_keep(rq->fs, newdir, m.to_dir, to);
	if (!ret)
		ret = move_names(rq, &m);
	inode_fd_put(newdir);
	inode_fd_put(rq->inode);
	return ret;
}

/* The names follow a body of size bytes. */
static int rename_names(struct fs_req *rq, uint32_t size, uint64_t newdir_id, uint32_t flags)
{
	struct cursor c = fs_cursor(rq, size);
	const char *from, *to;
	struct inode *newdir;
	int ret = fs_next_name(&c, &from);

	if (!ret)
		ret = fs_next_name(&c, &to);
	if (ret)
		return ret;
	newdir = inode_get(rq->fs, newdir_id);
	if (!newdir)
		return -ESTALE;
	ret = rename_between(rq, from, newdir, to, flags);
	inode_put(rq->fs, newdir);
	return ret;
}

int op_rename(struct fs_req *rq)
{
	const struct fuse_rename_in *in = FS_BODY(rq, fuse_rename_in);

	return rename_names(rq, sizeof(*in), in->newdir, 0);
}

int op_rename2(struct fs_req *rq)
{
	const struct fuse_rename2_in *in = FS_BODY(rq, fuse_rename2_in);

	if (in->flags & ~RENAME_KNOWN ||
	    (in->flags & RENAME_EXCHANGE && in->flags != RENAME_EXCHANGE))
		return -EINVAL;
	return rename_names(rq, sizeof(*in), in->newdir, in->flags);
}
