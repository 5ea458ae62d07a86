/* SPDX-License-Identifier: BSD-2-Clause */
/* MOUNT and INODE of a state: how the destination finds the files again. See fs/state_load.c. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/name.h"
#include "fs/seccomp.h"
#include "fs/state_load.h"
#include "host/fd.h"
#include "host/log.h"

const int fs_state_load_inode_syscalls[] = { SCMP_SYS(openat), SCMP_SYS(open_by_handle_at),
					     SCMP_SYS(statx), SCMP_SYS(close), SYSCALLS_END };

static int push(uint64_t **v, size_t *n, size_t *cap, uint64_t id)
{
	if (*n == *cap) {
		size_t more = MAX(2 * *cap, (size_t)64);
		uint64_t *bigger = reallocarray(*v, more, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		*v = bigger;
		*cap = more;
	}
	(*v)[(*n)++] = id;
	return 0;
}

/* --- MOUNT --- */

/* Makes the mount known that has dir: a reference to it, or -errno. */
static int know_mount(struct fs *fs, int dir, const struct statx *st)
{
	return mount_find(fs, UINT32_MAX, dir, "", st);
}

/* What is at path, for open_by_handle_at(): the caller's. */
static int open_anchor(struct load *l, const char *path, struct statx *st)
{
	int fd = walk_open(&l->walk, path), ret;
	struct fd_name name;

	if (fd < 0)
		return fd;
	name = fd_name(fd);
	ret = statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st) < 0 ? -errno : 0;
	if (!ret && !S_ISDIR(st->stx_mode) && !S_ISREG(st->stx_mode))
		ret = -ENOTDIR; /* opening a device may do things */
	if (!ret) {
		ret = openat(AT_FDCWD, name.s, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		ret = ret < 0 ? -errno : ret;
	}
	fd_close(&fd);
	return ret;
}

int load_mount(struct load *l)
{
	const char *path = (const char *)l->record + sizeof(struct state_mount);
	struct state_mount r;
	struct from_mount *m;
	int ret;

	memcpy(&r, l->record, sizeof(r));
	if (!path_ok(path, l->len - sizeof(r)))
		return load_malformed(l, "the path of a mount");
	if (l->fs->cfg->migration_mode != FS_MIGRATE_FILE_HANDLES) {
		log_err(l->fs->name,
			"migration: the state has file handles; this side does not take "
			"them without --migration-mode=file-handles");
		return -EPERM;
	}
	if (!l->mounts)
		l->mounts = calloc(MOUNT_MAX, sizeof(*l->mounts));
	if (!l->mounts)
		return -ENOMEM;
	if (l->n_mounts == MOUNT_MAX)
		return load_malformed(l, "too many mounts");
	for (uint32_t k = 0; k < l->n_mounts; k++)
		if (l->mounts[k].id == le32_get(r.id))
			return load_malformed(l, "a mount is there twice");
	m = &l->mounts[l->n_mounts];
	ret = open_anchor(l, path, &m->root);
	if (ret < 0)
		return load_lose(l, "no mount at", path, le32_get(r.id), ret);
	m->id = le32_get(r.id);
	m->fd = ret;
	/* Before a file on it, which may be no anchor for it. */
	m->known = know_mount(l->fs, m->fd, &m->root);
	if (m->known < 0) {
		fd_close(&m->fd);
		return m->known;
	}
	l->n_mounts++;
	return 0;
}

/* --- INODE --- */

struct arriving {
	struct state_inode r;
	struct state_fh h;
	const char *path; /* in the record */
	bool stranger;	  /* not yet seen to be in the share */
	uint8_t flags;	  /* INODE_SUBMOUNT or 0 */
};

static bool type_ok(uint16_t type)
{
	switch (type) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return true;
	default:
		return false;
	}
}

