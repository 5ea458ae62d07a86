/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and other strings in a request's body, one after another. */
#ifndef FS_NAME_H
#define FS_NAME_H

#include <stdint.h>

#include "fs/req.h"

struct cursor {
	const char *p;
	uint32_t left; /* bytes */
};

/* The body from off on. off is at most the size that the table of opcodes has checked. */
struct cursor fs_cursor(const struct fs_req *rq, uint32_t off);

/*
 * The next string as the name of a directory entry: 0 and *name (inside of the body), or -EINVAL
 * (no NUL, empty, has a slash, is . or ..), -ENAMETOOLONG.
 */
int fs_next_name(struct cursor *c, const char **name);

/* The next string, whatever it is, of at most max bytes without its NUL. 0, -EINVAL,
 * -ENAMETOOLONG. */
int fs_next_string(struct cursor *c, uint32_t max, const char **s);

/* Decimal name of a descriptor, relative to our working directory /proc/self/fd. */
struct fd_name {
	char s[12];
};
struct fd_name fd_name(int fd);

#endif
