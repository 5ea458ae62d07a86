/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's side. The state comes through the front end, which is not trusted with the
 * host's files: paths are followed inside of the share only (fs/state_path.h), and what was opened
 * by a handle must be found in the share, or have no name at all. A handle counts only if we were
 * told --migration-mode=file-handles as well.
 *
 * Each file that is not found is a loss: by --migration-on-error the end, or an inode without a
 * file.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/seccomp.h"
#include "fs/state_load.h"
#include "host/fd.h"
#include "host/log.h"

const int fs_state_load_syscalls[] = { SCMP_SYS(close), SYSCALLS_END };

#define LOSSES_SHOWN 5u

int load_malformed(const struct load *l, const char *what)
{
	log_err(l->fs->name, "migration: malformed state: %s", what);
	return -EPROTO;
}

/* A file cannot be had. 0 if the guest is to live with that. */
int load_lose(struct load *l, const char *what, const char *path, uint64_t id, int err)
{
	bool abort = l->fs->cfg->migration_on_error == FS_MIGRATE_ABORT;
	struct shown name = shown(path);

	if (l->n_lost++ < LOSSES_SHOWN)
		log_msg(abort ? LOG_LEVEL_ERR : LOG_LEVEL_WARN, l->fs->name,
			"migration: %s%s%s, id %#llx: %s", what, *path ? " " : "", name.s,
			(unsigned long long)id, strerror(-err));
	return abort ? err : 0;
}

/* --- SESSION --- */

static int load_session(struct load *l)
{
	struct state_session r;

	memcpy(&r, l->record, sizeof(r));
	if (r.ready > 1 || r.swapped > 1)
		return load_malformed(l, "the session");
	return r.ready ? session_restore(l->fs, le32_get(r.minor), r.swapped, le64_get(r.features))
		       : 0;
}

/* --- HANDLE --- */

#define OPEN_KNOWN 0xffu

/* The flags of open(2), or -1: no source sends that. */
static int host_flags(uint32_t state)
{
	static const struct {
		uint32_t state;
		int host;
	} bits[] = {
		{ STATE_OPEN_APPEND, O_APPEND },   { STATE_OPEN_DSYNC, O_DSYNC },
		{ STATE_OPEN_SYNC, O_SYNC },	   { STATE_OPEN_DIRECT, O_DIRECT },
		{ STATE_OPEN_NOATIME, O_NOATIME }, { STATE_OPEN_DIR, O_DIRECTORY },
	};
	bool r = state & STATE_OPEN_READ, w = state & STATE_OPEN_WRITE;
	int flags = r && w ? O_RDWR : w ? O_WRONLY : O_RDONLY;

	if (state & ~OPEN_KNOWN || (!r && !w) || (w && state & STATE_OPEN_DIR))
		return -1;
	for (size_t k = 0; k < ARRAY_SIZE(bits); k++)
		if (state & bits[k].state)
			flags |= bits[k].host;
	return flags;
}

