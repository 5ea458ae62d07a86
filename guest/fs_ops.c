/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-fs driver: one function for each FUSE request, in the order of vdax/fs.h. */
#include "guest/fs_call.h"

#include "base/align.h"
#include "base/range.h"
#include "vdax/errno.h"

/* File types, as in st_mode */
#define TYPE_MASK 0170000u
#define TYPE_DIR  0040000u
#define TYPE_FILE 0100000u
#define TYPE_LINK 0120000u

/* The part of a call that is the same everywhere. */
#define CALL(op, node, in, reply)                                                          \
	.opcode = (op), .nodeid = (node), .body = &(in), .body_len = (uint32_t)sizeof(in), \
	.kind = (reply)

int vdax_fs_init(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t flags,
		 uint32_t max_readahead)
{
	const uint64_t all = flags >> 32 ? flags | FUSE_INIT_EXT : flags & ~FUSE_INIT_EXT;
	const struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
					 .minor = FUSE_KERNEL_MINOR_VERSION,
					 .max_readahead = max_readahead,
					 .flags = (uint32_t)all,
					 .flags2 = (uint32_t)(all >> 32) };
	const struct vdax_fs_call c = { CALL(FUSE_INIT, 0, in, VDAX_FS_INIT) };
	int ret = vdax_fs_send(q, rq, &c);

	if (!ret)
		q->fs->flags = all; /* the reply takes away from it */
	return ret;
}

