/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the list of requests (fs_ops.c) and their way through the queue (fs.c). */
#ifndef GUEST_FS_CALL_H
#define GUEST_FS_CALL_H

#include "vdax/fs.h"

/* What a reply must look like behind its header. */
enum vdax_fs_reply_kind {
	VDAX_FS_NO_REPLY,  /* the chain has no room for one */
	VDAX_FS_MAY_REPLY, /* a header, or nothing at all */
	VDAX_FS_EMPTY,	   /* a header */
	VDAX_FS_LAST,	   /* a header, and then the session is over */
	VDAX_FS_DATA,	   /* so many bytes as the device likes */
	VDAX_FS_INIT,	   /* from here on: a structure */
	VDAX_FS_ENTRY,	   /* may say that there is none */
	VDAX_FS_NEW_ENTRY, /* of something that was made */
	VDAX_FS_CREATED,
	VDAX_FS_ATTR,
	VDAX_FS_OPEN,
	VDAX_FS_STATFS,
	VDAX_FS_WRITTEN,
	VDAX_FS_XATTR_SIZE,
	VDAX_FS_LSEEK,
};

/* One request: the header is made from it, then body, list, names and data follow. */
struct vdax_fs_call {
	uint32_t opcode;
	enum vdax_fs_reply_kind kind;
	uint64_t nodeid;
	const void *body; /* borrowed, all of them */
	uint32_t body_len;
	const void *list;
	uint32_t list_len;
	const char *name[2];
	bool any_name; /* '/' may be in it: it is the name of an attribute */
	const struct vdax_fs_data *readable;
	const struct vdax_fs_data *writable; /* for VDAX_FS_DATA */
	uint64_t unique;		     /* 0: the next one */
	uint32_t asked, type;		     /* see struct vdax_fs_slot */
};

/* Returns as the request functions of vdax/fs.h do. */
int vdax_fs_send(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, const struct vdax_fs_call *call);

/* Bytes in all pieces; 0 if there are none, one is empty, or it is 2 GiB or more. */
uint32_t vdax_fs_data_len(const struct vdax_fs_data *data);

/* Cuts times that no clock shows; false if the attributes cannot be those of a file. */
bool vdax_fs_entry_ok(struct fuse_entry_out *e);

#endif
