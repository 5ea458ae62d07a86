// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots of the latency histogram. Pure: the unit tests compile it for user space.
 */
#include "latency.h"

#include <linux/bitops.h>
#include <linux/math64.h>

/**
 * vpmem_latency_slot() - where a request is counted
 * @ns:		how long it took
 *
 * Return: the index into &struct vpmem_latency.
 */
unsigned int vpmem_latency_slot(u64 ns)
{
	unsigned int slot = fls64(div_u64(ns, 1000));

	return slot < VPMEM_LATENCY_SLOTS ? slot : VPMEM_LATENCY_SLOTS - 1;
}
