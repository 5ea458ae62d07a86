/* SPDX-License-Identifier: BSD-2-Clause */
/* The DAX window of fs/, through rings, with a front end that the test plays. */
#include <errno.h>

#include "fs/async.h"
#include "tests/lib/dax_device.h"
#include "virtio/fault.h"

#define MAX_NAME 16
#define SECOND	 UINT64_C(1000000000)

/* A device with n files: f0, f1, ... of so many bytes each, of pattern 0, 1, ... */
struct world {
	struct dax_device *d;
	uint64_t node[8], fh[8];
	int fd[8];
	unsigned n;
	unsigned fds; /* of this process, without mappings */
};

static void world_files(struct world *w, unsigned n, uint64_t size)
{
	for (; n; n--, w->n++) {
		char name[MAX_NAME];

		snprintf(name, sizeof(name), "f%u", w->n);
		w->fd[w->n] = dax_file_make(w->d, name, w->n, size, 0644);
		w->node[w->n] = fs_device_lookup(w->d->f, name);
		w->fh[w->n] = fs_device_open(w->d->f, FUSE_OPEN, w->node[w->n], O_RDWR);
		REQUIRE(w->node[w->n] && w->fh[w->n]);
	}
	w->fds = dax_count_fds();
}

static struct world world_new(unsigned n, uint64_t size)
{
	struct world w = { .d = dax_device_new() };

	dax_device_start(w.d, DAX_DEVICE_INIT);
	world_files(&w, n, size);
	return w;
}

static void world_end(struct world *w)
{
	CHECK_EQ("requests that a rule of the front end forbids", w->d->shm.bad_maps, 0);
	dax_device_free(w->d);
	for (unsigned i = 0; i < w->n; i++)
		close(w->fd[i]);
}

/* Unmounts; nothing may be left. */
static void world_unmount(struct world *w)
{
	CHECK_EQ("DESTROY", dax_destroy(w->d), 0);
	CHECK_EQ("mapped", w->d->shm.n, 0);
	dax_check_empty(w->d);
}

static uint64_t pages(uint64_t n)
{
	return n * DAX_PAGE;
}

static uint8_t *at(const struct world *w, uint64_t page)
{
	return w->d->shm.base + pages(page);
}

static bool file_has(int fd, uint64_t off, const char *text)
{
	char got[64];
	size_t len = strlen(text);

	return pread(fd, got, len, (off_t)off) == (ssize_t)len && !memcmp(got, text, len);
}

/* --- pieces --- */

static void test_overlap_replaces(void)
{
	struct world w = world_new(2, pages(16));

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 8, DAX_READ, 4), 0);
	CHECK_EQ("another, over it and more", dax_map(w.d, w.node[1], 2, 12, DAX_READ, 2), 0);
	CHECK(dax_shows(w.d, 2, 1, 2, pages(12)));
	CHECK_EQ("one mapping", w.d->shm.n, 1);
	CHECK_EQ("the same file elsewhere", dax_map(w.d, w.node[1], 0, 12, DAX_READ, 2), 0);
	CHECK(dax_shows(w.d, 2, 1, 0, pages(12)));
	CHECK_EQ("a part of what it has", dax_map(w.d, w.node[1], 4, 2, DAX_RW, 6), 0);
	CHECK_EQ("no mapping for that", w.d->shm.maps, 3);
	world_unmount(&w);
	CHECK_EQ("descriptors", dax_count_fds(), w.fds - 2 * w.n);
	world_end(&w);
}

static void test_busy(void)
{
	struct world w = world_new(3, pages(16));
	unsigned unmaps;

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 4, DAX_READ, 0), 0);
	CHECK_EQ("map", dax_map(w.d, w.node[1], 0, 8, DAX_READ, 4), 0);
	unmaps = w.d->shm.unmaps;
	CHECK_EQ("a part of a piece", dax_map(w.d, w.node[2], 0, 4, DAX_READ, 4), -EBUSY);
	CHECK_EQ("and all of another", dax_map(w.d, w.node[2], 0, 8, DAX_READ, 0), -EBUSY);
	CHECK_EQ("nothing was taken away", w.d->shm.unmaps, unmaps);
	CHECK_NAMED("still there", dax_shows(w.d, 0, 0, 0, pages(4)));
	CHECK_NAMED("still there", dax_shows(w.d, 4, 1, 0, pages(8)));
	CHECK_EQ("owned", dax_of(w.d)->map.owned, 12);
	CHECK_EQ("give back the rest of it", dax_unmap(w.d, w.node[1], 8, 4), 0);
	CHECK_EQ("now", dax_map(w.d, w.node[2], 0, 8, DAX_READ, 0), 0);
	CHECK(dax_shows(w.d, 0, 2, 0, pages(8)));
	world_unmount(&w);
	world_end(&w);
}

