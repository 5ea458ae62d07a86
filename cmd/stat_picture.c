/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat_picture.h"

#include <inttypes.h>
#include <string.h>

#include "base/macros.h"

#define COLUMNS 64u
#define GROUP	16u /* cells, then a blank */

/* What a counter is called for people. */
static const char *const counter_names[STAT_WINDOW_COUNTERS] = {
	[STAT_WINDOW_SETUPS] = "setups",     [STAT_WINDOW_HITS] = "  without a map",
	[STAT_WINDOW_REMOVALS] = "removals", [STAT_WINDOW_MAPS] = "maps",
	[STAT_WINDOW_AHEAD] = "  ahead",     [STAT_WINDOW_AHEAD_HITS] = "  ahead, then used",
	[STAT_WINDOW_UNMAPS] = "unmaps",     [STAT_WINDOW_REFUSED] = "refused",
};

/* A list of those that belong together. */
static const enum stat_window_number counter_order[] = {
	STAT_WINDOW_SETUPS, STAT_WINDOW_HITS,	    STAT_WINDOW_REMOVALS, STAT_WINDOW_MAPS,
	STAT_WINDOW_AHEAD,  STAT_WINDOW_AHEAD_HITS, STAT_WINDOW_UNMAPS,	  STAT_WINDOW_REFUSED,
};
_Static_assert(ARRAY_SIZE(counter_order) == STAT_WINDOW_COUNTERS, "all of them");

static void print_counters(FILE *f, const struct stat_window *w, const struct stat_rates *rates)
{
	fprintf(f, "%-20s %11s %12s\n", "window", "per second", "all");
	for (size_t i = 0; i < ARRAY_SIZE(counter_order); i++) {
		enum stat_window_number k = counter_order[i];

		fprintf(f, "%-20s ", counter_names[k]);
		if (rates)
			fprintf(f, "%11.1f", rates->window_s[k]);
		else
			fprintf(f, "%11s", "-");
		fprintf(f, " %12" PRIu64 "\n", w->n[k]);
	}
}

static void print_sizes(FILE *f, const struct stat_window *w)
{
	char a[STAT_BYTES_LEN], b[STAT_BYTES_LEN];

	fprintf(f, "%-20s %s, %zu cells of %s\n", "size", stat_bytes(a, w->n[STAT_WINDOW_BYTES]),
		w->n_cells, stat_bytes(b, w->n[STAT_WINDOW_CELL]));
	fprintf(f, "%-20s %" PRIu64 ", of %" PRIu64 " files; the guest owns %" PRIu64 "\n",
		"mappings", w->n[STAT_WINDOW_MAPPINGS], w->n[STAT_WINDOW_FILES],
		w->n[STAT_WINDOW_OWNED_MAPPINGS]);
	fprintf(f, "%-20s %s; private copies: %s\n", "owned by the guest",
		stat_bytes(a, w->n[STAT_WINDOW_OWNED]), stat_bytes(b, w->n[STAT_WINDOW_COPIES]));
	fprintf(f, "%-20s %" PRIu64 ", of %s\n", "files to be mapped",
		w->n[STAT_WINDOW_GRANTED_FILES], stat_bytes(a, w->n[STAT_WINDOW_GRANTED]));
}

/* One cell, in its colour; *last is that of the cell before. */
static void print_cell(FILE *f, unsigned kind, unsigned *last, bool colour)
{
	if (colour && kind != *last)
		fprintf(f, "\033[0;%sm", stat_cells[kind].ansi);
	fputc(stat_cells[kind].letter, f);
	*last = kind;
}

static void end_colour(FILE *f, unsigned *last, bool colour)
{
	if (colour && *last != STAT_CELLS)
		fputs("\033[0m", f);
	*last = STAT_CELLS;
}

static void print_row(FILE *f, const char *cells, size_t n, bool colour)
{
	unsigned last = STAT_CELLS;

	for (size_t i = 0; i < n; i++) {
		if (i && i % GROUP == 0) {
			end_colour(f, &last, colour);
			fputc(' ', f);
		}
		print_cell(f, stat_cell_of(cells[i]), &last, colour);
	}
	end_colour(f, &last, colour);
	fputc('\n', f);
}

/* How many whole rows from cell i on are empty. */
static size_t empty_rows(const struct stat_window *w, size_t i)
{
	size_t n = strspn(w->cells + i, ".");

	return i + n == w->n_cells ? (n + COLUMNS - 1) / COLUMNS : n / COLUMNS;
}

/* Of several empty rows one is shown, and the number of the others. */
static void print_picture(FILE *f, const struct stat_window *w, bool colour)
{
	char at[STAT_BYTES_LEN];

	for (size_t i = 0; i < w->n_cells; i += COLUMNS) {
		size_t more = empty_rows(w, i);

		fprintf(f, "%9s  ", stat_bytes_exact(at, i * w->n[STAT_WINDOW_CELL]));
		print_row(f, w->cells + i, MIN(COLUMNS, w->n_cells - i), colour);
		if (more < 3)
			continue;
		fprintf(f, "%9s  %zu more rows are empty\n", "", more - 1);
		i += (more - 1) * COLUMNS;
	}
}

static void print_legend(FILE *f, const struct stat_window *w, bool colour)
{
	uint64_t n[STAT_CELLS];

	stat_cells_count(w, n);
	fprintf(f, "%9s ", "");
	for (unsigned i = 0; i < STAT_CELLS; i++) {
		unsigned last = STAT_CELLS;

		if (i == STAT_CELL_UNKNOWN && !n[i])
			continue;
		if (i == 3)
			fprintf(f, "\n%9s ", "");
		fputc(' ', f);
		print_cell(f, i, &last, colour);
		end_colour(f, &last, colour);
		fprintf(f, " %s: %" PRIu64 " ", stat_cells[i].name, n[i]);
	}
	fputc('\n', f);
}

void stat_print_window(FILE *f, const struct stat_window *w, const struct stat_rates *rates,
		       bool colour)
{
	print_counters(f, w, rates);
	fputc('\n', f);
	print_sizes(f, w);
	if (!w->n_cells)
		return;
	fputc('\n', f);
	print_picture(f, w, colour);
	print_legend(f, w, colour);
}
