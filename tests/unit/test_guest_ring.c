/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/ring.c against a device that is a few lines long: it reads the available ring and
 * writes the used ring with plain accesses, in one thread.
 */
#include <string.h>

#include "base/barrier.h"
#include "base/event_idx.h"
#include "base/macros.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vdax/ring.h"
#include "wire/ring.h"

#define MAX_SIZE  64u
#define EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define INDIRECT  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)

static _Alignas(VDAX_RING_ALIGN) uint8_t mem[VDAX_RING_BYTES(MAX_SIZE)];
static struct vdax_ring_slot slots[MAX_SIZE];
static struct vdax_ring ring;
static uint16_t dev_avail; /* what the device has popped */

static void setup(unsigned int size, uint64_t features)
{
	REQUIRE(!vdax_ring_init(&ring, mem, slots, size, features));
	dev_avail = 0;
}

static int dev_pop(void)
{
	uint16_t head;

	if (dev_avail == ring_load_acquire(&ring.avail->idx))
		return -1;
	head = le16_get(ring.avail->ring[dev_avail & (ring.size - 1)]);
	dev_avail++;
	return head;
}

static void dev_push(uint32_t id, uint32_t len)
{
	uint16_t idx = ring_load(&ring.used->idx);

	ring.used->ring[idx & (ring.size - 1)] = (struct vring_used_elem){ le32_of(id),
									   le32_of(len) };
	ring_store_release(&ring.used->idx, (uint16_t)(idx + 1));
}

static void dev_set_avail_event(uint16_t idx)
{
	ring_store((le16 *)(void *)&ring.used->ring[ring.size], idx);
}

static uint16_t dev_used_event(void)
{
	return ring_load(&ring.avail->ring[ring.size]);
}

/* One readable and one writable segment, direct. */
static int add_pair(uintptr_t cookie)
{
	static const struct vdax_seg seg[] = { { 0x1000, 4 }, { 0x2000, 8 } };

	return vdax_ring_add(&ring, seg, 1, 1, NULL, 0, (void *)cookie);
}

static int collect(uintptr_t *cookie, uint32_t *written)
{
	void *p = NULL;
	int ret = vdax_ring_collect(&ring, &p, written);

	*cookie = (uintptr_t)p;
	return ret;
}

static const struct {
	const char *name;
	unsigned int size, misalign;
	int ret;
} init_cases[] = {
	{ "one", 1, 0, 0 },
	{ "largest here", MAX_SIZE, 0, 0 },
	{ "zero", 0, 0, -VDAX_EINVAL },
	{ "not a power of two", 3, 0, -VDAX_EINVAL },
	{ "too large", 65536, 0, -VDAX_EINVAL },
	{ "unaligned", 2, 16, -VDAX_EINVAL },
};

static void test_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(init_cases); i++)
		CHECK_EQ(init_cases[i].name,
			 vdax_ring_init(&ring, mem + init_cases[i].misalign, slots,
					init_cases[i].size, 0),
			 init_cases[i].ret);
}

static void test_layout(void)
{
	static const struct vdax_seg seg[] = { { 0x1000, 4 }, { 0x2000, 8 }, { 0x3000, 16 } };
	const struct vring_desc *d;
	int head;

	setup(4, 0);
	CHECK_EQ("add", vdax_ring_add(&ring, seg, 1, 2, NULL, 0, mem), 0);
	CHECK_EQ("not published", dev_pop(), -1);
	CHECK(vdax_ring_publish(&ring));
	CHECK(!vdax_ring_publish(&ring));
	head = dev_pop();
	REQUIRE(head >= 0 && head < 4);
	d = &ring.desc[head];
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_EQ("addr", le64_get(d->addr), seg[i].addr);
		CHECK_EQ("len", le32_get(d->len), seg[i].len);
		CHECK_EQ("flags", le16_get(d->flags),
			 (i < 2 ? VRING_DESC_F_NEXT : 0) | (i ? VRING_DESC_F_WRITE : 0));
		d = &ring.desc[le16_get(d->next)];
	}
	CHECK_EQ("full", vdax_ring_add(&ring, seg, 1, 1, NULL, 0, mem), -VDAX_EAGAIN);
	CHECK_EQ("one fits", vdax_ring_add(&ring, seg, 1, 0, NULL, 0, mem), 0);
}

