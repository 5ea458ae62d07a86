/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front/fs, front/raw and front/waiter against a virtio-fs device of a few lines, behind our own
 * vhost/ in a second thread: it knows INIT and STATFS, which says on which queue it came, and
 * holds LSEEK back until the next request of the same queue.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/fs.h"
#include "front/queue.h"
#include "front/raw.h"
#include "front/waiter.h"
#include "host/log.h"
#include "host/loop.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"
#include "wire/ring.h"
#include "wire/virtio_fs.h"

#define BIT(name)  ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)
#define QUEUES	   4u /* hiprio and three more */
#define HEAD	   ((uint32_t)sizeof(struct fuse_out_header))
#define TIMEOUT_MS 5000

/* --- The device --- */

static struct {
	struct loop loop;
	struct vhost vhost;
	pthread_t thread;
	struct iovec held_seg[QUEUES][8];
	struct vq_chain held[QUEUES];
	uint64_t held_unique[QUEUES];
	_Atomic unsigned popped[QUEUES];
} d;

static void config_read(void *dev, uint32_t off, void *buf, uint32_t len)
{
	struct virtio_fs_config c = { .tag = "test-tag", .num_request_queues = { LE_SWAP32(3) } };

	(void)dev;
	memcpy(buf, (const uint8_t *)&c + off, len);
}

/* The bytes of a reply, as many as there is room for. */
static void answer(struct vq *vq, const struct vq_chain *c, uint64_t unique, int error,
		   const void *body, uint32_t len)
{
	uint8_t all[256];
	struct fuse_out_header h = { .len = HEAD + len, .error = error, .unique = unique };
	uint32_t room = MIN(h.len, c->writable_len);
	struct iovec out[4];
	int n = chain_writable(c, 0, room, out, 4);

	memcpy(all, &h, HEAD);
	if (len)
		memcpy(all + HEAD, body, len);
	if (n > 0)
		chain_fill(out, (unsigned)n, all);
	vq_push(vq, c->head, n > 0 ? room : 0);
}

static void handle(unsigned queue, struct vq *vq, const struct vq_chain *c)
{
	const struct fuse_init_out init = { .major = 7, .minor = 38, .max_write = 65536 };
	const struct fuse_statfs_out statfs = { .st = { .bsize = queue } };
	const struct fuse_lseek_out lseek = { .offset = 77 };
	struct fuse_in_header h = { .opcode = 0 };
	bool whole = !chain_read(c, 0, &h, sizeof(h));

	d.popped[queue]++;
	if (whole && h.opcode == FUSE_LSEEK) {
		d.held[queue] = *c;
		memcpy(d.held_seg[queue], c->seg, sizeof(d.held_seg[queue]));
		d.held[queue].seg = d.held_seg[queue];
		d.held_unique[queue] = h.unique;
		return;
	}
	if (whole && h.opcode == FUSE_INIT)
		answer(vq, c, h.unique, 0, &init, sizeof(init));
	else if (whole && h.opcode == FUSE_STATFS)
		answer(vq, c, h.unique, 0, &statfs, sizeof(statfs));
	else
		answer(vq, c, h.unique, whole ? -ENOSYS : -EINVAL, NULL, 0);
	if (d.held[queue].seg)
		answer(vq, &d.held[queue], d.held_unique[queue], 0, &lseek, sizeof(lseek));
	d.held[queue].seg = NULL;
}

static uint64_t serve(void *dev, unsigned queue, struct vq *vq)
{
	struct iovec seg[VQ_CHAIN_MIN_MAX];
	int ret;

	(void)dev;
	do {
		struct vq_chain c = { .seg = seg, .cap = ARRAY_SIZE(seg) };

		while (!vq->stopping && (ret = vq_pop(vq, &c)) == 1)
			handle(queue, vq, &c);
		vq_publish(vq);
	} while (!vq->stopping && !vq->broken && vq_kicks_on(vq) == 1);
	return UINT64_MAX;
}

static void nothing(void *dev)
{
	(void)dev;
}

static void start(void *dev, const struct device_start *how)
{
	(void)dev;
	(void)how;
}

static const struct device_ops device = {
	.type = "test",
	.num_queues = QUEUES,
	.config_size = sizeof(struct virtio_fs_config),
	.config_read = config_read,
	.start = start,
	.stop = nothing,
	.reset = nothing,
	.serve = serve,
};

static void *run_daemon(void *arg)
{
	(void)arg;
	return loop_run(&d.loop) ? &d : NULL;
}

static int start_daemon(void)
{
	int pair[2];

	memset(&d, 0, sizeof(d));
	REQUIRE(!loop_init(&d.loop));
	REQUIRE(!vhost_init(&d.vhost, &d.loop, "test", &device, &d));
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	REQUIRE(!vhost_attach(&d.vhost, pair[0]));
	REQUIRE(!pthread_create(&d.thread, NULL, run_daemon, NULL));
	return pair[1];
}

static void end_daemon(void)
{
	void *failed;

	pthread_join(d.thread, &failed);
	CHECK_NAMED("loop", !failed);
	vhost_fini(&d.vhost);
	loop_fini(&d.loop);
}

