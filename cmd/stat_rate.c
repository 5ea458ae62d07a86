/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat_rate.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const double parts[STAT_PARTS] = {
	[STAT_P50] = 0.5,
	[STAT_P99] = 0.99,
	[STAT_P999] = 0.999,
};

static uint64_t delta(uint64_t before, uint64_t now)
{
	return now < before ? now : now - before;
}

static const struct stat_op *find_op(const struct stat_answer *a, const char *name)
{
	static const struct stat_op none;

	for (unsigned i = 0; i < a->n_ops; i++)
		if (!strcmp(a->op[i].name, name))
			return &a->op[i];
	return &none;
}

double stat_percentile(const uint64_t *bounds, unsigned n_bounds, const uint64_t *n, double part)
{
	double rank, seen = 0, total = 0;

	for (unsigned b = 0; b <= n_bounds; b++)
		total += (double)n[b];
	if (total <= 0)
		return 0;
	rank = part * total;
	for (unsigned b = 0; b < n_bounds; b++) {
		double begin = b ? (double)bounds[b - 1] : 0, width = (double)bounds[b] - begin;

		if (n[b] && seen + (double)n[b] >= rank)
			return begin + width * (rank - seen) / (double)n[b];
		seen += (double)n[b];
	}
	return n_bounds ? (double)bounds[n_bounds - 1] : 0;
}

/* Fills in what follows from the requests by bucket. */
static void set_percentiles(struct stat_rate *r, const struct stat_answer *a, const uint64_t *n)
{
	r->measured = 0;
	for (unsigned b = 0; b <= a->n_bounds; b++)
		r->measured += n[b];
	for (unsigned p = 0; p < STAT_PARTS; p++)
		r->ns[p] = stat_percentile(a->bound_ns, a->n_bounds, n, parts[p]);
}

static int by_rate(const void *a, const void *b)
{
	const struct stat_rate *x = a, *y = b;

	if (x->requests_s < y->requests_s || x->requests_s > y->requests_s)
		return x->requests_s < y->requests_s ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void set_window(struct stat_rates *r, const struct stat_answer *before,
		       const struct stat_answer *now)
{
	struct stat_window x, y;

	stat_window_of(&x, before);
	stat_window_of(&y, now);
	for (unsigned i = 0; i < STAT_WINDOW_COUNTERS; i++)
		r->window_s[i] = (double)delta(x.n[i], y.n[i]) / r->seconds;
}

void stat_rates_of(struct stat_rates *r, const struct stat_answer *before,
		   const struct stat_answer *now)
{
	uint64_t all[STAT_BUCKETS_MAX] = { 0 };

	*r = (struct stat_rates){ .seconds = (double)delta(before->time_ns, now->time_ns) / 1e9 };
	if (r->seconds <= 0) /* the same answer twice: nothing has happened */
		r->seconds = 1;
	for (unsigned i = 0; i < now->n_ops; i++) {
		const struct stat_op *y = &now->op[i], *x = find_op(before, y->name);
		uint64_t n[STAT_BUCKETS_MAX] = { 0 };
		struct stat_rate *o = &r->op[r->n_ops++];

		for (unsigned b = 0; b <= now->n_bounds; b++) {
			n[b] = delta(x->latency[b], y->latency[b]);
			all[b] += n[b];
		}
		*o = (struct stat_rate){
			.name = y->name,
			.requests = y->requests,
			.errors = y->errors,
			.requests_s = (double)delta(x->requests, y->requests) / r->seconds,
			.errors_s = (double)delta(x->errors, y->errors) / r->seconds,
		};
		set_percentiles(o, now, n);
		r->all.requests += o->requests;
		r->all.errors += o->errors;
		r->all.requests_s += o->requests_s;
		r->all.errors_s += o->errors_s;
	}
	set_percentiles(&r->all, now, all);
	set_window(r, before, now);
	qsort(r->op, r->n_ops, sizeof(r->op[0]), by_rate);
}
