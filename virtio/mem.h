/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory, as the front end shares it: an immutable, reference-counted table of
 * regions. A change makes a new table, which takes over the mmaps of the regions that
 * stay; an mmap goes with the last table that lists it. So whoever holds a table may use
 * its pointers, whatever the front end does meanwhile.
 *
 * A region that cannot be mapped is listed all the same ("present, unusable"): the address
 * is taken, and nothing translates to it.
 */
#ifndef VIRTIO_MEM_H
#define VIRTIO_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As many as QEMU can have. */
#define MEM_MAX_REGIONS 512u

/* One mmap of a part of a file; shared by the tables that list it. */
struct mem_map {
	_Atomic unsigned refs;
	void *addr;
	uint64_t len;
};

struct mem_region {
	uint64_t gpa;  /* guest-physical address */
	uint64_t size; /* bytes */
	uint64_t uva;  /* the front end's own address; ring addresses are in this space */
	uint64_t off;  /* in the file */
	dev_t dev;     /* the file, as fstat() says */
	ino_t ino;
	uint8_t *host; /* of the first byte; NULL: present, unusable */
	struct mem_map *map;
};

struct mem_table {
	_Atomic unsigned refs;
	unsigned n;
	struct mem_region r[]; /* by gpa, not overlapping */
};

/* An empty table with one reference, or NULL. */
struct mem_table *mem_new(void);

struct mem_table *mem_get(struct mem_table *t);
void mem_put(struct mem_table *t); /* NULL is fine */

/*
 * A new table: t and one more region, backed by fd from offset off. fd is borrowed; the
 * mmap of an equal region in old (may be NULL) is taken over. Returns 0 and *out with one
 * reference, -EINVAL (empty, wraps), -EEXIST (overlaps), -ENOSPC or -ENOMEM.
 */
int mem_with(const struct mem_table *t, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t off,
	     int fd, const struct mem_table *old, struct mem_table **out);

/* A new table: t without the region that is exactly this. 0, -ENOENT or -ENOMEM. */
int mem_without(const struct mem_table *t, uint64_t gpa, uint64_t size, uint64_t uva,
		struct mem_table **out);

/* A table of one region at gpa 0 over memory that the caller keeps: for tests and fakes. */
struct mem_table *mem_over(void *host, uint64_t size);

/*
 * The one place where a guest address becomes a pointer. Returns the host address of gpa
 * and in *len how many of the wanted bytes are contiguous there (at least 1), or NULL if
 * gpa is not usable memory.
 */
void *mem_span(const struct mem_table *t, uint64_t gpa, uint64_t *len);

/* The same for a ring: all of it, by front-end address, in one region; or NULL. */
void *mem_by_uva(const struct mem_table *t, uint64_t uva, uint64_t len);

/*
 * The way back: the guest address of host, and in *len how many of the wanted bytes follow there
 * (at least 1). False if host is not in the table.
 */
bool mem_gpa(const struct mem_table *t, const void *host, uint64_t *len, uint64_t *gpa);

/* Does the table list a region of this file that begins at file offset off? */
bool mem_lists(const struct mem_table *t, dev_t dev, ino_t ino, uint64_t off);

#endif
