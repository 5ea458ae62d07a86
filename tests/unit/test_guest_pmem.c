/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/pmem.c against a device in the same thread. The device works when the test, or the
 * platform's wait(), tells it to; time is a variable.
 */
#include <string.h>

#include "base/barrier.h"
#include "base/macros.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vdax/pmem.h"
#include "wire/pmem.h"
#include "wire/ring.h"

#define SIZE	 16u
#define RAM_GPA	 0x80000000u
#define BASE	 VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define EVENT	 (BASE | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define INDIRECT (BASE | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC))
#define SHMEM	 VIRTIO_BIT(PMEM_F_SHMEM_REGION)
#define SECOND	 1000000000u

static _Alignas(VDAX_RING_ALIGN) uint8_t shared[VDAX_PMEM_SHARED_BYTES(SIZE)];
static struct vdax_ring_slot slots[SIZE];
static struct vdax_pmem_rq rqs[SIZE];
static struct vdax_pmem pm;

/* What the device does with a request when it looks at one. */
enum answer { ANSWER_OK, ANSWER_FAIL, ANSWER_ONE, ANSWER_SHORT, ANSWER_BAD_ID, ANSWER_NONE };

static struct {
	struct pmem_config config;
	struct vdax_region shm;
	bool has_shm, unreachable;
	int config_error;
	uint64_t now;
	uint8_t status;
	enum answer answer;    /* what wait() makes the device do */
	unsigned int kicks;    /* notifications that no pop has used up yet */
	unsigned int spurious; /* a notification, and nothing available */
	unsigned int config_reads, waits;
	uint16_t avail; /* popped so far */
} dev;

static void *at(uint64_t addr)
{
	REQUIRE(addr >= RAM_GPA && addr - RAM_GPA < sizeof(shared));
	return shared + (addr - RAM_GPA);
}

/* Take the next request off the ring: its id and where the answer goes; false if none. */
static bool dev_pop(uint16_t *head, struct pmem_resp **resp)
{
	const struct vring_desc *table = pm.ring.desc, *d;

	if (dev.avail == ring_load_acquire(&pm.ring.avail->idx))
		return false;
	*head = le16_get(pm.ring.avail->ring[dev.avail++ % pm.ring.size]);
	d = &table[*head];
	if (le16_get(d->flags) & VRING_DESC_F_INDIRECT) {
		table = at(le64_get(d->addr));
		d = &table[0];
	}
	CHECK_EQ("request bytes", le32_get(d->len), sizeof(struct pmem_req));
	CHECK_EQ("type", le32_get(((struct pmem_req *)at(le64_get(d->addr)))->type), 0);
	CHECK_EQ("flags", le16_get(d->flags), VRING_DESC_F_NEXT);
	d = &table[le16_get(d->next)];
	CHECK_EQ("response bytes", le32_get(d->len), sizeof(struct pmem_resp));
	CHECK_EQ("flags", le16_get(d->flags), VRING_DESC_F_WRITE);
	*resp = at(le64_get(d->addr));
	return true;
}

static void dev_push(uint32_t id, uint32_t len)
{
	uint16_t idx = ring_load(&pm.ring.used->idx);

	pm.ring.used->ring[idx % pm.ring.size] = (struct vring_used_elem){ le32_of(id),
									   le32_of(len) };
	ring_store_release(&pm.ring.used->idx, (uint16_t)(idx + 1));
}

static void dev_answer(uint16_t head, struct pmem_resp *resp, enum answer answer)
{
	static const uint32_t ret[] = {
		[ANSWER_OK] = 0, [ANSWER_FAIL] = PMEM_RESP_FAIL, [ANSWER_ONE] = 1
	};

	if (answer <= ANSWER_ONE)
		resp->ret = le32_of(ret[answer]);
	dev_push(answer == ANSWER_BAD_ID ? 1000 : head, answer == ANSWER_SHORT ? 0 : 4);
}

/* Like QEMU's own device: one request per notification, and a notification needs one. */
static void dev_kicked(enum answer answer)
{
	struct pmem_resp *resp;
	uint16_t head;

	if (!dev.kicks || answer == ANSWER_NONE)
		return;
	dev.kicks--;
	if (!dev_pop(&head, &resp)) {
		dev.spurious++;
		return;
	}
	ring_store((le16 *)(void *)&pm.ring.used->ring[pm.ring.size], dev.avail);
	dev_answer(head, resp, answer);
}

