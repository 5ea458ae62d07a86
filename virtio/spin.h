/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at an empty ring for a moment instead of sleeping at once. A sleep costs a kick, an
 * interrupt of another CPU and two switches, some 20 us of each side; a driver that waits for
 * each answer before its next request often has that one ready in five.
 *
 * Whether it pays is learnt: the time from "the ring went empty" to the next request, as an
 * average of late ones. One that does not come within the bound counts as twice the bound, so the
 * average is within it only if most do come. Otherwise the queue sleeps at once, and tries
 * again after a pause of 128 bounds: less than 1 % of a CPU. A request that is found by
 * sleeping teaches nothing: the wake-up is most of its time.
 *
 * Requests behind others that the device is still at are another habit of the driver than the
 * next one after an answer; so both are learnt apart.
 */
#ifndef VIRTIO_SPIN_H
#define VIRTIO_SPIN_H

#include <stdint.h>

#define VQ_SPIN_DEFAULT_NS 32000u

/* What a queue knows of the gaps between requests. */
struct vq_habit {
	uint64_t average_ns;
	uint64_t retry_at; /* CLOCK_MONOTONIC ns: not before, while it does not pay */
};

struct vq_spin {
	uint32_t max_ns;	  /* 0: never. Set while the ring is stopped */
	struct vq_habit habit[2]; /* nothing is popped; something is */
	uint16_t at_avail;	  /* the ring's state at the last attempt: not twice for one */
	uint16_t at_used;
	uint64_t hits, misses; /* statistics */
};

#endif
