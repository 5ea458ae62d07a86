/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/attr.h"

#include "fs/dax.h"

#include "host/fd.h"

/* What a guest is told of a file itself, not of how the host has mounted it. */
#define SHOWN_ATTRIBUTES                                                                        \
	(STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP | \
	 STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY)

/* The kernel's 32-bit form of a device number: see wire/fuse_structs.h. */
static uint32_t rdev_of(const struct statx *st)
{
	uint32_t minor = st->stx_rdev_minor;

	return (minor & 0xff) | st->stx_rdev_major << 8 | (minor & ~0xffu) << 12;
}

/* FUSE_ATTR_*: what is said of an inode, not of the file. st: it may be told to map the file. */
static uint32_t inode_attr_flags(struct fs *fs, struct inode *inode, const struct statx *st)
{
	uint8_t known;
	uint32_t flags = 0;

	if (!inode)
		return 0;
	if (st && dax_wanted(fs, inode, st))
		flags |= FUSE_ATTR_DAX;
	known = atomic_load_explicit(&inode->flags, memory_order_relaxed);
	if (known & INODE_SUBMOUNT && fs->cfg->announce_submounts && fs_has(fs, FUSE_SUBMOUNTS))
		flags |= FUSE_ATTR_SUBMOUNT;
	if (known & INODE_DAX_GRANTED)
		flags |= FUSE_ATTR_DAX;
	return flags;
}

void attr_of(struct fs *fs, struct inode *inode, const struct statx *st, struct fuse_attr *out)
{
	if (inode)
		dax_seen(fs, inode, st);
	*out = (struct fuse_attr){
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = (uint64_t)st->stx_atime.tv_sec,
		.mtime = (uint64_t)st->stx_mtime.tv_sec,
		.ctime = (uint64_t)st->stx_ctime.tv_sec,
		.atimensec = st->stx_atime.tv_nsec,
		.mtimensec = st->stx_mtime.tv_nsec,
		.ctimensec = st->stx_ctime.tv_nsec,
		.mode = st->stx_mode,
		.nlink = st->stx_nlink,
		.uid = idmap_to_guest(&fs->uids, st->stx_uid),
		.gid = idmap_to_guest(&fs->gids, st->stx_gid),
		.rdev = rdev_of(st),
		.blksize = st->stx_blksize,
		.flags = inode_attr_flags(fs, inode, NULL),
	};
}

void attr_entry(struct fs *fs, struct inode *inode, const struct statx *st,
		struct fuse_entry_out *out)
{
	const struct fs_config *cfg = fs->cfg;

	/* A node id has its generation inside: see fs/inode.h. */
	*out = (struct fuse_entry_out){
		.nodeid = inode ? inode_id(inode) : 0,
		.entry_valid = cfg->entry_timeout_ns / NS_PER_S,
		.entry_valid_nsec = (uint32_t)(cfg->entry_timeout_ns % NS_PER_S),
		.attr_valid = cfg->attr_timeout_ns / NS_PER_S,
		.attr_valid_nsec = (uint32_t)(cfg->attr_timeout_ns % NS_PER_S),
	};
	attr_of(fs, inode, st, &out->attr);
	out->attr.flags = inode_attr_flags(fs, inode, st); /* here the guest may make its inode */
}

void attr_out(struct fs *fs, struct inode *inode, const struct statx *st, struct fuse_attr_out *out)
{
	const struct fs_config *cfg = fs->cfg;

	*out = (struct fuse_attr_out){
		.attr_valid = cfg->attr_timeout_ns / NS_PER_S,
		.attr_valid_nsec = (uint32_t)(cfg->attr_timeout_ns % NS_PER_S),
	};
	attr_of(fs, inode, st, &out->attr);
}

static struct fuse_sx_time sx_time(const struct statx_timestamp *t)
{
	return (struct fuse_sx_time){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

void attr_statx(struct fs *fs, struct inode *inode, const struct statx *st,
		struct fuse_statx_out *out)
{
	const struct fs_config *cfg = fs->cfg;

	if (inode)
		dax_seen(fs, inode, st);
	*out = (struct fuse_statx_out){
		.attr_valid = cfg->attr_timeout_ns / NS_PER_S,
		.attr_valid_nsec = (uint32_t)(cfg->attr_timeout_ns % NS_PER_S),
		.flags = inode_attr_flags(fs, inode, NULL),
	};
	out->stat = (struct fuse_statx){
		.mask = st->stx_mask & (STATX_BASIC_STATS | STATX_BTIME),
		.blksize = st->stx_blksize,
		.attributes = st->stx_attributes & SHOWN_ATTRIBUTES,
		.attributes_mask = st->stx_attributes_mask & SHOWN_ATTRIBUTES,
		.nlink = st->stx_nlink,
		.uid = idmap_to_guest(&fs->uids, st->stx_uid),
		.gid = idmap_to_guest(&fs->gids, st->stx_gid),
		.mode = st->stx_mode,
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = sx_time(&st->stx_atime),
		.btime = sx_time(&st->stx_btime),
		.ctime = sx_time(&st->stx_ctime),
		.mtime = sx_time(&st->stx_mtime),
		.rdev_major = st->stx_rdev_major,
		.rdev_minor = st->stx_rdev_minor,
		.dev_major = st->stx_dev_major,
		.dev_minor = st->stx_dev_minor,
	};
}

uint32_t attr_mode_killed(uint32_t mode)
{
	if (!S_ISREG(mode))
		return mode;
	mode &= ~(uint32_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(uint32_t)S_ISGID : mode;
}
