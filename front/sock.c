/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/sock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"

int front_sock_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock, ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		close(sock);
		return ret;
	}
	return sock;
}

int front_sock_send_raw(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
	const uint8_t *p = buf;
	size_t sent = 0;

	if (nfds > 64)
		return -EINVAL;
	while (sent < len) {
		struct iovec iov = { (void *)(uintptr_t)(p + sent), len - sent };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (nfds && !sent) {
			struct cmsghdr *c = (struct cmsghdr *)(void *)control;

			mh.msg_control = control;
			mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
			memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
		}
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int front_sock_send(int sock, const struct front_msg *m)
{
	uint8_t buf[sizeof(m->hdr) + sizeof(m->p)]; /* there is padding between the two */
	size_t size = MIN(m->hdr.size, sizeof(m->p));

	memcpy(buf, &m->hdr, sizeof(m->hdr));
	memcpy(buf + sizeof(m->hdr), &m->p, size);
	return front_sock_send_raw(sock, buf, sizeof(m->hdr) + size, m->fds, m->nfds);
}

/* Keep what fits of the descriptors, close the rest. */
static void take_fds(struct front_msg *m, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (m->nfds < ARRAY_SIZE(m->fds))
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

/* Receive exactly len bytes before the deadline (CLOCK_MONOTONIC, ns). */
static int recv_all(int sock, struct front_msg *m, void *buf, size_t len, uint64_t deadline)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_FDS)];
	uint8_t *p = buf;

	while (len) {
		struct iovec iov = { .iov_base = p, .iov_len = len };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control) };
		struct pollfd pfd = { .fd = sock, .events = POLLIN };
		uint64_t now = clock_ns();
		ssize_t n;

		n = poll(&pfd, 1, now < deadline ? (int)((deadline - now) / 1000000 + 1) : 0);
		if (n == 0)
			return -ETIMEDOUT;
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		take_fds(m, &mh);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int front_sock_recv(int sock, struct front_msg *m, int timeout_ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000;
	int ret;

	m->nfds = 0;
	ret = recv_all(sock, m, &m->hdr, sizeof(m->hdr), deadline);
	if (!ret && m->hdr.size > sizeof(m->p))
		ret = -EPROTO;
	if (!ret)
		ret = recv_all(sock, m, &m->p, m->hdr.size, deadline);
	if (ret)
		front_msg_close(m);
	return ret;
}

void front_msg_close(struct front_msg *m)
{
	fd_close_all(m->fds, m->nfds);
	m->nfds = 0;
}
