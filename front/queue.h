/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues, and starting and stopping the device as QEMU does. */
#ifndef FRONT_QUEUE_H
#define FRONT_QUEUE_H

#include "front/front.h"

/* Where ring i is (all in guest RAM), for the next start. size 0: not used. */
void front_queue_set(struct front *f, unsigned int i, unsigned int size, void *desc, void *avail,
		     void *used);

/* Write the kick eventfd of ring i. */
void front_kick(struct front *f, unsigned int i);

/*
 * DRIVER_OK with f->features, or `cont` after a stop: features, status, memory table, rings,
 * SET_VRING_ENABLE(1). A refused or full memory table is an error, as the device is dead then.
 */
int front_start(struct front *f);

/* SET_VRING_ENABLE(0) and GET_VRING_BASE: rings keep their position, mappings stay. */
int front_stop(struct front *f);

/* Stop if running; then the guest is new: mappings are gone, rings start at 0. */
int front_reset(struct front *f);

/* RESET_DEVICE, which QEMU 11.1.3 never sends to a device with a status. */
int front_reset_device(struct front *f);

#endif
