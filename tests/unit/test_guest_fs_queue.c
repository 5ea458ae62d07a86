/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/fs.c: parameters that are refused, full and failed queues, notifications, callbacks. */
#include "tests/lib/fake_fs.h"

/* --- Parameters --- */

static char long_name[300];

static const struct {
	const char *name, *arg;
	int ret;
} name_cases[] = {
	{ "empty", "", -VDAX_EINVAL },
	{ "slash", "a/b", -VDAX_EINVAL },
	{ "only a slash", "/", -VDAX_EINVAL },
	{ "dots", "..", 0 },
	{ "256 bytes", long_name, -VDAX_EINVAL },
	{ "255 bytes", long_name + 1, 0 },
};

static void test_parameters(void)
{
	const struct vdax_seg empty = { 4096, 0 }, large = { 4096, 1u << 31 };
	struct vdax_seg four[4] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 } };
	const struct vdax_fs_data none = { &empty, 1 }, huge = { &large, 1 }, many = { four, 4 };
	const struct fuse_forget_one one = { 7, 1 };

	memset(long_name, 'x', 256);
	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		set_up(0);
		CHECK_EQ(name_cases[i].name, vdax_fs_lookup(&q, &rq, 1, name_cases[i].arg),
			 name_cases[i].ret);
		CHECK_EQ(name_cases[i].name, q.busy, !name_cases[i].ret);
	}
	set_up(0);
	CHECK_EQ("second name", vdax_fs_rename2(&q, &rq, 1, "a", 1, "", 0), -VDAX_EINVAL);
	CHECK_EQ("empty piece", vdax_fs_read(&q, &rq, 7, 5, 0, &none), -VDAX_EINVAL);
	CHECK_EQ("2 GiB", vdax_fs_read(&q, &rq, 7, 5, 0, &huge), -VDAX_EINVAL);
	CHECK_EQ("pieces", vdax_fs_read(&q, &rq, 7, 5, 0, &many), -VDAX_EINVAL);
	CHECK_EQ("no place", vdax_fs_read(&q, &rq, 7, 5, 0, NULL), -VDAX_EINVAL);
	CHECK_EQ("nothing to write", vdax_fs_write(&q, &rq, 7, 5, 0, NULL), -VDAX_EINVAL);
	fs.max_write = 191;
	CHECK_EQ("more than max_write", vdax_fs_write(&q, &rq, 7, 5, 4096, &data), -VDAX_EINVAL);
	CHECK_EQ("empty list", vdax_fs_batch_forget(&hiprio, &rq, &one, 0), -VDAX_EINVAL);
	CHECK_EQ("long list", vdax_fs_batch_forget(&hiprio, &rq, &one, 33), -VDAX_EINVAL);
	CHECK_EQ("nobody", vdax_fs_interrupt(&hiprio, &rq, 0), -VDAX_EINVAL);
	CHECK_EQ("forget in a request queue", vdax_fs_forget(&q, &rq, 7, 1), -VDAX_EINVAL);
	CHECK_EQ("request in hiprio", vdax_fs_statfs(&hiprio, &rq, 1), -VDAX_EINVAL);
	CHECK_EQ("beyond the window",
		 vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 0, 8192, 1, 4096), -VDAX_ERANGE);
	CHECK_EQ("offset wraps",
		 vdax_fs_setupmapping(&q, &rq, &window, 7, 0, UINT64_MAX, 4096, 1, 0),
		 -VDAX_ERANGE);
	CHECK_EQ("unaligned", vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 512, 4096, 1, 0),
		 -VDAX_EINVAL);
	CHECK_EQ("nothing to map", vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 0, 0, 1, 0),
		 -VDAX_EINVAL);
	CHECK_EQ("nothing was sent", q.busy + hiprio.busy, 0);
	CHECK_NAMED("and nothing shows", !dev_pop(&q) && !dev_pop(&hiprio));
}

/* --- Queues --- */

static struct vdax_fs_rq many[2 * SIZE];

static unsigned int fill(void)
{
	unsigned int n = 0;

	memset(many, 0, sizeof(many));
	for (;; n++) {
		REQUIRE(n < ARRAY_SIZE(many));
		many[n].done = done;
		if (vdax_fs_read(&q, &many[n], 7, 5, 0, &data))
			return n;
	}
}

static void test_full(uint64_t features, unsigned int want)
{
	uint64_t seen[SIZE] = { 0 };
	unsigned int n;

	set_up(features);
	n = fill();
	CHECK_EQ("requests", n, want);
	CHECK_EQ("full", vdax_fs_statfs(&q, &many[n], 1), -VDAX_EAGAIN);
	vdax_fs_submit(&q);
	for (unsigned int i = 0; i < n; i++) {
		REQUIRE(dev_pop(&q));
		seen[i] = got.h.unique;
		for (unsigned int k = 0; k < i; k++)
			CHECK_NAMED("unique", seen[k] != seen[i]);
		CHECK_NAMED("even", !(seen[i] & 1));
		dev_reply(&q, 0, NULL, 0);
	}
	last.calls = 0;
	CHECK_EQ("all at once", vdax_fs_poll(&q), n);
	CHECK_EQ("callbacks", last.calls, n);
	CHECK_EQ("again", fill(), want);
	vdax_fs_fail(&q, -VDAX_ETIMEDOUT);
	CHECK_EQ("all failed", last.calls, 2 * n);
	CHECK_EQ("with", last.ret, -VDAX_ETIMEDOUT);
	CHECK_EQ("later ones too", vdax_fs_statfs(&q, &rq, 1), -VDAX_ETIMEDOUT);
	CHECK_EQ("and poll", vdax_fs_poll(&q), -VDAX_ETIMEDOUT);
}

