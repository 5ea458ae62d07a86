/* SPDX-License-Identifier: BSD-2-Clause */
/* A text of lines "key value" in memory of fixed size: what a control socket answers. */
#ifndef HOST_LINES_H
#define HOST_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
	char *buf; /* borrowed; not terminated */
	size_t len;
	size_t used;
	bool full; /* a line did not fit: it and all after it are left out */
};

/*
 * Adds one line, and its end. A control character in it, as a path may have them, becomes '?', so
 * that no value can begin a line of its own. A line is there as a whole or not at all.
 */
void lines_add(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
