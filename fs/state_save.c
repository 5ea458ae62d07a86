/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source's side. The guest is stopped, but the host is not: names may change while we look. So
 * what the kernel says of a file's path is tried out, and if another file is there, or none, the
 * share is searched (fs/state_search.c). Nothing here changes the device: if the migration fails
 * elsewhere, the guest goes on with it, and it may be saved again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/seccomp.h"
#include "fs/state.h"
#include "fs/state_path.h"
#include "host/fd.h"
#include "host/log.h"

const int fs_state_save_syscalls[] = { SCMP_SYS(statx), SYSCALLS_END };

#define LOSSES_SHOWN 5u

struct saved {
	struct search_item where; /* its inode with a reference */
	char *last;		  /* what the kernel said, for a message; or NULL */
};

struct save {
	struct fs *fs;
	struct state_out *out;
	struct saved *v; /* without the root, by place */
	size_t n, cap;
	uint64_t n_handles, n_lost;
	struct state_walk walk;
	enum { MOUNT_NEW, MOUNT_PUT, MOUNT_NOT } mounts[MOUNT_MAX]; /* has it been written? */
	char path[STATE_PATH_MAX + 1];
};

/* --- records --- */

static int put_head(struct save *s)
{
	const struct state_head head = { .magic = le64_of(STATE_MAGIC),
					 .version = le32_of(STATE_VERSION) };

	return state_put(s->out, &head, sizeof(head));
}

/* The head of a record, and its fixed part, before more bytes. */
static int put_record(struct save *s, enum state_kind kind, const void *body, size_t len,
		      size_t more)
{
	const struct state_record r = { le32_of(kind), le32_of((uint32_t)(len + more)) };
	int ret = state_put(s->out, &r, sizeof(r));

	return !ret && len ? state_put(s->out, body, len) : ret;
}

/* Does anybody still want the state? */
static int pause_search(void *ctx)
{
	struct save *s = ctx;
	int ret = put_record(s, STATE_PAUSE, NULL, 0, 0);

	return ret ? ret : state_flush(s->out);
}

static int put_session(struct save *s)
{
	const struct fs_session *from = &s->fs->session;
	const struct state_session body = {
		.features = le64_of(from->features),
		.minor = le32_of(from->minor),
		.ready = from->ready,
		.swapped = from->swapped,
	};

	return put_record(s, STATE_SESSION, &body, sizeof(body), 0);
}

/* --- which files --- */

static int collect_one(struct fs *fs, struct inode *i, void *arg)
{
	struct save *s = arg;

	(void)fs;
	if (i->index == INODE_ROOT_INDEX)
		return 0;
	if (s->n == s->cap) {
		size_t cap = MAX(2 * s->cap, (size_t)1024);
		struct saved *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct saved){ .where.inode = inode_ref(i) };
	return 0;
}

static struct inode *inode_of(const struct saved *v)
{
	return (struct inode *)(uintptr_t)v->where.inode;
}

static int store(char **to, const char *path)
{
	free(*to);
	*to = strdup(path);
	return *to ? 0 : -ENOMEM;
}

/* Asks the kernel for the path. 0 also if there is none that leads there; -ENOMEM. */
static int ask_kernel(struct save *s, struct saved *v)
{
	struct inode *i = inode_of(v);
	int fd = inode_fd(s->fs, i), ret;

	if (fd < 0)
		return 0;
	s->path[0] = '\0';
	ret = path_of_fd(&s->walk, fd, s->path);
	inode_fd_put(i);
	return store(ret ? &v->last : &v->where.path, s->path);
}

/* Has the file any name that may be found? */
static bool has_names(struct fs *fs, struct inode *i)
{
	struct statx st = { .stx_nlink = 0 };
	int fd = inode_fd(fs, i);

	if (fd < 0)
		return false;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &st) < 0)
		st.stx_nlink = 0;
	inode_fd_put(i);
	return st.stx_nlink > 0;
}

static int search_missing(struct save *s)
{
	struct search_item **items;
	size_t n = 0;
	int ret = 0;

	for (size_t k = 0; k < s->n; k++)
		n += !s->v[k].where.path;
	if (!n)
		return 0;
	items = calloc(n, sizeof(struct search_item *));
	if (!items)
		return -ENOMEM;
	n = 0;
	for (size_t k = 0; k < s->n; k++)
		if (!s->v[k].where.path && has_names(s->fs, inode_of(&s->v[k])))
			items[n++] = &s->v[k].where;
	if (n) {
		log_info(s->fs->name, "migration: looking for %zu files in the whole share", n);
		ret = state_search(s->fs, items, n, pause_search, s);
	}
	free(items);
	return ret;
}

/* Forgets the paths that lead elsewhere by now. True if there are any. */
static bool confirm(struct save *s)
{
	size_t wrong = 0;

	for (size_t k = 0; k < s->n; k++) {
		struct search_item *w = &s->v[k].where;

		if (!w->path || path_leads_to(&s->walk, w->path, w->inode))
			continue;
		free(w->path);
		w->path = NULL;
		wrong++;
	}
	if (wrong)
		log_warn(s->fs->name, "migration: %zu files were renamed meanwhile", wrong);
	return wrong;
}

