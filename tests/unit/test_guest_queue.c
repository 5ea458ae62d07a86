/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides of the ring that are ours, against each other: guest/pmem.c and virtio/, in one
 * thread and in random order. The device sleeps when it has seen an empty ring with kicks on
 * and wakes only by a kick; the driver collects only after an interrupt. So a notification
 * that one side wrongly leaves out shows as a standstill. Also runs on big-endian machines.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "vdax/pmem.h"
#include "virtio/queue.h"
#include "wire/pmem.h"

#define MAX_SIZE 64u
#define RAM_SIZE KIB(64)
#define JOBS	 40u
#define FLUSHES	 70000u /* so that all indices wrap */

static _Alignas(4096) uint8_t ram[RAM_SIZE];
static struct vdax_ring_slot slots[MAX_SIZE];
static struct vdax_pmem_rq rqs[MAX_SIZE];
static struct vdax_pmem pm;

static struct vq vq;
static struct iovec segs[VQ_CHAIN_MIN_MAX];
static uint16_t held[MAX_SIZE]; /* popped, not answered */
static unsigned int num_held;
static bool kicked, awake;
static int call = -1;

static uint32_t rng(void)
{
	static uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void op_notify(void *ctx, unsigned int queue)
{
	(void)ctx, (void)queue;
	kicked = true;
}

static uint64_t op_dma_addr(void *ctx, const void *ptr, size_t len)
{
	(void)ctx, (void)len;
	return (uint64_t)((const uint8_t *)ptr - ram);
}

static int op_shm_region(void *ctx, uint8_t id, struct vdax_region *region)
{
	(void)ctx, (void)id;
	*region = (struct vdax_region){ GIB(1), MIB(2) };
	return 0;
}

static const struct vdax_platform_ops ops = {
	.notify = op_notify,
	.dma_addr = op_dma_addr,
	.shm_region = op_shm_region,
};
static const struct vdax_platform platform = { .ops = &ops, .ram_like = true };

/* Take requests; with none left, ask for kicks and sleep. */
static void device_pop(void)
{
	struct vq_chain c = { .seg = segs, .cap = ARRAY_SIZE(segs) };
	struct iovec out[1];
	struct pmem_req req;
	int ret;

	vq_kicks_off(&vq);
	while (num_held < vq.cfg.size && (ret = vq_pop(&vq, &c)) != 0) {
		static const struct pmem_resp ok;

		REQUIRE(ret == 1);
		REQUIRE(!chain_read(&c, 0, &req, sizeof(req)) && !le32_get(req.type));
		REQUIRE(chain_writable(&c, 0, sizeof(ok), out, 1) == 1);
		REQUIRE(!chain_fill(out, 1, &ok));
		held[num_held++] = c.head;
		if (rng() % 4 == 0)
			return;
	}
	if (!num_held)
		awake = vq_kicks_on(&vq) == 1;
}

/* Answer some, in any order. */
static void device_push(void)
{
	unsigned int n = num_held ? 1 + rng() % num_held : 0;

	while (n--) {
		unsigned int i = rng() % num_held;

		REQUIRE(!vq_push(&vq, held[i], sizeof(struct pmem_resp)));
		held[i] = held[--num_held];
	}
	REQUIRE(!vq_publish(&vq));
}

static void device_step(void)
{
	awake = awake || kicked;
	kicked = false;
	if (!awake)
		return;
	if (rng() % 2)
		device_pop();
	else
		device_push();
}

static uint64_t done, failed;

static void count_done(struct vdax_flush *f, int ret)
{
	(void)f;
	done++;
	failed += ret != 0;
}

static void driver_step(struct vdax_flush *flush)
{
	uint64_t n;

	flush = &flush[rng() % JOBS];
	flush->done = count_done;
	if (!flush->submitted && rng() % 3)
		vdax_pmem_submit(&pm, flush); /* may be full */
	if (read(call, &n, sizeof(n)) == (ssize_t)sizeof(n))
		CHECK_NAMED("poll", vdax_pmem_poll(&pm) >= 0);
}

static void start(uint64_t features, unsigned int size, bool separate)
{
	const struct vdax_pmem_opts po = {
		.platform = &platform,
		.features = features | VIRTIO_BIT(PMEM_F_SHMEM_REGION),
		.queue_size = size,
		.shared = ram,
		.slots = slots,
		.rqs = rqs,
		.separate = separate,
	};
	struct vq_config cfg = { .size = size, .features = features };
	struct mem_table *mem = mem_over(ram, sizeof(ram));

	REQUIRE(mem && VDAX_PMEM_SHARED_BYTES(size) <= sizeof(ram));
	REQUIRE(!vdax_pmem_init(&pm, &po));
	cfg.avail_uva = (uint64_t)((uint8_t *)pm.ring.avail - ram);
	cfg.used_uva = (uint64_t)((uint8_t *)pm.ring.used - ram);
	call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	REQUIRE(call >= 0 && !vq_init(&vq, "test"));
	vq_set_call(&vq, dup(call));
	REQUIRE(!vq_start(&vq, &cfg, mem));
	mem_put(mem);
	done = failed = num_held = 0;
	kicked = false;
	awake = true;
}

static const struct {
	const char *name;
	uint64_t features;
	unsigned int size;
	bool separate;
} cases[] = {
	{ "plain", 0, 16, false },
	{ "plain, separate", 0, 16, true },
	{ "event index", VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 16, false },
	{ "event index, separate", VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 64, true },
	{ "indirect, separate", VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 16, true },
	{ "all, tiny ring", VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 2,
	  true },
};

int main(void)
{
	static struct vdax_flush flush[JOBS];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].name;
		uint64_t before = 0;

		memset(flush, 0, sizeof(flush));
		start(cases[i].features | VIRTIO_BIT(VIRTIO_F_VERSION_1), cases[i].size,
		      cases[i].separate);
		for (unsigned int step = 0; done < FLUSHES; step++) {
			driver_step(flush);
			device_step();
			if (step % 10000 == 9999) {
				CHECK_NAMED(name, done != before);
				REQUIRE(done != before);
				before = done;
			}
		}
		CHECK_EQ(name, failed, 0);
		CHECK_EQ(name, vq.broken, 0);
		CHECK_NAMED(name, pm.stats.notified < pm.stats.sent);
		vq_stop(&vq);
		vq_fini(&vq);
		fd_close(&call);
	}
	return check_done();
}
