/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread loads from and stores to every page that the guest owns, without a pause, while ranges
 * are mapped, given back, replaced and cut at random, and the device is stopped and continued. Each
 * page of a file knows which it is and counts the stores. No load may be of anything else, and no
 * store may be lost; a hole would take the one and give the other, as QEMU's does.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

#define PAGES	   (DAX_SIZE / DAX_PAGE)
#define FILES	   5u
#define FILE_PAGES 2048u
#define ODD	   4u /* this file ends within its last page, and is only read */
#define OPS	   30000u
#define AT_ONCE	   64u /* pages, until somebody else may have the lock */

/* The begin of each page of a file. */
struct stamp {
	uint64_t which;
	uint64_t stores; /* by the guest */
	uint64_t writes; /* by WRITE requests */
};

static struct fsd d;
static struct dax_guest g;
static uint64_t node[FILES], fh[FILES];
static int fd[FILES];
static uint32_t random_state;

/* What the guest owns, and what each page of a file should say. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool owned;
	uint8_t file;
	uint16_t page;
} owner[PAGES];
static uint64_t stores[FILES][FILE_PAGES];
static _Atomic bool going;
static unsigned wrong, looked;

static uint32_t any(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

static uint64_t which(unsigned file, unsigned page)
{
	return UINT64_C(0x5354414d50000000) + (uint64_t)file * FILE_PAGES + page;
}

static void make_files(void)
{
	char name[16];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		fd[i] = dax_make(&d, name, i, FILE_PAGES * DAX_PAGE - (i == ODD ? 1000 : 0));
		for (unsigned p = 0; p < FILE_PAGES; p++) {
			const struct stamp s = { which(i, p), 0, 0 };

			REQUIRE(pwrite(fd[i], &s, sizeof(s), p * DAX_PAGE) == sizeof(s));
		}
	}
}

/* --- the guest's programs --- */

/* One page, under the lock. */
static void look(unsigned at)
{
	volatile struct stamp *s = (volatile struct stamp *)(g.window + at * DAX_PAGE);
	uint64_t *n = &stores[owner[at].file][owner[at].page];
	uint64_t saw = s->which, count = s->stores;

	looked++;
	if (saw != which(owner[at].file, owner[at].page) || count != *n) {
		if (!wrong++)
			fprintf(stderr, "page %u: %llx, %llu stores instead of %llx, %llu\n", at,
				(unsigned long long)saw, (unsigned long long)count,
				(unsigned long long)which(owner[at].file, owner[at].page),
				(unsigned long long)*n);
		owner[at].owned = false; /* once is enough */
	} else if (owner[at].file != ODD) {
		s->stores = ++*n;
	}
}

static void *use(void *arg)
{
	unsigned at = 0;

	(void)arg;
	while (going) {
		pthread_mutex_lock(&lock);
		for (unsigned end = at + AT_ONCE; at < end; at++)
			if (owner[at].owned)
				look(at);
		pthread_mutex_unlock(&lock);
		at %= PAGES;
	}
	return NULL;
}

static bool watch(void *ctx, uint8_t shmid, uint64_t off, uint64_t len)
{
	bool owned = false;

	(void)ctx;
	(void)shmid;
	pthread_mutex_lock(&lock);
	for (uint64_t p = off / DAX_PAGE; p < (off + len) / DAX_PAGE; p++)
		owned |= owner[p].owned;
	pthread_mutex_unlock(&lock);
	return owned;
}

/* --- the guest's driver --- */

static unsigned mapped, busy, full, most;

/* For n pages, mostly a place that is free, or looks so. */
static unsigned place(unsigned n)
{
	unsigned at = 0;

	for (unsigned i = 0; i < 4; i++) {
		at = any(2) ? any(PAGES / n) * n : any(PAGES - n);
		if (!owner[at].owned && !owner[at + n - 1].owned)
			break;
	}
	return at;
}

