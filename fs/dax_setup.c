/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a SETUPMAPPING needs, one request to the front end at a time. Before each it looks at the
 * map anew and does what is next: unmap a piece that is in its way, make room, map a piece that is
 * missing. So there is nothing to remember if the device stops in between. All under the lock.
 */
#include <errno.h>

#include "base/macros.h"
#include "fs/dax_window.h"
#include "host/log.h"

#define SMALL_FIRST (64u << 10)
#define SMALL_LATER (512u << 10)

/*
 * What nobody uses may stay if it is what would be mapped: not a copy where the file itself can be
 * mapped by now, nor a part of the file behind its present end, nor anything that goes beyond what
 * is asked for, as who asks for the rest would find it in use.
 */
static bool would_be_mapped(const struct dax_op *op, const struct dax_piece *p)
{
	bool within = p->copy ? p->foff >= op->direct_end : p->foff + p->len <= op->direct_end;

	return within && p->off >= op->off && p->off + p->len <= op->end;
}

/* May p stay, as a part of what is asked for? */
static bool fits(const struct dax_op *op, const struct dax_piece *p)
{
	return p->state == PIECE_LIVE && p->file == op->file &&
	       p->foff - p->off == op->foff - op->off && (p->owned || would_be_mapped(op, p));
}

/* Of the range, the first piece that must go; NULL if there is none. */
static struct dax_piece *in_the_way(const struct dax *d, const struct dax_op *op)
{
	struct dax_piece *p = dax_map_first(&d->map, op->off, op->end);

	while (p && fits(op, p))
		p = dax_map_first(&d->map, p->off + p->len, op->end);
	return p;
}

/* The first byte of the range that no piece has, or its end. */
static uint64_t first_hole(const struct dax *d, const struct dax_op *op)
{
	uint64_t at = op->off;

	while (at < op->end) {
		const struct dax_piece *p = dax_map_first(&d->map, at, op->end);

		if (!p || p->off > at)
			return at;
		at = p->off + p->len;
	}
	return op->end;
}

static bool overlaps(const struct dax_op *op, const struct dax_piece *p)
{
	return p->off < op->end && op->off < p->off + p->len;
}

/* The piece that is idle for longest, or the copy, and that op does not want for itself. */
static struct dax_piece *spare(const struct dax *d, const struct dax_op *op, bool charged)
{
	struct dax_piece *p = d->map.oldest;

	while (p && (overlaps(op, p) || (charged && !p->charged)))
		p = p->newer;
	return p;
}

/*
 * Does the guest go on using a piece that is in the way, outside of the range? Looked at for all of
 * them before the first one goes: a request that fails so has changed nothing.
 */
static bool is_busy(const struct dax *d, const struct dax_op *op)
{
	const struct dax_piece *p;

	for (p = dax_map_first(&d->map, op->off, op->end); p;
	     p = dax_map_first(&d->map, p->off + p->len, op->end)) {
		uint64_t off = MAX(op->off, p->off), end = MIN(op->end, p->off + p->len);

		if (!fits(op, p) && p->owned > dax_map_count(&d->map, off, end))
			return true;
	}
	return false;
}

/* Takes away what the guest owns of p, which it has just asked to replace. */
static int replace(struct dax *d, const struct dax_op *op, struct dax_piece *p)
{
	if (is_busy(d, op))
		return -EBUSY;
	dax_disown(d, MAX(op->off, p->off), MIN(op->end, p->off + p->len));
	return dax_piece_unmap(d, p);
}

/* Room for one piece more, and for its memory if it is a copy. 0, 1: under way, or -errno. */
static int make_room(struct dax *d, const struct dax_op *op, uint64_t hole)
{
	bool memory = op->file->by_copy &&
		      d->copied + dax_file_bytes(op, hole) > d->fs->cfg->dax_copies;
	struct dax_piece *p;

	if (d->map.n < d->max_maps && !memory)
		return 0;
	p = spare(d, op, memory);
	if (p)
		return dax_piece_unmap(d, p);
	log_guest(d->fs->name,
		  memory ? "the guest maps more of files that can only be copied than --dax-copies"
			 : "the guest has as many mappings as there can be");
	return -EIO;
}

/*
 * How large the part of the file in a last range must be, to be a piece of its own beside the copy
 * of the last page. A guest that maps everything (dax=always) may need a piece for each range, and
 * gets an error where there is none; what is beyond that is for last ranges, and spent on large
 * ones.
 */
static uint64_t least_direct(const struct dax *d)
{
	uint64_t ranges = d->size / FS_DAX_RANGE, spare;

	if (fs_has(d->fs, FUSE_HAS_INODE_DAX))
		return 0; /* what it maps has its pieces: fs/dax_policy.c */
	spare = d->max_maps > ranges ? d->max_maps - ranges : 0;
	if (d->n_second >= spare)
		return FS_DAX_RANGE;
	if (d->n_second > spare / 2)
		return SMALL_LATER;
	return d->n_second > spare / 4 ? SMALL_FIRST : 0;
}

void dax_setup_plan(const struct dax *d, struct dax_op *op)
{
	uint64_t direct = op->direct_end - MIN(op->foff, op->direct_end);

	if (direct < least_direct(d) && direct < op->end - op->off)
		op->direct_end = MIN(op->foff, op->direct_end);
}

/* The next request of a SETUPMAPPING. 1: under way; 0: nothing is missing; -errno. */
int dax_setup_step(struct dax *d, struct dax_op *op)
{
	struct dax_piece *p = in_the_way(d, op);
	uint64_t hole;
	int ret;

	if (p)
		return replace(d, op, p);
	hole = first_hole(d, op);
	if (hole == op->end)
		return 0;
	ret = make_room(d, op, hole);
	if (ret)
		return ret;
	p = dax_piece_new(d, op, hole, dax_map_hole_end(&d->map, hole, op->end));
	op->mapped = true;
	return p ? dax_piece_map(d, p) : -ENOMEM;
}

/* What comes behind op, if op came behind what came before. */
static void look_ahead(struct dax *d, const struct dax_op *op)
{
	struct dax_ahead *a = &d->ahead;
	uint64_t len = op->end - op->off;

	a->due = a->file == op->file && a->off == op->off && a->foff == op->foff && a->len == len &&
		 op->foff + 2 * len <= op->direct_end && op->end + len <= d->size;
	if (a->file != op->file) {
		if (a->file)
			dax_file_put(d, a->file);
		a->file = op->file;
		a->file->refs++;
	}
	a->off = op->end;
	a->foff = op->foff + len;
	a->len = len;
}

void dax_look_away(struct dax *d, const struct dax_file *f)
{
	if (!d->ahead.file || d->ahead.file != f)
		return;
	dax_file_put(d, d->ahead.file);
	d->ahead = (struct dax_ahead){ 0 };
}

/* Everything is in place: the guest owns it. */
void dax_take(struct dax *d, struct dax_op *op)
{
	op->had = dax_map_count(&d->map, op->off, op->end);
	dax_own(d, op->off, op->end);
	op->file->wanted--;
	d->n.hits += !op->mapped;
	look_ahead(d, op);
}

/* Is the range covered already, by what nobody is about to change? */
bool dax_covered(const struct dax *d, const struct dax_op *op)
{
	for (const struct dax_op *o = d->todo.first; o; o = o->next)
		if (o->off < op->end && op->off < o->end)
			return false;
	return !in_the_way(d, op) && first_hole(d, op) == op->end;
}
