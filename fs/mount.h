/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mounts in the share that the guest has seen: what open_by_handle_at() needs of each, and
 * whether files there have handles at all. An entry lives as long as an inode refers to it.
 * The descriptor (or those of its inodes) keeps the mount's id from being used again.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct fs;

struct mount {
	_Atomic uint32_t refs; /* none: under the lock it goes */
	uint32_t dev_major, dev_minor;
	uint64_t mnt_id;
	int fd;		  /* opened, not O_PATH, for open_by_handle_at(); -1: no handles here */
	bool handles;	  /* files here are known by handle */
	bool local;	  /* no server behind it: close() has no errors to report */
	uint64_t fs_type; /* of statfs() */
	/* What fs/op_io.c has learned, for reads and writes; 0 at first. Any thread. */
	_Atomic bool no_nowait[2];	/* RWF_NOWAIT is not known here */
	_Atomic uint64_t slow_until[2]; /* CLOCK_MONOTONIC ns: a call took long lately */
};

#define MOUNT_MAX 4096u

struct mount_table {
	pthread_mutex_t lock;
	struct mount *m[MOUNT_MAX];
	uint32_t n; /* places in use so far */
	_Atomic bool all_local;
	_Atomic bool twice; /* a file may be reached by several of them */
};

int mount_table_init(struct mount_table *t);
void mount_table_fini(struct mount_table *t);

/*
 * The entry of the mount that st (filled with FS_STATX_MASK) is on, with a reference; made if
 * need be, by opening name below pfd (name "": pfd itself) or what is above it on that mount.
 * hint: the entry of the parent, tried first without the lock; UINT32_MAX for none. Returns the
 * index, or -errno: -ENFILE, -ENOMEM.
 */
int mount_find(struct fs *fs, uint32_t hint, int pfd, const char *name, const struct statx *st);
void mount_put(struct fs *fs, uint32_t index);

/* Whoever has a reference, or an inode that does, may look without the lock. */
struct mount *mount_at(struct fs *fs, uint32_t index);

#endif
