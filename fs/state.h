/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Live migration: what the guest knows and has open, as it goes to another daemon. The contents of
 * the share do not; they must be there.
 *
 * The format: struct state_head, then records, each a struct state_record and len bytes, of
 * these kinds in this order:
 *
 *   SESSION  one: what INIT has agreed on
 *   MOUNT    by file handle only: each mount that has inodes, with the path of its root
 *   INODE    in ascending order of places: node id, and how to find the file
 *   HANDLE   in ascending order of places: an open file
 *   END      one: how many inodes and handles there were
 *
 * Little-endian, packed by hand, no padding. A PAUSE has no meaning and may be anywhere: it lets
 * the source notice that nobody wants the state any more. Paths are relative to the share, without
 * "." and "..", and end with their record; "" is the root itself.
 *
 * Not in the state: locks (the source holds them until it ends, so nobody else can take them
 * meanwhile), and where a directory handle stands (each READDIR says).
 */
#ifndef FS_STATE_H
#define FS_STATE_H

#include "base/le.h"
#include "virtio/state.h"

struct fs;

#define STATE_MAGIC   0x7461747353467856u /* "VxFSstat" */
#define STATE_VERSION 1u

struct state_head {
	le64 magic;
	le32 version; /* another one is refused */
	le32 zero;
};
_Static_assert(sizeof(struct state_head) == 16, "state_head");

enum state_kind {
	STATE_SESSION = 1,
	STATE_MOUNT,
	STATE_INODE,
	STATE_HANDLE,
	STATE_END,
	STATE_PAUSE,
};

struct state_record {
	le32 kind;
	le32 len; /* bytes that follow */
};

struct state_session {
	le64 features; /* FUSE_* INIT flags in force */
	le32 minor;    /* of the guest's protocol */
	uint8_t ready; /* has there been an INIT? */
	uint8_t swapped;
	uint8_t zero[2];
};
_Static_assert(sizeof(struct state_session) == 16, "state_session");

struct state_mount { /* a path follows */
	le32 id;
};

#define STATE_BY_PATH	0x01u
#define STATE_BY_HANDLE 0x02u /* without, a handle is there for comparison only */
#define STATE_LOST	0x04u /* the source does not know how to find it */
#define STATE_SUBMOUNT	0x08u /* the guest knows it as the root of a mount */

struct state_inode { /* a handle and a path follow */
	le64 nodeid;
	le64 nlookup; /* 0: it lives because it is open */
	le64 ino;
	le32 mount; /* BY_HANDLE: id of a MOUNT */
	le32 handle_type;
	le16 type; /* S_IFMT bits */
	uint8_t how;
	uint8_t handle_len;
	le32 zero;
};
_Static_assert(sizeof(struct state_inode) == 40, "state_inode");

#define STATE_OPEN_READ	   0x01u
#define STATE_OPEN_WRITE   0x02u
#define STATE_OPEN_APPEND  0x04u
#define STATE_OPEN_DSYNC   0x08u
#define STATE_OPEN_SYNC	   0x10u
#define STATE_OPEN_DIRECT  0x20u
#define STATE_OPEN_NOATIME 0x40u
#define STATE_OPEN_DIR	   0x80u

struct state_handle {
	le64 fh;
	le64 nodeid;
	le32 flags; /* STATE_OPEN_* */
	le32 zero;
};
_Static_assert(sizeof(struct state_handle) == 24, "state_handle");

struct state_end {
	le64 inodes, handles;
};

/* The longest path, without a NUL; and record. */
#define STATE_PATH_MAX	 4095u
#define STATE_RECORD_MAX (sizeof(struct state_inode) + 255 + STATE_PATH_MAX)

/* struct device_ops, save() and load(). dev is a struct fs. */
int fs_save(void *dev, struct state_out *out);
int fs_load(void *dev, struct state_in *in);

#endif
