/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of opcodes: one line for each request that we serve. */
#ifndef FS_DISPATCH_H
#define FS_DISPATCH_H

#include "fs/req.h"

#define OP_INODE   0x01u /* nodeid must be an inode: rq->inode */
#define OP_HANDLE  0x02u /* the body begins with fh, an open one of that inode: rq->handle */
#define OP_WRITES  0x04u /* -EROFS on a read-only share */
#define OP_SILENT  0x08u /* has no answer, not even an error */
#define OP_NO_INIT 0x10u /* may come before INIT */
#define OP_USER                                                                                   \
	0x40u	      /* takes on the guest's user itself (fs/cred.h), from whoever the thread is \
		       */
#define OP_DATA 0x20u /* the body is followed by data, which stays in the chain */

struct fs_op {
	const char *name;
	int (*handler)(struct fs_req *rq);
	uint32_t body;	/* bytes that must be there */
	uint32_t reply; /* bytes that there must be room for */
	uint32_t flags; /* OP_* */
};

#define FS_OPCODES 64u
extern const struct fs_op fs_ops[FS_OPCODES];

/* Name of an opcode, for messages and statistics; NULL if we do not serve it. */
const char *fs_op_name(uint32_t opcode);

/* Serves the chain that q->chain has. Afterwards it is pushed, or FS_LATER owns its head. */
void fs_dispatch(struct fs_queue *q);

#endif
