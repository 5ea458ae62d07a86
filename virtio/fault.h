/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory may be a file that somebody truncates; touching it then raises SIGBUS. Only
 * code that runs inside fault_guard() survives that.
 */
#ifndef VIRTIO_FAULT_H
#define VIRTIO_FAULT_H

/* Installs the process-wide SIGBUS handler. Call once at start-up. 0 or -errno. */
int fault_init(void);

/*
 * Calls fn(arg) and returns what it returns, or -EFAULT if memory went away under it. fn
 * is left at the faulting access: it must hold no lock and own nothing at that point. Not
 * nested; any thread that does not block SIGBUS. A SIGBUS outside a guard ends the process as
 * usual.
 */
int fault_guard(int (*fn)(void *arg), void *arg);

#endif
