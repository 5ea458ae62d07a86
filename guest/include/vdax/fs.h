/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-fs driver (VIRTIO 1.3, 5.11): FUSE requests to a device that serves a directory. What
 * the requests mean is FUSE's (wire/fuse.h has the structures and the flags); this is their way
 * through the queues, and the check of what comes back.
 *
 * Order of use: vdax_fs_features() while negotiating; vdax_fs_read_config(); one
 * vdax_fs_queue_init() for the high-priority queue (index 0) and each request queue (from 1
 * on); give the rings' addresses to the transport and set DRIVER_OK; vdax_fs_init() on a request
 * queue, and when that is done everything else. Begin again with vdax_fs_queue_init() after a
 * reset of the device.
 *
 * Nothing blocks. A request function fills in a request; vdax_fs_submit() shows the device all
 * that were filled in, with one notification at most; vdax_fs_poll(), from the interrupt handler
 * of the queue, ends what was answered. Calls on one struct vdax_fs_queue are made one at a time
 * (a lock, or a CPU for each queue); different queues do not touch each other. All functions
 * can be called in interrupt context. Completion callbacks run inside vdax_fs_poll(),
 * vdax_fs_config_changed() and vdax_fs_fail(), never inside a request function.
 *
 * The device is not believed: a reply of the wrong length, for another request, with an
 * error that is none, or with attributes that cannot be, ends its request with -VDAX_EIO. Errors
 * of the device come through as they are: negated Linux numbers, -511 to -1.
 */
#ifndef VDAX_FS_H
#define VDAX_FS_H

#include "vdax/platform.h"
#include "vdax/ring.h"
#include "vdax/window.h"
#include "wire/fuse.h"

#define VDAX_FS_HIPRIO	   0u	/* index of the queue for forgets and interrupts */
#define VDAX_FS_QUEUES_MAX 256u /* all together */
#define VDAX_FS_NAME_MAX   255u /* bytes of a name, without the NUL */
#define VDAX_FS_LIST_MAX   32u	/* entries of one batch_forget or removemapping */
#define VDAX_FS_TAG_MAX	   36u

/*
 * Memory that the device reaches, for a queue of n entries whose requests have up to segs pieces
 * of data each: the ring, then a cell for each request. Aligned to VDAX_RING_ALIGN.
 */
#define VDAX_FS_CELL_BYTES(segs)      (((size_t)768 + (size_t)16 * ((segs) + 2) + 63) & ~(size_t)63)
#define VDAX_FS_CELLS(n)	      ((VDAX_RING_BYTES(n) + 63) & ~(size_t)63)
#define VDAX_FS_SHARED_BYTES(n, segs) (VDAX_FS_CELLS(n) + VDAX_FS_CELL_BYTES(segs) * (n))

/* What a reply to CREATE holds. */
struct vdax_fs_created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/* Which member counts is said at each request. */
union vdax_fs_reply {
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	struct vdax_fs_created created;
	struct fuse_attr_out attr;
	struct fuse_open_out open;
	struct fuse_statfs_out statfs;
	struct fuse_write_out write;
	struct fuse_getxattr_out xattr;
	struct fuse_lseek_out lseek;
};

struct vdax_fs_slot;

/*
 * A request. The caller owns it and sets done and the credentials before each use; after a
 * request function returned 0 the library has it until done was called. The callback may free
 * it or use it for the next request.
 */
struct vdax_fs_rq {
	/*
	 * ret: 0, or the number of bytes where the request says so, or an error: -VDAX_EIO
	 * for a bad reply or a broken ring, what was given to vdax_fs_fail(), or the device's.
	 */
	void (*done)(struct vdax_fs_rq *rq, int ret);

	uint32_t uid, gid, pid; /* of the process that asks */

	union vdax_fs_reply reply; /* the library's own copy; valid if ret >= 0 */

	struct vdax_fs_slot *slot; /* the library's; NULL at first, and when it is not under way */
};

/* Pieces of memory that the device reads from or writes to; lent until the request is done. */
struct vdax_fs_data {
	const struct vdax_seg *seg; /* copied by the request function; no piece is empty */
	unsigned int n;		    /* at most opts->segs */
};

