/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax bench fs`: starts virtio-fs daemons and measures them side by side. This process is the
 * front end and the guest, so what is measured is the daemon and the rings, without a VM's exits.
 */
#ifndef CMD_BENCH_FS_H
#define CMD_BENCH_FS_H

#include "cmd/options.h"

extern const struct command bench_fs_command;

/* Returns the exit status. */
int cmd_bench_fs(int argc, char **argv);

#endif
