/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a name, or an open descriptor, becomes an inode of the table: known by its numbers, by its
 * file handle, or by the descriptor that it keeps. See fs/inode.h, "Identity".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/inode.h"
#include "fs/inode_fd.h"
#include "fs/inode_table.h"
#include "fs/name.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_inode_find_syscalls[] = { SCMP_SYS(statx),	 SCMP_SYS(name_to_handle_at),
				       SCMP_SYS(openat), SCMP_SYS(fcntl),
				       SCMP_SYS(close),	 SYSCALLS_END };

#define YOUNG_NS      50000000 /* more than any clock of a file system is coarse */
#define UNKNOWN_BTIME INT64_MIN

/* What tells one file from another, as far as it is known. */
struct identity {
	uint64_t ino;
	uint32_t mount;
	int64_t btime_ns;
	uint16_t type;
	bool young;
	uint32_t parent_mount; /* set by start_identity() */
};

struct handle_buf {
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	};
};

/* --- identity --- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec * (int64_t)NS_PER_S + t.tv_nsec;
}

static void identity_of(struct identity *id, const struct statx *st, uint32_t mount, bool local)
{
	bool known = local && st->stx_mask & STATX_BTIME;

	id->ino = st->stx_ino;
	id->mount = mount;
	id->type = st->stx_mode & S_IFMT;
	id->btime_ns = known ? st->stx_btime.tv_sec * (int64_t)NS_PER_S + st->stx_btime.tv_nsec
			     : UNKNOWN_BTIME;
	id->young = !known || id->btime_ns > now_ns() - YOUNG_NS;
}

static int get_handle(int fd, const char *name, struct handle_buf *b)
{
	int mnt_id;

	b->fh.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, name, &b->fh, &mnt_id, *name ? 0 : AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static const uint8_t *handle_bytes(const struct inode *i)
{
	return i->handle_len > INODE_HANDLE_INLINE ? i->h.long_handle : i->h.handle;
}

static bool same_handle(const struct inode *i, const struct handle_buf *b)
{
	return i->handle_len == b->fh.handle_bytes && i->handle_type == b->fh.handle_type &&
	       !memcmp(handle_bytes(i), b->fh.f_handle, i->handle_len);
}

/* Do numbers and time of birth alone say that i is the file with that identity? */
static bool sure(const struct inode *i, const struct identity *id)
{
	if (i->flags & INODE_PINNED)
		return true; /* the open descriptor keeps the number from being used again */
	return !(i->flags & INODE_YOUNG) && id->btime_ns != UNKNOWN_BTIME &&
	       i->btime_ns == id->btime_ns && i->type == id->type;
}

/*
 * Under the shard's lock: the inode of that identity, with one more lookup counted and the
 * reference that goes with the first; or NULL. h: its handle, if it was asked for.
 */
static struct inode *find_locked(struct inode_table *t, struct inode_shard *s, uint32_t hash,
				 const struct identity *id, const struct handle_buf *h)
{
	for (uint32_t n = *inode_bucket_of(s, hash); n;) {
		struct inode *i = inode_at(t, n);

		n = i->next;
		if (i->ino != id->ino || i->mount != id->mount)
			continue;
		if (!(h && i->handle_len ? same_handle(i, h) : sure(i, id)))
			continue;
		if (!inode_try_ref(i, NULL))
			continue; /* it is on its way out */
		if (h && !id->young)
			i->flags &= (uint8_t)~INODE_YOUNG;
		if (i->nlookup++)
			atomic_fetch_sub_explicit(&i->ref, 1, memory_order_relaxed);
		return i;
	}
	return NULL;
}

static struct inode *find(struct inode_table *t, const struct identity *id,
			  const struct handle_buf *h)
{
	uint32_t hash = inode_hash(id->ino, id->mount);
	struct inode_shard *s = inode_shard_of(t, hash);
	struct inode *i;

	pthread_mutex_lock(&s->lock);
	i = find_locked(t, s, hash, id, h);
	pthread_mutex_unlock(&s->lock);
	return i;
}

/* --- new ones --- */