/* Opaque. A place for one request. */
struct vdax_fs_slot {
	uint8_t *cell;	    /* in shared memory */
	uint64_t cell_addr; /* as the device sees it */
	struct vdax_fs_rq *rq;
	struct vdax_fs_slot *next; /* if free */
	uint64_t unique;
	uint32_t asked; /* of a WRITE: bytes */
	uint32_t type;	/* of what is made: S_IFMT bits, or 0 */
	uint8_t kind;	/* of the reply */
};

/*
 * The session, shared by all queues: what INIT settled. Written when INIT and DESTROY are done;
 * the embedder lets no other queue work at that time. All zero at first.
 */
struct vdax_fs {
	bool ready;
	uint32_t minor;
	uint64_t flags;	    /* FUSE_* of INIT, both words */
	uint32_t max_write; /* bytes of one WRITE */
	uint32_t max_readahead;
	uint32_t max_pages;	/* of one request, 4 KiB each; 32 unless FUSE_MAX_PAGES */
	uint32_t time_gran;	/* ns */
	uint32_t map_alignment; /* bytes; 0 unless FUSE_MAP_ALIGNMENT */
};

struct vdax_fs_stats {
	uint64_t sent;	    /* requests shown to the device */
	uint64_t notified;  /* times the device was notified */
	uint64_t errors;    /* requests that ended with an error */
	uint64_t malformed; /* of those, for a reply that makes no sense */
};

struct vdax_fs_queue_opts {
	const struct vdax_platform *platform; /* lent */
	struct vdax_fs *fs;		      /* lent */
	uint64_t features;		      /* as negotiated */
	unsigned int index;		      /* of the queue; VDAX_FS_HIPRIO or a request queue */
	unsigned int size;		      /* entries, a power of two, 4 or more */
	unsigned int segs;		      /* pieces of data of one request; 1 or more */

	/* All three are lent until the device was reset. */
	void *shared;			   /* VDAX_FS_SHARED_BYTES(size, segs) */
	struct vdax_ring_slot *ring_slots; /* size of them */
	struct vdax_fs_slot *slots;	   /* size of them */
	struct vdax_seg *scratch;	   /* segs + 2 of them */
};

/* Opaque, but for stats, ring and busy. */
struct vdax_fs_queue {
	const struct vdax_platform *platform;
	struct vdax_fs *fs;
	struct vdax_fs_stats stats;
	struct vdax_ring ring;

	unsigned int busy; /* requests that are not done */

	unsigned int index;
	unsigned int size;
	unsigned int segs;
	struct vdax_fs_slot *slots;
	struct vdax_fs_slot *free;
	struct vdax_seg *scratch;
	uint64_t counter; /* of requests, for their unique numbers */
	bool in_callbacks;
	int failed; /* 0, or the error that every request returns from now on */
};

/* The device's configuration, 5.11.4. */
struct vdax_fs_config {
	char tag[VDAX_FS_TAG_MAX + 1]; /* ends with NUL */
	uint32_t request_queues;       /* 1 or more */
};

/*
 * The feature bits of offered that this driver accepts; 0 if it cannot drive the device
 * (VERSION_1 is needed). The notification queue is not used: queue 1 is the first for requests.
 */
uint64_t vdax_fs_features(uint64_t offered);

/* Returns 0; -VDAX_EINVAL if there is no request queue; or the error of config_read(). */
int vdax_fs_read_config(const struct vdax_platform *platform, struct vdax_fs_config *config);

/*
 * Prepare a queue; the device is not running yet. There is nothing to undo. Returns 0;
 * -VDAX_EINVAL for options that make no sense; -VDAX_ENODEV if the device cannot reach
 * opts->shared.
 */
int vdax_fs_queue_init(struct vdax_fs_queue *q, const struct vdax_fs_queue_opts *opts);

/*
 * Show the device the requests made since the last call, and notify it if it wants to be.
 * vdax_fs_poll() does the same for requests that were made in callbacks.
 */
void vdax_fs_submit(struct vdax_fs_queue *q);

