/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-fs device for tests of guest/fs*.c, and the embedder's part: a high-priority queue and
 * a request queue. The device takes a chain apart as a device would, notes the request in got, and
 * writes whatever bytes the test wants.
 */
#ifndef TESTS_LIB_FAKE_FS_H
#define TESTS_LIB_FAKE_FS_H

#include <string.h>

#include "base/barrier.h"
#include "base/macros.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vdax/fs.h"
#include "wire/ring.h"
#include "wire/virtio_fs.h"

#define SIZE	  16u
#define SEGS	  3u
#define EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define INDIRECT  VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define VERSION_1 VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define FILE_MODE 0100644u
#define DIR_MODE  0040755u

static _Alignas(VDAX_RING_ALIGN) uint8_t shared[2][VDAX_FS_SHARED_BYTES(SIZE, SEGS)];
static struct vdax_ring_slot ring_slots[2][SIZE];
static struct vdax_fs_slot slots[2][SIZE];
static struct vdax_seg scratch[2][SEGS + 2];
static struct vdax_fs_queue hiprio, q;
static struct vdax_fs fs;
static unsigned int notified[2];
static uint8_t status;
static bool unreachable;
static struct virtio_fs_config config;

/* --- The platform --- */

static inline void op_notify(void *ctx, unsigned int queue)
{
	(void)ctx;
	notified[queue]++;
}

static inline uint64_t op_dma_addr(void *ctx, const void *ptr, size_t len)
{
	(void)ctx;
	(void)len;
	return unreachable ? VDAX_DMA_BAD : (uintptr_t)ptr;
}

static inline int op_config_read(void *ctx, uint32_t off, void *dst, size_t len)
{
	(void)ctx;
	if (off + len > offsetof(struct virtio_fs_config, notify_buf_size))
		return -VDAX_EINVAL;
	memcpy(dst, (const uint8_t *)&config + off, len);
	return 0;
}

static inline uint8_t op_status(void *ctx)
{
	(void)ctx;
	return status;
}

static const struct vdax_platform_ops ops = { .notify = op_notify,
					      .dma_addr = op_dma_addr,
					      .config_read = op_config_read,
					      .status = op_status };
static const struct vdax_platform platform = { .ops = &ops, .ram_like = true };

static inline void make_queue(struct vdax_fs_queue *to, unsigned int index, uint64_t features)
{
	const struct vdax_fs_queue_opts o = { .platform = &platform,
					      .fs = &fs,
					      .features = features,
					      .index = index,
					      .size = SIZE,
					      .segs = SEGS,
					      .shared = shared[index],
					      .ring_slots = ring_slots[index],
					      .slots = slots[index],
					      .scratch = scratch[index] };

	REQUIRE(!vdax_fs_queue_init(to, &o));
}

/* --- The device --- */

/* A request as the device found it. */
static struct request {
	uint16_t head;
	struct fuse_in_header h;
	uint8_t body[4096];
	uint32_t body_len;
	struct {
		uint8_t *p;
		uint32_t len;
	} room[SEGS + 2]; /* what the device may write to */
	unsigned int n_room;
} got;

static uint16_t popped[2];

static inline void walk(const struct vring_desc *d, uint16_t i, bool more)
{
	uint8_t all[8192];
	uint32_t len = 0;

	while (more) {
		uint16_t flags = le16_get(d[i].flags);
		uint8_t *p = (uint8_t *)(uintptr_t)le64_get(d[i].addr);

		if (flags & VRING_DESC_F_WRITE) {
			REQUIRE(got.n_room < ARRAY_SIZE(got.room));
			got.room[got.n_room].p = p;
			got.room[got.n_room++].len = le32_get(d[i].len);
		} else {
			CHECK_EQ("readable first", got.n_room, 0);
			REQUIRE(len + le32_get(d[i].len) <= sizeof(all));
			memcpy(all + len, p, le32_get(d[i].len));
			len += le32_get(d[i].len);
		}
		more = flags & VRING_DESC_F_NEXT;
		i = le16_get(d[i].next);
	}
	REQUIRE(len >= sizeof(got.h));
	memcpy(&got.h, all, sizeof(got.h));
	got.body_len = len - (uint32_t)sizeof(got.h);
	memcpy(got.body, all + sizeof(got.h), got.body_len);
	CHECK_EQ("length in the header", got.h.len, len);
}

