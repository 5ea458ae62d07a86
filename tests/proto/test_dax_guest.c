/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/dax.c on the window of a real daemon: files that together are twice the window, in ranges
 * from $1 to $2 KiB, read and written through pins at random, many at once. What is read is
 * compared with what was written, and the files at the end; what the guest has must never be
 * unmapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "base/range.h"
#include "front/fs.h"
#include "front/shmem.h"
#include "guest/dax_ranges.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"
#include "vdax/errno.h"
#include "wire/virtio_fs.h"

#define WINDOW	   MIB(32)
#define RANGES	   ((uint32_t)(WINDOW / KIB(64)))
#define OPS	   8u
#define MAPPED_MAX 400u /* the daemon bears 480, with those of last pages */
#define USERS	   10u
#define FILES	   5u
#define STEPS	   100000u
#define TOUCH	   5000u /* bytes read or written at once, at most */

static const uint64_t sizes[FILES] = { MIB(3) + 123, MIB(20), 777, MIB(9) + 4095, MIB(32) };

static struct fsd d;
static struct front_fs *g;
static struct vdax_dax dax;
static struct vdax_dax_range ranges[RANGES];
static struct vdax_dax_op ops[OPS];
static uint8_t *shadow[FILES];
static uint64_t node[FILES];
static int fd[FILES];
static uint32_t random_state = 1;
static unsigned int mapped, full, forgotten;

enum { IDLE, WAITS, PINNED };
static struct user {
	struct vdax_dax_rq rq;
	int state;
	unsigned int file;
} users[USERS];

static uint32_t any(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % n;
}

/* Does the guest have a range that shares a byte with this? */
static bool watch(void *ctx, uint8_t shmid, uint64_t off, uint64_t len)
{
	const struct vdax_dax_book *b = &dax.book;

	(void)ctx;
	(void)shmid;
	for (uint32_t i = 0; i < b->n; i += (uint32_t)1 << b->r[i].order) {
		if (b->r[i].state == VDAX_DAX_READY &&
		    range_overlap(vdax_book_offset(b, &b->r[i]), vdax_book_bytes(b, b->r[i].order),
				  off, len))
			return true;
	}
	return false;
}

static void make_files(void)
{
	for (unsigned int i = 0; i < FILES; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/f%u", d.share, i);
		fd[i] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		shadow[i] = malloc(sizes[i]);
		REQUIRE(fd[i] >= 0 && shadow[i]);
		for (uint64_t k = 0; k < sizes[i]; k++)
			shadow[i][k] = (uint8_t)any(256);
		REQUIRE(pwrite(fd[i], shadow[i], sizes[i], 0) == (ssize_t)sizes[i]);
	}
}

static void connect_to(uint64_t min_range, uint64_t max_range)
{
	struct front_fs_opts o = { .front = { .fd = -1, .socket_path = d.sock },
				   .flags = FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX };
	struct vdax_dax_opts w = { .min_range = min_range,
				   .max_range = max_range,
				   .ranges = ranges,
				   .num_ranges = RANGES,
				   .ops = ops,
				   .num_ops = OPS,
				   .max_mapped = MAPPED_MAX,
				   .ahead = 1 };
	int ret = -ENOENT;

	for (unsigned int i = 0; i < 1000 && ret; i++) {
		ret = front_fs_open(&g, &o);
		if (ret)
			usleep(10000);
	}
	REQUIRE(!ret);
	w.platform = &g->platform;
	w.queue = &g->q[1];
	w.base = front_shm_ptr(g->f, VIRTIO_FS_SHMID_CACHE);
	CHECK_EQ("init", vdax_dax_init(&dax, &w), 0);
	g->f->watch = watch;
}

static void find_files(void)
{
	for (unsigned int i = 0; i < FILES; i++) {
		struct front_fs_call c;
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		front_fs_call_init(&c);
		REQUIRE(!front_fs_wait(g, &c, vdax_fs_lookup(&g->q[1], &c.rq, FUSE_ROOT_ID, name)));
		node[i] = c.rq.reply.entry.nodeid;
	}
}

/* --- At random --- */

/* Reads a part of what is pinned, and writes some. */
static void touch(const struct user *u)
{
	static uint8_t buf[TOUCH];
	const uint64_t left = MIN(u->rq.pin.len, sizes[u->file] - u->rq.off);
	const uint64_t at = any((uint32_t)left);
	const size_t want = 1 + any(TOUCH), len = MIN(want, left - at);
	uint8_t *same = shadow[u->file] + u->rq.off + at;

	CHECK_EQ("read", vdax_dax_read(&dax, &u->rq.pin, at, buf, len), 0);
	CHECK_NAMED("the bytes of the file", !memcmp(buf, same, len));
	if (!u->rq.write)
		return;
	memset(buf, (int)any(256), len);
	CHECK_EQ("write", vdax_dax_write(&dax, &u->rq.pin, at, buf, len), 0);
	memcpy(same, buf, len);
}

