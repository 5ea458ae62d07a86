/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DAX window of virtio-fs (VIRTIO 1.3, 5.11.6.4): which part of it shows which part of which
 * file. Files are mapped in ranges of 2^n bytes, aligned to their size in the file and in the
 * window; no byte of a file is in two. A range stays mapped after use, until its place is needed;
 * then those go that were not used for the longest time.
 *
 *	vdax_dax_init()		when INIT is done
 *	vdax_dax_map()		bytes of a file: the range that has them is pinned
 *	vdax_dax_ptr(), vdax_dax_read(), vdax_dax_write()
 *	vdax_dax_unpin()
 *	vdax_dax_forget()	before the inode is forgotten
 *	vdax_dax_reset()	after DESTROY, or a reset of the device
 *
 * Nothing blocks, nothing is allocated. Requests go through one queue (vdax/fs.h), and calls on a
 * struct vdax_dax and on its queue are made one at a time. All functions can be called in interrupt
 * context. Callbacks run where those of the queue do: inside vdax_fs_poll(),
 * vdax_fs_config_changed() and vdax_fs_fail(). What vdax_dax_map() and vdax_dax_forget() ask is
 * shown to the device by vdax_fs_submit().
 *
 * What is behind a range is the device's promise. Pages past the end of the file may be mapped, and
 * must not be touched: the embedder knows the size of the file.
 */
#ifndef VDAX_DAX_H
#define VDAX_DAX_H

#include "vdax/fs.h"
#include "vdax/platform.h"
#include "vdax/window.h"

#define VDAX_DAX_ORDERS	   32u	      /* sizes of ranges, at most */
#define VDAX_DAX_RANGE	   (2u << 20) /* bytes of a range if the options do not say */
#define VDAX_DAX_BATCH	   8u	      /* ranges that are reclaimed together, the same */
#define VDAX_DAX_BATCH_MAX VDAX_FS_LIST_MAX

/* Opaque. A place of the smallest size in the window; if a range begins here, that range. */
struct vdax_dax_range {
	uint64_t nodeid; /* what is, or while it is free was, mapped; 0: nothing */
	uint64_t file_off;
	uint64_t stamp;	     /* when it was last used */
	uint32_t next, prev; /* free ones of a size, or those in use by age */
	uint32_t file_next, file_prev;
	uint32_t hash_next;
	uint32_t hash_first, file_first; /* the chains whose hash is this place */
	uint32_t pins;
	uint8_t order; /* log2 of its size in places */
	uint8_t state;
	bool writable, upgrading;
	bool ahead; /* mapped ahead, not used yet */
};

/* Opaque. A list of ranges, by their place. */
struct vdax_dax_list {
	uint32_t first, last;
};

/* Opaque. The books: see guest/dax_ranges.h. */
struct vdax_dax_book {
	struct vdax_dax_range *r;
	uint32_t n;	     /* places */
	unsigned int shift;  /* log2 of the bytes of a place */
	unsigned int orders; /* sizes in use */
	struct vdax_dax_list free[VDAX_DAX_ORDERS];
	uint32_t known[VDAX_DAX_ORDERS]; /* ranges that can be found, of each size */
	struct vdax_dax_list ages;	 /* mapped and not pinned, the oldest first */
	uint32_t mapped; /* ranges, with those under way and those on their way out */
	uint32_t pinned; /* ranges */
	uint64_t clock;
};

struct vdax_dax;
struct vdax_dax_rq;

/* Opaque. A request to the device. */
struct vdax_dax_op {
	struct vdax_fs_rq rq;
	struct vdax_dax *d;
	struct vdax_dax_op *next; /* if free */
	struct vdax_dax_rq *waiter;
	uint8_t kind;
	bool write;
	unsigned int n;
	uint32_t range[VDAX_FS_LIST_MAX];
};

