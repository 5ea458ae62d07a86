/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX and flock locks, taken on the host's files, so shared with everyone there.
 *
 * A POSIX lock belongs to a lock owner of the guest: for each (inode, owner) there is an open file
 * description of its own with OFD locks on it. A flock lock is on the open file handle itself.
 *
 * A request that must wait is parked here and holds no thread. It is tried again on each unlock
 * of this guest at once, and by a timer (for others' unlocks). INTERRUPT ends it with EINTR,
 * nothing else does. At most a quarter of its ring may be parked, then ENOLCK. It does not hold up
 * GET_VRING_BASE: it stays parked over a stop and continue, and is dropped when the ring starts
 * anew.
 */
#ifndef FS_LOCK_H
#define FS_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct fs;
struct fs_queue;
struct fs_req;
struct handle;
struct inode;
struct lock_waiter;
struct vq;

struct fs_locks {
	pthread_mutex_t lock;
	struct lock_waiter *waiters; /* oldest first */
	struct lock_waiter **tail;
	_Atomic unsigned n_waiters;
};

int locks_init(struct fs_locks *l);
void locks_fini(struct fs *fs);

/* The queue's thread, from fs_serve(): tries what is due. Returns the ns until it wants to be
 * called again, or UINT64_MAX. */
uint64_t locks_retry(struct fs_queue *q);

/* FLUSH: owner gives up its POSIX locks on the inode. */
void locks_flush(struct fs *fs, struct inode *i, uint64_t owner);

/* The inode goes: nothing of it can be locked any more. Called by inode_put(). */
void locks_inode_gone(struct inode *i);

/* Every waiter of this queue, or of all with NULL, is forgotten without an answer. */
void locks_drop_waiters(struct fs *fs, struct fs_queue *q);

/* Every waiter gets an answer of -err: the state is going to be saved. */
void locks_end_waiters(struct fs *fs, int err);

#endif