/* Takes the record apart. */
static int parse_inode(struct load *l, struct arriving *a)
{
	const uint8_t *rest = l->record + sizeof(a->r);
	size_t len = l->len - sizeof(a->r);
	uint32_t index, how;

	memcpy(&a->r, l->record, sizeof(a->r));
	index = (uint32_t)le64_get(a->r.nodeid);
	how = a->r.how & ~STATE_SUBMOUNT;
	if (index <= l->last_inode || index >= INODE_MAX || !type_ok(le16_get(a->r.type)))
		return load_malformed(l, "an inode");
	if (how != STATE_BY_PATH && how != STATE_BY_HANDLE && how != STATE_LOST)
		return load_malformed(l, "how to find an inode");
	if (a->r.handle_len > len || a->r.handle_len > MAX_HANDLE_SZ)
		return load_malformed(l, "the handle of an inode");
	a->h.fh.handle_bytes = a->r.handle_len;
	a->h.fh.handle_type = (int)le32_get(a->r.handle_type);
	memcpy(a->h.fh.f_handle, rest, a->r.handle_len);
	a->path = (const char *)rest + a->r.handle_len;
	len -= a->r.handle_len;
	if (!path_ok(a->path, len) || (how == STATE_BY_PATH ? !len : len > 0) ||
	    (how == STATE_BY_HANDLE && !a->r.handle_len))
		return load_malformed(l, "where an inode is");
	l->last_inode = index;
	return 0;
}

static const struct from_mount *find_mount(const struct load *l, uint32_t id)
{
	for (uint32_t k = 0; k < l->n_mounts; k++)
		if (l->mounts[k].id == id)
			return &l->mounts[k];
	return NULL;
}

/*
 * Is what was opened by handle in the share? 0 if so, or if the file has no names any more; 1 if
 * the kernel cannot tell; -errno.
 */
static int see_in_share(struct load *l, int fd, const struct statx *st)
{
	char path[STATE_PATH_MAX + 1];
	int ret = path_of_fd(&l->walk, fd, path);

	if (ret != -ESTALE || (S_ISREG(st->stx_mode) && !st->stx_nlink))
		return ret == -ESTALE ? 0 : ret;
	/* The kernel knows where directories are. */
	return S_ISDIR(st->stx_mode) ? -EXDEV : 1;
}

static int open_by_handle(struct load *l, struct arriving *a)
{
	const struct from_mount *m = find_mount(l, le32_get(a->r.mount));
	struct statx st;
	int fd, ret;

	if (!m)
		return -ENODEV;
	fd = open_by_handle_at(m->fd, &a->h.fh, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK | STATX_NLINK, &st) < 0 ? -errno : 0;
	if (!ret &&
	    (st.stx_ino != le64_get(a->r.ino) || (st.stx_mode & S_IFMT) != le16_get(a->r.type)))
		ret = -ESTALE;
	if (!ret)
		ret = see_in_share(l, fd, &st);
	if (ret < 0)
		return fd_close(&fd), ret;
	a->stranger = ret;
	if (S_ISDIR(st.stx_mode) && st.stx_ino == m->root.stx_ino &&
	    st.stx_mnt_id == m->root.stx_mnt_id)
		a->flags = INODE_SUBMOUNT; /* the root of the share has no record */
	return fd;
}

static int check_opened(struct arriving *a, int fd, struct statx *st)
{
	struct state_fh there;

	if (statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, st) < 0)
		return -errno;
	if ((st->stx_mode & S_IFMT) != le16_get(a->r.type))
		return -ESTALE;
	if (a->r.handle_len && (fh_of(fd, "", &there) || !fh_equal(&there, &a->h)))
		return -ESTALE;
	return 0;
}

/* *mount: a reference to the mount of its directory, or -1. */
static int open_by_path(struct load *l, struct arriving *a, int *mount)
{
	struct statx st, up;
	const char *name;
	int dir, fd = walk_open(&l->walk, a->path), ret;

	if (fd < 0)
		return fd;
	ret = check_opened(a, fd, &st);
	dir = ret ? ret : walk_parent(&l->walk, a->path, &name);
	if (!ret && dir < 0)
		ret = dir;
	if (!ret && statx(dir, "", AT_EMPTY_PATH, FS_STATX_MASK, &up) < 0)
		ret = -errno;
	if (!ret && S_ISDIR(st.stx_mode) && st.stx_mnt_id != up.stx_mnt_id)
		a->flags = INODE_SUBMOUNT;
	if (!ret) {
		ret = know_mount(l->fs, dir, &up);
		*mount = ret;
	}
	if (ret < 0)
		return fd_close(&fd), ret;
	return fd;
}

