/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * READ and WRITE. The kernel copies straight between the file and the guest's memory.
 *
 * What can be done without waiting is done at once, on the queue's thread: a system call on data in
 * the page cache takes a quarter of a microsecond, a trip through io_uring's workers some 50. So:
 *
 * Reads and writes ask for what needs no waiting (RWF_NOWAIT), and what remains becomes a job. Not
 * all file systems know that flag: ext4 does for reads only, tmpfs and overlayfs not at all. There
 * the call is made as it is, as long as that is quick. One that took longer than copying explains
 * has waited, for the disk or because there are too many dirty pages; then everything on that mount
 * and in that direction becomes a job for 32 times as long. So the queue's thread waits for some 3%
 * of the time at most. (4 KiB writes to ext4, Linux 6.18: 0.36 us so, 46 us by io_uring.)
 *
 * Where there is a server behind, and with O_DIRECT or O_SYNC, waiting is certain: always a job.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <seccomp.h>
#include <sys/uio.h>

#include "base/macros.h"
#include "base/range.h"
#include "fs/async.h"
#include "fs/dax.h"
#include "fs/ops.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_op_io_syscalls[] = { SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(preadv2),
				  SCMP_SYS(pwritev2), SYSCALLS_END };

/* Buffers of a request that is done at once: a MiB in pages, and some. With more it is a job. */
#define IOV_NOW 272u
_Static_assert(IOV_NOW <= IOV_MAX, "one system call takes them all");

/* Without NOWAIT the page cache ends a read in the middle of a page only at the end of the file. */
#define CACHE_PAGE 4096u

/* How long copying takes at most, if nothing has to be waited for. */
#define QUICK_NS	100000u
#define QUICK_NS_PER_KB 500u
/* After a call that took long, how often that time passes before the next is made like that. */
#define SLOW_TIMES  32u
#define SLOW_MAX_NS (2ull * NS_PER_S)

enum dir { READS, WRITES };

/* One READ or WRITE. */
struct io {
	struct fs_req *rq;
	struct handle *h;
	struct mount *m;
	enum dir dir;
	uint64_t off;
	uint32_t size;
	uint32_t done;	   /* bytes */
	int rwf;	   /* RWF_* that it needs in any case */
	bool whole;	   /* see struct job */
	unsigned n;	   /* of iov; what is done is gone from them */
	struct iovec *iov; /* IOV_NOW */
};

/* The buffers in the chain. How many, or -errno; -E2BIG if there are more than max. */
static int buffers(const struct io *io, struct iovec *iov, unsigned max)
{
	const struct vq_chain *c = &io->rq->q->chain;

	if (io->dir == WRITES)
		return chain_readable(c, io->rq->data_off, io->size, iov, max);
	return chain_writable(c, sizeof(struct fuse_out_header), io->size, iov, max);
}

/* --- later --- */

static int do_later(const struct io *io)
{
	const struct vq_chain *c = &io->rq->q->chain;
	unsigned max = io->dir == WRITES ? c->n_readable : c->n_writable;
	struct job *job = job_new(io->rq, io->h, max);
	int n;

	if (!job)
		return -ENOMEM;
	n = buffers(io, job->iov, max);
	if (n < 0) {
		job_free(job);
		return n;
	}
	job->n_iov = (unsigned)n;
	job->kind = io->dir == WRITES ? JOB_WRITE : JOB_READ;
	job->off = io->off;
	job->rwf = io->rwf;
	job->whole = io->whole;
	job_skip(job, io->done);
	async_submit(job);
	return FS_LATER;
}

/* --- now --- */

static bool is_slow(const struct io *io)
{
	uint64_t until = io->m->slow_until[io->dir];

	return until && clock_ns() < until;
}

