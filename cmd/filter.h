/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system-call allow-list: what every daemon of ours calls once it serves, and what a device
 * adds. Each list stands beside the code that needs the calls.
 */
#ifndef CMD_FILTER_H
#define CMD_FILTER_H

#include <stddef.h>

#include "fs/seccomp.h"

/* What happens at a call that is not listed. */
enum filter_action {
	FILTER_NONE, /* no filter at all */
	FILTER_KILL, /* the process ends */
	FILTER_LOG,  /* it is allowed, and in the audit log */
	FILTER_TRAP, /* SIGSYS */
};

/* The device's own part; lists as in fs/seccomp.h, or NULL. */
struct filter {
	const int *const *calls;
	const struct syscall_rule *const *rules;
};

/* For all threads that there are. 0, or -errno after a message. */
int filter_lock(enum filter_action action, const struct filter *own);

#endif