static void settle(struct user *u, int ret)
{
	full += ret == -VDAX_EAGAIN;
	CHECK_EQ("mapped, or no room", ret < 0 && ret != -VDAX_EAGAIN ? ret : 0, 0);
	u->state = ret < 0 ? IDLE : PINNED;
	if (ret < 0)
		return;
	mapped++;
	touch(u);
}

static void map_ended(struct vdax_dax_rq *rq, int ret)
{
	settle(container_of(rq, struct user, rq), ret);
}

static void map(struct user *u)
{
	int ret;

	u->rq.done = map_ended;
	if (u->rq.len && any(4) && u->rq.off + u->rq.len < sizes[u->file]) {
		u->rq.off += u->rq.len;
	} else {
		u->file = any(FILES);
		u->rq.off = any((uint32_t)sizes[u->file]);
		u->rq.len = 1 + any(1u << any(21));
		u->rq.write = any(2);
	}
	u->rq.nodeid = node[u->file];
	u->rq.size = sizes[u->file];
	u->state = WAITS;
	ret = vdax_dax_map(&dax, &u->rq);
	if (ret)
		settle(u, ret);
}

struct forgetting {
	struct vdax_dax_rq rq;
	bool ended;
};

static void forget_ended(struct vdax_dax_rq *rq, int ret)
{
	CHECK_EQ("forget", ret, 0);
	container_of(rq, struct forgetting, rq)->ended = true;
}

/* All of a file, if nobody uses it. */
static void forget(unsigned int file)
{
	struct forgetting f = { .rq = { .done = forget_ended, .nodeid = node[file] } };
	int ret;

	for (unsigned int i = 0; i < USERS; i++) {
		if (users[i].state != IDLE && users[i].file == file)
			return;
	}
	ret = vdax_dax_forget(&dax, &f.rq);
	REQUIRE(ret >= 0);
	while (!ret && !f.ended)
		REQUIRE(front_fs_poll(g, FSD_TIMEOUT_MS) >= 0);
	forgotten++;
}

static void step(void)
{
	struct user *u = &users[any(USERS)];

	if (u->state == IDLE) {
		map(u);
	} else if (u->state == WAITS) {
		REQUIRE(front_fs_poll(g, FSD_TIMEOUT_MS) >= 0);
	} else if (any(2)) {
		touch(u);
	} else {
		vdax_dax_unpin(&dax, &u->rq.pin);
		u->state = IDLE;
	}
	if (!any(500))
		forget(any(FILES));
}

/* Unmaps everything; then the host has every byte. */
static void check_files(void)
{
	for (unsigned int i = 0; i < USERS; i++) {
		while (users[i].state == WAITS)
			REQUIRE(front_fs_poll(g, FSD_TIMEOUT_MS) >= 0);
		if (users[i].state == PINNED)
			vdax_dax_unpin(&dax, &users[i].rq.pin);
		users[i].state = IDLE;
	}
	for (unsigned int i = 0; i < FILES; i++) {
		uint8_t *now = malloc(sizes[i] + 1);

		forget(i);
		REQUIRE(now);
		CHECK_EQ("size", pread(fd[i], now, sizes[i] + 1, 0), sizes[i]);
		CHECK_NAMED("the host's bytes", !memcmp(now, shadow[i], sizes[i]));
		free(now);
		free(shadow[i]);
		close(fd[i]);
	}
}

int main(int argc, char **argv)
{
	static const char *const options[] = { "--dax-window", "32M", NULL };
	const char *seed = getenv("VDAX_SEED");

	REQUIRE(argc == 3);
	if (seed)
		random_state = (uint32_t)atoi(seed) | 1;
	fsd_prepare(&d, "/tmp");
	make_files();
	fsd_start(&d, options);
	connect_to(KIB((uint64_t)atoi(argv[1])), KIB((uint64_t)atoi(argv[2])));
	find_files();
	for (unsigned int i = 0; i < STEPS; i++)
		step();
	check_files();
	fprintf(stderr,
		"%u mapped, %u not; %u forgotten; %llu hits, %llu maps, %llu upgrades, "
		"%llu ahead of which %llu used, %llu reclaimed in %llu removals\n",
		mapped, full, forgotten, (unsigned long long)dax.stats.hits,
		(unsigned long long)dax.stats.maps, (unsigned long long)dax.stats.upgrades,
		(unsigned long long)dax.stats.ahead, (unsigned long long)dax.stats.ahead_hits,
		(unsigned long long)dax.stats.reclaimed, (unsigned long long)dax.stats.removals);
	CHECK_NAMED("mapped", mapped > STEPS / 10);
	CHECK_NAMED("reclaimed", dax.stats.reclaimed > STEPS / 100);
	CHECK_NAMED("upgraded, and read ahead", dax.stats.upgrades && dax.stats.ahead_hits);
	CHECK_EQ("failed", dax.stats.failed + dax.stats.lost, 0);
	CHECK_EQ("QEMU would have crashed", g->f->stats.violations, 0);
	CHECK_EQ("taken from the guest", g->f->stats.owned_violations, 0);
	CHECK_EQ("made longer", g->f->stats.grown, 0);
	front_fs_close(g);
	fsd_end(&d);
	return check_done();
}
