/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lock owners: who in the guest has POSIX locks on which inode. Each has an open file description
 * of its own, whose OFD locks are the owner's; when it is closed, they are gone.
 *
 * It is made with the first lock and closed by FLUSH, which the guest sends for each close() of
 * a file by that owner, or with its inode. An owner may also be an open file of the guest (of its
 * OFD locks): then nothing comes but that file's RELEASE, and that ends the owners that have locked
 * through it last. Those that are processes have sent their FLUSH before. When it has no lock it
 * stays open, for the next one, unless another needs the place: there are at most an eighth of the
 * descriptors that we may have, then ENOLCK.
 */
#ifndef FS_LOCK_OWNER_H
#define FS_LOCK_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct flock;
struct fs;
struct inode;

struct lock_user {
	uint32_t pid; /* the guest's process */
	uint64_t fh;  /* the open file that it used */
};

struct lock_owner {
	struct lock_owner *next;	  /* of the same inode */
	struct lock_owner *older, *newer; /* by use */
	struct inode *inode;		  /* borrowed: it outlives us */
	uint64_t id;			  /* the guest's */
	struct lock_user last;		  /* who locked last */
	uint32_t pins;			  /* who use fd just now */
	uint32_t begun;			  /* attempts to lock, so far */
	bool holds;			  /* may have a lock */
	int fd;
};

/* Under fs->locks.lock. */
struct lock_owners {
	struct lock_owner *oldest, *newest;
	_Atomic unsigned n;
};

/* An owner that somebody uses, so that it and its fd stay. */
struct lock_pin {
	struct lock_owner *owner; /* or NULL */
	bool alone;		  /* nobody else was using it then, */
	uint32_t begun;		  /* and so many attempts to lock had been begun */
};

/*
 * Pins the owner. With by it is made if need be, and is going to lock for that user. 0; -ENOENT if
 * there is none (without by), -ENOLCK, or why the file cannot be opened.
 */
int lock_owner_get(struct fs *fs, struct inode *i, uint64_t id, const struct lock_user *by,
		   struct lock_pin *pin);

/* One pin more of an owner that has one; under fs->locks.lock. */
void lock_owner_pin(struct lock_owner *o, struct lock_pin *pin);

enum lock_outcome {
	LOCK_NOTHING, /* it has what it had */
	LOCK_TAKEN,   /* it has one more */
	LOCK_NONE,    /* all that it had was unlocked */
};

void lock_owner_put(struct fs *fs, const struct lock_pin *pin, enum lock_outcome outcome);

struct lock_holder {
	uint64_t id;
	uint32_t pid;
};

/*
 * Who of the guest has lk, a lock of the inode that F_OFD_GETLK has found for the owner not_id.
 * Only of a write lock, or of the only read lock on that range; false if it is not to be found out.
 */
bool lock_owner_of(struct fs *fs, struct inode *i, uint64_t not_id, const struct flock *lk,
		   struct lock_holder *out);

/* FLUSH: the owner gives up its POSIX locks on the inode. */
void locks_flush(struct fs *fs, struct inode *i, uint64_t id);

/* RELEASE: the locks that belong to that open file are gone. */
void locks_file_closed(struct fs *fs, struct inode *i, uint64_t fh);

/* The inode goes: nothing of it can be locked any more. Called by inode_put(). */
void locks_inode_gone(struct fs *fs, struct inode *i);

/* All that nobody uses just now. */
void lock_owners_close(struct fs *fs);

#endif
