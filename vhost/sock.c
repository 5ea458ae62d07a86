/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/sock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/fd.h"

static void msg_clear(struct vhost_msg *m)
{
	m->nfds = 0;
	for (unsigned i = 0; i < VHOST_USER_MAX_FDS; i++)
		m->fds[i] = -1;
}

void vhost_sock_init(struct vhost_sock *s, int fd)
{
	s->fd = fd;
	s->have = 0;
	msg_clear(&s->msg);
}

void vhost_sock_next(struct vhost_sock *s)
{
	fd_close_all(s->msg.fds, s->msg.nfds);
	msg_clear(&s->msg);
	s->have = 0;
}

void vhost_sock_close(struct vhost_sock *s)
{
	vhost_sock_next(s);
	fd_close(&s->fd);
}

/* Takes the descriptors of one control message; those beyond the limit are closed. */
static int take_fds(struct vhost_msg *m, const struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (m->nfds < VHOST_USER_MAX_FDS) {
			m->fds[m->nfds++] = fd;
		} else {
			fd_close(&fd);
			ret = -EPROTO;
		}
	}
	return ret;
}

/* Receives up to len bytes. The number, 0 if nothing is there, or -errno. */
static ssize_t recv_some(struct vhost_sock *s, void *buf, size_t len)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_FDS)];
	} control;
	struct iovec iov = { buf, len };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c;
	ssize_t n;
	int ret = 0;

	do
		n = recvmsg(s->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    take_fds(&s->msg, c))
			ret = -EPROTO;
	if (mh.msg_flags & MSG_CTRUNC)
		ret = -EPROTO;
	if (ret)
		return ret;
	return n ? n : -ECONNRESET;
}

/* Brings the message to a total of want bytes. 1 when it is there, 0 if not yet, or -errno. */
static int recv_until(struct vhost_sock *s, unsigned want)
{
	while (s->have < want) {
		char *to = s->have < sizeof(s->msg.hdr)
				   ? (char *)&s->msg.hdr + s->have
				   : (char *)s->msg.p.bytes + (s->have - sizeof(s->msg.hdr));
		ssize_t n = recv_some(s, to, want - s->have);

		if (n <= 0)
			return (int)n;
		s->have += (unsigned)n;
	}
	return 1;
}

int vhost_sock_recv(struct vhost_sock *s)
{
	const struct vhost_user_hdr *hdr = &s->msg.hdr;
	int ret = recv_until(s, sizeof(*hdr));

	if (ret != 1)
		return ret;
	if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    hdr->size > sizeof(s->msg.p))
		return -EPROTO;
	return recv_until(s, (unsigned)sizeof(*hdr) + hdr->size);
}

int vhost_sock_send(const struct vhost_sock *s, const struct vhost_msg *m, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct vhost_user_hdr hdr = m->hdr;
	uint8_t flat[sizeof(hdr) + sizeof(m->p)];
	struct iovec iov = { flat, sizeof(hdr) + hdr.size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	memcpy(flat, &hdr, sizeof(hdr));
	memcpy(flat + sizeof(hdr), m->p.bytes, hdr.size);
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	do
		n = sendmsg(s->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == iov.iov_len ? 0 : -EAGAIN;
}
