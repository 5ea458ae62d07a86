/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of `vdax bench fs`. */
#ifndef CMD_BENCH_FS_PRINT_H
#define CMD_BENCH_FS_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_DAEMONS_MAX 5u
#define BENCH_ROUNDS_MAX  32u

/* What is measured in each round. */
enum bench_figure {
	BENCH_OPS, /* per second */
	BENCH_P50, /* us */
	BENCH_P99,
	BENCH_CPU,   /* us of the daemon for each operation */
	BENCH_KICKS, /* for each operation */
	BENCH_CALLS,
	BENCH_FIGURES
};

/* One workload with one depth and number of queues. */
struct bench_row {
	const char *workload;
	unsigned depth, queues;
	unsigned rounds; /* done */
	struct {
		unsigned queues; /* that the daemon has of these */
		double figure[BENCH_FIGURES][BENCH_ROUNDS_MAX];
		double syscalls; /* for each operation; negative: not counted */
		int error;	 /* -errno; then there is nothing else */
	} of[BENCH_DAEMONS_MAX];
};

struct bench_report {
	unsigned n_daemons;
	const char *name[BENCH_DAEMONS_MAX], *command[BENCH_DAEMONS_MAX];
	const char *how; /* system calls were counted; NULL: they were not */
	unsigned rounds, time_ms;
};

/* At most BENCH_ROUNDS_MAX values. 0 if there are none. */
double bench_median_of(const double *values, unsigned n);

/* The median of the rounds. */
double bench_median(const struct bench_row *row, unsigned daemon, enum bench_figure figure);

void bench_print_head(const struct bench_report *r, bool json);
void bench_print_row(const struct bench_report *r, const struct bench_row *row, bool json,
		     bool first);
void bench_print_end(bool json);

#endif
