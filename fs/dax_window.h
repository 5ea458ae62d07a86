/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the parts of the window, fs/dax*.c and fs/op_dax.c. The rest of fs/ sees dax.h. */
#ifndef FS_DAX_WINDOW_H
#define FS_DAX_WINDOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "fs/dax.h"
#include "fs/dax_map.h"
#include "fs/fs.h"
#include "fs/req.h"
#include "virtio/device.h"

#define DAX_BUCKETS 1024u

/* The guest has just stored something: so soon its copies are looked at again. */
#define DAX_WRITE_BACK_MIN_NS 20000000u

/*
 * A file that has pieces, or is about to. One for each (device, inode number), however the guest
 * came to it. Goes with its last reference: pieces and operations have one each.
 */
struct dax_file {
	struct dax_file *next; /* in its bucket, or of the dead */
	dev_t dev;
	ino_t ino;
	uint64_t nodeid; /* by which the guest mapped it last */
	int fd;		 /* as the front end gets it; never one of the guest's */
	bool writable;	 /* fd is */
	bool by_copy;	 /* never maps the file itself */
	bool locked;	 /* against truncation by others: fs/dax_lock.h */
	uint32_t refs;
	uint32_t wanted;    /* operations under way that want it locked */
	uint32_t shrinking; /* requests that have the lock exclusively */
	uint64_t owned;	    /* pages of all pieces */
	struct dax_piece *pieces;
	unsigned n_copies; /* of them */
	/* As of the last look, for dax_seen(); under the copies' lock. */
	uint64_t mtime_ns, ctime_ns;
	uint64_t size;
};

enum dax_op_kind {
	DAX_SETUP,
	DAX_CLEAR, /* unmaps what the guest does not own */
	DAX_PROBE, /* does the front end take and enforce read-only mappings? */
};

/* What the control thread does, one after the other. */
struct dax_op {
	struct dax_op *next;
	enum dax_op_kind kind;
	struct fs_queue *q; /* who answers; NULL: nobody */
	struct fs_ticket ticket;
	struct mem_table *mem; /* what the ticket points into; a reference */
	struct dax_file *file; /* a reference */
	uint64_t off, end, foff;
	uint64_t size;	     /* of the file */
	uint64_t direct_end; /* in the file: below, the file itself can be mapped */
	bool write;
	bool mapped;	  /* needed the front end */
	bool again;	  /* was tried before */
	bool had;	  /* the guest owned some of it already */
	bool void_ticket; /* the ring has gone: nobody to answer */
	int err;	  /* the outcome */
};

struct dax_ops {
	struct dax_op *first, *last;
};

enum dax_read_only { RO_UNKNOWN, RO_PROBING, RO_ENFORCED, RO_NOT };

struct dax_counters {
	uint64_t setups, hits, removals, maps, unmaps, refused, ahead, ahead_hits;
};

/* A guest that maps range after range of a file gets the next one before it asks. */
struct dax_ahead {
	struct dax_file *file; /* a reference; NULL: nothing */
	uint64_t off, foff, len;
	bool due;
};

/* The files that were told to be mapped: fs/dax_policy.c. */
struct dax_grants;

struct dax {
	struct fs *fs;
	uint64_t size;	 /* of the window */
	size_t max_maps; /* live pieces, at most */

	pthread_mutex_t lock; /* guards what follows; no call that can block is made under it */
	pthread_cond_t probed;
	struct dax_map map;
	struct dax_file *files[DAX_BUCKETS];
	uint64_t n_files;
	struct dax_ops todo; /* the first is under way */
	struct dax_ops done[FS_MAX_QUEUES];
	unsigned waiting[FS_MAX_QUEUES]; /* operations that will answer there */
	/* Need a system call to be gone: for a queue's thread. */
	struct dax_piece *dead_pieces;
	struct dax_file *dead_files;
	bool running;			/* the front end takes requests */
	bool can_map;			/* the front end knows mappings */
	bool doubt;			/* there may be pieces in PIECE_UNSURE */
	bool hasty;			/* there may be pieces that are */
	bool timed;			/* dax_attend() is going to be called */
	uint64_t written_back_ns;	/* the last time of all copies */
	_Atomic uint64_t write_back_ns; /* how long until the next */
	struct shm_req req;		/* under way, if busy */
	bool busy;
	struct dax_piece *subject; /* of req; NULL: the probe */
	enum dax_read_only read_only;
	size_t n_second; /* pieces that are not the first of their range */
	struct dax_ahead ahead;
	uint64_t copied;    /* bytes of files that are by_copy */
	unsigned n_written; /* live copies that the guest may store into */
	struct dax_counters n;

	/* Looked at without the lock. */
	_Atomic bool news[FS_MAX_QUEUES]; /* dax_reap() has something to do */
	_Atomic bool write_back;	  /* it is time */

	/* Private copies: fs/dax_copy.c. */
	pthread_mutex_t copies_lock; /* outside of lock; held over I/O on files */
	int copies_fd, copies_ro_fd; /* memory; the same, read-only */
	uint8_t *copies;	     /* mapped here as in the window */
	dev_t copies_dev;
	ino_t copies_ino;
	uint8_t *buffer, *scratch;

	struct dax_grants *grants;
};

static inline uint64_t dax_page_down(uint64_t n)
{
	return n & ~(uint64_t)(DAX_PAGE - 1);
}

