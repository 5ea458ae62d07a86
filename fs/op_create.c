/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes names. The making itself is done as the guest's user (fs/cred.h), so that the host
 * decides on owner, group and mode as for one of its own; everything behind it as ourselves.
 * An error means that nothing was made: what was is taken away again.
 *
 * A security label is set right after. No process of the guest sees the file before, as the
 * guest's kernel holds the directory until it has our answer. The label that LSMs take at creation
 * (attr/fscreate) would close the gap for the host's processes too, but only under the label's
 * own name, and not where the host has no such LSM.
 *
 * What a file is now has a node id that the guest can guess. It may forget it on another queue
 * before it has our answer, so who goes on with the inode takes a reference and may find it gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/attr.h"
#include "fs/cred.h"
#include "fs/ext.h"
#include "fs/name.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "fs/seccomp.h"
#include "fs/truncate.h"
#include "host/fd.h"

const int fs_op_create_syscalls[] = { SCMP_SYS(openat),	   SCMP_SYS(mknodat),	SCMP_SYS(mkdirat),
				      SCMP_SYS(symlinkat), SCMP_SYS(linkat),	SCMP_SYS(unlinkat),
				      SCMP_SYS(setxattr),  SCMP_SYS(fsetxattr), SCMP_SYS(fchmod),
				      SCMP_SYS(statx),	   SCMP_SYS(close),	SYSCALLS_END };

#define PERMISSIONS 07777u
#define TRIES	    4u	/* of CREATE, while somebody makes and removes the name */
#define FDS_WANTED  64u /* to close when there are too many */

/* What is being made, from a checked request. */
struct making {
	struct fs_req *rq;
	const char *name;
	uint32_t mask;
	int pfd; /* of the parent, until making_end() */
	struct fs_ext ext;
	char label[XATTR_NAME_MAX + 1]; /* the host's name of the label's attribute */
};

/* The thread may still be the user of the request before, who cannot open the parent by handle. */
static int parent_fd(struct fs_req *rq)
{
	int fd = inode_fd(rq->fs, rq->inode);

	if (fd != -EPERM && fd != -EACCES)
		return fd;
	cred_self(rq->q);
	return inode_fd(rq->fs, rq->inode);
}

/* after: what follows the names in the body. */
static int making_begin(struct making *m, struct fs_req *rq, const char *name, struct cursor after,
			uint32_t mask)
{
	int ret;

	m->rq = rq;
	m->name = name;
	m->mask = fs_has(rq->fs, FUSE_DONT_MASK) ? mask & 0777u : 0;
	ret = ext_parse(rq, after, &m->ext);
	if (!ret && m->ext.label_name)
		ret = xattrmap_to_host(rq->fs->xattrs, m->ext.label_name, m->label,
				       sizeof(m->label));
	if (ret)
		return ret;
	m->pfd = parent_fd(rq);
	return m->pfd < 0 ? m->pfd : 0;
}

/* Hands ret on. */
static int making_end(struct making *m, int ret)
{
	inode_fd_put(m->rq->inode);
	return ret;
}

static int become_user(struct making *m)
{
	return cred_become(m->rq, m->mask, m->ext.groups, m->ext.n_groups);
}

static mode_t mode_of(const struct making *m, uint32_t mode)
{
	return cred_mode(m->rq->q, mode, m->mask);
}

/* flags: of unlinkat(). */
static void unmake(struct making *m, int flags)
{
	cred_self(m->rq->q);
	(void)unlinkat(m->pfd, m->name, flags);
}

/* --- names without an open file --- */

/* Labels what has just been made, and looks at it again: that was a change. */
static int label_inode(struct making *m, struct inode *inode, struct statx *st)
{
	struct fs *fs = m->rq->fs;
	int fd, ret = 0;

	cred_self(m->rq->q);
	fd = inode_fd(fs, inode);
	if (fd < 0)
		return fd;
	if (setxattr(fd_name(fd).s, m->label, m->ext.label, m->ext.label_len, 0) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st) < 0)
		ret = -errno;
	inode_fd_put(inode);
	return ret;
}

/* Finds the inode of the new name, with a lookup counted. */
static int made_inode(struct making *m, struct statx *st, struct inode **out)
{
	struct fs *fs = m->rq->fs;
	struct inode *inode;
	int ret = inode_made(fs, m->rq->inode, m->pfd, m->name, -1, st, out);

	if (ret || !m->ext.label_name)
		return ret;
	inode = inode_get(fs, inode_id(*out));
	if (!inode)
		return -ESTALE;
	ret = label_inode(m, inode, st);
	if (ret)
		inode_unlookup(fs, inode, 1);
	inode_put(fs, inode);
	return ret;
}

