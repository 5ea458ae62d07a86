/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file, larger than any cache of the CPU, and a window that has room for all of it twice. A
 * round begins after INIT, so with nothing mapped, and ends with DESTROY:
 *
 *	first pass	a sequential reader, that maps as it goes and copies everything out
 *	second pass	the same again
 *	window, mmap	copy all of it out of the window, and out of a mapping of our own, part by
 *			part in turn, after what both show was compared
 *
 * and for each depth, again between INIT and DESTROY:
 *
 *	setup new	SETUPMAPPING for each range of the file
 *	setup cached	the same once more, after REMOVEMAPPING for all
 *
 * Monitor and guest share a thread: what the daemon asks of the monitor is done while the guest
 * waits.
 */
#include "cmd/bench_fs_dax.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/bench_fs_dax_print.h"
#include "cmd/bench_fs_load.h"
#include "cmd/latency.h"
#include "front/fs.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "host/log.h"
#include "vdax/dax.h"
#include "wire/virtio_fs.h"

#define FILE_NAME  "mapped"
#define CHUNK	   (128u << 10) /* bytes copied at once, as a read of Linux's read-ahead */
#define PART	   (1u << 20)	/* bytes for which the two ways of reading take turns */
#define AHEAD	   2u
#define OPS	   8u
#define INIT_FLAGS (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX)
#define READAHEAD  (128u << 10)
#define WAIT_MS	   5000
#define TIMEOUT_MS 60000 /* of a DESTROY, which unmaps everything */

struct dax_bench;

/* One SETUPMAPPING after another. */
struct setup {
	struct vdax_fs_rq rq;
	struct dax_bench *b;
	uint64_t began; /* ns */
};

/* Who reads through the window. */
struct reader {
	struct vdax_dax_rq rq;
	int ret;
};

struct dax_bench {
	const struct bench_dax_cfg *cfg;
	struct front_fs *g;
	uint64_t node;
	struct vdax_dax dax;
	struct vdax_dax_range *ranges;
	struct vdax_dax_op ops[OPS];
	struct reader reader;
	uint8_t *buf;	     /* CHUNK */
	const uint8_t *file; /* our own mapping */
	struct bench_dax_report report;

	/* Of a step with SETUPMAPPING. */
	struct setup setup[BENCH_DEPTH_MAX];
	uint64_t begun, ended, n; /* ranges */
	struct latency latency;
	int error;
};

/* --- The session --- */

static int look_up(struct dax_bench *b)
{
	struct front_fs_call c;
	int ret;

	front_fs_call_init(&c);
	ret = front_fs_wait(b->g, &c, vdax_fs_lookup(&b->g->q[1], &c.rq, FUSE_ROOT_ID, FILE_NAME));
	b->node = c.rq.reply.entry.nodeid;
	return ret;
}

/* Nothing is mapped any more. */
static int new_session(struct dax_bench *b)
{
	struct vdax_fs_queue *q = &b->g->q[1];
	struct front_fs_call c;
	int ret;

	front_fs_call_init(&c);
	ret = front_fs_wait(b->g, &c, vdax_fs_destroy(q, &c.rq));
	if (!ret)
		ret = front_fs_wait(b->g, &c, vdax_fs_init(q, &c.rq, INIT_FLAGS, READAHEAD));
	if (!ret)
		ret = vdax_dax_reset(&b->dax);
	return ret ? ret : look_up(b);
}

static int open_window(struct dax_bench *b)
{
	struct vdax_dax_opts o = { .platform = &b->g->platform,
				   .queue = &b->g->q[1],
				   .base = front_shm_ptr(b->g->f, VIRTIO_FS_SHMID_CACHE),
				   .min_range = b->cfg->range,
				   .num_ranges = (uint32_t)b->n,
				   .ops = b->ops,
				   .num_ops = OPS,
				   .ahead = AHEAD };

	b->ranges = calloc(b->n, sizeof(*b->ranges));
	b->buf = malloc(CHUNK);
	if (!b->ranges || !b->buf)
		return -ENOMEM;
	o.ranges = b->ranges;
	if (!o.base || b->g->f->shm_size[VIRTIO_FS_SHMID_CACHE] < b->cfg->size)
		return -ENODEV;
	return vdax_dax_init(&b->dax, &o);
}