/* --- dax.c --- */

/*
 * The rest of a SETUPMAPPING whose file and range are filled in. 0: done; 1: op was taken over by
 * the control thread; -errno.
 */
int dax_setup(struct dax *d, struct dax_op *op);

/* Has the control thread unmap what the guest does not own. Takes op. */
void dax_clear(struct dax *d, struct dax_op *op);

/* The guest gives [off, end) of the window back. */
void dax_give_back(struct dax *d, uint64_t off, uint64_t end);

/* The guest has given ranges of i back. If it was removed as well, its space is free soon. */
void dax_given_up(struct dax *d, const struct inode *i);

/* Looks at the size of the file that op is for. 0 or -errno. */
int dax_op_size(struct dax *d, struct dax_op *op);

void dax_op_free(struct dax *d, struct dax_op *op);

/* --- dax_front.c; under the lock but for the probe --- */

void dax_ops_add(struct dax_ops *l, struct dax_op *op);
struct dax_op *dax_ops_take(struct dax_ops *l); /* NULL: none */

/* That queue's thread has something to do. */
void dax_tell(struct dax *d, unsigned queue);

/* Requests to the front end. 1: under way; -errno. A piece that cannot be mapped is gone. */
int dax_piece_map(struct dax *d, struct dax_piece *p);
int dax_piece_unmap(struct dax *d, struct dax_piece *p);

/*
 * What the guest has had is forgotten, and what the front end has mapped; with all, also what it
 * may be about to map. Not under the lock.
 */
void dax_drop(struct dax *d, bool all);

/* Finds out about read-only mappings, if that is not known yet. */
void dax_probe(struct dax *d);

/* --- dax_setup.c --- */

/* Once it is known how large the file is: which part of it will be mapped itself. */
void dax_setup_plan(const struct dax *d, struct dax_op *op);

/* The next request of a SETUPMAPPING. 1: under way; 0: nothing is missing; -errno. */
int dax_setup_step(struct dax *d, struct dax_op *op);

/* Does the window show the range already, and is nobody about to change that? */
bool dax_covered(const struct dax *d, const struct dax_op *op);

/* Everything is in place: the guest owns it. */
void dax_take(struct dax *d, struct dax_op *op);

/* Nothing of f will be mapped ahead. */
void dax_look_away(struct dax *d, const struct dax_file *f);

/* --- dax_piece.c --- */

/* Bytes of the file that [off, op->end) of the window shows. */
uint64_t dax_file_bytes(const struct dax_op *op, uint64_t off);

/* A piece for the begin of [off, end) at least, not mapped yet. NULL: no memory. */
struct dax_piece *dax_piece_new(struct dax *d, const struct dax_op *op, uint64_t off, uint64_t end);

/* It is not mapped any more. A queue's thread frees it: dax_copies_lock(). */
void dax_piece_gone(struct dax *d, struct dax_piece *p);

/* The guest owns [off, end), or does not any more. */
void dax_own(struct dax *d, uint64_t off, uint64_t end);
void dax_disown(struct dax *d, uint64_t off, uint64_t end);

/* --- dax_file.c --- */

/*
 * The file of an inode with a reference, opened if need be, and wanted: no other VM may shrink it.
 * 0 or -errno: -ETXTBSY if one is just about to, or if it is executed on the host.
 */
int dax_file_get(struct dax *d, struct inode *i, bool write, struct dax_file **out);
/* Wants it once more. 0 or -ETXTBSY. */
int dax_file_want(struct dax *d, struct dax_file *f);
/* It is not wanted any more, after all. */
void dax_file_unwant(struct dax *d, struct dax_file *f);
/* Under the lock: only if it is known. NULL or borrowed. */
struct dax_file *dax_file_find(struct dax *d, const struct inode *i);
/* Under the lock. */
void dax_file_put(struct dax *d, struct dax_file *f);
/* Under the lock. owned or wanted have changed. */
void dax_file_relock(struct dax_file *f);
/* Frees what dax_file_put() left. */
void dax_file_bury(struct dax *d);

/* --- dax_copy.c --- */

int dax_copies_init(struct dax *d);
void dax_copies_fini(struct dax *d);

/* Also saves and frees the pieces that are gone. Not under the other lock. */
void dax_copies_lock(struct dax *d);
void dax_copies_unlock(struct dax *d);

/* Between these two: */

/* Brings file and copies together, bytes [off, end) of the file. 0 or -errno. */
int dax_copies_merge(struct dax *d, struct dax_file *f, uint64_t off, uint64_t end);

/* What the guest has stored into copies of the file is in it. 0 or -errno. */
int dax_copies_save(struct dax *d, struct dax_file *f);

/*
 * The guest is about to be told that it has [off, end) of the window: copies are what their files
 * are; write: it may store there from now on. 0 or -errno.
 */
int dax_copies_fill(struct dax *d, uint64_t off, uint64_t end, bool write);

/* Everything that the guest has stored into copies. 0 or -errno. */
int dax_copies_write_back(struct dax *d);

/* --- dax_policy.c --- */

int dax_grants_init(struct dax *d);
void dax_grants_fini(struct dax *d);
void dax_grants_count(struct dax *d, uint64_t *files, uint64_t *ranges);
/* The guest maps it. */
void dax_grant_used(struct dax *d, struct inode *i, uint64_t size);

#endif