/* One notification for all that were made, and only if the event index asks for it. */
static void test_notify(void)
{
	le16 *avail_event;
	unsigned int n;

	set_up(INDIRECT | EVENT_IDX);
	avail_event = (le16 *)(void *)&q.ring.used->ring[SIZE];
	ring_store(avail_event, popped[1]);
	notified[1] = 0;
	n = fill();
	CHECK_EQ("not before submit", notified[1], 0);
	vdax_fs_submit(&q);
	CHECK_EQ("once", notified[1], 1);
	vdax_fs_submit(&q);
	CHECK_EQ("nothing new", notified[1], 1);
	while (dev_pop(&q))
		dev_reply(&q, 0, NULL, 0);
	CHECK_EQ("ended", vdax_fs_poll(&q), n);
	ring_store(avail_event, (uint16_t)(popped[1] - 1)); /* the device is still looking */
	REQUIRE(!vdax_fs_statfs(&q, &rq, 1));
	vdax_fs_submit(&q);
	CHECK_EQ("not asked for", notified[1], 1);
	CHECK_NAMED("but there", dev_pop(&q));
}

static void again(struct vdax_fs_rq *r, int ret)
{
	done(r, ret);
	CHECK_EQ("poll inside", vdax_fs_poll(&q), 0);
	CHECK_EQ("request inside", vdax_fs_statfs(&q, r, 1), 0);
}

static void test_callback_sends(void)
{
	const struct fuse_statfs_out reply = { .st = { .bsize = 4096 } };
	struct vdax_fs_rq r = { .done = again };

	set_up(0);
	REQUIRE(!vdax_fs_statfs(&q, &r, 1));
	pop(&q);
	notified[1] = 0;
	dev_reply(&q, 0, &reply, sizeof(reply));
	CHECK_EQ("poll", vdax_fs_poll(&q), 1);
	CHECK_EQ("shown by poll", notified[1], 1);
	CHECK_NAMED("there", dev_pop(&q));
	r.done = done;
	status = VIRTIO_STATUS_NEEDS_RESET;
	vdax_fs_config_changed(&q);
	status = 0;
	CHECK_EQ("device failed", last.ret, -VDAX_EIO);
	CHECK_EQ("over", vdax_fs_poll(&q), -VDAX_EIO);
}

/* The device gives back what it does not have. */
static void test_broken_ring(void)
{
	set_up(0);
	REQUIRE(!vdax_fs_statfs(&q, &rq, 1));
	pop(&q);
	dev_push(&q, 9, 16);
	CHECK_EQ("broken", vdax_fs_poll(&q), -VDAX_EIO);
	CHECK_EQ("told", last.ret, -VDAX_EIO);
	CHECK_EQ("stays so", vdax_fs_statfs(&q, &rq, 1), -VDAX_EIO);
}

static void test_set_up(void)
{
	struct vdax_fs_queue_opts o = { .platform = &platform,
					.fs = &fs,
					.index = 1,
					.size = SIZE,
					.segs = SEGS,
					.shared = shared[1],
					.ring_slots = ring_slots[1],
					.slots = slots[1],
					.scratch = scratch[1] };
	struct vdax_fs_config c;

	unreachable = true;
	CHECK_EQ("out of reach", vdax_fs_queue_init(&q, &o), -VDAX_ENODEV);
	unreachable = false;
	o.size = 2;
	CHECK_EQ("too small", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);
	o.size = SIZE;
	o.index = VDAX_FS_QUEUES_MAX;
	CHECK_EQ("index", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);
	o.index = 1;
	o.segs = 0;
	CHECK_EQ("segs", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);

	CHECK_EQ("no VERSION_1", vdax_fs_features(EVENT_IDX), 0);
	CHECK_EQ("known only", vdax_fs_features(~(uint64_t)0), VERSION_1 | EVENT_IDX | INDIRECT);
	memset(config.tag, 'T', sizeof(config.tag)); /* no NUL: a tag may fill the field */
	CHECK_EQ("no queues", vdax_fs_read_config(&platform, &c), -VDAX_EINVAL);
	config.num_request_queues = le32_of(4);
	CHECK_EQ("config", vdax_fs_read_config(&platform, &c), 0);
	CHECK_EQ("queues", c.request_queues, 4);
	CHECK_EQ("tag", strlen(c.tag), 36);
}

int main(void)
{
	fake_start();
	test_set_up();
	test_parameters();
	test_full(0, SIZE / 5);
	test_full(INDIRECT, SIZE);
	test_notify();
	test_callback_sends();
	test_broken_ring();
	return check_done();
}
