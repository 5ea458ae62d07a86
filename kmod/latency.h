/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_LATENCY_H
#define VPMEM_LATENCY_H

#include <linux/types.h>

#define VPMEM_LATENCY_SLOTS 32

/**
 * struct vpmem_latency - how long requests took, in powers of two
 * @slot:	slot 0 counts those below 1 us, slot n those from 2^(n-1) to below 2^n us, the
 *		last one also all that took longer
 */
struct vpmem_latency {
	u64 slot[VPMEM_LATENCY_SLOTS];
};

unsigned int vpmem_latency_slot(u64 ns);

#endif /* VPMEM_LATENCY_H */
