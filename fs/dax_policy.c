/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files a guest that leaves it to us should map (FUSE_ATTR_DAX): those where it is faster and
 * does no harm. It takes that over when it makes an inode and keeps it as long as that lives, so a
 * yes here stands until the guest forgets the inode, and counts against a budget: what has been
 * promised fits into three quarters of the window. Linux takes ranges back from files when a fifth
 * is left, so files with a yes never fight for ranges.
 *
 * A yes that was never used, of a file that was only listed, say, is taken back if another file
 * wants its place. The guest hears of it with the next attributes; if it maps the file before, it
 * is counted again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/dax_lock.h"
#include "fs/dax_window.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_dax_policy_syscalls[] = { SCMP_SYS(fcntl), SCMP_SYS(faccessat2), SCMP_SYS(close),
				       SYSCALLS_END };

#define XFS_MAGIC      0x58465342u
#define BCACHEFS_MAGIC 0xca451a4eu

/* A yes that nobody has used in so long may go to somebody else. */
#define UNUSED_NS (10ull * NS_PER_S)

/* Who maps without a yes is counted as well, but not without end. */
#define GRANTS_MAX (2u * FS_DAX_MAPS_MAX)

struct grant {
	uint64_t nodeid;
	uint64_t since_ns;
	uint32_t ranges; /* of FS_DAX_RANGE */
	uint32_t pieces; /* one for each, and one for a last page that is not a whole one */
	bool used;
};

struct dax_grants {
	pthread_mutex_t lock;
	struct grant *v;
	size_t n, cap, hand;
	uint64_t ranges, pieces; /* of all */
	uint64_t ranges_max;	 /* the budget */
	uint64_t pieces_max;
};

int dax_grants_init(struct dax *d)
{
	struct dax_grants *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->ranges_max = d->size / FS_DAX_RANGE * 3 / 4;
	g->pieces_max = d->max_maps;
	d->grants = g;
	return -pthread_mutex_init(&g->lock, NULL);
}

void dax_grants_fini(struct dax *d)
{
	if (d->grants)
		free(d->grants->v);
	free(d->grants);
}

/* --- the budget; under its lock --- */

static uint32_t ranges_of(uint64_t size)
{
	return (uint32_t)((size + FS_DAX_RANGE - 1) / FS_DAX_RANGE);
}

static struct grant *find(struct dax_grants *g, uint64_t nodeid)
{
	for (size_t k = 0; k < g->n; k++)
		if (g->v[k].nodeid == nodeid)
			return &g->v[k];
	return NULL;
}

static uint32_t pieces_of(uint64_t size)
{
	return ranges_of(size) + (size % DAX_PAGE != 0);
}

static void drop(struct dax_grants *g, struct grant *x)
{
	g->ranges -= x->ranges;
	g->pieces -= x->pieces;
	*x = g->v[--g->n];
}

static bool fits(const struct dax_grants *g, uint64_t size)
{
	return g->ranges + ranges_of(size) <= g->ranges_max &&
	       g->pieces + pieces_of(size) <= g->pieces_max;
}

static int add(struct dax_grants *g, uint64_t nodeid, uint64_t size, bool used)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 64;
		struct grant *v = realloc(g->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		g->v = v;
		g->cap = cap;
	}
	g->v[g->n++] = (struct grant){
		.nodeid = nodeid,
		.since_ns = clock_ns(),
		.ranges = ranges_of(size),
		.pieces = pieces_of(size),
		.used = used,
	};
	g->ranges += ranges_of(size);
	g->pieces += pieces_of(size);
	return 0;
}

/*
 * A yes that is not used, looking on from where it stopped the last time, is taken back. The
 * reference of its inode, if it still has one, is for the caller, who must not have the lock to
 * give it back.
 */
static bool take_back(struct fs *fs, struct dax_grants *g, struct inode **out)
{
	uint64_t now = clock_ns();

	for (size_t tries = g->n; tries--; g->hand++) {
		struct grant *x = &g->v[g->hand = g->hand % g->n];

		if (x->used || now - x->since_ns < UNUSED_NS)
			continue;
		*out = inode_get(fs, x->nodeid);
		if (*out)
			atomic_fetch_and(&(*out)->flags, (uint8_t)~INODE_DAX_GRANTED);
		drop(g, x);
		return true;
	}
	return false;
}

