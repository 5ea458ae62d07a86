/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that a guest has mapped must not shrink: who touches what is gone gets SIGBUS, and that is
 * the front end. So all daemons of ours agree on a lock: a shared one, of the open file description
 * that the front end gets, on the last byte that can be locked. Who is about to shrink a file takes
 * it exclusively for that moment, or is told ETXTBSY. It ends with the last descriptor, so with the
 * front end's if we are gone before.
 */
#ifndef FS_DAX_LOCK_H
#define FS_DAX_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode.h"

/* Guests' own locks end before it: fs/op_lock.c. */
#define DAX_LOCK_OFFSET INT64_MAX

/*
 * F_RDLCK, F_WRLCK or F_UNLCK, for the description of fd. 0; -EAGAIN: a daemon is shrinking the
 * file; -ETXTBSY: one has it mapped, or somebody has the whole file locked for reading; another
 * -errno: there are no locks here, or somebody who means others has all of it locked exclusively.
 */
int dax_lock(int fd, short type);

/* After -EAGAIN: waits a moment, as truncating lasts no longer. False: that was long enough. */
bool dax_lock_pause(unsigned *tries);

struct dax_file;

struct dax_shrink {
	int fd;		       /* whose description has the lock */
	struct dax_file *file; /* it is that of this one in the window; a reference */
	bool locked;
};

/*
 * Between these two the file may shrink. fd is open for writing. 0, or -ETXTBSY: another VM has it
 * mapped; then there is no end. Of file systems without such locks nobody knows: 0.
 */
int dax_shrink_begin(struct fs *fs, const struct inode *i, int fd, struct dax_shrink *s);
void dax_shrink_end(struct fs *fs, struct dax_shrink *s);

#endif
