/* SPDX-License-Identifier: BSD-2-Clause */
/* The back-end channel: serves SHMEM_MAP and SHMEM_UNMAP as QEMU 11.1.3 does. */
#ifndef FRONT_SHMEM_H
#define FRONT_SHMEM_H

#include "front/front.h"

/* SET_BACKEND_REQ_FD with a new socket pair. */
int front_backend_open(struct front *f);

/* Closes the channel and drops all mappings and the reserved address space. */
void front_backend_close(struct front *f);

/* GET_SHMEM_CONFIG, and reserve address space for the regions. */
int front_shmem_config(struct front *f);

/*
 * Read one back-end request and answer it. QEMU's order: answer, then commit, then (as soon
 * as no request is outstanding on the main channel) the memory table.
 */
void front_backend_serve(struct front *f);

/* Handle what FRONT_REPLY_LATE has held back, in order. */
void front_release(struct front *f);

/* The guest resets: all mappings vanish, and the back end is not told. */
void front_drop_mappings(struct front *f);

/* Where region shmid lies in the reserved address space, bytes from its start. */
uint64_t front_bar_offset(const struct front *f, uint8_t shmid);

/*
 * The window of region shmid; NULL if there is none. Bytes that are not mapped fault, unless
 * holes_readable: send a flush first.
 */
void *front_shm_ptr(const struct front *f, uint8_t shmid);

#endif
