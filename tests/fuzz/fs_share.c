/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fs_share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/fuzz/fuzz.h"

/* Beside the share, relative to the top. */
static const char *const canaries[] = { ".", "canary", "canary/secret", "canary/sub" };
static struct stat before[ARRAY_SIZE(canaries)];
static struct fs_share *made;

/* Flags that keep a file from being removed. */
static void unlock(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC), none = 0;

	if (fd < 0)
		return;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &none);
	close(fd);
}

/* The root of the share stays: it is open. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (!ftw->level || !remove(path))
		return 0;
	unlock(path);
	return remove(path);
}

static int remove_all(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	if (!remove(path))
		return 0;
	unlock(path);
	return remove(path);
}

static void clean_up(void)
{
	unlock(made->path);
	nftw(made->top, remove_all, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void look(const struct fs_share *s, struct stat *st)
{
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(canaries); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->top, canaries[i]);
		MUST(lstat(path, &st[i]) == 0);
	}
}

void share_make(struct fs_share *s)
{
	const char *where = getenv("VDAX_FUZZ_DIR");
	char path[128];

	if (!where)
		where = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	MUST(snprintf(s->top, sizeof(s->top), "%s/vdax-fuzz-XXXXXX", where) < (int)sizeof(s->top));
	MUST(mkdtemp(s->top));
	made = s;
	atexit(clean_up);
	snprintf(s->path, sizeof(s->path), "%s/share", s->top);
	snprintf(path, sizeof(path), "%s/canary", s->top);
	MUST(!mkdir(s->path, 0755) && !mkdir(path, 0755));
	put_file(path, "secret", "nobody shall see this");
	snprintf(path, sizeof(path), "%s/canary/sub", s->top);
	MUST(!mkdir(path, 0755));
	s->fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	MUST(s->fd >= 0 && s->proc_fd >= 0);
	look(s, before);
}

/* What requests may have done to the root of the share itself. */
static void reset_root(const struct fs_share *s)
{
	char names[4096];
	ssize_t n;

	unlock(s->path);
	MUST(!chown(s->path, geteuid(), getegid()) && !chmod(s->path, 0777));
	n = listxattr(s->path, names, sizeof(names));
	for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
		(void)removexattr(s->path, p);
}

void share_fill(const struct fs_share *s)
{
	char path[128];

	reset_root(s);
	MUST(nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
	put_file(s->path, "f", "0123456789");
	put_file(s->path, "g", "another");
	snprintf(path, sizeof(path), "%s/d", s->path);
	MUST(!mkdir(path, 0755));
	put_file(path, "in", "inside");
	snprintf(path, sizeof(path), "%s/out", s->path);
	MUST(!symlink("../canary", path));
	snprintf(path, sizeof(path), "%s/p", s->path);
	MUST(!mkfifo(path, 0644));
}

void share_check(const struct fs_share *s)
{
	struct stat now[ARRAY_SIZE(canaries)];

	look(s, now);
	for (size_t i = 0; i < ARRAY_SIZE(canaries); i++) {
		const struct stat *a = &before[i], *b = &now[i];

		MUST(a->st_ino == b->st_ino && a->st_mode == b->st_mode);
		MUST(a->st_uid == b->st_uid && a->st_gid == b->st_gid);
		MUST(a->st_nlink == b->st_nlink && a->st_size == b->st_size);
		MUST(!memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)));
		MUST(!memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)));
	}
}
