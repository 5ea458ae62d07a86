/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A failed sync is never forgotten. The kernel reports a write-back error once and then
 * says success, so the first failure is kept here, and in a mark that outlives the process:
 * an extended attribute of the image or, where there can be none, a file beside it.
 * Only an operator clears it.
 */
#ifndef PMEM_LATCH_H
#define PMEM_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#define LATCH_XATTR	  "user.vdax.lost-writes"
#define LATCH_FILE_SUFFIX ".vdax-lost-writes" /* a dot and the image's name come before it */
#define LATCH_STATE_DIR	  "/var/lib/vdax"     /* for block devices, if it can be used */

struct latch {
	const char *path;   /* of the image, for messages; borrowed */
	int fd;		    /* of the image, borrowed; -1: nothing is kept beyond the process */
	bool is_block;	    /* a block device, which has no attributes */
	int dirfd;	    /* owned; only where the mark must be a file, else -1 */
	char names[2][280]; /* the mark's in dirfd; a block device may have two */
	unsigned n_names;
	_Atomic int err; /* errno of the first failure, or 0 */
};

/*
 * Finds an earlier mark. path and fd stay the caller's; with fd -1 there is none, nor ever
 * will be. A mark that was found is no error: see latch_error(). 0, or -errno if it cannot be
 * found out whether there is one.
 */
int latch_open(struct latch *l, const char *path, int fd);
void latch_close(struct latch *l);

/* Is there a mark? 0, the errno that it holds, or -errno if that cannot be found out. */
int latch_peek(const char *path);

/* The directory in which setting the latch creates a file, or -1 if it does not. */
int latch_dirfd(const struct latch *l);

/*
 * Before root drops its capabilities, and while there is one thread: takes on the owner's
 * identity for access to files, as the mark could not be written without either.
 */
void latch_become_owner(const struct latch *l);

/* Could the mark be written now, as whom we are? */
bool latch_can_write(const struct latch *l);

/* 0, or the errno of the first failure, of this process or an earlier one. */
int latch_error(const struct latch *l);

/* Any thread. The first call counts: it logs err, an errno, and tries to write the mark. */
void latch_set(struct latch *l, int err);

/* The operator accepts the loss: removes the mark. 0 or -errno. */
int latch_clear(struct latch *l);

#endif
