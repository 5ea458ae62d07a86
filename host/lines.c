/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/lines.h"

#include <stdarg.h>
#include <stdio.h>

void lines_add(struct lines *l, const char *fmt, ...)
{
	size_t room = l->len - l->used;
	char *line = l->buf + l->used;
	va_list ap;
	int n;

	if (l->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room) {
		l->full = true;
		return;
	}
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n] = '\n';
	l->used += (size_t)n + 1;
}