static int find_paths(struct save *s)
{
	int ret = 0;

	for (size_t k = 0; k < s->n && !ret; k++)
		ret = ask_kernel(s, &s->v[k]);
	if (!ret)
		ret = search_missing(s);
	if (ret || !s->fs->cfg->migration_confirm_paths || !confirm(s))
		return ret;
	for (size_t k = 0; k < s->n && !ret; k++)
		if (!s->v[k].where.path)
			ret = ask_kernel(s, &s->v[k]);
	return ret ? ret : search_missing(s);
}

/* --- mounts --- */

/* The path of the root of the mount that has m: the first of path's directories that is on it. */
static int root_of_mount(struct save *s, const struct mount *m, char *path)
{
	size_t len = strlen(path), at = 0;

	for (;;) {
		char was = path[at];
		struct statx st;
		int fd, ret;

		path[at] = '\0';
		fd = walk_open(&s->walk, path);
		if (fd < 0)
			return fd;
		ret = statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ? -errno : 0;
		fd_close(&fd);
		if (ret || st.stx_mnt_id == m->mnt_id)
			return ret;
		path[at] = was;
		if (at == len)
			return -ENOENT;
		at += at > 0;
		at += strcspn(path + at, "/");
	}
}

/* 0, or -errno: it cannot be said where it is, or the state cannot be written. */
static int put_mount(struct save *s, uint32_t index)
{
	const struct state_mount body = { le32_of(index) };
	const struct mount *m = mount_at(s->fs, index);
	int ret;

	s->mounts[index] = MOUNT_NOT;
	if (m->fd < 0)
		return -EOPNOTSUPP;
	s->path[0] = '\0';
	/* What the anchor is called now is of no interest, if only it is below the mount's root. */
	ret = path_of_fd(&s->walk, m->fd, s->path);
	if (ret && (ret != -ESTALE || !path_ok(s->path, strlen(s->path))))
		return ret;
	ret = root_of_mount(s, m, s->path);
	if (ret)
		return ret;
	s->mounts[index] = MOUNT_PUT;
	ret = put_record(s, STATE_MOUNT, &body, sizeof(body), strlen(s->path));
	return !ret && s->path[0] ? state_put(s->out, s->path, strlen(s->path)) : ret;
}

static int put_mounts(struct save *s)
{
	for (size_t k = 0; k < s->n && !s->out->err; k++) {
		uint32_t index = s->v[k].where.inode->mount;

		if (s->mounts[index] == MOUNT_NEW)
			put_mount(s, index);
	}
	return s->out->err;
}

/* --- inodes --- */

/* What of a handle the record needs. 0 or -errno. */
static int handle_for(struct save *s, struct inode *i, struct state_fh *h)
{
	bool by_handle = s->fs->cfg->migration_mode == FS_MIGRATE_FILE_HANDLES;
	int fd, ret = 0;

	h->fh.handle_bytes = 0;
	h->fh.handle_type = 0;
	if (!by_handle && !s->fs->cfg->migration_verify_handles)
		return 0;
	if (by_handle && s->mounts[i->mount] != MOUNT_PUT)
		return -EOPNOTSUPP;
	if (i->handle_len && i->flags & INODE_VERIFIED) {
		fh_of_inode(i, h);
		return 0;
	}
	fd = inode_fd(s->fs, i);
	if (fd < 0)
		return fd;
	ret = fh_of(fd, "", h);
	inode_fd_put(i);
	return ret;
}

static void tell_loss(struct save *s, const struct saved *v, const char *why)
{
	const struct inode *i = v->where.inode;
	bool abort = s->fs->cfg->migration_on_error == FS_MIGRATE_ABORT;
	struct shown last = shown(v->last ? v->last : "");

	if (s->n_lost++ >= LOSSES_SHOWN)
		return;
	log_msg(abort ? LOG_LEVEL_ERR : LOG_LEVEL_WARN, s->fs->name,
		"migration: %s: inode %llu%s%s, node id %#llx, which the guest %s", why,
		(unsigned long long)i->ino, last.s[0] ? ", last seen as " : "", last.s,
		(unsigned long long)inode_id(i),
		abort ? "would lose (see --migration-on-error)" : "gets errors for");
}

/* Fills the record. 0, or -errno: the file cannot be told. */
static int fill_inode(struct save *s, struct saved *v, struct state_inode *r, struct state_fh *h)
{
	bool by_handle = s->fs->cfg->migration_mode == FS_MIGRATE_FILE_HANDLES;
	struct inode *i = inode_of(v);
	int ret;

	*r = (struct state_inode){
		.nodeid = le64_of(inode_id(i)),
		.nlookup = le64_of(i->nlookup),
		.ino = le64_of(i->ino),
		.mount = le32_of(i->mount),
		.type = le16_of(i->type),
		.how = (uint8_t)(STATE_LOST | (i->flags & INODE_SUBMOUNT ? STATE_SUBMOUNT : 0)),
	};
	if (!by_handle && !v->where.path) {
		tell_loss(s, v, "a file has no path in the share");
		return -ENOENT;
	}
	ret = handle_for(s, i, h);
	if (ret) {
		tell_loss(s, v, "a file has no usable file handle");
		return ret;
	}
	r->how = (uint8_t)((r->how & STATE_SUBMOUNT) |
			   (by_handle ? STATE_BY_HANDLE : STATE_BY_PATH));
	r->handle_len = (uint8_t)h->fh.handle_bytes;
	r->handle_type = le32_of((uint32_t)h->fh.handle_type);
	return 0;
}