/* --- Copying --- */

static void map_ended(struct vdax_dax_rq *rq, int ret)
{
	container_of(rq, struct reader, rq)->ret = ret;
}

/* Until the reader has what it asked for. What is mapped ahead goes on meanwhile. */
static int wait_for_map(struct dax_bench *b, struct reader *r)
{
	const uint64_t deadline = clock_ns() + WAIT_MS * UINT64_C(1000000);

	while (r->rq.busy) {
		int ret = front_fs_poll(b->g, WAIT_MS);

		if (ret < 0)
			return ret;
		if (r->rq.busy && clock_ns() > deadline)
			return -ETIMEDOUT;
	}
	return r->ret;
}

/* The bytes at off, pinned; the window shows them, or shall. */
static int window_at(struct dax_bench *b, struct reader *r, uint64_t off, void **p)
{
	int ret;

	r->rq.done = map_ended;
	r->rq.nodeid = b->node;
	r->rq.off = off;
	r->rq.len = CHUNK;
	r->rq.size = b->cfg->size;
	ret = vdax_dax_map(&b->dax, &r->rq);
	if (ret > 0 && b->dax.under_way)
		front_fs_poll(b->g, 0);
	if (!ret)
		ret = wait_for_map(b, r);
	return ret < 0 ? ret : vdax_dax_ptr(&b->dax, &r->rq.pin, p);
}

/* [off, end) by the window: into the buffer, or compared with our own mapping. */
static int go_through_window(struct dax_bench *b, uint64_t off, uint64_t end, bool compare)
{
	for (; off < end; off += CHUNK) {
		bool same = true;
		void *p;
		int ret = window_at(b, &b->reader, off, &p);

		if (ret)
			return ret;
		if (compare)
			same = !memcmp(p, b->file + off, CHUNK);
		else
			memcpy(b->buf, p, CHUNK);
		vdax_dax_unpin(&b->dax, &b->reader.rq.pin);
		if (!same)
			return -EILSEQ;
	}
	return 0;
}

static void go_through_mmap(struct dax_bench *b, uint64_t off, uint64_t end)
{
	for (; off < end; off += CHUNK)
		memcpy(b->buf, b->file + off, CHUNK);
}

/* --- Steps --- */

#define SET(row, figure_, value) ((row)->figure[figure_][round] = (double)(value))

static int step_pass(struct dax_bench *b, enum bench_dax_step step, unsigned round)
{
	struct bench_dax_row *row = bench_dax_row(&b->report, step, 0);
	const struct front_stats front = b->g->f->stats;
	const struct vdax_dax_stats dax = b->dax.stats;
	const uint64_t begin = clock_ns();
	int ret = go_through_window(b, 0, b->cfg->size, false);
	const uint64_t ns = clock_ns() - begin;

	SET(row, BENCH_DAX_GB, (double)b->cfg->size / (double)ns);
	SET(row, BENCH_DAX_SETUPS, b->dax.stats.maps - dax.maps);
	SET(row, BENCH_DAX_AHEAD, b->dax.stats.ahead_hits - dax.ahead_hits);
	SET(row, BENCH_DAX_MAPS, b->g->f->stats.maps - front.maps);
	SET(row, BENCH_DAX_UNMAPS, b->g->f->stats.unmaps - front.unmaps);
	return ret;
}

/*
 * Part by part in turn, so that whatever else the host does hits both. The parts of one are half a
 * file away from those of the other, so that none finds in the CPU's cache what the other has read.
 */
static int step_reads(struct dax_bench *b, unsigned round)
{
	const uint64_t size = b->cfg->size;
	uint64_t ns[2] = { 0 }; /* of the window; of our mapping */
	int ret = 0;

	for (uint64_t k = 0; k < 2 * (size / PART) && !ret; k++) {
		const bool window = (k ^ (k >> 1)) & 1; /* 0 1 1 0 ... */
		const uint64_t off = (k / 2 * PART + (window ? size / 2 : 0)) % size;
		const uint64_t begin = clock_ns();

		if (window)
			ret = go_through_window(b, off, off + PART, false);
		else
			go_through_mmap(b, off, off + PART);
		ns[!window] += clock_ns() - begin;
	}
	SET(bench_dax_row(&b->report, BENCH_DAX_WINDOW, 0), BENCH_DAX_GB,
	    (double)size / (double)ns[0]);
	SET(bench_dax_row(&b->report, BENCH_DAX_MMAP, 0), BENCH_DAX_GB,
	    (double)size / (double)ns[1]);
	return ret;
}