/* A call that might have waited took ns. */
static void judge(const struct io *io, uint64_t end, uint64_t ns)
{
	if (ns > QUICK_NS + (uint64_t)(io->size >> 10) * QUICK_NS_PER_KB)
		io->m->slow_until[io->dir] = end + MIN(ns * SLOW_TIMES, SLOW_MAX_NS);
}

static ssize_t call(const struct io *io, int rwf)
{
	off_t off = (off_t)(io->off + io->done);
	ssize_t ret = io->dir == WRITES
			      ? pwritev2(io->h->fd, io->iov, (int)io->n, off, io->rwf | rwf)
			      : preadv2(io->h->fd, io->iov, (int)io->n, off, io->rwf | rwf);

	return ret < 0 ? -errno : ret;
}

/* The call as it is, where it was quick lately. Bytes or -errno; -EAGAIN: better not. */
static ssize_t call_plain(const struct io *io)
{
	uint64_t start, end;
	ssize_t ret;

	if (!io->m->local || is_slow(io))
		return -EAGAIN;
	start = clock_ns();
	ret = call(io, 0);
	end = clock_ns();
	judge(io, end, end - start);
	return ret;
}

/* Bytes, 0 at the end of the file, -errno; -EAGAIN if it has to wait, or may have to. */
static ssize_t call_quick(const struct io *io)
{
	ssize_t ret, plain;

	if (io->m->no_nowait[io->dir])
		return call_plain(io);
	ret = call(io, RWF_NOWAIT);
	if (ret != -EOPNOTSUPP && ret != -EINVAL)
		return ret;
	/* Some file systems call it invalid; but something else may be. */
	plain = call_plain(io);
	if (ret == -EOPNOTSUPP || plain >= 0)
		io->m->no_nowait[io->dir] = true;
	return plain;
}

/* Is a read that stopped here at the end of the file? Else it has to be asked for once more. */
static bool at_end(const struct io *io)
{
	if ((io->off + io->done) % CACHE_PAGE == 0)
		return false;
	/* Of the others nobody knows how they end a read: procfs, for one, where it likes. */
	return !io->m->no_nowait[READS] || io->m->fs_type == TMPFS_MAGIC ||
	       io->m->fs_type == OVERLAYFS_SUPER_MAGIC;
}

/* The first n bytes of the buffers are done. */
static void advance(struct io *io, size_t n)
{
	io->done += (uint32_t)n;
	while (n && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->n--;
	}
	if (n) {
		io->iov->iov_base = (char *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
	}
}

/*
 * Does what needs no waiting. 0: it is finished, io->done bytes; -EAGAIN: the rest is for a job;
 * or -errno.
 */
static int do_now(struct io *io)
{
	struct vq *vq = io->rq->q->vq;
	ssize_t ret;

	while (io->done < io->size) {
		ret = call_quick(io);
		if (io->dir == READS && ret != -EAGAIN)
			vq_wrote(vq, io->iov, io->n, ret < 0 ? io->size - io->done : (uint64_t)ret);
		if (ret == -EINTR)
			return -EAGAIN;
		if (ret < 0)
			return (int)ret;
		if (io->dir == WRITES && (uint64_t)ret < io->size - io->done) {
			advance(io, (size_t)ret);
			return -EAGAIN; /* the next one tells why */
		}
		advance(io, (size_t)ret);
		if (!ret || (io->dir == READS && at_end(io)))
			return 0;
	}
	return 0;
}

/* Is there a chance that it needs no waiting? */
static bool worth_trying(const struct io *io)
{
	if (io->h->flags & O_DIRECT)
		return false;
	if (io->dir == WRITES && io->h->flags & (O_SYNC | O_DSYNC))
		return false;
	return !io->m->no_nowait[io->dir] || io->m->local;
}

/* 0: finished, io->done bytes; FS_LATER; or -errno. */
static int do_io(struct io *io)
{
	struct iovec iov[IOV_NOW];
	int ret;

	if (!io->size)
		return 0;
	if (!worth_trying(io))
		return do_later(io);
	ret = buffers(io, iov, IOV_NOW);
	if (ret == -E2BIG)
		return do_later(io);
	if (ret < 0)
		return ret;
	io->iov = iov;
	io->n = (unsigned)ret;
	ret = do_now(io);
	io->iov = NULL;
	return ret == -EAGAIN ? do_later(io) : ret;
}

int op_read(struct fs_req *rq)
{
	const struct fuse_read_in *in = FS_BODY(rq, fuse_read_in);
	struct io io = {
		.rq = rq,
		.h = rq->handle,
		.m = mount_at(rq->fs, rq->inode->mount),
		.dir = READS,
		.off = in->offset,
		.size = in->size,
	};
	int ret;

	if (in->size > rq->room || in->size > INT32_MAX ||
	    !range_ok(in->offset, in->size, INT64_MAX))
		return -EINVAL;
	/* A short answer means the end of the file, and the guest's page cache believes that. */
	io.whole = !(io.h->flags & O_DIRECT);
	(void)dax_save(rq->fs, rq->inode); /* what cannot be saved is no matter of who reads */
	ret = do_io(&io);
	if (ret)
		return ret;
	rq->in_place = true;
	return (int)io.done;
}

/* --- WRITE --- */

/*
 * Does the guest want it at the end? What comes from its page cache is for its place, and with a
 * write-back cache the guest itself knows where the end is.
 */
static bool wants_append(const struct fs_req *rq, const struct fuse_write_in *in)
{
	return in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE) &&
	       !fs_has(rq->fs, FUSE_WRITEBACK_CACHE);
}

