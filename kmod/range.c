// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what the device says about its memory believable? Pure: the unit tests compile it for user
 * space, on machines of either byte order.
 */
#include "range.h"

#include <asm/byteorder.h>

/**
 * vpmem_range_from_config() - the range of a device without shared memory regions
 * @config:	its configuration space
 *
 * Return: the range as the device gives it, not validated.
 */
struct vpmem_range vpmem_range_from_config(const struct vpmem_config *config)
{
	return (struct vpmem_range){
		.start = le64_to_cpu(config->start),
		.size = le64_to_cpu(config->size),
	};
}

/**
 * vpmem_range_problem() - can there be a disk on this range?
 * @range:	as the device gives it
 * @page_size:	bytes
 * @last_address: the highest physical address this kernel can express
 *
 * Return: NULL if it can, else what is wrong with it.
 */
const char *vpmem_range_problem(const struct vpmem_range *range, u64 page_size, u64 last_address)
{
	if (!range->size)
		return "has no size";
	if (range->start > last_address || range->size - 1 > last_address - range->start)
		return "ends beyond what this kernel can address";
	if ((range->start | range->size) & (page_size - 1))
		return "does not begin and end at a page";
	return NULL;
}

/**
 * vpmem_range_no_dax() - can the range have struct pages?
 * @range:	a sound range
 * @section_size: what memory with struct pages has to be aligned to, bytes
 *
 * Return: NULL if it can, else why not.
 */
const char *vpmem_range_no_dax(const struct vpmem_range *range, u64 section_size)
{
	if ((range->start | range->size) & (section_size - 1))
		return "the range is not aligned as memory with struct pages has to be";
	return NULL;
}
