/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/latch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/fd.h"
#include "host/log.h"

#define PROBE_XATTR "user.vdax.probe"

/* A directory for the mark of a block device: what is beside one is gone after a reboot. */
static int open_state_dir(void)
{
	if (mkdir(LATCH_STATE_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open(LATCH_STATE_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Opens the directory where a mark would be a file, and names the file. */
static int find_place(struct latch *l)
{
	char real[PATH_MAX];
	struct stat st;
	char *slash;
	int n;

	if (!realpath(l->path, real) || stat(real, &st) < 0)
		return -errno;
	slash = strrchr(real, '/');
	/* What a volume's name is a link to may be another at the next boot: the name counts. */
	n = snprintf(l->file, sizeof(l->file), ".%s%s", S_ISBLK(st.st_mode) ? l->path : slash + 1,
		     LATCH_FILE_SUFFIX);
	if (n >= (int)sizeof(l->file))
		return -ENAMETOOLONG;
	for (char *c = l->file; *c; c++)
		if (*c == '/')
			*c = '-';
	slash[slash == real] = '\0';
	if (S_ISBLK(st.st_mode))
		l->dirfd = open_state_dir();
	if (l->dirfd < 0)
		l->dirfd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return l->dirfd < 0 ? -errno : 0;
}

int latch_open(struct latch *l, const char *path, int fd)
{
	bool has_xattr;
	int ret;

	*l = (struct latch){ .path = path, .fd = fd, .dirfd = -1 };
	if (fd < 0)
		return 0;
	ret = find_place(l);
	if (ret)
		return ret;
	has_xattr = fgetxattr(fd, LATCH_XATTR, NULL, 0) >= 0;
	if (has_xattr || !faccessat(l->dirfd, l->file, F_OK, AT_SYMLINK_NOFOLLOW))
		l->err = EIO;
	/* Where an attribute can be written no way to a file is kept open. */
	if (has_xattr || fsetxattr(fd, PROBE_XATTR, "", 0, 0) == 0) {
		fremovexattr(fd, PROBE_XATTR);
		fd_close(&l->dirfd);
	}
	return 0;
}

void latch_close(struct latch *l)
{
	fd_close(&l->dirfd);
}

bool latch_needs_file(const struct latch *l)
{
	return l->dirfd >= 0;
}

void latch_become_owner(const struct latch *l)
{
	struct stat st;

	if (l->fd < 0 || geteuid() != 0)
		return;
	/* A new file is the directory's business, an attribute the image's own. */
	if (fstat(l->dirfd >= 0 ? l->dirfd : l->fd, &st) < 0)
		return;
	setfsgid(st.st_gid);
	setfsuid(st.st_uid);
}

int latch_error(const struct latch *l)
{
	return l->err;
}

/* Makes a file of dirfd durable: its data, or with "." its name. 0 or -errno. */
static int sync_name(int dirfd, const char *name)
{
	int ret = 0, fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsync(fd) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

/* Writes the mark as a file. 0 or -errno. */
static int write_file(const struct latch *l, const char *text)
{
	int fd = openat(l->dirfd, l->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			0600);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	fd_close(&fd);
	if (!ret)
		ret = sync_name(l->dirfd, l->file);
	return ret ? ret : sync_name(l->dirfd, ".");
}

void latch_set(struct latch *l, int err)
{
	char text[64];
	int none = 0;
	int ret;

	if (!atomic_compare_exchange_strong(&l->err, &none, err))
		return;
	log_err(l->path,
		"sync failed: %s. Writes of the guest may be lost; from now on every flush fails. "
		"Check the storage and the data, then: vdax pmem --accept-lost-writes %s",
		strerror(err), l->path);
	if (l->fd < 0)
		return;
	snprintf(text, sizeof(text), "errno %d\n", err);
	if (l->dirfd >= 0)
		ret = write_file(l, text);
	else
		ret = fsetxattr(l->fd, LATCH_XATTR, text, strlen(text), 0) < 0 ? -errno : 0;
	if (!ret && fsync(l->fd) < 0)
		ret = -errno;
	if (ret)
		log_err(l->path, "cannot make the mark of that durable: %s", strerror(-ret));
}

int latch_clear(struct latch *l)
{
	struct latch place = { .path = l->path, .dirfd = -1 };
	int ret;

	if (l->fd < 0)
		return 0;
	if (fremovexattr(l->fd, LATCH_XATTR) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
		return -errno;
	ret = find_place(&place);
	if (ret)
		return ret;
	if (unlinkat(place.dirfd, place.file, 0) < 0 && errno != ENOENT)
		ret = -errno;
	fd_close(&place.dirfd);
	if (!ret && fsync(l->fd) < 0)
		ret = -errno;
	if (!ret)
		l->err = 0;
	return ret;
}
