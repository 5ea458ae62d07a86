/* SPDX-License-Identifier: BSD-2-Clause */
/* The DAX window in an answer of `vdax fs`: numbers, and a letter for each cell of it. */
#ifndef CMD_STAT_WINDOW_H
#define CMD_STAT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/stat_answer.h"

/* In the order of fs/report.c; those that only grow come first. */
enum stat_window_number {
	STAT_WINDOW_SETUPS,
	STAT_WINDOW_HITS,
	STAT_WINDOW_REMOVALS,
	STAT_WINDOW_MAPS,
	STAT_WINDOW_UNMAPS,
	STAT_WINDOW_REFUSED,
	STAT_WINDOW_AHEAD,
	STAT_WINDOW_AHEAD_HITS,
	STAT_WINDOW_COUNTERS,
	STAT_WINDOW_BYTES = STAT_WINDOW_COUNTERS,
	STAT_WINDOW_CELL, /* bytes */
	STAT_WINDOW_MAPPINGS,
	STAT_WINDOW_OWNED_MAPPINGS,
	STAT_WINDOW_OWNED,  /* bytes */
	STAT_WINDOW_COPIES, /* bytes */
	STAT_WINDOW_FILES,
	STAT_WINDOW_GRANTED_FILES,
	STAT_WINDOW_GRANTED, /* bytes */
	STAT_WINDOW_NUMBERS,
};

struct stat_window {
	uint64_t n[STAT_WINDOW_NUMBERS];
	const char *cells; /* borrowed from the answer; "" if it has none */
	size_t n_cells;
};

/* What a cell can be. */
struct stat_cell {
	char letter;
	const char *name; /* in a legend */
	const char *ansi; /* the colour on a terminal: parameters of SGR */
	const char *fill; /* and in an SVG */
};

enum { STAT_CELL_UNKNOWN = 6, STAT_CELLS };
extern const struct stat_cell stat_cells[STAT_CELLS];

/* Which of stat_cells a letter is; one that this program does not know is STAT_CELL_UNKNOWN. */
unsigned stat_cell_of(char letter);

/* How many cells there are of each kind. */
void stat_cells_count(const struct stat_window *w, uint64_t n[STAT_CELLS]);

/* What is called "window.LABEL" in an answer. */
const char *stat_window_label(enum stat_window_number i);

/* False if the answer tells of no window. A number that is not there, or is none, is 0. */
bool stat_window_of(struct stat_window *w, const struct stat_answer *a);

/* "834 MiB", "1.5 GiB": about so many bytes. "1152 MiB": exactly so many. Return buf. */
#define STAT_BYTES_LEN 32u
const char *stat_bytes(char buf[STAT_BYTES_LEN], uint64_t bytes);
const char *stat_bytes_exact(char buf[STAT_BYTES_LEN], uint64_t bytes);

#endif
