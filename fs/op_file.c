/* SPDX-License-Identifier: BSD-2-Clause */
/* Open files: OPEN, RELEASE, FLUSH, LSEEK, POLL. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/async.h"
#include "fs/dax.h"
#include "fs/lock.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "fs/seccomp.h"
#include "fs/truncate.h"

const int fs_op_file_syscalls[] = {
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fchmod), SCMP_SYS(flock),
	SCMP_SYS(dup),	 SCMP_SYS(close),      SCMP_SYS(lseek),	 SYSCALLS_END,
};

/* --- flags --- */

/* Those of the guest's that mean something to an open file here. */
#define KEPT_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC)

int open_host_flags(const struct fs *fs, uint32_t guest_flags)
{
	int flags = (int)guest_flags & KEPT_FLAGS;

	if (fs->cfg->allow_direct_io)
		flags |= (int)guest_flags & O_DIRECT;
	if (fs->cfg->preserve_noatime)
		flags |= (int)guest_flags & O_NOATIME;
	if (fs_has(fs, FUSE_WRITEBACK_CACHE)) {
		/* The guest fills the rest of a page by reading, and knows where the end is. */
		if ((flags & O_ACCMODE) == O_WRONLY)
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		flags &= ~O_APPEND;
	}
	return flags;
}

static bool close_means_nothing(const struct fs *fs, const struct mount *m)
{
	return m->local && !fs->cfg->posix_lock;
}

/*
 * There is no cache of a file on DAX. Linux 6.15 and later, asked to drop it, drops its records of
 * pages that are mapped: then it can never give back that part of the window. Another of its
 * processes may map the file before this answer arrives, so it is not asked whether one has.
 */
static bool is_on_dax(const struct fs *fs, const struct inode *inode)
{
	if (inode->flags & (INODE_DAX_MAPPED | INODE_DAX_GRANTED))
		return true;
	return fs_has(fs, FUSE_MAP_ALIGNMENT) && !fs_has(fs, FUSE_HAS_INODE_DAX);
}

uint32_t open_reply_flags(struct fs *fs, const struct inode *inode, bool is_dir)
{
	static const struct {
		uint32_t file, dir;
	} by_cache[] = {
		[FS_CACHE_AUTO] = { 0, 0 },
		[FS_CACHE_ALWAYS] = { FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR },
		[FS_CACHE_METADATA] = { FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
					FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR },
		[FS_CACHE_NEVER] = { FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, 0 },
	};
	const struct mount *m = mount_at(fs, inode->mount);
	uint32_t flags = by_cache[fs->cfg->cache].file;

	if (is_dir)
		return by_cache[fs->cfg->cache].dir;
	if (is_on_dax(fs, inode))
		flags |= FOPEN_KEEP_CACHE;
	return close_means_nothing(fs, m) ? flags | FOPEN_NOFLUSH : flags;
}

/* --- OPEN --- */

int file_kill_suidgid(int fd)
{
	struct stat st;
	mode_t kill = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_mode & S_ISUID)
		kill |= S_ISUID;
	/* Without the right to execute the bit meant mandatory locking once, not a privilege. */
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		kill |= S_ISGID;
	if (!kill)
		return 0;
	return fchmod(fd, st.st_mode & 07777 & ~kill) < 0 ? -errno : 0;
}

/* What O_TRUNC asks for, of a file that was opened without it. */
int file_truncate(struct fs *fs, struct inode *inode, int fd, int flags)
{
	if (!(flags & O_TRUNC))
		return 0;
	return fs_truncate(fs, inode, (flags & O_ACCMODE) == O_RDONLY ? -1 : fd, 0);
}

/* With idmapped mounts the request does not say who it is: then it may be a user. */
int file_kill_unasked(const struct fs_req *rq, int fd)
{
	if (!fs_has(rq->fs, FUSE_HANDLE_KILLPRIV_V2) || rq->in.uid == 0)
		return 0;
	return file_kill_suidgid(fd);
}

