/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/dispatch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/macros.h"
#include "fs/byteorder.h"
#include "fs/cred.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "host/log.h"

#define IN(type)  sizeof(struct fuse_##type##_in)
#define OUT(type) sizeof(struct fuse_##type##_out)
#define INODE	  OP_INODE
#define HANDLE	  (OP_INODE | OP_HANDLE)
#define WRITES	  OP_WRITES
#define MAKES	  (OP_INODE | OP_WRITES | OP_USER)
#define NAME	  2u /* one character and its NUL */
#define ENTRY	  OUT(entry)
/* Older guests leave the end of these out: 7.12 the context, 7.33 setxattr_flags, 7.36 flags2. */
#define INIT_MIN  16u
#define XATTR_MIN 8u

/* clang-format off */
const struct fs_op fs_ops[FS_OPCODES] = {
	[FUSE_LOOKUP] = { "LOOKUP", op_lookup, NAME, ENTRY, INODE },
	[FUSE_FORGET] = { "FORGET", op_forget, IN(forget), 0, OP_SILENT },
	[FUSE_GETATTR] = { "GETATTR", op_getattr, IN(getattr), OUT(attr), INODE },
	[FUSE_SETATTR] = { "SETATTR", op_setattr, IN(setattr), OUT(attr), INODE | WRITES },
	[FUSE_READLINK] = { "READLINK", op_readlink, 0, 1, INODE },
	[FUSE_SYMLINK] = { "SYMLINK", op_symlink, 2 * NAME, ENTRY, MAKES },
	[FUSE_MKNOD] = { "MKNOD", op_mknod, IN(mknod) + NAME, ENTRY, MAKES },
	[FUSE_MKDIR] = { "MKDIR", op_mkdir, IN(mkdir) + NAME, ENTRY, MAKES },
	[FUSE_UNLINK] = { "UNLINK", op_unlink, NAME, 0, INODE | WRITES },
	[FUSE_RMDIR] = { "RMDIR", op_rmdir, NAME, 0, INODE | WRITES },
	[FUSE_RENAME] = { "RENAME", op_rename, IN(rename) + 2 * NAME, 0, INODE | WRITES },
	[FUSE_LINK] = { "LINK", op_link, IN(link) + NAME, ENTRY, INODE | WRITES },
	[FUSE_OPEN] = { "OPEN", op_open, IN(open), OUT(open), INODE },
	[FUSE_READ] = { "READ", op_read, IN(read), 0, HANDLE },
	[FUSE_WRITE] = { "WRITE", op_write, IN(write), OUT(write), HANDLE | WRITES | OP_DATA },
	[FUSE_STATFS] = { "STATFS", op_statfs, 0, OUT(statfs), INODE },
	[FUSE_RELEASE] = { "RELEASE", op_release, IN(release), 0, HANDLE },
	[FUSE_FSYNC] = { "FSYNC", op_fsync, IN(fsync), 0, HANDLE },
	[FUSE_SETXATTR] = { "SETXATTR", op_setxattr, XATTR_MIN + NAME, 0, INODE | WRITES },
	[FUSE_GETXATTR] = { "GETXATTR", op_getxattr, IN(getxattr) + NAME, 0, INODE },
	[FUSE_LISTXATTR] = { "LISTXATTR", op_listxattr, IN(getxattr), 0, INODE },
	[FUSE_REMOVEXATTR] = { "REMOVEXATTR", op_removexattr, NAME, 0, INODE | WRITES },
	[FUSE_FLUSH] = { "FLUSH", op_flush, IN(flush), 0, HANDLE },
	[FUSE_INIT] = { "INIT", op_init, INIT_MIN, OUT(init), OP_NO_INIT },
	[FUSE_OPENDIR] = { "OPENDIR", op_opendir, IN(open), OUT(open), INODE },
	[FUSE_READDIR] = { "READDIR", op_readdir, IN(read), 0, HANDLE },
	[FUSE_RELEASEDIR] = { "RELEASEDIR", op_releasedir, IN(release), 0, HANDLE },
	[FUSE_FSYNCDIR] = { "FSYNCDIR", op_fsync, IN(fsync), 0, HANDLE },
	[FUSE_GETLK] = { "GETLK", op_getlk, IN(lk), OUT(lk), HANDLE },
	[FUSE_SETLK] = { "SETLK", op_setlk, IN(lk), 0, HANDLE },
	[FUSE_SETLKW] = { "SETLKW", op_setlkw, IN(lk), 0, HANDLE },
	[FUSE_ACCESS] = { "ACCESS", op_access, IN(access), 0, INODE },
	[FUSE_CREATE] = { "CREATE", op_create, IN(create) + NAME, ENTRY + OUT(open), INODE | OP_USER },
	[FUSE_INTERRUPT] = { "INTERRUPT", op_interrupt, IN(interrupt), 0, OP_SILENT },
	[FUSE_DESTROY] = { "DESTROY", op_destroy, 0, 0, OP_NO_INIT },
	[FUSE_IOCTL] = { "IOCTL", op_ioctl, IN(ioctl), OUT(ioctl), INODE },
	[FUSE_POLL] = { "POLL", op_poll, IN(poll), OUT(poll), HANDLE },
	[FUSE_BATCH_FORGET] = { "BATCH_FORGET", op_batch_forget, IN(batch_forget), 0, OP_SILENT },
	[FUSE_FALLOCATE] = { "FALLOCATE", op_fallocate, IN(fallocate), 0, HANDLE | WRITES },
	[FUSE_READDIRPLUS] = { "READDIRPLUS", op_readdirplus, IN(read), 0, HANDLE },
	[FUSE_RENAME2] = { "RENAME2", op_rename2, IN(rename2) + 2 * NAME, 0, INODE | WRITES },
	[FUSE_LSEEK] = { "LSEEK", op_lseek, IN(lseek), OUT(lseek), HANDLE },
	[FUSE_COPY_FILE_RANGE] = { "COPY_FILE_RANGE", op_copy_file_range,
				   IN(copy_file_range), OUT(write), HANDLE | WRITES },
	[FUSE_COPY_FILE_RANGE_64] = { "COPY_FILE_RANGE_64", op_copy_file_range,
				      IN(copy_file_range), OUT(copy_file_range), HANDLE | WRITES },
	[FUSE_SETUPMAPPING] = { "SETUPMAPPING", op_setupmapping, IN(setupmapping), 0, INODE },
	[FUSE_REMOVEMAPPING] = { "REMOVEMAPPING", op_removemapping, IN(removemapping), 0, INODE },
	[FUSE_SYNCFS] = { "SYNCFS", op_syncfs, IN(syncfs), 0, INODE },
	[FUSE_TMPFILE] = { "TMPFILE", op_tmpfile, IN(create), ENTRY + OUT(open), MAKES },
	[FUSE_STATX] = { "STATX", op_statx, IN(statx), OUT(statx), INODE },
};
/* clang-format on */

