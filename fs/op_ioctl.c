/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOCTL: flags and project ids of files, and fs-verity. Only what is in the table reaches the host,
 * and only as bytes of a known size: no pointer of the guest is ever followed. Everything else is
 * -ENOTTY. What needs a capability that we do not have, the immutable flag for one, is the host's
 * to refuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "fs/async.h"
#include "fs/ops.h"
#include "fs/seccomp.h"

#define CMD_RULE(cmd)                                 \
	{                                             \
		SCMP_SYS(ioctl), 1, UINT32_MAX, (cmd) \
	}

const struct syscall_rule fs_op_ioctl_rules[] = {
	CMD_RULE(FS_IOC_GETFLAGS),
	CMD_RULE(FS_IOC_SETFLAGS),
	CMD_RULE(FS_IOC_FSGETXATTR),
	CMD_RULE(FS_IOC_FSSETXATTR),
	CMD_RULE(FS_IOC_ENABLE_VERITY),
	CMD_RULE(FS_IOC_MEASURE_VERITY),
	SYSCALL_RULES_END,
};

/* The largest argument of the table, but for what follows fsverity_enable_arg. */
#define ARG_MAX_BYTES 128u
_Static_assert(sizeof(struct fsverity_enable_arg) <= ARG_MAX_BYTES, "fits");

/* As the kernel limits them. */
#define DIGEST_MAX    64u
#define SALT_MAX      32u
#define SIGNATURE_MAX 16128u

struct ioctl {
	uint32_t cmd;	   /* the guest's */
	unsigned long own; /* ours */
	uint16_t takes;	   /* bytes from the guest at least */
	uint16_t gives;	   /* bytes for the guest */
	bool sets;
	/* NULL: one call with these bytes. Otherwise returns as a handler does. */
	int (*run)(struct fs_req *rq, struct handle *h, const struct fuse_ioctl_in *in,
		   const uint8_t *data);
};

static int measure_verity(struct fs_req *rq, struct handle *h, const struct fuse_ioctl_in *in,
			  const uint8_t *data);
static int enable_verity(struct fs_req *rq, struct handle *h, const struct fuse_ioctl_in *in,
			 const uint8_t *data);

/* The flags are an int, whatever the number of the ioctl says. */
#define FLAGS sizeof(int)
#define XATTR sizeof(struct fsxattr)

static const struct ioctl ioctls[] = {
	{ FS_IOC_GETFLAGS, FS_IOC_GETFLAGS, 0, FLAGS, false, NULL },
	{ FS_IOC32_GETFLAGS, FS_IOC_GETFLAGS, 0, FLAGS, false, NULL },
	{ FS_IOC_SETFLAGS, FS_IOC_SETFLAGS, FLAGS, 0, true, NULL },
	{ FS_IOC32_SETFLAGS, FS_IOC_SETFLAGS, FLAGS, 0, true, NULL },
	{ FS_IOC_FSGETXATTR, FS_IOC_FSGETXATTR, 0, XATTR, false, NULL },
	{ FS_IOC_FSSETXATTR, FS_IOC_FSSETXATTR, XATTR, 0, true, NULL },
	{ FS_IOC_MEASURE_VERITY, FS_IOC_MEASURE_VERITY, sizeof(struct fsverity_digest),
	  sizeof(struct fsverity_digest), false, measure_verity },
	{ FS_IOC_ENABLE_VERITY, FS_IOC_ENABLE_VERITY, sizeof(struct fsverity_enable_arg), 0, true,
	  enable_verity },
};

/* The answer: len bytes that the ioctl gave. */
static int answer(struct fs_req *rq, const void *data, uint32_t len)
{
	const struct fuse_ioctl_out out = { .result = 0 };

	if (len > rq->reply_max - sizeof(out))
		return -EINVAL;
	memcpy(rq->reply, &out, sizeof(out));
	memcpy(rq->reply + sizeof(out), data, len);
	return (int)(sizeof(out) + len);
}

static int run_simple(struct fs_req *rq, struct handle *h, const struct ioctl *io,
		      const uint8_t *data)
{
	_Alignas(8) uint8_t arg[ARG_MAX_BYTES] = { 0 };

	memcpy(arg, data, io->takes);
	if (ioctl(h->fd, io->own, arg) < 0)
		return -errno;
	return answer(rq, arg, io->gives);
}

/* --- fs-verity --- */

