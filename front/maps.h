/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mappings of a front end, in the order of their addresses: a tree, so that hundreds of
 * thousands of them cost no scan. Those that are gone but still listed are kept apart.
 */
#ifndef FRONT_MAPS_H
#define FRONT_MAPS_H

#include <stdbool.h>
#include <stdint.h>

/* One SHMEM_MAP that was accepted. */
struct front_mapping {
	uint64_t at; /* bytes from the begin of the BAR */
	uint64_t len, fd_offset, shm_offset;
	int fd; /* ours; -1 when the mapping is gone */
	uint8_t shmid;
	bool listed; /* the back end has it in its memory table; see front_maps_list() */

	/* front/maps.c's */
	uint32_t priority;
	bool unlisted;			    /* it, or one below it, is not listed */
	struct front_mapping *left, *right; /* left: the next one of those that are gone */
};

/* All zero at first. */
struct front_maps {
	struct front_mapping *root;
	struct front_mapping *gone; /* listed, but not mapped any more */
	unsigned int n;		    /* that are mapped */
	uint32_t random;
};

/* A mapping that shares a byte with [at, at + len), which is not empty; or NULL. */
struct front_mapping *front_maps_find(const struct front_maps *s, uint64_t at, uint64_t len);

/* The first one that begins at or behind at, or NULL: all of them, one after the other. */
struct front_mapping *front_maps_from(const struct front_maps *s, uint64_t at);

/* The first one that is not listed, or NULL. */
struct front_mapping *front_maps_unlisted(const struct front_maps *s);

/* Adds m, which is allocated and overlaps no other. Takes it. */
void front_maps_add(struct front_maps *s, struct front_mapping *m);

/* Makes m listed, or not listed. */
void front_maps_list(struct front_maps *s, struct front_mapping *m, bool listed);

/* m is not mapped any more: its descriptor is closed, and m freed unless it is listed still. */
void front_maps_remove(struct front_maps *s, struct front_mapping *m);

/* Takes one of those that are gone; the caller's to free. NULL if there is none. */
struct front_mapping *front_maps_take_gone(struct front_maps *s);

#endif