/* made: what the host said, 0 or -errno; flags: of unlinkat(), to undo it. Ends the making. */
static int finish(struct making *m, int made, int flags)
{
	struct fs_req *rq = m->rq;
	struct inode *inode;
	struct statx st;
	int ret;

	if (made)
		return making_end(m, made);
	ret = made_inode(m, &st, &inode);
	if (ret) {
		unmake(m, flags);
		return making_end(m, ret);
	}
	attr_entry(rq->fs, inode, &st, FS_REPLY(rq, fuse_entry_out));
	return making_end(m, sizeof(struct fuse_entry_out));
}

/* The kernel's 32-bit form of a device number: see wire/fuse_structs.h. */
static dev_t rdev_of(uint32_t rdev)
{
	return makedev(rdev >> 8 & 0xfff, (rdev & 0xff) | (rdev >> 12 & 0xfff00));
}

int op_mknod(struct fs_req *rq)
{
	const struct fuse_mknod_in *in = FS_BODY(rq, fuse_mknod_in);
	struct cursor c = fs_cursor(rq, sizeof(*in));
	const char *name;
	struct making m;
	int ret = fs_next_name(&c, &name);

	if (!ret && (S_ISDIR(in->mode) || S_ISLNK(in->mode)))
		ret = -EINVAL;
	if (!ret)
		ret = making_begin(&m, rq, name, c, in->umask);
	if (ret)
		return ret;
	ret = become_user(&m);
	if (!ret && mknodat(m.pfd, name, mode_of(&m, in->mode & (S_IFMT | PERMISSIONS)),
			    rdev_of(in->rdev)) < 0)
		ret = -errno;
	return finish(&m, ret, 0);
}

int op_mkdir(struct fs_req *rq)
{
	const struct fuse_mkdir_in *in = FS_BODY(rq, fuse_mkdir_in);
	struct cursor c = fs_cursor(rq, sizeof(*in));
	const char *name;
	struct making m;
	int ret = fs_next_name(&c, &name);

	if (!ret)
		ret = making_begin(&m, rq, name, c, in->umask);
	if (ret)
		return ret;
	ret = become_user(&m);
	if (!ret && mkdirat(m.pfd, name, mode_of(&m, in->mode & PERMISSIONS)) < 0)
		ret = -errno;
	return finish(&m, ret, AT_REMOVEDIR);
}

int op_symlink(struct fs_req *rq)
{
	struct cursor c = fs_cursor(rq, 0);
	const char *name, *target;
	struct making m;
	int ret = fs_next_name(&c, &name);

	if (!ret)
		ret = fs_next_string(&c, PATH_MAX - 1, &target);
	if (!ret)
		ret = making_begin(&m, rq, name, c, 0);
	if (ret)
		return ret;
	ret = become_user(&m);
	if (!ret && symlinkat(target, m.pfd, name) < 0)
		ret = -errno;
	return finish(&m, ret, 0);
}

/* --- another name for an inode --- */

static int link_inode(struct fs_req *rq, struct inode *inode, int pfd, const char *name)
{
	struct inode *found;
	struct statx st;
	int fd = inode_fd(rq->fs, inode), ret = 0;

	if (fd < 0)
		return fd;
	/* What is followed is the link in /proc that leads to the inode, be it a symbolic link. */
	if (linkat(AT_FDCWD, fd_name(fd).s, pfd, name, AT_SYMLINK_FOLLOW) < 0)
		ret = -errno;
	inode_fd_put(inode);
	if (ret)
		return ret;
	ret = inode_lookup(rq->fs, rq->inode, pfd, name, &st, &found);
	if (ret) {
		(void)unlinkat(pfd, name, 0);
		return ret;
	}
	attr_entry(rq->fs, found, &st, FS_REPLY(rq, fuse_entry_out));
	return sizeof(struct fuse_entry_out);
}

int op_link(struct fs_req *rq)
{
	const struct fuse_link_in *in = FS_BODY(rq, fuse_link_in);
	struct cursor c = fs_cursor(rq, sizeof(*in));
	struct inode *inode;
	const char *name;
	int ret = fs_next_name(&c, &name), pfd;

	if (ret)
		return ret;
	inode = inode_get(rq->fs, in->oldnodeid);
	if (!inode)
		return -ESTALE;
	pfd = inode_fd(rq->fs, rq->inode);
	ret = pfd;
	if (pfd >= 0) {
		ret = link_inode(rq, inode, pfd, name);
		inode_fd_put(rq->inode);
	}
	inode_put(rq->fs, inode);
	return ret;
}

