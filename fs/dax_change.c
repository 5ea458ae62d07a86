/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the window and the rest of fs/: whoever reads, changes or syncs a file, or tells of it,
 * has its private copies brought together with it. What is mapped itself needs nothing of that.
 */
#include <errno.h>

#include "fs/dax_window.h"
#include "host/fd.h"

/*
 * The flag is the node id's that the guest mapped it by. By another mount of the same file system
 * it may have come to the file as well.
 */
bool dax_is_mapped(struct fs *fs, const struct inode *i)
{
	bool found;

	if (!fs->dax)
		return false;
	if (atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_DAX_MAPPED)
		return true;
	if (!fs->mounts.twice || !S_ISREG(i->type))
		return false;
	pthread_mutex_lock(&fs->dax->lock);
	found = dax_file_find(fs->dax, i);
	pthread_mutex_unlock(&fs->dax->lock);
	return found;
}

/*
 * The file of i with a reference, if it has copies, or one that is gone may not be saved yet; else
 * NULL.
 */
static struct dax_file *with_copies(struct fs *fs, const struct inode *i)
{
	struct dax *d = fs->dax;
	struct dax_file *f;

	if (!dax_is_mapped(fs, i))
		return NULL;
	pthread_mutex_lock(&d->lock);
	f = dax_file_find(d, i);
	if (f && !f->n_copies && !d->dead_pieces)
		f = NULL;
	if (f)
		f->refs++;
	pthread_mutex_unlock(&d->lock);
	return f;
}

static void put(struct dax *d, struct dax_file *f)
{
	bool dead;

	pthread_mutex_lock(&d->lock);
	dax_file_put(d, f);
	dead = d->dead_files;
	pthread_mutex_unlock(&d->lock);
	if (dead)
		dax_file_bury(d);
}

int dax_changed(struct fs *fs, struct inode *i, uint64_t off, uint64_t len)
{
	struct dax *d = fs->dax;
	struct dax_file *f = with_copies(fs, i);
	int ret;

	if (!f)
		return 0;
	dax_copies_lock(d);
	ret = dax_copies_merge(d, f, off, len > UINT64_MAX - off ? UINT64_MAX : off + len);
	dax_copies_unlock(d);
	put(d, f);
	return ret;
}

int dax_save(struct fs *fs, struct inode *i)
{
	struct dax *d = fs->dax;
	struct dax_file *f = with_copies(fs, i);
	int ret = 0;

	if (f) {
		dax_copies_lock(d);
		ret = dax_copies_save(d, f);
		dax_copies_unlock(d);
		put(d, f);
	}
	return ret;
}

int dax_write_back(struct fs *fs, struct inode *i)
{
	int ret = dax_save(fs, i);

	if (atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_DAX_LOST &&
	    atomic_fetch_and(&i->flags, (uint8_t)~INODE_DAX_LOST) & INODE_DAX_LOST)
		return -EIO;
	return ret;
}

int dax_write_back_all(struct fs *fs)
{
	struct dax *d = fs->dax;
	int ret;

	if (!d)
		return 0;
	dax_copies_lock(d);
	ret = dax_copies_write_back(d);
	dax_copies_unlock(d);
	return ret;
}

/* Any time that a guest has set; what does not fit into a number of 64 bits wraps. */
static uint64_t to_ns(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

/* Under the copies' lock, so that who finds it seen finds it merged as well. */
static void look(struct dax *d, struct dax_file *f, const struct statx *st)
{
	uint64_t mtime = to_ns(&st->stx_mtime), ctime = to_ns(&st->stx_ctime);

	if (f->mtime_ns == mtime && f->ctime_ns == ctime && f->size == st->stx_size)
		return;
	if (dax_copies_merge(d, f, 0, UINT64_MAX))
		return;
	f->mtime_ns = mtime;
	f->ctime_ns = ctime; /* the other one anybody can set back */
	f->size = st->stx_size;
}

void dax_seen(struct fs *fs, struct inode *i, const struct statx *st)
{
	struct dax *d = fs->dax;
	struct dax_file *f;

	i = d ? inode_get(fs, inode_id(i)) : NULL; /* LOOKUP has none */
	if (!i)
		return;
	f = with_copies(fs, i);
	inode_put(fs, i);
	if (!f)
		return;
	dax_copies_lock(d);
	look(d, f, st);
	dax_copies_unlock(d);
	put(d, f);
}

bool dax_hold(struct fs *fs, const struct inode *i)
{
	if (!dax_is_mapped(fs, i))
		return false;
	dax_copies_lock(fs->dax);
	return true;
}

void dax_let_go(struct fs *fs, bool held)
{
	if (held)
		dax_copies_unlock(fs->dax);
}
