/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory a guest needs for its images and DAX windows, and whether the host has it. */
#ifndef CMD_VM_MEMORY_H
#define CMD_VM_MEMORY_H

#include <stdint.h>

/* The least that a guest with images, and windows that were asked for, of so much can start with.
 */
uint64_t vm_memory_least(uint64_t image_bytes);

/* What it gets if nobody says how much: room to work, too. */
uint64_t vm_memory_default(uint64_t image_bytes);

/*
 * The largest that each of n DAX windows can be. QEMU 11.1.3 ends at 512 mappings in a VM. One
 * window keeps below that by itself, several do so together only if they have no room for more.
 */
uint64_t vm_window_most(unsigned n);

/*
 * The size of each of n DAX windows if nobody says one: in all at most four times the guest's
 * memory (of which their pages' account then takes 1/16 at most), each a power of two up to 2 GiB,
 * unless the most is less.
 */
uint64_t vm_window_default(uint64_t memory, unsigned n);

/* The value of one line, such as "MemAvailable:", of /proc/meminfo in bytes; 0 if there is none. */
uint64_t meminfo_value(const char *meminfo, const char *key);

/*
 * Sets *memory if it is 0, makes it whole MiB, and checks it against the images and the
 * host. 0, or -ENOMEM after a message.
 */
int vm_memory_choose(uint64_t *memory, uint64_t image_bytes);

#endif