/* --- files that are open then --- */

/* The open file and its inode, with the lookup that was counted for it; takes fd and that. */
static int answer_open(struct fs_req *rq, struct inode *looked_up, const struct statx *st, int fd,
		       int flags)
{
	struct fuse_entry_out *entry = FS_REPLY(rq, fuse_entry_out);
	struct fuse_open_out *open = (void *)(entry + 1);
	struct inode *inode = inode_get(rq->fs, inode_id(looked_up));
	uint64_t fh;
	int ret;

	if (!inode) {
		fd_close(&fd);
		return -ESTALE;
	}
	ret = handle_new(rq->fs, inode, fd, flags, false, &fh);
	if (ret) {
		inode_unlookup(rq->fs, inode, 1);
	} else {
		attr_entry(rq->fs, inode, st, entry);
		*open = (struct fuse_open_out){
			.fh = fh,
			.open_flags = open_reply_flags(rq->fs, inode, false),
		};
		ret = sizeof(*entry) + sizeof(*open);
	}
	inode_put(rq->fs, inode);
	return ret;
}

/* The new file is open as fd, which is taken. On error it still has its name, if it has one. */
static int answer_new(struct making *m, int fd, int flags)
{
	struct fs_req *rq = m->rq;
	struct inode *inode;
	struct statx st;
	int ret = 0;

	if (m->ext.label_name) {
		cred_self(rq->q);
		if (fsetxattr(fd, m->label, m->ext.label, m->ext.label_len, 0) < 0)
			ret = -errno;
	}
	if (!ret)
		ret = inode_made(rq->fs, rq->inode, m->pfd, m->name, fd, &st, &inode);
	if (!ret)
		return answer_open(rq, inode, &st, fd, flags);
	fd_close(&fd);
	return ret;
}

/* Opens as the user; makes room if there are too many open files. */
static int open_as_user(struct making *m, int dir, const char *name, int flags, mode_t mode)
{
	int fd, ret = become_user(m);

	if (ret)
		return ret;
	fd = openat(dir, name, flags | O_CLOEXEC, mode_of(m, mode));
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) &&
	    inode_close_some(m->rq->fs, FDS_WANTED))
		fd = openat(dir, name, flags | O_CLOEXEC, mode_of(m, mode));
	return fd >= 0 ? fd : errno == EMFILE ? -ENFILE : -errno;
}

