/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest half: guest/ runs on struct front as its platform. */
#ifndef FRONT_GUEST_H
#define FRONT_GUEST_H

#include "front/front.h"
#include "vdax/pmem.h"
#include "vdax/window.h"

/* A virtio-pmem driver in the guest of f. */
struct front_pmem {
	struct front *f; /* borrowed */
	struct vdax_platform platform;
	struct vdax_pmem pm;
	struct vdax_window window;
	uint8_t *base; /* of the window; NULL if not RAM-like. Use after a flush only. */

	unsigned int queue_size;
	void *shared; /* in guest RAM, kept over resets */
	struct vdax_ring_slot *slots;
	struct vdax_pmem_rq *rqs;
};

struct front_pmem_opts {
	unsigned int queue_size; /* 0: 128 */
	uint64_t timeout_ns;	 /* of a request; 0: 5 s */
	bool separate;		 /* see struct vdax_pmem_opts */
};

/* ctx of the platform that guest code gets: all of it is f. */
struct vdax_platform front_platform(struct front *f);

/*
 * What a driver does before DRIVER_OK: choose features, find the region, prepare ring 0 and
 * the window. Call again (with the same g and queue size) after a front_reset(). g is all
 * zero the first time. Returns 0 or -errno.
 */
int front_pmem_init(struct front_pmem *g, struct front *f, const struct front_pmem_opts *opts);

/* f may live on; its device must not use the ring any more. */
void front_pmem_fini(struct front_pmem *g);

/* front_poll() and then vdax_pmem_poll(). Returns what the latter does, or -errno. */
int front_pmem_poll(struct front_pmem *g, int timeout_ms);

#endif