static void test_indirect(void)
{
	static const struct vdax_seg seg[] = { { 0x1000, 4 }, { 0x2000, 8 } };
	struct vring_desc table[2][2];
	const struct vring_desc *d;

	setup(2, INDIRECT);
	for (unsigned int i = 0; i < 2; i++)
		CHECK_EQ("one entry each",
			 vdax_ring_add(&ring, seg, 1, 1, table[i], 0x5000 + 0x20 * i, mem), 0);
	CHECK_EQ("full", vdax_ring_add(&ring, seg, 1, 1, table[0], 0x5000, mem), -VDAX_EAGAIN);
	vdax_ring_publish(&ring);
	d = &ring.desc[dev_pop()];
	CHECK_EQ("flags", le16_get(d->flags), VRING_DESC_F_INDIRECT);
	CHECK_EQ("addr", le64_get(d->addr), 0x5000);
	CHECK_EQ("bytes", le32_get(d->len), 32);
	CHECK_EQ("first", le16_get(table[0][0].flags), VRING_DESC_F_NEXT);
	CHECK_EQ("next", le16_get(table[0][0].next), 1);
	CHECK_EQ("second", le16_get(table[0][1].flags), VRING_DESC_F_WRITE);

	setup(4, 0);
	CHECK_EQ("not negotiated", vdax_ring_add(&ring, seg, 1, 1, table[0], 0x5000, mem), 0);
	CHECK_EQ("two entries", ring.num_free, 2);
}

static const struct {
	const char *name;
	struct vdax_seg seg[2];
	unsigned int readable, writable;
	int ret;
} add_cases[] = {
	{ "no segment", { { 0, 0 } }, 0, 0, -VDAX_EINVAL },
	{ "empty segment", { { 1, 1 }, { 1, 0 } }, 1, 1, -VDAX_EINVAL },
	{ "4 GiB", { { 1, UINT32_MAX }, { 1, 1 } }, 0, 2, -VDAX_EINVAL },
	{ "just below", { { 1, UINT32_MAX - 1 }, { 1, 1 } }, 0, 2, 0 },
	{ "more than the ring", { { 1, 1 } }, 3, 2, -VDAX_EINVAL },
	{ "count wraps", { { 1, 1 } }, UINT32_MAX, 2, -VDAX_EINVAL },
	{ "readable only", { { 1, 1 } }, 1, 0, 0 },
};

static void test_add(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(add_cases); i++) {
		setup(4, 0);
		CHECK_EQ(add_cases[i].name,
			 vdax_ring_add(&ring, add_cases[i].seg, add_cases[i].readable,
				       add_cases[i].writable, NULL, 0, mem),
			 add_cases[i].ret);
	}
	setup(4, 0);
	CHECK_EQ("no cookie", add_pair(0), -VDAX_EINVAL);
}

/* Many rounds with changing order: both indices wrap, nothing is lost or returned twice. */
static void test_wrap(uint64_t features)
{
	unsigned int held = 0;
	uint16_t heads[4];
	uintptr_t next = 1, sum = 0;

	setup(8, features);
	for (unsigned int round = 0; round < 200000; round++) {
		uint32_t written;
		uintptr_t cookie;

		while (!add_pair(next))
			next++;
		vdax_ring_publish(&ring);
		while (held < 4)
			heads[held++] = (uint16_t)dev_pop();
		for (unsigned int n = 1 + round % 4; n; n--) {
			unsigned int pick = round % held;

			dev_push(heads[pick], 8);
			heads[pick] = heads[--held];
		}
		while (collect(&cookie, &written) == 1)
			sum += cookie;
	}
	CHECK_EQ("nothing broke", ring.broken, false);
	while (held)
		dev_push(heads[--held], 8);
	for (uint32_t written, i = 0; i < 4; i++) {
		uintptr_t cookie = 0;

		collect(&cookie, &written);
		sum += cookie;
	}
	CHECK_EQ("all came back once", sum, (uintptr_t)((uint64_t)next * (next - 1) / 2));
	CHECK_EQ("all free", ring.num_free, 8);
}

static const struct {
	const char *name;
	uint32_t id;
	unsigned int pushes;
} broken_cases[] = {
	{ "id is the ring size", 8, 1 }, { "id is huge", UINT32_MAX, 1 },
	{ "id never published", 7, 1 },	 { "id added but not published", 2, 1 },
	{ "id inside a chain", 1, 1 },	 { "one more than outstanding", 0, 2 },
};

