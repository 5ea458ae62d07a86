/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of live migration: a bitmap that we share with the front end, one bit for each 4 KiB of
 * guest-physical memory (page n is bit n % 8 of byte n / 8). The front end takes and clears
 * bits while we set them, then copies those pages: so a page is marked after it was written,
 * never before. Immutable but for the bits, reference-counted.
 *
 * The memory is a file of the front end, which may truncate it: all marks run inside
 * fault_guard().
 */
#ifndef VIRTIO_DIRTY_H
#define VIRTIO_DIRTY_H

#include <stdint.h>

#define DIRTY_PAGE_SHIFT 12u

struct dirty_log {
	_Atomic unsigned refs;
	uint8_t *bits;
	uint64_t len; /* bytes */
	void *addr;   /* of the mmap; NULL: the caller of dirty_over() keeps the memory */
	uint64_t map_len;
};

/*
 * Maps len bytes of fd (borrowed) from off. 0 and *out with one reference, -EINVAL (empty,
 * wraps, past the end of the file) or another -errno.
 */
int dirty_open(int fd, uint64_t off, uint64_t len, struct dirty_log **out);

/* A log over memory that the caller keeps, or NULL: for tests. */
struct dirty_log *dirty_over(void *bits, uint64_t len);

struct dirty_log *dirty_get(struct dirty_log *log); /* NULL is fine */
void dirty_put(struct dirty_log *log);		    /* NULL is fine */

/*
 * Marks the pages of [gpa, gpa + len). 0, -ERANGE if the log does not reach that far (what it
 * reaches is marked), -EFAULT if its memory was taken away.
 */
int dirty_mark(struct dirty_log *log, uint64_t gpa, uint64_t len);

#endif
