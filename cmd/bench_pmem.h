/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax bench pmem`: how fast a running `vdax pmem` flushes. This process is the front end
 * and the guest, so what is measured is the daemon and the rings, without a VM's exits.
 *
 * N jobs in one thread, each with a page of its own: store 8 bytes, flush, and again as soon
 * as the flush is done. The stores go to the image, at its beginning.
 */
#ifndef CMD_BENCH_PMEM_H
#define CMD_BENCH_PMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/latency.h"
#include "cmd/options.h"

struct bench_pmem_opts {
	const char *socket_path;
	const char *control_path; /* of the daemon, for its number of syncs; NULL: not asked */
	uint32_t jobs;
	double seconds; /* of flushing, the comparison not counted */
	bool bare;	/* alternate with bare syncs of the image, one at a time */
	bool coalesce;	/* the driver merges flushes, as ours in a guest does */
};

/* One side of the comparison. */
struct bench_side {
	double seconds;
	struct latency latency; /* from before the store to the end of the flush */
	uint64_t errors;
};

struct bench_pmem_result {
	struct bench_side vdax;
	struct bench_side bare;	  /* latency.n is 0 if there was none */
	struct bench_side handed; /* bare, in another thread: see bench_bare.h */
	uint64_t requests;	  /* in the ring */
	uint64_t kicks;
	uint64_t calls;
	uint64_t syncs; /* of the host */
	bool has_syncs;
};

/* Runs it, result included. 0 or -errno after a message. */
int bench_pmem_run(const struct bench_pmem_opts *opts, struct bench_pmem_result *result);

extern const struct command bench_pmem_command;

/* Returns the exit status. */
int cmd_bench_pmem(int argc, char **argv);

#endif
