/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform that guest/ sees. Guest-physical addresses are offsets in the RAM memfd, and
 * those of shared-memory regions lie in the reserved range from FRONT_BAR_GPA on. The guest
 * runs in the monitor's thread: its wait() is front_poll(), so the back-end channel is
 * served while a guest function blocks.
 */
#include "front/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "front/queue.h"
#include "front/ram.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "vdax/errno.h"
#include "wire/ring.h"

#define DEFAULT_QUEUE_SIZE 128u
#define DEFAULT_TIMEOUT_NS 5000000000u

static void op_notify(void *ctx, unsigned int queue)
{
	front_kick(ctx, queue);
}

static void op_wait(void *ctx, unsigned int queue, uint64_t timeout_ns)
{
	uint64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);

	(void)queue;
	front_poll(ctx, ms > INT32_MAX ? -1 : (int)ms);
}

static uint64_t op_now(void *ctx)
{
	(void)ctx;
	return clock_ns();
}

static uint64_t op_dma_addr(void *ctx, const void *ptr, size_t len)
{
	return front_ram_gpa(ctx, ptr, len);
}

static int op_config_read(void *ctx, uint32_t off, void *dst, size_t len)
{
	if (len > VHOST_USER_CONFIG_MAX)
		return -VDAX_EINVAL;
	return front_config_read(ctx, off, dst, (uint32_t)len) ? -VDAX_EIO : 0;
}

/* A device whose process is gone, or whose ring broke, is one that needs a reset. */
static uint8_t op_status(void *ctx)
{
	const struct front *f = ctx;
	bool broken = f->sock < 0;

	for (unsigned int i = 0; i < f->num_queues; i++)
		broken = broken || f->q[i].errs;
	return (uint8_t)(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
			 VIRTIO_STATUS_FEATURES_OK | (f->running ? VIRTIO_STATUS_DRIVER_OK : 0) |
			 (broken ? VIRTIO_STATUS_NEEDS_RESET : 0));
}

static int op_shm_region(void *ctx, uint8_t id, struct vdax_region *region)
{
	const struct front *f = ctx;

	region->addr = FRONT_BAR_GPA + front_bar_offset(f, id);
	region->len = f->shm_size[id];
	return region->len ? 0 : -VDAX_ENODEV;
}

static uint8_t *window_at(const struct front *f, uint64_t addr, size_t len)
{
	if (!range_within(addr, len, FRONT_BAR_GPA, f->bar_size))
		return NULL;
	return f->bar + (addr - FRONT_BAR_GPA);
}

static int op_window_read(void *ctx, uint64_t addr, void *dst, size_t len)
{
	const uint8_t *p = window_at(ctx, addr, len);

	if (!p)
		return -VDAX_EIO;
	memcpy(dst, p, len);
	return 0;
}

static int op_window_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	uint8_t *p = window_at(ctx, addr, len);

	if (!p)
		return -VDAX_EIO;
	memcpy(p, src, len);
	return 0;
}

static int op_window_zero(void *ctx, uint64_t addr, size_t len)
{
	uint8_t *p = window_at(ctx, addr, len);

	if (!p)
		return -VDAX_EIO;
	memset(p, 0, len);
	return 0;
}

static const struct vdax_platform_ops platform_ops = {
	.notify = op_notify,
	.wait = op_wait,
	.now = op_now,
	.dma_addr = op_dma_addr,
	.config_read = op_config_read,
	.status = op_status,
	.shm_region = op_shm_region,
	.window_read = op_window_read,
	.window_write = op_window_write,
	.window_zero = op_window_zero,
};

struct vdax_platform front_platform(struct front *f)
{
	return (struct vdax_platform){ .ops = &platform_ops,
				       .ctx = f,
				       .ram_like = !f->opts.not_ram_like };
}

static int allocate(struct front_pmem *g, unsigned int n)
{
	if (g->shared)
		return n == g->queue_size ? 0 : -EINVAL;
	g->shared = front_ram_alloc(g->f, VDAX_PMEM_SHARED_BYTES(n), VDAX_RING_ALIGN);
	g->slots = calloc(n, sizeof(*g->slots));
	g->rqs = calloc(n, sizeof(*g->rqs));
	g->queue_size = n;
	if (g->shared && g->slots && g->rqs)
		return 0;
	front_pmem_fini(g);
	return -ENOMEM;
}

int front_pmem_init(struct front_pmem *g, struct front *f, const struct front_pmem_opts *opts)
{
	struct vdax_pmem_opts po = { .platform = &g->platform, .separate = opts->separate };
	const struct vdax_ring *r = &g->pm.ring;
	int ret;

	g->f = f;
	ret = allocate(g, opts->queue_size ? opts->queue_size : DEFAULT_QUEUE_SIZE);
	if (ret)
		return ret;
	g->platform = front_platform(f);
	po.features = f->features = vdax_pmem_features(f->features);
	po.queue_size = g->queue_size;
	po.shared = g->shared;
	po.slots = g->slots;
	po.rqs = g->rqs;
	po.timeout_ns = opts->timeout_ns ? opts->timeout_ns : DEFAULT_TIMEOUT_NS;
	ret = vdax_pmem_init(&g->pm, &po);
	if (ret)
		return ret;
	if (g->platform.ram_like)
		g->base = window_at(f, g->pm.region.addr, g->pm.region.len);
	ret = vdax_window_init(&g->window, &g->platform, &g->pm.region, g->base);
	if (ret)
		return ret;
	front_queue_set(f, 0, g->queue_size, r->desc, r->avail, r->used);
	return 0;
}

void front_pmem_fini(struct front_pmem *g)
{
	free(g->slots);
	free(g->rqs);
	*g = (struct front_pmem){ 0 };
}

int front_pmem_poll(struct front_pmem *g, int timeout_ms)
{
	int ret = front_poll(g->f, timeout_ms);

	if (ret < 0) {
		vdax_pmem_config_changed(&g->pm); /* the device is gone: say so to all */
		return ret;
	}
	return vdax_pmem_poll(&g->pm);
}
