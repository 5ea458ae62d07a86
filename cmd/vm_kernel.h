/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's kernel: one that the lab has fetched, or a file with its modules. */
#ifndef CMD_VM_KERNEL_H
#define CMD_VM_KERNEL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "cmd/args.h"
#include "cmd/vm_lab.h"

struct vm_kernel {
	const char *version; /* what the lab calls it ("6.12"); NULL if it is not the lab's */
	char image[PATH_MAX];
	char release[128];	/* as uname -r tells */
	char modules[PATH_MAX]; /* only if it is not the lab's; may not exist */
};

/*
 * Finds the kernel that the user wants: a version, a file, or NULL for the newest. modules is
 * a directory or NULL. 0 or -errno after a message.
 */
int vm_kernel_find(struct vm_kernel *k, const struct vm_lab *lab, const char *wanted,
		   const char *modules);

/* Does the virtio-pmem driver of this release find images in shared-memory regions? */
bool kernel_knows_regions(const char *release);

/* The release that is written in a kernel, a bzImage or a vmlinux. 0 or -ENOENT. */
int kernel_release(const void *image, size_t len, char *release, size_t size);

/* The options of lab/initramfs for this kernel. */
void vm_kernel_args(struct args *a, const struct vm_kernel *k);

#endif
