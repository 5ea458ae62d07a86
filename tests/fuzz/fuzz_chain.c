/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chain walker against a hostile driver. An input is a header (struct input) and an
 * image of guest memory that begins with the ring. Each region is a heap block of its
 * exact size, so that the address sanitizer sees any access outside the table.
 */
#include <errno.h>
#include <string.h>

#include "host/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_driver.h"
#include "virtio/fault.h"

#define STEPS 600u /* operations per input */

struct input {
	uint8_t size_log2; /* of the ring, modulo 8 */
	uint8_t features;  /* bit 0: indirect, bit 1: event index */
	uint8_t cap;	   /* 0: room for any chain, else for this many pieces */
	uint8_t scribble;  /* 0: the driver keeps still, else it changes memory meanwhile */
	le16 base;
	uint8_t pad[2];
	/* memory follows */
};

/* Two that touch, one that is unusable right behind, one far away. */
static const struct mem_region layout[] = {
	{ .gpa = 0, .size = 0x1800, .uva = 0 },
	{ .gpa = 0x1800, .size = 0x400, .uva = 0x1800 },
	{ .gpa = 0x1c00, .size = 0x400, .uva = 0x1c00 },
	{ .gpa = 0x10000, .size = 0x200, .uva = 0x10000 },
};
#define UNUSABLE 2u

static struct mem_table *memory(const uint8_t *image, size_t size)
{
	struct mem_table *t = fake_table(layout, ARRAY_SIZE(layout));

	for (unsigned i = 0; i < t->n; i++) {
		size_t n = MIN(size, (size_t)t->r[i].size);

		if (i == UNUSABLE)
			continue;
		t->r[i].host = calloc(1, t->r[i].size);
		REQUIRE(t->r[i].host);
		memcpy(t->r[i].host, image, n);
		image += n;
		size -= n;
	}
	return t;
}

static bool in_memory(const struct mem_table *t, const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	for (unsigned i = 0; i < t->n; i++)
		if (t->r[i].host && p >= t->r[i].host && p < t->r[i].host + t->r[i].size &&
		    v->iov_len <= (size_t)(t->r[i].host + t->r[i].size - p))
			return true;
	return false;
}

/* Adds up the pieces; none is empty, and each is all memory or does not translate. */
static uint64_t total(const struct mem_table *t, const struct iovec *seg, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		MUST(seg[i].iov_len && (!seg[i].iov_base || in_memory(t, &seg[i])));
		sum += seg[i].iov_len;
	}
	return sum;
}

static void check_chain(const struct fake_driver *f, const struct vq_chain *c)
{
	MUST(c->head < f->cfg.size);
	MUST(c->n_readable + c->n_writable <= c->cap);
	MUST(total(f->mem, c->seg, c->n_readable) == c->readable_len);
	MUST(total(f->mem, c->seg + c->n_readable, c->n_writable) == c->writable_len);
	MUST((uint64_t)c->readable_len + c->writable_len <= UINT32_MAX);
}

/* Reads and answers as a device does. Returns the bytes written. */
static uint32_t use_chain(const struct vq_chain *c)
{
	static char buf[4096];
	struct iovec out[4];
	uint32_t len = MIN(c->readable_len, (uint32_t)sizeof(buf));
	int ret;

	ret = chain_read(c, c->readable_len - len, buf, len);
	MUST(ret == 0 || ret == -EFAULT);
	MUST(chain_read(c, 1, buf, c->readable_len) == -EINVAL);
	len = MIN(c->writable_len, (uint32_t)sizeof(buf));
	ret = chain_writable(c, 0, len, out, 4);
	MUST(ret >= 0 || ret == -EFAULT || ret == -E2BIG);
	if (ret < 0)
		return 0;
	MUST(chain_fill(out, (unsigned)ret, buf) == 0);
	return len;
}

/* The driver writes while we work: the next bytes of a sequence, all over the ring. */
static void scribble(struct fake_driver *f, uint32_t *x)
{
	size_t ring = f->cfg.used_uva + VRING_USED_BYTES(f->cfg.size);

	*x = *x * 1664525u + 1013904223u;
	f->ram[(*x >> 8) % ring] = (uint8_t)*x;
	if (*x % 4 == 0)
		fake_offer(f, (uint16_t)((*x >> 16) % f->cfg.size));
}

