/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/dax.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "tests/lib/check.h"

#define BYTES  KIB(72) /* of one request */
#define QUIET  20      /* ms without anything */
#define CHUNK  KIB(64) /* that is compared at once */
#define FH_ANY UINT64_MAX

/* --- life --- */

void dax_boot(struct dax_guest *g, const struct fsd *d, const struct front_opts *opts)
{
	struct front_raw_opts o = { .bytes = BYTES };

	if (opts)
		o.front = *opts;
	o.front.num_queues = MAX(o.front.num_queues, 2u);
	g->d = d;
	g->r = fsd_connect_as(d, &o);
	g->f = g->r->f;
	g->window = front_shm_ptr(g->f, 0);
	fsd_init(g->r, DAX_INIT);
}

void dax_close(struct dax_guest *g)
{
	CHECK_EQ("QEMU would have crashed", g->f->stats.violations, 0);
	CHECK_EQ("what the guest owned was unmapped", g->f->stats.owned_violations, 0);
	CHECK_EQ("QEMU has grown a file", g->f->stats.grown, 0);
	front_raw_close(g->r);
	g->r = NULL;
}

void dax_new_driver(struct dax_guest *g)
{
	for (unsigned i = 0; i < g->f->num_queues; i++) {
		struct front_raw_queue *q = &g->r->q[i];

		for (unsigned s = 0; s < FRONT_RAW_DEPTH; s++)
			q->slot[s].busy = false;
		REQUIRE(!vdax_ring_init(&q->ring, q->ring.desc, q->ring_slots, g->r->queue_size,
					g->f->features));
	}
	REQUIRE(!front_start(g->f));
}

void dax_settle(struct dax_guest *g)
{
	while (front_poll(g->f, QUIET) > 0)
		;
}

/* --- requests --- */

int dax_post_map(struct dax_guest *g, uint64_t node, uint64_t file_off, uint64_t len,
		 uint64_t flags, uint64_t window_off)
{
	const struct fsd_rq rq = { FUSE_SETUPMAPPING,
				   node,
				   { FSD_BODY(setupmapping, .fh = FH_ANY, .foffset = file_off,
					      .len = len, .flags = flags, .moffset = window_off) },
				   0 };

	return fsd_post(g->r, 1, &rq, sizeof(struct fuse_out_header));
}

int dax_map(struct dax_guest *g, uint64_t node, uint64_t file_off, uint64_t len, uint64_t flags,
	    uint64_t window_off)
{
	int ticket = dax_post_map(g, node, file_off, len, flags, window_off);

	return fsd_wait(g->r, 1, ticket, NULL, 0);
}

int dax_unmap(struct dax_guest *g, uint64_t window_off, uint64_t len)
{
	const struct fuse_removemapping_one one = { window_off, len };
	const struct fsd_rq rq = { FUSE_REMOVEMAPPING,
				   0,
				   { FSD_BODY(removemapping, .count = 1), .tail = &one,
				     .tail_len = sizeof(one) },
				   0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

int dax_lookup(struct dax_guest *g, const char *name, struct fuse_entry_out *out)
{
	const struct fsd_rq rq = { FUSE_LOOKUP, 0, { FSD_NAME(name) }, 0 };

	return fsd_call(g->r, 1, &rq, out, sizeof(*out));
}

uint64_t dax_find(struct dax_guest *g, const char *name)
{
	uint64_t node = fsd_lookup(g->r, 1, FUSE_ROOT_ID, name);

	REQUIRE(node);
	return node;
}

int dax_getattr(struct dax_guest *g, uint64_t node, struct fuse_attr *attr)
{
	const struct fsd_rq rq = { FUSE_GETATTR, node, { FSD_BODY(getattr, .fh = 0) }, 0 };
	struct fuse_attr_out out = { 0 };
	int ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));

	*attr = out.attr;
	return ret;
}

int dax_truncate(struct dax_guest *g, uint64_t node, uint64_t size)
{
	const struct fsd_rq rq = {
		FUSE_SETATTR, node, { FSD_BODY(setattr, .valid = FATTR_SIZE, .size = size) }, 0
	};
	struct fuse_attr_out out = { 0 };
	int ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));

	return ret < 0 ? ret : 0;
}

int dax_write(struct dax_guest *g, uint64_t node, uint64_t fh, uint64_t off, const void *data,
	      size_t len)
{
	const struct fsd_rq rq = { FUSE_WRITE,
				   node,
				   { FSD_BODY(write, .fh = fh, .offset = off,
					      .size = (uint32_t)len),
				     .tail = data, .tail_len = len },
				   0 };
	struct fuse_write_out out = { 0 };
	int ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));

	return ret < 0 ? ret : (int)out.size;
}

