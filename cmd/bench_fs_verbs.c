/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a Linux guest sends for one operation of a program. OPEN and FLUSH are left out for good
 * when the device says ENOSYS; FORGETs are collected and sent by the high-priority queue.
 */
#include "cmd/bench_fs_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"

static uint64_t next_random(struct bench_driver *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random;
}

static const struct vdax_fs_data *data_of(struct bench_job *j, uint32_t len)
{
	j->seg.len = len;
	return &j->data;
}

/* --- Files that come and go --- */

static int send_create(struct bench_job *j)
{
	struct bench_driver *d = j->d;

	snprintf(j->name, sizeof(j->name), "c%u", d->begun - 1);
	return vdax_fs_create(d->q, &j->rq, d->dir, j->name, O_RDWR, 0100644, 022);
}

static int took_create(struct bench_job *j, int ret)
{
	struct bench_driver *d = j->d;

	if (ret)
		return ret;
	j->node = j->rq.reply.created.entry.nodeid;
	j->fh = j->rq.reply.created.open.fh;
	d->created[strtoul(j->name + 1, NULL, 10)] = j->node;
	d->n_created++;
	return 0;
}

static int send_unlink(struct bench_job *j)
{
	struct bench_driver *d = j->d;

	j->node = d->created[d->n_removed];
	snprintf(j->name, sizeof(j->name), "c%u", d->n_removed++);
	return vdax_fs_unlink(d->q, &j->rq, d->dir, j->name);
}

static int took_unlink(struct bench_job *j, int ret)
{
	if (!ret)
		bench_forget(j->d, j->node, 1);
	return ret;
}

static int send_mkdir(struct bench_job *j)
{
	snprintf(j->name, sizeof(j->name), "m%u", j->index);
	return vdax_fs_mkdir(j->d->q, &j->rq, j->d->dir, j->name, 0755, 022);
}

static int took_mkdir(struct bench_job *j, int ret)
{
	j->node = j->rq.reply.entry.nodeid;
	return ret;
}

static int send_rmdir(struct bench_job *j)
{
	return vdax_fs_rmdir(j->d->q, &j->rq, j->d->dir, j->name);
}

static int send_rename(struct bench_job *j)
{
	char to[16];

	snprintf(j->name, sizeof(j->name), "%c%u", j->flipped ? 'r' : 'f', j->index);
	snprintf(to, sizeof(to), "%c%u", j->flipped ? 'f' : 'r', j->index);
	j->flipped = !j->flipped;
	return vdax_fs_rename2(j->d->q, &j->rq, j->d->dir, j->name, j->d->dir, to, 0);
}

/* --- Names and attributes --- */

static int send_lookup(struct bench_job *j)
{
	snprintf(j->name, sizeof(j->name), "f%u", j->index);
	return vdax_fs_lookup(j->d->q, &j->rq, j->d->dir, j->name);
}

static int took_entry(struct bench_job *j, int ret)
{
	if (!ret)
		bench_forget(j->d, j->rq.reply.entry.nodeid, 1);
	return ret;
}

static int send_lookup_cold(struct bench_job *j)
{
	snprintf(j->name, sizeof(j->name), "x%u", j->d->next_cold++ % BENCH_COLD);
	return vdax_fs_lookup(j->d->q, &j->rq, j->d->dir, j->name);
}

static int send_getattr(struct bench_job *j)
{
	return vdax_fs_getattr(j->d->q, &j->rq, j->file, NULL);
}

static int send_chmod(struct bench_job *j)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_MODE, .mode = S_IFREG | (next_random(j->d) & 1 ? 0644 : 0600)
	};

	return vdax_fs_setattr(j->d->q, &j->rq, j->file, &in);
}

static int send_statfs(struct bench_job *j)
{
	return vdax_fs_statfs(j->d->q, &j->rq, FUSE_ROOT_ID);
}

/* --- Open files --- */

static int send_open(struct bench_job *j)
{
	j->node = j->file;
	return j->d->no_open ? 1 : vdax_fs_open(j->d->q, &j->rq, j->node, O_RDWR);
}

static int took_open(struct bench_job *j, int ret)
{
	if (ret == -ENOSYS)
		j->d->no_open = true;
	j->fh = ret ? 0 : j->rq.reply.open.fh;
	return ret == -ENOSYS ? 0 : ret;
}

