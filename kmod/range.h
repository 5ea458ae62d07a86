/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_RANGE_H
#define VPMEM_RANGE_H

#include <linux/types.h>

#include "uapi/vpmem.h"

/**
 * struct vpmem_range - where the persistent memory is
 * @start:	guest-physical address
 * @size:	in bytes
 */
struct vpmem_range {
	u64 start;
	u64 size;
};

struct vpmem_range vpmem_range_from_config(const struct vpmem_config *config);
const char *vpmem_range_problem(const struct vpmem_range *range, u64 page_size, u64 last_address);
const char *vpmem_range_no_dax(const struct vpmem_range *range, u64 section_size);

#endif /* VPMEM_RANGE_H */
