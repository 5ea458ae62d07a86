/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of inodes. One word tells everything about an inode's descriptor: which it is, how
 * many use it just now (pins), and whether it was used since the hand came by. It is closed only by
 * who makes that word 0, which works only without pins.
 */
#include "fs/inode_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/inode_table.h"
#include "fs/name.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_inode_fd_syscalls[] = { SCMP_SYS(open_by_handle_at),
				     SCMP_SYS(openat),
				     SCMP_SYS(statx),
				     SCMP_SYS(close),
				     SCMP_SYS(fcntl),
				     SYSCALLS_END };

/* With handles more than this gains nothing: the rest of the limit is for open files. */
#define CACHE_MAX  8192u
#define CACHE_MIN  64u
#define FDS_WANTED 64u /* to close when there are too many */

#define USED	 ((uint64_t)1 << 31)
#define PINS(v)	 ((uint32_t)(v) & ((uint32_t)USED - 1))
#define FD_OF(v) ((int)((v) >> 32) - 1)
#define WORD(fd) ((uint64_t)(unsigned)((fd) + 1) << 32)

int inode_fds_init(struct inode_fds *f, uint64_t max)
{
	f->max = (uint32_t)MIN(MAX(max, CACHE_MIN), (uint64_t)INT32_MAX);
	f->cap = MIN(f->max, CACHE_MAX);
	f->ring = calloc(f->cap, sizeof(*f->ring));
	if (!f->ring)
		return -ENOMEM;
	return -pthread_mutex_init(&f->lock, NULL);
}

void inode_fds_fini(struct inode_fds *f)
{
	free(f->ring);
	f->ring = NULL;
	pthread_mutex_destroy(&f->lock);
}

int inode_fd_reserve(struct fs *fs)
{
	struct inode_fds *f = &fs->inodes.fds;

	if (atomic_fetch_add(&f->pinned, 1) < f->max)
		return 0;
	atomic_fetch_sub(&f->pinned, 1);
	return -ENFILE;
}

void inode_fd_unreserve(struct fs *fs)
{
	atomic_fetch_sub(&fs->inodes.fds.pinned, 1);
}

/* It counts as used for ever, so that a hand that was late for the former inode of the place is
 * wrong. */
void inode_fd_set(struct inode *i, int fd)
{
	i->fd = WORD(fd) | USED;
}

void inode_fd_close(struct fs *fs, struct inode *i)
{
	uint64_t v = atomic_exchange(&i->fd, 0);

	if (!v)
		return;
	close(FD_OF(v));
	if (i->flags & (INODE_PINNED | INODE_HELD))
		inode_fd_unreserve(fs);
}

/* A pin that nobody takes back. */
int inode_hold(struct fs *fs, struct inode *i)
{
	int ret;

	if (i->flags & (INODE_PINNED | INODE_HELD))
		return 0;
	ret = inode_fd_reserve(fs);
	if (ret)
		return ret;
	ret = inode_fd(fs, i);
	if (ret < 0) {
		inode_fd_unreserve(fs);
		return ret;
	}
	if (atomic_fetch_or(&i->flags, INODE_HELD) & INODE_HELD) {
		inode_fd_put(i); /* another request was faster */
		inode_fd_unreserve(fs);
	}
	return 0;
}

/*
 * The hand is at slot: takes the descriptor out, if it was not used since it came by last and is
 * not now. *fd is to be closed then. True if the slot is free.
 */
static bool clear_slot(struct fs *fs, uint32_t slot, int *fd)
{
	struct inode_fds *f = &fs->inodes.fds;
	struct inode *i = inode_at(&fs->inodes, f->ring[slot]);
	uint64_t v = f->ring[slot] ? atomic_load(&i->fd) : 0;

	/* It stays open now, or another inode is in that place: no business of ours any more. */
	if (v && i->flags & (INODE_PINNED | INODE_HELD))
		v = 0;
	if (PINS(v))
		return false;
	if (v & USED) {
		atomic_compare_exchange_strong(&i->fd, &v, v & ~USED);
		return false;
	}
	if (v && !atomic_compare_exchange_strong(&i->fd, &v, 0))
		return false;
	if (v)
		*fd = FD_OF(v);
	f->ring[slot] = 0;
	return true;
}

/* Lists i among the inodes whose descriptor may be closed. */
static void list_fd(struct fs *fs, struct inode *i)
{
	struct inode_fds *f = &fs->inodes.fds;
	int fd = -1;

	pthread_mutex_lock(&f->lock);
	/* Twice round is enough, unless thousands are in use at this moment. */
	for (uint32_t n = 0; n < 2 * f->cap; n++) {
		uint32_t slot = f->hand;

		f->hand = (f->hand + 1) % f->cap;
		if (clear_slot(fs, slot, &fd)) {
			f->ring[slot] = i->index;
			break;
		}
	}
	pthread_mutex_unlock(&f->lock);
	fd_close(&fd);
}

