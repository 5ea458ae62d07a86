/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_GROUP_H
#define VPMEM_GROUP_H

#include <linux/bio.h>
#include <linux/types.h>

/**
 * struct vpmem_group - who waits for which flush request
 * @next:	wait for a request that has not been sent
 * @sent:	wait for the request that the device has
 * @outstanding: the device has a request. It keeps it when nobody waits any more: what it may
 *		still write to is not ours before it answers or is reset
 * @held:	nothing is sent for those who wait: not yet, or suspended
 * @error:	why everything fails, from the first failure on; else BLK_STS_OK
 * @flushes:	bios that came to wait
 * @requests:	requests sent
 * @merged:	bios that joined others who had been waiting
 * @errors:	bios ended with an error
 *
 * A request covers what was written before it was sent. So whoever comes while one is with the
 * device waits for the next one, and all of those share it: of any number of flushes that come
 * at the same time each waits for two requests at most.
 *
 * The first failure is final: what the host could not write it may have forgotten, so that its next
 * answer would be worth nothing.
 *
 * This knows neither a queue nor a lock: the caller has one, holds it at each call, and ends the
 * bios in @ended after giving it up.
 */
struct vpmem_group {
	struct bio_list next;
	struct bio_list sent;
	bool outstanding;
	bool held;
	blk_status_t error;
	u64 flushes;
	u64 requests;
	u64 merged;
	u64 errors;
};

void vpmem_group_init(struct vpmem_group *group);
void vpmem_group_add(struct vpmem_group *group, struct bio_list *bios, struct bio_list *ended);
bool vpmem_group_send(struct vpmem_group *group);
void vpmem_group_begin(struct vpmem_group *group);
void vpmem_group_unsend(struct vpmem_group *group);
void vpmem_group_answer(struct vpmem_group *group, struct bio_list *ended);
void vpmem_group_fail(struct vpmem_group *group, blk_status_t error, struct bio_list *ended);
bool vpmem_group_idle(const struct vpmem_group *group);

#endif /* VPMEM_GROUP_H */
