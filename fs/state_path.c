/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/state_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/name.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_state_path_syscalls[] = { SCMP_SYS(openat), SCMP_SYS(statx),
				       SCMP_SYS(fcntl),	 SCMP_SYS(readlinkat),
				       SCMP_SYS(close),	 SCMP_SYS(name_to_handle_at),
				       SYSCALLS_END };

/* --- paths --- */

void walk_init(struct state_walk *w, struct fs *fs)
{
	w->fs = fs;
	w->parent = -1;
	w->dir_len = 0;
}

void walk_fini(struct state_walk *w)
{
	fd_close(&w->parent);
}

static bool component_ok(const char *s, size_t len)
{
	if (!len || len > NAME_MAX || memchr(s, '\0', len))
		return false;
	return !(s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')));
}

bool path_ok(const char *path, size_t len)
{
	const char *slash;

	if (!len)
		return true;
	if (len > STATE_PATH_MAX)
		return false;
	while ((slash = memchr(path, '/', len))) {
		if (!component_ok(path, (size_t)(slash - path)))
			return false;
		len -= (size_t)(slash - path) + 1;
		path = slash + 1;
	}
	return component_ok(path, len);
}

/* The directory path, whose components are checked; the caller's. */
static int open_dirs(struct state_walk *w, const char *path, size_t len)
{
	int fd = fcntl(w->fs->box->root_fd, F_DUPFD_CLOEXEC, 0);
	char name[NAME_MAX + 1];

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len;) {
		size_t n = strcspn(path + at, "/"), part = MIN(n, len - at);
		int next;

		if (part > NAME_MAX)
			return fd_close(&fd), -ENAMETOOLONG;
		memcpy(name, path + at, part);
		name[part] = '\0';
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_close(&fd);
		if (next < 0)
			return -errno;
		fd = next;
		at += part + 1;
	}
	return fd;
}

int walk_parent(struct state_walk *w, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd;

	*name = slash ? slash + 1 : path;
	if (w->parent >= 0 && len == w->dir_len && !memcmp(path, w->dir, len))
		return w->parent;
	fd = open_dirs(w, path, len);
	if (fd < 0)
		return fd;
	fd_close(&w->parent);
	w->parent = fd;
	memcpy(w->dir, path, len);
	w->dir_len = len;
	return fd;
}

int walk_open(struct state_walk *w, const char *path)
{
	const char *name;
	int parent, fd;

	if (!*path) {
		fd = fcntl(w->fs->box->root_fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	parent = walk_parent(w, path, &name);
	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- where a descriptor is --- */

#define NUMBERS (STATX_INO | STATX_TYPE | STATX_MNT_ID)

static bool same_numbers(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor && a->stx_mnt_id == b->stx_mnt_id &&
	       (a->stx_mode & S_IFMT) == (b->stx_mode & S_IFMT);
}

static int stat_name(int dir, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

	return statx(dir, name, flags, NUMBERS, st) < 0 ? -errno : 0;
}

/* What the kernel calls fd. The length, or -errno. */
static int link_of(const struct fs *fs, int fd, char *buf)
{
	struct fd_name name = fd_name(fd);
	ssize_t n = readlinkat(fs->box->proc_self_fd, name.s, buf, STATE_PATH_MAX + 1);

	if (n < 0)
		return -errno;
	if (n > (ssize_t)STATE_PATH_MAX)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return (int)n;
}

/* Takes the share's own path from the front of path. */
static int strip_root(const struct fs *fs, char *path, size_t len)
{
	char root[STATE_PATH_MAX + 1];
	int ret = link_of(fs, fs->box->root_fd, root);
	size_t skip = ret > 1 ? (size_t)ret : 0; /* "/" is shorter than it looks */

	if (ret < 0)
		return ret;
	if (len < skip || memcmp(path, root, skip))
		return -ESTALE;
	if (len == skip || path[skip] != '/')
		return len == skip && skip ? (path[0] = '\0', 0) : -ESTALE;
	memmove(path, path + skip + 1, len - skip); /* and the NUL */
	return 0;
}

int path_of_fd(struct state_walk *w, int fd, char *path)
{
	struct statx want, st;
	const char *name = "";
	int ret = stat_name(fd, "", &want), dir = w->fs->box->root_fd;
	int len = ret ? ret : link_of(w->fs, fd, path);

	if (len < 0)
		return len;
	ret = strip_root(w->fs, path, (size_t)len);
	if (ret)
		return ret;
	if (!path_ok(path, strlen(path)))
		return -ESTALE;
	if (*path)
		dir = walk_parent(w, path, &name);
	if (dir < 0 || stat_name(dir, name, &st) || !same_numbers(&st, &want))
		return -ESTALE;
	return 0;
}

/* --- which inode it is --- */

int fh_of(int fd, const char *name, struct state_fh *out)
{
	int mnt_id;

	out->fh.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, name, &out->fh, &mnt_id, *name ? 0 : AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

void fh_of_inode(const struct inode *i, struct state_fh *out)
{
	out->fh.handle_bytes = i->handle_len;
	out->fh.handle_type = i->handle_type;
	memcpy(out->fh.f_handle,
	       i->handle_len > INODE_HANDLE_INLINE ? i->h.long_handle : i->h.handle, i->handle_len);
}

bool fh_equal(const struct state_fh *a, const struct state_fh *b)
{
	return a->fh.handle_bytes == b->fh.handle_bytes && a->fh.handle_type == b->fh.handle_type &&
	       !memcmp(a->fh.f_handle, b->fh.f_handle, a->fh.handle_bytes);
}

bool name_is(struct fs *fs, int dir, const char *name, const struct inode *i)
{
	const struct mount *m = mount_at(fs, i->mount);
	struct state_fh known, there;
	struct statx st;

	if (stat_name(dir, name, &st) || st.stx_ino != i->ino || st.stx_mnt_id != m->mnt_id ||
	    st.stx_dev_major != m->dev_major || st.stx_dev_minor != m->dev_minor ||
	    (st.stx_mode & S_IFMT) != i->type)
		return false;
	if (!i->handle_len)
		return true; /* its open descriptor keeps the number from being used again */
	fh_of_inode(i, &known);
	return !fh_of(dir, name, &there) && fh_equal(&known, &there);
}

bool path_leads_to(struct state_walk *w, const char *path, const struct inode *i)
{
	const char *name = "";
	int dir = *path ? walk_parent(w, path, &name) : w->fs->box->root_fd;

	return dir >= 0 && name_is(w->fs, dir, name, i);
}

/* --- messages --- */

struct shown shown(const char *path)
{
	struct shown out;
	size_t len = strlen(path), n = 0;

	/* The end says more than the beginning. */
	if (len >= sizeof(out.s)) {
		path += len - (sizeof(out.s) - 4);
		memcpy(out.s, "...", 3);
		n = 3;
	}
	for (; *path; path++)
		out.s[n++] = (unsigned char)*path < ' ' || *path == 0x7f ? '?' : *path;
	out.s[n] = '\0';
	return out;
}
