/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CMD_STAT_H
#define CMD_STAT_H

#include "cmd/options.h"

extern const struct command stat_command;

/* `vdax stat`: prints what a daemon's control socket says. Returns the exit status. */
int cmd_stat(int argc, char **argv);

#endif
