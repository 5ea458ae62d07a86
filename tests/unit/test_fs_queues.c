/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Four queues, each with its thread, that serve requests for the same names at the same time, with
 * file handles and without: for the thread sanitizer. In the end nothing remains.
 */
#include <pthread.h>

#include "tests/lib/fs_device.h"
#include "tests/proto/fs_mix.h"
#include "virtio/fault.h"

#define THREADS	 4u
#define REQUESTS 6000u

struct thread {
	struct fs *fs;
	unsigned queue;
	struct fake_driver *driver;
	struct mix mix;
	uint64_t unique, unanswered;
	pthread_t id;
};

/* The driver's side and the device's of one queue; no other thread looks at either. */
static int carry(struct thread *t, const struct mix_rq *rq, uint8_t **reply)
{
	struct fake_driver *d = t->driver;
	const struct fuse_in_header in = {
		.len = (uint32_t)sizeof(in) + rq->len,
		.opcode = rq->opcode,
		.unique = ++t->unique,
		.nodeid = rq->nodeid,
	};
	uint16_t seen = fake_used_idx(d);
	struct fuse_out_header *out = (void *)(d->ram + FAKE_DATA + KIB(8));

	memcpy(d->ram + FAKE_DATA, &in, sizeof(in));
	memcpy(d->ram + FAKE_DATA + sizeof(in), rq->body, rq->len);
	fake_desc(&d->desc[0], FAKE_DATA, in.len, rq->silent ? 0 : VRING_DESC_F_NEXT, 1);
	fake_desc(&d->desc[1], FAKE_DATA + KIB(8), sizeof(*out) + MIX_ROOM, VRING_DESC_F_WRITE, 0);
	fake_offer(d, 0);
	fs_serve(t->fs->queues[t->queue], &d->vq);
	t->unanswered += fake_used_idx(d) != (uint16_t)(seen + 1);
	*reply = (uint8_t *)(out + 1);
	return rq->silent ? 0 : out->error ? out->error : (int)(out->len - sizeof(*out));
}

static void *run(void *arg)
{
	struct thread *t = arg;
	struct mix_rq rq;
	uint8_t *reply;

	for (unsigned n = 0;; n++) {
		int ret;

		t->mix.ending = n >= REQUESTS;
		if (!mix_next(&t->mix, &rq))
			return NULL;
		ret = carry(t, &rq, &reply);
		mix_answer(&t->mix, &rq, ret, reply);
	}
}

static void test(enum fs_handles handles)
{
	struct fs_device *f = fs_device_new();
	static struct thread threads[THREADS];

	f->cfg.inode_file_handles = handles;
	f->cfg.num_queues = THREADS + 1;
	fs_device_start(f, FUSE_DO_READDIRPLUS | FUSE_PARALLEL_DIROPS);
	for (unsigned i = 0; i < THREADS; i++) {
		struct thread *t = &threads[i];

		*t = (struct thread){ .fs = &f->fs, .queue = 2 + i };
		t->driver = fake_new(FS_DEVICE_RING, 0);
		mix_init(&t->mix, i);
		REQUIRE(!pthread_create(&t->id, NULL, run, t));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		CHECK_EQ("impossible answers", threads[i].mix.wrong, 0);
		CHECK_EQ("no answer", threads[i].unanswered, 0);
		CHECK_NAMED("not all fail", threads[i].mix.failed < threads[i].mix.done * 3 / 4);
		fake_free(threads[i].driver);
	}
	CHECK_EQ("inodes", f->fs.inodes.count, 1);
	CHECK_EQ("handles", f->fs.handles.count, 0);
	CHECK_EQ("descriptors that stay open", f->fs.inodes.fds.pinned, 1);
	fs_device_free(f);
}

int main(void)
{
	REQUIRE(!fault_init());
	test(FS_HANDLES_PREFER);
	test(FS_HANDLES_NEVER);
	return check_done();
}
