/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/dax_ranges.h"

#include "base/align.h"
#include "base/range.h"

#define NONE VDAX_DAX_NONE

/* --- Lists: of the free ones, and of ages --- */

static void list_append(struct vdax_dax_book *b, struct vdax_dax_list *l, struct vdax_dax_range *r)
{
	uint32_t i = vdax_book_index(b, r);

	r->next = NONE;
	r->prev = l->last;
	if (l->last == NONE)
		l->first = i;
	else
		b->r[l->last].next = i;
	l->last = i;
}

static void list_prepend(struct vdax_dax_book *b, struct vdax_dax_list *l, struct vdax_dax_range *r)
{
	uint32_t i = vdax_book_index(b, r);

	r->prev = NONE;
	r->next = l->first;
	if (l->first == NONE)
		l->last = i;
	else
		b->r[l->first].prev = i;
	l->first = i;
}

static void list_remove(struct vdax_dax_book *b, struct vdax_dax_list *l, struct vdax_dax_range *r)
{
	if (r->prev == NONE)
		l->first = r->next;
	else
		b->r[r->prev].next = r->next;
	if (r->next == NONE)
		l->last = r->prev;
	else
		b->r[r->next].prev = r->prev;
}

/* --- Chains: by place in a file, and by file. A chain hangs on the place that its hash is. --- */

static uint32_t chain_of(const struct vdax_dax_book *b, uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(((x >> 32) * b->n) >> 32);
}

static uint32_t *bytes_chain(const struct vdax_dax_book *b, uint64_t nodeid, uint64_t file_off,
			     unsigned int order)
{
	uint64_t key = (file_off >> b->shift) * VDAX_DAX_ORDERS + order;

	return &b->r[chain_of(b, nodeid * UINT64_C(0xd6e8feb86659fd93) ^ key)].hash_first;
}

static uint32_t *file_chain(const struct vdax_dax_book *b, uint64_t nodeid)
{
	return &b->r[chain_of(b, nodeid)].file_first;
}

static void know(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	uint32_t *first = bytes_chain(b, r->nodeid, r->file_off, r->order);

	r->hash_next = *first;
	*first = vdax_book_index(b, r);
	b->known[r->order]++;
}

/* Nobody finds it by what is, or was, in it any more. */
static void unknow(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	uint32_t *at, i = vdax_book_index(b, r);

	if (!r->nodeid)
		return;
	at = bytes_chain(b, r->nodeid, r->file_off, r->order);
	while (*at != i)
		at = &b->r[*at].hash_next;
	*at = r->hash_next;
	b->known[r->order]--;
	r->nodeid = 0;
}

/* The one of exactly that place and order: a free one, or one that is not. */
static struct vdax_dax_range *find_exact(const struct vdax_dax_book *b, uint64_t nodeid,
					 uint64_t off, unsigned int order, bool free)
{
	uint64_t file_off = align_down(off, vdax_book_bytes(b, order));
	uint32_t i;

	if (!b->known[order])
		return NULL;
	for (i = *bytes_chain(b, nodeid, file_off, order); i != NONE; i = b->r[i].hash_next) {
		struct vdax_dax_range *r = &b->r[i];

		if (r->nodeid == nodeid && r->file_off == file_off && r->order == order &&
		    (r->state == VDAX_DAX_FREE) == free)
			return r;
	}
	return NULL;
}

struct vdax_dax_range *vdax_book_find(const struct vdax_dax_book *b, uint64_t nodeid, uint64_t off)
{
	for (unsigned int order = b->orders; order-- > 0;) {
		struct vdax_dax_range *r = find_exact(b, nodeid, off, order, false);

		if (r)
			return r;
	}
	return NULL;
}

/* Does anything of a smaller order begin in the bytes of that order around off? */
static bool has_smaller(const struct vdax_dax_book *b, unsigned int order, uint64_t nodeid,
			uint64_t off)
{
	const uint64_t first = align_down(off, vdax_book_bytes(b, order));

	for (unsigned int k = 0; k < order; k++) {
		if (!b->known[k])
			continue;
		for (uint64_t i = 0; i < (uint64_t)1 << (order - k); i++) {
			if (find_exact(b, nodeid, first + i * vdax_book_bytes(b, k), k, false))
				return true;
		}
	}
	return false;
}

unsigned int vdax_book_fit(const struct vdax_dax_book *b, unsigned int order, uint64_t nodeid,
			   uint64_t off)
{
	while (has_smaller(b, order, nodeid, off))
		order--;
	return order;
}

static void join_file(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	uint32_t i = vdax_book_index(b, r), *first = file_chain(b, r->nodeid);

	r->file_prev = NONE;
	r->file_next = *first;
	if (*first != NONE)
		b->r[*first].file_prev = i;
	*first = i;
}

static void leave_file(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	if (r->file_prev == NONE)
		*file_chain(b, r->nodeid) = r->file_next;
	else
		b->r[r->file_prev].file_next = r->file_next;
	if (r->file_next != NONE)
		b->r[r->file_next].file_prev = r->file_prev;
}

struct vdax_dax_range *vdax_book_of_file(const struct vdax_dax_book *b, uint64_t nodeid,
					 const struct vdax_dax_range *r)
{
	uint32_t i = r ? r->file_next : *file_chain(b, nodeid);

	while (i != NONE && b->r[i].nodeid != nodeid)
		i = b->r[i].file_next;
	return i == NONE ? NULL : &b->r[i];
}

/* --- Free and not --- */

static void make_free(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	r->state = VDAX_DAX_FREE;
	list_append(b, &b->free[r->order], r);
}

