/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes that the guest knows, by node id.
 *
 * A node id is the inode's place in the table and the generation of that place, so a forged or
 * outdated one is found out. Places are never given back to the system while the table lives:
 * inode_get() needs no lock, it counts the reference with a compare-and-swap that fails when the
 * place is free or of another generation.
 *
 * References. Who calls inode_get() holds one until inode_put(). All lookups of the guest together
 * (nlookup, FUSE's count) hold one more. With the last one the inode is gone.
 *
 * Identity. An inode is (mount, ino), and to be the same file after ino was used again: the same
 * file handle, or, where there are none, the same open descriptor. A LOOKUP that finds a known
 * inode by its numbers and time of birth need not ask for the handle: ino is used again in a new
 * file, which is born later. Only for files that were young when we saw them the clock is too
 * coarse to tell; for those the handle is compared.
 *
 * Descriptors. Each inode has an O_PATH descriptor when it is used. With a file handle it can be
 * closed again at any time, so at most max_fds are open, and the ones that were not used for long
 * are closed first. Without handles (no CAP_DAC_READ_SEARCH, or the file system has none) it stays
 * open, and inode number max_fds + 1 is ENFILE. A handle is looked up by name apart from the
 * numbers, so the first open by handle checks that it is the same file; if not, it is ESTALE.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/config.h"

struct fs;
struct lock_owner;
struct mount;

#define INODE_HANDLE_INLINE 20u /* bytes of file handle; a longer one is allocated */

struct inode {
	_Atomic uint64_t ref; /* generation << 32 | references */
	_Atomic uint64_t fd;  /* descriptor + 1 << 32 | used << 31 | pins */
	uint64_t ino;
	int64_t btime_ns; /* time of birth, or INT64_MIN: not known */
	uint64_t nlookup; /* under the shard's lock */
	uint32_t next;	  /* in its hash chain, under the shard's lock; or the next free place */
	uint32_t index;	  /* its place */
	uint32_t mount;	  /* index in the table of mounts */
	uint16_t type;	  /* S_IFMT bits */
	uint8_t handle_len;
	_Atomic uint8_t flags; /* INODE_* */
	int32_t handle_type;
	_Atomic uint32_t writers; /* open files of the guest that can write */
	union {
		uint8_t handle[INODE_HANDLE_INLINE];
		uint8_t *long_handle;
	} h;
	struct lock_owner *locks; /* the first: fs/lock_owner.h, under fs->locks.lock; or NULL */
};

/* A guest may have a million of them; with its place in the hash that is some 104 bytes. */
_Static_assert(sizeof(struct inode) <= 96 || sizeof(void *) < 8, "struct inode size");

#define INODE_YOUNG	  0x01u /* its time of birth does not tell it from a later one of its ino */
#define INODE_VERIFIED	  0x02u /* the handle is known to be of this (mount, ino) */
#define INODE_PINNED	  0x04u /* the descriptor stays open: no handle, or the root */
#define INODE_SUBMOUNT	  0x08u /* the root of another mount than its parent's */
#define INODE_HELD	  0x10u /* the descriptor stays open: inode_hold() */
#define INODE_DAX_MAPPED  0x20u /* the guest owns, or has owned, pages of it in the window */
#define INODE_DAX_GRANTED 0x40u /* it was told to map it: FUSE_ATTR_DAX */
#define INODE_DAX_LOST	  0x80u /* a store into the window was lost, which nobody was told */

#define INODE_SHARDS	 64u
#define INODE_CHUNK	 1024u	    /* places that are allocated together */
#define INODE_MAX	 (1u << 24) /* 1.7 GB */
#define INODE_ROOT_INDEX 1u	    /* so that the root's node id is FUSE_ROOT_ID in generation 0 */

struct inode_shard {
	pthread_mutex_t lock;
	uint32_t *buckets; /* index of the first inode, 0: none */
	uint32_t mask;
	uint32_t count;
};

/* Inodes whose descriptor may be closed, in a ring that a hand goes round (CLOCK). */
struct inode_fds {
	pthread_mutex_t lock;
	uint32_t *ring; /* inode indices, 0: free */
	uint32_t cap;
	uint32_t hand;
	_Atomic uint32_t pinned; /* descriptors that stay open */
	uint32_t max;		 /* of both kinds together */
};

struct inode_table {
	struct inode_shard shards[INODE_SHARDS];
	struct inode *_Atomic *chunks;
	pthread_mutex_t alloc_lock; /* free list and chunks */
	uint32_t free;
	uint32_t used;	     /* places handed out so far */
	uint32_t chunks_end; /* behind the last chunk there is */
	_Atomic uint64_t count;
	struct inode_fds fds;
};

/* 0 or -errno. max_fds: see above, "Descriptors". */
int inode_table_init(struct inode_table *t, uint64_t max_fds);
/* All references but the guest's must be gone. */
void inode_table_fini(struct fs *fs);

/* Makes the root from fs->box->root_fd. 0 or -errno. */
int inode_root(struct fs *fs);

/* The guest forgets everything but the root. */
void inode_forget_all(struct fs *fs);

static inline uint64_t inode_id(const struct inode *i)
{
	uint64_t gen = atomic_load_explicit(&i->ref, memory_order_relaxed) >> 32;

	return gen << 32 | i->index;
}

/* The inode of a node id, with a reference, or NULL: the guest made it up, or has forgotten it. */
struct inode *inode_get(struct fs *fs, uint64_t nodeid);
struct inode *inode_ref(struct inode *i); /* one more; the caller has one */
void inode_put(struct fs *fs, struct inode *i);

/*
 * Finds name below parent (whose descriptor is pfd) and counts one lookup of the guest. Never
 * follows a symbolic link. name has no slash and is neither . nor .. (fs/name.h). Fills *st.
 * Returns 0 and *out, which needs no inode_put() but inode_unlookup() if the guest does not get
 * it; or -errno: as the host says, -ENFILE, -ENOMEM.
 */
int inode_lookup(struct fs *fs, const struct inode *parent, int pfd, const char *name,
		 struct statx *st, struct inode **out);

/*
 * The same for a file that was just made and is open as fd (any kind of descriptor, borrowed),
 * or, with fd -1, was made under that name. It is never taken for a former one of its number.
 */
int inode_made(struct fs *fs, const struct inode *parent, int pfd, const char *name, int fd,
	       struct statx *st, struct inode **out);

/* FORGET: n lookups less; more than there are is the guest's mistake and counts as all. */
void inode_unlookup(struct fs *fs, struct inode *i, uint64_t n);

/*
 * An O_PATH descriptor of the inode, which stays open until inode_fd_put(). Opens one by handle
 * if need be. Or -errno: -ESTALE if the file is gone, -ENFILE.
 */
int inode_fd(struct fs *fs, struct inode *i);
void inode_fd_put(struct inode *i);

/*
 * The descriptor stays open from now on, though it could be opened again: the file is about to lose
 * its name. 0, -ENFILE, or as inode_fd(). Once is enough.
 */
int inode_hold(struct fs *fs, struct inode *i);

/*
 * Opens the file itself, for reading, writing, as flags (of open(2), without O_CREAT) say, with
 * O_CLOEXEC, and O_NOFOLLOW taken out. Only regular files and directories, unless O_PATH. The
 * caller owns the descriptor. Or -errno.
 */
int inode_open(struct fs *fs, struct inode *i, int flags);

/* Closes descriptors that can be opened again, for room. How many. Any thread. */
unsigned inode_close_some(struct fs *fs, unsigned n);

/*
 * For migration: makes the inode of an open descriptor (O_PATH, taken in every case) under a given
 * node id, which is in a higher place than all there are. flags: INODE_SUBMOUNT or 0. 0 or -errno:
 * -EEXIST if the place is taken.
 */
int inode_restore(struct fs *fs, uint64_t nodeid, uint64_t nlookup, int fd, uint8_t flags);

/* The same for one whose file was not found: all that the guest asks of it is ESTALE. */
int inode_restore_lost(struct fs *fs, uint64_t nodeid, uint64_t nlookup, uint16_t type);

/* Before a state is loaded: all places but the root's are free again. 0, -EBUSY if they are not. */
int inode_table_restart(struct fs *fs);

/* Calls fn for each inode that the guest knows, with a reference held, until it returns non-zero,
 * which is returned. */
int inode_each(struct fs *fs, int (*fn)(struct fs *fs, struct inode *i, void *arg), void *arg);

/* What statx() is asked for everywhere. */
#define FS_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

#endif