const char *fs_op_name(uint32_t opcode)
{
	return opcode < FS_OPCODES ? fs_ops[opcode].name : NULL;
}

static const struct fs_op *find_op(const struct fs_req *rq)
{
	static const struct fs_op unknown;
	uint32_t opcode = rq->in.opcode;

	return opcode < FS_OPCODES && fs_ops[opcode].handler ? &fs_ops[opcode] : &unknown;
}

/* Fills rq->in. 0, or -errno if there is nobody to answer. */
static int read_header(struct fs_req *rq)
{
	struct fuse_in_header raw;
	int ret = chain_read(&rq->q->chain, 0, &raw, sizeof(raw));

	if (ret)
		return ret;
	/* INIT tells the byte order, whatever the former session's was. */
	rq->swapped = rq->fs->session.swapped && raw.opcode != FUSE_INIT;
	if (fs_is_swapped_init(&raw))
		rq->swapped = true;
	if (rq->swapped)
		fs_swap_in_header(&raw);
	rq->in = raw;
	return 0;
}

/* What the request's numbers say about its size. Sets body_len, data_len. 0 or -errno. */
static int check_size(struct fs_req *rq, const struct fs_op *op)
{
	const struct vq_chain *c = &rq->q->chain;
	uint32_t body;

	if (rq->in.len < sizeof(rq->in) || rq->in.len > c->readable_len)
		return -EINVAL;
	body = rq->in.len - (uint32_t)sizeof(rq->in);
	if (body < op->body)
		return -EINVAL;
	if (op->flags & OP_DATA) {
		rq->data_off = (uint32_t)sizeof(rq->in) + op->body;
		rq->data_len = body - op->body;
		body = op->body;
	}
	if (body > FS_BODY_MAX)
		return -E2BIG;
	rq->body_len = body;
	if (!(op->flags & OP_SILENT) && rq->room < op->reply)
		return -EINVAL;
	rq->reply_max = MIN(rq->room, FS_REPLY_MAX);
	return 0;
}