static int create_new(struct making *m, int flags, mode_t mode)
{
	int fd = open_as_user(m, m->pfd, m->name, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	int ret;

	if (fd < 0)
		return fd;
	ret = answer_new(m, fd, flags);
	if (ret < 0)
		unmake(m, 0);
	return ret;
}

/* What O_TRUNC asks for, if the user may write the file, whatever it is opened for. 0 or -errno. */
static int truncate_as_user(struct making *m, struct inode *inode, int pfd, int opened, int flags)
{
	int fd, ret;

	if ((flags & O_ACCMODE) != O_RDONLY || !(flags & O_TRUNC))
		return file_truncate(m->rq->fs, inode, opened, flags);
	fd = open_as_user(m, AT_FDCWD, fd_name(pfd).s, O_WRONLY, 0);
	if (fd < 0)
		return fd;
	ret = fs_truncate(m->rq->fs, inode, fd, 0);
	close(fd);
	return ret;
}

/*
 * Opens a file that was there already. The guest did not know that it is, and has checked
 * nothing; so the host checks, as far as it knows the user's groups. If it refuses, or this is no
 * regular file, -ESTALE makes the guest look the name up again and then do what it finds right.
 */
static int open_inode(struct making *m, struct inode *inode, const struct statx *st, int flags,
		      bool kill)
{
	struct fs *fs = m->rq->fs;
	uint32_t mode = attr_mode_killed(st->stx_mode);
	int fd, ret, err;

	if (!S_ISREG(inode->type))
		return -ESTALE;
	if (fs->cfg->readonly && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	fd = inode_fd(fs, inode);
	if (fd < 0)
		return fd;
	ret = open_as_user(m, AT_FDCWD, fd_name(fd).s, flags & ~O_TRUNC, 0);
	err = ret < 0 ? 0 : truncate_as_user(m, inode, fd, ret, flags);
	inode_fd_put(inode);
	if (err) {
		close(ret);
		ret = err;
	}
	cred_self(m->rq->q);
	/* A root without its capabilities: for other users the host has done this. */
	if (ret >= 0 && kill && flags & O_TRUNC && mode != st->stx_mode)
		(void)fchmod(ret, mode & PERMISSIONS);
	return ret == -EACCES || ret == -EPERM ? -ESTALE : ret;
}

static int open_existing(struct making *m, int flags, const struct fuse_create_in *in)
{
	struct fs *fs = m->rq->fs;
	struct inode *found, *inode;
	struct statx st;
	int fd, ret;

	cred_self(m->rq->q);
	ret = inode_lookup(fs, m->rq->inode, m->pfd, m->name, &st, &found);
	if (ret)
		return ret;
	inode = inode_get(fs, inode_id(found));
	if (!inode)
		return -ESTALE;
	if (in->flags & O_EXCL)
		fd = -EEXIST;
	else
		fd = open_inode(m, inode, &st, flags, in->open_flags & FUSE_OPEN_KILL_SUIDGID);
	if (fd >= 0)
		ret = answer_open(m->rq, inode, &st, fd, flags);
	else
		inode_unlookup(fs, inode, 1);
	inode_put(fs, inode);
	return fd >= 0 ? ret : fd;
}

/* Neither of the two can fail because of the other but by a race. */
static int create_or_open(struct making *m, int flags, const struct fuse_create_in *in)
{
	bool readonly = m->rq->fs->cfg->readonly;
	int ret = -EAGAIN;

	for (unsigned i = 0; i < TRIES; i++) {
		ret = readonly ? -EEXIST : create_new(m, flags, in->mode & PERMISSIONS);
		if (ret != -EEXIST || (in->flags & O_EXCL && !readonly))
			return ret;
		ret = open_existing(m, flags, in);
		if (ret != -ENOENT)
			return ret;
		if (readonly)
			return -EROFS;
	}
	return ret;
}

/*
 * The host's flags of the guest's, without those that say what is made. O_NOFOLLOW is for names
 * only: a file that is there already is opened through its link in /proc.
 */
static int file_flags(const struct fs_req *rq, uint32_t guest_flags)
{
	return open_host_flags(rq->fs, guest_flags) &
	       ~(O_CREAT | O_EXCL | O_TMPFILE | O_PATH | O_NOFOLLOW);
}

int op_create(struct fs_req *rq)
{
	const struct fuse_create_in *in = FS_BODY(rq, fuse_create_in);
	struct cursor c = fs_cursor(rq, sizeof(*in));
	const char *name;
	struct making m;
	int ret = fs_next_name(&c, &name);

	if (!ret && in->open_flags & ~FUSE_OPEN_KILL_SUIDGID)
		ret = -EINVAL;
	if (!ret && no_open_in_force(rq->fs, false))
		ret = -ENOSYS; /* it makes the file by MKNOD; not all send a RELEASE else */
	if (!ret)
		ret = making_begin(&m, rq, name, c, in->umask);
	if (ret)
		return ret;
	return making_end(&m, create_or_open(&m, file_flags(rq, in->flags), in));
}

/* A file without a name. Guests send one all the same, which is none. */
int op_tmpfile(struct fs_req *rq)
{
	const struct fuse_create_in *in = FS_BODY(rq, fuse_create_in);
	struct cursor c = fs_cursor(rq, sizeof(*in));
	int flags = file_flags(rq, in->flags), fd, ret = 0;
	const char *ignored;
	struct making m;

	if (no_open_in_force(rq->fs, false))
		return -EOPNOTSUPP; /* nothing would keep it but a handle */
	if (c.left)
		ret = fs_next_string(&c, NAME_MAX, &ignored);
	if (!ret && ((flags & O_ACCMODE) == O_RDONLY || in->open_flags & ~FUSE_OPEN_KILL_SUIDGID))
		ret = -EINVAL;
	if (!ret)
		ret = making_begin(&m, rq, "", c, in->umask);
	if (ret)
		return ret;
	fd = open_as_user(&m, m.pfd, ".", flags | O_TMPFILE | (int)(in->flags & O_EXCL),
			  in->mode & PERMISSIONS);
	return making_end(&m, fd < 0 ? fd : answer_new(&m, fd, flags));
}
