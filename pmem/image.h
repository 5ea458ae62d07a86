/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image file or block device behind a pmem device.
 *
 * It is opened twice. map_fd goes to the front end, which maps it into the guest; it holds
 * the OFD lock, so the image stays locked as long as any process has it mapped, ours or not.
 * sync_fd is opened before the first mapping and never sent: the kernel reports a
 * write-back error once for each open file, and a sync by anyone else on ours would take it.
 *
 * Failures are logged here, with what to do; the -errno is for the exit status and tests.
 */
#ifndef PMEM_IMAGE_H
#define PMEM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct image_opts {
	const char *path;
	bool sparse;	     /* do not allocate blocks: a store may find the disk full */
	bool read_only;	     /* serve a private copy; what the guest writes is discarded */
	uint64_t copy_limit; /* bytes of memory for that copy; 0: half of what is free */
};

struct image {
	const char *path; /* borrowed */
	uint64_t size;	  /* bytes, a multiple of PMEM_ALIGN */
	int map_fd;
	int sync_fd; /* -1 if what the guest writes is discarded */
	bool is_block;
	const char *kind; /* "file", "block device", "reflink copy", "memory copy" */
	dev_t dev;	  /* of map_fd, as fstat() says */
	ino_t ino;
};

/* Makes a new image of size bytes. 0 or -errno; an existing file is left alone. */
int image_create(const char *path, uint64_t size, bool sparse);

/* Makes an image larger. 0 or -errno. */
int image_grow(const char *path, uint64_t size, bool sparse);

/* 0 or -errno; call image_close() in both cases. */
int image_open(struct image *img, const struct image_opts *opts);
void image_close(struct image *img);

/*
 * Makes everything durable that is in the page cache when it begins. 0 or -errno; -ENXIO if
 * somebody has made the image smaller, which loses data no less than a write error.
 */
int image_sync(struct image *img);

#endif
