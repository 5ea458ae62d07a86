/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a split ring, for tests of the device's side. It writes whatever
 * it is told, so it can be as wrong as a hostile guest. The ring is at address 0, in the
 * guest's and in the front end's address space; free memory follows from FAKE_DATA on.
 */
#ifndef TESTS_LIB_FAKE_DRIVER_H
#define TESTS_LIB_FAKE_DRIVER_H

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/align.h"
#include "base/barrier.h"
#include "base/event_idx.h"
#include "base/macros.h"
#include "tests/lib/check.h"
#include "virtio/queue.h"

#define FAKE_RAM_SIZE  MIB(1)
#define FAKE_DATA      0xe0000u /* behind the largest ring */
#define FAKE_EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define FAKE_INDIRECT  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)

struct fake_driver {
	struct vq_config cfg;
	uint8_t *ram;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx; /* what the next fake_offer() publishes is one more */
	int call;	    /* eventfds; the queue has duplicates */
	int err;
	struct mem_table *mem;
	struct vq vq;
};

static inline struct vq_config fake_config(uint32_t size, uint64_t features)
{
	struct vq_config cfg = { .size = size, .features = features };

	cfg.avail_uva = VRING_DESC_BYTES(size);
	cfg.used_uva = align_up(cfg.avail_uva + VRING_AVAIL_BYTES(size), VRING_USED_ALIGN);
	return cfg;
}

/* A table of these regions, whose memory the caller keeps. */
static inline struct mem_table *fake_table(const struct mem_region *r, unsigned n)
{
	struct mem_table *t = malloc(sizeof(*t) + n * sizeof(*r));

	REQUIRE(t);
	t->refs = 1;
	t->n = n;
	memcpy(t->r, r, n * sizeof(*r));
	return t;
}

static inline int fake_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	REQUIRE(fd >= 0);
	return fd;
}

/* How often an eventfd was signalled since the last look. */
static inline unsigned fake_signals(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}

/* Everything but the start. Takes mem, at whose address 0 is ram. */
static inline void fake_init(struct fake_driver *f, const struct vq_config *cfg, uint8_t *ram,
			     struct mem_table *mem)
{
	*f = (struct fake_driver){ .cfg = *cfg, .ram = ram, .mem = mem };
	f->desc = (void *)(ram + cfg->desc_uva);
	f->avail = (void *)(ram + cfg->avail_uva);
	f->used = (void *)(ram + cfg->used_uva);
	f->avail_idx = cfg->base;
	f->call = fake_eventfd();
	f->err = fake_eventfd();
	REQUIRE(vq_init(&f->vq, "test") == 0);
	vq_set_call(&f->vq, dup(f->call));
	vq_set_err(&f->vq, dup(f->err));
}

static inline void fake_fini(struct fake_driver *f)
{
	vq_fini(&f->vq);
	mem_put(f->mem);
	close(f->call);
	close(f->err);
}

/* A started queue over memory of its own. */
static inline struct fake_driver *fake_new(uint32_t size, uint64_t features)
{
	const struct vq_config cfg = fake_config(size, features);
	struct fake_driver *f = malloc(sizeof(*f));
	uint8_t *ram = calloc(1, FAKE_RAM_SIZE);

	REQUIRE(f && ram);
	fake_init(f, &cfg, ram, mem_over(ram, FAKE_RAM_SIZE));
	REQUIRE(vq_start(&f->vq, &f->cfg, f->mem) == 0);
	return f;
}

static inline void fake_free(struct fake_driver *f)
{
	fake_fini(f);
	free(f->ram);
	free(f);
}

static inline void fake_desc(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags,
			     uint16_t next)
{
	*d = (struct vring_desc){
		.addr = le64_of(addr),
		.len = le32_of(len),
		.flags = le16_of(flags),
		.next = le16_of(next),
	};
}

/* Makes a chain available. */
static inline void fake_offer(struct fake_driver *f, uint16_t head)
{
	ring_store(&f->avail->ring[f->avail_idx % f->cfg.size], head);
	ring_store_release(&f->avail->idx, ++f->avail_idx);
}

/* Offers descriptor head as a chain of one device-writable buffer. */
static inline void fake_offer_one(struct fake_driver *f, uint16_t head)
{
	fake_desc(&f->desc[head], FAKE_DATA, 16, VRING_DESC_F_WRITE, 0);
	fake_offer(f, head);
}

static inline uint16_t fake_used_idx(const struct fake_driver *f)
{
	return ring_load_acquire(&f->used->idx);
}

static inline struct vring_used_elem fake_used(const struct fake_driver *f, uint16_t idx)
{
	return f->used->ring[idx % f->cfg.size];
}

static inline void fake_set_used_event(struct fake_driver *f, uint16_t idx)
{
	ring_store(&f->avail->ring[f->cfg.size], idx);
}

static inline uint16_t fake_avail_event(const struct fake_driver *f)
{
	return ring_load((const le16 *)(const void *)&f->used->ring[f->cfg.size]);
}

/* Pops one chain with room for cap pieces in seg. */
static inline int fake_pop(struct fake_driver *f, struct vq_chain *c, struct iovec *seg,
			   unsigned cap)
{
	*c = (struct vq_chain){ .seg = seg, .cap = cap };
	return vq_pop(&f->vq, c);
}

#endif