unsigned inode_close_some(struct fs *fs, unsigned n)
{
	struct inode_fds *f = &fs->inodes.fds;
	unsigned closed = 0;

	for (uint32_t k = 0; k < 2 * f->cap && closed < n; k++) {
		int fd = -1;

		pthread_mutex_lock(&f->lock);
		clear_slot(fs, f->hand, &fd);
		f->hand = (f->hand + 1) % f->cap;
		pthread_mutex_unlock(&f->lock);
		closed += fd >= 0;
		fd_close(&fd);
	}
	return closed;
}

int inode_fd_lower(struct fs *fs, int fd)
{
	uint64_t end = fs->cfg->guest_fds;
	int low = -1;

	if (!end || (uint64_t)fd < end)
		return fd;
	if (inode_close_some(fs, FDS_WANTED))
		low = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	close(fd);
	if (low >= 0 && (uint64_t)low >= end)
		fd_close(&low);
	return low < 0 ? -ENFILE : low;
}

/* Opens by handle. -ESTALE if the file is gone; the caller owns the descriptor. */
static int open_handle(struct fs *fs, const struct inode *i, int flags)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .fh = { .handle_bytes = i->handle_len, .handle_type = i->handle_type } };
	int anchor = mount_at(fs, i->mount)->fd;
	int fd;

	if (!i->handle_len)
		return -ESTALE; /* lost when it was migrated */
	memcpy(u.fh.f_handle, i->handle_len > INODE_HANDLE_INLINE ? i->h.long_handle : i->h.handle,
	       i->handle_len);
	fd = open_by_handle_at(anchor, &u.fh, flags | O_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && inode_close_some(fs, FDS_WANTED))
		fd = open_by_handle_at(anchor, &u.fh, flags | O_CLOEXEC);
	/*
	 * ext4 says ENOMEM while a new file is being made under the number of this one, which is
	 * gone then; for an instant, mostly. A guest looks the name up again after ESTALE, which is
	 * right if there was no memory, too.
	 */
	if (fd < 0 && errno == ENOMEM)
		fd = open_by_handle_at(anchor, &u.fh, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOMEM)
		return -ESTALE;
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return inode_fd_lower(fs, fd);
}

/*
 * The handle was looked up apart from the numbers: do they belong together? 0 or -ESTALE. If not,
 * the next LOOKUP of these numbers must not end here again, so it shall compare the handle.
 */
static int verify(struct fs *fs, struct inode *i, int fd)
{
	const struct mount *m = mount_at(fs, i->mount);
	struct statx st;

	if (i->flags & INODE_VERIFIED)
		return 0;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_TYPE, &st) < 0 || st.stx_ino != i->ino ||
	    st.stx_dev_major != m->dev_major || st.stx_dev_minor != m->dev_minor ||
	    (st.stx_mode & S_IFMT) != i->type) {
		atomic_fetch_or(&i->flags, INODE_YOUNG);
		return -ESTALE;
	}
	atomic_fetch_or(&i->flags, INODE_VERIFIED);
	return 0;
}

int inode_fd(struct fs *fs, struct inode *i)
{
	uint64_t v = atomic_load(&i->fd);
	int fd, ret;

	for (;;) {
		while (v) {
			if (atomic_compare_exchange_weak(&i->fd, &v, (v | USED) + 1))
				return FD_OF(v);
		}
		fd = open_handle(fs, i, O_PATH | O_NOFOLLOW);
		if (fd < 0)
			return fd;
		ret = verify(fs, i, fd);
		if (ret) {
			fd_close(&fd);
			return ret;
		}
		if (atomic_compare_exchange_strong(&i->fd, &v, (WORD(fd) | USED) + 1)) {
			list_fd(fs, i);
			return fd;
		}
		fd_close(&fd); /* somebody else was faster */
	}
}

void inode_fd_put(struct inode *i)
{
	atomic_fetch_sub(&i->fd, 1);
}

int inode_open(struct fs *fs, struct inode *i, int flags)
{
	struct fd_name name;
	int fd, ret;

	flags &= ~O_NOFOLLOW;
	if (S_ISLNK(i->type))
		return -ELOOP;
	if (!S_ISREG(i->type) && !S_ISDIR(i->type))
		return -ENXIO; /* the guest's kernel opens what is behind these itself */
	if (i->handle_len && i->flags & INODE_VERIFIED)
		return open_handle(fs, i, flags);
	fd = inode_fd(fs, i);
	if (fd < 0)
		return fd;
	name = fd_name(fd);
	ret = openat(AT_FDCWD, name.s, flags | O_CLOEXEC);
	ret = ret >= 0 ? ret : errno == EMFILE ? -ENFILE : -errno;
	inode_fd_put(i);
	return ret < 0 ? ret : inode_fd_lower(fs, ret);
}
