/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the table of inodes, for fs/inode*.c only. */
#ifndef FS_INODE_TABLE_H
#define FS_INODE_TABLE_H

#include "fs/inode.h"

/* The place, or NULL if no place near it was ever handed out. */
struct inode *inode_at(const struct inode_table *t, uint32_t index);

/* A free place: no references, and the generation that its next inode will have; or NULL. */
struct inode *inode_place_new(struct inode_table *t);
void inode_place_free(struct inode_table *t, struct inode *i);

/* That very place, above all that were handed out so far, with that generation; or NULL. */
struct inode *inode_place_take(struct inode_table *t, uint32_t index, uint32_t gen);

/* One more reference, unless there is none, or, with gen, it is not of that generation. */
bool inode_try_ref(struct inode *i, const uint32_t *gen);

uint32_t inode_hash(uint64_t ino, uint32_t mount);
struct inode_shard *inode_shard_of(struct inode_table *t, uint32_t hash);
uint32_t *inode_bucket_of(const struct inode_shard *s, uint32_t hash);

#endif
