/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of `vdax bench fs --dax`: steps, each with some of the figures. */
#ifndef CMD_BENCH_FS_DAX_PRINT_H
#define CMD_BENCH_FS_DAX_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/bench_fs_print.h"

#define BENCH_DAX_DEPTHS_MAX 16u

enum bench_dax_figure {
	BENCH_DAX_RATE, /* SETUPMAPPING per second */
	BENCH_DAX_P50,	/* us */
	BENCH_DAX_P99,
	BENCH_DAX_GB,	  /* 10^9 bytes per second */
	BENCH_DAX_SETUPS, /* SETUPMAPPING, in all */
	BENCH_DAX_AHEAD,  /* of these: before they were needed, and needed then */
	BENCH_DAX_MAPS,	  /* SHMEM_MAP */
	BENCH_DAX_UNMAPS,
	BENCH_DAX_FIGURES
};

enum bench_dax_step {
	BENCH_DAX_FIRST,
	BENCH_DAX_SECOND,
	BENCH_DAX_WINDOW,
	BENCH_DAX_MMAP,
	BENCH_DAX_NEW, /* from here on: with a depth */
	BENCH_DAX_CACHED,
	BENCH_DAX_STEPS
};

struct bench_dax_row {
	enum bench_dax_step step;
	unsigned depth;
	double figure[BENCH_DAX_FIGURES][BENCH_ROUNDS_MAX]; /* those that the step has */
};

struct bench_dax_report {
	uint64_t size, range; /* bytes */
	unsigned rounds;
	unsigned n_rows;
	struct bench_dax_row row[BENCH_DAX_NEW + 2 * BENCH_DAX_DEPTHS_MAX];
};

/* The row of a step, made if there is none yet. */
struct bench_dax_row *bench_dax_row(struct bench_dax_report *r, enum bench_dax_step step,
				    unsigned depth);

void bench_dax_print(const struct bench_dax_report *r, bool json);

#endif