/* 0: yes; -EAGAIN: *out has given his back, ask again; else no. */
static int try_grant(struct fs *fs, struct inode *i, uint64_t size, struct inode **out)
{
	struct dax_grants *g = fs->dax->grants;
	int ret = 0;

	*out = NULL;
	pthread_mutex_lock(&g->lock);
	if (!find(g, inode_id(i))) {
		if (fits(g, size))
			ret = add(g, inode_id(i), size, false);
		else if (ranges_of(size) <= g->ranges_max && take_back(fs, g, out))
			ret = -EAGAIN;
		else
			ret = -ENOSPC;
	}
	if (!ret)
		atomic_fetch_or(&i->flags, INODE_DAX_GRANTED);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

static bool grant(struct fs *fs, struct inode *i, uint64_t size)
{
	struct inode *former;
	int ret;

	do {
		ret = try_grant(fs, i, size, &former);
		if (former)
			inode_put(fs, former);
	} while (ret == -EAGAIN);
	return !ret;
}

void dax_grant_used(struct dax *d, struct inode *i, uint64_t size)
{
	struct dax_grants *g = d->grants;
	struct grant *x;

	if (!fs_has(d->fs, FUSE_HAS_INODE_DAX))
		return; /* a guest that maps everything has no budget */
	pthread_mutex_lock(&g->lock);
	x = find(g, inode_id(i));
	if (x)
		x->used = true;
	else if (g->n < GRANTS_MAX && !add(g, inode_id(i), size, true))
		atomic_fetch_or(&i->flags, INODE_DAX_GRANTED);
	pthread_mutex_unlock(&g->lock);
}

void dax_ungrant(struct fs *fs, uint64_t nodeid)
{
	struct dax_grants *g = fs->dax ? fs->dax->grants : NULL;
	struct grant *x;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	x = find(g, nodeid);
	if (x)
		drop(g, x);
	pthread_mutex_unlock(&g->lock);
}

void dax_grants_count(struct dax *d, uint64_t *files, uint64_t *ranges)
{
	pthread_mutex_lock(&d->grants->lock);
	*files = d->grants->n;
	*ranges = d->grants->ranges;
	pthread_mutex_unlock(&d->grants->lock);
}

/* --- the rules --- */

/* Where a shared mapping is the page cache that everybody sees, and stays so. */
static bool known_fs(uint64_t type)
{
	static const uint64_t known[] = { EXT4_SUPER_MAGIC, XFS_MAGIC, BTRFS_SUPER_MAGIC,
					  F2FS_SUPER_MAGIC, BCACHEFS_MAGIC };

	for (size_t k = 0; k < ARRAY_SIZE(known); k++)
		if (known[k] == type)
			return true;
	return false;
}

/* A guest can set any time, so also one that is no number of nanoseconds. */
static bool is_before(const struct statx_timestamp *t, int64_t ns)
{
	int64_t s = ns / NS_PER_S;

	return t->tv_sec < s || (t->tv_sec == s && t->tv_nsec <= ns % NS_PER_S);
}

static bool is_old(const struct statx *st, uint64_t min_age_ns)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec - (int64_t)min_age_ns;
	return is_before(&st->stx_mtime, ns) && is_before(&st->stx_ctime, ns);
}

/* What its attributes tell. */
static bool suits(const struct fs *fs, const struct inode *i, const struct statx *st)
{
	const struct fs_dax_policy *p = &fs->cfg->dax_policy;
	const uint64_t no = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_VERITY;

	return S_ISREG(st->stx_mode) && st->stx_size >= MAX(p->min_size, 1u) &&
	       st->stx_size <= fs->dax->size / 2 && !(st->stx_attributes & no) &&
	       (p->exec || !(st->stx_mode & (S_IXUSR | S_IXGRP | S_IXOTH))) &&
	       (p->writers || !i->writers) && is_old(st, p->min_age_ns);
}

/* Has another VM it mapped? Then its daemon has the lock for reading, and somebody has looked. */
static bool is_mapped_elsewhere(int fd)
{
	struct flock lk = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = DAX_LOCK_OFFSET, .l_len = 1
	};

	return fcntl(fd, F_OFD_GETLK, &lk) == 0 && lk.l_type == F_RDLCK &&
	       lk.l_start == DAX_LOCK_OFFSET;
}

/*
 * Has nobody it open for writing? The kernel gives a lease for reading only then. Our own
 * descriptor of a file that was mapped before is one, too; so for that file it is not asked.
 */
static bool no_writers(struct fs *fs, struct inode *i, int fd)
{
	struct dax *d = fs->dax;
	bool known;

	pthread_mutex_lock(&d->lock);
	known = dax_file_find(d, i);
	pthread_mutex_unlock(&d->lock);
	if (known)
		return true;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return true;
	}
	return errno != EAGAIN || is_mapped_elsewhere(fd); /* another error: not ours to ask */
}

/* What has to be tried out. */
static bool is_free(struct fs *fs, struct inode *i)
{
	int fd = inode_open(fs, i, O_RDONLY | O_NOATIME);
	bool ok;

	if (fd == -EPERM)
		fd = inode_open(fs, i, O_RDONLY);
	if (fd < 0)
		return false;
	ok = fs->cfg->readonly ||
	     !syscall(SYS_faccessat2, fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS);
	ok = ok && (fs->cfg->dax_policy.writers || no_writers(fs, i, fd));
	close(fd);
	return ok;
}

/* LOOKUP has no reference to what it has found. */
static bool decide(struct fs *fs, uint64_t nodeid, const struct statx *st)
{
	struct inode *i = inode_get(fs, nodeid);
	bool ok;

	if (!i)
		return false;
	ok = (fs->cfg->dax_policy.any_fs || known_fs(mount_at(fs, i->mount)->fs_type)) &&
	     is_free(fs, i) && grant(fs, i, st->stx_size);
	inode_put(fs, i);
	return ok;
}

bool dax_wanted(struct fs *fs, struct inode *i, const struct statx *st)
{
	if (!fs->dax || !fs_has(fs, FUSE_HAS_INODE_DAX))
		return false;
	if (atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_DAX_GRANTED)
		return true;
	return !fs->cfg->dax_policy.never && suits(fs, i, st) && decide(fs, inode_id(i), st);
}
