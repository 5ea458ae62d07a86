/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection to one daemon, and the files that its drivers work with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/bench_fs_verbs.h"
#include "front/ram.h"
#include "host/fd.h"
#include "host/log.h"

#define CHUNK_MAX  (1u << 20)
#define QUEUE_SIZE 128u
#define PATH_LEN   256

/* As a Linux guest asks for, but for what it needs its own page cache for. */
#define INIT_FLAGS                                                                                \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES |          \
	 FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |    \
	 FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_NO_OPENDIR_SUPPORT | \
	 FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_SUBMOUNTS)

/* --- On the host --- */

static int make_file(const char *path, size_t len)
{
	static uint8_t block[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), ret = 0;

	if (fd < 0)
		return -errno;
	memset(block, 'v', sizeof(block));
	while (len && !ret) {
		size_t part = MIN(len, sizeof(block));

		if (write(fd, block, part) != (ssize_t)part)
			ret = errno ? -errno : -ENOSPC;
		len -= part;
	}
	close(fd);
	return ret;
}

static int make_files(const char *dir, const char *prefix, unsigned n, size_t len)
{
	char path[PATH_LEN + 32];
	int ret = 0;

	for (unsigned i = 0; i < n && !ret; i++) {
		snprintf(path, sizeof(path), "%s/%s%u", dir, prefix, i);
		ret = make_file(path, len);
	}
	return ret;
}

static int make_tree(const char *dir, unsigned index)
{
	char path[PATH_LEN], sub[PATH_LEN];
	int ret;

	snprintf(path, sizeof(path), "%s/q%u", dir, index);
	snprintf(sub, sizeof(sub), "%s/q%u/list", dir, index);
	if (mkdir(path, 0755) < 0 || mkdir(sub, 0755) < 0)
		return -errno;
	ret = make_files(path, "f", BENCH_DEPTH_MAX, BENCH_PAGE);
	if (!ret)
		ret = make_files(path, "x", BENCH_COLD, 0);
	if (!ret)
		ret = make_files(sub, "a-file-with-a-name-", BENCH_LIST, 0);
	snprintf(path, sizeof(path), "%s/q%u/big", dir, index);
	return ret ? ret : make_file(path, BENCH_BIG);
}

/* --- Through the daemon --- */

static int look_up(struct bench_driver *d, uint64_t parent, const char *name, uint64_t *node)
{
	struct front_fs_call c;
	int ret;

	front_fs_call_init(&c);
	ret = front_fs_wait(d->s->g, &c, vdax_fs_lookup(d->q, &c.rq, parent, name));
	*node = ret ? 0 : c.rq.reply.entry.nodeid;
	return ret;
}

static int open_big(struct bench_driver *d, int flags, uint64_t *fh)
{
	struct front_fs_call c;
	int ret;

	front_fs_call_init(&c);
	ret = front_fs_wait(d->s->g, &c, vdax_fs_open(d->q, &c.rq, d->big, (uint32_t)flags));
	*fh = ret ? 0 : c.rq.reply.open.fh;
	return ret == -ENOSYS ? 0 : ret;
}

static int look_around(struct bench_driver *d)
{
	char name[16];
	int ret;

	snprintf(name, sizeof(name), "q%u", d->index);
	ret = look_up(d, FUSE_ROOT_ID, name, &d->dir);
	if (!ret)
		ret = look_up(d, d->dir, "list", &d->list);
	if (!ret)
		ret = look_up(d, d->dir, "big", &d->big);
	for (unsigned i = 0; i < BENCH_DEPTH_MAX && !ret; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ret = look_up(d, d->dir, name, &d->job[i].file);
	}
	if (ret)
		return ret;
	ret = open_big(d, O_RDWR, &d->big_fh);
	return ret ? ret : open_big(d, O_RDONLY | O_DIRECT, &d->direct_fh);
}

static int open_driver(struct bench_session *s, unsigned index)
{
	struct bench_driver *d = calloc(1, sizeof(*d));
	uint8_t *mem;
	int ret;

	if (!d)
		return -ENOMEM;
	s->driver[s->n++] = d;
	d->s = s;
	d->index = index;
	d->q = &s->g->q[1 + index];
	d->random = 88172645463325252u + index;
	d->waiter.epoll = -1;
	d->created = calloc(BENCH_CREATED, sizeof(*d->created));
	mem = front_ram_alloc(s->g->f, (size_t)BENCH_DEPTH_MAX * s->chunk, BENCH_PAGE);
	if (!d->created || !mem)
		return -ENOMEM;
	bench_driver_init_jobs(d, mem);
	ret = front_waiter_open(&d->waiter, s->g->f);
	if (!ret)
		ret = front_waiter_add(&d->waiter, s->g->f, 1 + index);
	return ret ? ret : look_around(d);
}

/* Files reach the disk now, and not while something is measured. */
static void sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		syncfs(fd);
	fd_close(&fd);
}

int bench_session_open(struct bench_session *s, int sock, const char *dir, unsigned queues)
{
	const struct front_fs_opts o = {
		.front = { .fd = sock,
			   .ram_size = MIB(16) + queues * (uint64_t)BENCH_DEPTH_MAX * CHUNK_MAX },
		.request_queues = queues,
		.queue_size = QUEUE_SIZE,
		.segs = 1,
		.flags = INIT_FLAGS,
	};
	int ret = 0;

	*s = (struct bench_session){ .hiprio = PTHREAD_MUTEX_INITIALIZER };
	for (unsigned i = 0; i < queues && !ret; i++)
		ret = make_tree(dir, i);
	sync_dir(dir);
	if (ret) {
		close(sock);
		log_err("bench fs", "cannot make files in %s: %s", dir, strerror(-ret));
		return ret;
	}
	ret = front_fs_open(&s->g, &o);
	if (!ret)
		s->chunk = MIN(s->g->fs.max_write, CHUNK_MAX);
	for (unsigned i = 0; !ret && i + 1 < s->g->num_queues; i++)
		ret = open_driver(s, i);
	if (ret)
		log_err("bench fs", "cannot use this daemon: %s", strerror(-ret));
	return ret;
}

void bench_session_close(struct bench_session *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		front_waiter_close(&s->driver[i]->waiter);
		free(s->driver[i]->created);
		free(s->driver[i]);
	}
	front_fs_close(s->g);
	*s = (struct bench_session){ .n = 0 };
}
