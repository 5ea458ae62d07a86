// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which bio waits for which flush request. Pure: the unit tests compile it for user space.
 */
#include "group.h"

#include <linux/compiler.h>

/**
 * vpmem_group_init() - nobody waits, and nothing will be sent
 * @group:	to set up; held
 */
void vpmem_group_init(struct vpmem_group *group)
{
	*group = (struct vpmem_group){ .held = true, .error = BLK_STS_OK };
	bio_list_init(&group->next);
	bio_list_init(&group->sent);
}

static void end_all(struct vpmem_group *group, struct bio_list *bios, struct bio_list *ended)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios))) {
		bio->bi_status = group->error;
		group->errors++;
		bio_list_add(ended, bio);
	}
}

/**
 * vpmem_group_add() - bios begin to wait for a request that is sent from now on
 * @group:	where
 * @bios:	taken; empty afterwards
 * @ended:	gets them at once if the group has failed
 */
void vpmem_group_add(struct vpmem_group *group, struct bio_list *bios, struct bio_list *ended)
{
	unsigned int n = bio_list_size(bios);

	group->flushes += n;
	if (group->error) {
		end_all(group, bios, ended);
		return;
	}
	group->merged += bio_list_empty(&group->next) && n ? n - 1 : n;
	bio_list_merge(&group->next, bios);
	bio_list_init(bios);
}

/**
 * vpmem_group_begin() - the device gets a request
 * @group:	where; none is outstanding
 */
void vpmem_group_begin(struct vpmem_group *group)
{
	group->outstanding = true;
	group->requests++;
}

/**
 * vpmem_group_send() - begin a request, if it is time for one
 * @group:	where
 *
 * Return: true if the caller has to send a request now. It is for all who wait.
 */
bool vpmem_group_send(struct vpmem_group *group)
{
	if (group->outstanding || group->held || group->error || bio_list_empty(&group->next))
		return false;
	group->sent = group->next;
	bio_list_init(&group->next);
	vpmem_group_begin(group);
	return true;
}

/**
 * vpmem_group_unsend() - the request that was begun could not be sent, and will be later
 * @group:	where; nothing else has happened since vpmem_group_send()
 */
void vpmem_group_unsend(struct vpmem_group *group)
{
	group->next = group->sent;
	bio_list_init(&group->sent);
	group->outstanding = false;
	group->requests--;
}

/**
 * vpmem_group_fail() - from now on everything fails
 * @group:	where
 * @error:	the reason; only the first one counts
 * @ended:	gets all who wait
 */
void vpmem_group_fail(struct vpmem_group *group, blk_status_t error, struct bio_list *ended)
{
	if (group->error)
		return;
	WRITE_ONCE(group->error, error); /* some look without the lock */
	end_all(group, &group->sent, ended);
	end_all(group, &group->next, ended);
}

/**
 * vpmem_group_answer() - the device has given its request back
 * @group:	where; has failed already if the answer was an error
 * @ended:	gets those who waited for it; none if they were told of a failure before
 */
void vpmem_group_answer(struct vpmem_group *group, struct bio_list *ended)
{
	group->outstanding = false;
	bio_list_merge(ended, &group->sent);
	bio_list_init(&group->sent);
}

/**
 * vpmem_group_idle() - is there nothing to wait for?
 * @group:	where
 *
 * Return: true if nobody waits, and the device either has no request or will not be asked again.
 */
bool vpmem_group_idle(const struct vpmem_group *group)
{
	return group->error ||
	       (!group->outstanding && (group->held || bio_list_empty(&group->next)));
}
