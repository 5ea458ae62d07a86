/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target is one file with these two functions. With standalone.c it is a program
 * for `make check`; without it, and with -fsanitize=fuzzer, it is a libFuzzer one.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs one input. Ends the process if it finds something. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes seed i into buf and returns its size; 0 if there are fewer. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap);

/* What must hold for every input. */
#define MUST(cond)                                                                           \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                             \
		}                                                                            \
	} while (0)

#endif