/* Bytes of a file that stay where they are until vdax_dax_unpin(). */
struct vdax_dax_pin {
	struct vdax_dax_range *range; /* the library's; NULL if nothing is pinned */
	uint64_t window_off;	      /* where the byte that was asked for is */
	uint64_t len;		      /* bytes from there on: as asked for, or fewer, not 0 */
};

/*
 * What the embedder wants. It sets the first members before each use and owns it all the time but
 * between a function that returned 0 and the callback. All zero at first.
 */
struct vdax_dax_rq {
	/* ret: 0 or an error, see vdax_dax_map() and vdax_dax_forget(). It may use rq again. */
	void (*done)(struct vdax_dax_rq *rq, int ret);

	uint64_t nodeid;
	uint64_t off, len; /* bytes of the file */
	uint64_t size;	   /* of the file, as far as known: nothing past it is mapped ahead */
	bool write;

	struct vdax_dax_pin pin; /* the result */

	/* The library's. */
	struct vdax_dax_rq *next;
	bool busy, forgets;
	bool settled; /* ret is what is to be said */
	unsigned int under_way;
	int ret;
};

struct vdax_dax_stats {
	uint64_t hits, misses; /* vdax_dax_map() that found a range, or had to wait */
	uint64_t maps;	       /* SETUPMAPPING sent for a new range */
	uint64_t upgrades;     /* the same once more, for writing */
	uint64_t ahead;	       /* of maps: before anybody asked */
	uint64_t ahead_hits;   /* of those: that somebody then asked for */
	uint64_t again;	       /* of maps: where the same part of the file had been before */
	uint64_t removals;     /* REMOVEMAPPING sent */
	uint64_t removed;      /* ranges in them */
	uint64_t reclaimed;    /* of those, because their place was needed */
	uint64_t full;	       /* vdax_dax_map() that failed as all ranges were pinned */
	uint64_t failed;       /* SETUPMAPPING that the device failed */
	uint64_t lost;	       /* ranges that can not be used until a reset, see vdax_dax_map() */
};

struct vdax_dax_opts {
	const struct vdax_platform *platform; /* lent */
	struct vdax_fs_queue *queue;	      /* lent: a request queue, INIT done */

	/* Where the embedder mapped shared-memory region 0 for the CPU; NULL if not RAM-like. */
	void *base;

	/*
	 * The smallest and the largest range, bytes: powers of two, at least fs->map_alignment; 0:
	 * VDAX_DAX_RANGE, or the one that is given. The size of a range is that of the map that
	 * caused it. There may be no more than VDAX_DAX_ORDERS sizes.
	 */
	uint64_t min_range, max_range;

	/* Both are lent until nobody uses the window. */
	struct vdax_dax_range *ranges; /* VDAX_DAX_RANGES(); with fewer, a part of the window */
	uint32_t num_ranges;
	struct vdax_dax_op *ops; /* requests under way at once */
	unsigned int num_ops;	 /* 2 or more */

	uint32_t max_mapped; /* ranges at once, as a monitor may bear only so many; 0: any number */
	unsigned int ahead;  /* ranges to map ahead of a sequential reader; 0: none */
	unsigned int batch;  /* ranges to reclaim together; 0: VDAX_DAX_BATCH */

	/*
	 * Use the window also on a platform where it is not RAM-like: vdax_dax_read() and
	 * vdax_dax_write() go through the platform. Otherwise vdax_dax_map() answers
	 * -VDAX_ENOTSUP there, and the embedder uses READ and WRITE.
	 */
	bool accessors;
};

/* How many struct vdax_dax_range a window of len bytes has. */
#define VDAX_DAX_RANGES(len, min_range) ((len) / (min_range))

/* Opaque, but for window, stats and under_way. */
struct vdax_dax {
	struct vdax_window window;
	struct vdax_dax_stats stats;
	struct vdax_dax_opts opts;
	struct vdax_dax_book book;
	struct vdax_dax_op *free_ops;
	unsigned int num_free_ops;
	unsigned int under_way; /* requests */
	unsigned int removing;	/* of those, REMOVEMAPPING */
	struct vdax_dax_rq *waiting, *ended;
	uint32_t last; /* the range that was used last */
};

