/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DAX window with a thread for each of two queues and one for control, as it is in the daemon:
 * for the thread sanitizer. Both queues map the same file, over each other, and store.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "tests/lib/dax_device.h"
#include "virtio/fault.h"

#define ROUNDS 300u
#define SIZE   (20u * DAX_PAGE + 100u)

static struct dax_device *dev;
static _Atomic bool over;

struct queue {
	unsigned q;
	uint64_t node, fh;
	unsigned answered, busy, wrong;
	pthread_t id;
};

static void pause_thread(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

/* Control thread and front end. */
static void *control(void *arg)
{
	struct dax_stats stats;

	(void)arg;
	while (!over || dev->shm.first || dev->attend) {
		if (atomic_exchange(&dev->attend, false))
			dev->f->fs.ops.attend(&dev->f->fs);
		else if (dev->shm.first)
			fake_shm_answer(&dev->shm, 0);
		else
			pause_thread();
		dax_stats(&dev->f->fs, &stats);
	}
	return NULL;
}

/* Serves until a request is answered. */
static int wait_for(const struct queue *t, unsigned slot)
{
	int ret;

	while ((ret = fs_device_result(dev->f, t->q, slot)) == DAX_PENDING) {
		pause_thread();
		fs_device_serve(dev->f, t->q);
	}
	return ret;
}

static int call(const struct queue *t, uint32_t opcode, const void *body, uint32_t len,
		uint32_t room)
{
	fs_device_send(dev->f, t->q, 1, opcode, t->node, body, len, room);
	fs_device_serve(dev->f, t->q);
	return wait_for(t, 1);
}

/* A range of its own, or one that the other has, too. */
static void one_round(struct queue *t, unsigned n)
{
	uint64_t off = n % 3 ? 100ull * t->q + n % 7 : 50 + n % 5, len = 1 + n % 21;
	struct {
		struct fuse_write_in in;
		uint8_t bytes[100];
	} write = { .in = { .fh = t->fh, .offset = n * 61 % SIZE, .size = 100 } };
	const struct fuse_flush_in flush = { .fh = t->fh };
	const struct fuse_getattr_in getattr = { 0 };
	struct {
		struct fuse_removemapping_in in;
		uint8_t one[sizeof(struct fuse_removemapping_one)];
	} body = { .in.count = 1 };
	const struct fuse_removemapping_one one = { .moffset = off * DAX_PAGE,
						    .len = len * DAX_PAGE };
	int ret;

	dax_send_later(dev, t->q, 0, t->node, n % 2 ? 0 : n % 11, len, n % 4 ? DAX_RW : DAX_READ,
		       off);
	ret = wait_for(t, 0);
	t->answered += !ret;
	t->busy += ret == -EBUSY;
	t->wrong += ret && ret != -EBUSY;
	t->wrong += call(t, FUSE_WRITE, &write, sizeof(write), sizeof(struct fuse_write_out)) != 0;
	t->wrong += call(t, FUSE_GETATTR, &getattr, sizeof(getattr),
			 sizeof(struct fuse_attr_out)) != 0;
	t->wrong += call(t, FUSE_FLUSH, &flush, sizeof(flush), 0) != 0;
	memcpy(body.one, &one, sizeof(one));
	if (n % 5)
		t->wrong += call(t, FUSE_REMOVEMAPPING, &body, sizeof(body), 0) != 0;
}

static void *serve(void *arg)
{
	struct queue *t = arg;

	for (unsigned n = 0; n < ROUNDS; n++)
		one_round(t, n);
	return NULL;
}

int main(void)
{
	struct queue t[2] = { { .q = 1 }, { .q = 2 } };
	pthread_t id;
	int fd;

	REQUIRE(!fault_init());
	dev = dax_device_new();
	dax_device_start(dev, DAX_DEVICE_INIT);
	dax_of(dev)->max_maps = 12;
	fd = dax_file_make(dev, "file", 1, SIZE, 0644);
	for (unsigned i = 0; i < 2; i++) {
		t[i].node = fs_device_lookup(dev->f, "file");
		t[i].fh = fs_device_open(dev->f, FUSE_OPEN, t[i].node, O_RDWR);
		REQUIRE(t[i].node && t[i].fh);
	}
	REQUIRE(!pthread_create(&id, NULL, control, NULL));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(!pthread_create(&t[i].id, NULL, serve, &t[i]));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i].id, NULL);
	over = true;
	pthread_join(id, NULL);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ("other errors", t[i].wrong, 0);
		CHECK_NAMED("most are set up", t[i].answered > ROUNDS / 3);
	}
	CHECK_NAMED("mappings", dev->shm.most <= 12);
	CHECK_EQ("refused by a rule of the front end", dev->shm.bad_maps, 0);
	CHECK_EQ("DESTROY", dax_destroy(dev), 0);
	dax_check_empty(dev);
	close(fd);
	dax_device_free(dev);
	return check_done();
}
