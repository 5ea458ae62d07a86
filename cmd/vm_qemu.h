/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a QEMU that takes shared-memory mappings from a device, and makes its command line. */
#ifndef CMD_VM_QEMU_H
#define CMD_VM_QEMU_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/args.h"
#include "cmd/vm_lab.h"

struct qemu_version {
	unsigned major, minor;
};

/* Reads what "qemu-system-x86_64 --version" prints. 0 or -EINVAL. */
int qemu_parse_version(const char *text, struct qemu_version *v);

/* Does this version have the device and the requests that vdax needs? */
bool qemu_suffices(const struct qemu_version *v);

/*
 * Finds QEMU: wanted (--qemu) if not NULL, else $VDAX_QEMU, else the system's if it is new
 * enough, else the lab's. Its path is in path[PATH_MAX]. 0 or -ENOENT after a message.
 */
int qemu_find(char *path, const struct vm_lab *lab, const char *wanted);

/* Can this host and user run KVM? Asks the CPU too: /dev/kvm may be there without one. */
bool kvm_works(void);

/* What the command line is made of; strings are borrowed. */
struct vm_machine {
	const char *qemu;
	const char *kernel;
	const char *dir; /* has pmemN.sock and initramfs; gets status */
	bool kvm;
	uint64_t memory; /* bytes */
	uint32_t cpus;
	unsigned n_images;
	bool root;	    /* the first image is the root file system */
	bool console;	    /* stdin and stdout are the guest's console; else the rest is set: */
	const char *out;    /* file for the command's stdout, */
	const char *err;    /* its stderr, */
	const char *log;    /* and the kernel's messages */
	const char *append; /* more for the kernel, or NULL */
};

void qemu_args(struct args *a, const struct vm_machine *m);

#endif