static int send_setup(struct setup *s)
{
	struct dax_bench *b = s->b;
	const uint64_t off = b->begun++ * b->cfg->range;

	s->began = clock_ns();
	return vdax_fs_setupmapping(&b->g->q[1], &s->rq, &b->dax.window, b->node, UINT64_MAX, off,
				    b->cfg->range, FUSE_SETUPMAPPING_FLAG_READ, off);
}

static void setup_ended(struct vdax_fs_rq *rq, int ret)
{
	struct setup *s = container_of(rq, struct setup, rq);
	struct dax_bench *b = s->b;

	latency_add(&b->latency, clock_ns() - s->began);
	b->ended++;
	if (!ret && !b->error && b->begun < b->n)
		ret = send_setup(s);
	if (ret && !b->error)
		b->error = ret;
}

/* SETUPMAPPING for all ranges, each at its place in the file. */
static int setup_all(struct dax_bench *b, unsigned depth)
{
	int ret = 0;

	memset(&b->latency, 0, sizeof(b->latency));
	b->begun = b->ended = 0;
	b->error = 0;
	for (unsigned i = 0; i < depth && b->begun < b->n && !ret; i++) {
		b->setup[i] = (struct setup){ .rq.done = setup_ended, .b = b };
		ret = send_setup(&b->setup[i]);
	}
	while (!ret && b->ended < b->begun) {
		uint64_t before = b->ended;

		ret = front_fs_poll(b->g, WAIT_MS);
		/* It also ends early for what the daemon asks of the monitor. */
		ret = ret < 0 ? ret : 0;
		if (!ret && b->ended == before && b->g->f->sock < 0)
			ret = -EPIPE;
	}
	return ret ? ret : b->error;
}

static int remove_all(struct dax_bench *b)
{
	struct fuse_removemapping_one list[VDAX_FS_LIST_MAX];
	struct front_fs_call c;
	int ret = 0;

	front_fs_call_init(&c);
	for (uint64_t i = 0; i < b->n && !ret;) {
		unsigned n = 0;

		for (; n < VDAX_FS_LIST_MAX && i < b->n; n++, i++)
			list[n] = (struct fuse_removemapping_one){ i * b->cfg->range,
								   b->cfg->range };
		ret = front_fs_wait(b->g, &c,
				    vdax_fs_removemapping(&b->g->q[1], &c.rq, &b->dax.window,
							  b->node, list, n));
	}
	return ret;
}

/* Gives back at the end what it has mapped. */
static int step_setup(struct dax_bench *b, enum bench_dax_step step, unsigned depth, unsigned round)
{
	struct bench_dax_row *row = bench_dax_row(&b->report, step, depth);
	const struct front_stats front = b->g->f->stats;
	const uint64_t begin = clock_ns();
	int ret = setup_all(b, depth);
	const uint64_t ns = clock_ns() - begin;

	if (ret)
		return ret;
	SET(row, BENCH_DAX_RATE, (double)b->n * NS_PER_S / (double)ns);
	SET(row, BENCH_DAX_P50, (double)latency_at(&b->latency, 0.5) / 1000);
	SET(row, BENCH_DAX_P99, (double)latency_at(&b->latency, 0.99) / 1000);
	SET(row, BENCH_DAX_SETUPS, b->n);
	SET(row, BENCH_DAX_MAPS, b->g->f->stats.maps - front.maps);
	SET(row, BENCH_DAX_UNMAPS, b->g->f->stats.unmaps - front.unmaps);
	return remove_all(b);
}

