/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/args.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void args_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == ARGS_MAX) {
		a->failed = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) < 0)
		a->failed = true;
	else
		a->v[++a->n] = NULL;
	va_end(ap);
}

void args_fini(struct args *a)
{
	for (unsigned i = 0; i < a->n; i++)
		free(a->v[i]);
	*a = (struct args){ .n = 0 };
}

void args_print(FILE *f, const struct args *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (i)
			fputs(a->v[i][0] == '-' ? " \\\n    " : " ", f);
		shell_quote(f, a->v[i]);
	}
}

void shell_quote(FILE *f, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-+=./,:@%";

	if (*word && strspn(word, safe) == strlen(word)) {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	}
	fputc('\'', f);
}
