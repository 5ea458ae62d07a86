/* SPDX-License-Identifier: BSD-2-Clause */
/* The directories that a guest of `vdax vm` gets: which ones, their tags, their daemons. */
#ifndef CMD_VM_SHARE_H
#define CMD_VM_SHARE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/args.h"
#include "cmd/options.h"

#define VM_TAG_MAX 36u /* of virtio-fs */

struct vm_share {
	char dir[PATH_MAX];
	char tag[VM_TAG_MAX + 1]; /* mounted at /mnt/TAG: a name of letters, digits and "._-" */
};

/* How the daemon of a share is started. */
struct vm_share_how {
	const char *self;     /* this program */
	const char *socket;   /* the control socket is beside it, with .ctl at the end */
	const char *sandbox;  /* the mode, or NULL for the daemon's default */
	bool read_only, pmem; /* pmem: there are images in the VM too */
	uint64_t window;      /* bytes of its DAX window; 0: none */
	unsigned queues;      /* of the device */
};

/*
 * DIR[:TAG]: what follows the last colon is the tag if there is no slash in it. Without one the
 * tag is the last part of DIR; if that is none, "share" and number. 0, or -EINVAL after a message.
 */
int vm_share_parse(struct vm_share *s, const char *text, unsigned number);

/* All that were given, with different tags that are no image's. 0, or -EINVAL after a message. */
int vm_shares_parse(struct vm_share *s, const struct option_list *given, unsigned n_images);

/* Are they directories? 0 or -errno after a message. */
int vm_shares_check(const struct vm_share *s, unsigned n);

/* Request queues of a share's device: one for each CPU, as far as there are any. */
unsigned vm_share_queues(unsigned cpus);

/* NULL if the daemon's default is permitted to us here, or the next best mode. */
const char *vm_share_sandbox(void);

void vm_share_args(struct args *a, const struct vm_share *s, const struct vm_share_how *how);

#endif
