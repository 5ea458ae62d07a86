/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of `vdax vm`: daemons and initramfs, then QEMU, until it ends or a signal asks for
 * it. Whatever happens, no process and no file stays behind.
 */
#ifndef CMD_VM_RUN_H
#define CMD_VM_RUN_H

#include "cmd/vm.h"

/* The guest was not started, or ended before its command; a message tells why. */
#define EXIT_VM_FAILED 125

/* Sets the machine's directory and files in the plan and runs it. Returns the exit status. */
int vm_run(struct vm_plan *plan);

#endif