int vdax_fs_destroy(struct vdax_fs_queue *q, struct vdax_fs_rq *rq)
{
	const struct vdax_fs_call c = { .opcode = FUSE_DESTROY, .kind = VDAX_FS_LAST };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_lookup(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name)
{
	const struct vdax_fs_call c = {
		.opcode = FUSE_LOOKUP, .nodeid = parent, .kind = VDAX_FS_ENTRY, .name = { name }
	};

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_forget(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		   uint64_t nlookup)
{
	const struct fuse_forget_in in = { .nlookup = nlookup };
	const struct vdax_fs_call c = { CALL(FUSE_FORGET, nodeid, in, VDAX_FS_NO_REPLY) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_batch_forget(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			 const struct fuse_forget_one *list, unsigned int n)
{
	const struct fuse_batch_forget_in in = { .count = n };
	const struct vdax_fs_call c = { CALL(FUSE_BATCH_FORGET, 0, in, VDAX_FS_NO_REPLY),
					.list = list, .list_len = n * (uint32_t)sizeof(*list) };

	return n && n <= VDAX_FS_LIST_MAX ? vdax_fs_send(q, rq, &c) : -VDAX_EINVAL;
}

int vdax_fs_interrupt(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };
	const struct vdax_fs_call c = { CALL(FUSE_INTERRUPT, 0, in, VDAX_FS_MAY_REPLY),
					.unique = unique | 1 };

	return unique ? vdax_fs_send(q, rq, &c) : -VDAX_EINVAL;
}

int vdax_fs_getattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		    const uint64_t *fh)
{
	const struct fuse_getattr_in in = { .getattr_flags = fh ? FUSE_GETATTR_FH : 0,
					    .fh = fh ? *fh : 0 };
	const struct vdax_fs_call c = { CALL(FUSE_GETATTR, nodeid, in, VDAX_FS_ATTR) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_setattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		    const struct fuse_setattr_in *in)
{
	const struct vdax_fs_call c = { CALL(FUSE_SETATTR, nodeid, *in, VDAX_FS_ATTR) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_mknod(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent, const char *name,
		  uint32_t mode, uint32_t rdev, uint32_t umask)
{
	const struct fuse_mknod_in in = { .mode = mode, .rdev = rdev, .umask = umask };
	const uint32_t type = mode & TYPE_MASK;
	const struct vdax_fs_call c = { CALL(FUSE_MKNOD, parent, in, VDAX_FS_NEW_ENTRY),
					.name = { name }, .type = type ? type : TYPE_FILE };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_mkdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent, const char *name,
		  uint32_t mode, uint32_t umask)
{
	const struct fuse_mkdir_in in = { .mode = mode, .umask = umask };
	const struct vdax_fs_call c = { CALL(FUSE_MKDIR, parent, in, VDAX_FS_NEW_ENTRY),
					.name = { name }, .type = TYPE_DIR };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_link(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t parent,
		 const char *name)
{
	const struct fuse_link_in in = { .oldnodeid = nodeid };
	const struct vdax_fs_call c = { CALL(FUSE_LINK, parent, in, VDAX_FS_NEW_ENTRY),
					.name = { name } };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_symlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		    const char *name, const struct vdax_fs_data *target)
{
	const struct vdax_fs_call c = { .opcode = FUSE_SYMLINK,
					.nodeid = parent,
					.kind = VDAX_FS_NEW_ENTRY,
					.name = { name },
					.readable = target,
					.type = TYPE_LINK };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_create(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name, uint32_t flags, uint32_t mode, uint32_t umask)
{
	const struct fuse_create_in in = { .flags = flags, .mode = mode, .umask = umask };
	const struct vdax_fs_call c = { CALL(FUSE_CREATE, parent, in, VDAX_FS_CREATED),
					.name = { name }, .type = TYPE_FILE };

	return vdax_fs_send(q, rq, &c);
}

static int send_name(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
		     uint64_t parent, const char *name)
{
	const struct vdax_fs_call c = {
		.opcode = opcode, .nodeid = parent, .kind = VDAX_FS_EMPTY, .name = { name }
	};

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_unlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name)
{
	return send_name(q, rq, FUSE_UNLINK, parent, name);
}

int vdax_fs_rmdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent, const char *name)
{
	return send_name(q, rq, FUSE_RMDIR, parent, name);
}

int vdax_fs_rename2(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		    const char *name, uint64_t new_parent, const char *new_name, uint32_t flags)
{
	const struct fuse_rename2_in in = { .newdir = new_parent, .flags = flags };
	const struct fuse_rename_in plain = { .newdir = new_parent };
	const struct vdax_fs_call with = { CALL(FUSE_RENAME2, parent, in, VDAX_FS_EMPTY),
					   .name = { name, new_name } };
	const struct vdax_fs_call without = { CALL(FUSE_RENAME, parent, plain, VDAX_FS_EMPTY),
					      .name = { name, new_name } };

	return vdax_fs_send(q, rq, flags ? &with : &without);
}

/* Data that the device writes, so there must be a place for it. */
static int send_for_data(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			 const struct vdax_fs_call *call)
{
	return call->writable ? vdax_fs_send(q, rq, call) : -VDAX_EINVAL;
}

int vdax_fs_readlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const struct vdax_fs_data *data)
{
	const struct vdax_fs_call c = {
		.opcode = FUSE_READLINK, .nodeid = nodeid, .kind = VDAX_FS_DATA, .writable = data
	};

	return send_for_data(q, rq, &c);
}

static int send_open(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
		     uint64_t nodeid, uint32_t flags)
{
	const struct fuse_open_in in = { .flags = flags };
	const struct vdax_fs_call c = { CALL(opcode, nodeid, in, VDAX_FS_OPEN) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_open(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint32_t flags)
{
	return send_open(q, rq, FUSE_OPEN, nodeid, flags);
}

int vdax_fs_opendir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint32_t flags)
{
	return send_open(q, rq, FUSE_OPENDIR, nodeid, flags);
}

static int send_release(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
			uint64_t nodeid, uint64_t fh, uint32_t flags)
{
	const struct fuse_release_in in = { .fh = fh, .flags = flags };
	const struct vdax_fs_call c = { CALL(opcode, nodeid, in, VDAX_FS_EMPTY) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_release(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		    uint32_t flags)
{
	return send_release(q, rq, FUSE_RELEASE, nodeid, fh, flags);
}

int vdax_fs_releasedir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		       uint32_t flags)
{
	return send_release(q, rq, FUSE_RELEASEDIR, nodeid, fh, flags);
}

/* READ, READDIR and READDIRPLUS: the device is told how much there is room for. */
static int send_read(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
		     uint64_t nodeid, uint64_t fh, uint64_t offset, const struct vdax_fs_data *data)
{
	const struct fuse_read_in in = { .fh = fh,
					 .offset = offset,
					 .size = data ? vdax_fs_data_len(data) : 0 };
	const struct vdax_fs_call c = { CALL(opcode, nodeid, in, VDAX_FS_DATA), .writable = data };

	return send_for_data(q, rq, &c);
}

int vdax_fs_read(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		 uint64_t offset, const struct vdax_fs_data *data)
{
	return send_read(q, rq, FUSE_READ, nodeid, fh, offset, data);
}

int vdax_fs_write(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t offset, const struct vdax_fs_data *data)
{
	const struct fuse_write_in in = { .fh = fh,
					  .offset = offset,
					  .size = data ? vdax_fs_data_len(data) : 0 };
	const struct vdax_fs_call c = { CALL(FUSE_WRITE, nodeid, in, VDAX_FS_WRITTEN),
					.readable = data, .asked = in.size };

	return in.size && in.size <= q->fs->max_write ? vdax_fs_send(q, rq, &c) : -VDAX_EINVAL;
}

int vdax_fs_readdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		    uint64_t offset, const struct vdax_fs_data *data)
{
	return send_read(q, rq, FUSE_READDIR, nodeid, fh, offset, data);
}

int vdax_fs_readdirplus(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
			uint64_t fh, uint64_t offset, const struct vdax_fs_data *data)
{
	return send_read(q, rq, FUSE_READDIRPLUS, nodeid, fh, offset, data);
}

int vdax_fs_flush(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t lock_owner)
{
	const struct fuse_flush_in in = { .fh = fh, .lock_owner = lock_owner };
	const struct vdax_fs_call c = { CALL(FUSE_FLUSH, nodeid, in, VDAX_FS_EMPTY) };

	return vdax_fs_send(q, rq, &c);
}

static int send_fsync(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
		      uint64_t nodeid, uint64_t fh, bool data_only)
{
	const struct fuse_fsync_in in = { .fh = fh,
					  .fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0 };
	const struct vdax_fs_call c = { CALL(opcode, nodeid, in, VDAX_FS_EMPTY) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_fsync(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  bool data_only)
{
	return send_fsync(q, rq, FUSE_FSYNC, nodeid, fh, data_only);
}

int vdax_fs_fsyncdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		     bool data_only)
{
	return send_fsync(q, rq, FUSE_FSYNCDIR, nodeid, fh, data_only);
}

int vdax_fs_fallocate(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		      uint64_t offset, uint64_t length, uint32_t mode)
{
	const struct fuse_fallocate_in in = {
		.fh = fh, .offset = offset, .length = length, .mode = mode
	};
	const struct vdax_fs_call c = { CALL(FUSE_FALLOCATE, nodeid, in, VDAX_FS_EMPTY) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_lseek(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t offset, uint32_t whence)
{
	const struct fuse_lseek_in in = { .fh = fh, .offset = offset, .whence = whence };
	const struct vdax_fs_call c = { CALL(FUSE_LSEEK, nodeid, in, VDAX_FS_LSEEK) };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_statfs(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid)
{
	const struct vdax_fs_call c = { .opcode = FUSE_STATFS,
					.nodeid = nodeid,
					.kind = VDAX_FS_STATFS };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_access(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint32_t mask)
{
	const struct fuse_access_in in = { .mask = mask };
	const struct vdax_fs_call c = { CALL(FUSE_ACCESS, nodeid, in, VDAX_FS_EMPTY) };

	return vdax_fs_send(q, rq, &c);
}

/* GETXATTR and LISTXATTR; a value of no size is a question for the size. */
static int send_getxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint32_t opcode,
			 uint64_t nodeid, const char *name, const struct vdax_fs_data *data)
{
	const struct fuse_getxattr_in in = { .size = data ? vdax_fs_data_len(data) : 0 };
	const struct vdax_fs_call c = { CALL(opcode, nodeid, in,
					     data ? VDAX_FS_DATA : VDAX_FS_XATTR_SIZE),
					.name = { name }, .any_name = true, .writable = data };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_getxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const char *name, const struct vdax_fs_data *data)
{
	return send_getxattr(q, rq, FUSE_GETXATTR, nodeid, name, data);
}

int vdax_fs_listxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		      const struct vdax_fs_data *data)
{
	return send_getxattr(q, rq, FUSE_LISTXATTR, nodeid, NULL, data);
}

int vdax_fs_setxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const char *name, const struct vdax_fs_data *value, uint32_t flags)
{
	const struct fuse_setxattr_in in = { .size = value ? vdax_fs_data_len(value) : 0,
					     .flags = flags };
	struct vdax_fs_call c = { CALL(FUSE_SETXATTR, nodeid, in, VDAX_FS_EMPTY), .name = { name },
				  .any_name = true, .readable = value };

	if (!(q->fs->flags & FUSE_SETXATTR_EXT))
		c.body_len = FUSE_COMPAT_SETXATTR_IN_SIZE;
	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_removexattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
			const char *name)
{
	const struct vdax_fs_call c = { .opcode = FUSE_REMOVEXATTR,
					.nodeid = nodeid,
					.kind = VDAX_FS_EMPTY,
					.name = { name },
					.any_name = true };

	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_setupmapping(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			 const struct vdax_window *w, uint64_t nodeid, uint64_t fh,
			 uint64_t file_off, uint64_t len, uint64_t flags, uint64_t window_off)
{
	const uint64_t align = q->fs->map_alignment ? q->fs->map_alignment : 1;
	const struct fuse_setupmapping_in in = {
		.fh = fh, .foffset = file_off, .len = len, .flags = flags, .moffset = window_off
	};
	const struct vdax_fs_call c = { CALL(FUSE_SETUPMAPPING, nodeid, in, VDAX_FS_EMPTY) };

	if (!range_ok(window_off, len, w->region.len) || !range_ok(file_off, len, INT64_MAX))
		return -VDAX_ERANGE;
	if (!len || !is_aligned(file_off | window_off, align))
		return -VDAX_EINVAL;
	return vdax_fs_send(q, rq, &c);
}

int vdax_fs_removemapping(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			  const struct vdax_window *w, uint64_t nodeid,
			  const struct fuse_removemapping_one *list, unsigned int n)
{
	const struct fuse_removemapping_in in = { .count = n };
	const struct vdax_fs_call c = { CALL(FUSE_REMOVEMAPPING, nodeid, in, VDAX_FS_EMPTY),
					.list = list, .list_len = n * (uint32_t)sizeof(*list) };

	if (!n || n > VDAX_FS_LIST_MAX)
		return -VDAX_EINVAL;
	for (unsigned int i = 0; i < n; i++) {
		if (!range_ok(list[i].moffset, list[i].len, w->region.len))
			return -VDAX_ERANGE;
	}
	return vdax_fs_send(q, rq, &c);
}
