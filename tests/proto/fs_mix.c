/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/fs_mix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"

static const char *const names[] = { "a", "b", "c", "dir" };

static const uint32_t opcodes[] = {
	FUSE_LOOKUP, FUSE_LOOKUP,  FUSE_LOOKUP,	 FUSE_CREATE,  FUSE_CREATE,  FUSE_UNLINK,
	FUSE_RENAME, FUSE_RENAME,  FUSE_LINK,	 FUSE_GETATTR, FUSE_GETATTR, FUSE_FORGET,
	FUSE_FORGET, FUSE_FORGET,  FUSE_MKDIR,	 FUSE_RMDIR,   FUSE_OPENDIR, FUSE_READDIRPLUS,
	FUSE_OPEN,   FUSE_RELEASE, FUSE_SETATTR,
};

static uint32_t below(struct mix *m, uint32_t n)
{
	m->random = m->random * 1664525u + 1013904223u;
	return (m->random >> 8) % n;
}

void mix_init(struct mix *m, unsigned seed)
{
	*m = (struct mix){ .random = seed * 2654435761u + 1 };
}

/* --- requests --- */

static void add(struct mix_rq *rq, const void *bytes, size_t len)
{
	memcpy(rq->body + rq->len, bytes, len);
	rq->len += (uint32_t)len;
}

