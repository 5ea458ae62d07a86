/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CMD_FS_H
#define CMD_FS_H

/* `vdax fs`, and what a link called virtiofsd runs. Returns the exit status. */
int cmd_fs(int argc, char **argv);

#endif