int dax_fsync(struct dax_guest *g, uint64_t node, uint64_t fh)
{
	const struct fsd_rq rq = { FUSE_FSYNC, node, { FSD_BODY(fsync, .fh = fh) }, 0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

int dax_release(struct dax_guest *g, uint64_t node, uint64_t fh)
{
	const struct fsd_rq rq = { FUSE_RELEASE, node, { FSD_BODY(release, .fh = fh) }, 0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

int dax_destroy(struct dax_guest *g)
{
	const struct fsd_rq rq = { FUSE_DESTROY, 0, { 0 }, 0 };

	return fsd_call(g->r, 1, &rq, NULL, 0);
}

/* --- the window --- */

/* By the kernel, which returns an error where a guest, or this test, would be ended. */
bool dax_load(const struct dax_guest *g, uint64_t off, void *buf, size_t len)
{
	const struct iovec to = { buf, len }, from = { g->window + off, len };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)len;
}

bool dax_store(const struct dax_guest *g, uint64_t off, const void *buf, size_t len)
{
	const struct iovec from = { (void *)(uintptr_t)buf, len }, to = { g->window + off, len };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)len;
}

bool dax_shows(const struct dax_guest *g, uint64_t off, unsigned seed, uint64_t file_off,
	       size_t len)
{
	static uint8_t got[CHUNK], want[CHUNK];

	for (size_t done = 0; done < len; done += CHUNK) {
		size_t n = MIN(len - done, (size_t)CHUNK);

		dax_pattern(seed, file_off + done, want, n);
		if (!dax_load(g, off + done, got, n) || memcmp(got, want, n) != 0)
			return false;
	}
	return true;
}

bool dax_shows_zeros(const struct dax_guest *g, uint64_t off, size_t len)
{
	static uint8_t got[CHUNK];
	static const uint8_t zeros[CHUNK];

	for (size_t done = 0; done < len; done += CHUNK) {
		size_t n = MIN(len - done, (size_t)CHUNK);

		if (!dax_load(g, off + done, got, n) || memcmp(got, zeros, n) != 0)
			return false;
	}
	return true;
}

/* --- the host --- */

void dax_pattern(unsigned seed, uint64_t off, void *buf, size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		uint64_t x = ((off + i) ^ (uint64_t)seed << 48) * UINT64_C(0x9e3779b97f4a7c15);

		p[i] = (uint8_t)(1 + (x >> 40) % 255);
	}
}

int dax_make(const struct fsd *d, const char *name, unsigned seed, uint64_t size)
{
	static uint8_t buf[MIB(1)];
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d->share, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0);
	for (uint64_t off = 0; off < size; off += sizeof(buf)) {
		size_t n = MIN(size - off, sizeof(buf));

		dax_pattern(seed, off, buf, n);
		REQUIRE(pwrite(fd, buf, n, (off_t)off) == (ssize_t)n);
	}
	return fd;
}

bool dax_file_has(int fd, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *want = buf;
	uint8_t got[4096];

	for (size_t done = 0; done < len; done += sizeof(got)) {
		size_t n = MIN(len - done, sizeof(got));

		if (pread(fd, got, n, (off_t)(off + done)) != (ssize_t)n ||
		    memcmp(got, want + done, n) != 0)
			return false;
	}
	return true;
}

struct dax_sample dax_sample_make(struct dax_guest *g, uint64_t size)
{
	static unsigned seed;
	struct dax_sample f = { .seed = ++seed };

	snprintf(f.name, sizeof(f.name), "sample%u", f.seed);
	f.fd = dax_make(g->d, f.name, f.seed, size);
	f.node = dax_find(g, f.name);
	f.fh = fsd_open(g->r, 1, FUSE_OPEN, f.node, O_RDWR);
	return f;
}

void dax_sample_drop(struct dax_guest *g, struct dax_sample *f)
{
	CHECK_EQ("RELEASE", dax_release(g, f->node, f->fh), 0);
	CHECK_EQ("FORGET", fsd_forget(g->r, 0, f->node, 1), 0);
	close(f->fd);
}

uint64_t dax_sample_size(const struct dax_sample *f)
{
	struct stat st;

	REQUIRE(!fstat(f->fd, &st));
	return (uint64_t)st.st_size;
}

void dax_sample_map(struct dax_guest *g, const struct dax_sample *f, uint64_t flags)
{
	for (uint64_t at = 0; at < MAX(dax_sample_size(f), 1u); at += DAX_RANGE)
		CHECK_EQ("map", dax_map(g, f->node, at, DAX_RANGE, flags, at), 0);
}
