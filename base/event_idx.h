/* SPDX-License-Identifier: BSD-2-Clause */
/* Both sides of a split ring decide on a notification alike. Freestanding. */
#ifndef BASE_EVENT_IDX_H
#define BASE_EVENT_IDX_H

#include <stdbool.h>
#include <stdint.h>

/*
 * VIRTIO 1.3, 2.7.10 and 2.7.7: the index moved from old_idx to new_idx (both mod 2^16);
 * did it pass the point event_idx at which the other side wants to be told?
 */
static inline bool event_idx_passed(uint16_t event_idx, uint16_t new_idx, uint16_t old_idx)
{
	return (uint16_t)(new_idx - event_idx - 1) < (uint16_t)(new_idx - old_idx);
}

#endif
