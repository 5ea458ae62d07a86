/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A front end's shared-memory region as QEMU 11.1.3 has it, in this process: mappings are made and
 * removed as a whole, never over another, never behind the end of a file, and an empty file is made
 * as long as the mapping. Nothing is answered before the test says so.
 */
#ifndef TESTS_LIB_FAKE_SHM_H
#define TESTS_LIB_FAKE_SHM_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "virtio/device.h"

#define FAKE_SHM_MAX  512u
#define FAKE_SHM_PAGE 4096u

struct fake_mapping {
	uint64_t off, len, fd_off;
	dev_t dev;
	ino_t ino;
};

/* What becomes of a request that is cancelled. */
enum fake_shm_fate { FAKE_SHM_LOST, FAKE_SHM_DONE, FAKE_SHM_LATE };

struct fake_shm {
	uint8_t *base; /* the guest's view; what is not mapped cannot be touched */
	uint64_t size;
	struct fake_mapping v[FAKE_SHM_MAX];
	unsigned n;
	struct shm_req *first, *last;
	struct shm_req late; /* is read before the next request; fd is its own, len 0: none */
	bool open;	     /* the device is started */
	bool unable;	     /* -ENOTSUP */
	bool takes_read_only;
	unsigned maps, unmaps; /* that were done */
	unsigned bad_maps;     /* that were refused by a rule */
	unsigned grown;	       /* empty files that were made longer */
	unsigned most;	       /* mappings at once */
	/* Is called before a mapping goes. */
	void (*goes)(uint64_t off, uint64_t len);
};

static inline void fake_shm_hole(struct fake_shm *s, uint64_t off, uint64_t len)
{
	REQUIRE(mmap(s->base + off, len, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED);
}

static inline void fake_shm_init(struct fake_shm *s, uint64_t size)
{
	*s = (struct fake_shm){ .size = size, .open = true };
	s->base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(s->base != MAP_FAILED);
}

static inline void fake_shm_fini(struct fake_shm *s)
{
	REQUIRE(!s->first);
	munmap(s->base, s->size);
}

/* --- what the front end does --- */

static inline bool fake_shm_fits(const struct fake_shm *s, const struct shm_req *r)
{
	return !r->shmid && r->len && !((r->shm_offset | r->len | r->fd_offset) % FAKE_SHM_PAGE) &&
	       r->len <= s->size && r->shm_offset <= s->size - r->len;
}

static inline bool fake_shm_overlaps(const struct fake_shm *s, const struct shm_req *r)
{
	for (unsigned i = 0; i < s->n; i++)
		if (r->shm_offset < s->v[i].off + s->v[i].len &&
		    s->v[i].off < r->shm_offset + r->len)
			return true;
	return false;
}

/* Is there so much of the file? One that is empty is made so long. */
static inline bool fake_shm_in_file(struct fake_shm *s, const struct shm_req *r, struct stat *st)
{
	uint64_t end = r->fd_offset + r->len;

	REQUIRE(!fstat(r->fd, st));
	if (!st->st_size && !ftruncate(r->fd, (off_t)end)) {
		s->grown++;
		return true;
	}
	return (uint64_t)st->st_size >= end;
}

static inline int fake_shm_map_now(struct fake_shm *s, const struct shm_req *r)
{
	struct stat st;
	int prot = r->writable ? PROT_READ | PROT_WRITE : PROT_READ;

	if (!r->writable && !s->takes_read_only)
		return -EIO;
	if (!fake_shm_fits(s, r) || fake_shm_overlaps(s, r) || !fake_shm_in_file(s, r, &st) ||
	    s->n == FAKE_SHM_MAX ||
	    mmap(s->base + r->shm_offset, r->len, prot, MAP_SHARED | MAP_FIXED, r->fd,
		 (off_t)r->fd_offset) == MAP_FAILED) {
		s->bad_maps++;
		return -EIO;
	}
	s->v[s->n++] = (struct fake_mapping){ .off = r->shm_offset,
					      .len = r->len,
					      .fd_off = r->fd_offset,
					      .dev = st.st_dev,
					      .ino = st.st_ino };
	s->most = s->n > s->most ? s->n : s->most;
	s->maps++;
	return 0;
}

static inline int fake_shm_unmap_now(struct fake_shm *s, const struct shm_req *r)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->v[i].off != r->shm_offset || s->v[i].len != r->len)
			continue;
		if (s->goes)
			s->goes(r->shm_offset, r->len);
		fake_shm_hole(s, r->shm_offset, r->len);
		s->v[i] = s->v[--s->n];
		s->unmaps++;
		return 0;
	}
	return -EIO;
}