static void test_broken(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_cases); i++) {
		uint32_t written;
		uintptr_t cookie;

		setup(8, 0);
		add_pair(1); /* descriptors 0 and 1 */
		vdax_ring_publish(&ring);
		add_pair(2); /* 2 and 3 */
		for (unsigned int n = 0; n < broken_cases[i].pushes; n++)
			dev_push(broken_cases[i].id, 8);
		CHECK_EQ(broken_cases[i].name, collect(&cookie, &written), -VDAX_EIO);
		CHECK_EQ("stays broken", collect(&cookie, &written), -VDAX_EIO);
		CHECK_EQ("takes nothing", add_pair(3), -VDAX_EIO);
		CHECK_EQ("shows nothing", vdax_ring_publish(&ring), false);
	}
}

static void test_same_id_twice(void)
{
	uint32_t written;
	uintptr_t cookie;

	setup(8, 0);
	add_pair(1);
	add_pair(2);
	vdax_ring_publish(&ring);
	dev_push(0, 8);
	dev_push(0, 8);
	CHECK_EQ("first", collect(&cookie, &written), 1);
	CHECK_EQ("again", collect(&cookie, &written), -VDAX_EIO);
}

static void test_length(void)
{
	uint32_t written;
	uintptr_t cookie;

	setup(8, 0);
	add_pair(1);
	add_pair(2);
	vdax_ring_publish(&ring);
	dev_push(0, UINT32_MAX);
	dev_push(2, 3);
	CHECK_EQ("too long", collect(&cookie, &written), 1);
	CHECK_EQ("cut", written, 8);
	CHECK_EQ("short", collect(&cookie, &written), 1);
	CHECK_EQ("kept", written, 3);
}

/* Event index: avail_event against the index moving from start to start + adds. */
static const struct {
	const char *name;
	uint16_t start, event;
	unsigned int adds;
	bool notify;
} notify_cases[] = {
	{ "wants the next", 0, 0, 1, true },	   { "wants the second", 0, 1, 1, false },
	{ "second of two", 0, 1, 2, true },	   { "already passed", 4, 3, 2, false },
	{ "across the wrap", 0xffff, 0, 2, true }, { "before the wrap", 0xffff, 0xffff, 2, true },
	{ "after the wrap", 0xfffe, 0, 2, false },
};

static void test_notify(void)
{
	uint32_t written;
	uintptr_t cookie;

	for (size_t i = 0; i < ARRAY_SIZE(notify_cases); i++) {
		setup(8, EVENT_IDX);
		while (ring.published != notify_cases[i].start) {
			add_pair(1);
			vdax_ring_publish(&ring);
			dev_push((uint32_t)dev_pop(), 8);
			collect(&cookie, &written);
		}
		dev_set_avail_event(notify_cases[i].event);
		for (unsigned int n = 0; n < notify_cases[i].adds; n++)
			add_pair(1);
		CHECK_EQ(notify_cases[i].name, vdax_ring_publish(&ring), notify_cases[i].notify);
	}
	setup(8, 0);
	add_pair(1);
	ring_store(&ring.used->flags, VRING_USED_F_NO_NOTIFY);
	CHECK_EQ("flag set", vdax_ring_publish(&ring), false);
	ring_store(&ring.used->flags, 0);
	add_pair(2);
	CHECK_EQ("flag clear", vdax_ring_publish(&ring), true);
}

/* Would the device interrupt for n more used entries? */
static bool dev_interrupts(unsigned int n)
{
	uint16_t idx = ring_load(&ring.used->idx);

	if (ring.event_idx)
		return event_idx_passed(dev_used_event(), (uint16_t)(idx + n), idx);
	return !(ring_load(&ring.avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

static void test_interrupts(uint64_t features)
{
	uint32_t written;
	uintptr_t cookie;

	setup(8, features);
	CHECK_EQ("on at first", dev_interrupts(1), true);
	for (uint32_t i = 0; i < 70000; i++) {
		add_pair(1);
		vdax_ring_publish(&ring);
		vdax_ring_interrupts_off(&ring);
		CHECK_EQ("off", dev_interrupts(4), false);
		dev_push((uint32_t)dev_pop(), 8);
		CHECK_EQ("entry came before on", vdax_ring_interrupts_on(&ring), false);
		collect(&cookie, &written);
		CHECK_EQ("nothing left", vdax_ring_interrupts_on(&ring), true);
		CHECK_EQ("on", dev_interrupts(1), true);
	}
	CHECK_EQ("flags with event idx", ring_load(&ring.avail->flags), 0);
}

int main(void)
{
	test_init();
	test_layout();
	test_indirect();
	test_add();
	test_wrap(0);
	test_wrap(EVENT_IDX);
	test_broken();
	test_same_id_twice();
	test_length();
	test_notify();
	test_interrupts(0);
	test_interrupts(EVENT_IDX);
	return check_done();
}
