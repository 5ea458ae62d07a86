/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole test framework. A test program is a main() that calls functions with CHECK
 * lines and ends with `return check_done();`. A failed check says where and what, and the
 * program goes on; the exit status is 1 if any failed, 77 if the program called
 * check_skip().
 */
#ifndef TESTS_LIB_CHECK_H
#define TESTS_LIB_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Weak: the same for all files of a program, so a check in a library counts, too. Any thread. */
__attribute__((weak)) _Atomic int check_failed;
__attribute__((weak)) _Atomic int check_count;

/* Counts one check; what is the name of the case in a table, or "". */
#define CHECK_NAMED(what, cond)                                                                \
	do {                                                                                   \
		check_count++;                                                                 \
		if (!(cond)) {                                                                 \
			check_failed++;                                                        \
			fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, (what), \
				#cond);                                                        \
		}                                                                              \
	} while (0)

#define CHECK(cond) CHECK_NAMED("check", cond)

/* Compares two integers and prints both when they differ. */
#define CHECK_EQ(what, got, want)                                                             \
	do {                                                                                  \
		long long check_g_ = (long long)(got), check_w_ = (long long)(want);          \
		check_count++;                                                                \
		if (check_g_ != check_w_) {                                                   \
			check_failed++;                                                       \
			fprintf(stderr, "%s:%d: %s: %s is %lld (%#llx), want %lld (%#llx)\n", \
				__FILE__, __LINE__, (what), #got, check_g_,                   \
				(unsigned long long)check_g_, check_w_,                       \
				(unsigned long long)check_w_);                                \
		}                                                                             \
	} while (0)

/* For what the test itself cannot go on without. */
#define REQUIRE(cond)                                                                        \
	do {                                                                                 \
		check_count++;                                                               \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: required: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

static inline int check_done(void)
{
	fprintf(stderr, "%d checks, %d failed\n", check_count, check_failed);
	return check_failed ? 1 : 0;
}

static inline _Noreturn void check_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	exit(77);
}

#endif