static void test_idle_piece_is_used_again(void)
{
	struct world w = world_new(1, pages(64));
	struct dax_stats s;

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	CHECK_EQ("stays mapped", w.d->shm.n, 1);
	CHECK_EQ("to read", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	CHECK_EQ("to write", dax_map(w.d, w.node[0], 0, 16, DAX_RW, 0), 0);
	CHECK_EQ("one map", w.d->shm.maps, 1);
	dax_stats(&w.d->f->fs, &s);
	CHECK_EQ("setups", s.setups, 3);
	CHECK_EQ("hits", s.hits, 2);
	CHECK_EQ("owned", s.owned, pages(16));
	CHECK_EQ("at another place it is another", dax_map(w.d, w.node[0], 0, 3, DAX_READ, 100), 0);
	CHECK_EQ("two maps", w.d->shm.maps, 2);
	world_unmount(&w);
	world_end(&w);
}

static void test_idle_age(void)
{
	struct world w = world_new(2, pages(16));

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("map", dax_map(w.d, w.node[1], 0, 16, DAX_READ, 16), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	dax_device_sleep(w.d, 59 * SECOND);
	CHECK_EQ("young", w.d->shm.n, 2);
	CHECK_NAMED("the timer is set", w.d->again_ns <= SECOND);
	dax_device_sleep(w.d, 1 * SECOND);
	CHECK_EQ("old", w.d->shm.n, 1);
	CHECK_EQ("its file is closed", dax_count_fds(), w.fds + 1);
	dax_device_sleep(w.d, 3600 * SECOND);
	CHECK_NAMED("what is owned has no age", dax_shows(w.d, 16, 1, 0, pages(16)));
	world_unmount(&w);
	world_end(&w);
}

/* What is old is looked at again while a request is under way, but not without a pause. */
static void test_no_timer_runs_wild(void)
{
	struct world w = world_new(2, pages(16));

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	dax_send_map(w.d, 1, 0, w.node[1], 0, 16, DAX_READ, 32);
	dax_now_ns += 100 * SECOND;
	w.d->attend = true;
	dax_device_run(w.d);
	CHECK_NAMED("while it is busy", w.d->again_ns >= SECOND / 1000);
	dax_device_settle(w.d);
	CHECK_EQ("old", w.d->shm.n, 1);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[1], 32, 16), 0);
	w.d->shm.unable = true;
	dax_device_sleep(w.d, 100 * SECOND);
	CHECK_NAMED("when it cannot", w.d->again_ns >= SECOND / 1000);
	w.d->shm.unable = false;
	world_unmount(&w);
	world_end(&w);
}

static void test_budget(void)
{
	struct world w = world_new(1, pages(256));

	dax_of(w.d)->max_maps = 4;
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ("map", dax_map(w.d, w.node[0], 3 * i, 1, DAX_READ, 5 * i), 0);
	CHECK_EQ("all are owned", dax_map(w.d, w.node[0], 99, 1, DAX_READ, 99), -EIO);
	dax_now_ns++;
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 10, 1), 0);
	dax_now_ns++;
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 5, 1), 0);
	CHECK_EQ("one more", dax_map(w.d, w.node[0], 99, 1, DAX_READ, 99), 0);
	CHECK_NAMED("the oldest has gone", !dax_page_is_mapped(w.d, 10));
	CHECK_NAMED("the younger has not", dax_page_is_mapped(w.d, 5));
	CHECK_EQ("as many as may be", w.d->shm.most, 4);
	CHECK_EQ("its place again", dax_map(w.d, w.node[0], 6, 1, DAX_READ, 10), 0);
	CHECK_NAMED("the younger has", !dax_page_is_mapped(w.d, 5));
	CHECK_EQ("as many as may be", w.d->shm.most, 4);
	world_unmount(&w);
	world_end(&w);
}

/* --- mapping ahead --- */

static void test_ahead(void)
{
	struct world w = world_new(2, pages(256));
	struct dax_stats s;

	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ("map", dax_map(w.d, w.node[0], 16 * i, 16, DAX_READ, 16 * i), 0);
	dax_stats(&w.d->f->fs, &s);
	CHECK_EQ("hits", s.ahead_hits, 6);
	CHECK_EQ("one is ahead", s.ahead, 7);
	CHECK_EQ("a map for each", w.d->shm.maps, 9);
	CHECK_EQ("its place is for whoever wants it",
		 dax_map(w.d, w.node[1], 0, 4, DAX_READ, 8 * 16 + 4), 0);
	CHECK(dax_shows(w.d, 8 * 16 + 4, 1, 0, pages(4)));
	CHECK(dax_shows(w.d, 0, 0, 0, pages(128)));
	world_unmount(&w);
	world_end(&w);
}