/* Under the shard's lock. Without memory the chains get longer, that is all. */
static void grow(struct inode_table *t, struct inode_shard *s)
{
	uint32_t n = 2 * (s->mask + 1);
	uint32_t *former = s->buckets;
	uint32_t *buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return;
	s->buckets = buckets;
	for (uint32_t b = 0; b < n / 2; b++) {
		uint32_t next;

		for (uint32_t k = former[b]; k; k = next) {
			struct inode *i = inode_at(t, k);
			uint32_t hash = inode_hash(i->ino, i->mount);
			uint32_t *head = &buckets[hash / INODE_SHARDS & (n - 1)];

			next = i->next;
			i->next = *head;
			*head = k;
		}
	}
	s->mask = n - 1;
	free(former);
}

/* Puts i, complete and with nlookup and references set, into the hash; or finds that it is there.
 */
static struct inode *insert(struct inode_table *t, struct inode *i, const struct identity *id,
			    const struct handle_buf *h, uint32_t refs)
{
	uint32_t hash = inode_hash(id->ino, id->mount);
	struct inode_shard *s = inode_shard_of(t, hash);
	struct inode *there;
	uint32_t *bucket;

	pthread_mutex_lock(&s->lock);
	there = refs == 1 ? find_locked(t, s, hash, id, h) : NULL;
	if (!there) {
		if (s->count++ > s->mask)
			grow(t, s);
		bucket = inode_bucket_of(s, hash);
		i->next = *bucket;
		*bucket = i->index;
		atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&i->ref, refs, memory_order_release);
	}
	pthread_mutex_unlock(&s->lock);
	return there;
}

static int set_handle(struct inode *i, const struct handle_buf *h)
{
	uint8_t *to = i->h.handle;

	if (h->fh.handle_bytes > INODE_HANDLE_INLINE) {
		to = malloc(h->fh.handle_bytes);
		if (!to)
			return -ENOMEM;
		i->h.long_handle = to;
	}
	i->handle_len = (uint8_t)h->fh.handle_bytes;
	i->handle_type = h->fh.handle_type;
	memcpy(to, h->fh.f_handle, i->handle_len);
	return 0;
}

static void set_identity(struct inode *i, const struct identity *id, uint8_t flags)
{
	i->ino = id->ino;
	i->mount = id->mount;
	i->btime_ns = id->btime_ns;
	i->type = id->type;
	i->flags = (uint8_t)(flags | (id->young ? INODE_YOUNG : 0));
	i->locks = NULL;
	i->handle_len = 0;
}

/*
 * An inode that is known by its handle. Takes the reference to the mount that id has. Returns it,
 * or the one that somebody else has made meanwhile, with a lookup counted.
 */
static int add_by_handle(struct fs *fs, const struct identity *id, const struct handle_buf *h,
			 uint8_t flags, struct inode **out)
{
	struct inode *i = inode_place_new(&fs->inodes), *there;
	int ret = -ENOMEM;

	if (!i)
		goto err_mount;
	set_identity(i, id, flags);
	i->nlookup = 1;
	ret = set_handle(i, h);
	if (ret)
		goto err_place;
	there = insert(&fs->inodes, i, id, h, 1);
	*out = there ? there : i;
	if (!there)
		return 0;
	ret = 0;
	if (i->handle_len > INODE_HANDLE_INLINE)
		free(i->h.long_handle);
err_place:
	i->handle_len = 0;
	inode_place_free(&fs->inodes, i);
err_mount:
	mount_put(fs, id->mount);
	return ret;
}

/* An inode that is known by its open descriptor, which is taken in every case. The same otherwise.
 */
static int add_by_fd(struct fs *fs, const struct identity *id, int fd, uint8_t flags,
		     struct inode **out)
{
	struct inode *i, *there;
	int ret = inode_fd_reserve(fs);

	if (ret)
		goto err_fd;
	ret = -ENOMEM;
	i = inode_place_new(&fs->inodes);
	if (!i)
		goto err_reserved;
	set_identity(i, id, flags | INODE_PINNED | INODE_VERIFIED);
	i->nlookup = 1;
	inode_fd_set(i, fd);
	there = insert(&fs->inodes, i, id, NULL, 1);
	*out = there ? there : i;
	if (!there)
		return 0;
	ret = 0;
	i->fd = 0;
	inode_place_free(&fs->inodes, i);
err_reserved:
	inode_fd_unreserve(fs);
err_fd:
	fd_close(&fd);
	mount_put(fs, id->mount);
	return ret;
}

