/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat_window.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

static const char *const labels[STAT_WINDOW_NUMBERS] = {
	[STAT_WINDOW_SETUPS] = "setups",     [STAT_WINDOW_HITS] = "hits",
	[STAT_WINDOW_REMOVALS] = "removals", [STAT_WINDOW_MAPS] = "maps",
	[STAT_WINDOW_UNMAPS] = "unmaps",     [STAT_WINDOW_REFUSED] = "refused",
	[STAT_WINDOW_AHEAD] = "ahead",	     [STAT_WINDOW_AHEAD_HITS] = "ahead_hits",
	[STAT_WINDOW_BYTES] = "bytes",	     [STAT_WINDOW_CELL] = "cell",
	[STAT_WINDOW_MAPPINGS] = "mappings", [STAT_WINDOW_OWNED_MAPPINGS] = "owned_mappings",
	[STAT_WINDOW_OWNED] = "owned",	     [STAT_WINDOW_COPIES] = "copies",
	[STAT_WINDOW_FILES] = "files",	     [STAT_WINDOW_GRANTED_FILES] = "granted_files",
	[STAT_WINDOW_GRANTED] = "granted",
};

/* Told apart without red and green, and by brightness: what is in use is dark. */
const struct stat_cell stat_cells[STAT_CELLS] = {
	{ '.', "empty", "90", "#e9edf1" },
	{ 'c', "kept", "30;47", "#b3c0cc" },
	{ 'a', "mapped ahead", "30;43", "#f0c04c" },
	{ 'r', "read", "97;44", "#2f7ebc" },
	{ 'w', "read and written", "97;41", "#c8452f" },
	{ 'p', "with a private copy", "97;45", "#7a4a9e" },
	[STAT_CELL_UNKNOWN] = { '?', "unknown", "7", "#222222" },
};

unsigned stat_cell_of(char letter)
{
	for (unsigned i = 0; i < STAT_CELLS; i++)
		if (stat_cells[i].letter == letter)
			return i;
	return STAT_CELL_UNKNOWN;
}

void stat_cells_count(const struct stat_window *w, uint64_t n[STAT_CELLS])
{
	memset(n, 0, STAT_CELLS * sizeof(n[0]));
	for (size_t i = 0; i < w->n_cells; i++)
		n[stat_cell_of(w->cells[i])]++;
}

const char *stat_window_label(enum stat_window_number i)
{
	return labels[i];
}

bool stat_window_of(struct stat_window *w, const struct stat_answer *a)
{
	*w = (struct stat_window){ .cells = "" };
	for (unsigned i = 0; i < a->n_lines; i++) {
		const struct stat_line *l = &a->line[i];

		if (strcmp(l->key, "window") != 0 || !l->label)
			continue;
		if (!strcmp(l->label, "cells"))
			w->cells = l->value;
		for (unsigned k = 0; k < STAT_WINDOW_NUMBERS; k++)
			if (!strcmp(l->label, labels[k]) &&
			    strspn(l->value, "0123456789") == strlen(l->value))
				w->n[k] = strtoull(l->value, NULL, 10);
	}
	w->n_cells = strlen(w->cells);
	return w->n[STAT_WINDOW_BYTES] != 0;
}

static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };

const char *stat_bytes(char buf[STAT_BYTES_LEN], uint64_t bytes)
{
	double n = (double)bytes;
	size_t unit = 0;

	for (; n >= 1023.95 && unit + 1 < ARRAY_SIZE(units); unit++)
		n /= 1024;
	snprintf(buf, STAT_BYTES_LEN, "%.1f", n);
	if (!strcmp(buf + strlen(buf) - 2, ".0"))
		buf[strlen(buf) - 2] = '\0';
	snprintf(buf + strlen(buf), STAT_BYTES_LEN - strlen(buf), " %s", units[unit]);
	return buf;
}

const char *stat_bytes_exact(char buf[STAT_BYTES_LEN], uint64_t bytes)
{
	size_t unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	snprintf(buf, STAT_BYTES_LEN, "%" PRIu64 "%s%s", bytes, bytes ? " " : "",
		 bytes ? units[unit] : "");
	return buf;
}
