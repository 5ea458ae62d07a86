/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/mem.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/align.h"
#include "base/range.h"

static void map_put(struct mem_map *map)
{
	if (!map || --map->refs)
		return;
	munmap(map->addr, map->len);
	free(map);
}

static struct mem_table *table_alloc(unsigned n)
{
	struct mem_table *t = malloc(sizeof(*t) + n * sizeof(t->r[0]));

	if (t) {
		t->refs = 1;
		t->n = n;
	}
	return t;
}

struct mem_table *mem_new(void)
{
	return table_alloc(0);
}

struct mem_table *mem_get(struct mem_table *t)
{
	t->refs++;
	return t;
}

void mem_put(struct mem_table *t)
{
	if (!t || --t->refs)
		return;
	for (unsigned i = 0; i < t->n; i++)
		map_put(t->r[i].map);
	free(t);
}

/* mmap() offsets are in pages of the file system, which are large on hugetlbfs. */
static uint64_t map_granule(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == HUGETLBFS_MAGIC &&
	    is_pow2((uint64_t)fs.f_bsize))
		return (uint64_t)fs.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Maps what r says, or leaves it unusable. Only memory shortage is an error. */
static int region_map(struct mem_region *r, int fd, const struct stat *st)
{
	uint64_t granule = map_granule(fd);
	uint64_t begin = align_down(r->off, granule);
	uint64_t end = align_up(r->off + r->size, granule);
	size_t len = (size_t)(end - begin);
	struct mem_map *map;
	void *addr;

	if (len != end - begin) /* a large region on a 32-bit host */
		return 0;
	/* A page past the end of the file would fault on first touch. */
	if (!end || (S_ISREG(st->st_mode) && r->off + r->size > (uint64_t)st->st_size))
		return 0;
	map = malloc(sizeof(*map));
	if (!map)
		return -ENOMEM;
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		    (off_t)begin);
	if (addr == MAP_FAILED) {
		free(map);
		return 0;
	}
	madvise(addr, len, MADV_DONTDUMP); /* a core file of ours has no guest data */
	*map = (struct mem_map){ .refs = 1, .addr = addr, .len = len };
	r->map = map;
	r->host = (uint8_t *)addr + (r->off - begin);
	return 0;
}

static bool same_memory(const struct mem_region *a, const struct mem_region *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->off == b->off && a->size == b->size;
}

/* Takes over the mmap that old has of the same memory. */
static bool region_reuse(struct mem_region *r, const struct mem_table *old)
{
	for (unsigned i = 0; old && i < old->n; i++) {
		if (!old->r[i].map || !same_memory(r, &old->r[i]))
			continue;
		r->map = old->r[i].map;
		r->map->refs++;
		r->host = old->r[i].host;
		return true;
	}
	return false;
}

/* Where in t a region belongs; -EEXIST if something is there. */
static int find_place(const struct mem_table *t, uint64_t gpa, uint64_t size)
{
	unsigned i;

	for (i = 0; i < t->n && t->r[i].gpa < gpa; i++)
		;
	if (i && range_overlap(t->r[i - 1].gpa, t->r[i - 1].size, gpa, size))
		return -EEXIST;
	if (i < t->n && range_overlap(t->r[i].gpa, t->r[i].size, gpa, size))
		return -EEXIST;
	return (int)i;
}

static void copy_regions(struct mem_region *to, const struct mem_region *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		to[i] = from[i];
		if (to[i].map)
			to[i].map->refs++;
	}
}

int mem_with(const struct mem_table *t, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t off,
	     int fd, const struct mem_table *old, struct mem_table **out)
{
	struct mem_region r = { .gpa = gpa, .size = size, .uva = uva, .off = off };
	struct mem_table *new;
	struct stat st;
	int place, ret;

	if (!size || !range_ok(gpa, size, UINT64_MAX) || !range_ok(uva, size, UINT64_MAX) ||
	    !range_ok(off, size, INT64_MAX))
		return -EINVAL;
	if (t->n >= MEM_MAX_REGIONS)
		return -ENOSPC;
	place = find_place(t, gpa, size);
	if (place < 0)
		return place;
	if (fstat(fd, &st) < 0)
		return -errno;
	r.dev = st.st_dev;
	r.ino = st.st_ino;

	new = table_alloc(t->n + 1);
	if (!new)
		return -ENOMEM;
	ret = region_reuse(&r, old) ? 0 : region_map(&r, fd, &st);
	if (ret) {
		free(new);
		return ret;
	}
	copy_regions(new->r, t->r, (unsigned)place);
	new->r[place] = r;
	copy_regions(new->r + place + 1, t->r + place, t->n - (unsigned)place);
	*out = new;
	return 0;
}

int mem_without(const struct mem_table *t, uint64_t gpa, uint64_t size, uint64_t uva,
		struct mem_table **out)
{
	struct mem_table *new;
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (t->r[i].gpa == gpa && t->r[i].size == size && t->r[i].uva == uva)
			break;
	if (i == t->n)
		return -ENOENT;
	new = table_alloc(t->n - 1);
	if (!new)
		return -ENOMEM;
	copy_regions(new->r, t->r, i);
	copy_regions(new->r + i, t->r + i + 1, t->n - i - 1);
	*out = new;
	return 0;
}

struct mem_table *mem_over(void *host, uint64_t size)
{
	struct mem_table *t = table_alloc(1);

	if (t)
		t->r[0] = (struct mem_region){ .size = size, .host = host };
	return t;
}

/* The region that holds gpa, or NULL. */
static const struct mem_region *find_region(const struct mem_table *t, uint64_t gpa)
{
	unsigned lo = 0, hi = t->n; /* the answer is the last one in [lo, hi) with r.gpa <= gpa */

	while (hi - lo > 1) {
		unsigned mid = lo + (hi - lo) / 2;

		if (t->r[mid].gpa <= gpa)
			lo = mid;
		else
			hi = mid;
	}
	if (lo == hi || !range_within(gpa, 1, t->r[lo].gpa, t->r[lo].size))
		return NULL;
	return &t->r[lo];
}

void *mem_span(const struct mem_table *t, uint64_t gpa, uint64_t *len)
{
	const struct mem_region *r = find_region(t, gpa);
	uint64_t left;

	if (!r || !r->host || !*len)
		return NULL;
	left = r->size - (gpa - r->gpa);
	if (*len > left)
		*len = left;
	return r->host + (gpa - r->gpa);
}

void *mem_by_uva(const struct mem_table *t, uint64_t uva, uint64_t len)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->r[i].host && range_within(uva, len, t->r[i].uva, t->r[i].size))
			return t->r[i].host + (uva - t->r[i].uva);
	return NULL;
}

bool mem_gpa(const struct mem_table *t, const void *host, uint64_t *len, uint64_t *gpa)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct mem_region *r = &t->r[i];
		uint64_t off = (uint64_t)((uintptr_t)host - (uintptr_t)r->host);

		if (!r->host || (uintptr_t)host < (uintptr_t)r->host || off >= r->size)
			continue;
		if (*len > r->size - off)
			*len = r->size - off;
		*gpa = r->gpa + off;
		return *len;
	}
	return false;
}

bool mem_lists(const struct mem_table *t, dev_t dev, ino_t ino, uint64_t off)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->r[i].dev == dev && t->r[i].ino == ino && t->r[i].off == off)
			return true;
	return false;
}
