/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest RAM: one memfd at guest-physical 0, and the memory table that tells the back end. */
#ifndef FRONT_RAM_H
#define FRONT_RAM_H

#include "front/front.h"

/* Guest-physical address 0 stays unused, so that a zero address is never right by chance. */
int front_ram_open(struct front *f);
void front_ram_close(struct front *f);

/*
 * Memory of the guest, zeroed, for as long as f lives; align is a power of two. NULL if RAM
 * is used up.
 */
void *front_ram_alloc(struct front *f, size_t bytes, size_t align);

/* The guest-physical address of [ptr, ptr + len), or UINT64_MAX if that is not guest RAM. */
uint64_t front_ram_gpa(const struct front *f, const void *ptr, size_t len);

/*
 * Tell the back end about RAM and mappings: with CONFIGURE_MEM_SLOTS, the regions that it
 * does not have, until it refuses one, and those to remove; else the whole table. Returns 0,
 * -EREMOTEIO if refused, -ENOBUFS if SET_MEM_TABLE has no room.
 */
int front_table_send(struct front *f);

/* Send the table if mappings changed while the device runs; failures are only counted. */
void front_table_flush(struct front *f);

#endif