/*
 * An O_PATH descriptor of what is open as fd, which may have no name; or, with -1, of name. Or
 * -errno.
 */
static int open_path(struct fs *fs, int pfd, const char *name, int fd)
{
	int ret;

	if (fd >= 0)
		ret = openat(AT_FDCWD, fd_name(fd).s, O_PATH | O_CLOEXEC);
	else
		ret = openat(pfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (ret < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return inode_fd_lower(fs, ret);
}

static uint8_t submount_flag(const struct identity *id)
{
	return id->mount != id->parent_mount && S_ISDIR(id->type) ? INODE_SUBMOUNT : 0;
}

/*
 * Without handles: the descriptor comes first, and its numbers are what counts. id->mount's
 * reference is taken. made: an open descriptor of the file, borrowed, or -1.
 */
static int add_pinned(struct fs *fs, struct identity *id, int pfd, const char *name, int made,
		      uint8_t flags, struct statx *st, struct inode **out)
{
	int fd = open_path(fs, pfd, name, made);
	uint32_t mount = id->mount;
	int ret = fd < 0 ? fd : 0;

	if (!ret && statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st) < 0)
		ret = -errno;
	if (!ret) {
		ret = mount_find(fs, mount, fd, "", st);
		if (ret >= 0) {
			identity_of(id, st, (uint32_t)ret, mount_at(fs, (uint32_t)ret)->local);
			/* Something may have been mounted since the name was looked at first. */
			flags = (uint8_t)((flags & ~INODE_SUBMOUNT) | submount_flag(id));
			ret = 0;
		}
	}
	mount_put(fs, mount);
	if (ret) {
		fd_close(&fd);
		return ret;
	}
	*out = find(&fs->inodes, id, NULL);
	if (!*out)
		return add_by_fd(fs, id, fd, flags, out);
	fd_close(&fd);
	mount_put(fs, id->mount);
	return 0;
}

/* Some file systems have handles for some of their files only. */
static bool has_none(const struct fs *fs, int err)
{
	return err == -EOVERFLOW && fs->cfg->inode_file_handles != FS_HANDLES_MANDATORY;
}

/* The inode of name, whose numbers are in st, and which is not known by these alone. */
static int identify(struct fs *fs, struct identity *id, int pfd, const char *name, int fd,
		    uint8_t flags, struct statx *st, struct inode **out)
{
	struct handle_buf h;
	int ret;

	if (!mount_at(fs, id->mount)->handles)
		return add_pinned(fs, id, pfd, name, fd, flags, st, out);
	ret = fd >= 0 ? get_handle(fd, "", &h) : get_handle(pfd, name, &h);
	if (has_none(fs, ret))
		return add_pinned(fs, id, pfd, name, fd, flags, st, out);
	if (ret) {
		mount_put(fs, id->mount);
		return ret == -EOVERFLOW ? -EOPNOTSUPP : ret;
	}
	*out = find(&fs->inodes, id, &h);
	if (!*out)
		return add_by_handle(fs, id, &h, flags, out);
	mount_put(fs, id->mount);
	return 0;
}

static int start_identity(struct fs *fs, const struct inode *parent, int pfd, const char *name,
			  const struct statx *st, struct identity *id, uint8_t *flags)
{
	int mount = mount_find(fs, parent->mount, pfd, name, st);

	if (mount < 0)
		return mount;
	identity_of(id, st, (uint32_t)mount, mount_at(fs, (uint32_t)mount)->local);
	id->parent_mount = parent->mount;
	*flags = submount_flag(id);
	return 0;
}

int inode_lookup(struct fs *fs, const struct inode *parent, int pfd, const char *name,
		 struct statx *st, struct inode **out)
{
	struct identity id;
	uint8_t flags;
	int ret;

	if (statx(pfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, FS_STATX_MASK, st) < 0)
		return -errno;
	ret = start_identity(fs, parent, pfd, name, st, &id, &flags);
	if (ret)
		return ret;
	*out = find(&fs->inodes, &id, NULL);
	if (!*out)
		return identify(fs, &id, pfd, name, -1, flags, st, out);
	mount_put(fs, id.mount);
	return 0;
}

int inode_made(struct fs *fs, const struct inode *parent, int pfd, const char *name, int fd,
	       struct statx *st, struct inode **out)
{
	struct identity id;
	uint8_t flags;
	int ret;

	if (fd >= 0)
		ret = statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st);
	else
		ret = statx(pfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, FS_STATX_MASK, st);
	if (ret < 0)
		return -errno;
	ret = start_identity(fs, parent, pfd, name, st, &id, &flags);
	if (ret)
		return ret;
	return identify(fs, &id, pfd, name, fd, flags | (fd >= 0 ? INODE_VERIFIED : 0), st, out);
}

