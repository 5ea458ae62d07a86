/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX and flock locks, taken on the host's files, so shared with everyone there.
 *
 * A POSIX lock belongs to a lock owner of the guest: for each (inode, owner) there is an open file
 * description of its own with OFD locks on it (fs/lock_owner.h). A flock lock is on the open file
 * handle itself. The host's kernel does not look for deadlocks of OFD locks; circles of
 * owners of this guest are found here, while a waiter is tried: EDEADLK. Those that go through
 * processes of the host or another guest are not.
 *
 * A request that must wait is parked here and holds no thread. It is tried again on each unlock
 * of this guest at once, and by a timer (for others' unlocks) after 1 ms, then 2, ... up to
 * 64 ms. INTERRUPT ends it with EINTR, nothing else does. At most a quarter of its ring may
 * be parked, then ENOLCK. It does not hold up GET_VRING_BASE: it stays parked over a stop and
 * continue, and is dropped when the ring starts anew.
 *
 * Who may touch a waiter. It belongs to its queue: the queue's thread alone adds, tries, answers
 * and frees those of its queue, and walks their list without a lock. Other threads look at the
 * list under fs->locks.lock, and say what they want in a waiter's atomic fields. While the ring
 * is not the thread's (stopped), whoever has the lock may free them.
 */
#ifndef FS_LOCK_H
#define FS_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/config.h"
#include "fs/lock_owner.h"
#include "virtio/queue.h"

struct fs;
struct fs_queue;
struct fs_req;
struct handle;
struct inode;
struct lock_waiter;

/* INTERRUPTs whose request is not parked yet: it may be in another queue. */
#define LOCK_EARLY_MAX 16u
#define LOCK_EARLY_NS  1000000000u

struct lock_early {
	uint64_t unique;
	uint64_t until; /* CLOCK_MONOTONIC ns; 0: free */
};

/* Waiters of one queue, oldest first. */
struct lock_queue {
	struct lock_waiter *first;
	_Atomic unsigned n;
	bool stopped;	       /* the ring is not its thread's, */
	struct vq_config ring; /* and was this, base being where it stopped */
};

struct fs_locks {
	pthread_mutex_t lock;
	struct lock_queue queues[1 + FS_QUEUES_MAX];
	_Atomic unsigned n_waiters; /* of all queues */
	struct lock_early early[LOCK_EARLY_MAX];
	struct lock_owners owners;
};

int locks_init(struct fs_locks *l);
void locks_fini(struct fs *fs);

/* --- the queue's thread, from fs_serve() --- */

/* Before anything is popped: waiters of a former run of the ring go on, or are dropped. */
void locks_resume(struct fs_queue *q);

/*
 * After the last pop: tries what is due. Returns the ns until it wants to be called again, or
 * UINT64_MAX. No system call while nothing is due.
 */
uint64_t locks_retry(struct fs_queue *q);

/* --- handlers --- */

/* How a lock is taken: never waits. */
struct lock_try {
	bool flock;
	int op; /* of flock() */
	int fd; /* borrowed: the handle's, or the owner's */
	short type;
	int64_t start, len; /* as in struct flock, from the begin of the file */
};

/* 0, -EAGAIN if another has it, or -errno. */
int lock_try(const struct lock_try *t);

/*
 * Parks the request. FS_LATER, and then the owner's pin (its owner may be NULL: a flock lock) is
 * the waiter's; -EINTR, -ENOLCK, -ENOMEM, -EFAULT otherwise.
 */
int locks_wait(struct fs_req *rq, const struct lock_try *t, const struct lock_pin *pin);

/* Something of the inode's locks is free: its waiters are tried again soon. */
void locks_released(struct fs *fs, const struct inode *i);

/* INTERRUPT. */
void locks_interrupt(struct fs *fs, uint64_t unique);

/* --- any thread --- */

/*
 * The guest has no locks any more. Waiters of rings that have stopped are forgotten without an
 * answer; others, of a guest that has sent DESTROY or another INIT, get ENOTCONN.
 */
void locks_forget_all(struct fs *fs);

/* Every waiter gets an answer of err (-errno): the state is going to be saved. */
void locks_end_waiters(struct fs *fs, int err);

#endif
