/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened between two answers of a control socket. */
#ifndef CMD_STAT_RATE_H
#define CMD_STAT_RATE_H

#include <stdint.h>

#include "cmd/stat_answer.h"
#include "cmd/stat_window.h"

enum { STAT_P50, STAT_P99, STAT_P999, STAT_PARTS };

struct stat_rate {
	const char *name;	     /* of the opcode; NULL: all of them */
	uint64_t requests, errors;   /* since the daemon's start */
	double requests_s, errors_s; /* between the two answers */
	uint64_t measured;	     /* requests between them whose latency is known */
	double ns[STAT_PARTS];	     /* their percentiles; only if there are any */
};

struct stat_rates {
	double seconds;
	struct stat_rate op[STAT_OPS_MAX]; /* the most frequent first */
	unsigned n_ops;
	struct stat_rate all;
	double window_s[STAT_WINDOW_COUNTERS]; /* of a DAX window, if there is one */
};

/*
 * A daemon that was started again between the two counts from 0: what it has now is then what has
 * happened. Strings are those of now.
 */
void stat_rates_of(struct stat_rates *r, const struct stat_answer *before,
		   const struct stat_answer *now);

/*
 * The value below which part (0 to 1) of the n[0..n_bounds] lie, spread evenly within a bucket.
 * What is in the last one, which has no end, counts as its begin. 0 if there are none.
 */
double stat_percentile(const uint64_t *bounds, unsigned n_bounds, const uint64_t *n, double part);

#endif