/* --- the root, and inodes of another host --- */

/* Fills a place from an open descriptor, which is taken. */
static int fill_from_fd(struct fs *fs, struct inode *i, int fd, uint8_t flags, uint64_t nlookup,
			uint32_t refs)
{
	struct identity id;
	struct statx st;
	struct handle_buf h;
	int mount, ret = 0;

	if (statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, &st) < 0)
		return fd_close(&fd), -errno;
	mount = mount_find(fs, UINT32_MAX, fd, "", &st);
	if (mount < 0)
		return fd_close(&fd), mount;
	identity_of(&id, &st, (uint32_t)mount, mount_at(fs, (uint32_t)mount)->local);
	set_identity(i, &id, flags | INODE_VERIFIED);
	i->nlookup = nlookup;
	if (mount_at(fs, id.mount)->handles) {
		ret = get_handle(fd, "", &h);
		if (!ret)
			ret = set_handle(i, &h);
		else if (has_none(fs, ret))
			ret = 0;
	}
	if (!ret && (flags & INODE_PINNED || !i->handle_len)) {
		i->flags |= INODE_PINNED;
		ret = inode_fd_reserve(fs);
		if (!ret) {
			inode_fd_set(i, fd);
			fd = -1;
		}
	}
	fd_close(&fd);
	if (ret) {
		if (i->handle_len > INODE_HANDLE_INLINE)
			free(i->h.long_handle);
		i->handle_len = 0;
		mount_put(fs, id.mount);
		return ret;
	}
	insert(&fs->inodes, i, &id, NULL, refs);
	return 0;
}

int inode_root(struct fs *fs)
{
	struct inode *i = inode_place_take(&fs->inodes, INODE_ROOT_INDEX, 0);
	int fd = fcntl(fs->box->root_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!i) {
		fd_close(&fd);
		return -ENOMEM;
	}
	/* Two references, so that no count of lookups ends it: the guest's, and ours for good. */
	return fill_from_fd(fs, i, fd, INODE_PINNED, 1, 2);
}

int inode_restore(struct fs *fs, uint64_t nodeid, uint64_t nlookup, int fd, uint8_t flags)
{
	struct inode *i = inode_place_take(&fs->inodes, (uint32_t)nodeid, (uint32_t)(nodeid >> 32));
	int ret;

	if (!i || !nlookup) {
		fd_close(&fd);
		return -EEXIST;
	}
	/* More than one reference: it is not looked for under its other names first. */
	ret = fill_from_fd(fs, i, fd, flags, nlookup, 2);
	if (ret)
		inode_place_free(&fs->inodes, i);
	else
		inode_put(fs, i);
	return ret;
}

int inode_restore_lost(struct fs *fs, uint64_t nodeid, uint64_t nlookup, uint16_t type)
{
	const struct inode *root = inode_at(&fs->inodes, INODE_ROOT_INDEX);
	/* What is young is never known by its numbers alone. These spread over the hash. */
	const struct identity id = {
		.ino = nodeid, .mount = root->mount, .type = type, .young = true
	};
	struct inode *i = inode_place_take(&fs->inodes, (uint32_t)nodeid, (uint32_t)(nodeid >> 32));

	if (!i || !nlookup)
		return -EEXIST;
	atomic_fetch_add(&mount_at(fs, id.mount)->refs, 1);
	set_identity(i, &id, 0);
	i->nlookup = nlookup;
	insert(&fs->inodes, i, &id, NULL, 2);
	inode_put(fs, i);
	return 0;
}
