/* SPDX-License-Identifier: BSD-2-Clause */
/* The operations of `vdax bench fs`, as a table of single requests. */
#ifndef CMD_BENCH_FS_VERBS_H
#define CMD_BENCH_FS_VERBS_H

#include "cmd/bench_fs_load.h"

#define BENCH_VERBS_MAX 4u
#define BENCH_COLD	1024u /* x files of a driver */
#define BENCH_LIST	100u  /* files in list/ */
#define BENCH_BIG	((uint64_t)32 << 20)
#define BENCH_PAGE	4096u

/* One request of an operation. */
struct bench_verb {
	/* Send it: 0; 1 if there is nothing to send; or an error. */
	int (*send)(struct bench_job *j);
	/* What came back: 0; 1: send it once more; or an error. NULL: only errors matter. */
	int (*took)(struct bench_job *j, int ret);
};

/* What becomes of the c files of a driver. */
enum bench_role {
	BENCH_KEEPS,
	BENCH_MAKES,   /* a new set, so many as one can keep */
	BENCH_REMOVES, /* all, whatever time it takes */
};

struct bench_workload {
	const char *name;
	const struct bench_verb *verb[BENCH_VERBS_MAX]; /* up to the first NULL */
	const struct bench_workload *before, *after;	/* not measured: makes, removes the files */
	enum bench_role role;
	bool large; /* much data in one request */
};

/* Make the jobs of a driver ready; mem: a chunk for each. */
void bench_driver_init_jobs(struct bench_driver *d, uint8_t *mem);

/* Give back n references, later. */
void bench_forget(struct bench_driver *d, uint64_t node, uint64_t n);

#endif
