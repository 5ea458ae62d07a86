/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/ext.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/macros.h"

/* Copies len bytes, which may be anywhere, and steps over them. False if they are not there. */
static bool take(struct cursor *c, void *to, uint32_t len)
{
	if (len > c->left)
		return false;
	memcpy(to, c->p, len);
	c->p += len;
	c->left -= len;
	return true;
}

/* c has n labels, each a fuse_secctx with its name and value. */
static int parse_labels(struct cursor c, uint32_t n, struct fs_ext *ext)
{
	struct fuse_secctx h;
	const char *name;
	int ret;

	if (!n)
		return 0;
	if (n > 1)
		return -EOPNOTSUPP;
	if (ext->label_name || !take(&c, &h, sizeof(h)))
		return -EINVAL;
	ret = fs_next_string(&c, XATTR_NAME_MAX, &name);
	if (ret || !*name || !h.size || h.size > c.left || h.size > XATTR_SIZE_MAX)
		return -EINVAL;
	ext->label_name = name;
	ext->label = c.p;
	ext->label_len = h.size;
	return 0;
}

static int parse_groups(struct cursor c, struct fs_ext *ext)
{
	uint32_t n;

	if (ext->n_groups || !take(&c, &n, sizeof(n)) || n > CRED_GROUPS_MAX ||
	    !take(&c, ext->groups, n * (uint32_t)sizeof(ext->groups[0])))
		return -EINVAL;
	ext->n_groups = n;
	return 0;
}

/* Takes one extension and its padding. */
static int parse_one(const struct fs *fs, struct cursor *c, struct fs_ext *ext)
{
	struct fuse_ext_header h;
	struct cursor content;
	uint32_t skip;

	if (!take(c, &h, sizeof(h)) || h.size < sizeof(h) || h.size - sizeof(h) > c->left)
		return -EINVAL;
	content = (struct cursor){ c->p, h.size - (uint32_t)sizeof(h) };
	skip = (uint32_t)MIN(FUSE_REC_ALIGN((size_t)content.left), (size_t)c->left);
	c->p += skip;
	c->left -= skip;
	if (h.type <= FUSE_MAX_NR_SECCTX)
		return fs_has(fs, FUSE_SECURITY_CTX) ? parse_labels(content, h.type, ext) : 0;
	if (h.type == FUSE_EXT_GROUPS)
		return fs_has(fs, FUSE_CREATE_SUPP_GROUP) ? parse_groups(content, ext) : 0;
	return 0; /* one of the future */
}

int ext_parse(const struct fs_req *rq, struct cursor after, struct fs_ext *ext)
{
	uint32_t len = rq->in.total_extlen * 8u;
	int ret = 0;

	*ext = (struct fs_ext){ 0 };
	if (!fs_has(rq->fs, FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP))
		return 0;
	if (len > after.left)
		return -EINVAL;
	if (len)
		after = (struct cursor){ after.p + (after.left - len), len };
	else if (!fs_has(rq->fs, FUSE_SECURITY_CTX))
		return 0;
	while (!ret && after.left)
		ret = parse_one(rq->fs, &after, ext);
	return ret;
}