static void test_ahead_is_in_nobodys_way(void)
{
	struct world w = world_new(2, pages(256));
	unsigned unmaps;

	CHECK_EQ("another file behind", dax_map(w.d, w.node[1], 0, 1, DAX_READ, 40), 0);
	unmaps = w.d->shm.unmaps;
	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("map", dax_map(w.d, w.node[0], 16, 16, DAX_READ, 16), 0);
	CHECK_EQ("not ahead", w.d->shm.n, 3);
	CHECK_EQ("nothing was unmapped", w.d->shm.unmaps, unmaps);
	CHECK(dax_shows(w.d, 40, 1, 0, pages(1)));
	/* Nor is there anything to be mapped once all is to be gone. */
	world_unmount(&w);
	CHECK_EQ("nothing after DESTROY", w.d->shm.n, 0);
	world_end(&w);
}

/* A file that is empty by then would be made longer by QEMU. */
static void test_ahead_of_an_empty_file(void)
{
	struct world w = world_new(1, pages(256));

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("map", dax_map(w.d, w.node[0], 16, 16, DAX_READ, 16), 0);
	CHECK_EQ("one is ahead", w.d->shm.n, 3);
	w.d->f->woken = 0;
	dax_send_later(w.d, 1, 0, w.node[0], 32, 16, DAX_READ, 32);
	CHECK_EQ("which is what was asked for", fs_device_result(w.d->f, 1, 0), 0);
	REQUIRE(w.d->attend && !ftruncate(w.fd[0], 0));
	dax_device_settle(w.d);
	CHECK_EQ("nothing more", w.d->shm.n, 3);
	CHECK_EQ("it stays empty", lseek(w.fd[0], 0, SEEK_END), 0);
	world_unmount(&w);
	world_end(&w);
}

/* The file shrinks after it was looked at, and before the front end is asked. */
static void test_shrinks_in_between(void)
{
	struct world w = world_new(2, pages(8));

	dax_send_map(w.d, 1, 0, w.node[0], 0, 8, DAX_READ, 0);
	dax_send_map(w.d, 2, 0, w.node[1], 0, 8, DAX_READ, 8);
	REQUIRE(!ftruncate(w.fd[1], 0));
	dax_device_settle(w.d);
	CHECK_EQ("answered", fs_device_result(w.d->f, 2, 0), 0);
	CHECK_EQ("it stays empty", lseek(w.fd[1], 0, SEEK_END), 0);
	CHECK_EQ("grows", dax_truncate(w.d, w.node[1], pages(3)), sizeof(struct fuse_attr_out));
	CHECK_EQ("store", pwrite(w.fd[1], "host", 4, (off_t)pages(2)), 4);
	dax_getattr(w.d, w.node[1], NULL);
	CHECK(!memcmp(at(&w, 10), "host", 4));
	world_unmount(&w);
	world_end(&w);
}

/* --- private copies --- */

static void test_last_page(void)
{
	struct world w = world_new(1, pages(4) + 100);

	REQUIRE(dax_map(w.d, w.node[0], 0, 16, DAX_RW, 0) == 0);
	CHECK_EQ("the file, and a copy", w.d->shm.n, 2);
	CHECK(dax_shows(w.d, 0, 0, 0, pages(4) + 100));
	memcpy(at(&w, 0) + 10, "direct", 6);
	CHECK_NAMED("at once", file_has(w.fd[0], 10, "direct"));
	memcpy(at(&w, 4) + 90, "copied", 6);
	CHECK_NAMED("not yet", !file_has(w.fd[0], pages(4) + 90, "copied"));
	dax_device_sleep(w.d, 2 * DAX_WRITE_BACK_MIN_NS);
	CHECK_NAMED("in time", file_has(w.fd[0], pages(4) + 90, "copied"));
	CHECK_EQ("its size", lseek(w.fd[0], 0, SEEK_END), pages(4) + 100);
	memcpy(at(&w, 4) + 90, "kept..", 6);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	CHECK_NAMED("at once", file_has(w.fd[0], pages(4) + 90, "kept.."));
	world_unmount(&w);
	world_end(&w);
}

/* Stores of a guest that goes on are written back often, those of one that rests more and more
 * seldom; without copies to write back nobody is woken. */
