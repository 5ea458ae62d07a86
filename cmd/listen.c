/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/fd.h"
#include "host/log.h"

static int unix_address(const char *path, struct sockaddr_un *sa)
{
	size_t len = strlen(path);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, len + 1);
	return 0;
}

static int connect_type(const char *path, int type)
{
	struct sockaddr_un sa;
	int fd, ret = unix_address(path, &sa);

	if (ret)
		return ret;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		fd_close(&fd);
		return ret;
	}
	return fd;
}

int connect_unix(const char *path)
{
	return connect_type(path, SOCK_STREAM);
}

/*
 * Removes a socket that nobody has. True if there is nothing in the way now. The wrong type of
 * socket finds out without disturbing who listens there: the answer is then EPROTOTYPE.
 */
static bool remove_stale(const char *path)
{
	struct stat st;
	int fd = connect_type(path, SOCK_DGRAM);

	if (fd >= 0) {
		fd_close(&fd);
		return false;
	}
	return fd == -ECONNREFUSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       unlink(path) == 0;
}

static int bind_private(int fd, const struct sockaddr_un *sa)
{
	mode_t old = umask(0177); /* whoever can connect gets the image */
	int ret = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	umask(old);
	return ret;
}

int listen_unix(const char *path)
{
	struct sockaddr_un sa;
	int fd = -1, ret = unix_address(path, &sa);

	if (!ret) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ret = fd < 0 ? -errno : bind_private(fd, &sa);
	}
	if (ret == -EADDRINUSE && remove_stale(path))
		ret = bind_private(fd, &sa);
	if (!ret && listen(fd, 8) < 0)
		ret = -errno;
	if (!ret)
		return fd;
	log_err(path, "cannot listen here: %s%s", strerror(-ret),
		ret == -EADDRINUSE ? " (a process listens there, or it is not a socket)" : "");
	fd_close(&fd);
	return ret;
}

int inherited_socket(int fd, bool *listening)
{
	int domain, type, accepting;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) < 0) {
		int err = errno;

		log_err(NULL, "--fd %d: %s; it must be an inherited unix socket", fd,
			strerror(err));
		return -err;
	}
	if (domain != AF_UNIX || type != SOCK_STREAM) {
		log_err(NULL, "--fd %d is not a unix stream socket", fd);
		return -EINVAL;
	}
	*listening = accepting;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}
