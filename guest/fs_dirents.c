/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What READDIR and READDIRPLUS returned, entry by entry. The bytes are in memory that the device
 * can write at any time: each is copied before it is looked at, and looked at in the copy.
 */
#include "guest/fs_call.h"

#include "base/range.h"
#include "vdax/errno.h"

void vdax_fs_dirents_start(struct vdax_fs_dirents *it, const void *bytes, int len, bool plus)
{
	*it = (struct vdax_fs_dirents){ .bytes = bytes,
					.len = len > 0 ? (uint32_t)len : 0,
					.plus = plus };
}

static bool name_ok(const char *name, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (!name[i] || name[i] == '/')
			return false;
	}
	return true;
}

/* Copy out the next len bytes; the record goes on. */
static bool take(struct vdax_fs_dirents *it, void *to, uint32_t len)
{
	if (!range_ok(it->at, len, it->len))
		return false;
	__builtin_memcpy(to, it->bytes + it->at, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* a copy from here on, not another look */
	it->at += len;
	return true;
}

int vdax_fs_dirents_next(struct vdax_fs_dirents *it, struct vdax_fs_dirent *d)
{
	const uint32_t began = it->at;
	struct fuse_dirent head;
	uint64_t after;

	if (it->at == it->len)
		return 0;
	d->entry.nodeid = 0;
	if (it->plus && (!take(it, &d->entry, sizeof(d->entry)) || !vdax_fs_entry_ok(&d->entry)))
		goto bad;
	if (!take(it, &head, sizeof(head)) || !head.namelen || head.namelen > VDAX_FS_NAME_MAX ||
	    !take(it, d->name, head.namelen) || !name_ok(d->name, head.namelen))
		goto bad;
	d->name[head.namelen] = '\0';
	d->name_len = head.namelen;
	d->ino = head.ino;
	d->off = head.off;
	d->type = head.type;
	/* The padding of the last one may be missing. */
	after = (uint64_t)began + FUSE_REC_ALIGN(it->at - began);
	it->at = after < it->len ? (uint32_t)after : it->len;
	return 1;
bad:
	it->at = it->len; /* nothing follows */
	return -VDAX_EIO;
}
