/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files and directories, by file handle (FUSE's fh): like inodes, places with generations,
 * found without a lock and counted. The guest's RELEASE gives back the first reference; a
 * request that is still under way holds its own, and the descriptor is closed with the last.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fs;
struct inode;

struct handle {
	_Atomic uint64_t ref; /* generation << 32 | references */
	uint32_t index;
	uint32_t next_free;
	int fd;
	int flags;	     /* the guest's of OPEN: O_ACCMODE, O_APPEND, O_DIRECT as opened */
	struct inode *inode; /* with a reference */
	bool is_dir;
	_Atomic bool released; /* the guest has no reference any more */
	/* Directories: READDIR of one handle from several queues is serialised. */
	pthread_mutex_t dir_lock;
	int64_t dir_pos; /* where the descriptor stands */
};

#define HANDLE_CHUNK 256u
#define HANDLE_MAX   (1u << 22)

struct handle_table {
	pthread_mutex_t lock;
	struct handle *_Atomic *chunks;
	uint32_t free;
	uint32_t used;
	uint32_t chunks_end; /* behind the last chunk there is */
	_Atomic uint64_t count;
};

int handle_table_init(struct handle_table *t);
void handle_table_fini(struct fs *fs);

/*
 * Makes a handle of an open descriptor, which it takes in every case, and of inode, of which it
 * takes its own reference. 0 and *fh, or -ENFILE, -ENOMEM.
 */
int handle_new(struct fs *fs, struct inode *inode, int fd, int flags, bool is_dir, uint64_t *fh);

/*
 * For migration: the same under a given fh, in a higher place than all there are. -EEXIST if it is
 * taken. fd -1: the file is not to be had, and all that the guest asks of it is EBADF.
 */
int handle_restore(struct fs *fs, uint64_t fh, struct inode *inode, int fd, int flags, bool is_dir);

/* Before a state is loaded: all places are free again. 0, -EBUSY if they are not. */
int handle_table_restart(struct handle_table *t);

/* The handle, with a reference, or NULL: made up, released, or of another inode than nodeid's. */
struct handle *handle_get(struct fs *fs, uint64_t fh, uint64_t nodeid);
struct handle *handle_ref(struct handle *h);
void handle_put(struct fs *fs, struct handle *h);

/* RELEASE: no new request finds it. Borrows the caller's reference. False if that was done before.
 */
bool handle_release(struct fs *fs, struct handle *h);

void handle_release_all(struct fs *fs);

/* Calls fn for each handle, with a reference held, until it returns non-zero, which is returned. */
int handle_each(struct fs *fs, int (*fn)(struct fs *fs, struct handle *h, void *arg), void *arg);

static inline uint64_t handle_id(const struct handle *h)
{
	uint64_t gen = atomic_load_explicit(&h->ref, memory_order_relaxed) >> 32;

	return gen << 32 | h->index;
}

#endif