static void test_write_back_timing(void)
{
	struct world w = world_new(2, pages(1) + 100);
	uint64_t ns = 2ull * DAX_WRITE_BACK_MIN_NS;

	CHECK_EQ("to read", dax_map(w.d, w.node[0], 0, 2, DAX_READ, 0), 0);
	dax_device_sleep(w.d, 1);
	CHECK_EQ("never", w.d->again_ns, UINT64_MAX);
	CHECK_EQ("to write", dax_map(w.d, w.node[0], 0, 2, DAX_RW, 0), 0);
	CHECK_NAMED("soon", w.d->again_ns <= ns);
	for (; ns < SECOND; ns *= 2) {
		dax_device_sleep(w.d, ns);
		CHECK_NAMED("later", w.d->again_ns > ns);
	}
	dax_device_sleep(w.d, SECOND);
	CHECK_EQ("at most", w.d->again_ns, SECOND);
	at(&w, 1)[5] = 'x';
	dax_device_sleep(w.d, SECOND);
	CHECK(file_has(w.fd[0], pages(1) + 5, "x"));
	w.d->attend = true;
	dax_device_run(w.d);
	CHECK_NAMED("soon again", w.d->again_ns <= DAX_WRITE_BACK_MIN_NS);
	/* A stop does not wait for the timer. */
	at(&w, 1)[5] = 'y';
	dax_device_stop(w.d, FAKE_SHM_LOST);
	CHECK(file_has(w.fd[0], pages(1) + 5, "y"));
	dax_device_go_on(w.d, true);
	dax_device_settle(w.d);
	world_unmount(&w);
	world_end(&w);
}

/* A timer that is set for something later does not hold stores up. */
static void test_write_back_beside_idle(void)
{
	struct world w = world_new(2, pages(1) + 100);

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 1, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 1), 0);
	CHECK_NAMED("late", w.d->again_ns > 50 * SECOND);
	CHECK_EQ("to write", dax_map(w.d, w.node[1], 0, 2, DAX_RW, 8), 0);
	CHECK_NAMED("soon", w.d->again_ns <= SECOND);
	world_unmount(&w);
	world_end(&w);
}

static void test_growth(void)
{
	struct world w = world_new(1, 100);
	uint64_t size;

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_RW, 0), 0);
	CHECK_EQ("WRITE", dax_write(w.d, w.node[0], w.fh[0], pages(2), "written", 7),
		 sizeof(struct fuse_write_out));
	CHECK_NAMED("is seen", !memcmp(at(&w, 2), "written", 8));
	memcpy(at(&w, 1), "stored", 6);
	CHECK_EQ("FLUSH", dax_flush(w.d, w.node[0], w.fh[0]), 0);
	CHECK(file_has(w.fd[0], pages(1), "stored"));
	CHECK_EQ("SETATTR", dax_truncate(w.d, w.node[0], pages(4)), sizeof(struct fuse_attr_out));
	memcpy(at(&w, 3), "in it", 5);
	CHECK_EQ("FLUSH", dax_flush(w.d, w.node[0], w.fh[0]), 0);
	CHECK(file_has(w.fd[0], pages(3), "in it"));
	REQUIRE(pwrite(w.fd[0], "by host", 7, (off_t)pages(9)) == 7);
	dax_getattr(w.d, w.node[0], &size);
	CHECK_EQ("GETATTR", size, pages(9) + 7);
	CHECK_NAMED("the host's, too", !memcmp(at(&w, 9), "by host", 8));
	CHECK_EQ("shrinks", dax_truncate(w.d, w.node[0], 50), sizeof(struct fuse_attr_out));
	CHECK_EQ("grows", dax_truncate(w.d, w.node[0], pages(4)), sizeof(struct fuse_attr_out));
	CHECK_NAMED("zeros", !at(&w, 3)[0] && !at(&w, 0)[50] && at(&w, 0)[49]);
	CHECK_EQ("no other mapping", w.d->shm.maps, 1);
	world_unmount(&w);
	CHECK_EQ("its size", lseek(w.fd[0], 0, SEEK_END), pages(4));
	world_end(&w);
}

/* OPEN makes it empty, and no attributes tell of that; then it becomes as long as before. */
static void test_open_trunc(void)
{
	struct world w = { .d = dax_device_new() };

	dax_device_start(w.d, DAX_DEVICE_INIT | FUSE_ATOMIC_O_TRUNC);
	world_files(&w, 1, 100);
	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 1, DAX_RW, 0), 0);
	CHECK_NAMED("OPEN", fs_device_open(w.d->f, FUSE_OPEN, w.node[0], O_RDWR | O_TRUNC));
	CHECK_EQ("empty", lseek(w.fd[0], 0, SEEK_END), 0);
	CHECK_EQ("WRITE", dax_write(w.d, w.node[0], w.fh[0], 99, "!", 1),
		 sizeof(struct fuse_write_out));
	CHECK_NAMED("what it was is not seen", !at(&w, 0)[0] && !at(&w, 0)[98]);
	CHECK_EQ("what is written is", at(&w, 0)[99], '!');
	world_unmount(&w);
	world_end(&w);
}

