/* SPDX-License-Identifier: BSD-2-Clause */
/* The inputs of fuzz_fs, and sequences of requests to begin with. */
#ifndef TESTS_FUZZ_FS_SEEDS_H
#define TESTS_FUZZ_FS_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/le.h"
#include "wire/fuse.h"

struct input {
	uint8_t what; /* WHAT_* */
};

#define WHAT_SWAPPED 0x01u
#define WHAT_NO_INIT 0x02u
#define WHAT_CONFIG  4 /* the bits from this one on: number of a configuration */

/* A request; its body of len bytes follows. */
struct record {
	uint8_t opcode;
	uint8_t how;	/* HOW_* */
	uint8_t node;	/* number of a node that is known, forged above 127, or NODE_OF_HANDLE */
	uint8_t handle; /* 0: as the body says; else 1 + number of one that is known */
	uint8_t room;	/* for the answer, from a table; and ROOM_* */
	uint8_t cut;	/* bytes of the first readable buffer, 0: all */
	le16 len;
};

#define NODE_OF_HANDLE 255u

#define HOW_LONG    0x01u /* the body goes on for longer */
#define HOW_SHORT   0x02u /* the chain ends after cut bytes */
#define HOW_LEN	    0x04u /* the header has another length */
#define HOW_HOLE    0x08u /* a buffer that does not translate */
#define HOW_OVERLAP 0x10u /* the answer is written over the request */
#define HOW_PIECES  0x20u /* room for the answer in small pieces */
#define HOW_HIPRIO  0x40u /* in queue 0 */
#define HOW_EXT	    0x80u /* cut units of 8 bytes are extensions */

/* What the front end does about the window while this is served. */
#define ROOM_FRONT   0xc0u
#define ROOM_REFUSES 0x40u
#define ROOM_WAITS   0x80u
#define ROOM_STOPS   0xc0u /* the device does, and continues; cut: what is lost */

/* What a guest says first, if not told otherwise. */
extern const struct fuse_init_in seed_init;

/* As fuzz_seed(). */
size_t seed_make(unsigned i, uint8_t *buf, size_t cap);

#endif
