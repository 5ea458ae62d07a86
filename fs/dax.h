/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DAX window: files of the share, mapped into the guest (VIRTIO 1.3, 5.11.6.4).
 *
 * Two books are kept of the window. What the guest owns is a bit for each page: SETUPMAPPING sets
 * it, REMOVEMAPPING clears it, in any pieces it likes. What the front end has mapped is a list of
 * pieces (fs/dax_map.h), which are made and removed as a whole, as a front end knows nothing else.
 * The rule between them: a piece with a page that the guest owns stays as it is. So a piece that is
 * given back stays as well, as a cache, until its place is needed; and who asks for a place of
 * which a part is in a piece that is owned elsewhere gets EBUSY.
 *
 * A piece is of a file, or a private copy (fs/dax_copy.c): of the last page of a file whose size is
 * no multiple of the page and of what may follow when it grows, and of files that cannot be mapped.
 *
 * Threads. Handlers run on their queue's thread. What needs the front end becomes an operation,
 * which the control thread takes through its steps, one request at a time; then it goes back to its
 * queue's thread, which answers. An operation survives a stop of the device, as the guest's request
 * does, if the ring goes on where it stopped. Order of locks: copies, then dax.
 */
#ifndef FS_DAX_H
#define FS_DAX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/inode.h"

struct device_start;
struct fs;
struct fs_queue;
struct dax;

/* What FUSE_MAP_ALIGNMENT says: log2 of bytes. */
#define DAX_ALIGN_SHIFT 12u
#define DAX_PAGE	(1u << DAX_ALIGN_SHIFT)

/* 0, also without a window; -errno after a message. dax_fini() in every case. */
int dax_init(struct fs *fs);
void dax_fini(struct fs *fs);

/* --- what the transport asks; control thread --- */

uint64_t dax_shm_size(void *dev, uint8_t shmid);
bool dax_shm_file(void *dev, dev_t st_dev, ino_t st_ino);
uint64_t dax_attend(void *dev);
void dax_start(struct fs *fs, const struct device_start *how);
void dax_stop(struct fs *fs);
/* The guest has nothing any more, and the front end has dropped its mappings. */
void dax_reset(struct fs *fs);

/* --- a queue's thread --- */

/* A new run of the ring: what waits goes on if it is the same ring, and else is dropped. */
void dax_resume(struct fs_queue *q, bool same);
/* Answers what is finished. True if there was any. */
bool dax_reap(struct fs_queue *q);
/*
 * At INIT: what remains of the features. A share that is read-only has a window only if the front
 * end enforces that. -EOPNOTSUPP: the guest insists on mapping (dax=always), and that cannot be.
 */
int dax_negotiate(struct fs *fs, uint64_t *features);

/* A new session: the guest owns nothing any more. What is mapped stays as a cache. */
void dax_forget(struct fs *fs);

/*
 * Has the guest had pages of the file? Then what others may have changed must be seen through the
 * window as well, and what was stored into a private copy must get into the file. What follows asks
 * for itself, and does nothing for other files.
 */
bool dax_is_mapped(struct fs *fs, const struct inode *i);

/*
 * Bytes [off, off + len) of the file were, or may have been, changed; len UINT64_MAX: to its end.
 * The same before they are changed: what the guest has stored there is older, and gets into the
 * file first. 0 or -errno.
 */
int dax_changed(struct fs *fs, struct inode *i, uint64_t off, uint64_t len);

/* What was stored into private copies is in the file after this. 0 or -errno. */
int dax_save(struct fs *fs, struct inode *i);

/*
 * The same for a sync or a close, which also tells of what could not be saved when its place was
 * given up: once.
 */
int dax_write_back(struct fs *fs, struct inode *i);

/* The same for all files. 0 or -errno. */
int dax_write_back_all(struct fs *fs);

/* Between these two no copy of the file is saved: it would get back the length that it had. */
bool dax_hold(struct fs *fs, const struct inode *i);
void dax_let_go(struct fs *fs, bool held);

/* The guest is about to be told st of a file. */
void dax_seen(struct fs *fs, struct inode *i, const struct statx *st);

/* --- which files (fs/dax_policy.c) --- */

/* Should the guest map this file, of which it is told st? It decides when it learns its node id. */
bool dax_wanted(struct fs *fs, struct inode *i, const struct statx *st);

/* The guest has forgotten it. */
void dax_ungrant(struct fs *fs, uint64_t nodeid);

/* --- for vdax stat --- */

/* A picture: a letter for each cell, see dax_report(). */
#define DAX_CELLS_MAX 4096u

struct dax_stats {
	uint64_t window, cell;		   /* bytes */
	uint64_t setups, removals;	   /* requests, ranges given back */
	uint64_t hits;			   /* setups that needed no SHMEM_MAP */
	uint64_t maps, unmaps, refused;	   /* SHMEM_MAP, SHMEM_UNMAP that were done, or refused */
	uint64_t ahead, ahead_hits;	   /* maps of what was not asked for yet; that then was */
	uint64_t mappings, owned_mappings; /* at present */
	uint64_t owned, copies;		   /* bytes, at present */
	uint64_t files;			   /* that have a mapping, at present */
	uint64_t granted_files, granted;   /* files that have FUSE_ATTR_DAX; their bytes */
	/*
	 * '.' nothing, 'c' kept as a cache, 'a' mapped ahead, 'r' owned for reading, 'w' for
	 * writing, 'p' owned, and at least a part of it is a private copy.
	 */
	char cells[DAX_CELLS_MAX + 1];
};

void dax_stats(struct fs *fs, struct dax_stats *out);

#endif