static int fallocate_to(const struct world *w, uint32_t mode, uint64_t off, uint64_t len)
{
	const struct fuse_fallocate_in in = {
		.fh = w->fh[0], .mode = mode, .offset = off, .length = len
	};
	struct fs_device *f = w->d->f;

	fs_device_send(f, 1, 3, FUSE_FALLOCATE, w->node[0], &in, sizeof(in), 0);
	fs_device_serve(f, 1);
	async_drain(f->fs.queues[1]->async);
	fs_device_serve(f, 1);
	return fs_device_result(f, 1, 3);
}

/* FALLOCATE makes it longer, and makes holes: after what was stored there. */
static void test_fallocate(void)
{
	struct world w = world_new(1, 100);

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_RW, 0), 0);
	CHECK_EQ("FALLOCATE", fallocate_to(&w, 0, pages(1), pages(1)), 0);
	memcpy(at(&w, 1) + 20, "is there", 8);
	CHECK_EQ("FLUSH", dax_flush(w.d, w.node[0], w.fh[0]), 0);
	CHECK_NAMED("longer", file_has(w.fd[0], pages(1) + 20, "is there"));
	memcpy(at(&w, 0) + 10, "punched", 7);
	CHECK_EQ("hole", fallocate_to(&w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 12), 0);
	CHECK_NAMED("a hole is seen", !at(&w, 0)[0] && !at(&w, 0)[11]);
	CHECK_NAMED("and nothing else", !memcmp(at(&w, 0) + 12, "nched", 5));
	CHECK_NAMED("what is beside it is kept", file_has(w.fd[0], 12, "nched"));
	world_unmount(&w);
	world_end(&w);
}

/* What was a copy is mapped itself, once nobody uses it. */
static void test_grown_file_is_mapped(void)
{
	struct world w = world_new(1, pages(1) + 1);

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 8, DAX_RW, 0), 0);
	CHECK_EQ("grows", dax_truncate(w.d, w.node[0], pages(8)), sizeof(struct fuse_attr_out));
	memcpy(at(&w, 5), "last words", 10);
	CHECK_EQ("owned: it stays", dax_map(w.d, w.node[0], 0, 8, DAX_RW, 0), 0);
	CHECK_EQ("a copy", dax_of(w.d)->map.v[1]->copy, 1);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 8), 0);
	CHECK_EQ("again", dax_map(w.d, w.node[0], 0, 8, DAX_RW, 0), 0);
	CHECK_EQ("the file itself", dax_of(w.d)->map.v[1]->copy, 0);
	CHECK(!memcmp(at(&w, 5), "last words", 10));
	memcpy(at(&w, 6), "direct", 6);
	CHECK(file_has(w.fd[0], pages(6), "direct"));
	world_unmount(&w);
	world_end(&w);
}

/* Files that cannot be mapped: a copy of each, as far as --dax-copies goes. */
static void test_programs(void)
{
	struct world w = { .d = dax_device_new() };
	uint64_t node;
	int fd;

	w.d->f->cfg.dax_copies = pages(10);
	dax_device_start(w.d, DAX_DEVICE_INIT);
	fd = dax_file_make(w.d, "program", 7, pages(8), 0755);
	node = fs_device_lookup(w.d->f, "program");
	CHECK_EQ("map", dax_map(w.d, node, 0, 8, DAX_READ, 0), 0);
	CHECK(dax_shows(w.d, 0, 7, 0, pages(8)));
	for (unsigned i = 0; i < w.d->shm.n; i++)
		CHECK_NAMED("not the file", w.d->shm.v[i].ino == dax_of(w.d)->copies_ino);
	CHECK_EQ("bytes", dax_of(w.d)->copied, pages(8));
	CHECK_EQ("too much", dax_map(w.d, node, 0, 4, DAX_READ, 100), -EIO);
	CHECK_EQ("behind its end is nothing", dax_map(w.d, node, 100, 100, DAX_READ, 200), 0);
	CHECK_EQ("as much as there may be", dax_map(w.d, node, 0, 2, DAX_READ, 100), 0);
	CHECK_EQ("give back", dax_unmap(w.d, node, 0, 8), 0);
	CHECK_EQ("what is idle goes", dax_map(w.d, node, 0, 4, DAX_READ, 50), 0);
	CHECK_NAMED("it has", !dax_page_is_mapped(w.d, 0));
	CHECK(dax_shows(w.d, 50, 7, 0, pages(4)));
	CHECK_EQ("to write", dax_map(w.d, node, 0, 4, DAX_RW, 50), 0);
	at(&w, 50)[3] = '!';
	CHECK_EQ("give back", dax_unmap(w.d, node, 50, 4), 0);
	CHECK(file_has(fd, 3, "!"));
	world_unmount(&w);
	close(fd);
	world_end(&w);
}

/* --- removed files --- */

