/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax vm` first makes a plan, with which nothing is started or written yet. The plan is
 * printed (--dry-run), or run: cmd/vm_run.h.
 */
#ifndef CMD_VM_H
#define CMD_VM_H

#include <limits.h>
#include <stdbool.h>

#include "cmd/args.h"
#include "cmd/options.h"
#include "cmd/vm_kernel.h"
#include "cmd/vm_lab.h"
#include "cmd/vm_qemu.h"
#include "cmd/vm_share.h"

struct vm_plan {
	char self[PATH_MAX]; /* this program */
	char qemu[PATH_MAX];
	struct vm_lab lab;
	struct vm_kernel kernel;
	struct vm_machine machine;
	const char *images[VM_DEVICES_MAX]; /* the root, if there is one, is the first */
	struct vm_share shares[VM_DEVICES_MAX];
	const char *share_sandbox; /* see vm_share_sandbox() */
	bool read_only, sparse;
	const struct option_list *additions; /* SRC:DST, into the initramfs */
	char **command;			     /* ends with NULL; empty: the console */
};

extern const struct command vm_command;

int cmd_vm(int argc, char **argv);

/* There is a daemon for each image, and then one for each share. */
unsigned vm_daemons(const struct vm_plan *plan);

/* Its socket, which is in the machine's directory. */
const char *vm_daemon_socket(char *buf, size_t len, const struct vm_plan *plan, unsigned i);

/* What it is called in messages. */
const char *vm_daemon_name(const struct vm_plan *plan, unsigned i);

/* Its command line. */
void vm_daemon_args(struct args *a, const struct vm_plan *plan, unsigned i);

/* What makes the initramfs; the command is in a file in the machine's directory. */
void vm_initramfs_args(struct args *a, const struct vm_plan *plan);

/* The script that the guest runs: one word of command is one, several are quoted. */
void vm_write_command(FILE *f, char *const *command);

#endif
