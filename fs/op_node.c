/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of an inode: none of these changes anything. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/attr.h"
#include "fs/cred.h"
#include "fs/name.h"
#include "fs/ops.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_op_node_syscalls[] = { SCMP_SYS(statx), SCMP_SYS(readlinkat), SCMP_SYS(fstatfs),
				    SCMP_SYS(faccessat2), SYSCALLS_END };

/*
 * No such name. With cache=always nobody else makes one, so the guest may remember that; otherwise
 * what the host makes is seen at once.
 */
static int no_entry(struct fs_req *rq)
{
	const struct fs_config *cfg = rq->fs->cfg;

	if (cfg->cache != FS_CACHE_ALWAYS || !cfg->entry_timeout_ns)
		return -ENOENT;
	*FS_REPLY(rq, fuse_entry_out) = (struct fuse_entry_out){
		.entry_valid = cfg->entry_timeout_ns / NS_PER_S,
		.entry_valid_nsec = (uint32_t)(cfg->entry_timeout_ns % NS_PER_S),
	};
	return sizeof(struct fuse_entry_out);
}

int op_lookup(struct fs_req *rq)
{
	struct cursor c = fs_cursor(rq, 0);
	struct inode *inode;
	struct statx st;
	const char *name;
	int ret = fs_next_name(&c, &name);
	int pfd;

	if (ret)
		return ret;
	pfd = inode_fd(rq->fs, rq->inode);
	if (pfd < 0)
		return pfd;
	ret = inode_lookup(rq->fs, rq->inode, pfd, name, &st, &inode);
	inode_fd_put(rq->inode);
	if (ret)
		return ret == -ENOENT ? no_entry(rq) : ret;
	attr_entry(rq->fs, inode, &st, FS_REPLY(rq, fuse_entry_out));
	return sizeof(struct fuse_entry_out);
}

static void forget(struct fs *fs, uint64_t nodeid, uint64_t n)
{
	struct inode *inode = inode_get(fs, nodeid);

	if (!inode)
		return;
	inode_unlookup(fs, inode, n);
	inode_put(fs, inode);
}

int op_forget(struct fs_req *rq)
{
	forget(rq->fs, rq->in.nodeid, FS_BODY(rq, fuse_forget_in)->nlookup);
	return FS_SILENT;
}

int op_batch_forget(struct fs_req *rq)
{
	const struct fuse_batch_forget_in *in = FS_BODY(rq, fuse_batch_forget_in);
	const struct fuse_forget_one *one = (const void *)(in + 1);

	if (in->count > (rq->body_len - sizeof(*in)) / sizeof(*one))
		return FS_SILENT;
	for (uint32_t i = 0; i < in->count; i++)
		forget(rq->fs, one[i].nodeid, one[i].nlookup);
	return FS_SILENT;
}

/* flags: AT_STATX_*. 0 or -errno. */
static int stat_fd(int fd, int flags, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH | flags, FS_STATX_MASK, st) < 0 ? -errno : 0;
}

/* By the open file if the guest names one: its inode need not have a descriptor. */
static int stat_node(struct fs_req *rq, bool has_fh, uint64_t fh, int flags, struct statx *st)
{
	struct handle *h = has_fh ? handle_get(rq->fs, fh, rq->in.nodeid) : NULL;
	int ret;

	if (h) {
		ret = stat_fd(h->fd, flags, st);
		handle_put(rq->fs, h);
		return ret;
	}
	ret = inode_fd(rq->fs, rq->inode);
	if (ret < 0)
		return ret;
	ret = stat_fd(ret, flags, st);
	inode_fd_put(rq->inode);
	return ret;
}

int op_getattr(struct fs_req *rq)
{
	const struct fuse_getattr_in *in = FS_BODY(rq, fuse_getattr_in);
	struct statx st;
	int ret;

	if (in->getattr_flags & ~FUSE_GETATTR_FH)
		return -EINVAL;
	ret = stat_node(rq, in->getattr_flags & FUSE_GETATTR_FH, in->fh, 0, &st);
	if (ret)
		return ret;
	attr_out(rq->fs, rq->inode, &st, FS_REPLY(rq, fuse_attr_out));
	return sizeof(struct fuse_attr_out);
}

/* Answers more than the mask asks for: it costs nothing, and the guest keeps it. */
int op_statx(struct fs_req *rq)
{
	const struct fuse_statx_in *in = FS_BODY(rq, fuse_statx_in);
	struct statx st;
	int ret;

	if (in->getattr_flags & ~FUSE_GETATTR_FH || in->sx_flags & ~(uint32_t)AT_STATX_SYNC_TYPE)
		return -EINVAL;
	ret = stat_node(rq, in->getattr_flags & FUSE_GETATTR_FH, in->fh, (int)in->sx_flags, &st);
	if (ret)
		return ret;
	attr_statx(rq->fs, rq->inode, &st, FS_REPLY(rq, fuse_statx_out));
	return sizeof(struct fuse_statx_out);
}

int op_readlink(struct fs_req *rq)
{
	/* One byte more than the guest has room for tells whether it is all. */
	uint32_t max = MIN(rq->reply_max + 1, (uint32_t)PATH_MAX);
	int fd, ret;

	if (!S_ISLNK(rq->inode->type))
		return -EINVAL;
	fd = inode_fd(rq->fs, rq->inode);
	if (fd < 0)
		return fd;
	ret = (int)readlinkat(fd, "", (char *)rq->reply, max);
	ret = ret < 0 ? -errno : ret;
	inode_fd_put(rq->inode);
	return ret > (int)rq->reply_max ? -ENAMETOOLONG : ret;
}

int op_statfs(struct fs_req *rq)
{
	int fd = inode_fd(rq->fs, rq->inode);
	struct statfs s;
	int ret;

	if (fd < 0)
		return fd;
	ret = fstatfs(fd, &s) < 0 ? -errno : 0;
	inode_fd_put(rq->inode);
	if (ret)
		return ret;
	FS_REPLY(rq, fuse_statfs_out)->st = (struct fuse_kstatfs){
		.blocks = s.f_blocks,
		.bfree = s.f_bfree,
		.bavail = s.f_bavail,
		.files = s.f_files,
		.ffree = s.f_ffree,
		.bsize = (uint32_t)s.f_bsize,
		.namelen = (uint32_t)s.f_namelen,
		.frsize = (uint32_t)(s.f_frsize ? s.f_frsize : s.f_bsize),
	};
	return sizeof(struct fuse_statfs_out);
}

/*
 * As the user, who has here only the groups that the request names: its own and no supplementary
 * ones. Guests that check rights themselves (Linux does) never ask.
 */
int op_access(struct fs_req *rq)
{
	uint32_t mask = FS_BODY(rq, fuse_access_in)->mask;
	int fd, ret;

	if (mask & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	if (mask & W_OK && rq->fs->cfg->readonly)
		return -EROFS;
	fd = inode_fd(rq->fs, rq->inode);
	if (fd < 0)
		return fd;
	ret = cred_become(rq, 0, NULL, 0) ? -EACCES : 0;
	if (!ret && syscall(SYS_faccessat2, fd, "", mask, AT_EMPTY_PATH | AT_EACCESS) < 0)
		ret = -errno;
	inode_fd_put(rq->inode);
	return ret;
}
