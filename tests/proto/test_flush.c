/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: many at once, in rings of every size, and everything that a guest can write
 * into a ring, from a flush of an odd shape to chains that cannot be.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/macros.h"
#include "front/queue.h"
#include "front/ram.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/guest.h"
#include "vdax/errno.h"
#include "wire/pmem.h"
#include "wire/ring.h"

static struct daemon d;

/* --- many at once --- */

#define MAX_JOBS 64u

static bool wait_all(struct guest *g, const struct noted *n, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!guest_wait(g, &n[i], 10000) || n[i].ret)
			return false;
	return true;
}

static void test_concurrent(unsigned jobs)
{
	static struct noted n[MAX_JOBS];
	int64_t syncs = daemon_stat(&d, "syncs"), flushes = daemon_stat(&d, "flushes");
	struct guest g;
	char name[16];

	snprintf(name, sizeof(name), "%u jobs", jobs);
	guest_boot(&g, &d, &(struct guest_opts){ .separate = true });
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < jobs; i++)
			guest_submit(&g, &n[i]);
		CHECK_NAMED(name, wait_all(&g, n, jobs));
	}
	syncs = daemon_stat(&d, "syncs") - syncs;
	flushes = daemon_stat(&d, "flushes") - flushes;
	CHECK_EQ(name, flushes, 10 * jobs + 1);
	CHECK_EQ(name, daemon_stat(&d, "flushes"), daemon_stat(&d, "flushes_done"));
	CHECK_NAMED(name, syncs >= 11 && syncs <= flushes);
	guest_close(&g);
}

/* What arrives in a sync is answered by the next one, and by one. */
static void test_generations(void)
{
	static struct noted n[MAX_JOBS];
	static struct daemon stalled;
	int64_t syncs;
	struct guest g;

	daemon_start(&stalled, &(struct daemon_opts){ .stall = true });
	guest_open(&g, &stalled,
		   &(struct guest_opts){ .separate = true, .timeout_ns = 20000000000u });
	REQUIRE(!front_start(g.f));
	daemon_release(&stalled, 1);
	REQUIRE(!vdax_pmem_probe(&g.g.pm));
	syncs = daemon_stat(&stalled, "syncs");
	guest_submit(&g, &n[0]);
	CHECK(daemon_stat_reaches(&stalled, "syncs", syncs + 1));
	for (unsigned i = 1; i < MAX_JOBS; i++)
		guest_submit(&g, &n[i]);
	sleep_ms(20);
	CHECK_EQ("none is popped in a sync", daemon_stat(&stalled, "flushes"), syncs + 1);
	daemon_release(&stalled, 1);
	CHECK_NAMED("the first is done", guest_wait(&g, &n[0], 5000));
	CHECK(daemon_stat_reaches(&stalled, "syncs", syncs + 2));
	for (unsigned i = 1; i < MAX_JOBS; i++)
		CHECK_NAMED("those that came in its sync are not", !guest_wait(&g, &n[i], 0));
	daemon_release(&stalled, 1);
	CHECK_NAMED("one more sync does for all", wait_all(&g, n, MAX_JOBS));
	CHECK_EQ("syncs", daemon_stat(&stalled, "syncs"), syncs + 2);
	guest_close(&g);
	CHECK_EQ("exit status", daemon_stop(&stalled), 0);
}

static const struct {
	const char *name;
	uint64_t drop;
} ring_features[] = {
	{ "all features", 0 },
	{ "no indirect", VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) },
	{ "no event index", VIRTIO_BIT(VIRTIO_F_EVENT_IDX) },
	{ "neither", VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) },
};

