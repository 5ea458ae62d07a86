/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax bench fs --dax`: the DAX window of a daemon. front/ makes the mappings in this process, as
 * a virtual machine monitor does in its own, and guest/ says which.
 */
#ifndef CMD_BENCH_FS_DAX_H
#define CMD_BENCH_FS_DAX_H

#include <stdbool.h>
#include <stdint.h>

struct bench_dax_cfg {
	uint64_t size;	/* of the file, bytes: a multiple of range */
	uint64_t range; /* bytes, a power of two */
	uint32_t rounds;
	const unsigned *depth; /* requests under way at once */
	unsigned n_depths;
	bool json;
};

/* What is wrong with it, or NULL. */
const char *bench_dax_check(const struct bench_dax_cfg *cfg);

/* Bytes of the window that it takes. */
uint64_t bench_dax_window(const struct bench_dax_cfg *cfg);

/*
 * Measure the daemon at the other end of sock, which serves dir, and print. Takes sock in every
 * case. Returns 0, or -errno after a message.
 */
int bench_dax_run(const struct bench_dax_cfg *cfg, int sock, const char *dir);

#endif