static void test_unlinked(void)
{
	struct world w = world_new(1, pages(16));
	unsigned fds = dax_count_fds();

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("UNLINK", fs_device_call(w.d->f, 1, FUSE_UNLINK, FUSE_ROOT_ID, "f0", 3, NULL, 0),
		 0);
	CHECK(dax_shows(w.d, 0, 0, 0, pages(16)));
	CHECK_EQ("give back a part", dax_unmap(w.d, w.node[0], 0, 8), 0);
	CHECK_NAMED("still there", dax_shows(w.d, 8, 0, 8, pages(8)));
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 8, 8), 0);
	CHECK_EQ("leaves at once", w.d->shm.n, 0);
	CHECK_NAMED("its file, too", dax_count_fds() <= fds + 1); /* one of the inode */
	dax_check_empty(w.d);
	world_end(&w);
}

/* --- what fails --- */

static void test_refused(void)
{
	struct world w = world_new(2, pages(16));

	dax_send_map(w.d, 1, 0, w.node[0], 0, 16, DAX_READ, 0);
	fake_shm_answer(&w.d->shm, -EIO);
	dax_device_settle(w.d);
	CHECK_EQ("refused", fs_device_result(w.d->f, 1, 0), -EIO);
	CHECK_EQ("the channel is lost",
		 (dax_send_map(w.d, 1, 0, w.node[0], 0, 16, DAX_READ, 0),
		  fake_shm_answer(&w.d->shm, -EPIPE), dax_device_run(w.d),
		  fs_device_result(w.d->f, 1, 0)),
		 -EIO);
	w.d->shm.unable = true;
	CHECK_EQ("cannot", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), -EOPNOTSUPP);
	CHECK_EQ("DESTROY all the same", dax_destroy(w.d), 0);
	dax_check_empty(w.d);
	CHECK_EQ("descriptors", dax_count_fds(), w.fds - 2 * w.n);
	world_end(&w);
}

/* An unmapping that is refused: the front end has none there. */
static void test_unmap_refused(void)
{
	struct world w = world_new(2, pages(16));

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 16, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w.d, w.node[0], 0, 16), 0);
	fake_shm_drop(&w.d->shm);
	CHECK_EQ("another", dax_map(w.d, w.node[1], 0, 16, DAX_READ, 8), 0);
	CHECK(dax_shows(w.d, 8, 1, 0, pages(16)));
	world_unmount(&w);
	world_end(&w);
}

/* An error of what is mapped already does not take it away. */
static void test_failed_upgrade(void)
{
	struct world w = world_new(1, pages(1) + 100);
	struct fake_shm *s = &w.d->shm;

	CHECK_EQ("to read", dax_map(w.d, w.node[0], 0, 2, DAX_READ, 0), 0);
	/* The copy cannot be filled: its file cannot be read any more. */
	REQUIRE(dup2(openat(w.d->f->dir_fd, "f0", O_WRONLY | O_CLOEXEC),
		     dax_of(w.d)->map.v[0]->file->fd) >= 0);
	CHECK_NAMED("fails", dax_map(w.d, w.node[0], 0, 2, DAX_RW, 0) < 0);
	CHECK_EQ("still owned", dax_of(w.d)->map.owned, 2);
	dax_device_sleep(w.d, 100 * SECOND);
	CHECK_EQ("still mapped", s->n, 2);
	CHECK(dax_shows(w.d, 0, 0, 0, pages(1) + 100));
	world_end(&w);
}

/* --- stop, continue, reset --- */

/* What is under way when the device stops. */
enum step { MAPPING, UNMAPPING, BETWEEN, FINISHED };

/*
 * f1 is to replace f0, which is idle, and the device gets as far as this: the unmapping is with the
 * front end; it is done, and the next stop finds the mapping there; both wait for a start (front
 * end's requests fail at once); the answer is on its way to the queue.
 */
static void get_to(struct world *w, enum step step)
{
	CHECK_EQ("map", dax_map(w->d, w->node[0], 0, 8, DAX_READ, 0), 0);
	CHECK_EQ("give back", dax_unmap(w->d, w->node[0], 0, 8), 0);
	dax_send_later(w->d, 1, 0, w->node[1], 0, 8, DAX_READ, 0);
	if (step == BETWEEN)
		w->d->shm.open = false;
	w->d->attend = true;
	dax_of(w->d)->fs->ops.attend(dax_of(w->d)->fs);
	if (step == BETWEEN || step == UNMAPPING)
		return;
	fake_shm_answer(&w->d->shm, 0);
	REQUIRE(w->d->shm.first);
	if (step == FINISHED)
		fake_shm_answer(&w->d->shm, 0);
}