static int measure_reads(struct dax_bench *b, unsigned round)
{
	int ret = step_pass(b, BENCH_DAX_FIRST, round);

	if (!ret)
		ret = step_pass(b, BENCH_DAX_SECOND, round);
	if (!ret)
		ret = go_through_window(b, 0, b->cfg->size, true);
	if (!ret)
		ret = step_reads(b, round);
	return ret ? ret : new_session(b);
}

static int measure_round(struct dax_bench *b, unsigned round)
{
	int ret = measure_reads(b, round);

	for (unsigned i = 0; i < b->cfg->n_depths && !ret; i++) {
		ret = step_setup(b, BENCH_DAX_NEW, b->cfg->depth[i], round);
		if (!ret)
			ret = step_setup(b, BENCH_DAX_CACHED, b->cfg->depth[i], round);
		if (!ret)
			ret = new_session(b);
	}
	return ret;
}

/* --- Set-up --- */

/* Each 8 bytes tell where they are, so that ranges cannot be mistaken for each other. */
static int fill(int fd, uint64_t size)
{
	static uint64_t block[1 << 14];

	for (uint64_t off = 0; off < size; off += sizeof(block)) {
		size_t part = MIN(sizeof(block), size - off);

		for (size_t i = 0; i < part / sizeof(block[0]); i++)
			block[i] = off + i * sizeof(block[0]);
		if (write(fd, block, part) != (ssize_t)part)
			return errno ? -errno : -ENOSPC;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int make_file(struct dax_bench *b, const char *dir)
{
	char path[256];
	int fd, ret;
	void *p;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = fill(fd, b->cfg->size);
	p = mmap(NULL, b->cfg->size, PROT_READ, MAP_SHARED, fd, 0);
	if (!ret && p == MAP_FAILED)
		ret = -errno;
	b->file = p == MAP_FAILED ? NULL : p;
	close(fd);
	return ret;
}

static int connect_to(struct dax_bench *b, int sock)
{
	const struct front_fs_opts o = { .front = { .fd = sock, .timeout_ms = TIMEOUT_MS },
					 .flags = INIT_FLAGS };
	int ret = front_fs_open(&b->g, &o);

	if (ret) {
		log_err("bench fs", "cannot use this daemon: %s", strerror(-ret));
		return ret;
	}
	ret = look_up(b);
	if (!ret)
		ret = open_window(b);
	if (ret)
		log_err("bench fs", "this daemon has no DAX window for that: %s", strerror(-ret));
	return ret;
}

const char *bench_dax_check(const struct bench_dax_cfg *cfg)
{
	if (!is_pow2(cfg->range) || cfg->range < CHUNK)
		return "--dax-range is a power of two, 128K or more";
	if (!cfg->size || !is_aligned(cfg->size, MAX(cfg->range, 2 * PART)) || cfg->size > GIB(32))
		return "--dax-size is a multiple of --dax-range and of 2M, up to 32G";
	if (cfg->n_depths > BENCH_DAX_DEPTHS_MAX)
		return "there is room for 16 depths";
	return NULL;
}

uint64_t bench_dax_window(const struct bench_dax_cfg *cfg)
{
	return MAX(pow2_up(2 * cfg->size), MIB(64));
}

int bench_dax_run(const struct bench_dax_cfg *cfg, int sock, const char *dir)
{
	static struct dax_bench b;
	int ret;

	b = (struct dax_bench){ .cfg = cfg, .n = cfg->size / cfg->range };
	b.report.size = cfg->size;
	b.report.range = cfg->range;
	b.report.rounds = cfg->rounds;
	ret = make_file(&b, dir);
	if (ret) {
		close(sock);
		log_err("bench fs", "cannot make a file in %s: %s", dir, strerror(-ret));
	} else {
		ret = connect_to(&b, sock);
	}
	for (unsigned round = 0; round < cfg->rounds && !ret; round++) {
		ret = measure_round(&b, round);
		if (ret)
			log_err("bench fs", "%s", strerror(-ret));
	}
	if (!ret)
		bench_dax_print(&b.report, cfg->json);
	front_fs_close(b.g);
	if (b.file)
		munmap((void *)(uintptr_t)b.file, cfg->size);
	free(b.ranges);
	free(b.buf);
	return ret;
}