/*
 * End all requests that the device has answered. Interrupts are on when it returns, and none
 * was missed. Returns how many ended, or the error with which the queue failed. Does nothing
 * and returns 0 from inside a callback.
 */
int vdax_fs_poll(struct vdax_fs_queue *q);

/*
 * The configuration-change interrupt, or from time to time without one: fails the queue if the
 * device asks for a reset (2.1.2). Once for each queue.
 */
void vdax_fs_config_changed(struct vdax_fs_queue *q);

/*
 * End every request with error and refuse all later ones with it. The device may still write
 * to shared memory and data: reset it before reusing them. The first error stays.
 */
void vdax_fs_fail(struct vdax_fs_queue *q, int error);

/* The number by which vdax_fs_interrupt() knows a request that is under way; else 0. */
uint64_t vdax_fs_unique(const struct vdax_fs_rq *rq);

/*
 * --- Requests ---
 *
 * All return 0, and then rq->done will be called once; on error it will not be: -VDAX_EAGAIN if
 * the queue is full; -VDAX_EBUSY if rq is under way; -VDAX_EINVAL for a parameter that FUSE or
 * this library cannot send (an empty name, one with '/' or longer than VDAX_FS_NAME_MAX, data
 * of 0 bytes or more than the device takes, the wrong queue, INIT not done); or the error with
 * which the queue failed before. Names are copied. q is a request queue unless it says hiprio. fh
 * is what reply.open.fh of the open was. Modes, open flags and the rest have the values of Linux.
 */

/*
 * FUSE_INIT, before all others. flags: FUSE_* the embedder can do; what both ends can is in
 * fs->flags then, and the limits are in *fs. Reply: init. -VDAX_EIO also for a version of the
 * protocol other than 7.23 and later.
 */
int vdax_fs_init(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t flags,
		 uint32_t max_readahead);

/* The last request; fs is not ready from its end on. */
int vdax_fs_destroy(struct vdax_fs_queue *q, struct vdax_fs_rq *rq);

/*
 * Reply: entry, with one more reference to entry.nodeid that a forget gives back. No such name:
 * -VDAX_ENOENT; if reply.entry.entry_valid is not 0 that may be remembered so long.
 */
int vdax_fs_lookup(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name);

/* hiprio. Give back nlookup references. Done when the device has taken it; it cannot fail. */
int vdax_fs_forget(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		   uint64_t nlookup);

/* hiprio. n is 1 to VDAX_FS_LIST_MAX; list is copied. */
int vdax_fs_batch_forget(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			 const struct fuse_forget_one *list, unsigned int n);

/* hiprio. Ask that a request of any queue ends early, with EINTR. Done with 0 if unanswered. */
int vdax_fs_interrupt(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t unique);

/* Reply: attr. fh: NULL, or of a file that is open. */
int vdax_fs_getattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		    const uint64_t *fh);

/* Change what in->valid says (FATTR_*). Reply: attr. */
int vdax_fs_setattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		    const struct fuse_setattr_in *in);

/* Make something. Reply: entry, with a reference as by lookup. rdev as fuse_mknod_in has it. */
int vdax_fs_mknod(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent, const char *name,
		  uint32_t mode, uint32_t rdev, uint32_t umask);
int vdax_fs_mkdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent, const char *name,
		  uint32_t mode, uint32_t umask);
int vdax_fs_link(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t parent,
		 const char *name);

/* target: the path and a NUL at its end. Reply: entry. */
int vdax_fs_symlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		    const char *name, const struct vdax_fs_data *target);

/* Make and open. Reply: created. */
int vdax_fs_create(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name, uint32_t flags, uint32_t mode, uint32_t umask);

int vdax_fs_unlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		   const char *name);
int vdax_fs_rmdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		  const char *name);

/* flags: RENAME_*. Without any it is sent as FUSE_RENAME. */
int vdax_fs_rename2(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t parent,
		    const char *name, uint64_t new_parent, const char *new_name, uint32_t flags);

/* ret: bytes, without a NUL; any bytes, for the device chose them. */
int vdax_fs_readlink(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const struct vdax_fs_data *data);

/* Reply: open. */
int vdax_fs_open(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint32_t flags);
int vdax_fs_opendir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		    uint32_t flags);

