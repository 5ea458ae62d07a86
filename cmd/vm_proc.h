/* SPDX-License-Identifier: BSD-2-Clause */
/* The child processes of `vdax vm`: the kernel ends them if it dies. */
#ifndef CMD_VM_PROC_H
#define CMD_VM_PROC_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cmd/args.h"

struct proc {
	const char *name; /* for messages; NULL: never started */
	pid_t pid;
	bool running;
	int status; /* as waitpid() tells, once it does not run any more */
};

struct proc_how {
	bool terminal; /* gets our stdin and reads it; else none, and Ctrl-C does not reach it */
	int error_fd;  /* its stderr; 0: ours */
	bool files;    /* it may open as many files as we can permit */
	sigset_t mask; /* the signals that it begins with blocked */
};

/*
 * Starts a program. 0 or -errno after a message; a program that cannot be run ends with
 * status 127 after a message.
 */
int proc_start(struct proc *p, const char *name, const struct args *args,
	       const struct proc_how *how);

/* Notes whether it has ended. */
void proc_check(struct proc *p);

/* Sends a signal, if it still runs. */
void proc_signal(const struct proc *p, int signo);

/* Runs a program to its end and keeps the start of what it writes to stdout. 0 or -errno. */
int proc_output(const struct args *args, char *buf, size_t len);

#endif
