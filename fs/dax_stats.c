/* SPDX-License-Identifier: BSD-2-Clause */
/* What the window looks like, for vdax stat. */
#include <string.h>

#include "base/macros.h"
#include "fs/dax_window.h"

/* The letter of a cell is that of the piece that says most. */
static char letter(const struct dax_piece *p)
{
	if (p->owned)
		return p->copy ? 'p' : p->written ? 'w' : 'r';
	return p->ahead ? 'a' : 'c';
}

static void draw(const struct dax *d, struct dax_stats *out)
{
	static const char order[] = ".carwp"; /* a later one hides an earlier one */
	size_t n = (size_t)((d->size + out->cell - 1) / out->cell);

	memset(out->cells, '.', n);
	for (size_t i = 0; i < d->map.n; i++) {
		const struct dax_piece *p = d->map.v[i];
		char c = letter(p);

		for (uint64_t at = p->off / out->cell; at * out->cell < p->off + p->len; at++)
			if (strchr(order, c) > strchr(order, out->cells[at]))
				out->cells[at] = c;
	}
}

static uint64_t cell_of(uint64_t size)
{
	uint64_t cell = FS_DAX_RANGE;

	while (size / cell > DAX_CELLS_MAX)
		cell *= 2;
	return cell;
}

void dax_stats(struct fs *fs, struct dax_stats *out)
{
	struct dax *d = fs->dax;

	*out = (struct dax_stats){ 0 };
	if (!d)
		return;
	dax_grants_count(d, &out->granted_files, &out->granted);
	out->granted *= FS_DAX_RANGE;
	out->window = d->size;
	out->cell = cell_of(d->size);
	pthread_mutex_lock(&d->lock);
	out->setups = d->n.setups;
	out->removals = d->n.removals;
	out->hits = d->n.hits;
	out->maps = d->n.maps;
	out->unmaps = d->n.unmaps;
	out->refused = d->n.refused;
	out->ahead = d->n.ahead;
	out->ahead_hits = d->n.ahead_hits;
	out->mappings = d->map.n;
	out->owned = d->map.owned * DAX_PAGE;
	out->files = d->n_files;
	for (size_t i = 0; i < d->map.n; i++) {
		const struct dax_piece *p = d->map.v[i];

		out->owned_mappings += p->owned != 0;
		out->copies += p->copy ? p->valid : 0;
	}
	draw(d, out);
	pthread_mutex_unlock(&d->lock);
}
