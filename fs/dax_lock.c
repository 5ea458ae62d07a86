/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/dax_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <time.h>

#include "fs/dax_window.h"
#include "fs/seccomp.h"

const int fs_dax_lock_syscalls[] = { SCMP_SYS(fcntl), SCMP_SYS(clock_nanosleep), SYSCALLS_END };

/* Truncating takes a moment; so long we wait for another who does. */
#define TRIES 60u

static const struct timespec pause_time = { .tv_nsec = 5000000 };

int dax_lock(int fd, short type)
{
	struct flock lk = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = DAX_LOCK_OFFSET, .l_len = 1
	};

	struct flock other = lk;

	if (fcntl(fd, F_OFD_SETLK, &lk) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	if (fcntl(fd, F_OFD_GETLK, &other) < 0 || other.l_type == F_UNLCK)
		return -EAGAIN;
	if (other.l_type == F_RDLCK)
		return -ETXTBSY; /* a daemon's; or it may hide one, as only the first is told */
	/* Somebody who locks the whole file exclusively leaves no room for ours, and means others.
	 */
	return other.l_start == DAX_LOCK_OFFSET ? -EAGAIN : -ENOLCK;
}

bool dax_lock_pause(unsigned *tries)
{
	if ((*tries)++ == TRIES)
		return false;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause_time, NULL);
	return true;
}

/* Under the lock of the window, if there is one. The file of the window, if it must have the lock.
 */
static struct dax_file *file_of(struct fs *fs, const struct inode *i)
{
	struct dax_file *f = fs->dax ? dax_file_find(fs->dax, i) : NULL;

	return f && f->locked && f->writable ? f : NULL;
}

static void lock_window(struct fs *fs)
{
	if (fs->dax)
		pthread_mutex_lock(&fs->dax->lock);
}

static void unlock_window(struct fs *fs)
{
	if (fs->dax)
		pthread_mutex_unlock(&fs->dax->lock);
}

/*
 * If this guest has it mapped as well, the exclusive lock must be of the same description as the
 * shared one.
 */
static int try_begin(struct fs *fs, const struct inode *i, int fd, struct dax_shrink *s)
{
	struct dax_file *f;
	int ret;

	lock_window(fs);
	f = file_of(fs, i);
	*s = (struct dax_shrink){ .fd = f ? f->fd : fd, .file = f };
	ret = dax_lock(s->fd, F_WRLCK);
	if (f && !ret) {
		f->shrinking++;
		f->refs++;
	}
	unlock_window(fs);
	return ret;
}

int dax_shrink_begin(struct fs *fs, const struct inode *i, int fd, struct dax_shrink *s)
{
	unsigned tries = 0;
	int ret;

	/* Who has it mapped has it for long, who truncates for a moment. */
	do {
		ret = try_begin(fs, i, fd, s);
	} while (ret == -EAGAIN && dax_lock_pause(&tries));
	s->locked = !ret;
	return ret == -EAGAIN || ret == -ETXTBSY ? -ETXTBSY : 0;
}

void dax_shrink_end(struct fs *fs, struct dax_shrink *s)
{
	if (!s->locked)
		return;
	if (!s->file) {
		dax_lock(s->fd, F_UNLCK);
		return;
	}
	lock_window(fs);
	if (!--s->file->shrinking) {
		dax_lock(s->file->fd, F_RDLCK);
		dax_file_relock(s->file);
	}
	dax_file_put(fs->dax, s->file);
	unlock_window(fs);
}
