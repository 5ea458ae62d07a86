/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that maps files of a share into its window, and the host's view of the same files. A file
 * has a pattern that tells each byte's place, so wrong data is noticed wherever it is from.
 */
#ifndef TESTS_PROTO_DAX_H
#define TESTS_PROTO_DAX_H

#include "base/align.h"
#include "tests/proto/fsd.h"

#define DAX_WINDOW "64M"
#define DAX_SIZE   MIB(64)
#define DAX_RANGE  MIB(2) /* what Linux maps at once */
#define DAX_PAGE   4096u

#define DAX_READ FUSE_SETUPMAPPING_FLAG_READ
#define DAX_RW	 (FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE)

/* What a guest says at INIT. */
#define DAX_INIT (FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX | FUSE_ATOMIC_O_TRUNC)

struct dax_guest {
	const struct fsd *d;
	struct front_raw *r;
	struct front *f; /* r's */
	uint8_t *window; /* of f; loads and stores that may fail: dax_load(), dax_store() */
};

/* Connects and does INIT. opts may be NULL; the queues are hiprio and one more, or as it says. */
void dax_boot(struct dax_guest *g, const struct fsd *d, const struct front_opts *opts);

/* Checks that QEMU would have lived, and that no file was grown by the front end. */
void dax_close(struct dax_guest *g);

/* After front_reset(): a new driver with new rings; no INIT. */
void dax_new_driver(struct dax_guest *g);

/* Serves the back-end channel until nothing has come for some time. */
void dax_settle(struct dax_guest *g);

/* --- requests; 0 or bytes, or -errno --- */

int dax_map(struct dax_guest *g, uint64_t node, uint64_t file_off, uint64_t len, uint64_t flags,
	    uint64_t window_off);
/* A ticket for fsd_wait(). */
int dax_post_map(struct dax_guest *g, uint64_t node, uint64_t file_off, uint64_t len,
		 uint64_t flags, uint64_t window_off);
int dax_unmap(struct dax_guest *g, uint64_t window_off, uint64_t len);

/* The node id; ends the test if there is no such file. */
uint64_t dax_find(struct dax_guest *g, const char *name);
int dax_lookup(struct dax_guest *g, const char *name, struct fuse_entry_out *out);
int dax_getattr(struct dax_guest *g, uint64_t node, struct fuse_attr *out);
int dax_truncate(struct dax_guest *g, uint64_t node, uint64_t size);
int dax_write(struct dax_guest *g, uint64_t node, uint64_t fh, uint64_t off, const void *data,
	      size_t len);
int dax_fsync(struct dax_guest *g, uint64_t node, uint64_t fh);
int dax_release(struct dax_guest *g, uint64_t node, uint64_t fh);
int dax_destroy(struct dax_guest *g);

/* --- the window --- */

/* As a guest would. False: there is nothing, or it cannot be stored to. */
bool dax_load(const struct dax_guest *g, uint64_t off, void *buf, size_t len);
bool dax_store(const struct dax_guest *g, uint64_t off, const void *buf, size_t len);

/* Does [off, off + len) show [file_off, file_off + len) of a file of this seed? Zeros? */
bool dax_shows(const struct dax_guest *g, uint64_t off, unsigned seed, uint64_t file_off,
	       size_t len);
bool dax_shows_zeros(const struct dax_guest *g, uint64_t off, size_t len);

/* --- the host --- */

/* Bytes [off, off + len) of the pattern; none of them is 0. */
void dax_pattern(unsigned seed, uint64_t off, void *buf, size_t len);

/* Makes a file of the share; an open descriptor, read and write. */
int dax_make(const struct fsd *d, const char *name, unsigned seed, uint64_t size);

/* A file with a name of its own, that both sides have open, for reading and writing. */
struct dax_sample {
	char name[16];
	unsigned seed;
	int fd;		   /* the host's */
	uint64_t node, fh; /* the guest's */
};

struct dax_sample dax_sample_make(struct dax_guest *g, uint64_t size);
void dax_sample_drop(struct dax_guest *g, struct dax_sample *f);
uint64_t dax_sample_size(const struct dax_sample *f);
/* All of it, from the begin of the window, in ranges. */
void dax_sample_map(struct dax_guest *g, const struct dax_sample *f, uint64_t flags);

/* Has the file these bytes there? */
bool dax_file_has(int fd, uint64_t off, const void *buf, size_t len);

#endif