static void drive(struct fake_driver *f, const struct input *in)
{
	uint32_t x = in->scribble;
	unsigned cap = in->cap ? in->cap : vq_chain_max(&f->vq);
	struct iovec *seg = malloc(cap * sizeof(*seg));
	struct vq_chain c;
	int ret;

	REQUIRE(seg);
	for (unsigned i = 0; i < STEPS; i++) {
		if (in->scribble)
			scribble(f, &x);
		ret = fake_pop(f, &c, seg, cap);
		if (ret == 1) {
			check_chain(f, &c);
			MUST(f->vq.inflight <= f->cfg.size);
			/* Every fourth is kept for good. */
			if (i % 4 != 3)
				vq_push(&f->vq, c.head, use_chain(&c));
		}
		if (ret < 0 || (!ret && !in->scribble))
			break;
		vq_publish(&f->vq);
		vq_kicks_off(&f->vq);
		vq_kicks_on(&f->vq);
	}
	if (ret < 0) {
		MUST(ret == -EINVAL && vq_pop(&f->vq, &c) == ret && vq_publish(&f->vq) == ret);
		MUST(fake_signals(f->err) == 1);
	}
	free(seg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct fake_driver f;
	struct vq_config cfg;
	struct input in;
	struct mem_table *mem;

	if (size < sizeof(in))
		return 0;
	if (!ready)
		MUST(fault_init() == 0);
	ready = true;
	log_set_level(LOG_LEVEL_ERR);
	memcpy(&in, data, sizeof(in));
	cfg = fake_config(1u << in.size_log2 % 8, (in.features & 1 ? FAKE_INDIRECT : 0) |
							  (in.features & 2 ? FAKE_EVENT_IDX : 0));
	cfg.base = le16_get(in.base);
	mem = memory(data + sizeof(in), size - sizeof(in));
	fake_init(&f, &cfg, mem->r[0].host, mem);
	f.avail_idx = ring_load(&f.avail->idx);
	MUST(vq_start(&f.vq, &cfg, mem) == 0);
	drive(&f, &in);
	vq_stop(&f.vq);
	for (unsigned i = 0; i < mem->n; i++)
		free(mem->r[i].host);
	fake_fini(&f);
	return 0;
}

/* Seeds: a ring of 8 at 0, as fake_config() lays it out, a table and data behind it. */
#define TABLE 0x100u
#define DATA  0x200u
#define R     0u
#define W     VRING_DESC_F_WRITE
#define N     VRING_DESC_F_NEXT
#define I     VRING_DESC_F_INDIRECT

static const struct {
	struct input in;
	uint16_t avail_idx;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d[4], t[4];
} seeds[] = {
	{ { .size_log2 = 3 },
	  4, /* one buffer each */
	  { { DATA, 16, R, 0 }, { DATA, 16, W, 0 }, { 0x10000, 512, W, 0 }, { DATA, 0, R, 0 } },
	  { { 0 } } },
	{ { .size_log2 = 3, .features = 2 },
	  1, /* a chain, across edges and out of memory */
	  { { DATA, 16, N, 1 }, { 0x17fc, 8, N, 2 }, { 0x1bfc, 8, N | W, 3 }, { DATA, 64, W, 0 } },
	  { { 0 } } },
	{ { .size_log2 = 3, .features = 1 },
	  2, /* a request in a table */
	  { { TABLE, 48, I, 0 }, { DATA, 8, N, 0 } },
	  { { DATA, 16, N, 1 }, { DATA, 64, N | W, 2 }, { 0x10000, 16, W, 0 } } },
	{ { .size_log2 = 3, .features = 3, .cap = 3 },
	  8, /* little room, the ring as a table */
	  { { 0, 64, I, 0 }, { DATA, 8, R, 0 }, { TABLE, 16, I, 0 }, { 0, 128, I | W, 0 } },
	  { { DATA, 16, W, 1 } } },
	{ { .size_log2 = 3, .features = 3, .scribble = 1 },
	  8, /* a driver that does not wait */
	  { { DATA, 16, N, 1 }, { DATA, 16, W, 2 }, { TABLE, 32, I, 3 }, { DATA, 8, R, 0 } },
	  { { DATA, 16, N, 1 }, { DATA, 64, W, 2 } } },
};

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	const struct vq_config cfg = fake_config(8, 0);
	const size_t size = sizeof(seeds[0].in) + 0x1800 + 0x400;
	uint8_t *ram = buf + sizeof(seeds[0].in);
	struct vring_avail *avail = (void *)(ram + cfg.avail_uva);
	struct vring_desc *d = (void *)ram, *t = (void *)(ram + TABLE);

	if (i >= ARRAY_SIZE(seeds) || cap < size)
		return 0;
	memset(buf, 0, size);
	memcpy(buf, &seeds[i].in, sizeof(seeds[i].in));
	for (unsigned k = 0; k < 4; k++) {
		fake_desc(&d[k], seeds[i].d[k].addr, seeds[i].d[k].len, seeds[i].d[k].flags,
			  seeds[i].d[k].next);
		fake_desc(&t[k], seeds[i].t[k].addr, seeds[i].t[k].len, seeds[i].t[k].flags,
			  seeds[i].t[k].next);
		avail->ring[k] = le16_of((uint16_t)k);
	}
	avail->idx = le16_of(seeds[i].avail_idx);
	return size;
}