static void fake_notify(void *ctx, unsigned int queue)
{
	(void)ctx;
	CHECK_EQ("queue", queue, 0);
	dev.kicks++;
}

static void fake_wait(void *ctx, unsigned int queue, uint64_t timeout_ns)
{
	(void)ctx, (void)queue;
	REQUIRE(dev.waits++ < 1000);
	if (dev.answer == ANSWER_NONE)
		dev.now += timeout_ns;
	dev_kicked(dev.answer);
}

static uint64_t fake_now(void *ctx)
{
	(void)ctx;
	return dev.now;
}

static uint64_t fake_dma_addr(void *ctx, const void *ptr, size_t len)
{
	(void)ctx;
	CHECK(ptr == shared && len == sizeof(shared));
	return dev.unreachable ? VDAX_DMA_BAD : RAM_GPA;
}

static int fake_config_read(void *ctx, uint32_t off, void *dst, size_t len)
{
	(void)ctx;
	dev.config_reads++;
	REQUIRE(off == 0 && len == sizeof(dev.config));
	memcpy(dst, &dev.config, len);
	return dev.config_error;
}

static uint8_t fake_status(void *ctx)
{
	(void)ctx;
	return dev.status;
}

static int fake_shm_region(void *ctx, uint8_t id, struct vdax_region *region)
{
	(void)ctx;
	CHECK_EQ("shmid", id, 0);
	*region = dev.shm;
	return dev.has_shm ? 0 : -VDAX_ENODEV;
}

static const struct vdax_platform_ops ops = {
	.notify = fake_notify,
	.wait = fake_wait,
	.now = fake_now,
	.dma_addr = fake_dma_addr,
	.config_read = fake_config_read,
	.status = fake_status,
	.shm_region = fake_shm_region,
};
static const struct vdax_platform platform = { .ops = &ops, .ram_like = true };

static struct vdax_pmem_opts setup_opts(uint64_t features)
{
	memset(&dev, 0, sizeof(dev));
	dev.config.start = le64_of(0x100000000);
	dev.config.size = le64_of(0x200000);
	return (struct vdax_pmem_opts){
		.platform = &platform,
		.features = features,
		.queue_size = SIZE,
		.shared = shared,
		.slots = slots,
		.rqs = rqs,
		.timeout_ns = SECOND,
	};
}

static void setup(uint64_t features)
{
	struct vdax_pmem_opts opts = setup_opts(features);

	REQUIRE(!vdax_pmem_init(&pm, &opts));
}

/* A flush that remembers how it ended. */
struct job {
	struct vdax_flush flush;
	unsigned int done;
	int ret;
};

static void job_done(struct vdax_flush *f, int ret)
{
	struct job *j = container_of(f, struct job, flush);

	j->done++;
	j->ret = ret;
}

static int submit(struct job *j)
{
	*j = (struct job){ .flush.done = job_done };
	return vdax_pmem_submit(&pm, &j->flush);
}

static const struct {
	const char *name;
	uint64_t offered, accepted;
} feature_cases[] = {
	{ "nothing", 0, 0 },
	{ "legacy", SHMEM | VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 0 },
	{ "all", UINT64_MAX, EVENT | INDIRECT | SHMEM },
	{ "plain", BASE, BASE },
};

static void test_features(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(feature_cases); i++)
		CHECK_EQ(feature_cases[i].name, vdax_pmem_features(feature_cases[i].offered),
			 feature_cases[i].accepted);
}

static const struct {
	const char *name;
	uint64_t start, size, align;
	int ret;
} region_cases[] = {
	{ "good", 0x100000000, 0x200000, 0, 0 },
	{ "at 0", 0, 0x1000, 0, 0 },
	{ "empty", 0x100000000, 0, 0, -VDAX_EINVAL },
	{ "start unaligned", 0x100000800, 0x1000, 0, -VDAX_EINVAL },
	{ "size unaligned", 0x100000000, 0x1800, 0, -VDAX_EINVAL },
	{ "wraps", 0xfffffffffffff000, 0x2000, 0, -VDAX_EINVAL },
	{ "2 MiB wanted", 0x100000000, 0x201000, 0x200000, -VDAX_EINVAL },
	{ "2 MiB given", 0x100200000, 0x400000, 0x200000, 0 },
	{ "alignment is nonsense", 0x100000000, 0x3000, 3, -VDAX_EINVAL },
};

