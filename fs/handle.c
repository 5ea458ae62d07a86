/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/inode_fd.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_handle_syscalls[] = { SCMP_SYS(close), SYSCALLS_END };

#define REFS(ref) ((uint32_t)(ref))
#define CHUNKS	  (HANDLE_MAX / HANDLE_CHUNK)
/* No fh is 0: some guests send that when they mean none. */
#define FIRST 1u

int handle_table_init(struct handle_table *t)
{
	*t = (struct handle_table){ .used = FIRST };
	t->chunks = mmap(NULL, CHUNKS * sizeof(*t->chunks), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->chunks == MAP_FAILED) {
		t->chunks = NULL;
		return -ENOMEM;
	}
	return -pthread_mutex_init(&t->lock, NULL);
}

static struct handle *at(const struct handle_table *t, uint32_t index)
{
	struct handle *chunk = atomic_load_explicit(&t->chunks[index / HANDLE_CHUNK],
						    memory_order_acquire);

	return chunk ? &chunk[index % HANDLE_CHUNK] : NULL;
}

static int chunk_new(struct handle_table *t, uint32_t index)
{
	struct handle *chunk = calloc(HANDLE_CHUNK, sizeof(*chunk));

	if (!chunk)
		return -ENOMEM;
	for (unsigned i = 0; i < HANDLE_CHUNK; i++) {
		chunk[i].index = index + i;
		pthread_mutex_init(&chunk[i].dir_lock, NULL);
	}
	atomic_store_explicit(&t->chunks[index / HANDLE_CHUNK], chunk, memory_order_release);
	t->chunks_end = MAX(t->chunks_end, index / HANDLE_CHUNK + 1);
	return 0;
}

/* Under the lock: the place after the last one that was handed out, or NULL. */
static struct handle *next_place(struct handle_table *t)
{
	if (t->used == HANDLE_MAX)
		return NULL;
	if (!t->chunks[t->used / HANDLE_CHUNK] && chunk_new(t, t->used & ~(HANDLE_CHUNK - 1)))
		return NULL;
	return at(t, t->used++);
}

static struct handle *place_new(struct handle_table *t)
{
	struct handle *h;

	pthread_mutex_lock(&t->lock);
	if (t->free) {
		h = at(t, t->free);
		t->free = h->next_free;
	} else {
		h = next_place(t);
	}
	pthread_mutex_unlock(&t->lock);
	return h;
}

static void place_free(struct handle_table *t, struct handle *h)
{
	pthread_mutex_lock(&t->lock);
	h->next_free = t->free;
	t->free = h->index;
	pthread_mutex_unlock(&t->lock);
}

static bool can_write(const struct handle *h)
{
	return !h->is_dir && (h->flags & O_ACCMODE) != O_RDONLY;
}

static void fill(struct fs *fs, struct handle *h, struct inode *inode, int fd, int flags,
		 bool is_dir)
{
	h->fd = fd;
	h->flags = flags;
	h->inode = inode_ref(inode);
	h->is_dir = is_dir;
	h->dir_pos = 0;
	if (can_write(h))
		inode->writers++;
	atomic_fetch_add_explicit(&fs->handles.count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->ref, 1, memory_order_release);
}

int handle_new(struct fs *fs, struct inode *inode, int fd, int flags, bool is_dir, uint64_t *fh)
{
	struct handle *h;

	fd = inode_fd_lower(fs, fd);
	if (fd < 0)
		return fd;
	h = place_new(&fs->handles);
	if (!h) {
		fd_close(&fd);
		return -ENFILE;
	}
	*fh = handle_id(h); /* before anybody can release it by guessing */
	fill(fs, h, inode, fd, flags, is_dir);
	return 0;
}