static int measure_verity(struct fs_req *rq, struct handle *h, const struct fuse_ioctl_in *in,
			  const uint8_t *data)
{
	union {
		struct fsverity_digest d;
		uint8_t bytes[sizeof(struct fsverity_digest) + DIGEST_MAX];
	} u = { 0 };
	uint32_t room;

	if (rq->swapped || in->out_size < sizeof(u.d))
		return -ENOTTY; /* nobody swaps the bytes of this one */
	room = MIN(in->out_size, (uint32_t)sizeof(u)) - (uint32_t)sizeof(u.d);
	memcpy(&u.d, data, sizeof(u.d));
	u.d.digest_size = (uint16_t)MIN(u.d.digest_size, room);
	if (ioctl(h->fd, FS_IOC_MEASURE_VERITY, &u) < 0)
		return -errno;
	return answer(rq, &u, (uint32_t)sizeof(u.d) + MIN(u.d.digest_size, room));
}

/* The argument, then salt and signature, to which it points. */
struct verity {
	struct fsverity_enable_arg arg;
	uint8_t rest[];
};

static int64_t enable_now(struct job *job)
{
	const struct fuse_ioctl_out out = { .result = 0 };
	const struct verity *v = job->arg;

	if (ioctl(job->fd, FS_IOC_ENABLE_VERITY, &v->arg) < 0)
		return -errno;
	memcpy(job->reply, &out, sizeof(out));
	return sizeof(out);
}

/*
 * Nobody can write the file afterwards, and it takes no right to write it before: the guest's
 * kernel, which checks the other setters, passes this one on as it is. So it is for the owner and
 * for root. A guest with idmapped mounts does not say who asks.
 */
static int may_enable_verity(struct fs_req *rq, const struct handle *h)
{
	struct statx st;

	if (!rq->in.uid)
		return 0;
	if (statx(h->fd, "", AT_EMPTY_PATH, STATX_UID, &st) < 0)
		return -errno;
	return rq->in.uid == idmap_to_guest(&rq->fs->uids, st.stx_uid) ? 0 : -EPERM;
}

/* It reads the whole file, so it is a job. */
static int enable_verity(struct fs_req *rq, struct handle *h, const struct fuse_ioctl_in *in,
			 const uint8_t *data)
{
	struct fsverity_enable_arg arg;
	struct verity *v;
	struct job *job;
	size_t rest;
	int ret;

	if (rq->swapped)
		return -ENOTTY;
	memcpy(&arg, data, sizeof(arg));
	if (arg.salt_size > SALT_MAX || arg.sig_size > SIGNATURE_MAX)
		return -EMSGSIZE;
	rest = (size_t)arg.salt_size + arg.sig_size;
	if (in->in_size - sizeof(arg) < rest)
		return -EINVAL;
	ret = may_enable_verity(rq, h);
	if (ret)
		return ret;
	v = malloc(sizeof(*v) + rest);
	job = v ? job_new(rq, h, 0) : NULL;
	if (!job) {
		free(v);
		return -ENOMEM;
	}
	memcpy(v->rest, data + sizeof(arg), rest);
	arg.salt_ptr = arg.salt_size ? (uintptr_t)v->rest : 0;
	arg.sig_ptr = arg.sig_size ? (uintptr_t)v->rest + arg.salt_size : 0;
	v->arg = arg;
	job->kind = JOB_CALL;
	job->call = enable_now;
	job->arg = v;
	job->free_arg = free;
	async_submit(job);
	return FS_LATER;
}

/* --- the request --- */

static const struct ioctl *find_ioctl(uint32_t cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].cmd == cmd)
			return &ioctls[i];
	return NULL;
}

/* The open file that the guest names; or, if it names none of ours, one for this request. */
static int find_file(struct fs_req *rq, uint64_t fh, struct handle **h)
{
	*h = handle_get(rq->fs, fh, rq->in.nodeid);
	if (*h)
		return 0;
	if (!S_ISREG(rq->inode->type) && !S_ISDIR(rq->inode->type))
		return -ENOTTY;
	return file_open_once(rq, O_RDONLY | O_NONBLOCK, h);
}

int op_ioctl(struct fs_req *rq)
{
	const struct fuse_ioctl_in *in = FS_BODY(rq, fuse_ioctl_in);
	const uint8_t *data = rq->body + sizeof(*in);
	const struct ioctl *io = find_ioctl(in->cmd);
	struct handle *h;
	int ret;

	if (in->flags & FUSE_IOCTL_UNRESTRICTED)
		return -EPERM; /* the host would be asked to follow the guest's pointers */
	if (in->in_size > rq->body_len - sizeof(*in))
		return -EINVAL;
	if (!io)
		return -ENOTTY;
	if (io->sets && rq->fs->cfg->readonly)
		return -EROFS;
	if (in->in_size < io->takes || in->out_size < io->gives)
		return -EINVAL;
	ret = find_file(rq, in->fh, &h);
	if (ret)
		return ret;
	ret = io->run ? io->run(rq, h, in, data) : run_simple(rq, h, io, data);
	handle_put(rq->fs, h);
	return ret;
}