static void check_continues(const char *name, enum step step, enum fake_shm_fate fate)
{
	struct world w = world_new(2, pages(8));

	get_to(&w, step);
	dax_device_stop(w.d, fate);
	CHECK_EQ(name, fs_device_result(w.d->f, 1, 0), step == FINISHED ? 0 : DAX_PENDING);
	dax_device_go_on(w.d, true);
	dax_device_settle(w.d);
	CHECK_EQ(name, fs_device_result(w.d->f, 1, 0), 0);
	CHECK_NAMED(name, dax_shows(w.d, 0, 1, 0, pages(8)));
	CHECK_EQ(name, w.d->f->driver[1]->vq.inflight, 0);
	/* And once more, with everything mapped. */
	dax_device_stop(w.d, fate);
	dax_device_go_on(w.d, true);
	dax_device_settle(w.d);
	CHECK_NAMED(name, dax_shows(w.d, 0, 1, 0, pages(8)));
	CHECK_EQ(name, dax_unmap(w.d, w.node[1], 0, 8), 0);
	CHECK_EQ("what was there before a stop leaves at once", w.d->shm.n, 0);
	world_unmount(&w);
	world_end(&w);
}

/* The guest is gone, and another one comes: nothing is left, and the place can be mapped. */
static void check_reset(const char *name, enum step step, enum fake_shm_fate fate, bool reset)
{
	struct flock lk = { .l_type = F_WRLCK, .l_start = INT64_MAX, .l_len = 1 };
	struct world w = world_new(2, pages(8));
	uint64_t node;

	get_to(&w, step);
	dax_device_stop(w.d, fate);
	if (reset)
		w.d->f->fs.ops.reset(&w.d->f->fs);
	dax_device_go_on(w.d, false);
	CHECK_EQ(name, dax_of(w.d)->map.owned, 0);
	CHECK_EQ(name, fake_used_idx(w.d->f->driver[1]), 0);
	REQUIRE(!fcntl(w.fd[1], F_OFD_GETLK, &lk));
	CHECK_EQ("no lock of ours", lk.l_type, F_UNLCK);
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	node = fs_device_lookup(w.d->f, "f0");
	CHECK_EQ(name, dax_map(w.d, node, 0, 8, DAX_READ, 4), 0);
	CHECK_NAMED(name, dax_shows(w.d, 4, 0, 0, pages(8)));
	world_unmount(&w);
	world_end(&w);
}