#define ADD(rq, type, ...) \
	add(rq, &(const struct fuse_##type##_in){ __VA_ARGS__ }, sizeof(struct fuse_##type##_in))

static void add_name(struct mix *m, struct mix_rq *rq)
{
	const char *name = names[below(m, ARRAY_SIZE(names))];

	add(rq, name, strlen(name) + 1);
}

static uint64_t some_node(struct mix *m)
{
	return m->n_nodes ? m->nodes[below(m, m->n_nodes)].id : FUSE_ROOT_ID;
}

/* The root, mostly; or what may be a directory. */
static uint64_t some_dir(struct mix *m)
{
	return below(m, 4) ? FUSE_ROOT_ID : some_node(m);
}

static void forget(struct mix *m, struct mix_rq *rq, unsigned i)
{
	uint64_t n = m->ending ? m->nodes[i].n : 1;

	rq->opcode = FUSE_FORGET;
	rq->nodeid = m->nodes[i].id;
	rq->silent = true;
	ADD(rq, forget, .nlookup = n);
	m->nodes[i].n -= n;
	if (!m->nodes[i].n)
		m->nodes[i] = m->nodes[--m->n_nodes];
}

static void release(struct mix *m, struct mix_rq *rq)
{
	rq->opcode = m->fh_is_dir ? FUSE_RELEASEDIR : FUSE_RELEASE;
	rq->nodeid = m->fh_node;
	ADD(rq, release, .fh = m->fh);
	m->fh = 0;
}

static void fill(struct mix *m, struct mix_rq *rq)
{
	switch (rq->opcode) {
	case FUSE_CREATE:
		rq->nodeid = some_dir(m);
		ADD(rq, create, .flags = O_RDWR | (below(m, 2) ? O_EXCL : 0), .mode = 0644);
		break;
	case FUSE_MKDIR:
		rq->nodeid = some_dir(m);
		ADD(rq, mkdir, .mode = 0755);
		break;
	case FUSE_RENAME:
		rq->nodeid = some_dir(m);
		ADD(rq, rename, .newdir = some_dir(m));
		add_name(m, rq);
		break;
	case FUSE_LINK:
		rq->nodeid = some_dir(m);
		ADD(rq, link, .oldnodeid = some_node(m));
		break;
	case FUSE_GETATTR:
		rq->nodeid = some_node(m);
		ADD(rq, getattr, 0);
		return;
	case FUSE_SETATTR:
		rq->nodeid = some_node(m);
		ADD(rq, setattr, .valid = FATTR_MODE, .mode = 0700 | below(m, 64));
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		rq->nodeid = rq->opcode == FUSE_OPENDIR ? some_dir(m) : some_node(m);
		ADD(rq, open, .flags = O_RDONLY);
		return;
	case FUSE_READDIRPLUS:
		rq->nodeid = m->fh_node;
		ADD(rq, read, .fh = m->fh, .size = 2000);
		return;
	default:
		rq->nodeid = some_dir(m);
	}
	add_name(m, rq);
}

bool mix_next(struct mix *m, struct mix_rq *rq)
{
	/* One more answer may tell of so many. */
	bool full = m->n_nodes + 16 > MIX_KNOWN;

	*rq = (struct mix_rq){ .opcode = opcodes[below(m, ARRAY_SIZE(opcodes))] };
	if (m->ending && !m->fh && !m->n_nodes)
		return false;
	if (m->fh && (m->ending || rq->opcode == FUSE_CREATE || rq->opcode == FUSE_OPEN ||
		      rq->opcode == FUSE_OPENDIR || rq->opcode == FUSE_RELEASE))
		release(m, rq);
	else if (m->n_nodes && (m->ending || full || rq->opcode == FUSE_FORGET))
		forget(m, rq, below(m, m->n_nodes));
	else if (rq->opcode == FUSE_FORGET || rq->opcode == FUSE_RELEASE ||
		 (rq->opcode == FUSE_READDIRPLUS && !m->fh))
		rq->opcode = FUSE_LOOKUP, fill(m, rq);
	else
		fill(m, rq);
	return true;
}

/* --- answers --- */

/* One lookup of ours keeps the id: it is that file's until we forget it. */
static void learn(struct mix *m, const struct fuse_entry_out *e)
{
	if (!e->nodeid)
		return;
	for (unsigned i = 0; i < m->n_nodes; i++) {
		if (m->nodes[i].id != e->nodeid)
			continue;
		m->nodes[i].n++;
		m->wrong += m->nodes[i].ino != e->attr.ino;
		return;
	}
	m->nodes[m->n_nodes++] = (struct mix_node){ e->nodeid, e->attr.ino, 1 };
}

static void learn_dirents(struct mix *m, const uint8_t *p, int len)
{
	while (len > 0) {
		struct fuse_direntplus d;
		int size;

		memcpy(&d, p, sizeof(d));
		size = (int)FUSE_DIRENTPLUS_SIZE(d.dirent.namelen);
		m->wrong += size > len;
		learn(m, &d.entry_out);
		p += size;
		len -= size;
	}
}

static void opened(struct mix *m, uint64_t fh, uint64_t node, bool is_dir)
{
	m->fh = fh;
	m->fh_node = node;
	m->fh_is_dir = is_dir;
}

/* What may happen to a request when others are faster. EBADF, EIO and the like may not. */
static bool possible(int err)
{
	static const int errors[] = { ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ESTALE, EINVAL,
				      EPERM,  ELOOP,  EXDEV,   EBUSY,  ENXIO,	  EMLINK };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (err == -errors[i])
			return true;
	return false;
}

void mix_answer(struct mix *m, const struct mix_rq *rq, int ret, const uint8_t *body)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };

	m->done++;
	if (ret < 0) {
		m->failed++;
		if (possible(ret) || (ret == -ENOTDIR && rq->opcode == FUSE_READDIRPLUS))
			return;
		m->wrong++;
		fprintf(stderr, "opcode %u: %s\n", rq->opcode, strerror(-ret));
		return;
	}
	memcpy(&out, body, MIN((size_t)ret, sizeof(out)));
	switch (rq->opcode) {
	case FUSE_CREATE:
		learn(m, &out.entry);
		opened(m, out.open.fh, out.entry.nodeid, false);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKDIR:
	case FUSE_LINK:
		learn(m, &out.entry);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		memcpy(&out.open, body, sizeof(out.open));
		opened(m, out.open.fh, rq->nodeid, rq->opcode == FUSE_OPENDIR);
		break;
	case FUSE_READDIRPLUS:
		learn_dirents(m, body, ret);
		break;
	}
}
