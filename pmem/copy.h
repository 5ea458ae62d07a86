/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PMEM_COPY_H
#define PMEM_COPY_H

#include <stdint.h>

/*
 * A private, writable copy of the image behind fd, that goes away with its last user: a
 * reflink into an unnamed file beside the image if the file system can do that, which costs
 * nothing; else a copy in memory of at most limit bytes (0: half of what is free).
 * Returns the descriptor and names in *kind what it is, or logs why not and returns -errno.
 */
int copy_private(const char *path, int fd, uint64_t size, uint64_t limit, const char **kind);

#endif
