/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/truncate.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/dax.h"
#include "fs/dax_lock.h"
#include "fs/seccomp.h"

const int fs_truncate_syscalls[] = { SCMP_SYS(fstat), SCMP_SYS(ftruncate), SCMP_SYS(close),
				     SYSCALLS_END };

static int truncate_fd(struct fs *fs, struct inode *i, int fd, int64_t size)
{
	struct dax_shrink shrink;
	struct stat st;
	bool held;
	int ret = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (size < st.st_size)
		ret = dax_shrink_begin(fs, i, fd, &shrink);
	if (ret)
		return ret;
	held = dax_hold(fs, i);
	ret = ftruncate(fd, size) < 0 ? -errno : 0;
	dax_let_go(fs, held);
	if (size < st.st_size)
		dax_shrink_end(fs, &shrink);
	return ret ? ret : dax_changed(fs, i, (uint64_t)MIN(size, st.st_size), UINT64_MAX);
}

int fs_truncate(struct fs *fs, struct inode *i, int fd, int64_t size)
{
	int own = -1, ret;

	if (fd < 0) {
		own = inode_open(fs, i, O_WRONLY);
		if (own < 0)
			return own;
		fd = own;
	}
	ret = truncate_fd(fs, i, fd, size);
	if (own >= 0)
		close(own);
	return ret;
}
