/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemons that `vdax bench fs` measures: as processes. */
#ifndef CMD_BENCH_FS_DAEMON_H
#define CMD_BENCH_FS_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PIDS_MAX 32u

struct bench_daemon {
	char name[32]; /* of the program */
	char socket[96];
	char dir[96]; /* what it serves */
	char log[96]; /* its stderr */
	pid_t pid;    /* a process group of its own; 0: not started */

	/* It and what it has started, as of bench_daemon_find(). */
	pid_t pids[BENCH_PIDS_MAX];
	unsigned n_pids;
};

/*
 * Start command by the shell, with {socket} and {dir} replaced by paths in folder (which exists);
 * place makes them different from others'. Returns 0 or -errno after a message. Stop it in
 * every case.
 */
int bench_daemon_start(struct bench_daemon *d, const char *folder, unsigned place,
		       const char *command);

/* A connected socket, as soon as it listens (up to 10 s); -errno after a message. */
int bench_daemon_connect(struct bench_daemon *d);

/* Look for its processes. */
void bench_daemon_find(struct bench_daemon *d);

/* CPU time of all its processes so far, threads that have ended included; ns. */
uint64_t bench_daemon_cpu(const struct bench_daemon *d);

/* Let its processes run on the CPUs from first to below n only. */
void bench_daemon_pin(const struct bench_daemon *d, unsigned first, unsigned n);

/* It has 2 s to end by itself, as its connection is closed; then it is made to. */
void bench_daemon_stop(struct bench_daemon *d);

#endif
