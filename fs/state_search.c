/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where in the share are files that the kernel cannot name: their names have gone, and they have
 * others; or their entry was dropped from the host's cache, and they were opened by handle since.
 *
 * All of them are looked for in one pass over the directories, by the inode numbers that these
 * have. Some file systems show other numbers there than statx() does, so a second pass, if any are
 * missing then, asks for each file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/name.h"
#include "fs/readdir.h"
#include "fs/seccomp.h"
#include "fs/state_path.h"
#include "host/fd.h"

/* qsort() of glibc before 2.37 asks for the size of memory. */
const int fs_state_search_syscalls[] = { SCMP_SYS(openat), SCMP_SYS(statx),   SCMP_SYS(getdents64),
					 SCMP_SYS(close),  SCMP_SYS(sysinfo), SYSCALLS_END };

#define BUFFER	    32768u
#define PAUSE_EVERY 256u /* directories */

/* A directory that is still to be read. */
struct todo {
	struct todo *next;
	char path[];
};

struct search {
	struct fs *fs;
	struct search_item **items; /* by inode number */
	size_t n, missing;
	bool exact; /* the second pass */
	struct todo *todo;
	struct state_walk walk;
	_Alignas(8) uint8_t buf[BUFFER];
};

static int by_ino(const void *a, const void *b)
{
	const struct search_item *const *x = a, *const *y = b;

	return ((*x)->inode->ino > (*y)->inode->ino) - ((*x)->inode->ino < (*y)->inode->ino);
}

/* The first item of that number, or the first of a higher one. */
static size_t lower_bound(const struct search *s, uint64_t ino)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->items[mid]->inode->ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* dir and name together, malloc()ed; or NULL, and *err: 0 if that is too long. */
static char *join(const char *dir, const char *name, size_t room, int *err)
{
	size_t a = strlen(dir), b = strlen(name), len = a + (a > 0) + b;
	char *s = len <= STATE_PATH_MAX ? malloc(room + len + 1) : NULL, *to;

	*err = len <= STATE_PATH_MAX && !s ? -ENOMEM : 0;
	if (!s)
		return NULL;
	to = s + room;
	memcpy(to, dir, a);
	if (a)
		to[a] = '/';
	memcpy(to + len - b, name, b + 1);
	return s;
}

static int add_todo(struct search *s, const char *dir, const char *name)
{
	int err;
	struct todo *t = (void *)join(dir, name, offsetof(struct todo, path), &err);

	if (!t)
		return err;
	t->next = s->todo;
	s->todo = t;
	return 0;
}

/* Is the entry one that is looked for? There may be several of one number. */
static int match(struct search *s, int fd, const char *dir, const char *name, uint64_t ino)
{
	int err = 0;

	for (size_t k = lower_bound(s, ino); !err && k < s->n && s->items[k]->inode->ino == ino;
	     k++) {
		struct search_item *item = s->items[k];

		if (item->path || !name_is(s->fs, fd, name, item->inode))
			continue;
		item->path = join(dir, name, 0, &err);
		s->missing -= item->path != NULL;
	}
	return err;
}

static int look_at(struct search *s, int fd, const char *dir, const struct host_dirent *d)
{
	uint64_t ino = d->ino;
	uint8_t type = d->type;
	int ret;

	if (dirent_is_dot(d))
		return 0;
	if (s->exact || type == DT_UNKNOWN) {
		struct statx st;

		if (statx(fd, d->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			  STATX_INO | STATX_TYPE, &st) < 0)
			return 0;
		ino = st.stx_ino;
		type = S_ISDIR(st.stx_mode) ? DT_DIR : DT_REG;
	}
	ret = match(s, fd, dir, d->name, ino);
	if (!ret && type == DT_DIR)
		ret = add_todo(s, dir, d->name);
	return ret;
}

/* Opens a directory of the share to read it. One that has gone meanwhile is -errno. */
static int open_dir(struct search *s, const char *path)
{
	int o = walk_open(&s->walk, path), fd;
	struct fd_name name;

	if (o < 0)
		return o;
	name = fd_name(o);
	fd = openat(AT_FDCWD, name.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_close(&o);
	return fd;
}

/* 0 also if it cannot be read. */
static int read_one(struct search *s, const char *path)
{
	int fd = open_dir(s, path), ret = 0;
	long n;

	if (fd < 0)
		return 0;
	while (!ret && s->missing && (n = syscall(SYS_getdents64, fd, s->buf, BUFFER)) > 0) {
		const struct host_dirent *d;
		size_t pos = 0;

		while (!ret && (d = dirent_next(s->buf, (size_t)n, &pos)))
			ret = look_at(s, fd, path, d);
	}
	fd_close(&fd);
	return ret;
}

static int pass(struct search *s, int (*pause)(void *ctx), void *ctx)
{
	int ret = add_todo(s, "", "");

	for (unsigned k = 0; !ret && s->todo && s->missing; k++) {
		struct todo *t = s->todo;

		s->todo = t->next;
		ret = read_one(s, t->path);
		free(t);
		if (!ret && k % PAUSE_EVERY == 0)
			ret = pause(ctx);
	}
	while (s->todo) {
		struct todo *t = s->todo;

		s->todo = t->next;
		free(t);
	}
	return ret;
}

int state_search(struct fs *fs, struct search_item **items, size_t n, int (*pause)(void *ctx),
		 void *ctx)
{
	struct search *s;
	int ret = 0;

	if (!n || fs->box->root_is_file)
		return 0;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->items = items;
	s->n = s->missing = n;
	s->exact = false;
	s->todo = NULL;
	walk_init(&s->walk, fs);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that are sorted */
	qsort(items, n, sizeof(items[0]), by_ino);
	for (int k = 0; k < 2 && s->missing && !ret; k++) {
		s->exact = k;
		ret = pass(s, pause, ctx);
	}
	walk_fini(&s->walk);
	free(s);
	return ret;
}
