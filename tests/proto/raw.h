/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A front end below front/: single messages, right or wrong, and what comes back. Whether a
 * message is answered shows without waiting: GET_FEATURES goes after it, and the first
 * answer is either the message's or that one's.
 */
#ifndef TESTS_PROTO_RAW_H
#define TESTS_PROTO_RAW_H

#include "front/sock.h"
#include "tests/lib/daemon.h"

#define RAW_PROTOCOL_BITS                                                                \
	(UINT64_C(1) << 0 | UINT64_C(1) << 3 | UINT64_C(1) << 5 | UINT64_C(1) << 9 |     \
	 UINT64_C(1) << 10 | UINT64_C(1) << 13 | UINT64_C(1) << 15 | UINT64_C(1) << 16 | \
	 UINT64_C(1) << 22)
#define RAW_FEATURES                                                                    \
	(UINT64_C(1) << 32 | UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 0 | \
	 UINT64_C(1) << 30)
#define RAW_RAM	     MIB(1)
#define RAW_UVA	     UINT64_C(0x7f0000000000) /* where the front end says its RAM is */
#define RAW_NEED_ACK (VHOST_USER_VERSION | VHOST_USER_F_NEED_REPLY)

enum raw_outcome {
	RAW_CLOSED, /* the connection */
	RAW_SILENT, /* no answer; the connection lives */
	RAW_ACK,    /* a u64 of 0 */
	RAW_NACK,   /* a u64 that is not 0 */
	RAW_EMPTY,  /* an answer without payload */
	RAW_REPLY,  /* another answer, in reply */
	RAW_WRONG,  /* something else */
};

struct raw {
	int sock;
	int ram_fd;
	int event;   /* an eventfd for every purpose */
	int pair[2]; /* a back-end channel */
	struct front_msg reply;
};

/* Connects; nothing is sent. */
void raw_open(struct raw *r, const struct daemon *d);
/* The same on a connected socket, which is taken. */
void raw_open_on(struct raw *r, int sock);
void raw_close(struct raw *r);

/* Negotiates these protocol features and all virtio features. */
void raw_negotiate(struct raw *r, uint64_t protocol);

/* A right message of this kind for a fresh connection, or one of 8 bytes if we know none. */
void raw_fill(const struct raw *r, uint32_t request, struct front_msg *m);

/* Gives m n descriptors, whatever it had. m->fds has room for 8; a ninth is not its affair. */
void raw_set_fds(const struct raw *r, struct front_msg *m, unsigned n);

/* Sends m with its flags (and extra more descriptors) and sees what comes. */
enum raw_outcome raw_call(struct raw *r, const struct front_msg *m);

/* Sends with any number of descriptors up to 64, all the same. */
enum raw_outcome raw_call_fds(struct raw *r, const struct front_msg *m, unsigned nfds);

/* Everything that front/ sends up to a running queue, in order. */
#define RAW_STARTUP_MAX 24u
unsigned raw_startup(const struct raw *r, struct front_msg out[RAW_STARTUP_MAX]);

#endif
