/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/bench_fs_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/json.h"

static const struct {
	const char *head, *member;
	int width, digits;
} figures[] = {
	[BENCH_OPS] = { "ops/s", "ops_per_second", 9, 0 },
	[BENCH_P50] = { "p50_us", "p50_us", 8, 1 },
	[BENCH_P99] = { "p99_us", "p99_us", 8, 1 },
	[BENCH_CPU] = { "cpu_us", "cpu_us_per_op", 8, 2 },
	[BENCH_KICKS] = { "kicks", "kicks_per_op", 6, 2 },
	[BENCH_CALLS] = { "calls", "calls_per_op", 6, 2 },
};
_Static_assert(ARRAY_SIZE(figures) == BENCH_FIGURES, "figures");

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median_of(const double *values, unsigned n)
{
	double v[BENCH_ROUNDS_MAX];

	if (!n)
		return 0;
	memcpy(v, values, n * sizeof(v[0]));
	qsort(v, n, sizeof(v[0]), compare);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double bench_median(const struct bench_row *row, unsigned daemon, enum bench_figure figure)
{
	return bench_median_of(row->of[daemon].figure[figure], row->rounds);
}

/* The first daemon's figure in parts of this one's; 0 if there is no saying. */
static double ratio(double first, double this)
{
	return this > 0 && first >= 0 ? first / this : 0;
}

void bench_print_head(const struct bench_report *r, bool json)
{
	if (json) {
		printf("{\n  \"rounds\": %u,\n  \"time_ms\": %u,\n  \"daemons\": [\n", r->rounds,
		       r->time_ms);
		for (unsigned i = 0; i < r->n_daemons; i++) {
			printf("    { ");
			json_member(stdout, "name", r->name[i]);
			printf(", ");
			json_member(stdout, "command", r->command[i]);
			printf(" }%s\n", i + 1 < r->n_daemons ? "," : "");
		}
		printf("  ],\n");
		if (r->how)
			printf("  \"syscalls_counted_by\": \"%s\",\n", r->how);
		printf("  \"rows\": [\n");
		return;
	}
	printf("%-16s %5s %2s %-14s", "workload", "depth", "q", "daemon");
	for (size_t k = 0; k < ARRAY_SIZE(figures); k++)
		printf(" %*s", figures[k].width, figures[k].head);
	if (r->how)
		printf(" %8s", "syscalls");
	if (r->n_daemons > 1)
		printf("   %6s %6s%s", "x ops", "x cpu", r->how ? "  x sys" : "");
	printf("\n");
}

static void print_ratios(const struct bench_report *r, const struct bench_row *row, unsigned i)
{
	printf("   %6.2f %6.2f",
	       ratio(bench_median(row, 0, BENCH_OPS), bench_median(row, i, BENCH_OPS)),
	       ratio(bench_median(row, 0, BENCH_CPU), bench_median(row, i, BENCH_CPU)));
	if (r->how)
		printf(" %6.2f", ratio(row->of[0].syscalls, row->of[i].syscalls));
}

static void print_row_text(const struct bench_report *r, const struct bench_row *row)
{
	for (unsigned i = 0; i < r->n_daemons; i++) {
		if (i)
			printf("%-16s %5s ", "", "");
		else
			printf("%-16s %5u ", row->workload, row->depth);
		printf("%2u %-14s", row->of[i].queues, r->name[i]);
		if (row->of[i].error) {
			printf(" failed: %s\n", strerror(-row->of[i].error));
			continue;
		}
		for (unsigned k = 0; k < BENCH_FIGURES; k++)
			printf(" %*.*f", figures[k].width, figures[k].digits,
			       bench_median(row, i, (enum bench_figure)k));
		if (r->how)
			printf(" %8.2f", row->of[i].syscalls);
		if (i && !row->of[0].error)
			print_ratios(r, row, i);
		printf("\n");
	}
}

static void print_daemon_json(const struct bench_report *r, const struct bench_row *row, unsigned i)
{
	printf("      { ");
	json_member(stdout, "name", r->name[i]);
	printf(", \"queues\": %u", row->of[i].queues);
	if (row->of[i].error) {
		printf(", \"error\": %d }", -row->of[i].error);
		return;
	}
	for (unsigned k = 0; k < BENCH_FIGURES; k++)
		printf(", \"%s\": %.3f", figures[k].member,
		       bench_median(row, i, (enum bench_figure)k));
	if (r->how)
		printf(", \"syscalls_per_op\": %.3f", row->of[i].syscalls);
	if (i && !row->of[0].error) {
		printf(", \"ops_ratio\": %.3f, \"cpu_ratio\": %.3f",
		       ratio(bench_median(row, 0, BENCH_OPS), bench_median(row, i, BENCH_OPS)),
		       ratio(bench_median(row, 0, BENCH_CPU), bench_median(row, i, BENCH_CPU)));
		if (r->how)
			printf(", \"syscalls_ratio\": %.3f",
			       ratio(row->of[0].syscalls, row->of[i].syscalls));
	}
	printf(" }");
}

void bench_print_row(const struct bench_report *r, const struct bench_row *row, bool json,
		     bool first)
{
	if (!json) {
		print_row_text(r, row);
	} else {
		printf("%s    { ", first ? "" : ",\n");
		json_member(stdout, "workload", row->workload);
		printf(", \"depth\": %u, \"queues\": %u, \"daemons\": [\n", row->depth,
		       row->queues);
		for (unsigned i = 0; i < r->n_daemons; i++) {
			print_daemon_json(r, row, i);
			printf("%s\n", i + 1 < r->n_daemons ? "," : "");
		}
		printf("    ] }");
	}
	fflush(stdout);
}

void bench_print_end(bool json)
{
	if (json)
		printf("\n  ]\n}\n");
}