static int send_flush(struct bench_job *j)
{
	return j->d->no_flush ? 1 : vdax_fs_flush(j->d->q, &j->rq, j->node, j->fh, 1);
}

static int took_flush(struct bench_job *j, int ret)
{
	if (ret == -ENOSYS)
		j->d->no_flush = true;
	return ret == -ENOSYS ? 0 : ret;
}

static int send_release(struct bench_job *j)
{
	return j->d->no_open ? 1 : vdax_fs_release(j->d->q, &j->rq, j->node, j->fh, O_RDWR);
}

static int send_read_small(struct bench_job *j)
{
	return vdax_fs_read(j->d->q, &j->rq, j->node, j->fh, 0, data_of(j, BENCH_PAGE));
}

static uint64_t random_page(struct bench_job *j)
{
	return next_random(j->d) % (BENCH_BIG / BENCH_PAGE) * BENCH_PAGE;
}

/* The next piece of the file; the jobs of a driver share the place. */
static uint64_t next_chunk(struct bench_job *j)
{
	struct bench_driver *d = j->d;
	uint64_t off = d->begun * (uint64_t)d->s->chunk % BENCH_BIG;

	return off + d->s->chunk <= BENCH_BIG ? off : 0;
}

static int send_read(struct bench_job *j)
{
	return vdax_fs_read(j->d->q, &j->rq, j->d->big, j->d->big_fh, random_page(j),
			    data_of(j, BENCH_PAGE));
}

static int send_read_direct(struct bench_job *j)
{
	return vdax_fs_read(j->d->q, &j->rq, j->d->big, j->d->direct_fh, random_page(j),
			    data_of(j, BENCH_PAGE));
}

static int send_write(struct bench_job *j)
{
	return vdax_fs_write(j->d->q, &j->rq, j->d->big, j->d->big_fh, random_page(j),
			     data_of(j, BENCH_PAGE));
}

static int send_read_chunk(struct bench_job *j)
{
	return vdax_fs_read(j->d->q, &j->rq, j->d->big, j->d->big_fh, next_chunk(j),
			    data_of(j, j->d->s->chunk));
}

static int send_write_chunk(struct bench_job *j)
{
	return vdax_fs_write(j->d->q, &j->rq, j->d->big, j->d->big_fh, next_chunk(j),
			     data_of(j, j->d->s->chunk));
}

/* Less than asked for is a failure here: nobody cuts these files. */
static int took_all(struct bench_job *j, int ret)
{
	if (ret < 0)
		return ret;
	return (uint32_t)ret == j->seg.len ? 0 : -EIO;
}

/* --- Directories --- */

static int send_opendir(struct bench_job *j)
{
	j->off = 0;
	return vdax_fs_opendir(j->d->q, &j->rq, j->d->list, O_RDONLY);
}

/* ENOSYS to OPENDIR: handle 0 will do, and RELEASEDIR is not sent. */
static int took_opendir(struct bench_job *j, int ret)
{
	j->fh = ret ? UINT64_MAX : j->rq.reply.open.fh;
	return ret == -ENOSYS ? 0 : ret;
}

static uint64_t dir_fh(const struct bench_job *j)
{
	return j->fh == UINT64_MAX ? 0 : j->fh;
}

static int send_readdir(struct bench_job *j)
{
	return vdax_fs_readdir(j->d->q, &j->rq, j->d->list, dir_fh(j), j->off,
			       data_of(j, BENCH_PAGE));
}

static int send_readdirplus(struct bench_job *j)
{
	return vdax_fs_readdirplus(j->d->q, &j->rq, j->d->list, dir_fh(j), j->off,
				   data_of(j, BENCH_PAGE));
}

/* All entries, for the place to go on. With attributes each is a reference, which a guest keeps. */
static int took_entries(struct bench_job *j, int ret, bool plus)
{
	struct vdax_fs_dirents it;
	struct vdax_fs_dirent e;
	int more;

	if (ret <= 0)
		return ret;
	vdax_fs_dirents_start(&it, j->buf, ret, plus);
	while ((more = vdax_fs_dirents_next(&it, &e)) == 1)
		j->off = e.off;
	return more ? more : 1;
}

