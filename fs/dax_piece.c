/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of the window, and what the guest owns of them. All under the lock. */
#include <stdlib.h>

#include "base/macros.h"
#include "fs/dax_window.h"
#include "host/fd.h"

uint64_t dax_file_bytes(const struct dax_op *op, uint64_t off)
{
	uint64_t foff = op->foff + (off - op->off);

	return op->size > foff ? MIN(op->size - foff, op->end - off) : 0;
}

struct dax_piece *dax_piece_new(struct dax *d, const struct dax_op *op, uint64_t off, uint64_t end)
{
	struct dax_piece *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->off = off;
	p->foff = op->foff + (off - op->off);
	p->copy = p->foff >= op->direct_end;
	/* Copies are no larger than a range: what becomes of one is not to hold up others. */
	p->len = p->copy ? MIN(end - off, FS_DAX_RANGE - off % FS_DAX_RANGE)
			 : MIN(end - off, op->direct_end - p->foff);
	p->file = op->file;
	if (dax_map_insert(&d->map, p)) {
		free(p);
		return NULL;
	}
	if (op->file->by_copy)
		p->charged = MIN(dax_file_bytes(op, off), p->len);
	d->copied += p->charged;
	d->n_second += p->off % FS_DAX_RANGE != 0;
	p->file->refs++;
	p->file->n_copies += p->copy;
	p->next_of_file = p->file->pieces;
	p->link = &p->file->pieces;
	if (p->next_of_file)
		p->next_of_file->link = &p->next_of_file;
	p->file->pieces = p;
	return p;
}

/* It is not mapped any more. A queue's thread frees it. */
void dax_piece_gone(struct dax *d, struct dax_piece *p)
{
	dax_map_remove(&d->map, p);
	d->copied -= p->charged;
	d->n_second -= p->off % FS_DAX_RANGE != 0;
	p->file->n_copies -= p->copy;
	*p->link = p->next_of_file;
	if (p->next_of_file)
		p->next_of_file->link = p->link;
	if (!p->file->pieces)
		dax_look_away(d, p->file);
	p->next_dead = d->dead_pieces;
	d->dead_pieces = p;
}

void dax_disown(struct dax *d, uint64_t off, uint64_t end)
{
	struct dax_piece *p;
	uint64_t now = clock_ns();

	for (p = dax_map_first(&d->map, off, end); p;
	     p = dax_map_first(&d->map, p->off + p->len, end)) {
		uint32_t was = p->owned;

		dax_map_disown(&d->map, MAX(off, p->off), MIN(end, p->off + p->len), now);
		p->file->owned -= was - p->owned;
		if (was && !p->file->owned)
			dax_file_relock(p->file);
	}
}

void dax_own(struct dax *d, uint64_t off, uint64_t end)
{
	struct dax_piece *p;

	for (p = dax_map_first(&d->map, off, end); p;
	     p = dax_map_first(&d->map, p->off + p->len, end)) {
		uint32_t was = p->owned;

		dax_map_own(&d->map, MAX(off, p->off), MIN(end, p->off + p->len));
		p->file->owned += p->owned - was;
		d->n.ahead_hits += p->ahead;
		p->ahead = false;
	}
}
