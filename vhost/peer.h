/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process at the other end of a unix socket. It may have mapped what it was sent for as
 * long as it lives, whatever becomes of the connection.
 */
#ifndef VHOST_PEER_H
#define VHOST_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct peer {
	pid_t pid; /* 0: not known */
	int pidfd; /* readable when it has ended; -1: not known */
};

/* Who has connected this socket. A kernel without pidfds (before 5.3) cannot tell. */
struct peer peer_of(int sock);

/* Does it still run? False if it is not known. */
bool peer_lives(const struct peer *p);

/* p is not known any more. May be called twice. */
void peer_forget(struct peer *p);

#endif
