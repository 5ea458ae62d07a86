/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GETLK, SETLK, SETLKW, INTERRUPT. A kind of lock that INIT has not agreed on is ENOSYS: then the
 * guest keeps its locks to itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/macros.h"
#include "fs/dax_lock.h"
#include "fs/lock.h"
#include "fs/ops.h"

#define LAST_BYTE ((uint64_t)DAX_LOCK_OFFSET - 1)

/* The range and type of a lock, checked. The type has the same numbers on both sides. */
static int range_of(const struct fuse_file_lock *in, struct lock_try *t)
{
	if (in->start > in->end || in->end > INT64_MAX)
		return -EINVAL;
	if (in->type != F_RDLCK && in->type != F_WRLCK && in->type != F_UNLCK)
		return -EINVAL;
	t->type = (short)in->type;
	/* The last byte is for daemons among themselves; for guests it is the one before it. */
	t->start = (int64_t)MIN(in->start, LAST_BYTE);
	t->len = (int64_t)MIN(in->end, LAST_BYTE) - t->start + 1;
	return 0;
}

static void reply_lock(const struct flock *lk, uint32_t pid, struct fuse_lk_out *out)
{
	*out = (struct fuse_lk_out){ .lk.type = (uint32_t)lk->l_type };
	if (lk->l_type == F_UNLCK)
		return;
	out->lk.start = (uint64_t)lk->l_start;
	out->lk.end = lk->l_len ? (uint64_t)(lk->l_start + lk->l_len - 1) : INT64_MAX;
	if (out->lk.end == LAST_BYTE)
		out->lk.end = INT64_MAX;
	out->lk.pid = pid;
}

int op_getlk(struct fs_req *rq)
{
	const struct fuse_lk_in *in = FS_BODY(rq, fuse_lk_in);
	struct lock_try t = { .fd = rq->handle->fd };
	uint64_t owner = in->owner;
	struct lock_pin pin;
	struct flock lk;
	struct lock_holder holder = { 0 };
	int ret = range_of(&in->lk, &t);

	if (!fs_has(rq->fs, FUSE_POSIX_LOCKS))
		return -ENOSYS;
	if (ret || t.type == F_UNLCK)
		return -EINVAL;
	/* Its own locks are not in its way. If it has none, any descriptor without locks will do.
	 */
	if (!lock_owner_get(rq->fs, rq->inode, owner, NULL, &pin))
		t.fd = pin.owner->fd;
	lk = (struct flock){
		.l_type = t.type, .l_whence = SEEK_SET, .l_start = t.start, .l_len = t.len
	};
	ret = fcntl(t.fd, F_OFD_GETLK, &lk) < 0 ? -errno : 0;
	lock_owner_put(rq->fs, &pin, LOCK_NOTHING);
	if (ret)
		return ret;
	/* A process of the host has another number in the guest, that is none. */
	if (lk.l_type != F_UNLCK)
		lock_owner_of(rq->fs, rq->inode, owner, &lk, &holder);
	reply_lock(&lk, holder.pid, FS_REPLY(rq, fuse_lk_out));
	return sizeof(struct fuse_lk_out);
}

static int unlock_posix(struct fs_req *rq, uint64_t owner, struct lock_try *t)
{
	struct lock_pin pin;
	bool all = t->start == 0 && (uint64_t)t->len == LAST_BYTE + 1;
	int ret;

	if (lock_owner_get(rq->fs, rq->inode, owner, NULL, &pin))
		return 0; /* it has none */
	t->fd = pin.owner->fd;
	ret = lock_try(t);
	lock_owner_put(rq->fs, &pin, all && !ret ? LOCK_NONE : LOCK_NOTHING);
	locks_released(rq->fs, rq->inode);
	return ret;
}

static int set_posix(struct fs_req *rq, const struct fuse_lk_in *in, bool wait)
{
	const struct lock_user by = { .pid = in->lk.pid, .fh = in->fh };
	struct lock_try t = { .flock = false };
	struct lock_pin pin;
	int ret = range_of(&in->lk, &t);

	if (ret)
		return ret;
	if (t.type == F_UNLCK)
		return unlock_posix(rq, in->owner, &t);
	ret = lock_owner_get(rq->fs, rq->inode, in->owner, &by, &pin);
	if (ret)
		return ret;
	t.fd = pin.owner->fd;
	ret = lock_try(&t);
	if (ret == -EAGAIN && wait)
		ret = locks_wait(rq, &t, &pin);
	if (ret == FS_LATER)
		return ret;
	lock_owner_put(rq->fs, &pin, ret ? LOCK_NOTHING : LOCK_TAKEN);
	if (!ret && t.type == F_RDLCK)
		locks_released(rq->fs, rq->inode); /* it may have been a write lock */
	return ret;
}

/* -EINVAL if it is no type. */
static int flock_op(uint32_t type)
{
	switch (type) {
	case F_RDLCK:
		return LOCK_SH;
	case F_WRLCK:
		return LOCK_EX;
	case F_UNLCK:
		return LOCK_UN;
	}
	return -EINVAL;
}

static int set_flock(struct fs_req *rq, const struct fuse_lk_in *in, bool wait)
{
	const struct lock_pin no_owner = { 0 };
	struct lock_try t = { .flock = true, .fd = rq->handle->fd, .op = flock_op(in->lk.type) };
	int ret;

	if (t.op < 0)
		return t.op;
	ret = lock_try(&t);
	/* One that it had is gone, also when it does not get the other kind. */
	if (ret || t.op != LOCK_EX)
		locks_released(rq->fs, rq->inode);
	if (ret == -EAGAIN && wait)
		ret = locks_wait(rq, &t, &no_owner);
	return ret;
}

static int set_lock(struct fs_req *rq, bool wait)
{
	const struct fuse_lk_in *in = FS_BODY(rq, fuse_lk_in);
	bool flock = in->lk_flags & FUSE_LK_FLOCK;

	if (!fs_has(rq->fs, flock ? FUSE_FLOCK_LOCKS : FUSE_POSIX_LOCKS))
		return -ENOSYS;
	if (in->lk_flags & ~FUSE_LK_FLOCK)
		return -EINVAL;
	return flock ? set_flock(rq, in, wait) : set_posix(rq, in, wait);
}

int op_setlk(struct fs_req *rq)
{
	return set_lock(rq, false);
}

int op_setlkw(struct fs_req *rq)
{
	return set_lock(rq, true);
}

int op_interrupt(struct fs_req *rq)
{
	locks_interrupt(rq->fs, FS_BODY(rq, fuse_interrupt_in)->unique);
	return FS_SILENT;
}
