/* SPDX-License-Identifier: BSD-2-Clause */
/* A file system without a transport, and its state in memory: for the tests of fs/state*.c. */
#ifndef TESTS_UNIT_FS_STATE_H
#define TESTS_UNIT_FS_STATE_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "fs/seccomp.h"
#include "fs/state.h"
#include "host/fd.h"

struct stage {
	struct fs fs;
	struct fs_config cfg;
	struct fs_sandbox box;
};

static inline int stage_open(struct stage *s, const char *dir, const struct fs_config *cfg)
{
	s->cfg = *cfg;
	s->cfg.num_queues = 1;
	s->cfg.pool_threads = 1;
	s->cfg.engine = FS_ENGINE_POOL;
	s->cfg.max_inode_fds = 20000;
	s->cfg.rlimit_nofile = 30000;
	s->box = (struct fs_sandbox){
		.root_fd = open(dir, O_PATH | O_CLOEXEC),
		.proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.mountinfo_fd = -1,
	};
	if (s->box.root_fd < 0 || s->box.proc_self_fd < 0 || fchdir(s->box.proc_self_fd) < 0)
		return -errno;
	return fs_init(&s->fs, "fs", &s->cfg, &s->box);
}

static inline void stage_close(struct stage *s)
{
	fs_fini(&s->fs);
	fd_close(&s->box.root_fd);
	fd_close(&s->box.proc_self_fd);
}

/* A state, all in memory. */
struct bytes {
	uint8_t *data;
	size_t len, cap, pos;
	size_t fail_at; /* writing more than that fails; 0: never */
};

static inline int bytes_write(void *ctx, const void *data, size_t len)
{
	struct bytes *b = ctx;

	if (b->fail_at && b->len + len > b->fail_at)
		return -EPIPE;
	if (b->len + len > b->cap) {
		b->cap = 2 * (b->len + len);
		b->data = realloc(b->data, b->cap);
		if (!b->data)
			return -ENOMEM;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static inline int64_t bytes_read(void *ctx, void *data, size_t len)
{
	struct bytes *b = ctx;

	len = len < b->len - b->pos ? len : b->len - b->pos;
	if (len)
		memcpy(data, b->data + b->pos, len);
	b->pos += len;
	return (int64_t)len;
}

static inline int save_to(struct stage *s, struct bytes *b)
{
	static struct state_out out;
	int ret;

	memset(&out, 0, sizeof(out));
	out.write = bytes_write;
	out.ctx = b;
	b->len = 0;
	ret = s->fs.ops.save(&s->fs, &out);
	return ret ? ret : state_flush(&out);
}

/* Like the transport: what follows the state is an error. */
static inline int load_from(struct stage *s, const uint8_t *data, size_t len)
{
	static struct state_in in;
	struct bytes b = { .data = (uint8_t *)(uintptr_t)data, .len = len };
	char more;
	int ret;

	memset(&in, 0, sizeof(in));
	in.read = bytes_read;
	in.ctx = &b;
	ret = s->fs.ops.load(&s->fs, &in);
	if (!ret && state_get(&in, &more, 1) != -ENODATA) {
		s->fs.ops.reset(&s->fs);
		ret = -EPROTO;
	}
	return ret;
}

/* Looks path up as a guest would, one name at a time. Its node id, or -errno. */
static inline int64_t look_up(struct stage *s, const char *path)
{
	struct inode *i = inode_get(&s->fs, FUSE_ROOT_ID);
	char copy[4096], *save = NULL;

	strcpy(copy, path);
	for (char *n = strtok_r(copy, "/", &save); n; n = strtok_r(NULL, "/", &save)) {
		int fd = inode_fd(&s->fs, i), ret;
		struct inode *next;
		struct statx st;

		if (fd < 0)
			return fd;
		ret = inode_lookup(&s->fs, i, fd, n, &st, &next);
		inode_fd_put(i);
		inode_put(&s->fs, i);
		if (ret)
			return ret;
		i = inode_get(&s->fs, inode_id(next));
	}
	inode_put(&s->fs, i);
	return (int64_t)inode_id(i);
}

/* Opens what is known as nodeid. */
static inline int open_node(struct stage *s, uint64_t nodeid, int flags, uint64_t *fh)
{
	struct inode *i = inode_get(&s->fs, nodeid);
	int fd = i ? inode_open(&s->fs, i, flags) : -ENOENT, ret = fd;

	if (fd >= 0)
		ret = handle_new(&s->fs, i, fd, flags, S_ISDIR(i->type), fh);
	if (i)
		inode_put(&s->fs, i);
	return ret;
}

#endif
