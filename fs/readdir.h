/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of a directory: from the host kernel's records to FUSE's. Calls nobody. */
#ifndef FS_READDIR_H
#define FS_READDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/fuse.h"

/* What getdents64(2) fills a buffer with. */
struct host_dirent {
	uint64_t ino;
	int64_t off; /* where the entry after this one is */
	uint16_t reclen;
	uint8_t type; /* DT_* */
	char name[];  /* and a NUL; reclen is a multiple of 8 */
};

/* The longest record, with a name of NAME_MAX bytes. */
#define HOST_DIRENT_MAX 280u

/* The record at *pos of len bytes that getdents64() gave, and *pos behind it; NULL at the end. */
const struct host_dirent *dirent_next(const uint8_t *buf, size_t len, size_t *pos);

bool dirent_is_dot(const struct host_dirent *d); /* . or .. */

/* An answer that is being filled. */
struct dirents {
	uint8_t *buf; /* aligned to 8 */
	size_t max;
	size_t len; /* multiple of 8 */
	bool plus;  /* of READDIRPLUS */
};

/* Has the answer room for d? */
bool dirents_fit(const struct dirents *out, const struct host_dirent *d);

/*
 * Adds d, for which there is room. entry: what READDIRPLUS says of it, or NULL: nothing, so it does
 * not count as a lookup. ino is d's or what the guest shall see in its place.
 */
void dirents_add(struct dirents *out, const struct host_dirent *d, uint64_t ino,
		 const struct fuse_entry_out *entry);

/*
 * How many bytes getdents64() may give so that all of them surely have room in the rest of the
 * answer; but at least one entry, which need not, and at most max.
 */
size_t dirents_ask(const struct dirents *out, size_t max);

#endif
