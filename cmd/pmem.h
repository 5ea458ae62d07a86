/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CMD_PMEM_H
#define CMD_PMEM_H

#include "cmd/options.h"
#include "pmem/flush.h"
#include "pmem/image.h"

extern const struct command pmem_command;

/* How a test gets between the daemon and its file. */
struct pmem_hooks {
	/* The image is open: returns what the flush engine shall call, with *ctx. */
	const struct sync_ops *(*opened)(struct image *img, void **ctx);
};

/* `vdax pmem`; hooks is NULL in the program itself. Returns the exit status. */
int pmem_main(int argc, char **argv, const struct pmem_hooks *hooks);

int cmd_pmem(int argc, char **argv);

#endif
