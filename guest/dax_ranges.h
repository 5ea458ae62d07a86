/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The books of the DAX window: which places are free, what is in the others, who was used last.
 *
 * The window is an array of places of the smallest size. A range is 2^order of them, aligned to
 * that; its first place speaks for it, what the others say means nothing. Free ranges whose
 * halves are both free are one (a buddy system).
 *
 *	FREE	in the list of its order. If nodeid is not 0, that part of that file was here last,
 *and it is found for it again: the device may have kept what it mapped SETUP	SETUPMAPPING is
 *under way READY	mapped. If not pinned, in the list of ages
 *	REMOVE	REMOVEMAPPING is under way
 *	LOST	REMOVEMAPPING failed
 *
 * SETUP, READY and REMOVE are in the chain of their file, too. Those of a file have no byte of it
 *in common.
 */
#ifndef GUEST_DAX_RANGES_H
#define GUEST_DAX_RANGES_H

#include "vdax/dax.h"

#define VDAX_DAX_NONE UINT32_MAX

enum vdax_dax_state {
	VDAX_DAX_FREE,
	VDAX_DAX_SETUP,
	VDAX_DAX_READY,
	VDAX_DAX_REMOVE,
	VDAX_DAX_LOST,
};

/* All of n places of 2^shift bytes is free. A range is at most 2^(orders - 1) places. */
void vdax_book_init(struct vdax_dax_book *b, struct vdax_dax_range *r, uint32_t n,
		    unsigned int shift, unsigned int orders);

static inline uint32_t vdax_book_index(const struct vdax_dax_book *b,
				       const struct vdax_dax_range *r)
{
	return (uint32_t)(r - b->r);
}

/* Bytes: where a range is, and how large. */
static inline uint64_t vdax_book_offset(const struct vdax_dax_book *b,
					const struct vdax_dax_range *r)
{
	return (uint64_t)vdax_book_index(b, r) << b->shift;
}

static inline uint64_t vdax_book_bytes(const struct vdax_dax_book *b, unsigned int order)
{
	return (uint64_t)1 << (b->shift + order);
}

/* The range, SETUP, READY or REMOVE, that has byte off of the file. NULL: there is none. */
struct vdax_dax_range *vdax_book_find(const struct vdax_dax_book *b, uint64_t nodeid, uint64_t off);

/*
 * The largest order, not above this, of a range around off that would have nothing of another: a
 * page that is in the window twice could be two copies. vdax_book_find() has found none.
 */
unsigned int vdax_book_fit(const struct vdax_dax_book *b, unsigned int order, uint64_t nodeid,
			   uint64_t off);

/*
 * A free range becomes SETUP for the bytes around off; *again: it was just that the last time, too.
 * NULL: there is none of that order.
 */
struct vdax_dax_range *vdax_book_take(struct vdax_dax_book *b, unsigned int order, uint64_t nodeid,
				      uint64_t off, bool *again);

/* SETUP or REMOVE becomes FREE. known: the device may have kept the mapping. */
void vdax_book_free(struct vdax_dax_book *b, struct vdax_dax_range *r, bool known);

/* SETUP becomes READY. */
void vdax_book_ready(struct vdax_dax_book *b, struct vdax_dax_range *r);

void vdax_book_pin(struct vdax_dax_book *b, struct vdax_dax_range *r);
void vdax_book_unpin(struct vdax_dax_book *b, struct vdax_dax_range *r);

/* READY and not pinned becomes REMOVE. */
void vdax_book_remove(struct vdax_dax_book *b, struct vdax_dax_range *r);

/* The way back: nothing was sent. It is as old as anything can be. */
void vdax_book_keep(struct vdax_dax_book *b, struct vdax_dax_range *r);

/* REMOVE becomes LOST. */
void vdax_book_lose(struct vdax_dax_book *b, struct vdax_dax_range *r);

/*
 * The part of the window to give up for a range of order: of all that could be, the one whose
 * youngest range is the oldest. It begins at *first, *n places long; each range in it is FREE,
 * REMOVE, or READY and not pinned, at least one of these. False if there is none.
 */
bool vdax_book_victim(const struct vdax_dax_book *b, unsigned int order, uint32_t *first,
		      uint32_t *n);

/* All of a file: the first, and the one after r. NULL: no more. r may become REMOVE meanwhile. */
struct vdax_dax_range *vdax_book_of_file(const struct vdax_dax_book *b, uint64_t nodeid,
					 const struct vdax_dax_range *r);

#endif
