/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for parsers. Most mutations of a byte would end a text, or leave its language at once: so
 * the bytes from 0x80 up stand for words of the language, and 0 for its separator.
 */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include <string.h>

#include "tests/fuzz/fuzz.h"

#define FUZZ_WORD_MAX 32u

/* The text of len bytes: a heap block of just its size, which the caller frees. */
static inline char *fuzz_text(const uint8_t *data, size_t len, const char *const *words,
			      unsigned n_words)
{
	char *buf = malloc(len * FUZZ_WORD_MAX + 1), *text;
	size_t used = 0;

	MUST(buf);
	for (size_t i = 0; i < len; i++) {
		if (data[i] >= 0x80) {
			const char *word = words[(data[i] - 0x80u) % n_words];

			MUST(strlen(word) <= FUZZ_WORD_MAX);
			memcpy(buf + used, word, strlen(word));
			used += strlen(word);
		} else {
			buf[used++] = data[i] ? (char)data[i] : ':';
		}
	}
	buf[used] = '\0';
	text = strdup(buf);
	MUST(text);
	free(buf);
	return text;
}

#endif
