/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The raw layer: whole vhost-user messages on a stream socket, right or wrong. Nothing here
 * knows what a message means, so that a test can send any bytes with any descriptors.
 */
#ifndef FRONT_SOCK_H
#define FRONT_SOCK_H

#include <stddef.h>
#include <stdint.h>

#include "wire/vhost_user.h"

#define FRONT_PAYLOAD_MAX 4096u

struct front_msg {
	struct vhost_user_hdr hdr;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_mem_table table;
		struct vhost_user_mem_reg reg;
		struct vhost_user_config config;
		struct vhost_user_shmem_config shmem;
		struct vhost_user_mmap mmap;
		uint8_t bytes[FRONT_PAYLOAD_MAX];
	} p;
	int fds[VHOST_USER_MAX_FDS]; /* sent: borrowed; received: the caller's to close */
	unsigned int nfds;
};

/* Returns a connected socket or -errno. */
int front_sock_connect(const char *path);

/* Send len bytes, the descriptors (borrowed) with the first one. Blocks. 0 or -errno. */
int front_sock_send_raw(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds);

/* Send the header and hdr.size bytes of payload (no more than there is room for). */
int front_sock_send(int sock, const struct front_msg *m);

/*
 * Receive one message. Returns 0; -ETIMEDOUT if it is not complete after timeout_ms;
 * -EPIPE at the end of the stream; -EPROTO if the payload does not fit; or another -errno.
 * On error no descriptor is left open.
 */
int front_sock_recv(int sock, struct front_msg *m, int timeout_ms);

/* Close the descriptors that came with a message. */
void front_msg_close(struct front_msg *m);

#endif
