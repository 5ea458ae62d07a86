/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories. FUSE's offsets are the host's own (d_off), so what a directory promises about names
 * that come and go while it is read, it promises to the guest as well. Nothing is kept between two
 * requests but where the descriptor stands: it is moved only when the guest goes on elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/attr.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "fs/readdir.h"
#include "fs/seccomp.h"

const int fs_op_dir_syscalls[] = { SCMP_SYS(getdents64), SCMP_SYS(lseek), SYSCALLS_END };

#define POS_UNKNOWN (-1)

int op_opendir(struct fs_req *rq)
{
	const struct fuse_open_in *in = FS_BODY(rq, fuse_open_in);
	struct fuse_open_out *out = FS_REPLY(rq, fuse_open_out);
	int flags = (open_host_flags(rq->fs, in->flags) & O_NOATIME) | O_RDONLY | O_DIRECTORY;
	int fd, ret;

	if (!S_ISDIR(rq->inode->type))
		return -ENOTDIR;
	if (no_open_in_force(rq->fs, true))
		return -ENOSYS;
	fd = inode_open(rq->fs, rq->inode, flags);
	if (fd < 0)
		return fd;
	*out = (struct fuse_open_out){ .open_flags = open_reply_flags(rq->fs, rq->inode, true) };
	ret = handle_new(rq->fs, rq->inode, fd, flags, true, &out->fh);
	return ret ? ret : (int)sizeof(*out);
}

int op_releasedir(struct fs_req *rq)
{
	return handle_release(rq->fs, rq->handle) ? 0 : -EBADF;
}

/*
 * The host's records from off on, at most size bytes of them. Bytes, 0 at the end, or -errno.
 * dir_lock is held over system calls that may block: it is this handle's alone, and two that
 * read one handle at once would have to wait for one another in the kernel all the same.
 */
static int64_t read_host(struct handle *h, int64_t off, void *buf, size_t size)
{
	int64_t ret = 0, last = POS_UNKNOWN;
	size_t pos = 0;

	pthread_mutex_lock(&h->dir_lock);
	if (h->dir_pos != off && lseek(h->fd, off, SEEK_SET) < 0)
		ret = -errno;
	if (!ret) {
		ret = syscall(SYS_getdents64, h->fd, buf, size);
		ret = ret < 0 ? -errno : ret;
	}
	/* Where it stands after an error, or after the end, the file system knows. */
	for (const struct host_dirent *d; ret > 0 && (d = dirent_next(buf, (size_t)ret, &pos));)
		last = d->off;
	h->dir_pos = last;
	pthread_mutex_unlock(&h->dir_lock);
	return ret;
}

/* Adds d, with what a LOOKUP of its name says, if it says anything. */
static void add_looked_up(struct fs_req *rq, struct dirents *out, const struct host_dirent *d)
{
	struct fuse_entry_out entry;
	struct inode *inode;
	struct statx st;

	/* It may have gone meanwhile, or we have no room for it: then the guest asks by itself. */
	if (inode_lookup(rq->fs, rq->inode, rq->handle->fd, d->name, &st, &inode)) {
		dirents_add(out, d, d->ino, NULL);
		return;
	}
	attr_entry(rq->fs, inode, &st, &entry);
	dirents_add(out, d, d->ino, &entry);
}

/* Nobody shall see what is above the share. */
static uint64_t dot_ino(const struct fs_req *rq, const struct host_dirent *d)
{
	return rq->inode->index == INODE_ROOT_INDEX ? rq->inode->ino : d->ino;
}

/*
 * Puts the len bytes of records into the answer, as many as have room. True if all had. *off
 * becomes where the next one is.
 */
static bool put_records(struct fs_req *rq, struct dirents *out, const uint8_t *buf, size_t len,
			int64_t *off)
{
	const struct host_dirent *d;
	size_t pos = 0;

	while ((d = dirent_next(buf, len, &pos))) {
		if (!dirents_fit(out, d))
			return false;
		if (dirent_is_dot(d))
			dirents_add(out, d, dot_ino(rq, d), NULL);
		else if (out->plus)
			add_looked_up(rq, out, d); /* counts only here, where it has room */
		else
			dirents_add(out, d, d->ino, NULL);
		*off = d->off;
	}
	return true;
}

/* Is a second look worth a system call? Names longer than the shortest leave much room. */
static bool goes_on(const struct dirents *out, int64_t got, size_t asked)
{
	bool full = (size_t)got + HOST_DIRENT_MAX > asked;

	return out->plus && full && out->max - out->len > out->max / 4 &&
	       out->max - out->len >= FUSE_DIRENTPLUS_SIZE(255);
}

static int read_dir(struct fs_req *rq, bool plus)
{
	const struct fuse_read_in *in = FS_BODY(rq, fuse_read_in);
	struct dirents out = {
		.buf = rq->reply,
		.max = MIN(in->size, rq->reply_max),
		.plus = plus,
	};
	int64_t off = (int64_t)in->offset, got;
	uint8_t *buf = rq->body; /* what it had is in our variables now */
	size_t asked;
	bool all;

	if (!rq->handle->is_dir)
		return -ENOTDIR;
	do {
		asked = dirents_ask(&out, FS_BODY_MAX);
		got = read_host(rq->handle, off, buf, asked);
		if (got <= 0)
			return got < 0 && !out.len ? (int)got : (int)out.len;
		all = put_records(rq, &out, buf, (size_t)got, &off);
	} while (all && goes_on(&out, got, asked));
	/* Not even one entry: the guest's buffer is too small for getdents64(), too. */
	return out.len ? (int)out.len : -EINVAL;
}

int op_readdir(struct fs_req *rq)
{
	return read_dir(rq, false);
}

int op_readdirplus(struct fs_req *rq)
{
	return read_dir(rq, true);
}
