/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two books of the window (fs/dax.h): pieces, which the front end maps and unmaps as a whole,
 * and a bit for each page that the guest owns. No system call, no lock: the caller has one.
 */
#ifndef FS_DAX_MAP_H
#define FS_DAX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dax_file;

enum piece_state {
	PIECE_NEW,     /* the front end is asked to map it */
	PIECE_LIVE,    /* mapped */
	PIECE_LEAVING, /* the front end is asked to unmap it */
	PIECE_UNSURE,  /* the device stopped meanwhile: mapped or not */
};

/* All offsets and lengths are bytes, and multiples of DAX_PAGE. */
struct dax_piece {
	uint64_t off, len; /* in the window */
	struct dax_file *file;
	uint64_t foff; /* of its first byte in the file */
	enum piece_state state;
	bool copy;	  /* of memory of ours (fs/dax_copy.c), not of the file */
	bool ahead;	  /* mapped before it was asked for, and not yet asked for */
	bool written;	  /* the guest may store into it */
	bool hasty;	  /* goes as soon as it is idle */
	bool listed;	  /* in the list of what is idle */
	uint32_t owned;	  /* pages that the guest owns */
	uint64_t charged; /* bytes of dax.copied */
	struct dax_piece *next_of_file, **link; /* link: who points to it */
	struct dax_piece *older, *newer;	/* in the list of what is idle */
	uint64_t idle_ns;			/* since when, CLOCK_MONOTONIC */
	/* Of a copy, under its lock: see there. */
	_Atomic uint64_t valid; /* bytes within the file, when last looked at; all may read it */
	_Atomic bool unsaved;	/* a store of the guest could not be saved the last time */
	bool filled; /* it is what the file is; before, it may be what a former copy there was */
	uint8_t *base;
	struct dax_piece *next_dead;
};

struct dax_map {
	uint64_t size;	      /* bytes of the window */
	uint64_t *bits;	      /* pages that the guest owns */
	uint64_t owned;	      /* how many */
	struct dax_piece **v; /* by offset; they do not overlap */
	size_t n, cap;
	/* Live pieces of which the guest owns nothing: who is idle for longest first. */
	struct dax_piece *oldest, *newest;
};

/* 0 or -ENOMEM. size may be 0. */
int dax_map_init(struct dax_map *m, uint64_t size);
/* The pieces are the caller's, and gone. */
void dax_map_fini(struct dax_map *m);

/* The first piece, by offset, that has a byte in [off, end); NULL if there is none. */
struct dax_piece *dax_map_first(const struct dax_map *m, uint64_t off, uint64_t end);

/* Where the first piece at or behind off begins, or end if that is nearer. */
uint64_t dax_map_hole_end(const struct dax_map *m, uint64_t off, uint64_t end);

/* Puts p, which overlaps no other, into its place. 0 or -ENOMEM. */
int dax_map_insert(struct dax_map *m, struct dax_piece *p);

/* The guest must own nothing of it. */
void dax_map_remove(struct dax_map *m, struct dax_piece *p);

/* The front end has mapped it. */
void dax_map_live(struct dax_map *m, struct dax_piece *p, uint64_t now_ns);

/* It is about to be unmapped, or nobody knows: not idle any more. */
void dax_map_leaves(struct dax_map *m, struct dax_piece *p, enum piece_state state);

/* The guest owns all pages of [off, end), which live pieces cover without a hole. */
void dax_map_own(struct dax_map *m, uint64_t off, uint64_t end);

/* The guest owns none of them. */
void dax_map_disown(struct dax_map *m, uint64_t off, uint64_t end, uint64_t now_ns);

/* Pages of [off, end) that the guest owns. */
uint64_t dax_map_count(const struct dax_map *m, uint64_t off, uint64_t end);

#endif
