/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the scripts that make guests are, and what they have fetched. docs: lab/README.md */
#ifndef CMD_VM_LAB_H
#define CMD_VM_LAB_H

#include <limits.h>

struct vm_lab {
	char scripts[PATH_MAX]; /* initramfs, init, fetch, ... */
	char cache[PATH_MAX];	/* bin/, kernels/ */
};

/* 0, or -ENOENT after a message if there are no scripts. The cache need not exist. */
int vm_lab_find(struct vm_lab *lab);

/*
 * dir/name if it can be accessed as mode (R_OK, X_OK) says, in buf[PATH_MAX]. Returns buf or
 * NULL.
 */
const char *path_in(char *buf, const char *dir, const char *name, int mode);

#endif