static int put_inode(struct save *s, struct saved *v)
{
	struct state_inode r;
	struct state_fh h;
	int ret = fill_inode(s, v, &r, &h);
	size_t len = 0;

	if (ret && s->fs->cfg->migration_on_error == FS_MIGRATE_ABORT)
		return 0; /* at the end, so that more of them are told */
	if (r.how & STATE_BY_PATH)
		len = strlen(v->where.path);
	ret = put_record(s, STATE_INODE, &r, sizeof(r), r.handle_len + len);
	if (!ret && r.handle_len)
		ret = state_put(s->out, h.fh.f_handle, r.handle_len);
	return !ret && len ? state_put(s->out, v->where.path, len) : ret;
}

static int put_inodes(struct save *s)
{
	int ret = 0;

	for (size_t k = 0; k < s->n && !ret; k++)
		ret = put_inode(s, &s->v[k]);
	if (s->n_lost)
		log_warn(s->fs->name, "migration: %llu of %zu files cannot be found again",
			 (unsigned long long)s->n_lost, s->n);
	if (!ret && s->n_lost && s->fs->cfg->migration_on_error == FS_MIGRATE_ABORT)
		ret = -ESTALE;
	return ret;
}

/* --- handles --- */

static uint32_t open_flags(const struct handle *h)
{
	static const struct {
		int host;
		uint32_t state;
	} bits[] = {
		{ O_APPEND, STATE_OPEN_APPEND },   { O_DSYNC, STATE_OPEN_DSYNC },
		{ O_SYNC, STATE_OPEN_SYNC },	   { O_DIRECT, STATE_OPEN_DIRECT },
		{ O_NOATIME, STATE_OPEN_NOATIME },
	};
	int mode = h->flags & O_ACCMODE;
	uint32_t flags = h->is_dir ? STATE_OPEN_DIR : 0;

	if (mode != O_WRONLY)
		flags |= STATE_OPEN_READ;
	if (mode != O_RDONLY)
		flags |= STATE_OPEN_WRITE;
	for (size_t k = 0; k < ARRAY_SIZE(bits); k++)
		if ((h->flags & bits[k].host) == bits[k].host)
			flags |= bits[k].state;
	return flags;
}

static int put_handle(struct fs *fs, struct handle *h, void *arg)
{
	struct save *s = arg;
	const struct state_handle r = {
		.fh = le64_of(handle_id(h)),
		.nodeid = le64_of(inode_id(h->inode)),
		.flags = le32_of(open_flags(h)),
	};

	(void)fs;
	s->n_handles++;
	return put_record(s, STATE_HANDLE, &r, sizeof(r), 0);
}

/* --- all --- */

/*
 * Who waits for a lock has an answer by now, as the rings stop with ENOLCK while what we write is
 * logged. But the guest may have been stopped before the migration began: then that answer could
 * not reach the memory that goes to the other host.
 */
static int check_locks(struct fs *fs)
{
	if (fs->locks.n_waiters) {
		log_err(fs->name, "migration: the guest waits for a lock; let it run once more");
		return -EBUSY;
	}
	if (fs->locks.owners.n)
		log_warn(fs->name, "migration: the guest's locks are not known on the other side");
	return 0;
}

static int save_all(struct save *s)
{
	struct state_end end;
	int ret = inode_each(s->fs, collect_one, s);

	if (!ret)
		ret = put_head(s);
	if (!ret)
		ret = put_session(s);
	if (!ret && s->fs->cfg->migration_mode == FS_MIGRATE_FIND_PATHS)
		ret = find_paths(s);
	else if (!ret)
		ret = put_mounts(s);
	if (!ret)
		ret = put_inodes(s);
	if (!ret)
		ret = handle_each(s->fs, put_handle, s);
	if (ret)
		return ret;
	end = (struct state_end){ le64_of(s->n), le64_of(s->n_handles) };
	return put_record(s, STATE_END, &end, sizeof(end), 0);
}

int fs_save(void *dev, struct state_out *out)
{
	struct fs *fs = dev;
	struct save *s;
	int ret = check_locks(fs);

	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->out = out;
	walk_init(&s->walk, fs);
	ret = save_all(s);
	if (!ret)
		log_info(fs->name, "migration: %zu inodes and %llu open files saved", s->n,
			 (unsigned long long)s->n_handles);
	for (size_t k = 0; k < s->n; k++) {
		free(s->v[k].where.path);
		free(s->v[k].last);
		inode_put(fs, inode_of(&s->v[k]));
	}
	walk_fini(&s->walk);
	free(s->v);
	free(s);
	return ret;
}
