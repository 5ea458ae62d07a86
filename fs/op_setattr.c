/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SETATTR: up to four changes in one request, each one system call, then one for the answer. The
 * owner comes first, as changing it clears set-user-ID, and the times last, as changing the size
 * sets them: so what was asked for is what there is in the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fs/attr.h"
#include "fs/dax.h"
#include "fs/name.h"
#include "fs/ops.h"
#include "fs/seccomp.h"
#include "fs/truncate.h"
#include "host/fd.h"

const int fs_op_setattr_syscalls[] = { SCMP_SYS(fchownat), SCMP_SYS(fchmodat), SCMP_SYS(utimensat),
				       SCMP_SYS(statx), SYSCALLS_END };

#define TIMES (FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_MTIME_NOW)
#define KNOWN                                                                                   \
	(FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | TIMES | FATTR_FH | FATTR_LOCKOWNER | \
	 FATTR_CTIME | FATTR_KILL_SUIDGID)
#define PERMISSIONS 07777u

/* The request, checked, with the host's ids. */
struct change {
	uint32_t valid; /* FATTR_* */
	mode_t mode;
	uint32_t uid, gid; /* ID_NONE: leave it */
	off_t size;
	struct timespec times[2]; /* access, modification */
	bool writable;		  /* fd is open for writing */
	int fd;			  /* any kind of descriptor */
	struct fd_name name;	  /* of it */
};

static int parse_id(const struct idmap *map, bool wanted, uint32_t guest, uint32_t *host)
{
	*host = ID_NONE;
	if (!wanted)
		return 0;
	return guest == ID_NONE ? -EINVAL : idmap_to_host(map, guest, host);
}

static int parse_time(struct timespec *t, bool set, bool now, uint64_t sec, uint32_t nsec)
{
	*t = (struct timespec){ .tv_nsec = now ? UTIME_NOW : UTIME_OMIT };
	if (!set || now)
		return 0;
	if (nsec >= NS_PER_S)
		return -EINVAL; /* so none of the special values, either */
	*t = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
	return 0;
}

static int parse(const struct fs_req *rq, struct change *c)
{
	const struct fuse_setattr_in *in = FS_BODY(rq, fuse_setattr_in);
	uint32_t valid = in->valid;
	int ret;

	*c = (struct change){ .valid = valid, .mode = in->mode & PERMISSIONS, .fd = -1 };
	if (valid & ~KNOWN)
		return -EINVAL;
	if (valid & FATTR_MODE && S_ISLNK(rq->inode->type))
		return -EOPNOTSUPP;
	if (valid & FATTR_SIZE && !S_ISREG(rq->inode->type))
		return S_ISDIR(rq->inode->type) ? -EISDIR : -EINVAL;
	if (valid & FATTR_SIZE && in->size > INT64_MAX)
		return -EINVAL;
	c->size = (off_t)in->size;
	ret = parse_time(&c->times[0], valid & FATTR_ATIME, valid & FATTR_ATIME_NOW, in->atime,
			 in->atimensec);
	if (!ret)
		ret = parse_time(&c->times[1], valid & FATTR_MTIME, valid & FATTR_MTIME_NOW,
				 in->mtime, in->mtimensec);
	if (!ret)
		ret = parse_id(&rq->fs->uids, valid & FATTR_UID, in->uid, &c->uid);
	if (!ret)
		ret = parse_id(&rq->fs->gids, valid & FATTR_GID, in->gid, &c->gid);
	return ret;
}

static int change_mode(const struct change *c, mode_t mode)
{
	return fchmodat(AT_FDCWD, c->name.s, mode, 0) < 0 ? -errno : 0;
}

static int get_stat(const struct change *c, struct statx *st)
{
	return statx(c->fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st) < 0 ? -errno : 0;
}

/* The user may not keep set-user-ID where it changes the contents; we may, so we clear it. */
static int kill_privileges(const struct change *c, struct statx *st)
{
	mode_t mode = attr_mode_killed(st->stx_mode);
	int ret;

	if (mode == st->stx_mode)
		return 0;
	ret = change_mode(c, mode & PERMISSIONS);
	return ret ? ret : get_stat(c, st);
}

static int apply(const struct fs_req *rq, const struct change *c, struct statx *st)
{
	int ret = 0;

	if (c->valid & (FATTR_UID | FATTR_GID) &&
	    fchownat(c->fd, "", c->uid, c->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (c->valid & FATTR_SIZE)
		ret = fs_truncate(rq->fs, rq->inode, c->writable ? c->fd : -1, c->size);
	if (!ret && c->valid & FATTR_MODE)
		ret = change_mode(c, c->mode);
	if (!ret && c->valid & TIMES && utimensat(c->fd, "", c->times, AT_EMPTY_PATH) < 0)
		ret = -errno;
	if (!ret)
		ret = get_stat(c, st);
	if (!ret && c->valid & FATTR_SIZE && c->valid & FATTR_KILL_SUIDGID)
		ret = kill_privileges(c, st);
	return ret;
}

static int apply_to_inode(struct fs_req *rq, struct change *c, struct statx *st)
{
	int ret;

	c->fd = inode_fd(rq->fs, rq->inode);
	if (c->fd < 0)
		return c->fd;
	c->name = fd_name(c->fd);
	ret = apply(rq, c, st);
	inode_fd_put(rq->inode);
	return ret;
}

static int apply_to_handle(const struct fs_req *rq, const struct handle *h, struct change *c,
			   struct statx *st)
{
	int mode = h->flags & O_ACCMODE;

	c->fd = h->fd;
	c->name = fd_name(h->fd);
	c->writable = !h->is_dir && (mode == O_WRONLY || mode == O_RDWR);
	return apply(rq, c, st);
}

int op_setattr(struct fs_req *rq)
{
	const struct fuse_setattr_in *in = FS_BODY(rq, fuse_setattr_in);
	struct handle *h = NULL;
	struct change c;
	struct statx st;
	int ret = parse(rq, &c);

	if (ret)
		return ret;
	/* What was stored before must not set the times later, nor get lost with a size. */
	(void)dax_save(rq->fs, rq->inode);
	/* Guests that open without a request name a handle all the same. */
	if (in->valid & FATTR_FH)
		h = handle_get(rq->fs, in->fh, rq->in.nodeid);
	if (h) {
		ret = apply_to_handle(rq, h, &c, &st);
		handle_put(rq->fs, h);
	} else {
		ret = apply_to_inode(rq, &c, &st);
	}
	if (ret)
		return ret;
	attr_out(rq->fs, rq->inode, &st, FS_REPLY(rq, fuse_attr_out));
	return sizeof(struct fuse_attr_out);
}