static void test_stops(void)
{
	static const struct {
		const char *name;
		enum step step;
		enum fake_shm_fate fate;
	} cases[] = {
		{ "mapping, lost", MAPPING, FAKE_SHM_LOST },
		{ "mapping, done", MAPPING, FAKE_SHM_DONE },
		{ "mapping, done later", MAPPING, FAKE_SHM_LATE },
		{ "unmapping, lost", UNMAPPING, FAKE_SHM_LOST },
		{ "unmapping, done", UNMAPPING, FAKE_SHM_DONE },
		{ "unmapping, done later", UNMAPPING, FAKE_SHM_LATE },
		{ "not begun", BETWEEN, FAKE_SHM_LOST },
		{ "finished", FINISHED, FAKE_SHM_LOST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		check_continues(cases[i].name, cases[i].step, cases[i].fate);
		check_reset(cases[i].name, cases[i].step, cases[i].fate, false);
		check_reset(cases[i].name, cases[i].step, cases[i].fate, true);
	}
}

/* Continued, but with other rings: who had asked is gone, and what he had asked for is nobody's. */
static void test_other_rings(void)
{
	struct world w = world_new(2, pages(8));

	get_to(&w, MAPPING);
	dax_device_stop(w.d, FAKE_SHM_LOST);
	w.d->base[1] = 0;
	w.d->f->seen[1] = w.d->f->driver[1]->avail_idx = 0;
	ring_store(&w.d->f->driver[1]->avail->idx, 0);
	ring_store(&w.d->f->driver[1]->used->idx, 0);
	dax_device_go_on(w.d, true);
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	dax_device_settle(w.d);
	CHECK_EQ("nobody's", dax_of(w.d)->map.owned, 0);
	CHECK_EQ("in flight", w.d->f->driver[1]->vq.inflight, 0);
	CHECK_EQ("map", dax_map(w.d, fs_device_lookup(w.d->f, "f0"), 0, 8, DAX_READ, 4), 0);
	world_unmount(&w);
	world_end(&w);
}

static void test_destroy(void)
{
	struct world w = world_new(2, pages(64) + 1);

	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ("map", dax_map(w.d, w.node[0], 16 * i, 16, DAX_RW, 16 * i), 0);
	CHECK_EQ("map", dax_map(w.d, w.node[0], 64, 16, DAX_RW, 64), 0);
	at(&w, 64)[0] = 'z';
	dax_send_map(w.d, 2, 0, w.node[1], 0, 16, DAX_RW, 128);
	dax_send_map(w.d, 2, 1, w.node[1], 16, 16, DAX_RW, 144);
	world_unmount(&w);
	CHECK_EQ("who was quicker is answered", fs_device_result(w.d->f, 2, 1), 0);
	CHECK_NAMED("stores are kept", file_has(w.fd[0], pages(64), "z"));
	CHECK_EQ("descriptors", dax_count_fds(), w.fds - 2 * w.n);
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	CHECK_EQ("map", dax_map(w.d, fs_device_lookup(w.d->f, "f0"), 0, 8, DAX_READ, 4), 0);
	/* Without a word: what is mapped stays, and is nobody's. */
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	CHECK_EQ("owned", dax_of(w.d)->map.owned, 0);
	CHECK_EQ("mapped", w.d->shm.n, 1);
	CHECK_EQ("map", dax_map(w.d, fs_device_lookup(w.d->f, "f1"), 0, 8, DAX_READ, 0), 0);
	CHECK(dax_shows(w.d, 0, 1, 0, pages(8)));
	world_unmount(&w);
	world_end(&w);
}

/* A guest that maps everything takes a range for each file, and is never told that there are none.
 */
static void test_mappings_suffice(void)
{
	static const off_t sizes[] = { 9000, 100001, 1500001, 3 << 20 | 5 };
	struct world w = { .d = dax_device_new() };
	uint64_t range = FS_DAX_RANGE / DAX_PAGE;
	unsigned n = 0;

	w.d->f->cfg.dax_window = FS_DAX_WINDOW_FOR(FS_DAX_MAPS);
	dax_device_start(w.d, FUSE_MAP_ALIGNMENT);
	for (; n < w.d->f->cfg.dax_window / FS_DAX_RANGE; n++) {
		off_t size = sizes[n % ARRAY_SIZE(sizes)];
		uint64_t foff = size > (off_t)FS_DAX_RANGE ? range : 0;
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "t%u", n);
		fd = dax_file_make(w.d, name, n, 5000, 0644);
		REQUIRE(!ftruncate(fd, size));
		close(fd);
		CHECK_EQ(name,
			 dax_map(w.d, fs_device_lookup(w.d->f, name), foff, range, DAX_READ,
				 range * n),
			 0);
		CHECK(foff || dax_shows(w.d, range * n, n, 0, 5000));
	}
	CHECK_NAMED("all but a few", dax_of(w.d)->map.n > n && dax_of(w.d)->map.n <= FS_DAX_MAPS);
	world_unmount(&w);
	world_end(&w);
}

/* A store is in the file after FSYNC, also if its piece is gone and waits to be saved. */
static void test_sync_after_replacement(void)
{
	struct world w = world_new(2, 5000);
	const struct fuse_flush_in in = { .fh = w.fh[0] };
	struct dax *d = dax_of(w.d);

	CHECK_EQ("map", dax_map(w.d, w.node[0], 0, 2, DAX_RW, 0), 0);
	at(&w, 1)[100] = 'z';
	dax_send_later(w.d, 2, 3, w.node[1], 0, 2, DAX_READ, 0);
	while (w.d->attend || w.d->shm.first) { /* control thread and front end, but no queue */
		if (w.d->attend) {
			w.d->attend = false;
			w.d->f->fs.ops.attend(&w.d->f->fs);
		}
		if (w.d->shm.first)
			fake_shm_answer(&w.d->shm, 0);
	}
	CHECK_NAMED("it waits", d->dead_pieces && !file_has(w.fd[0], pages(1) + 100, "z"));
	CHECK_EQ("FLUSH on another queue",
		 fs_device_call(w.d->f, 0, FUSE_FLUSH, w.node[0], &in, sizeof(in), NULL, 0), 0);
	CHECK_NAMED("saved", file_has(w.fd[0], pages(1) + 100, "z"));
	dax_device_settle(w.d);
	world_unmount(&w);
	world_end(&w);
}

int main(void)
{
	REQUIRE(!fault_init());
	test_overlap_replaces();
	test_busy();
	test_idle_piece_is_used_again();
	test_idle_age();
	test_no_timer_runs_wild();
	test_budget();
	test_ahead();
	test_ahead_is_in_nobodys_way();
	test_ahead_of_an_empty_file();
	test_shrinks_in_between();
	test_last_page();
	test_write_back_timing();
	test_write_back_beside_idle();
	test_growth();
	test_open_trunc();
	test_fallocate();
	test_grown_file_is_mapped();
	test_programs();
	test_unlinked();
	test_refused();
	test_unmap_refused();
	test_failed_upgrade();
	test_stops();
	test_other_rings();
	test_destroy();
	test_mappings_suffice();
	test_sync_after_replacement();
	return check_done();
}