void vdax_book_init(struct vdax_dax_book *b, struct vdax_dax_range *r, uint32_t n,
		    unsigned int shift, unsigned int orders)
{
	unsigned int order = orders - 1;

	*b = (struct vdax_dax_book){
		.r = r, .n = n, .shift = shift, .orders = orders, .ages = { NONE, NONE }
	};
	for (unsigned int i = 0; i < VDAX_DAX_ORDERS; i++)
		b->free[i] = (struct vdax_dax_list){ NONE, NONE };
	for (uint32_t i = 0; i < n; i++)
		r[i] = (struct vdax_dax_range){ .hash_first = NONE, .file_first = NONE };
	/* The largest that fit; what is left at the end is in ever smaller ones. */
	for (uint32_t i = 0; i < n; i += (uint32_t)1 << order) {
		while (n - i < (uint32_t)1 << order)
			order--;
		r[i].order = (uint8_t)order;
		make_free(b, &r[i]);
	}
}

/* Takes the first half, again and again, of the smallest that is large enough. */
static struct vdax_dax_range *split(struct vdax_dax_book *b, unsigned int order)
{
	struct vdax_dax_range *r;
	unsigned int from = order;

	while (from < b->orders && b->free[from].first == NONE)
		from++;
	if (from == b->orders)
		return NULL;
	r = &b->r[b->free[from].first];
	list_remove(b, &b->free[from], r);
	unknow(b, r);
	while (from > order) {
		struct vdax_dax_range *half = r + ((uint32_t)1 << --from);

		half->nodeid = 0;
		half->order = (uint8_t)from;
		make_free(b, half);
	}
	r->order = (uint8_t)order;
	return r;
}

struct vdax_dax_range *vdax_book_take(struct vdax_dax_book *b, unsigned int order, uint64_t nodeid,
				      uint64_t off, bool *again)
{
	struct vdax_dax_range *r = find_exact(b, nodeid, off, order, true);

	*again = r;
	if (r) {
		list_remove(b, &b->free[order], r);
	} else {
		r = split(b, order);
		if (!r)
			return NULL;
		r->nodeid = nodeid;
		r->file_off = align_down(off, vdax_book_bytes(b, order));
		know(b, r);
	}
	r->state = VDAX_DAX_SETUP;
	r->pins = 0;
	r->writable = r->upgrading = r->ahead = false;
	join_file(b, r);
	b->mapped++;
	return r;
}

/* Its other half, if that is free as a whole. */
static struct vdax_dax_range *free_buddy(struct vdax_dax_book *b, const struct vdax_dax_range *r)
{
	uint32_t i = vdax_book_index(b, r) ^ ((uint32_t)1 << r->order);

	if (r->order + 1u >= b->orders || i >= b->n || b->r[i].state != VDAX_DAX_FREE ||
	    b->r[i].order != r->order)
		return NULL;
	return &b->r[i];
}

void vdax_book_free(struct vdax_dax_book *b, struct vdax_dax_range *r, bool known)
{
	struct vdax_dax_range *buddy;

	leave_file(b, r);
	b->mapped--;
	if (!known)
		unknow(b, r);
	while ((buddy = free_buddy(b, r))) {
		list_remove(b, &b->free[buddy->order], buddy);
		unknow(b, buddy);
		unknow(b, r);
		r = r < buddy ? r : buddy;
		r->order++;
	}
	make_free(b, r);
}

/* --- In use --- */

static void set_age(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	r->stamp = b->clock;
	list_append(b, &b->ages, r);
}

void vdax_book_ready(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	r->state = VDAX_DAX_READY;
	set_age(b, r);
}

void vdax_book_pin(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	if (!r->pins++) {
		list_remove(b, &b->ages, r);
		b->pinned++;
	}
	r->stamp = b->clock;
}

void vdax_book_unpin(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	if (!--r->pins) {
		set_age(b, r);
		b->pinned--;
	}
}

void vdax_book_remove(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	list_remove(b, &b->ages, r);
	r->state = VDAX_DAX_REMOVE;
}

void vdax_book_keep(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	r->state = VDAX_DAX_READY;
	list_prepend(b, &b->ages, r);
}

void vdax_book_lose(struct vdax_dax_book *b, struct vdax_dax_range *r)
{
	leave_file(b, r);
	b->mapped--;
	unknow(b, r);
	r->state = VDAX_DAX_LOST;
}

/* Could the range be gone, and is it not younger than newest? */
static bool may_go(const struct vdax_dax_range *r, uint64_t newest)
{
	if (r->state == VDAX_DAX_READY)
		return !r->pins && r->stamp <= newest;
	return r->state == VDAX_DAX_FREE || r->state == VDAX_DAX_REMOVE;
}

static bool all_may_go(const struct vdax_dax_book *b, uint32_t first, uint32_t n, uint64_t newest)
{
	uint32_t i = first;

	if (!range_ok(first, n, b->n))
		return false;
	while (i - first < n && may_go(&b->r[i], newest))
		i += (uint32_t)1 << b->r[i].order;
	return i - first >= n;
}

bool vdax_book_victim(const struct vdax_dax_book *b, unsigned int order, uint32_t *first,
		      uint32_t *n)
{
	*n = (uint32_t)1 << order;
	/*
	 * From the oldest on: the first part that has nothing younger is it. A larger range begins
	 * at its own first place, and goes as a whole.
	 */
	for (uint32_t i = b->ages.first; i != NONE; i = b->r[i].next) {
		const struct vdax_dax_range *r = &b->r[i];

		*first = i & ~(*n - 1);
		if (all_may_go(b, *first, *n, r->stamp))
			return true;
	}
	return false;
}