static int read_body(struct fs_req *rq)
{
	int ret = 0;

	if (rq->body_len)
		ret = chain_read(&rq->q->chain, sizeof(rq->in), rq->body, rq->body_len);
	rq->body[rq->body_len] = '\0';
	if (ret || !rq->swapped)
		return ret;
	ret = fs_swap_request(rq->in.opcode, rq->body, rq->body_len, rq->in.total_extlen,
			      rq->fs->session.features);
	rq->hint = fs_swap_hint(rq->in.opcode, rq->body, rq->body_len);
	return ret;
}

/* Finds what the request is about. 0 or -errno. */
static int find_objects(struct fs_req *rq, const struct fs_op *op)
{
	uint64_t fh;

	if (op->flags & OP_INODE) {
		rq->inode = inode_get(rq->fs, rq->in.nodeid);
		if (!rq->inode)
			return -ESTALE;
	}
	if (op->flags & OP_HANDLE) {
		memcpy(&fh, rq->body, sizeof(fh));
		rq->handle = handle_get(rq->fs, fh, rq->in.nodeid);
		if (!rq->handle)
			return fh ? -EBADF : no_open_handle(rq, op->flags & OP_WRITES);
	}
	return 0;
}

/* From a header that was read to the handler's result. */
static int run(struct fs_req *rq, const struct fs_op *op)
{
	int ret;

	if (!op->handler)
		return -ENOSYS;
	if (!rq->fs->session.ready && !(op->flags & OP_NO_INIT))
		return -EIO;
	ret = check_size(rq, op);
	if (!ret && op->flags & OP_WRITES && rq->fs->cfg->readonly)
		ret = -EROFS;
	if (!ret)
		ret = read_body(rq);
	if (!ret)
		ret = find_objects(rq, op);
	if (ret)
		return ret;
	if (!(op->flags & OP_USER))
		cred_self(rq->q);
	return op->handler(rq);
}

/* The errors that a guest takes for errors; it ends the connection over others. */
static int guest_errno(int err)
{
	return err > -512 && err < 0 ? err : -EIO;
}

static struct fuse_out_header out_header(uint64_t unique, int64_t res, bool swapped)
{
	struct fuse_out_header h = {
		.len = (uint32_t)sizeof(h) + (res > 0 ? (uint32_t)res : 0),
		.error = res < 0 ? guest_errno((int)res) : 0,
		.unique = unique,
	};

	if (swapped)
		fs_swap_out_header(&h);
	return h;
}

/* Writes len bytes of src at off of the chain's writable part. 0 or -errno. */
static int write_reply(struct fs_queue *q, uint32_t off, const void *src, uint32_t len)
{
	struct iovec iov[64];
	int n = chain_writable(&q->chain, off, len, iov, ARRAY_SIZE(iov));
	int ret;

	if (n < 0)
		return n;
	ret = chain_fill(iov, (unsigned)n, src);
	vq_wrote(q->vq, iov, (unsigned)n, len); /* a fault may come in the middle */
	return ret;
}

/* Puts the answer into the chain. Returns its length for the used ring, 0 if it does not fit. */
static uint32_t answer(struct fs_req *rq, int res)
{
	struct fuse_out_header h = out_header(rq->in.unique, res, rq->swapped);
	uint32_t body = res > 0 && !rq->in_place ? (uint32_t)res : 0;
	uint8_t *buf = rq->reply - sizeof(h);

	if (rq->q->chain.writable_len < sizeof(h))
		return 0;
	if (body && rq->swapped)
		fs_swap_reply(rq->in.opcode, rq->reply, body, rq->hint);
	memcpy(buf, &h, sizeof(h));
	if (write_reply(rq->q, 0, buf, (uint32_t)sizeof(h) + body))
		return 0;
	return (uint32_t)sizeof(h) + (res > 0 ? (uint32_t)res : 0);
}

