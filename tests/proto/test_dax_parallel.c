/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many mappings under way at once, from several queues: each in its own part of the window, while
 * files grow and the device is stopped and continued. Each answer means that the range is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

#define QUEUES 4u /* for requests */
#define DEEP   8u /* requests of one queue at a time, each for a range of its own */
#define ROUNDS 600u
#define LANE   (DAX_SIZE / QUEUES)
#define RANGE  (LANE / DEEP)
#define FILES  3u
#define SIZE   (MIB(8) + 300)

static struct fsd d;
static struct dax_guest g;
static uint64_t node[FILES];
static uint32_t random_state;

/* What a range of the window shows. */
static struct range {
	bool owned;
	unsigned file;
	uint64_t foff;
	int ticket; /* of the request that changes it; -1: none */
} ranges[QUEUES][DEEP];

static uint32_t any(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static uint64_t place(unsigned queue, unsigned i)
{
	return queue * LANE + i * RANGE;
}

/* Its begin and its end. */
static void check_range(const char *name, unsigned queue, unsigned i)
{
	const struct range *r = &ranges[queue][i];
	uint64_t len = MIN(RANGE, SIZE - r->foff), part = MIN(len, DAX_PAGE);

	CHECK_NAMED(name, dax_shows(&g, place(queue, i), r->file, r->foff, part));
	CHECK_NAMED(name, dax_shows(&g, place(queue, i) + len - part, r->file, r->foff + len - part,
				    part));
}

static void post_map(unsigned queue, unsigned i)
{
	struct range *r = &ranges[queue][i];
	struct fsd_rq rq;

	*r = (struct range){ true, any(FILES), (uint64_t)any(5) * RANGE, -1 };
	rq = (struct fsd_rq){ FUSE_SETUPMAPPING,
			      node[r->file],
			      { FSD_BODY(setupmapping, .fh = UINT64_MAX, .foffset = r->foff,
					 .len = RANGE, .flags = any(2) ? DAX_RW : DAX_READ,
					 .moffset = place(queue, i)) },
			      0 };
	r->ticket = fsd_post(g.r, 1 + queue, &rq, sizeof(struct fuse_out_header));
}

static void post_unmap(unsigned queue, unsigned i)
{
	const struct fuse_removemapping_one one = { place(queue, i), RANGE };
	const struct fsd_rq rq = { FUSE_REMOVEMAPPING,
				   node[0],
				   { FSD_BODY(removemapping, .count = 1), .tail = &one,
				     .tail_len = sizeof(one) },
				   0 };

	ranges[queue][i] = (struct range){ .ticket = -1 };
	ranges[queue][i].ticket = fsd_post(g.r, 1 + queue, &rq, sizeof(struct fuse_out_header));
}

static void post_all(void)
{
	for (unsigned i = 0; i < DEEP; i++) {
		for (unsigned q = 0; q < QUEUES; q++) {
			ranges[q][i].ticket = -1;
			if (any(3) == 0)
				post_unmap(q, i);
			else if (any(2))
				post_map(q, i);
		}
	}
}

static void wait_all(void)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		for (unsigned i = 0; i < DEEP; i++) {
			int ticket = ranges[q][i].ticket;

			if (ticket >= 0)
				CHECK_EQ("answer", fsd_wait(g.r, 1 + q, ticket, NULL, 0), 0);
			if (ranges[q][i].owned)
				check_range("when answered", q, i);
		}
	}
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 0; i < DEEP; i++)
			if (ranges[q][i].owned)
				check_range("in the end", q, i);
}

int main(void)
{
	static const char *const options[] = { "--dax-window", DAX_WINDOW, NULL };
	const struct front_opts o = { .num_queues = 1 + QUEUES };
	const char *seed = getenv("VDAX_SEED");
	char name[16];

	random_state = seed ? (uint32_t)atoi(seed) : 1;
	fprintf(stderr, "seed %u\n", random_state);
	fsd_prepare(&d, "/tmp");
	fsd_start(&d, options);
	dax_boot(&g, &d, &o);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		close(dax_make(&d, name, i, SIZE));
		node[i] = dax_find(&g, name);
	}
	for (unsigned i = 1; i <= ROUNDS; i++) {
		post_all();
		if (i % 10 == 0) {
			CHECK_EQ("stop", front_stop(g.f), 0);
			CHECK_EQ("cont", front_start(g.f), 0);
		}
		wait_all();
	}
	CHECK_NAMED("mapped", g.f->stats.maps > ROUNDS * QUEUES);
	dax_close(&g);
	fsd_end(&d);
	return check_done();
}