int handle_restore(struct fs *fs, uint64_t fh, struct inode *inode, int fd, int flags, bool is_dir)
{
	struct handle_table *t = &fs->handles;
	uint32_t index = (uint32_t)fh;
	struct handle *h = NULL;

	pthread_mutex_lock(&t->lock);
	/* As in inode_place_take(). */
	while (t->used < index && index < HANDLE_MAX) {
		if (t->used % HANDLE_CHUNK == 0 && index - t->used >= HANDLE_CHUNK) {
			t->used += HANDLE_CHUNK;
			continue;
		}
		h = next_place(t);
		if (!h)
			break;
		h->next_free = t->free;
		t->free = h->index;
	}
	h = t->used == index ? next_place(t) : NULL;
	pthread_mutex_unlock(&t->lock);
	if (!h) {
		fd_close(&fd);
		return -EEXIST;
	}
	h->ref = fh >> 32 << 32;
	fill(fs, h, inode, fd, flags, is_dir);
	return 0;
}

struct handle *handle_ref(struct handle *h)
{
	atomic_fetch_add_explicit(&h->ref, 1, memory_order_relaxed);
	return h;
}

static bool try_ref(struct handle *h, const uint32_t *gen)
{
	uint64_t ref = atomic_load_explicit(&h->ref, memory_order_relaxed);

	do {
		if (!REFS(ref) || REFS(ref) == UINT32_MAX || (gen && ref >> 32 != *gen))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&h->ref, &ref, ref + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

struct handle *handle_get(struct fs *fs, uint64_t fh, uint64_t nodeid)
{
	uint32_t index = (uint32_t)fh, gen = (uint32_t)(fh >> 32);
	struct handle *h;

	if (index < FIRST || index >= HANDLE_MAX)
		return NULL;
	h = at(&fs->handles, index);
	if (!h || !try_ref(h, &gen))
		return NULL;
	if (inode_id(h->inode) == nodeid && !h->released)
		return h;
	handle_put(fs, h);
	return NULL;
}

void handle_put(struct fs *fs, struct handle *h)
{
	uint64_t ref = atomic_fetch_sub_explicit(&h->ref, 1, memory_order_acq_rel);

	if (REFS(ref) != 1)
		return;
	fd_close(&h->fd);
	if (can_write(h))
		h->inode->writers--;
	inode_put(fs, h->inode);
	h->inode = NULL;
	h->released = false;
	atomic_fetch_sub_explicit(&fs->handles.count, 1, memory_order_relaxed);
	atomic_store_explicit(&h->ref, ((ref >> 32) + 1) << 32, memory_order_relaxed);
	place_free(&fs->handles, h);
}

bool handle_release(struct fs *fs, struct handle *h)
{
	if (atomic_exchange(&h->released, true))
		return false;
	handle_put(fs, h); /* the guest's */
	return true;
}

static int release_one(struct fs *fs, struct handle *h, void *arg)
{
	(void)arg;
	handle_release(fs, h);
	return 0;
}

void handle_release_all(struct fs *fs)
{
	handle_each(fs, release_one, NULL);
}

int handle_each(struct fs *fs, int (*fn)(struct fs *fs, struct handle *h, void *arg), void *arg)
{
	struct handle_table *t = &fs->handles;
	uint32_t used;
	int ret = 0;

	pthread_mutex_lock(&t->lock);
	used = t->used;
	pthread_mutex_unlock(&t->lock);
	for (uint32_t k = FIRST; !ret && k < used; k++) {
		struct handle *h = at(t, k);

		if (!h || !try_ref(h, NULL))
			continue;
		if (!h->released)
			ret = fn(fs, h, arg);
		handle_put(fs, h);
	}
	return ret;
}

int handle_table_restart(struct handle_table *t)
{
	if (t->count)
		return -EBUSY;
	pthread_mutex_lock(&t->lock);
	t->used = FIRST;
	t->free = 0;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

void handle_table_fini(struct fs *fs)
{
	struct handle_table *t = &fs->handles;

	if (!t->chunks)
		return;
	handle_release_all(fs);
	for (uint32_t c = 0; c < t->chunks_end; c++) {
		if (!t->chunks[c])
			continue;
		for (unsigned i = 0; i < HANDLE_CHUNK; i++)
			pthread_mutex_destroy(&t->chunks[c][i].dir_lock);
		free(t->chunks[c]);
	}
	munmap((void *)(uintptr_t)t->chunks, CHUNKS * sizeof(*t->chunks));
	t->chunks = NULL;
	pthread_mutex_destroy(&t->lock);
}