/* Takes the next request into got; false if there is none. */
static inline bool dev_pop(const struct vdax_fs_queue *from)
{
	const struct vdax_ring *r = &from->ring;
	uint16_t *at = &popped[from->index];
	const struct vring_desc *d;

	if (*at == ring_load_acquire(&r->avail->idx))
		return false;
	memset(&got, 0, sizeof(got));
	got.head = le16_get(r->avail->ring[*at & (r->size - 1)]);
	(*at)++;
	d = &r->desc[got.head];
	if (le16_get(d->flags) & VRING_DESC_F_INDIRECT)
		walk((const struct vring_desc *)(uintptr_t)le64_get(d->addr), 0, true);
	else
		walk(r->desc, got.head, true);
	return true;
}

static inline void dev_push(struct vdax_fs_queue *to, uint16_t head, uint32_t len)
{
	struct vring_used *u = to->ring.used;
	uint16_t idx = ring_load(&u->idx);

	u->ring[idx & (SIZE - 1)] = (struct vring_used_elem){ le32_of(head), le32_of(len) };
	ring_store_release(&u->idx, (uint16_t)(idx + 1));
}

/* Bytes to the writable pieces, as many as there is room for. */
static inline uint32_t dev_write(const void *bytes, uint32_t len)
{
	const uint8_t *from = bytes;
	uint32_t done = 0;

	for (unsigned int i = 0; i < got.n_room; i++) {
		uint32_t part = MIN(len - done, got.room[i].len);

		memcpy(got.room[i].p, from + done, part);
		done += part;
	}
	return done;
}

/* The reply to got: error, or body. */
static inline void dev_reply(struct vdax_fs_queue *to, int error, const void *body, uint32_t len)
{
	uint8_t all[8192];
	struct fuse_out_header h = { .len = (uint32_t)sizeof(h) + len,
				     .error = error,
				     .unique = got.h.unique };

	memcpy(all, &h, sizeof(h));
	if (len)
		memcpy(all + sizeof(h), body, len);
	dev_push(to, got.head, dev_write(all, h.len));
}

/* --- The embedder --- */

static struct {
	unsigned int calls;
	int ret;
	struct vdax_fs_rq *rq;
} last;

static inline void done(struct vdax_fs_rq *rq, int ret)
{
	last.calls++;
	last.ret = ret;
	last.rq = rq;
}

static struct vdax_fs_rq rq = { .done = done, .uid = 1000, .gid = 100, .pid = 42 };

/* The embedder's own way: submit, interrupt, poll. */
static inline int finish(struct vdax_fs_queue *on)
{
	unsigned int before = last.calls;
	int ret = vdax_fs_poll(on);

	CHECK_EQ("one callback", last.calls - before, ret == 1);
	return last.ret;
}

static inline void pop(struct vdax_fs_queue *on)
{
	vdax_fs_submit(on);
	REQUIRE(dev_pop(on));
}

static struct fuse_init_out init_reply = { .major = 7,
					   .minor = 38,
					   .flags = FUSE_INIT_EXT | FUSE_SETXATTR_EXT |
						    FUSE_MAP_ALIGNMENT,
					   .flags2 = 1,
					   .max_write = 1 << 20,
					   .map_alignment = 12 };

static inline int do_init(uint32_t len)
{
	REQUIRE(!vdax_fs_init(&q, &rq,
			      FUSE_SETXATTR_EXT | FUSE_MAP_ALIGNMENT | FUSE_MAX_PAGES |
				      FUSE_HAS_INODE_DAX,
			      4096));
	pop(&q);
	dev_reply(&q, 0, &init_reply, len);
	return finish(&q);
}

static inline void set_up(uint64_t features)
{
	memset(&fs, 0, sizeof(fs));
	memset(popped, 0, sizeof(popped));
	memset(notified, 0, sizeof(notified));
	rq.slot = NULL;
	make_queue(&hiprio, 0, features);
	make_queue(&q, 1, features);
	REQUIRE(do_init(sizeof(init_reply)) == 0);
}

static uint8_t data_bytes[3][64];
static inline const struct vdax_seg *data_segs(void)
{
	static struct vdax_seg s[3];

	for (unsigned int i = 0; i < 3; i++)
		s[i] = (struct vdax_seg){ (uintptr_t)data_bytes[i], 64 };
	return s;
}

/* What requests have to do with, all of it in three pieces. */
static struct vdax_fs_data data;
static struct vdax_window window;

static inline void fake_start(void)
{
	static const struct vdax_region region = { 1 << 20, 8192 };

	data = (struct vdax_fs_data){ data_segs(), 3 };
	REQUIRE(!vdax_window_init(&window, &platform, &region, shared));
}

#endif