/* Makes the inode from fd, which is taken, or, with -errno instead, without a file. */
static int make_inode(struct load *l, struct arriving *a, int fd)
{
	uint64_t nodeid = le64_get(a->r.nodeid), nlookup = le64_get(a->r.nlookup);
	uint16_t type = le16_get(a->r.type);
	int ret = 0;

	if (!nlookup) {
		nlookup = 1; /* until its handles are there */
		ret = push(&l->unknown, &l->n_unknown, &l->cap_unknown, nodeid);
	}
	if (!ret && a->stranger && fd >= 0)
		ret = push(&l->strangers, &l->n_strangers, &l->cap_strangers, nodeid);
	if (ret) {
		if (fd >= 0)
			fd_close(&fd);
		return ret;
	}
	if (fd < 0)
		return inode_restore_lost(l->fs, nodeid, nlookup, type);
	return inode_restore(l->fs, nodeid, nlookup, fd, a->flags);
}

int load_inode(struct load *l)
{
	struct arriving a = { .stranger = false };
	int mount = -1, fd = -ENOENT, ret = parse_inode(l, &a);

	if (ret)
		return ret;
	if (a.r.how & STATE_BY_PATH)
		fd = open_by_path(l, &a, &mount);
	else if (a.r.how & STATE_BY_HANDLE)
		fd = open_by_handle(l, &a);
	if (fd == -ENOMEM || fd == -EMFILE || fd == -ENFILE)
		ret = fd;
	else if (fd < 0)
		ret = load_lose(
			l, a.r.how & STATE_LOST ? "the source has lost a file" : "no such file",
			a.path, le64_get(a.r.nodeid), fd);
	if (!ret)
		ret = make_inode(l, &a, fd);
	if (mount >= 0)
		mount_put(l->fs, (uint32_t)mount);
	l->n_inodes++;
	return ret;
}

/* --- files of no known path --- */

static int no_pause(void *ctx)
{
	(void)ctx;
	return 0;
}

/* Those of the items that are not in the share must have lost their names meanwhile. */
static int judge(struct load *l, struct search_item *items, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		struct inode *i = (struct inode *)(uintptr_t)items[k].inode;
		struct statx st = { .stx_nlink = 1 };
		int fd;

		if (items[k].path)
			continue;
		fd = inode_fd(l->fs, i);
		if (fd < 0)
			continue; /* it has gone altogether */
		if (statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &st) < 0)
			st.stx_nlink = 1;
		inode_fd_put(i);
		if (!st.stx_nlink && S_ISREG(i->type))
			continue;
		log_err(l->fs->name, "migration: inode %llu of the state is not in the share",
			(unsigned long long)i->ino);
		return -EXDEV;
	}
	return 0;
}

/* Looks for the inodes that the kernel cannot place: a forged handle may be of any file. */
int load_check_strangers(struct load *l)
{
	size_t n = 0;
	struct search_item *items = calloc(l->n_strangers + 1, sizeof(*items));
	struct search_item **order = calloc(l->n_strangers + 1, sizeof(struct search_item *));
	int ret = items && order ? 0 : -ENOMEM;

	for (size_t k = 0; k < l->n_strangers && !ret; k++) {
		items[n].inode = inode_get(l->fs, l->strangers[k]);
		if (items[n].inode) {
			order[n] = &items[n];
			n++;
		}
	}
	if (!ret && n)
		ret = state_search(l->fs, order, n, no_pause, NULL);
	if (!ret)
		ret = judge(l, items, n);
	for (size_t k = 0; k < n; k++) {
		free(items[k].path);
		inode_put(l->fs, (struct inode *)(uintptr_t)items[k].inode);
	}
	free(items);
	free(order);
	return ret;
}