/* --- front/fs --- */

static const struct {
	const char *name;
	uint64_t drop_protocol, drop_features;
	unsigned request_queues, want; /* all */
	const char *tag;
} open_cases[] = {
	{ "as it is", 0, 0, 3, 4, "test-tag" },
	{ "one queue", 0, 0, 0, 2, "test-tag" },
	{ "more than it has", 0, 0, 5, 4, "test-tag" },
	{ "no configuration", BIT(CONFIG), 0, 3, 4, "" },
	{ "no status, no acknowledgements", BIT(STATUS) | BIT(REPLY_ACK), 0, 3, 4, "test-tag" },
	{ "no memory slots", BIT(CONFIGURE_MEM_SLOTS) | BIT(RESET_DEVICE), 0, 3, 4, "test-tag" },
	{ "no event index", 0, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 3, 4, "test-tag" },
	{ "no indirect tables", 0, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 3, 4, "test-tag" },
};

static void test_queues(struct front_fs *g, const char *name)
{
	struct front_fs_call c;

	for (unsigned i = 1; i < g->num_queues; i++) {
		front_fs_call_init(&c);
		CHECK_EQ(name, front_fs_wait(g, &c, vdax_fs_statfs(&g->q[i], &c.rq, 1)), 0);
		CHECK_EQ(name, c.rq.reply.statfs.st.bsize, i);
		CHECK_EQ(name, front_fs_wait(g, &c, vdax_fs_rmdir(&g->q[i], &c.rq, 1, "x")),
			 -ENOSYS);
		CHECK_EQ(name, front_fs_wait(g, &c, vdax_fs_rmdir(&g->q[i], &c.rq, 1, "")),
			 -VDAX_EINVAL);
	}
	CHECK_EQ(name, front_fs_wait(g, &c, vdax_fs_forget(&g->q[0], &c.rq, 7, 1)), 0);
	CHECK_EQ(name, d.popped[0], 1);
}

static void test_open(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(open_cases); i++) {
		const char *name = open_cases[i].name;
		const struct front_fs_opts o = {
			.front = { .fd = start_daemon(),
				   .drop_protocol = open_cases[i].drop_protocol,
				   .drop_features = open_cases[i].drop_features },
			.request_queues = open_cases[i].request_queues,
		};
		struct front_fs *g;

		REQUIRE(!front_fs_open(&g, &o));
		CHECK_EQ(name, g->num_queues, open_cases[i].want);
		CHECK_EQ(name, g->fs.max_write, 65536);
		CHECK_NAMED(name, !strcmp(g->tag, open_cases[i].tag));
		test_queues(g, name);
		front_fs_close(g);
		end_daemon();
	}
}

/* A waiter sleeps for its own queues, and wakes up when the back end goes away. */
static void test_waiter(void)
{
	const struct front_fs_opts o = { .front = { .fd = start_daemon() }, .request_queues = 3 };
	struct front_msg garbage = { .hdr = { .request = VHOST_USER_SET_FEATURES, .size = 3 } };
	struct front_fs_call c[3];
	struct front_waiter w;
	struct front_fs *g;
	int seen = 0;

	REQUIRE(!front_fs_open(&g, &o));
	REQUIRE(!front_waiter_open(&w, g->f));
	REQUIRE(!front_waiter_add(&w, g->f, 2) && !front_waiter_add(&w, g->f, 3));
	CHECK_EQ("nothing yet", front_waiter_wait(&w, 0), 0);
	for (unsigned i = 1; i <= 3; i++) {
		front_fs_call_init(&c[i - 1]);
		REQUIRE(!vdax_fs_statfs(&g->q[i], &c[i - 1].rq, 1));
		vdax_fs_submit(&g->q[i]);
	}
	while (seen != (1 << 2 | 1 << 3)) {
		int ret = front_waiter_wait(&w, TIMEOUT_MS);

		REQUIRE(ret > 0);
		CHECK_EQ("only its own", ret & ~(1 << 2 | 1 << 3), 0);
		seen |= ret;
	}
	CHECK_EQ("queue 2", vdax_fs_poll(&g->q[2]), 1);
	CHECK_EQ("queue 3", vdax_fs_poll(&g->q[3]), 1);
	CHECK_EQ("an edge, not a level", front_waiter_wait(&w, 0), 0);
	CHECK_EQ("one call", front_count_calls(g->f, 2), 1);
	CHECK_EQ("counted", front_count_calls(g->f, 2), 0);
	REQUIRE(!front_sock_send(g->f->sock, &garbage));
	CHECK_EQ("gone", front_waiter_wait(&w, TIMEOUT_MS), -EPIPE);
	front_waiter_close(&w);
	front_fs_close(g);
	end_daemon();
}

