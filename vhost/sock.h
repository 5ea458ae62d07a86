/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Framing of vhost-user messages on a non-blocking unix stream socket, both channels alike.
 * A message is assembled piece by piece, so a peer that sends half of one holds up nobody.
 */
#ifndef VHOST_SOCK_H
#define VHOST_SOCK_H

#include <stdint.h>

#include "wire/vhost_user.h"

struct vhost_msg {
	struct vhost_user_hdr hdr;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_mem_table mem_table;
		struct vhost_user_mem_reg mem_reg;
		struct vhost_user_config config;
		struct vhost_user_log log;
		struct vhost_user_transfer_state transfer;
		struct vhost_user_shmem_config shmem;
		struct vhost_user_mmap mmap;
		uint8_t bytes[sizeof(struct vhost_user_shmem_config)]; /* the largest */
	} p;
	int fds[VHOST_USER_MAX_FDS]; /* owned; take one by making it -1 */
	unsigned nfds;
};

struct vhost_sock {
	int fd;		      /* -1 when there is none */
	unsigned have;	      /* bytes of msg that have arrived */
	struct vhost_msg msg; /* the one that is being received, or handled */
};

/* Takes fd. */
void vhost_sock_init(struct vhost_sock *s, int fd);

/* Closes the socket and what was received with an unfinished message. May be called twice. */
void vhost_sock_close(struct vhost_sock *s);

/*
 * Receives. Returns 1 when s->msg is complete (call vhost_sock_next() when done with it), 0
 * when more must arrive, -ECONNRESET at the end of the stream, -EPROTO for what is not
 * vhost-user (a wrong version, too long, too many descriptors), or another -errno.
 */
int vhost_sock_recv(struct vhost_sock *s);

/* Forgets the message, closing what descriptors it still owns. */
void vhost_sock_next(struct vhost_sock *s);

/*
 * Sends m, its payload as long as m->hdr.size says, with fd (borrowed; -1 for none). Never
 * waits: a peer that lets the socket fill up gets -EAGAIN and should be given up. 0 or -errno.
 */
int vhost_sock_send(const struct vhost_sock *s, const struct vhost_msg *m, int fd);

#endif
