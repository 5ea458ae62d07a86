/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUSE messages of a guest whose byte order is not ours: turned into ours before a handler sees
 * them, and back. Swapping twice gives what was there. Nobody calls this for a guest of our order.
 */
#ifndef FS_BYTEORDER_H
#define FS_BYTEORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/fuse.h"

/*
 * Integers of an opcode's request and reply, one digit for each: its width in bytes. What follows
 * them is bytes, but for the tails that fs/byteorder.c knows. NULL: no such request or reply.
 */
struct fs_layout {
	const char *request;
	const char *reply;
	unsigned names; /* strings with NUL that follow the integers of the request */
};
extern const struct fs_layout fs_layouts[FUSE_OPCODE_END];

/* Is this, as it came, the INIT of a guest of the other order? */
bool fs_is_swapped_init(const struct fuse_in_header *raw);

void fs_swap_in_header(struct fuse_in_header *h);
void fs_swap_out_header(struct fuse_out_header *h);

/*
 * The readable bytes behind in_header, to our order, in place; alignment does not matter. Swaps
 * what is there of a body that is too short. Opcode and total_extlen are in our order; features
 * are the INIT flags in force, 0 before. An opcode that is not in the table is left alone.
 * -EINVAL if a count or size in the body says more than there is: the body is useless then.
 */
int fs_swap_request(uint32_t opcode, void *body, size_t len, uint16_t total_extlen,
		    uint64_t features);

/*
 * What fs_swap_reply() needs to know of the request, from its body in our order: the cmd of IOCTL,
 * the size of GETXATTR and LISTXATTR, 0 for all others.
 */
uint32_t fs_swap_hint(uint32_t opcode, const void *body, size_t len);

/* The writable bytes behind out_header, of a reply without error, from our order, in place. */
void fs_swap_reply(uint32_t opcode, void *body, size_t len, uint32_t hint);

#endif
