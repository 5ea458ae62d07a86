/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of inodes: places, references, forgetting. fs/inode_find.c fills it. */
#include "fs/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "fs/dax.h"
#include "fs/fs.h"
#include "fs/inode_fd.h"
#include "fs/inode_table.h"

#define REFS(ref)     ((uint32_t)(ref))
#define CHUNKS	      (INODE_MAX / INODE_CHUNK)
#define BUCKETS_FIRST 64u

/* --- places --- */

int inode_table_init(struct inode_table *t, uint64_t max_fds)
{
	int ret;

	*t = (struct inode_table){ .used = INODE_ROOT_INDEX };
	t->chunks = mmap(NULL, CHUNKS * sizeof(*t->chunks), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->chunks == MAP_FAILED) {
		t->chunks = NULL;
		return -ENOMEM;
	}
	ret = -pthread_mutex_init(&t->alloc_lock, NULL);
	for (unsigned i = 0; !ret && i < INODE_SHARDS; i++) {
		struct inode_shard *s = &t->shards[i];

		ret = -pthread_mutex_init(&s->lock, NULL);
		s->buckets = calloc(BUCKETS_FIRST, sizeof(*s->buckets));
		s->mask = BUCKETS_FIRST - 1;
		if (!s->buckets)
			ret = -ENOMEM;
	}
	return ret ? ret : inode_fds_init(&t->fds, max_fds);
}

struct inode *inode_at(const struct inode_table *t, uint32_t index)
{
	struct inode *chunk = atomic_load_explicit(&t->chunks[index / INODE_CHUNK],
						   memory_order_acquire);

	return chunk ? &chunk[index % INODE_CHUNK] : NULL;
}

/* Under alloc_lock: the place after the last one that was handed out. NULL: no memory. */
static struct inode *next_place(struct inode_table *t)
{
	uint32_t index = t->used;
	struct inode *chunk;

	if (index == INODE_MAX)
		return NULL;
	if (!t->chunks[index / INODE_CHUNK]) {
		chunk = calloc(INODE_CHUNK, sizeof(*chunk));
		if (!chunk)
			return NULL;
		atomic_store_explicit(&t->chunks[index / INODE_CHUNK], chunk, memory_order_release);
		t->chunks_end = MAX(t->chunks_end, index / INODE_CHUNK + 1);
	}
	t->used++;
	inode_at(t, index)->index = index;
	return inode_at(t, index);
}

/* A free place: no references, and the generation that its next inode will have. */
struct inode *inode_place_new(struct inode_table *t)
{
	struct inode *i;

	pthread_mutex_lock(&t->alloc_lock);
	if (t->free) {
		i = inode_at(t, t->free);
		t->free = i->next;
	} else {
		i = next_place(t);
	}
	pthread_mutex_unlock(&t->alloc_lock);
	return i;
}

void inode_place_free(struct inode_table *t, struct inode *i)
{
	pthread_mutex_lock(&t->alloc_lock);
	i->next = t->free;
	t->free = i->index;
	pthread_mutex_unlock(&t->alloc_lock);
}

/* The place itself, wherever it is: index, generation and nothing else. */
struct inode *inode_place_take(struct inode_table *t, uint32_t index, uint32_t gen)
{
	struct inode *i = NULL;

	pthread_mutex_lock(&t->alloc_lock);
	/* A chunk that is skipped as a whole is never made: its places are lost, its memory saved.
	 */
	while (t->used < index && index < INODE_MAX) {
		if (t->used % INODE_CHUNK == 0 && index - t->used >= INODE_CHUNK) {
			t->used += INODE_CHUNK;
			continue;
		}
		i = next_place(t);
		if (!i)
			break;
		i->next = t->free;
		t->free = i->index;
	}
	i = t->used == index ? next_place(t) : NULL;
	pthread_mutex_unlock(&t->alloc_lock);
	if (i)
		i->ref = (uint64_t)gen << 32;
	return i;
}

/* --- references --- */