static void test_region(void)
{
	struct vdax_pmem_opts opts;

	for (size_t i = 0; i < ARRAY_SIZE(region_cases); i++) {
		for (int shm = 0; shm < 2; shm++) {
			const struct vdax_region r = { region_cases[i].start,
						       region_cases[i].size };

			opts = setup_opts(shm ? BASE | SHMEM : BASE);
			opts.align = region_cases[i].align;
			dev.has_shm = true;
			dev.shm = r;
			dev.config.start = le64_of(shm ? 0 : r.addr);
			dev.config.size = le64_of(shm ? 0 : r.len);
			CHECK_EQ(region_cases[i].name, vdax_pmem_init(&pm, &opts),
				 region_cases[i].ret);
			CHECK_EQ("config read", dev.config_reads,
				 !shm && region_cases[i].align != 3);
			if (!region_cases[i].ret)
				CHECK_EQ(region_cases[i].name, pm.region.addr, r.addr);
		}
	}
}

static void test_init(void)
{
	struct vdax_pmem_opts opts = setup_opts(BASE | SHMEM);

	CHECK_EQ("no region", vdax_pmem_init(&pm, &opts), -VDAX_ENODEV);
	opts = setup_opts(BASE);
	dev.config_error = -VDAX_EIO;
	CHECK_EQ("config error", vdax_pmem_init(&pm, &opts), -VDAX_EIO);
	opts = setup_opts(BASE);
	opts.queue_size = 12;
	CHECK_EQ("queue size", vdax_pmem_init(&pm, &opts), -VDAX_EINVAL);
	opts = setup_opts(BASE);
	opts.queue_size = 1;
	CHECK_EQ("queue too small", vdax_pmem_init(&pm, &opts), -VDAX_EINVAL);
	opts = setup_opts(BASE);
	dev.unreachable = true;
	CHECK_EQ("unreachable", vdax_pmem_init(&pm, &opts), -VDAX_ENODEV);
}

static const struct {
	const char *name;
	enum answer answer;
	int ret, later;
} answer_cases[] = {
	{ "ok", ANSWER_OK, 0, 0 },
	{ "the spec's -1", ANSWER_FAIL, -VDAX_EIO, 0 },
	{ "QEMU's 1", ANSWER_ONE, -VDAX_EIO, 0 },
	{ "no answer written", ANSWER_SHORT, -VDAX_EIO, 0 },
	{ "ring broken", ANSWER_BAD_ID, -VDAX_EIO, -VDAX_EIO },
	{ "timeout", ANSWER_NONE, -VDAX_ETIMEDOUT, -VDAX_ETIMEDOUT },
};

static void test_answers(uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(answer_cases); i++) {
		setup(features);
		dev.answer = answer_cases[i].answer;
		CHECK_EQ(answer_cases[i].name, vdax_pmem_flush(&pm), answer_cases[i].ret);
		CHECK_EQ("errors", pm.stats.errors, answer_cases[i].ret != 0);
		dev.answer = ANSWER_OK;
		CHECK_EQ(answer_cases[i].name, vdax_pmem_probe(&pm), answer_cases[i].later);
		CHECK_EQ("spurious", dev.spurious, 0);
		CHECK_EQ("one notification each", pm.stats.notified, pm.stats.sent);
	}
}

static void test_timeout_is_per_request(void)
{
	struct job a, b;

	setup(BASE);
	submit(&a);
	dev.now += SECOND / 2;
	submit(&b);
	dev.now += SECOND / 2 - 1;
	dev_kicked(ANSWER_OK);
	CHECK_EQ("first answered in time", vdax_pmem_poll(&pm), 1);
	dev.now += SECOND - 1;
	CHECK_EQ("second has its own second", vdax_pmem_poll(&pm), 0);
	dev.now += 1;
	CHECK_EQ("until it is over", vdax_pmem_poll(&pm), -VDAX_ETIMEDOUT);
	CHECK_EQ("a", a.ret, 0);
	CHECK_EQ("b", b.ret, -VDAX_ETIMEDOUT);
}

