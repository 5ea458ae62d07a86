/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that the file system makes, after the sandbox is locked. Each .c file that
 * makes some has a list of them on top,
 *
 *	const int fs_NAME_syscalls[] = { SCMP_SYS(openat2), SCMP_SYS(statx), SYSCALLS_END };
 *
 * and if a call is to be allowed with some arguments only, rules instead. Both are declared here
 * and named in the tables of fs/seccomp.c. What every daemon calls (waiting, sockets, memory,
 * clocks, threads' ends) is in cmd/filter.c and need not be repeated.
 */
#ifndef FS_SECCOMP_H
#define FS_SECCOMP_H

#include <seccomp.h>
#include <stdint.h>

/* A call that is allowed if (argument & mask) == value. Several rules of a call: any of them. */
struct syscall_rule {
	int call;
	unsigned arg; /* its index */
	uint64_t mask, value;
};

/* Ends. No system call has this number, real or as libseccomp's for another architecture. */
#define SYSCALLS_END (-1)
#define SYSCALL_RULES_END            \
	{                            \
		.call = SYSCALLS_END \
	}

/* The tables: pointers to the lists above, and NULL. */
extern const int *const fs_syscalls[];
extern const struct syscall_rule *const fs_syscall_rules[];

#endif