/* Whoever waits learns that nobody will answer. */
static void test_lost(void)
{
	const struct front_fs_opts o = { .front = { .fd = start_daemon() } };
	struct front_msg garbage = { .hdr = { .request = VHOST_USER_SET_FEATURES, .size = 3 } };
	struct front_fs_call c;
	struct front_fs *g;

	REQUIRE(!front_fs_open(&g, &o));
	front_fs_call_init(&c);
	REQUIRE(!front_sock_send(g->f->sock, &garbage));
	CHECK_EQ("lost", front_fs_wait(g, &c, vdax_fs_lseek(&g->q[1], &c.rq, 1, 1, 0, 0)), -EPIPE);
	CHECK_NAMED("not under way", !c.rq.slot && c.ret == -VDAX_EIO);
	CHECK_EQ("later", vdax_fs_statfs(&g->q[1], &c.rq, 1), -VDAX_EIO);
	front_fs_close(g);
	end_daemon();
}

/* --- front/raw --- */

static struct front_raw *open_raw(unsigned int queue_size)
{
	const struct front_raw_opts o = { .front = { .fd = start_daemon(), .num_queues = 3 },
					  .queue_size = queue_size,
					  .bytes = 4096 };
	struct front_raw *r;

	REQUIRE(!front_raw_open(&r, &o));
	return r;
}

static const struct {
	const char *name;
	uint32_t readable, writable;
	int want, error;
} raw_cases[] = {
	{ "whole", sizeof(struct fuse_in_header), 200, HEAD, -ENOSYS },
	{ "half a header", 20, 200, HEAD, -EINVAL },
	{ "nothing readable", 0, 200, HEAD, -EINVAL },
	{ "no room", sizeof(struct fuse_in_header), 0, 0, 0 },
	{ "half the room", sizeof(struct fuse_in_header), 8, 8, -ENOSYS },
};

static void test_raw(void)
{
	struct front_raw *r = open_raw(0);

	for (size_t i = 0; i < ARRAY_SIZE(raw_cases); i++) {
		const char *name = raw_cases[i].name;
		struct fuse_in_header h = { .opcode = FUSE_BMAP, .unique = 99 };
		struct iovec two[2] = { { &h, 10 }, { (uint8_t *)&h + 10, 0 } };
		struct fuse_out_header out = { .error = 0 };
		unsigned n = raw_cases[i].readable ? 2 : 0;

		two[1].iov_len = raw_cases[i].readable - 10;
		CHECK_EQ(name,
			 front_raw_call(r, 2, two, n, &out, raw_cases[i].writable, TIMEOUT_MS),
			 raw_cases[i].want);
		CHECK_EQ(name, out.error, raw_cases[i].error);
	}
	front_raw_close(r);
	end_daemon();
}

/* Answers are waited for in any order; a ticket that has none stays good. */
static void test_raw_order(void)
{
	struct fuse_in_header h = { .opcode = FUSE_LSEEK, .unique = 5 };
	struct iovec iov = { &h, sizeof(h) };
	struct front_raw *r = open_raw(0);
	uint8_t out[64];
	int held, next;

	held = front_raw_post(r, 1, &iov, 1, sizeof(out), 20); /* room in pieces of 20 bytes */
	REQUIRE(held >= 0);
	CHECK_EQ("held back", front_raw_wait(r, 1, held, out, sizeof(out), 20), -ETIMEDOUT);
	CHECK_NAMED("memory", !memcmp(front_raw_memory(r, 1, held), &h, sizeof(h)));
	h.opcode = FUSE_STATFS;
	next = front_raw_post(r, 1, &iov, 1, 200, 0);
	REQUIRE(next >= 0);
	CHECK_EQ("held", front_raw_wait(r, 1, held, out, sizeof(out), TIMEOUT_MS), HEAD + 8);
	CHECK_EQ("value", out[HEAD], 77);
	CHECK_EQ("next", front_raw_wait(r, 1, next, out, sizeof(out), TIMEOUT_MS), HEAD + 80);
	CHECK_EQ("once", front_raw_wait(r, 1, next, out, sizeof(out), 0), -EINVAL);
	CHECK_EQ("too large", front_raw_post(r, 1, &iov, 1, 4096, 0), -EINVAL);
	CHECK_EQ("no such queue", front_raw_post(r, 3, &iov, 1, 16, 0), -EINVAL);
	front_raw_close(r);
	end_daemon();
}

/* A ring that cannot be is told apart from a slow answer. */
static void test_raw_broken(void)
{
	struct fuse_in_header h = { .opcode = FUSE_LSEEK };
	struct iovec iov = { &h, sizeof(h) };
	struct front_raw *r = open_raw(16);
	int ticket = front_raw_post(r, 1, &iov, 1, 64, 0);
	uint8_t out[16];

	REQUIRE(ticket >= 0);
	r->q[1].ring.avail->idx = le16_of(1000);
	front_kick(r->f, 1);
	CHECK_EQ("broken", front_raw_wait(r, 1, ticket, out, sizeof(out), TIMEOUT_MS), -EIO);
	h.opcode = FUSE_STATFS;
	CHECK_EQ("others live", front_raw_call(r, 2, &iov, 1, out, sizeof(out), TIMEOUT_MS), 16);
	front_raw_close(r);
	end_daemon();
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERR);
	REQUIRE(!fault_init());
	test_open();
	test_waiter();
	test_lost();
	test_raw();
	test_raw_order();
	test_raw_broken();
	return check_done();
}