/* Fills the ring, twice, so that all of it is used. */
static void test_ring(size_t features, unsigned size)
{
	bool indirect = !(ring_features[features].drop & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
	unsigned jobs = indirect ? size : size / 2;
	struct noted *n = calloc(jobs, sizeof(*n)); /* a request takes two descriptors */
	struct guest g;
	char name[40];

	REQUIRE(n);
	snprintf(name, sizeof(name), "%s, %u", ring_features[features].name, size);
	guest_boot(&g, &d,
		   &(struct guest_opts){ .separate = true,
					 .queue_size = size,
					 .drop_features = ring_features[features].drop });
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < jobs; i++)
			guest_submit(&g, &n[i]);
		CHECK_NAMED(name, wait_all(&g, n, jobs));
	}
	CHECK_EQ(name, g.f->q[0].errs, 0);
	CHECK_EQ(name, g.f->stats.violations, 0);
	guest_close(&g);
	free(n);
}

static void test_rings(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring_features); i++)
		for (unsigned size = 2; size <= VRING_SIZE_MAX; size *= 2)
			test_ring(i, size);
}

/* The 16-bit indices wrap. */
static void test_wrap(void)
{
	static struct noted n[MAX_JOBS];
	struct guest g;
	bool all = true;

	guest_boot(&g, &d, &(struct guest_opts){ .separate = true, .queue_size = 64 });
	for (unsigned round = 0; round < 66000 / MAX_JOBS; round++) {
		for (unsigned i = 0; i < MAX_JOBS; i++)
			guest_submit(&g, &n[i]);
		all = all && wait_all(&g, n, MAX_JOBS);
	}
	CHECK_NAMED("66000 requests", all);
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_EQ("position", g.f->q[0].base, (uint16_t)g.g.pm.stats.sent);
	CHECK_EQ("cont", front_start(g.f), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	guest_close(&g);
}

/* --- requests of every shape --- */

#define BAD_GPA (UINT64_C(1) << 50) /* no memory there */

/* The ring of the driver, whose memory is written by hand here, and room for buffers. */
struct hand {
	struct guest g;
	const struct vdax_ring *r;
	uint8_t *buf; /* a page of the guest's RAM */
	uint64_t buf_gpa;
	uint16_t size; /* of the ring */
	uint16_t avail, used;
};

#define REQ_AT	 0u
#define RESP_AT	 64u
#define TABLE_AT 1024u

static void hand_take(struct hand *h)
{
	h->r = &h->g.g.pm.ring;
	h->size = h->r->size;
	h->buf = front_ram_alloc(h->g.f, 4096, 4096);
	REQUIRE(h->buf);
	h->buf_gpa = front_ram_gpa(h->g.f, h->buf, 4096);
	h->avail = h->used = 0;
}

static void hand_boot(struct hand *h, uint64_t drop_features)
{
	guest_boot(&h->g, &d,
		   &(struct guest_opts){ .queue_size = 16, .drop_features = drop_features });
	hand_take(h);
	h->avail = h->used = 1; /* the probe was the first request */
}

static void set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	*desc = (struct vring_desc){ le64_of(addr), le32_of(len), le16_of(flags), le16_of(next) };
}

/* Offers the chain that begins at head. */
static void offer(struct hand *h, uint16_t head)
{
	h->r->avail->ring[h->avail % h->size] = le16_of(head);
	ring_store_release(&h->r->avail->idx, ++h->avail);
	front_kick(h->g.f, 0);
}

/* Waits for the next used entry. */
static bool take_used(struct hand *h, struct vring_used_elem *e, unsigned ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)ms * 1000000;

	while (ring_load_acquire(&h->r->used->idx) == h->used) {
		if (clock_ns() > deadline)
			return false;
		front_poll(h->g.f, 1);
	}
	*e = h->r->used->ring[h->used++ % h->size];
	return true;
}

#define END	  0u /* kinds of buffers */
#define READ	  1u
#define WRITE	  2u
#define READ_BAD  3u /* at an address where nothing is */
#define WRITE_BAD 4u
#define READ_END  5u /* the last 2 bytes of RAM and what follows */