static int check_write(const struct fs_req *rq, const struct fuse_write_in *in)
{
	if (in->size > FS_MAX_WRITE || in->size > rq->data_len)
		return -EINVAL;
	return range_ok(in->offset, in->size, INT64_MAX) ? 0 : -EFBIG;
}

static int write_to(struct fs_req *rq, const struct fuse_write_in *in, struct handle *h, int rwf)
{
	struct io io = {
		.rq = rq,
		.h = h,
		.m = mount_at(rq->fs, rq->inode->mount),
		.dir = WRITES,
		.off = in->offset,
		.size = in->size,
		.rwf = rwf,
		/* Of what the guest writes back, it does not look how much was taken. */
		.whole = in->write_flags & FUSE_WRITE_CACHE,
	};
	bool at_end = rwf || h->flags & O_APPEND;
	int ret = in->write_flags & FUSE_WRITE_KILL_SUIDGID ? file_kill_suidgid(h->fd) : 0;

	/* What the guest has stored there is older, so it gets into the file first. */
	if (!ret && !at_end)
		ret = dax_changed(rq->fs, rq->inode, io.off, io.size);
	if (!ret)
		ret = do_io(&io);
	if (ret)
		return ret;
	dax_changed(rq->fs, rq->inode, at_end ? 0 : io.off, at_end ? UINT64_MAX : io.done);
	*FS_REPLY(rq, fuse_write_out) = (struct fuse_write_out){ .size = io.done };
	return sizeof(struct fuse_write_out);
}

int op_write(struct fs_req *rq)
{
	const struct fuse_write_in *in = FS_BODY(rq, fuse_write_in);
	bool append = wants_append(rq, in);
	struct handle *h;
	int ret = check_write(rq, in);

	if (ret)
		return ret;
	if (append == !!(rq->handle->flags & O_APPEND))
		return write_to(rq, in, rq->handle, 0);
	if (append)
		return write_to(rq, in, rq->handle, RWF_APPEND);
	/* Linux writes to the end through such a descriptor, whatever the offset is. */
	ret = file_open_once(rq, O_WRONLY | (rq->handle->flags & (O_SYNC | O_DSYNC | O_DIRECT)),
			     &h);
	if (ret)
		return ret;
	ret = write_to(rq, in, h, 0);
	handle_put(rq->fs, h);
	return ret;
}