/* The answer comes after everybody has been told of the timeout. */
static void test_late_answer(void)
{
	uint8_t before[sizeof(shared)];
	struct pmem_resp *resp;
	struct job a, b, c;
	uint16_t head;

	setup(BASE);
	submit(&a);
	REQUIRE(dev_pop(&head, &resp));
	submit(&b);
	dev.now += SECOND;
	CHECK_EQ("timeout", vdax_pmem_poll(&pm), -VDAX_ETIMEDOUT);
	CHECK_EQ("in flight", a.ret, -VDAX_ETIMEDOUT);
	CHECK_EQ("waiting", b.ret, -VDAX_ETIMEDOUT);

	dev_answer(head, resp, ANSWER_OK);
	memcpy(before, shared, sizeof(before));
	CHECK_EQ("late answer", vdax_pmem_poll(&pm), -VDAX_ETIMEDOUT);
	CHECK_EQ("refused", submit(&c), -VDAX_ETIMEDOUT);
	CHECK_EQ("blocking too", vdax_pmem_flush(&pm), -VDAX_ETIMEDOUT);
	vdax_pmem_fail(&pm, -VDAX_EIO);
	CHECK_EQ("first error stays", pm.failed, -VDAX_ETIMEDOUT);
	CHECK_EQ("device memory left alone", memcmp(before, shared, sizeof(before)), 0);
	CHECK_EQ("a once", a.done, 1);
	CHECK_EQ("b once", b.done, 1);
	CHECK_EQ("c never", c.done, 0);
	CHECK_EQ("errors", pm.stats.errors, 2);

	setup(BASE);
	CHECK_EQ("good after a reset", vdax_pmem_flush(&pm), 0);
}

static void test_needs_reset(void)
{
	struct vdax_pmem_opts opts;
	struct job a, b;

	setup(BASE);
	submit(&a);
	submit(&b);
	vdax_pmem_config_changed(&pm);
	CHECK_EQ("status is fine", a.done + b.done, 0);
	dev.status = VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET;
	vdax_pmem_config_changed(&pm);
	CHECK_EQ("a", a.ret, -VDAX_EIO);
	CHECK_EQ("b", b.ret, -VDAX_EIO);
	vdax_pmem_config_changed(&pm);
	CHECK_EQ("once", a.done + b.done, 2);

	opts = setup_opts(BASE);
	opts.timeout_ns = 100u * (uint64_t)SECOND;
	REQUIRE(!vdax_pmem_init(&pm, &opts));
	dev.answer = ANSWER_NONE;
	dev.status = VIRTIO_STATUS_NEEDS_RESET;
	CHECK_EQ("noticed while blocked", vdax_pmem_flush(&pm), -VDAX_EIO);
	CHECK_NAMED("long before the timeout", dev.now < 2u * (uint64_t)SECOND);
}

