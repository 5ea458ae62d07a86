/* SPDX-License-Identifier: BSD-2-Clause */
/* What always takes long, so is always a job: FSYNC, FALLOCATE, COPY_FILE_RANGE, SYNCFS. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/range.h"
#include "fs/async.h"
#include "fs/dax.h"
#include "fs/ops.h"
#include "fs/seccomp.h"

const int fs_op_later_syscalls[] = { SCMP_SYS(copy_file_range), SCMP_SYS(syncfs), SCMP_SYS(close),
				     SYSCALLS_END };

/*
 * Bytes that one COPY_FILE_RANGE copies at most: a guest asks for as much as there is, and all
 * queues share the thread. What is left it asks for again.
 */
#define COPY_MAX (128u << 20)

/* A failed write-back is told to each open file once, so it is this one's that is asked. */
int op_fsync(struct fs_req *rq)
{
	const struct fuse_fsync_in *in = FS_BODY(rq, fuse_fsync_in);
	int ret = dax_write_back(rq->fs, rq->inode);
	struct job *job = ret ? NULL : job_new(rq, rq->handle, 0);

	if (ret)
		return ret;
	if (!job)
		return -ENOMEM;
	job->kind = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? JOB_FDATASYNC : JOB_FSYNC;
	async_submit(job);
	return FS_LATER;
}

/*
 * Of the others, one makes the file shorter, which another VM may have mapped, and one moves what
 * is in it; Linux sends neither.
 */
#define FALLOCATE_MODES \
	((uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))

int op_fallocate(struct fs_req *rq)
{
	const struct fuse_fallocate_in *in = FS_BODY(rq, fuse_fallocate_in);
	struct job *job;
	int ret;

	if (!in->length || in->length > INT64_MAX || in->offset > INT64_MAX || in->mode > INT32_MAX)
		return -EINVAL;
	if (!range_ok(in->offset, in->length, INT64_MAX))
		return -EFBIG;
	if (in->mode & ~FALLOCATE_MODES)
		return -EOPNOTSUPP;
	ret = file_kill_unasked(rq, rq->handle->fd);
	/* A hole comes after what the guest has stored there, and is made on a full disk as well.
	 */
	if (in->mode)
		(void)dax_save(rq->fs, rq->inode);
	if (ret)
		return ret;
	job = job_new(rq, rq->handle, 0);
	if (!job)
		return -ENOMEM;
	job->kind = JOB_FALLOCATE;
	job->mode = (int)in->mode;
	job->off = in->offset;
	job->len = in->length;
	async_submit(job);
	return FS_LATER;
}

/* --- COPY_FILE_RANGE --- */

struct copy {
	struct fs *fs;
	struct handle *to; /* with a reference; the job has that of the other */
	off_t off_in, off_out;
	size_t len;
};

static void copy_free(void *arg)
{
	struct copy *c = arg;

	handle_put(c->fs, c->to);
	free(c);
}

/* The two requests of that name differ in how the answer tells the number of bytes. */
static int64_t copied(struct job *job, ssize_t n)
{
	const struct fuse_copy_file_range_out out = { .bytes_copied = (uint64_t)n };
	const struct fuse_write_out short_out = { .size = (uint32_t)n };

	if (job->ticket.opcode == FUSE_COPY_FILE_RANGE_64) {
		memcpy(job->reply, &out, sizeof(out));
		return sizeof(out);
	}
	memcpy(job->reply, &short_out, sizeof(short_out));
	return sizeof(short_out);
}

static int64_t copy_now(struct job *job)
{
	struct copy *c = job->arg;
	ssize_t n;

	do {
		n = copy_file_range(job->fd, &c->off_in, c->to->fd, &c->off_out, c->len, 0);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		dax_changed(c->fs, c->to->inode, (uint64_t)c->off_out - (uint64_t)n, (uint64_t)n);
	if (n >= 0)
		return copied(job, n);
	/* ENOSYS would tell the guest that there is no such request; so it copies this one itself.
	 */
	return errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int op_copy_file_range(struct fs_req *rq)
{
	const struct fuse_copy_file_range_in *in = FS_BODY(rq, fuse_copy_file_range_in);
	uint64_t len = MIN(in->len, COPY_MAX);
	struct handle *to;
	struct copy *c;
	struct job *job;
	int ret;

	if (in->flags || !range_ok(in->off_in, len, INT64_MAX) ||
	    !range_ok(in->off_out, len, INT64_MAX))
		return -EINVAL;
	to = handle_get(rq->fs, in->fh_out, in->nodeid_out);
	if (!to) /* without a handle it has to copy for itself */
		return in->fh_out ? -EBADF : -EOPNOTSUPP;
	ret = file_kill_unasked(rq, to->fd);
	if (!ret)
		ret = dax_save(rq->fs, rq->inode);
	if (!ret) /* what was stored there is older */
		ret = dax_changed(rq->fs, to->inode, in->off_out, len);
	c = ret ? NULL : malloc(sizeof(*c));
	job = c ? job_new(rq, rq->handle, 0) : NULL;
	if (!job) {
		free(c);
		handle_put(rq->fs, to);
		return ret ? ret : -ENOMEM;
	}
	*c = (struct copy){ rq->fs, to, (off_t)in->off_in, (off_t)in->off_out, (size_t)len };
	job->kind = JOB_CALL;
	job->call = copy_now;
	job->arg = c;
	job->free_arg = copy_free;
	async_submit(job);
	return FS_LATER;
}

/* --- SYNCFS --- */

static int64_t sync_now(struct job *job)
{
	return syncfs(job->fd) < 0 ? -errno : 0;
}

/* The guest sends one for each of its superblocks: for each mount that was announced to it. */
int op_syncfs(struct fs_req *rq)
{
	struct handle *h;
	struct job *job;
	int ret;

	ret = dax_write_back_all(rq->fs);
	if (!ret)
		ret = file_open_once(rq, O_RDONLY, &h);

	if (ret)
		return ret;
	job = job_new(rq, h, 0);
	handle_put(rq->fs, h); /* the job has its own reference */
	if (!job)
		return -ENOMEM;
	job->kind = JOB_CALL;
	job->call = sync_now;
	async_submit(job);
	return FS_LATER;
}
