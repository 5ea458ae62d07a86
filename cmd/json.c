/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/json.h"

#include <string.h>

static void json_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

void json_key(FILE *f, const char *key)
{
	json_string(f, key);
	fputs(": ", f);
}

void json_member(FILE *f, const char *key, const char *value)
{
	json_key(f, key);
	if (*value && strspn(value, "0123456789") == strlen(value))
		fputs(value, f);
	else
		json_string(f, value);
}
