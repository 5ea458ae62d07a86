/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/fd.h"

struct peer peer_of(int sock)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	struct peer p = { .pidfd = -1 };

	/* A process of a pid namespace that we do not see has the number 0. */
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0)
		return p;
	p.pid = cred.pid;
	p.pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	return p;
}

bool peer_lives(const struct peer *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd >= 0 && poll(&pfd, 1, 0) == 0;
}

void peer_forget(struct peer *p)
{
	fd_close(&p->pidfd);
	p->pid = 0;
}