static void test_coalescing(uint64_t features)
{
	struct job first, rest[5];

	setup(features);
	submit(&first);
	CHECK_EQ("sent at once", pm.stats.sent, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		submit(&rest[i]);
	CHECK_EQ("busy", vdax_pmem_submit(&pm, &rest[0].flush), -VDAX_EBUSY);
	CHECK_EQ("the rest waits", pm.stats.sent, 1);
	dev_kicked(ANSWER_OK);
	CHECK_EQ("only the first", vdax_pmem_poll(&pm), 1);
	CHECK_EQ("first", first.done, 1);
	CHECK_EQ("one request for the rest", pm.stats.sent, 2);
	dev_kicked(ANSWER_FAIL);
	CHECK_EQ("all of them", vdax_pmem_poll(&pm), ARRAY_SIZE(rest));
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		CHECK_EQ("each fails", rest[i].ret, -VDAX_EIO);
	CHECK_EQ("merged", pm.stats.merged, ARRAY_SIZE(rest) - 1);
	CHECK_EQ("notified", pm.stats.notified, 2);
	CHECK_EQ("spurious", dev.spurious, 0);
	CHECK_EQ("nothing more", vdax_pmem_poll(&pm), 0);
}

/* Submits itself again from its callback, and tries what is not allowed there. */
static void again_done(struct vdax_flush *f, int ret)
{
	struct job *j = container_of(f, struct job, flush);

	j->ret = ret;
	j->done++;
	CHECK_EQ("no blocking", vdax_pmem_flush(&pm), -VDAX_EBUSY);
	CHECK_EQ("no polling", vdax_pmem_poll(&pm), 0);
	if (!ret)
		CHECK_EQ("again", vdax_pmem_submit(&pm, f), 0);
}

static void test_submit_from_callback(void)
{
	struct job again = { .flush.done = again_done }, other;

	setup(BASE);
	REQUIRE(!vdax_pmem_submit(&pm, &again.flush));
	submit(&other);
	dev_kicked(ANSWER_OK);
	CHECK_EQ("one ended", vdax_pmem_poll(&pm), 1);
	CHECK_EQ("both share the next", pm.stats.sent, 2);
	dev_kicked(ANSWER_OK);
	CHECK_EQ("both ended", vdax_pmem_poll(&pm), 2);
	vdax_pmem_fail(&pm, -VDAX_EIO);
	CHECK_EQ("three answers", again.done, 3);
	CHECK_EQ("the last is the failure", again.ret, -VDAX_EIO);
}

static void test_separate(uint64_t features, unsigned int fit)
{
	struct vdax_pmem_opts opts = setup_opts(features);
	struct job jobs[SIZE + 1];

	opts.separate = true;
	REQUIRE(!vdax_pmem_init(&pm, &opts));
	for (unsigned int i = 0; i < fit; i++)
		CHECK_EQ("fits", submit(&jobs[i]), 0);
	CHECK_EQ("full", submit(&jobs[fit]), -VDAX_EAGAIN);
	CHECK_EQ("all sent", pm.stats.sent, fit);
	for (unsigned int i = 0; i < fit; i++) {
		struct pmem_resp *resp;
		uint16_t head;

		REQUIRE(dev_pop(&head, &resp));
		dev_answer(head, resp, i % 2 ? ANSWER_FAIL : ANSWER_OK);
	}
	CHECK_EQ("all ended", vdax_pmem_poll(&pm), fit);
	for (unsigned int i = 0; i < fit; i++)
		CHECK_EQ("own answer", jobs[i].ret, i % 2 ? -VDAX_EIO : 0);
	CHECK_EQ("room again", submit(&jobs[fit]), 0);
	CHECK_EQ("merged", pm.stats.merged, 0);
}

/*
 * Random submissions, answers and polls. A stamp counts events: every flush notes when it
 * was submitted, and the device when the request it answers was published. No flush may end
 * by a request that was published before the flush was submitted.
 */
#define JOBS  24u
#define STEPS 100000u

static uint64_t stamp;
static uint64_t answered_published; /* when the request now being completed was published */
static bool random_ok;

struct random_job {
	struct vdax_flush flush;
	uint64_t submitted;
	bool busy;
};

static uint32_t rng(void)
{
	static uint32_t x = 12345;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void random_done(struct vdax_flush *f, int ret)
{
	struct random_job *j = container_of(f, struct random_job, flush);

	random_ok = random_ok && j->busy && !ret && answered_published > j->submitted;
	j->busy = false;
	if (rng() % 4 == 0) { /* some go on in the callback */
		j->submitted = ++stamp;
		j->busy = !vdax_pmem_submit(&pm, f);
	}
}

/* The device: notes a new request when it is published, answers it at some later step. */
static void random_device(uint64_t *published)
{
	if (!*published || rng() % 3)
		return;
	dev_kicked(ANSWER_OK);
	answered_published = *published;
	*published = 0;
}

static void test_random(uint64_t features)
{
	static struct random_job jobs[JOBS];
	uint64_t published = 0;

	setup(features);
	memset(jobs, 0, sizeof(jobs));
	random_ok = true;
	stamp = 0;
	for (unsigned int step = 0; step < STEPS && random_ok; step++) {
		struct random_job *j = &jobs[rng() % JOBS];
		uint64_t sent = pm.stats.sent;

		if (!j->busy) {
			j->submitted = ++stamp;
			j->flush.done = random_done;
			j->busy = !vdax_pmem_submit(&pm, &j->flush);
			if (pm.stats.sent != sent)
				published = ++stamp;
		}
		random_device(&published);
		if (rng() % 2) {
			sent = pm.stats.sent;
			vdax_pmem_poll(&pm);
			if (pm.stats.sent != sent)
				published = ++stamp;
		}
		random_ok = random_ok && (uint16_t)(pm.stats.sent - dev.avail) <= 1;
	}
	CHECK_NAMED("every flush was covered", random_ok);
	CHECK_EQ("spurious", dev.spurious, 0);
	CHECK_EQ("one notification each", pm.stats.notified, pm.stats.sent);
	CHECK_NAMED("some merged", pm.stats.merged > 1000);
	CHECK_NAMED("enough", pm.stats.sent > 10000);
}

int main(void)
{
	test_features();
	test_region();
	test_init();
	test_answers(BASE);
	test_answers(EVENT);
	test_answers(INDIRECT);
	test_timeout_is_per_request();
	test_late_answer();
	test_needs_reset();
	test_coalescing(BASE);
	test_coalescing(EVENT | INDIRECT);
	test_submit_from_callback();
	test_separate(BASE, SIZE / 2);
	test_separate(INDIRECT, SIZE);
	test_random(BASE);
	test_random(EVENT | INDIRECT);
	return check_done();
}