static void map_something(void)
{
	static const uint16_t lengths[] = { 1, 1, 4, 4, 16, 16, 64 };
	static __typeof__(owner[0]) before[512];
	unsigned n = any(40) ? lengths[any(ARRAY_SIZE(lengths))] : 512, file = any(FILES);
	unsigned at = place(n), page = any(FILE_PAGES / n) * n;
	int ret;

	/* Whoever maps over what it has does not use that any more. */
	pthread_mutex_lock(&lock);
	memcpy(before, &owner[at], n * sizeof(owner[0]));
	memset(&owner[at], 0, n * sizeof(owner[0]));
	pthread_mutex_unlock(&lock);
	ret = dax_map(&g, node[file], page * DAX_PAGE, n * DAX_PAGE,
		      file == ODD ? DAX_READ : DAX_RW, at * DAX_PAGE);
	CHECK_NAMED("mapped, busy or full", !ret || ret == -EBUSY || ret == -EIO);
	mapped += !ret;
	most = MAX(most, g.f->maps.n);
	busy += ret == -EBUSY;
	full += ret == -EIO;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n; i++) {
		if (ret == -EBUSY) {
			owner[at + i] = before[i]; /* nothing has changed */
		} else if (!ret) {
			owner[at + i].owned = true;
			owner[at + i].file = (uint8_t)file;
			owner[at + i].page = (uint16_t)(page + i);
		}
	}
	pthread_mutex_unlock(&lock);
}

static void unmap_something(void)
{
	unsigned n = any(8) ? 1 + any(20) : 1 + any(1000), at = any(PAGES - n);

	pthread_mutex_lock(&lock);
	memset(&owner[at], 0, n * sizeof(owner[0]));
	pthread_mutex_unlock(&lock);
	CHECK_EQ("unmap", dax_unmap(&g, at * DAX_PAGE, n * DAX_PAGE), 0);
}

/* A WRITE is seen in all places at once. */
static void write_something(uint64_t value)
{
	unsigned file = any(FILES), page = any(FILE_PAGES);
	uint64_t off = page * DAX_PAGE + offsetof(struct stamp, writes);

	CHECK_EQ("WRITE", dax_write(&g, node[file], fh[file], off, &value, sizeof(value)),
		 sizeof(value));
	for (unsigned at = 0; at < PAGES; at++) {
		const struct stamp *s = (const struct stamp *)(g.window + at * DAX_PAGE);
		bool there = owner[at].owned && owner[at].file == file && owner[at].page == page;

		if (there)
			CHECK_EQ("seen", s->writes, value);
	}
}

static void hammer(unsigned seed)
{
	pthread_t thread;

	fprintf(stderr, "seed %u\n", seed);
	random_state = seed;
	going = true;
	REQUIRE(!pthread_create(&thread, NULL, use, NULL));
	for (unsigned i = 1; i <= OPS; i++) {
		unsigned what = any(100);

		if (what < 50)
			map_something();
		else if (what < 95)
			unmap_something();
		else
			write_something(i);
		if (i % 1000 == 0) {
			CHECK_EQ("stop", front_stop(g.f), 0);
			CHECK_EQ("cont", front_start(g.f), 0);
		}
	}
	going = false;
	pthread_join(thread, NULL);
}

static void check_files(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		for (unsigned p = 0; p < FILE_PAGES; p++) {
			struct stamp s;

			REQUIRE(pread(fd[i], &s, sizeof(s), p * DAX_PAGE) == sizeof(s));
			CHECK_EQ("stores", s.stores, stores[i][p]);
			CHECK_EQ("page", s.which, which(i, p));
		}
	}
}

int main(void)
{
	static const char *const options[] = { "--dax-window", DAX_WINDOW, NULL };
	const struct front_opts o = { .holes_readable = true };
	const char *seed = getenv("VDAX_SEED");

	fsd_prepare(&d, "/tmp");
	make_files();
	fsd_start(&d, options);
	dax_boot(&g, &d, &o);
	g.f->watch = watch;
	for (unsigned i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		node[i] = dax_find(&g, name);
		fh[i] = fsd_open(g.r, 1, FUSE_OPEN, node[i], O_RDWR);
	}
	hammer(seed ? (unsigned)atoi(seed) : 1);
	fprintf(stderr,
		"%u mapped, %u busy, %u full; %u at most; %llu maps, %llu unmaps; %u looks\n",
		mapped, busy, full, most, (unsigned long long)g.f->stats.maps,
		(unsigned long long)g.f->stats.unmaps, looked);
	CHECK_NAMED("mapped", mapped > OPS / 8);
	CHECK_NAMED("hundreds at once", most > 200);
	CHECK_NAMED("replaced", g.f->stats.unmaps > OPS / 20);
	CHECK_NAMED("looked at", looked > 20 * OPS);
	CHECK_EQ("wrong data in a page that the guest owns", wrong, 0);
	check_files();
	dax_close(&g);
	fsd_end(&d);
	return check_done();
}