static int may_open(const struct fs_req *rq, uint32_t flags)
{
	if (S_ISDIR(rq->inode->type))
		return -EISDIR;
	if (rq->fs->cfg->readonly && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	return 0;
}

/*
 * Truncating at OPEN is ours alone (ATOMIC_O_TRUNC): a guest that leaves set-user-ID to us says
 * when it has to go; one that does not has taken care of all but this. With idmapped mounts it
 * does not say who opens; then the next write clears what is there.
 */
static bool open_kills(const struct fs_req *rq, uint32_t open_flags)
{
	if (fs_has(rq->fs, FUSE_HANDLE_KILLPRIV_V2))
		return open_flags & FUSE_OPEN_KILL_SUIDGID;
	return rq->in.uid != 0 && rq->in.uid != ID_NONE;
}

int op_open(struct fs_req *rq)
{
	const struct fuse_open_in *in = FS_BODY(rq, fuse_open_in);
	struct fuse_open_out *out = FS_REPLY(rq, fuse_open_out);
	int flags = open_host_flags(rq->fs, in->flags);
	bool kill = flags & O_TRUNC && open_kills(rq, in->open_flags);
	int ret = may_open(rq, in->flags);
	int fd;

	if (ret)
		return ret;
	if (no_open_in_force(rq->fs, false))
		return -ENOSYS; /* the guest sends no more of these */
	fd = inode_open(rq->fs, rq->inode, flags & ~O_TRUNC);
	if (fd < 0)
		return fd;
	ret = file_truncate(rq->fs, rq->inode, fd, flags);
	if (!ret)
		ret = kill ? file_kill_suidgid(fd) : 0;
	if (ret) {
		close(fd);
		return ret;
	}
	*out = (struct fuse_open_out){ .open_flags = open_reply_flags(rq->fs, rq->inode, false) };
	ret = handle_new(rq->fs, rq->inode, fd, flags, false, &out->fh);
	return ret ? ret : (int)sizeof(*out);
}

int file_open_once(struct fs_req *rq, int flags, struct handle **out)
{
	int fd = inode_open(rq->fs, rq->inode, flags);
	uint64_t fh;
	int ret;

	if (fd < 0)
		return fd;
	ret = handle_new(rq->fs, rq->inode, fd, flags, S_ISDIR(rq->inode->type), &fh);
	if (ret)
		return ret;
	*out = handle_get(rq->fs, fh, rq->in.nodeid);
	if (!*out)
		return -EBADF; /* another request has guessed it, and released it */
	handle_release(rq->fs, *out);
	return 0;
}

/* --- RELEASE, FLUSH --- */

int op_release(struct fs_req *rq)
{
	const struct fuse_release_in *in = FS_BODY(rq, fuse_release_in);

	dax_save(rq->fs, rq->inode);
	if (in->release_flags & FUSE_RELEASE_FLUSH && rq->fs->cfg->posix_lock)
		locks_flush(rq->fs, rq->inode, in->lock_owner);
	if (rq->fs->cfg->posix_lock)
		locks_file_closed(rq->fs, rq->inode, in->fh);
	/* Closing would do, but a request that is under way may keep the file open. */
	if (in->release_flags & FUSE_RELEASE_FLOCK_UNLOCK) {
		flock(rq->handle->fd, LOCK_UN);
		locks_released(rq->fs, rq->inode);
	}
	return handle_release(rq->fs, rq->handle) ? 0 : -EBADF;
}

/* close() of a duplicate: the file system sends what it holds back, and says how that went. */
static int64_t flush_now(struct job *job)
{
	int fd = dup(job->fd);

	if (fd < 0)
		return -errno;
	return close(fd) < 0 ? -errno : 0;
}

int op_flush(struct fs_req *rq)
{
	const struct fuse_flush_in *in = FS_BODY(rq, fuse_flush_in);
	struct job *job;
	int ret = dax_write_back(rq->fs, rq->inode);

	if (rq->fs->cfg->posix_lock)
		locks_flush(rq->fs, rq->inode, in->lock_owner);
	else if (!ret && rq->fs->mounts.all_local)
		return -ENOSYS; /* the guest sends no more of these */
	if (ret || mount_at(rq->fs, rq->inode->mount)->local)
		return ret;
	job = job_new(rq, rq->handle, 0);
	if (!job)
		return -ENOMEM;
	job->kind = JOB_CALL;
	job->call = flush_now;
	async_submit(job);
	return FS_LATER;
}

/* --- LSEEK, POLL --- */

int op_lseek(struct fs_req *rq)
{
	const struct fuse_lseek_in *in = FS_BODY(rq, fuse_lseek_in);
	off_t ret;

	/* The position of a directory's descriptor is READDIR's, and SEEK_CUR is the guest's. */
	if (rq->handle->is_dir)
		return -EINVAL;
	switch (in->whence) {
	case SEEK_SET:
	case SEEK_END:
		if (in->offset > INT64_MAX)
			return -EINVAL;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		(void)dax_save(rq->fs, rq->inode); /* a store may be what makes data of a hole */
		break; /* what is negative is for the host: it is not where the file is */
	default:
		return -EINVAL;
	}
	ret = lseek(rq->handle->fd, (off_t)in->offset, (int)in->whence);
	if (ret < 0)
		return -errno;
	FS_REPLY(rq, fuse_lseek_out)->offset = (uint64_t)ret;
	return sizeof(struct fuse_lseek_out);
}

/*
 * Files and directories are always ready; whatever else can be polled, the guest has opened itself.
 * After this answer it does not ask again, and takes them for ready.
 */
int op_poll(struct fs_req *rq)
{
	(void)rq;
	return -ENOSYS;
}
