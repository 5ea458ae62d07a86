/* SPDX-License-Identifier: BSD-2-Clause */
/* The DAX window in print: its numbers, and a picture of characters or as SVG. */
#ifndef CMD_STAT_PICTURE_H
#define CMD_STAT_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "cmd/stat_answer.h"
#include "cmd/stat_rate.h"
#include "cmd/stat_window.h"

/* Numbers, and a character for each cell. rates: NULL if there are none. colour: for a terminal. */
void stat_print_window(FILE *f, const struct stat_window *w, const struct stat_rates *rates,
		       bool colour);

/*
 * A whole SVG document. a: where the window is from, for its name. Text of the share that is not
 * UTF-8, or not for XML, becomes '?'.
 */
void stat_print_svg(FILE *f, const struct stat_window *w, const struct stat_answer *a,
		    const struct stat_rates *rates);

#endif
