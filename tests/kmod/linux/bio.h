/* SPDX-License-Identifier: BSD-2-Clause */
/* In the place of the kernel's header: bios that can wait in a list, and nothing else. */
#ifndef TESTS_KMOD_BIO_H
#define TESTS_KMOD_BIO_H

#include <linux/types.h>

typedef u8 blk_status_t;

#define BLK_STS_OK	0
#define BLK_STS_TIMEOUT 2
#define BLK_STS_IOERR	10
#define BLK_STS_OFFLINE 16

struct bio {
	struct bio *bi_next; /* NULL unless it is in a list, and not the last one */
	blk_status_t bi_status;
};

/* First in, first out. tail means something only if there is a head. */
struct bio_list {
	struct bio *head;
	struct bio *tail;
};

static inline void bio_list_init(struct bio_list *list)
{
	*list = (struct bio_list){ NULL, NULL };
}

static inline bool bio_list_empty(const struct bio_list *list)
{
	return !list->head;
}

static inline unsigned int bio_list_size(const struct bio_list *list)
{
	unsigned int n = 0;

	for (const struct bio *bio = list->head; bio; bio = bio->bi_next)
		n++;
	return n;
}

static inline void bio_list_append(struct bio_list *list, struct bio *first, struct bio *last)
{
	*(list->head ? &list->tail->bi_next : &list->head) = first;
	list->tail = last;
}

static inline void bio_list_add(struct bio_list *list, struct bio *bio)
{
	bio->bi_next = NULL;
	bio_list_append(list, bio, bio);
}

/* As in the kernel, other keeps its content: emptying it is up to the caller. */
static inline void bio_list_merge(struct bio_list *list, struct bio_list *other)
{
	if (other->head)
		bio_list_append(list, other->head, other->tail);
}

static inline struct bio *bio_list_pop(struct bio_list *list)
{
	struct bio *bio = list->head;

	if (bio) {
		list->head = bio->bi_next;
		bio->bi_next = NULL;
	}
	return bio;
}

#endif
