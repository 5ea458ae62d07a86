/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many system calls other processes make. Counted by the kernel, at its tracepoint
 * raw_syscalls:sys_enter, where root and the kernel allow that: exact, and each call costs a
 * fraction of a microsecond more. Otherwise by ptrace: exact too, but each call takes some
 * 10 us, so that there are fewer batches than without.
 */
#ifndef CMD_BENCH_FS_SYSCALLS_H
#define CMD_BENCH_FS_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/bench_fs_daemon.h"

#define BENCH_THREADS_MAX 256u

struct bench_tracer;

struct bench_syscalls {
	int tracepoint; /* its number; -1: not asked yet, 0: not available */
	int fd[BENCH_THREADS_MAX];
	unsigned n;
	struct bench_tracer *tracer; /* while ptrace counts */
};

/* Once, before the first start. *how is what --json calls it. */
void bench_syscalls_init(struct bench_syscalls *s, const char **how);

/* Count all threads of d, and those they start. 0 or -errno after a message. */
int bench_syscalls_start(struct bench_syscalls *s, const struct bench_daemon *d);

/* Stop and return how many there were. */
uint64_t bench_syscalls_stop(struct bench_syscalls *s);

#endif