int vdax_fs_release(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		    uint32_t flags);
int vdax_fs_releasedir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		       uint32_t flags);

/* ret: bytes; fewer than asked for only at the end of the file. offset in bytes. */
int vdax_fs_read(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		 uint64_t offset, const struct vdax_fs_data *data);

/* ret: bytes; at most fs->max_write at once. */
int vdax_fs_write(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t offset, const struct vdax_fs_data *data);

/* ret: bytes, for vdax_fs_dirents_start(); 0 at the end. offset: 0, or off of the last entry. */
int vdax_fs_readdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		    uint64_t offset, const struct vdax_fs_data *data);
int vdax_fs_readdirplus(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
			uint64_t fh, uint64_t offset, const struct vdax_fs_data *data);

int vdax_fs_flush(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t lock_owner);
int vdax_fs_fsync(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  bool data_only);
int vdax_fs_fsyncdir(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		     bool data_only);

/* mode: FALLOC_FL_*; offset and length in bytes. */
int vdax_fs_fallocate(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		      uint64_t offset, uint64_t length, uint32_t mode);

/* whence: SEEK_*. Reply: lseek. */
int vdax_fs_lseek(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint64_t fh,
		  uint64_t offset, uint32_t whence);

/* Reply: statfs. */
int vdax_fs_statfs(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid);

/* mask: R_OK, W_OK, X_OK. */
int vdax_fs_access(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid, uint32_t mask);

/* data NULL: ret is the size of the value, else its bytes are read and ret says how many. */
int vdax_fs_getxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const char *name, const struct vdax_fs_data *data);

/* The same for the names, each with a NUL; the device may have left the last one out. */
int vdax_fs_listxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		      const struct vdax_fs_data *data);

/* flags: XATTR_CREATE, XATTR_REPLACE. value NULL: empty. */
int vdax_fs_setxattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
		     const char *name, const struct vdax_fs_data *value, uint32_t flags);
int vdax_fs_removexattr(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, uint64_t nodeid,
			const char *name);

/*
 * Let [window_off, window_off + len) of the window be [file_off, file_off + len) of the file
 * (5.11.6.4). flags: FUSE_SETUPMAPPING_FLAG_*. fh may be UINT64_MAX. -VDAX_ERANGE if that is not
 * inside w; -VDAX_EINVAL if an offset is not a multiple of fs->map_alignment.
 */
int vdax_fs_setupmapping(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			 const struct vdax_window *w, uint64_t nodeid, uint64_t fh,
			 uint64_t file_off, uint64_t len, uint64_t flags, uint64_t window_off);

/* n is 1 to VDAX_FS_LIST_MAX; list is copied. -VDAX_ERANGE as above. */
int vdax_fs_removemapping(struct vdax_fs_queue *q, struct vdax_fs_rq *rq,
			  const struct vdax_window *w, uint64_t nodeid,
			  const struct fuse_removemapping_one *list, unsigned int n);

/* --- What readdir returned --- */

/* Opaque. */
struct vdax_fs_dirents {
	const uint8_t *bytes;
	uint32_t len, at;
	bool plus;
};

/* One name, copied out of memory that the device can write. */
struct vdax_fs_dirent {
	uint64_t ino;
	uint64_t off;  /* to go on after this one */
	uint32_t type; /* DT_* */
	uint32_t name_len;
	char name[VDAX_FS_NAME_MAX + 1]; /* ends with NUL; never empty, has no '/' */

	/* readdirplus: as from a lookup, to be forgotten; nodeid 0: only the name is known. */
	struct fuse_entry_out entry;
};

/* bytes: where data of the request is for the CPU, in one piece; len: what done() was told. */
void vdax_fs_dirents_start(struct vdax_fs_dirents *it, const void *bytes, int len, bool plus);

/*
 * Returns 1 and the next entry, 0 at the end, or -VDAX_EIO if what follows is not an entry: the
 * entries so far were good, nothing more can be read.
 */
int vdax_fs_dirents_next(struct vdax_fs_dirents *it, struct vdax_fs_dirent *d);

#endif
