/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/bench_fs_dax_print.h"

#include <stdio.h>

#include "base/macros.h"

static const struct {
	const char *head, *member;
	int width, digits;
} figures[] = {
	[BENCH_DAX_RATE] = { "setups/s", "setupmapping_per_second", 9, 0 },
	[BENCH_DAX_P50] = { "p50_us", "p50_us", 8, 1 },
	[BENCH_DAX_P99] = { "p99_us", "p99_us", 8, 1 },
	[BENCH_DAX_GB] = { "GB/s", "gb_per_second", 7, 2 },
	[BENCH_DAX_SETUPS] = { "setups", "setupmapping", 7, 0 },
	[BENCH_DAX_AHEAD] = { "ahead", "ahead_hits", 6, 0 },
	[BENCH_DAX_MAPS] = { "maps", "shmem_map", 6, 0 },
	[BENCH_DAX_UNMAPS] = { "unmaps", "shmem_unmap", 6, 0 },
};
_Static_assert(ARRAY_SIZE(figures) == BENCH_DAX_FIGURES, "figures");

#define BIT(figure)  (1u << (figure))
#define OF_SETUPS    (BIT(BENCH_DAX_RATE) | BIT(BENCH_DAX_P50) | BIT(BENCH_DAX_P99))
#define OF_BYTES     BIT(BENCH_DAX_GB)
#define OF_THE_FRONT (BIT(BENCH_DAX_SETUPS) | BIT(BENCH_DAX_MAPS) | BIT(BENCH_DAX_UNMAPS))

static const struct {
	const char *name;
	unsigned figures; /* that it has */
} steps[] = {
	[BENCH_DAX_FIRST] = { "first pass", OF_BYTES | OF_THE_FRONT | BIT(BENCH_DAX_AHEAD) },
	[BENCH_DAX_SECOND] = { "second pass", OF_BYTES | OF_THE_FRONT | BIT(BENCH_DAX_AHEAD) },
	[BENCH_DAX_WINDOW] = { "window", OF_BYTES },
	[BENCH_DAX_MMAP] = { "mmap", OF_BYTES },
	[BENCH_DAX_NEW] = { "setup new", OF_SETUPS | OF_THE_FRONT },
	[BENCH_DAX_CACHED] = { "setup cached", OF_SETUPS | OF_THE_FRONT },
};
_Static_assert(ARRAY_SIZE(steps) == BENCH_DAX_STEPS, "steps");

struct bench_dax_row *bench_dax_row(struct bench_dax_report *r, enum bench_dax_step step,
				    unsigned depth)
{
	struct bench_dax_row *row;

	for (unsigned i = 0; i < r->n_rows; i++) {
		row = &r->row[i];
		if (row->step == step && row->depth == depth)
			return row;
	}
	row = &r->row[r->n_rows++];
	row->step = step;
	row->depth = depth;
	return row;
}

/* Window against mmap, round by round, the median. 0: both are not there. */
static double ratio(const struct bench_dax_report *r)
{
	const double *window = NULL, *mmap = NULL;
	double v[BENCH_ROUNDS_MAX];

	for (unsigned i = 0; i < r->n_rows; i++) {
		if (r->row[i].step == BENCH_DAX_WINDOW)
			window = r->row[i].figure[BENCH_DAX_GB];
		else if (r->row[i].step == BENCH_DAX_MMAP)
			mmap = r->row[i].figure[BENCH_DAX_GB];
	}
	for (unsigned k = 0; window && mmap && k < r->rounds; k++)
		v[k] = window[k] / mmap[k];
	return bench_median_of(v, window && mmap ? r->rounds : 0);
}

static void print_json(const struct bench_dax_report *r)
{
	printf("{\n  \"bytes\": %llu,\n  \"range\": %llu,\n  \"rounds\": %u,\n"
	       "  \"window_to_mmap\": %.4f,\n  \"steps\": [\n",
	       (unsigned long long)r->size, (unsigned long long)r->range, r->rounds, ratio(r));
	for (unsigned i = 0; i < r->n_rows; i++) {
		const struct bench_dax_row *row = &r->row[i];

		printf("    { \"step\": \"%s\"", steps[row->step].name);
		if (row->depth)
			printf(", \"depth\": %u", row->depth);
		for (unsigned k = 0; k < BENCH_DAX_FIGURES; k++) {
			if (steps[row->step].figures & BIT(k))
				printf(", \"%s\": %.3f", figures[k].member,
				       bench_median_of(row->figure[k], r->rounds));
		}
		printf(" }%s\n", i + 1 < r->n_rows ? "," : "");
	}
	printf("  ]\n}\n");
}

static void print_text(const struct bench_dax_report *r)
{
	printf("%-13s %5s", "step", "depth");
	for (unsigned k = 0; k < BENCH_DAX_FIGURES; k++)
		printf(" %*s", figures[k].width, figures[k].head);
	printf("\n");
	for (unsigned i = 0; i < r->n_rows; i++) {
		const struct bench_dax_row *row = &r->row[i];

		printf("%-13s ", steps[row->step].name);
		if (row->depth)
			printf("%5u", row->depth);
		else
			printf("%5s", "");
		for (unsigned k = 0; k < BENCH_DAX_FIGURES; k++) {
			if (steps[row->step].figures & BIT(k))
				printf(" %*.*f", figures[k].width, figures[k].digits,
				       bench_median_of(row->figure[k], r->rounds));
			else
				printf(" %*s", figures[k].width, "");
		}
		printf("\n");
	}
	printf("window / mmap: %.3f\n", ratio(r));
}

void bench_dax_print(const struct bench_dax_report *r, bool json)
{
	if (json)
		print_json(r);
	else
		print_text(r);
}