static int reopen(struct load *l, struct inode *i, int flags)
{
	if (l->fs->cfg->readonly && (flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	if (!l->fs->cfg->allow_direct_io)
		flags &= ~O_DIRECT;
	return inode_open(l->fs, i, flags);
}

static int load_handle(struct load *l)
{
	struct state_handle r;
	struct inode *i;
	bool is_dir;
	int flags, fd, ret = 0;

	memcpy(&r, l->record, sizeof(r));
	flags = host_flags(le32_get(r.flags));
	is_dir = le32_get(r.flags) & STATE_OPEN_DIR;
	if (flags < 0 || (uint32_t)le64_get(r.fh) <= l->last_handle ||
	    (uint32_t)le64_get(r.fh) >= HANDLE_MAX)
		return load_malformed(l, "an open file");
	l->last_handle = (uint32_t)le64_get(r.fh);
	i = inode_get(l->fs, le64_get(r.nodeid));
	if (!i || (is_dir ? !S_ISDIR(i->type) : !S_ISREG(i->type))) {
		if (i)
			inode_put(l->fs, i);
		return load_malformed(l, "an open file of no inode");
	}
	fd = reopen(l, i, flags);
	if (fd < 0)
		ret = load_lose(l, "cannot open again a file", "", le64_get(r.nodeid), fd);
	if (!ret)
		ret = handle_restore(l->fs, le64_get(r.fh), i, MAX(fd, -1), flags, is_dir);
	inode_put(l->fs, i);
	l->n_handles++;
	return ret;
}

/* --- END --- */

static int load_end(struct load *l)
{
	struct state_end r;

	memcpy(&r, l->record, sizeof(r));
	if (le64_get(r.inodes) != l->n_inodes || le64_get(r.handles) != l->n_handles)
		return load_malformed(l, "its end");
	for (size_t k = 0; k < l->n_unknown; k++) {
		struct inode *i = inode_get(l->fs, l->unknown[k]);

		if (!i)
			continue;
		inode_unlookup(l->fs, i, 1);
		inode_put(l->fs, i);
	}
	return l->n_strangers ? load_check_strangers(l) : 0;
}

/* --- all --- */

static int load_pause(struct load *l)
{
	(void)l;
	return 0;
}

static const struct {
	int (*load)(struct load *l);
	uint32_t least, most; /* bytes */
	bool again;	      /* may follow one of its kind */
} kinds[] = {
	[STATE_SESSION] = { load_session, sizeof(struct state_session),
			    sizeof(struct state_session), false },
	[STATE_MOUNT] = { load_mount, sizeof(struct state_mount),
			  sizeof(struct state_mount) + STATE_PATH_MAX, true },
	[STATE_INODE] = { load_inode, sizeof(struct state_inode), STATE_RECORD_MAX, true },
	[STATE_HANDLE] = { load_handle, sizeof(struct state_handle), sizeof(struct state_handle),
			   true },
	[STATE_END] = { load_end, sizeof(struct state_end), sizeof(struct state_end), false },
	[STATE_PAUSE] = { load_pause, 0, 0, true },
};

/* The next record, whose kind it returns, or -errno. */
static int next_record(struct load *l)
{
	struct state_record head;
	int ret = state_get(l->in, &head, sizeof(head));
	uint32_t kind;

	if (ret)
		return ret == -ENODATA ? -EPROTO : ret; /* there is none after the last, END */
	kind = le32_get(head.kind);
	l->len = le32_get(head.len);
	if (kind >= ARRAY_SIZE(kinds) || !kinds[kind].load)
		return load_malformed(l, "an unknown record");
	if (l->len < kinds[kind].least || l->len > kinds[kind].most)
		return load_malformed(l, "the length of a record");
	ret = l->len ? state_get(l->in, l->record, l->len) : 0;
	l->record[l->len] = '\0';
	return ret ? ret == -ENODATA ? -EPROTO : ret : (int)kind;
}

static int load_records(struct load *l)
{
	int kind, ret;

	do {
		kind = next_record(l);
		if (kind < 0)
			return kind;
		if (kind != STATE_PAUSE) {
			if ((unsigned)kind < l->last ||
			    (!kinds[kind].again && (unsigned)kind == l->last) ||
			    (!l->last && kind != STATE_SESSION))
				return load_malformed(l, "the order of records");
			l->last = (enum state_kind)kind;
		}
		ret = kinds[kind].load(l);
		if (ret)
			return ret;
	} while (kind != STATE_END);
	return 0;
}

static int load_head(struct load *l)
{
	struct state_head head;
	int ret = state_get(l->in, &head, sizeof(head));

	if (ret)
		return ret == -ENODATA ? -EPROTO : ret;
	if (le64_get(head.magic) != STATE_MAGIC)
		return load_malformed(l, "it is not of this daemon");
	if (le32_get(head.version) != STATE_VERSION) {
		log_err(l->fs->name, "migration: the state is of version %u, and we know %u",
			le32_get(head.version), STATE_VERSION);
		return -EPROTO;
	}
	return 0;
}

static int make_room(struct fs *fs)
{
	int ret;

	fs->session.ready = false;
	fs_forget_all(fs);
	ret = handle_table_restart(&fs->handles);
	return ret ? ret : inode_table_restart(fs);
}

static void load_fini(struct load *l)
{
	for (uint32_t k = 0; k < l->n_mounts; k++) {
		mount_put(l->fs, (uint32_t)l->mounts[k].known);
		fd_close(&l->mounts[k].fd);
	}
	walk_fini(&l->walk);
	free(l->mounts);
	free(l->unknown);
	free(l->strangers);
	free(l);
}

int fs_load(void *dev, struct state_in *in)
{
	struct fs *fs = dev;
	struct load *l = calloc(1, sizeof(*l));
	int ret = l ? make_room(fs) : -ENOMEM;

	if (!l)
		return ret;
	l->fs = fs;
	l->in = in;
	l->last_inode = INODE_ROOT_INDEX;
	walk_init(&l->walk, fs);
	if (!ret)
		ret = load_head(l);
	if (!ret)
		ret = load_records(l);
	if (ret) {
		fs->session.ready = false;
		fs_forget_all(fs);
	} else {
		log_info(fs->name, "migration: %llu inodes and %llu open files loaded, %llu lost",
			 (unsigned long long)l->n_inodes, (unsigned long long)l->n_handles,
			 (unsigned long long)l->n_lost);
	}
	load_fini(l);
	return ret;
}
