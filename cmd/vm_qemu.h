/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a QEMU that can do what the VM needs, and makes its command line. */
#ifndef CMD_VM_QEMU_H
#define CMD_VM_QEMU_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/args.h"
#include "cmd/vm_lab.h"
#include "cmd/vm_share.h"

struct qemu_version {
	unsigned major, minor;
};

/* Reads what "qemu-system-x86_64 --version" prints. 0 or -EINVAL. */
int qemu_parse_version(const char *text, struct qemu_version *v);

/* Does this version have what a VM needs, also regions of memory that a daemon fills? */
bool qemu_suffices(const struct qemu_version *v, bool regions);

/*
 * Finds QEMU: wanted (--qemu) if not NULL, else $VDAX_QEMU, else the system's if it is new
 * enough, else the lab's. Its path is in path[PATH_MAX]. 0 or -ENOENT after a message.
 */
int qemu_find(char *path, const struct vm_lab *lab, const char *wanted, bool regions);

/* Can this host and user run KVM? Asks the CPU too: /dev/kvm may be there without one. */
bool kvm_works(void);

/* As many virtio devices as there is room for on the bus. */
#define VM_DEVICES_MAX 28u

/* What the command line is made of; strings are borrowed. */
struct vm_machine {
	const char *qemu;
	const char *kernel;
	const char *dir; /* has pmemN.sock, fsN.sock and initramfs; gets status */
	bool kvm;
	uint64_t memory; /* bytes */
	uint32_t cpus;
	unsigned n_images, n_shares;
	const struct vm_share *shares;
	uint64_t window;    /* bytes of each share's DAX window; 0: none */
	bool root;	    /* the first image is the root file system */
	bool console;	    /* stdin and stdout are the guest's console; else the rest is set: */
	const char *out;    /* file for the command's stdout, */
	const char *err;    /* its stderr, */
	const char *log;    /* and the kernel's messages */
	const char *append; /* more for the kernel, or NULL */
};

void qemu_args(struct args *a, const struct vm_machine *m);

#endif
