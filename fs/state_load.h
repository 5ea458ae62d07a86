/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of loading a state: for fs/state_load*.c only. */
#ifndef FS_STATE_LOAD_H
#define FS_STATE_LOAD_H

#include <sys/stat.h>

#include "fs/state.h"
#include "fs/state_path.h"

/* A mount of the source. */
struct from_mount {
	uint32_t id;
	int fd;	   /* for open_by_handle_at() */
	int known; /* index in our table, with a reference */
	struct statx root;
};

struct load {
	struct fs *fs;
	struct state_in *in;
	enum state_kind last;
	uint64_t n_inodes, n_handles, n_lost;
	uint32_t last_inode, last_handle; /* places */
	struct from_mount *mounts;
	uint32_t n_mounts;
	/* Inodes that the guest does not know any more, but has open: node ids. */
	uint64_t *unknown;
	size_t n_unknown, cap_unknown;
	/* Inodes that were opened by handle and are not known to be in the share: node ids. */
	uint64_t *strangers;
	size_t n_strangers, cap_strangers;
	struct state_walk walk;
	uint8_t record[STATE_RECORD_MAX + 1]; /* and a NUL */
	uint32_t len;
};

/* -EPROTO, after a message. */
int load_malformed(const struct load *l, const char *what);

/* A file cannot be had: err, after a message, or 0 if the guest is to live with that. */
int load_lose(struct load *l, const char *what, const char *path, uint64_t id, int err);

/* The record in l->record. 0 or -errno. */
int load_mount(struct load *l);
int load_inode(struct load *l);

/* After the last inode. 0, or -EXDEV: one is not in the share. */
int load_check_strangers(struct load *l);

#endif
