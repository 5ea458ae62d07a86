/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-pmem device (VIRTIO 1.3, 5.19) over an image: its region is shared memory 0,
 * one mapping of the whole image.
 *
 *   UNMAPPED  the device is not started, or the mapping is on its way: no request is popped
 *   MAPPED    the guest sees the image: flushes are served
 *   REFUSED   the front end does not map: every flush fails
 *
 * start() leaves UNMAPPED at once if the memory table shows that the front end kept the
 * mapping over a stop, else when the new mapping is committed, or when it is refused because
 * the old one is still there: the ring goes on where it stopped, and was MAPPED then. stop()
 * and reset() lead back.
 */
#ifndef PMEM_DEVICE_H
#define PMEM_DEVICE_H

#include "pmem/flush.h"
#include "pmem/image.h"
#include "virtio/device.h"

enum pmem_state { PMEM_UNMAPPED, PMEM_MAPPED, PMEM_REFUSED };

struct pmem {
	const char *name;		/* for messages; borrowed */
	const struct image *img;	/* borrowed */
	struct flush *flush;		/* borrowed */
	const struct device_host *host; /* borrowed; set before the first start() */
	struct shm_req map;
	bool map_pending;      /* done() is still to come */
	bool continued;	       /* of the latest start */
	bool was_mapped;       /* since the driver began */
	_Atomic int state;     /* enum pmem_state; written by the control thread */
	_Atomic uint64_t maps; /* mappings made, for statistics */
	_Atomic uint64_t kept; /* starts that found the mapping in place */
};

extern const struct device_ops pmem_device_ops; /* dev is a struct pmem */

void pmem_init(struct pmem *p, const char *name, const struct image *img, struct flush *flush,
	       const struct device_host *host);

/* The name of the state, for people. */
const char *pmem_state_name(const struct pmem *p);

#endif