static const struct {
	const char *name;
	struct {
		uint8_t kind;
		uint32_t len;
	} buf[8];
	uint32_t type;
	uint32_t used_len;
	uint32_t ret; /* if used_len is 4 */
} shapes[] = {
	{ "a flush", { { READ, 4 }, { WRITE, 4 } }, 0, 4, 0 },
	{ "a longer request", { { READ, 16 }, { WRITE, 4 } }, 0, 4, 0 },
	{ "more room than needed", { { READ, 4 }, { WRITE, 64 } }, 0, 4, 0 },
	{ "in pieces", { { READ, 1 }, { READ, 3 }, { WRITE, 1 }, { WRITE, 3 } }, 0, 4, 0 },
	{ "in bytes",
	  { { READ, 4 }, { WRITE, 1 }, { WRITE, 1 }, { WRITE, 1 }, { WRITE, 1 } },
	  0,
	  4,
	  0 },
	{ "with empty buffers", { { READ, 0 }, { READ, 4 }, { WRITE, 0 }, { WRITE, 4 } }, 0, 4, 0 },
	{ "another type", { { READ, 4 }, { WRITE, 4 } }, 1, 4, UINT32_MAX },
	{ "the last type", { { READ, 4 }, { WRITE, 4 } }, UINT32_MAX, 4, UINT32_MAX },
	{ "a short request", { { READ, 3 }, { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "no request", { { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "an empty request", { { READ, 0 }, { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "no room", { { READ, 4 } }, 0, 0, 0 },
	{ "little room", { { READ, 4 }, { WRITE, 3 } }, 0, 0, 0 },
	{ "request nowhere", { { READ_BAD, 4 }, { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "half a request", { { READ, 2 }, { READ_BAD, 2 }, { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "request over the end", { { READ_END, 4 }, { WRITE, 4 } }, 0, 4, UINT32_MAX },
	{ "answer nowhere", { { READ, 4 }, { WRITE_BAD, 4 } }, 0, 0, 0 },
	{ "half an answer", { { READ, 4 }, { WRITE, 2 }, { WRITE_BAD, 2 } }, 0, 0, 0 },
	{ "room nowhere behind", { { READ, 4 }, { WRITE, 4 }, { WRITE_BAD, 4 } }, 0, 4, 0 },
	{ "large room", { { READ, 4 }, { WRITE, 1u << 31 } }, 0, 4, 0 },
};

static unsigned write_shape(struct hand *h, struct vring_desc *table, size_t i)
{
	uint32_t off[2] = { REQ_AT, RESP_AT };
	unsigned n = 0;

	for (; shapes[i].buf[n].kind != END; n++) {
		uint8_t kind = shapes[i].buf[n].kind;
		uint32_t len = shapes[i].buf[n].len;
		bool write = kind == WRITE || kind == WRITE_BAD;
		uint64_t addr = kind == READ || kind == WRITE ? h->buf_gpa + off[write]
				: kind == READ_END	      ? h->g.f->opts.ram_size - 2
							      : BAD_GPA;

		off[write] += len;
		set_desc(&table[n], addr, len,
			 (uint16_t)((write ? VRING_DESC_F_WRITE : 0) |
				    (shapes[i].buf[n + 1].kind != END ? VRING_DESC_F_NEXT : 0)),
			 (uint16_t)(n + 1));
	}
	return n;
}

static void test_shape(struct hand *h, size_t i, bool indirect)
{
	const char *name = shapes[i].name;
	const le32 type = le32_of(shapes[i].type);
	struct vring_desc *table = (struct vring_desc *)(void *)(h->buf + TABLE_AT);
	struct vring_used_elem e;
	unsigned n;
	le32 ret;

	memset(h->buf, 0, TABLE_AT);
	memset(h->buf + RESP_AT, 0x55, 64);
	memcpy(h->buf + REQ_AT, &type, sizeof(type));
	n = write_shape(h, indirect ? table : h->r->desc, i);
	if (indirect)
		set_desc(&h->r->desc[0], h->buf_gpa + TABLE_AT, n * (uint32_t)sizeof(*table),
			 VRING_DESC_F_INDIRECT, 0);
	offer(h, 0);
	REQUIRE(take_used(h, &e, 5000));
	CHECK_EQ(name, le32_get(e.id), 0);
	CHECK_EQ(name, le32_get(e.len), shapes[i].used_len);
	memcpy(&ret, h->buf + RESP_AT, sizeof(ret));
	CHECK_EQ(name, le32_get(ret),
		 shapes[i].used_len == 4 ? shapes[i].ret : UINT32_C(0x55555555));
	CHECK_EQ(name, h->buf[RESP_AT + 4], 0x55);
}

static void test_shapes(void)
{
	struct hand h;

	hand_boot(&h, 0);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		test_shape(&h, i, false);
		test_shape(&h, i, true);
		test_shape(&h, 0, false); /* and the queue lives */
	}
	CHECK_EQ("not broken", h.g.f->q[0].errs, 0);
	guest_close(&h.g);
}

/* The smallest ring, which our driver does not use: requests fit it in a table only. */
static void test_ring_of_one(void)
{
	struct hand h;

	guest_open(&h.g, &d, &(struct guest_opts){ .queue_size = 16 });
	hand_take(&h);
	h.size = h.g.f->q[0].size = 1;
	REQUIRE(!front_start(h.g.f));
	for (int i = 0; i < 100; i++)
		test_shape(&h, 0, true);
	CHECK_EQ("not broken", h.g.f->q[0].errs, 0);
	CHECK_EQ("stop", front_stop(h.g.f), 0);
	CHECK_EQ("position", h.g.f->q[0].base, 100);
	guest_close(&h.g);
}

/* --- what breaks a queue --- */

/* Descriptors 0 to 2 are as given, 3 to 5 are the same as an indirect table. */
struct evil {
	uint64_t addr; /* 0: the buffer; 1: the table */
	uint32_t len;
	uint16_t flags, next;
};

#define NEXT	 VRING_DESC_F_NEXT
#define WR	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static const struct {
	const char *name;
	struct evil ring[3];
	struct evil table[3];
	uint16_t head;
	uint16_t ahead; /* of the available index */
	uint64_t drop_features;
} evils[] = {
	{ "head outside", { { 0, 4, 0, 0 } }, { { 0 } }, 16, 0, 0 },
	{ "head 65535", { { 0, 4, 0, 0 } }, { { 0 } }, 65535, 0, 0 },
	{ "next outside", { { 0, 4, NEXT, 16 } }, { { 0 } }, 0, 0, 0 },
	{ "chain of one in a circle", { { 0, 4, NEXT, 0 } }, { { 0 } }, 0, 0, 0 },
	{ "chain of two in a circle",
	  { { 0, 4, NEXT, 1 }, { 0, 4, NEXT, 0 } },
	  { { 0 } },
	  0,
	  0,
	  0 },
	{ "empty buffers in a circle", { { 0, 0, NEXT, 0 } }, { { 0 } }, 0, 0, 0 },
	{ "readable after writable",
	  { { 0, 4, NEXT | WR, 1 }, { 0, 4, 0, 0 } },
	  { { 0 } },
	  0,
	  0,
	  0 },
	{ "4 GiB", { { 0, UINT32_MAX, NEXT, 1 }, { 0, UINT32_MAX, 0, 0 } }, { { 0 } }, 0, 0, 0 },
	{ "index too far ahead", { { 0, 4, 0, 0 } }, { { 0 } }, 0, 17, 0 },
	{ "index behind", { { 0, 4, 0, 0 } }, { { 0 } }, 0, 65535, 0 },
	{ "indirect, not negotiated",
	  { { 1, 32, INDIRECT, 0 } },
	  { { 0, 4, NEXT, 1 }, { 0, 4, WR, 0 } },
	  0,
	  0,
	  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) },
	{ "indirect in indirect", { { 1, 32, INDIRECT, 0 } }, { { 1, 16, INDIRECT, 0 } }, 0, 0, 0 },
	{ "indirect with a next",
	  { { 1, 32, INDIRECT | NEXT, 1 }, { 0, 4, WR, 0 } },
	  { { 0, 4, 0, 0 } },
	  0,
	  0,
	  0 },
	{ "empty table", { { 1, 0, INDIRECT, 0 } }, { { 0 } }, 0, 0, 0 },
	{ "table of 17 bytes", { { 1, 17, INDIRECT, 0 } }, { { 0, 4, 0, 0 } }, 0, 0, 0 },
	{ "table of 4 GiB",
	  { { 1, UINT32_MAX & ~15u, INDIRECT, 0 } },
	  { { 0, 4, 0, 0 } },
	  0,
	  0,
	  0 },
	{ "table nowhere", { { BAD_GPA, 16, INDIRECT, 0 } }, { { 0 } }, 0, 0, 0 },
	{ "next outside the table", { { 1, 32, INDIRECT, 0 } }, { { 0, 4, NEXT, 2 } }, 0, 0, 0 },
	{ "circle in the table", { { 1, 32, INDIRECT, 0 } }, { { 0, 4, NEXT, 0 } }, 0, 0, 0 },
};

static void write_evil(const struct hand *h, struct vring_desc *to, const struct evil *from)
{
	for (unsigned i = 0; i < 3; i++) {
		uint64_t addr = from[i].addr == 0   ? h->buf_gpa
				: from[i].addr == 1 ? h->buf_gpa + TABLE_AT
						    : from[i].addr;

		set_desc(&to[i], addr, from[i].len, from[i].flags, from[i].next);
	}
}

static void test_evil(size_t i)
{
	const char *name = evils[i].name;
	struct vring_used_elem e;
	struct hand h;

	hand_boot(&h, evils[i].drop_features);
	write_evil(&h, h.r->desc, evils[i].ring);
	write_evil(&h, (struct vring_desc *)(void *)(h.buf + TABLE_AT), evils[i].table);
	h.avail = (uint16_t)(h.avail + evils[i].ahead - (evils[i].ahead != 0));
	offer(&h, evils[i].head);
	for (unsigned ms = 0; ms < 5000 && !h.g.f->q[0].errs; ms++)
		front_poll(h.g.f, 1);
	CHECK_EQ(name, h.g.f->q[0].errs, 1);
	CHECK_NAMED(name, !take_used(&h, &e, 0));

	/* More kicks change nothing, the control plane works, and a reset heals. */
	front_kick(h.g.f, 0);
	CHECK_EQ(name, daemon_stat(&d, "connected"), 1);
	guest_reset(&h.g);
	h.g.f->q[0].errs = 0;
	CHECK_EQ(name, front_start(h.g.f), 0);
	CHECK_EQ(name, vdax_pmem_probe(&h.g.g.pm), 0);
	CHECK_EQ(name, h.g.f->q[0].errs, 0);
	guest_close(&h.g);
}

/* --- event descriptors --- */

static int send_event(struct guest *g, uint32_t request, int fd)
{
	struct front_msg m = { .hdr = { request, 0, 8 }, .fds = { fd }, .nfds = fd >= 0 };

	m.p.u64 = fd >= 0 ? 0 : VHOST_USER_VRING_NOFD_MASK;
	return front_call(g->f, &m, FRONT_ACK);
}

static void test_events(void)
{
	uint64_t nearly_full = UINT64_MAX - 1;
	struct noted n;
	struct guest g;
	int p[2], fd;

	guest_boot(&g, &d, NULL);
	CHECK_EQ("no kick: polled", send_event(&g, VHOST_USER_SET_VRING_KICK, -1), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("no call", send_event(&g, VHOST_USER_SET_VRING_CALL, -1), 0);
	guest_submit(&g, &n);
	CHECK_NAMED("seen without a call", guest_wait(&g, &n, 5000) && n.ret == 0);
	CHECK_EQ("no err", send_event(&g, VHOST_USER_SET_VRING_ERR, -1), 0);
	CHECK_EQ("kick again", send_event(&g, VHOST_USER_SET_VRING_KICK, g.f->q[0].kick), 0);

	/* A call that nobody reads, given as one that blocks. */
	fd = eventfd(0, EFD_CLOEXEC);
	REQUIRE(fd >= 0 && write(fd, &nearly_full, 8) == 8);
	CHECK_EQ("full call", send_event(&g, VHOST_USER_SET_VRING_CALL, fd), 0);
	guest_submit(&g, &n);
	CHECK_NAMED("flush", guest_wait(&g, &n, 5000) && n.ret == 0);
	close(fd);
	CHECK_EQ("err again", send_event(&g, VHOST_USER_SET_VRING_ERR, g.f->q[0].err), 0);

	/* A kick that has died breaks the queue. */
	REQUIRE(!pipe2(p, O_CLOEXEC));
	close(p[1]);
	CHECK_EQ("dead kick", send_event(&g, VHOST_USER_SET_VRING_KICK, p[0]), 0);
	close(p[0]);
	for (unsigned ms = 0; ms < 5000 && !g.f->q[0].errs; ms++)
		front_poll(g.f, 1);
	CHECK_EQ("broken", g.f->q[0].errs, 1);
	guest_close(&g);
}

/* --- what a guest can cost --- */

static unsigned log_lines(void)
{
	FILE *f = fopen(d.log, "re");
	unsigned n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void test_log_is_limited(void)
{
	unsigned before;
	struct hand h;

	hand_boot(&h, 0);
	before = log_lines();
	for (int i = 0; i < 500; i++)
		test_shape(&h, 6, false); /* an unknown type */
	CHECK_NAMED("few lines", log_lines() - before <= 8);
	guest_close(&h.g);
}

static void test_rate_limit(void)
{
	static const char *const args[] = { "--max-flush-rate", "20", NULL };
	static struct daemon slow;
	uint64_t began;
	struct noted n;
	struct guest g;

	daemon_start(&slow, &(struct daemon_opts){ .args = args });
	guest_boot(&g, &slow, NULL);
	began = clock_ns();
	for (int i = 0; i < 5; i++)
		CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_NAMED("5 take 5 intervals, nearly", clock_ns() - began >= 200000000u);
	guest_submit(&g, &n);
	began = clock_ns();
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_NAMED("a stop does not wait for the next sync", clock_ns() - began < 40000000u);
	CHECK_EQ("cont", front_start(g.f), 0);
	CHECK_NAMED("the request is not lost", guest_wait(&g, &n, 5000) && n.ret == 0);
	guest_close(&g);
	CHECK_EQ("exit status", daemon_stop(&slow), 0);
}

int main(void)
{
	struct daemon_use before;

	daemon_start(&d, NULL);
	check_serves("the first", &d);
	test_ring(0, VRING_SIZE_MAX); /* the memory for that is kept */
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	before = daemon_use(&d);

	for (unsigned jobs = 1; jobs <= MAX_JOBS; jobs *= 2)
		test_concurrent(jobs);
	test_concurrent(63);
	test_generations();
	test_rings();
	test_wrap();
	test_shapes();
	test_ring_of_one();
	for (size_t i = 0; i < ARRAY_SIZE(evils); i++)
		test_evil(i);
	test_events();
	test_log_is_limited();
	test_rate_limit();
	check_serves("the last", &d);

	CHECK(daemon_stat_becomes(&d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	CHECK_EQ("latched", daemon_stat(&d, "latched_errno"), 0);
	CHECK_EQ("exit status", daemon_stop(&d), 0);
	return check_done();
}