/*
 * Find the window and begin with nothing mapped. There is nothing to undo. Returns 0; -VDAX_ENODEV
 * if the device has no window; -VDAX_EINVAL for options that make no sense, INIT not done, ranges
 * smaller than the device can map, or a window without room for one.
 */
int vdax_dax_init(struct vdax_dax *d, const struct vdax_dax_opts *opts);

/*
 * Pin the byte at rq->off of rq->nodeid and what follows, rq->len bytes or as many as are in the
 * same range; for the rest ask again. A range that does not exist is made, of the smallest size
 * that has rq->len bytes, or a smaller one if the window has no such place or others have a part of
 * these bytes. One that can only be read is made writable if rq->write says so.
 *
 * Returns 1 if it is there: rq->pin is valid and done() will not be called. 0: done() will be
 * called, with 0 and rq->pin valid, or with an error. Errors, of both: -VDAX_EINVAL for no bytes or
 * none that a file can have; -VDAX_EBUSY if rq is under way; -VDAX_ENOTSUP, see opts->accessors;
 * -VDAX_EAGAIN if all of the window is pinned, or the queue is full: READ and WRITE do it, too;
 * what the device said; or the error with which the queue failed.
 *
 * A range whose SETUPMAPPING fails is free again: it shows nothing, or what the next one there
 * replaces. A range whose REMOVEMAPPING fails is lost until vdax_dax_reset(): how much of it the
 * device still holds for the former file is not known, and if it then refused, or kept, a part of
 * what is mapped there next, that would show bytes of the other file.
 */
int vdax_dax_map(struct vdax_dax *d, struct vdax_dax_rq *rq);

/*
 * The same without any request to the device: returns 0 and pins what is mapped already, or
 * -VDAX_ENOENT. done is not used.
 */
int vdax_dax_lookup(struct vdax_dax *d, struct vdax_dax_rq *rq);

/* Give it back; pin->range is NULL then. No function may use it afterwards. */
void vdax_dax_unpin(struct vdax_dax *d, struct vdax_dax_pin *pin);

/*
 * The address of pin->window_off; pin->len bytes can be used like RAM until it is unpinned. NULL
 * and -VDAX_ENOTSUP if the window is not RAM-like.
 */
int vdax_dax_ptr(const struct vdax_dax *d, const struct vdax_dax_pin *pin, void **ptr);

/*
 * Copy len bytes that lie at bytes after the begin of pin. Returns 0; -VDAX_ERANGE; the platform's
 * error; -VDAX_EINVAL if it was not mapped for writing.
 */
int vdax_dax_read(const struct vdax_dax *d, const struct vdax_dax_pin *pin, uint64_t at, void *dst,
		  size_t len);
int vdax_dax_write(const struct vdax_dax *d, const struct vdax_dax_pin *pin, uint64_t at,
		   const void *src, size_t len);

/*
 * Unmap all of rq->nodeid; do it before the FORGET that gives back its last reference, and map
 * nothing of it until it is done. Returns 1 if nothing was mapped, 0 if done() will be called, or
 * an error: -VDAX_EBUSY if a part of it is pinned, or rq is under way. done() is told the first
 * error that the device had; also then nothing of that inode is mapped any more.
 */
int vdax_dax_forget(struct vdax_dax *d, struct vdax_dax_rq *rq);

/*
 * Everything is gone: after DESTROY, or when the device was reset (fail the queue before that, and
 * initialise it and do INIT after). The stats stay. Returns as vdax_dax_init() does; -VDAX_EBUSY if
 * a request is under way or a range is pinned.
 */
int vdax_dax_reset(struct vdax_dax *d);

#endif