static inline int fake_shm_now(struct fake_shm *s, const struct shm_req *r)
{
	return r->is_map ? fake_shm_map_now(s, r) : fake_shm_unmap_now(s, r);
}

/* What was cancelled, and still in the socket. Files may have become too short for it. */
static inline void fake_shm_read_late(struct fake_shm *s)
{
	struct shm_req r = s->late;
	unsigned bad = s->bad_maps;
	struct stat st;

	if (!r.len)
		return;
	s->late.len = 0;
	if (!r.is_map || (!fstat(r.fd, &st) && st.st_size))
		fake_shm_now(s, &r);
	s->bad_maps = bad;
	if (r.is_map)
		close(r.fd);
}

static inline struct shm_req *fake_shm_take(struct fake_shm *s)
{
	struct shm_req *r = s->first;

	REQUIRE(r);
	s->first = r->next;
	if (!s->first)
		s->last = NULL;
	return r;
}

/* Does the first request and answers it; or answers it with err, undone. */
static inline void fake_shm_answer(struct fake_shm *s, int err)
{
	struct shm_req *r = fake_shm_take(s);

	fake_shm_read_late(s);
	r->done(r, err ? err : fake_shm_now(s, r));
}

/* The device stops: all requests are cancelled. */
static inline void fake_shm_cancel(struct fake_shm *s, enum fake_shm_fate fate)
{
	bool first = true;

	s->open = false;
	while (s->first) {
		struct shm_req *r = fake_shm_take(s);

		if (first && fate == FAKE_SHM_DONE) {
			fake_shm_read_late(s);
			fake_shm_now(s, r);
		} else if (first && fate == FAKE_SHM_LATE) {
			fake_shm_read_late(s);
			s->late = *r;
			if (r->is_map)
				s->late.fd = dup(r->fd);
		}
		first = false;
		r->done(r, -ECANCELED);
	}
}

/* A reset of the VM drops what is mapped, and tells nobody. */
static inline void fake_shm_drop(struct fake_shm *s)
{
	s->n = 0;
	fake_shm_hole(s, 0, s->size);
}

/* The same, and what is in the socket. */
static inline void fake_shm_forget(struct fake_shm *s)
{
	fake_shm_drop(s);
	if (s->late.len && s->late.is_map)
		close(s->late.fd);
	s->late.len = 0;
}

/* --- what the device sees --- */

static inline int fake_shm_add(struct fake_shm *s, struct shm_req *r, bool is_map)
{
	if (s->unable)
		return -ENOTSUP;
	if (!s->open)
		return -ECANCELED;
	r->is_map = is_map;
	r->next = NULL;
	if (s->last)
		s->last->next = r;
	else
		s->first = r;
	s->last = r;
	return 0;
}

static inline int fake_shm_map(void *ctx, struct shm_req *r)
{
	return fake_shm_add(ctx, r, true);
}

static inline int fake_shm_unmap(void *ctx, struct shm_req *r)
{
	return fake_shm_add(ctx, r, false);
}

static const struct shm_ops fake_shm_ops = { .map = fake_shm_map, .unmap = fake_shm_unmap };

#endif