static int took_readdir(struct bench_job *j, int ret)
{
	return took_entries(j, ret, false);
}

static int took_readdirplus(struct bench_job *j, int ret)
{
	return took_entries(j, ret, true);
}

static int send_releasedir(struct bench_job *j)
{
	if (j->fh == UINT64_MAX)
		return 1;
	return vdax_fs_releasedir(j->d->q, &j->rq, j->d->list, j->fh, O_RDONLY);
}

/* --- The tables --- */

static const struct bench_verb v_create = { send_create, took_create };
static const struct bench_verb v_unlink = { send_unlink, took_unlink };
static const struct bench_verb v_lookup = { send_lookup, took_entry };
static const struct bench_verb v_lookup_cold = { send_lookup_cold, took_entry };
static const struct bench_verb v_getattr = { send_getattr, NULL };
static const struct bench_verb v_chmod = { send_chmod, NULL };
static const struct bench_verb v_statfs = { send_statfs, NULL };
static const struct bench_verb v_open = { send_open, took_open };
static const struct bench_verb v_read_small = { send_read_small, took_all };
static const struct bench_verb v_flush = { send_flush, took_flush };
static const struct bench_verb v_release = { send_release, NULL };
static const struct bench_verb v_opendir = { send_opendir, took_opendir };
static const struct bench_verb v_readdir = { send_readdir, took_readdir };
static const struct bench_verb v_readdirplus = { send_readdirplus, took_readdirplus };
static const struct bench_verb v_releasedir = { send_releasedir, NULL };
static const struct bench_verb v_rename = { send_rename, NULL };
static const struct bench_verb v_mkdir = { send_mkdir, took_mkdir };
static const struct bench_verb v_rmdir = { send_rmdir, took_unlink };
static const struct bench_verb v_read = { send_read, took_all };
static const struct bench_verb v_read_direct = { send_read_direct, took_all };
static const struct bench_verb v_write = { send_write, took_all };
static const struct bench_verb v_read_chunk = { send_read_chunk, took_all };
static const struct bench_verb v_write_chunk = { send_write_chunk, took_all };

static const struct bench_workload remove_all = { .verb = { &v_unlink }, .role = BENCH_REMOVES };
static const struct bench_workload make_all = { .verb = { &v_create, &v_flush, &v_release },
						.role = BENCH_MAKES };

static const struct bench_workload workloads[] = {
	{ .name = "create+close",
	  .verb = { &v_create, &v_flush, &v_release },
	  .after = &remove_all,
	  .role = BENCH_MAKES },
	{ .name = "unlink", .verb = { &v_unlink }, .before = &make_all, .role = BENCH_REMOVES },
	{ .name = "lookup", .verb = { &v_lookup } },
	{ .name = "lookup-cold", .verb = { &v_lookup_cold } },
	{ .name = "getattr", .verb = { &v_getattr } },
	{ .name = "chmod", .verb = { &v_chmod } },
	{ .name = "open+close", .verb = { &v_open, &v_flush, &v_release } },
	{ .name = "open+read+close", .verb = { &v_open, &v_read_small, &v_flush, &v_release } },
	{ .name = "readdir", .verb = { &v_opendir, &v_readdir, &v_releasedir } },
	{ .name = "readdirplus", .verb = { &v_opendir, &v_readdirplus, &v_releasedir } },
	{ .name = "rename", .verb = { &v_rename } },
	{ .name = "mkdir+rmdir", .verb = { &v_mkdir, &v_rmdir } },
	{ .name = "statfs", .verb = { &v_statfs } },
	{ .name = "read-4k", .verb = { &v_read } },
	{ .name = "read-4k-direct", .verb = { &v_read_direct } },
	{ .name = "write-4k", .verb = { &v_write } },
	{ .name = "read-1m", .verb = { &v_read_chunk }, .large = true },
	{ .name = "write-1m", .verb = { &v_write_chunk }, .large = true },
};

const struct bench_workload *bench_workload_at(unsigned i)
{
	return i < ARRAY_SIZE(workloads) ? &workloads[i] : NULL;
}

const struct bench_workload *bench_workload_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	}
	return NULL;
}

const char *bench_workload_name(const struct bench_workload *w)
{
	return w->name;
}

bool bench_workload_is_large(const struct bench_workload *w)
{
	return w->large;
}
