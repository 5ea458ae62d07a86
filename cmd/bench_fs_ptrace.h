/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts system calls by stopping at each: where nothing better is allowed. */
#ifndef CMD_BENCH_FS_PTRACE_H
#define CMD_BENCH_FS_PTRACE_H

#include <stdint.h>

#include "cmd/bench_fs_daemon.h"

struct bench_tracer;

/* Trace all threads of d and those they start, by a thread of our own. NULL if not allowed. */
struct bench_tracer *bench_ptrace_start(const struct bench_daemon *d);

/* Let go of all. Returns how many calls there were; frees t. */
uint64_t bench_ptrace_stop(struct bench_tracer *t);

#endif