/* One more reference, unless there is none, or, with gen, it is not of that generation. */
bool inode_try_ref(struct inode *i, const uint32_t *gen)
{
	uint64_t ref = atomic_load_explicit(&i->ref, memory_order_relaxed);

	do {
		if (!REFS(ref) || REFS(ref) == UINT32_MAX || (gen && ref >> 32 != *gen))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&i->ref, &ref, ref + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

struct inode *inode_get(struct fs *fs, uint64_t nodeid)
{
	uint32_t index = (uint32_t)nodeid, gen = (uint32_t)(nodeid >> 32);
	struct inode *i;

	if (!index || index >= INODE_MAX)
		return NULL;
	i = inode_at(&fs->inodes, index);
	return i && inode_try_ref(i, &gen) ? i : NULL;
}

struct inode *inode_ref(struct inode *i)
{
	atomic_fetch_add_explicit(&i->ref, 1, memory_order_relaxed);
	return i;
}

uint32_t inode_hash(uint64_t ino, uint32_t mount)
{
	uint64_t h = (ino ^ (uint64_t)mount << 40) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

struct inode_shard *inode_shard_of(struct inode_table *t, uint32_t hash)
{
	return &t->shards[hash % INODE_SHARDS];
}

uint32_t *inode_bucket_of(const struct inode_shard *s, uint32_t hash)
{
	return &s->buckets[hash / INODE_SHARDS & s->mask];
}

/* Everything that the inode owns but its place. */
static void release_parts(struct fs *fs, struct inode *i)
{
	locks_inode_gone(fs, i);
	if (i->flags & INODE_DAX_GRANTED)
		dax_ungrant(fs, inode_id(i));
	inode_fd_close(fs, i);
	if (i->handle_len > INODE_HANDLE_INLINE)
		free(i->h.long_handle);
	i->handle_len = 0;
	mount_put(fs, i->mount);
}

/* The last reference has gone. */
static void inode_free(struct fs *fs, struct inode *i)
{
	struct inode_table *t = &fs->inodes;
	uint32_t hash = inode_hash(i->ino, i->mount);
	struct inode_shard *s = inode_shard_of(t, hash);
	uint64_t gen = (i->ref >> 32) + 1;
	uint32_t *link;

	pthread_mutex_lock(&s->lock);
	link = inode_bucket_of(s, hash);
	while (*link != i->index)
		link = &inode_at(t, *link)->next;
	*link = i->next;
	s->count--;
	pthread_mutex_unlock(&s->lock);
	release_parts(fs, i);
	atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
	atomic_store_explicit(&i->ref, gen << 32, memory_order_relaxed);
	inode_place_free(t, i);
}

void inode_put(struct fs *fs, struct inode *i)
{
	if (REFS(atomic_fetch_sub_explicit(&i->ref, 1, memory_order_acq_rel)) == 1)
		inode_free(fs, i);
}

/* --- forgetting --- */

void inode_unlookup(struct fs *fs, struct inode *i, uint64_t n)
{
	struct inode_shard *s = inode_shard_of(&fs->inodes, inode_hash(i->ino, i->mount));
	bool last;

	pthread_mutex_lock(&s->lock);
	n = MIN(n, i->nlookup);
	i->nlookup -= n;
	last = n && !i->nlookup;
	pthread_mutex_unlock(&s->lock);
	if (last)
		inode_put(fs, i);
}

static int forget_one(struct fs *fs, struct inode *i, void *arg)
{
	(void)arg;
	if (i->index != INODE_ROOT_INDEX)
		inode_unlookup(fs, i, UINT64_MAX);
	return 0;
}

void inode_forget_all(struct fs *fs)
{
	inode_each(fs, forget_one, NULL);
}

int inode_each(struct fs *fs, int (*fn)(struct fs *fs, struct inode *i, void *arg), void *arg)
{
	struct inode_table *t = &fs->inodes;
	uint32_t used;
	int ret = 0;

	pthread_mutex_lock(&t->alloc_lock);
	used = t->used;
	pthread_mutex_unlock(&t->alloc_lock);
	for (uint32_t k = INODE_ROOT_INDEX; !ret && k < used; k++) {
		struct inode *i = inode_at(t, k);

		if (!i || !inode_try_ref(i, NULL))
			continue;
		ret = fn(fs, i, arg);
		inode_put(fs, i);
	}
	return ret;
}

int inode_table_restart(struct fs *fs)
{
	struct inode_table *t = &fs->inodes;
	bool empty = t->count == 1; /* the root */

	pthread_mutex_lock(&t->alloc_lock);
	if (empty) {
		t->used = INODE_ROOT_INDEX + 1;
		t->free = 0;
	}
	pthread_mutex_unlock(&t->alloc_lock);
	return empty ? 0 : -EBUSY;
}

void inode_table_fini(struct fs *fs)
{
	struct inode_table *t = &fs->inodes;

	if (!t->chunks)
		return;
	inode_forget_all(fs);
	if (t->used > INODE_ROOT_INDEX && REFS(inode_at(t, INODE_ROOT_INDEX)->ref))
		release_parts(fs, inode_at(t, INODE_ROOT_INDEX));
	inode_fds_fini(&t->fds);
	/* A restart may have left chunks behind the last place, and a state has holes. */
	for (uint32_t c = 0; c < t->chunks_end; c++)
		free(t->chunks[c]);
	munmap((void *)(uintptr_t)t->chunks, CHUNKS * sizeof(*t->chunks));
	t->chunks = NULL;
	for (unsigned i = 0; i < INODE_SHARDS; i++) {
		free(t->shards[i].buckets);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	pthread_mutex_destroy(&t->alloc_lock);
}
