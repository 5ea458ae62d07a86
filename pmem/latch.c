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

/* A directory for the marks of block devices: what is beside one is gone after a reboot. */
static int open_state_dir(void)
{
	if (mkdir(LATCH_STATE_DIR, 0755) == 0)
		chmod(LATCH_STATE_DIR, 0755); /* for all to look, whatever our umask is */
	else if (errno != EEXIST)
		return -1;
	return open(LATCH_STATE_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Names one more mark, made of a file's name or of a whole path. 0 or -ENAMETOOLONG. */
static int add_name(struct latch *l, const char *of)
{
	char *name = l->names[l->n_names];
	int n = snprintf(name, sizeof(l->names[0]), ".%s%s", of, LATCH_FILE_SUFFIX);

	if (n >= (int)sizeof(l->names[0]))
		return -ENAMETOOLONG;
	for (; *name; name++)
		if (*name == '/')
			*name = '-';
	l->n_names++;
	return 0;
}

/*
 * A block device has many names, and those of volumes lead elsewhere after the next boot: its
 * mark has the name it was given as well as the one that it leads to.
 */
static int name_block_device(struct latch *l, const char *real)
{
	char given[2 * PATH_MAX], cwd[PATH_MAX];
	int ret;

	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	snprintf(given, sizeof(given), "%s%s%s", l->path[0] == '/' ? "" : cwd,
		 l->path[0] == '/' ? "" : "/", l->path);
	ret = add_name(l, real);
	if (!ret && strcmp(given, real))
		ret = add_name(l, given);
	return ret;
}

/* Opens the directory where a mark would be a file, and names the file. */
static int find_place(struct latch *l)
{
	char real[PATH_MAX];
	struct stat st;
	char *slash;
	int ret;

	if (!realpath(l->path, real) || stat(real, &st) < 0)
		return -errno;
	slash = strrchr(real, '/');
	l->is_block = S_ISBLK(st.st_mode);
	ret = l->is_block ? name_block_device(l, real) : add_name(l, slash + 1);
	if (ret)
		return ret;
	slash[slash == real] = '\0';
	if (l->is_block)
		l->dirfd = open_state_dir();
	if (l->dirfd < 0)
		l->dirfd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return l->dirfd < 0 ? -errno : 0;
}

/* The errno in a mark's text; EIO if it has none. */
static int parse_mark(const char *text)
{
	int err = 0;

	return sscanf(text, "errno %d", &err) == 1 && err > 0 ? err : EIO;
}

/* Looks for a mark on the image. 0 (none, or not possible), the errno that it holds, or -errno. */
static int find_attribute(const struct latch *l)
{
	char text[64] = "";
	ssize_t n = getxattr(l->path, LATCH_XATTR, text, sizeof(text) - 1);

	if (n >= 0)
		return parse_mark(text);
	return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
}

/* What a mark that is a file holds; that it is there says enough if it cannot be read. */
static int read_file(const struct latch *l, const char *name)
{
	int fd = openat(l->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[64] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	fd_close(&fd);
	return parse_mark(text);
}

/* The same as find_attribute() for files. */
static int find_file(const struct latch *l)
{
	for (unsigned i = 0; i < l->n_names; i++) {
		if (faccessat(l->dirfd, l->names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return read_file(l, l->names[i]);
		if (errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* Finds where marks would be, and the first one that is there: as find_attribute(). */
static int find_mark(struct latch *l)
{
	int err = find_place(l);

	if (!err && !l->is_block)
		err = find_attribute(l);
	return err ? err : find_file(l);
}

int latch_peek(const char *path)
{
	struct latch l = { .path = path, .fd = -1, .dirfd = -1 };
	int err = find_mark(&l);

	latch_close(&l);
	return err;
}

/* Can the mark be an attribute? */
static bool has_attributes(const struct latch *l)
{
	if (l->is_block || fsetxattr(l->fd, PROBE_XATTR, "", 0, 0) < 0)
		return false;
	fremovexattr(l->fd, PROBE_XATTR);
	return true;
}

int latch_open(struct latch *l, const char *path, int fd)
{
	int err;

	*l = (struct latch){ .path = path, .fd = fd, .dirfd = -1 };
	if (fd < 0)
		return 0;
	err = find_mark(l);
	if (err < 0)
		return err;
	l->err = err;
	/* Where an attribute can be written no way to a file is kept open. */
	if (has_attributes(l))
		fd_close(&l->dirfd);
	return 0;
}

void latch_close(struct latch *l)
{
	fd_close(&l->dirfd);
}

int latch_dirfd(const struct latch *l)
{
	return l->dirfd;
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

bool latch_can_write(const struct latch *l)
{
	if (l->fd < 0)
		return true;
	return l->dirfd < 0 ? has_attributes(l)
			    : faccessat(l->dirfd, ".", W_OK | X_OK, AT_EACCESS) == 0;
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
static int write_file(const struct latch *l, const char *name, const char *text)
{
	int fd = openat(l->dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret ? ret : sync_name(l->dirfd, name);
}

static int write_files(const struct latch *l, const char *text)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < l->n_names; i++)
		ret = write_file(l, l->names[i], text);
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
		"Check the storage and the data, then once: vdax pmem --accept-lost-writes %s",
		strerror(err), l->path);
	if (l->fd < 0)
		return;
	snprintf(text, sizeof(text), "errno %d\n", err);
	if (l->dirfd >= 0)
		ret = write_files(l, text);
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
	ret = find_place(&place);
	if (!ret && !place.is_block && fremovexattr(l->fd, LATCH_XATTR) < 0 && errno != ENODATA &&
	    errno != EOPNOTSUPP)
		ret = -errno;
	for (unsigned i = 0; !ret && i < place.n_names; i++)
		if (unlinkat(place.dirfd, place.names[i], 0) < 0 && errno != ENOENT)
			ret = -errno;
	fd_close(&place.dirfd);
	if (!ret && fsync(l->fd) < 0)
		ret = -errno;
	if (!ret)
		l->err = 0;
	return ret;
}
