/* SPDX-License-Identifier: BSD-2-Clause */
/* SETUPMAPPING, REMOVEMAPPING (VIRTIO 1.3, 5.11.6.4), and the end of a session with a window. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/range.h"
#include "fs/dax_window.h"
#include "fs/ops.h"
#include "wire/fuse_structs.h"

#define MAPPING_FLAGS (FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE)

static int check_setup(const struct fs_req *rq, const struct fuse_setupmapping_in *in)
{
	if (!S_ISREG(rq->inode->type))
		return S_ISDIR(rq->inode->type) ? -EISDIR : -EINVAL;
	if (in->flags & ~MAPPING_FLAGS || !in->len ||
	    !is_aligned(in->len | in->foffset | in->moffset, DAX_PAGE))
		return -EINVAL;
	if (!range_ok(in->moffset, in->len, rq->fs->dax->size) ||
	    !range_ok(in->foffset, in->len, INT64_MAX))
		return -EINVAL;
	return in->flags & FUSE_SETUPMAPPING_FLAG_WRITE && rq->fs->cfg->readonly ? -EROFS : 0;
}

/* An operation with what answering takes. NULL: no memory. */
static struct dax_op *op_new(struct fs_req *rq)
{
	struct dax_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	if (fs_ticket_of(rq, &op->ticket)) {
		free(op);
		return NULL;
	}
	op->q = rq->q;
	op->mem = mem_get(rq->q->vq->mem);
	return op;
}

/* 0, 1: handed on, or -errno. */
static int setup(struct fs_req *rq, struct dax_op *op, const struct fuse_setupmapping_in *in)
{
	struct dax *d = rq->fs->dax;
	int ret;

	op->off = in->moffset;
	op->end = in->moffset + in->len;
	op->foff = in->foffset;
	op->write = in->flags & FUSE_SETUPMAPPING_FLAG_WRITE;
	ret = dax_file_get(d, rq->inode, op->write, &op->file);
	if (ret)
		return ret;
	ret = dax_op_size(d, op);
	if (ret) {
		dax_file_unwant(d, op->file);
		return ret;
	}
	/* From now on it may be in the window: whoever changes it looks there. */
	atomic_fetch_or(&rq->inode->flags, INODE_DAX_MAPPED);
	dax_grant_used(d, rq->inode, op->size);
	return dax_setup(d, op);
}

int op_setupmapping(struct fs_req *rq)
{
	const struct fuse_setupmapping_in *in = FS_BODY(rq, fuse_setupmapping_in);
	struct dax_op *op;
	int ret;

	if (!rq->fs->dax)
		return -ENOSYS;
	ret = check_setup(rq, in);
	if (ret)
		return ret;
	op = op_new(rq);
	if (!op)
		return -ENOMEM;
	ret = setup(rq, op, in);
	if (ret == 1)
		return FS_LATER;
	dax_op_free(rq->fs->dax, op);
	dax_file_bury(rq->fs->dax);
	return ret;
}

/* What the guest has stored into copies is in their files before it gives them up. */
int op_removemapping(struct fs_req *rq)
{
	const struct fuse_removemapping_in *in = FS_BODY(rq, fuse_removemapping_in);
	const uint8_t *entries = rq->body + sizeof(*in);
	struct dax *d = rq->fs->dax;
	struct fuse_removemapping_one one;
	int ret = 0;

	if (!d)
		return -ENOSYS;
	if (in->count > (rq->body_len - sizeof(*in)) / sizeof(one))
		return -EINVAL;
	for (uint32_t i = 0; i < in->count; i++) {
		memcpy(&one, entries + i * sizeof(one), sizeof(one));
		if (!is_aligned(one.moffset | one.len, DAX_PAGE) ||
		    !range_ok(one.moffset, one.len, d->size))
			return -EINVAL;
	}
	ret = dax_save(rq->fs, rq->inode);
	for (uint32_t i = 0; i < in->count; i++) {
		memcpy(&one, entries + i * sizeof(one), sizeof(one));
		dax_give_back(d, one.moffset, one.moffset + one.len);
	}
	dax_given_up(d, rq->inode);
	return ret;
}

/*
 * Unmounted: nothing of the window is left when this is answered, so that a reset which follows
 * finds nothing mapped.
 */
int op_destroy(struct fs_req *rq)
{
	struct fs *fs = rq->fs;
	struct dax_op *op = fs->dax ? op_new(rq) : NULL;

	fs->session.ready = false;
	fs_forget_all(fs);
	if (!op)
		return 0;
	dax_clear(fs->dax, op);
	return FS_LATER;
}
