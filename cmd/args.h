/* SPDX-License-Identifier: BSD-2-Clause */
/* Argument lists of other programs: made piece by piece, run, or shown to be pasted. */
#ifndef CMD_ARGS_H
#define CMD_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ARGS_MAX 256u

struct args {
	char *v[ARGS_MAX + 1]; /* owned; ends with NULL, so it is an argv */
	unsigned n;
	bool failed; /* something could not be added: do not run it */
};

/* Adds one argument. */
void args_add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Frees the arguments; a is then empty again. */
void args_fini(struct args *a);

/* Prints the command for a shell, on a new line before each argument that starts with "-". */
void args_print(FILE *f, const struct args *a);

/* Prints one word so that a shell reads it as it is. */
void shell_quote(FILE *f, const char *word);

#endif
