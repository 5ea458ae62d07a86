/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that get in each other's way: each worker does random things with the same few names, and
 * knows what it was told, so that in the end everything can be given back. Who carries requests
 * and answers is the caller's business.
 */
#ifndef TESTS_PROTO_FS_MIX_H
#define TESTS_PROTO_FS_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/fuse.h"

#define MIX_KNOWN 64u
#define MIX_ROOM  4096u /* bytes of an answer's body */

struct mix_node {
	uint64_t id, ino, n;
};

struct mix {
	uint32_t random;
	bool ending; /* only gives back */
	unsigned n_nodes;
	struct mix_node nodes[MIX_KNOWN];
	uint64_t fh, fh_node; /* one open file or directory at a time, or 0 */
	bool fh_is_dir;
	uint64_t done, failed,
		wrong; /* requests; of those, with an error; with an impossible one */
};

struct mix_rq {
	uint32_t opcode;
	uint64_t nodeid;
	uint8_t body[256];
	uint32_t len;
	bool silent;
};

void mix_init(struct mix *m, unsigned seed);

/* The next request. False: everything has been given back. */
bool mix_next(struct mix *m, struct mix_rq *rq);

/* Its answer: -errno, or the bytes of the body. */
void mix_answer(struct mix *m, const struct mix_rq *rq, int ret, const uint8_t *body);

#endif