void fs_dispatch(struct fs_queue *q)
{
	struct fs_req rq = {
		.fs = q->fs,
		.q = q,
		.body = q->body,
		.reply = q->reply + sizeof(struct fuse_out_header),
		.room = q->chain.writable_len,
		.started_ns = stats_begin(&q->stats),
	};
	const struct fs_op *op;
	int res;

	rq.room -= MIN(rq.room, (uint32_t)sizeof(struct fuse_out_header));
	if (read_header(&rq)) {
		log_guest(q->vq->name, "a request without a header");
		stats_end(&q->stats, 0, rq.started_ns, -EINVAL);
		vq_push(q->vq, q->chain.head, 0);
		return;
	}
	op = find_op(&rq);
	res = run(&rq, op);
	if (rq.handle)
		handle_put(rq.fs, rq.handle);
	if (rq.inode)
		inode_put(rq.fs, rq.inode);
	if (res == FS_LATER)
		return;
	stats_end(&q->stats, rq.in.opcode, rq.started_ns, res < 0 && res != FS_SILENT ? res : 0);
	if (op->flags & OP_SILENT || res == FS_SILENT)
		vq_push(q->vq, q->chain.head, 0);
	else
		vq_push(q->vq, q->chain.head, answer(&rq, res));
}

int fs_ticket_of(const struct fs_req *rq, struct fs_ticket *t)
{
	const struct vq_chain *c = &rq->q->chain;
	uint32_t room = MIN(c->writable_len,
			    (uint32_t)sizeof(struct fuse_out_header) + FS_TICKET_BODY);
	int n = chain_writable(c, 0, room, t->iov, ARRAY_SIZE(t->iov));

	if (n < 0)
		return -EFAULT;
	t->n_iov = (uint8_t)n;
	t->room = room;
	t->unique = rq->in.unique;
	t->opcode = rq->in.opcode;
	t->hint = rq->hint;
	t->started_ns = rq->started_ns;
	t->mem = rq->q->vq->mem;
	t->head = c->head;
	t->swapped = rq->swapped;
	return 0;
}

/* Writes the first len bytes that the ticket has room for. */
static int fill_ticket(struct fs_queue *q, const struct fs_ticket *t, const void *src, uint32_t len)
{
	struct iovec iov[ARRAY_SIZE(t->iov)];
	uint32_t left = len;
	unsigned n = 0;
	int ret;

	for (; left && n < t->n_iov; n++) {
		iov[n] = t->iov[n];
		iov[n].iov_len = MIN(iov[n].iov_len, left);
		left -= (uint32_t)iov[n].iov_len;
	}
	ret = left ? -EINVAL : chain_fill(iov, n, src);
	if (!left)
		vq_wrote_in(q->vq, t->mem, iov, n, len);
	return ret;
}

void fs_ticket_answer(struct fs_queue *q, const struct fs_ticket *t, const void *body, int64_t res)
{
	struct {
		struct fuse_out_header h;
		uint8_t body[FS_TICKET_BODY];
	} out = { .h = out_header(t->unique, res, t->swapped) };
	uint32_t len = (uint32_t)sizeof(out.h) + (res > 0 ? (uint32_t)res : 0);
	uint32_t filled = (uint32_t)sizeof(out.h);

	if (body && res > 0) {
		assert(res <= FS_TICKET_BODY);
		memcpy(out.body, body, (size_t)res);
		if (t->swapped)
			fs_swap_reply(t->opcode, out.body, (size_t)res, t->hint);
		filled = len;
	}
	if (fill_ticket(q, t, &out, filled))
		len = 0;
	stats_end(&q->stats, t->opcode, t->started_ns, res < 0 ? (int)res : 0);
	vq_push(q->vq, t->head, len);
}
