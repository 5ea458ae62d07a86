/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/name.h"
#include "fs/seccomp.h"
#include "host/fd.h"
#include "host/log.h"

const int fs_mount_syscalls[] = {
	SCMP_SYS(openat), SCMP_SYS(fstatfs),	       SCMP_SYS(statx),
	SCMP_SYS(close),  SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at),
	SYSCALLS_END
};

/* File systems with a server behind: writes may fail there after they were accepted here. */
static const uint64_t remote_types[] = {
	0x6969 /* nfs */,      0x517b /* smb */,	0xff534d42 /* cifs */,
	0xfe534d42 /* smb2 */, 0x00c36400 /* ceph */,	0x65735546 /* fuse */,
	0x01021997 /* 9p */,   0x5346414f /* afs */,	0x6b414653 /* afs */,
	0x73757245 /* coda */, 0x0bd00bd0 /* lustre */,
};

int mount_table_init(struct mount_table *t)
{
	*t = (struct mount_table){ .all_local = true };
	return -pthread_mutex_init(&t->lock, NULL);
}

static void entry_free(struct mount *m)
{
	if (m)
		fd_close(&m->fd);
	free(m);
}

void mount_table_fini(struct mount_table *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		entry_free(t->m[i]);
	t->n = 0;
	pthread_mutex_destroy(&t->lock);
}

static bool on_mount(const struct mount *m, const struct statx *st)
{
	return m->mnt_id == st->stx_mnt_id && m->dev_major == st->stx_dev_major &&
	       m->dev_minor == st->stx_dev_minor;
}

/* A descriptor that open_by_handle_at() takes, of the object itself. -errno if there is none. */
static int open_anchor(int pfd, const char *name, const struct statx *st)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd;

	if (!S_ISDIR(st->stx_mode) && !S_ISREG(st->stx_mode))
		return -EOPNOTSUPP; /* opening a device may do things */
	if (*name) {
		fd = openat(pfd, name, flags);
	} else {
		struct fd_name self = fd_name(pfd);

		fd = openat(AT_FDCWD, self.s, flags & ~O_NOFOLLOW);
	}
	return fd < 0 ? -errno : fd;
}

/* Has fd a handle, and may we open it? 0 or -errno. */
static int try_handle(int fd)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .fh.handle_bytes = MAX_HANDLE_SZ };
	int mnt_id, again;

	if (name_to_handle_at(fd, "", &u.fh, &mnt_id, AT_EMPTY_PATH) < 0)
		return -errno;
	again = open_by_handle_at(fd, &u.fh, O_PATH | O_CLOEXEC);
	if (again < 0)
		return -errno;
	close(again);
	return 0;
}

static void learn_type(struct mount *m, int pfd, const char *name)
{
	struct statfs fs;
	int fd = m->fd;

	if (fd < 0 && *name)
		fd = openat(pfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	m->local = true;
	if (fstatfs(fd < 0 ? pfd : fd, &fs) == 0) {
		m->fs_type = (uint32_t)fs.f_type;
		for (size_t i = 0; i < ARRAY_SIZE(remote_types); i++)
			m->local = m->local && m->fs_type != remote_types[i];
	}
	if (fd >= 0 && fd != m->fd)
		close(fd);
}

/* Is the name still on that mount? Somebody may have put something else there. */
static bool same_mount(int fd, const struct mount *m)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 && on_mount(m, &st);
}

static int entry_open(struct fs *fs, struct mount *m, int pfd, const char *name,
		      const struct statx *st)
{
	int ret;

	m->fd = -1;
	if (fs->cfg->inode_file_handles != FS_HANDLES_NEVER) {
		ret = open_anchor(pfd, name, st);
		if (ret >= 0) {
			m->fd = ret;
			ret = same_mount(m->fd, m) ? try_handle(m->fd) : -ESTALE;
			if (ret)
				fd_close(&m->fd);
		}
		if (ret == -ESTALE || ret == -ENOENT || ret == -EMFILE || ret == -ENFILE)
			return ret;
		m->handles = !ret;
		if (ret && fs->cfg->inode_file_handles == FS_HANDLES_MANDATORY) {
			log_guest(fs->name, "a mount in the share has no usable file handles (%s)",
				  strerror(-ret));
			return -EOPNOTSUPP;
		}
	}
	learn_type(m, pfd, name);
	return 0;
}

static struct mount *entry_new(struct fs *fs, int pfd, const char *name, const struct statx *st,
			       int *err)
{
	struct mount *m = calloc(1, sizeof(*m));

	*err = -ENOMEM;
	if (!m)
		return NULL;
	m->refs = 1;
	m->mnt_id = st->stx_mnt_id;
	m->dev_major = st->stx_dev_major;
	m->dev_minor = st->stx_dev_minor;
	*err = entry_open(fs, m, pfd, name, st);
	if (!*err)
		return m;
	entry_free(m);
	return NULL;
}

/* Under the lock. The index of st's mount, with one more reference; or -ENOENT and *empty. */
static int find_locked(struct mount_table *t, const struct statx *st, uint32_t *empty)
{
	*empty = t->n;
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->m[i] && on_mount(t->m[i], st)) {
			atomic_fetch_add(&t->m[i]->refs, 1);
			return (int)i;
		}
		if (!t->m[i])
			*empty = i;
	}
	return -ENOENT;
}

/* Under the lock. Is there another mount of the same file system? */
static bool seen_elsewhere(const struct mount_table *t, const struct mount *m)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->m[i] && t->m[i] != m && t->m[i]->dev_major == m->dev_major &&
		    t->m[i]->dev_minor == m->dev_minor)
			return true;
	return false;
}

static int insert(struct mount_table *t, struct mount *m, const struct statx *st)
{
	uint32_t empty;
	int ret;

	pthread_mutex_lock(&t->lock);
	ret = find_locked(t, st, &empty);
	if (ret < 0 && empty == MOUNT_MAX) {
		ret = -ENFILE;
	} else if (ret < 0) {
		t->m[empty] = m;
		t->n = MAX(t->n, empty + 1);
		if (!m->local)
			t->all_local = false;
		if (seen_elsewhere(t, m))
			t->twice = true;
		m = NULL;
		ret = (int)empty;
	}
	pthread_mutex_unlock(&t->lock);
	entry_free(m); /* somebody else was faster */
	return ret;
}

int mount_find(struct fs *fs, uint32_t hint, int pfd, const char *name, const struct statx *st)
{
	struct mount_table *t = &fs->mounts;
	struct mount *m;
	uint32_t empty;
	int ret;

	if (hint != UINT32_MAX && on_mount(t->m[hint], st)) {
		atomic_fetch_add_explicit(&t->m[hint]->refs, 1, memory_order_relaxed);
		return (int)hint;
	}
	pthread_mutex_lock(&t->lock);
	ret = find_locked(t, st, &empty);
	pthread_mutex_unlock(&t->lock);
	if (ret >= 0)
		return ret;
	m = entry_new(fs, pfd, name, st, &ret);
	return m ? insert(t, m, st) : ret;
}

void mount_put(struct fs *fs, uint32_t index)
{
	struct mount_table *t = &fs->mounts;
	struct mount *m = t->m[index];

	if (atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	pthread_mutex_lock(&t->lock);
	m = t->m[index];
	if (m && !m->refs)
		t->m[index] = NULL;
	else
		m = NULL; /* found again meanwhile, or gone already */
	pthread_mutex_unlock(&t->lock);
	entry_free(m);
}

struct mount *mount_at(struct fs *fs, uint32_t index)
{
	return fs->mounts.m[index];
}
