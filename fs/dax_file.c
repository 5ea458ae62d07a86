/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files in the window. Each has a descriptor of its own, which the front end gets as well: no
 * request of the guest goes through it, so nobody else's locks and positions meet ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/dax_lock.h"
#include "fs/dax_window.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_dax_file_syscalls[] = { SCMP_SYS(fstat), SCMP_SYS(close), SYSCALLS_END };

#define EXEC_BITS (S_IXUSR | S_IXGRP | S_IXOTH)

static dev_t dev_of(struct fs *fs, const struct inode *i)
{
	const struct mount *m = mount_at(fs, i->mount);

	return makedev(m->dev_major, m->dev_minor);
}

static struct dax_file **bucket(struct dax *d, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino + (uint64_t)dev) * UINT64_C(0x9e3779b97f4a7c15);

	return &d->files[(h >> 32) % DAX_BUCKETS];
}

static struct dax_file *find(struct dax *d, dev_t dev, ino_t ino)
{
	struct dax_file *f = *bucket(d, dev, ino);

	while (f && (f->dev != dev || f->ino != ino))
		f = f->next;
	return f;
}

struct dax_file *dax_file_find(struct dax *d, const struct inode *i)
{
	return find(d, dev_of(d->fs, i), i->ino);
}

bool dax_shm_file(void *dev, dev_t st_dev, ino_t st_ino)
{
	struct dax *d = ((struct fs *)dev)->dax;
	bool found;

	if (!d)
		return false;
	pthread_mutex_lock(&d->lock);
	found = (d->copies_dev == st_dev && d->copies_ino == st_ino) || find(d, st_dev, st_ino);
	pthread_mutex_unlock(&d->lock);
	return found;
}

void dax_file_relock(struct dax_file *f)
{
	bool want = !f->by_copy && (f->owned || f->wanted);

	if (want == f->locked || f->shrinking)
		return;
	if (dax_lock(f->fd, want ? F_RDLCK : F_UNLCK) == 0)
		f->locked = want;
}

void dax_file_put(struct dax *d, struct dax_file *f)
{
	struct dax_file **link;

	if (--f->refs)
		return;
	for (link = bucket(d, f->dev, f->ino); *link != f; link = &(*link)->next)
		;
	*link = f->next;
	d->n_files--;
	f->next = d->dead_files;
	d->dead_files = f;
}

void dax_file_bury(struct dax *d)
{
	struct dax_file *f, *next;

	pthread_mutex_lock(&d->lock);
	f = d->dead_files;
	d->dead_files = NULL;
	pthread_mutex_unlock(&d->lock);
	for (; f; f = next) {
		next = f->next;
		close(f->fd);
		free(f);
	}
}

/* --- opening --- */

/* The front end's mmap() must not touch the time of access. */
static int open_quietly(struct fs *fs, struct inode *i, int mode)
{
	int fd = inode_open(fs, i, mode | O_NOATIME);

	return fd == -EPERM ? inode_open(fs, i, mode) : fd;
}

/* Would a writable mapping be in the way of somebody who executes it on the host? */
static bool is_program(const struct fs *fs, const struct stat *st)
{
	return st->st_mode & EXEC_BITS && !fs->cfg->dax_policy.exec;
}

/*
 * Opens it as it will be mapped. Which way is known after a look at it, and the first one is the
 * right one nearly always.
 */
static int open_file(struct dax *d, struct inode *i, struct dax_file *f)
{
	struct fs *fs = d->fs;
	struct stat st;

	f->fd = fs->cfg->readonly ? -EROFS : open_quietly(fs, i, O_RDWR);
	f->writable = f->fd >= 0;
	if (f->fd < 0)
		f->fd = open_quietly(fs, i, O_RDONLY);
	if (f->fd < 0)
		return f->fd;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (f->writable && is_program(fs, &st)) {
		close(f->fd);
		f->writable = false;
		f->fd = open_quietly(fs, i, O_RDONLY);
		if (f->fd < 0)
			return f->fd;
	}
	f->by_copy = is_program(fs, &st) || (!f->writable && d->read_only != RO_ENFORCED);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return 0;
}

/* A file that is known as f, or new if that is NULL. Takes what was opened. Under the lock. */
static struct dax_file *keep(struct dax *d, const struct dax_file *opened, struct dax_file *room)
{
	struct dax_file *f = find(d, opened->dev, opened->ino);
	struct dax_file **head = bucket(d, opened->dev, opened->ino);

	if (f) { /* somebody was quicker: what was opened is buried */
		*room = *opened;
		room->next = d->dead_files;
		d->dead_files = room;
		return f;
	}
	*room = *opened;
	room->next = *head;
	*head = room;
	d->n_files++;
	return room;
}

/* So far it was only read, and opened for that; now the guest writes. Under the lock. */
static int open_for_writing(struct dax *d, struct inode *i, struct dax_file *f)
{
	int fd;

	if (f->writable)
		return 0;
	pthread_mutex_unlock(&d->lock);
	fd = open_quietly(d->fs, i, O_RDWR);
	dax_copies_lock(d); /* nobody reads by the former one */
	pthread_mutex_lock(&d->lock);
	if (fd >= 0 && !f->writable) {
		int old = f->fd;

		f->fd = fd;
		f->writable = true;
		fd = old;
	}
	dax_copies_unlock(d);
	if (fd >= 0)
		close(fd);
	return f->writable ? 0 : fd;
}

/* Under the lock, which it may give up in between. */
static int want_locked(struct dax *d, struct dax_file *f)
{
	unsigned tries = 0;

	f->wanted++;
	while (!f->by_copy && !f->locked) {
		int ret = dax_lock(f->fd, F_RDLCK);

		f->locked = !ret;
		if (ret != -EAGAIN)
			return 0; /* a file system without locks cannot be helped */
		pthread_mutex_unlock(&d->lock);
		ret = dax_lock_pause(&tries) ? 0 : -ETXTBSY;
		pthread_mutex_lock(&d->lock);
		if (!ret)
			continue;
		f->wanted--;
		return ret; /* somebody shrinks it, and does not come to an end */
	}
	return 0;
}

int dax_file_want(struct dax *d, struct dax_file *f)
{
	int ret;

	pthread_mutex_lock(&d->lock);
	ret = want_locked(d, f);
	pthread_mutex_unlock(&d->lock);
	return ret;
}

int dax_file_get(struct dax *d, struct inode *i, bool write, struct dax_file **out)
{
	struct dax_file opened = { .fd = -1 }, *room = NULL, *f;
	int ret = 0;

	pthread_mutex_lock(&d->lock);
	f = dax_file_find(d, i);
	if (!f) {
		pthread_mutex_unlock(&d->lock);
		room = malloc(sizeof(*room));
		ret = room ? open_file(d, i, &opened) : -ENOMEM;
		if (ret) {
			fd_close(&opened.fd);
			free(room);
			return ret;
		}
		pthread_mutex_lock(&d->lock);
		f = keep(d, &opened, room);
	}
	f->refs++;
	f->nodeid = inode_id(i);
	if (write)
		ret = open_for_writing(d, i, f);
	if (!ret)
		ret = want_locked(d, f);
	if (ret)
		dax_file_put(d, f);
	pthread_mutex_unlock(&d->lock);
	*out = ret ? NULL : f;
	return ret;
}

void dax_file_unwant(struct dax *d, struct dax_file *f)
{
	pthread_mutex_lock(&d->lock);
	f->wanted--;
	dax_file_relock(f);
	pthread_mutex_unlock(&d->lock);
}
