/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/no_open.h"

#include <errno.h>
#include <fcntl.h>

#include "fs/ops.h"

bool no_open_in_force(const struct fs *fs, bool is_dir)
{
	if (is_dir)
		return fs->cfg->no_opendir && fs_has(fs, FUSE_NO_OPENDIR_SUPPORT);
	return fs->cfg->no_open && fs_has(fs, FUSE_NO_OPEN_SUPPORT);
}

int no_open_handle(struct fs_req *rq, bool writes)
{
	bool is_dir = S_ISDIR(rq->inode->type);

	if (!no_open_in_force(rq->fs, is_dir))
		return -EBADF;
	return file_open_once(rq,
			      is_dir   ? O_RDONLY | O_DIRECTORY
			      : writes ? O_RDWR
				       : O_RDONLY,
			      &rq->handle);
}

/* Does the guest come back to such a file when it has no name and is not open here? */
static bool is_used(const struct fs *fs, uint32_t mode)
{
	if (S_ISDIR(mode))
		return no_open_in_force(fs, true);
	return S_ISREG(mode) && (no_open_in_force(fs, false) || fs_has(fs, FUSE_WRITEBACK_CACHE));
}

int no_open_keep(struct fs *fs, const struct inode *dir, int pfd, const char *name)
{
	struct inode *found, *i;
	struct statx st;
	int ret;

	if (!is_used(fs, S_IFREG) && !is_used(fs, S_IFDIR))
		return 0;
	/* A lookup for nothing, if the guest does not know it; that is taken back below. */
	ret = inode_lookup(fs, dir, pfd, name, &st, &found);
	if (ret)
		return ret == -ENFILE || ret == -ENOMEM ? ret : 0; /* the host will say the rest */
	i = inode_get(fs, inode_id(found));
	if (!i)
		return 0; /* the guest has forgotten it on another queue: it does not need it */
	ret = is_used(fs, st.stx_mode) ? inode_hold(fs, i) : 0;
	inode_unlookup(fs, i, 1);
	inode_put(fs, i);
	return ret;
}
