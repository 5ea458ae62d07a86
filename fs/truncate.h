/* SPDX-License-Identifier: BSD-2-Clause */
/* The one place where a file gets another size, as it may be mapped into this guest or another. */
#ifndef FS_TRUNCATE_H
#define FS_TRUNCATE_H

#include <stdint.h>

struct fs;
struct inode;

/*
 * fd is open for writing, or -1: then one is opened for the purpose. 0 or -errno: -ETXTBSY if it
 * would shrink while another VM has it mapped.
 */
int fs_truncate(struct fs *fs, struct inode *i, int fd, int64_t size);

#endif
