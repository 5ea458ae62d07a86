/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One list of names, evaluated with the kernel's FUSE header and with ours: as both use the same
 * names, each in a file of its own.
 */
#ifndef TESTS_UNIT_UAPI_FUSE_H
#define TESTS_UNIT_UAPI_FUSE_H

#include <stddef.h>
#include <stdint.h>

typedef void fact_fn(const char *name, uint64_t value);

#define NUMBER(name)	   fact(#name, name);
#define SIZE(type)	   fact("sizeof " #type, sizeof(struct type));
#define FIELD(type, field) fact(#type "." #field, offsetof(struct type, field));

/* Calls fact for each that the kernel's header has; for none if that is too old. */
void kernel_fuse(fact_fn *fact);

#endif
