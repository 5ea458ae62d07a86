/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/listen.h"
#include "host/fd.h"
#include "host/log.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The directory that path is in, O_PATH, into *fd. */
static int open_directory(const char *path, int *fd)
{
	const char *base = base_name(path);
	char *dir = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
	int ret = 0;

	if (!dir)
		return -ENOMEM;
	*fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0) {
		ret = -errno;
		log_err(dir, "cannot listen here: %s", strerror(-ret));
	}
	free(dir);
	return ret;
}

/* Opens and locks the file; 1 if somebody has removed it meanwhile. */
static int try_pid_file(struct fs_socket *s)
{
	struct stat ours, there;

	s->pid_fd = openat(s->dir_fd, base_name(s->pid_path),
			   O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->pid_fd < 0 || flock(s->pid_fd, LOCK_EX | LOCK_NB) < 0 || fstat(s->pid_fd, &ours) < 0)
		return -errno;
	if (fstatat(s->dir_fd, base_name(s->pid_path), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return 0;
	fd_close(&s->pid_fd);
	return 1;
}

static int write_pid_file(struct fs_socket *s)
{
	int ret;

	do
		ret = try_pid_file(s);
	while (ret > 0);
	if (!ret && (ftruncate(s->pid_fd, 0) < 0 || dprintf(s->pid_fd, "%d\n", (int)getpid()) < 0))
		ret = -errno;
	if (ret)
		log_err(s->pid_path, "cannot write our process number here: %s%s", strerror(-ret),
			ret == -EWOULDBLOCK ? " (a daemon for this socket is running)" : "");
	return ret;
}

static int share_with_group(const char *path, const char *name)
{
	const struct group *group = getgrnam(name);

	if (!group) {
		log_err(NULL, "--socket-group: there is no group %s", name);
		return -EINVAL;
	}
	if (chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, 0660) < 0) {
		int err = errno;

		log_err(path, "cannot be given to the group %s: %s", name, strerror(err));
		return -err;
	}
	return 0;
}

static int open_path(struct fs_socket *s, const struct fs_options *o)
{
	int ret;

	s->path = o->socket_path;
	s->listening = true;
	if (asprintf(&s->pid_path, "%s.pid", s->path) < 0) {
		s->pid_path = NULL;
		return -ENOMEM;
	}
	ret = open_directory(s->path, &s->dir_fd);
	if (!ret)
		ret = write_pid_file(s);
	if (ret)
		return ret;
	s->fd = listen_unix(s->path);
	if (s->fd < 0)
		return s->fd;
	s->bound = true;
	return o->socket_group ? share_with_group(s->path, o->socket_group) : 0;
}

static int open_control(struct fs_socket *s, const char *path)
{
	int ret = open_directory(path, &s->control_dir_fd);

	if (ret)
		return ret;
	s->control_fd = listen_unix(path);
	if (s->control_fd < 0)
		return s->control_fd;
	s->control_path = path;
	return 0;
}

int fs_socket_open(struct fs_socket *s, const struct fs_options *o)
{
	int ret;

	if (o->socket_path) {
		ret = open_path(s, o);
	} else {
		s->fd = (int)o->fd;
		ret = inherited_socket(s->fd, &s->listening);
	}
	return ret || !o->control ? ret : open_control(s, o->control);
}

void fs_socket_remove(struct fs_socket *s)
{
	if (s->control_dir_fd >= 0 && s->control_path)
		unlinkat(s->control_dir_fd, base_name(s->control_path), 0);
	fd_close(&s->control_dir_fd);
	if (s->dir_fd < 0 || s->pid_fd < 0)
		return;
	if (s->bound)
		unlinkat(s->dir_fd, base_name(s->path), 0);
	unlinkat(s->dir_fd, base_name(s->pid_path), 0); /* the lock last */
	fd_close(&s->dir_fd);
}

void fs_socket_stay(struct fs_socket *s, bool keep_lock)
{
	fd_close(&s->dir_fd);
	fd_close(&s->control_dir_fd);
	if (!keep_lock)
		fd_close(&s->pid_fd);
}

void fs_socket_close(struct fs_socket *s)
{
	fd_close(&s->fd);
	fd_close(&s->control_fd);
	fd_close(&s->pid_fd);
	fd_close(&s->dir_fd);
	fd_close(&s->control_dir_fd);
	free(s->pid_path);
	s->pid_path = NULL;
}
