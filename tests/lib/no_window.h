/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of parts of fs/ without a DAX window: no file is ever in it. */
#ifndef TESTS_NO_WINDOW_H
#define TESTS_NO_WINDOW_H

#include "fs/dax.h"

bool dax_is_mapped(struct fs *fs, const struct inode *i)
{
	(void)fs;
	return i->flags & INODE_DAX_MAPPED;
}

int dax_changed(struct fs *fs, struct inode *i, uint64_t off, uint64_t len)
{
	(void)fs, (void)i, (void)off, (void)len;
	return 0;
}

int dax_save(struct fs *fs, struct inode *i)
{
	(void)fs, (void)i;
	return 0;
}

int dax_write_back(struct fs *fs, struct inode *i)
{
	(void)fs, (void)i;
	return 0;
}

int dax_write_back_all(struct fs *fs)
{
	(void)fs;
	return 0;
}

#endif
