/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-fs driver: VIRTIO 1.3, section 5.11. Requests on their way.
 *
 * A request has a cell in shared memory: header, body and names, which the device reads; then
 * room for the header and the structure of the reply, which it writes; then a descriptor table.
 * Data lies where the caller has it. A cell and the data belong to the device from
 * publication until the chain comes back through the used ring.
 *
 * The device may write to the reply at any time, so it is copied out once, and the copy is
 * checked and handed on. What we must know about a request is in its slot, where no
 * device writes. A reply that makes no sense ends its request alone; a ring that makes none ends
 * the queue.
 */
#include "guest/fs_call.h"

#include "base/align.h"
#include "vdax/errno.h"
#include "wire/virtio_fs.h"

#define REQUEST_BYTES 576u /* the largest: rename2, two names */
#define REPLY_BYTES   192u
#define TABLE_AT      (REQUEST_BYTES + REPLY_BYTES)
#define MAX_ERRNO     511 /* as Linux: larger ones are the kernel's own */

_Static_assert(TABLE_AT == 768, "VDAX_FS_CELL_BYTES counts 768");
_Static_assert(sizeof(struct fuse_out_header) + sizeof(union vdax_fs_reply) <= REPLY_BYTES,
	       "reply");
_Static_assert(VDAX_FS_TAG_MAX == VIRTIO_FS_TAG_BYTES, "tag");
_Static_assert(VDAX_FS_HIPRIO == VIRTIO_FS_QUEUE_HIPRIO, "queues");

static const uint8_t struct_bytes[] = {
	[VDAX_FS_INIT] = sizeof(struct fuse_init_out),
	[VDAX_FS_ENTRY] = sizeof(struct fuse_entry_out),
	[VDAX_FS_NEW_ENTRY] = sizeof(struct fuse_entry_out),
	[VDAX_FS_CREATED] = sizeof(struct vdax_fs_created),
	[VDAX_FS_ATTR] = sizeof(struct fuse_attr_out),
	[VDAX_FS_OPEN] = sizeof(struct fuse_open_out),
	[VDAX_FS_STATFS] = sizeof(struct fuse_statfs_out),
	[VDAX_FS_WRITTEN] = sizeof(struct fuse_write_out),
	[VDAX_FS_XATTR_SIZE] = sizeof(struct fuse_getxattr_out),
	[VDAX_FS_LSEEK] = sizeof(struct fuse_lseek_out),
};

uint64_t vdax_fs_features(uint64_t offered)
{
	const uint64_t known = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
			       VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);

	return offered & VIRTIO_BIT(VIRTIO_F_VERSION_1) ? offered & known : 0;
}

int vdax_fs_read_config(const struct vdax_platform *platform, struct vdax_fs_config *config)
{
	struct virtio_fs_config wire;
	int ret;

	/* Without the notification queue the last field does not exist. */
	ret = platform->ops->config_read(platform->ctx, 0, &wire,
					 offsetof(struct virtio_fs_config, notify_buf_size));
	if (ret)
		return ret;
	__builtin_memcpy(config->tag, wire.tag, VDAX_FS_TAG_MAX);
	config->tag[VDAX_FS_TAG_MAX] = '\0';
	config->request_queues = le32_get(wire.num_request_queues);
	return config->request_queues ? 0 : -VDAX_EINVAL;
}

static int init_slots(struct vdax_fs_queue *q, const struct vdax_fs_queue_opts *opts)
{
	const struct vdax_platform *p = opts->platform;
	const size_t cell = VDAX_FS_CELL_BYTES(opts->segs), cells = VDAX_FS_CELLS(opts->size);
	uint64_t addr = p->ops->dma_addr(p->ctx, opts->shared, cells + cell * opts->size);

	if (addr == VDAX_DMA_BAD)
		return -VDAX_ENODEV;
	for (unsigned int i = opts->size; i-- > 0;) {
		opts->slots[i] = (struct vdax_fs_slot){
			.cell = (uint8_t *)opts->shared + cells + i * cell,
			.cell_addr = addr + cells + i * cell,
			.next = q->free,
		};
		q->free = &opts->slots[i];
	}
	return 0;
}

int vdax_fs_queue_init(struct vdax_fs_queue *q, const struct vdax_fs_queue_opts *opts)
{
	int ret;

	*q = (struct vdax_fs_queue){
		.platform = opts->platform,
		.fs = opts->fs,
		.index = opts->index,
		.size = opts->size,
		.segs = opts->segs,
		.slots = opts->slots,
		.scratch = opts->scratch,
	};
	if (opts->index >= VDAX_FS_QUEUES_MAX || opts->size < 4 || !opts->segs ||
	    opts->segs > VRING_SIZE_MAX)
		return -VDAX_EINVAL;
	ret = vdax_ring_init(&q->ring, opts->shared, opts->ring_slots, opts->size, opts->features);
	return ret ? ret : init_slots(q, opts);
}

uint32_t vdax_fs_data_len(const struct vdax_fs_data *data)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < data->n; i++) {
		if (!data->seg[i].len)
			return 0;
		sum += data->seg[i].len;
	}
	return sum <= INT32_MAX ? (uint32_t)sum : 0;
}

/* Bytes of a name with its NUL, or 0 if it is none. */
static uint32_t name_bytes(const char *name, bool any)
{
	uint32_t n = 0;

	for (; n <= VDAX_FS_NAME_MAX && name[n]; n++) {
		if (name[n] == '/' && !any)
			return 0;
	}
	return n && n <= VDAX_FS_NAME_MAX ? n + 1 : 0;
}

static uint8_t *put(uint8_t *at, const void *from, uint32_t len)
{
	if (len)
		__builtin_memcpy(at, from, len);
	return at + len;
}

/* Header, body, list and names. Returns their bytes, or 0 if a name is none. */
static uint32_t fill_cell(struct vdax_fs_slot *slot, const struct vdax_fs_rq *rq,
			  const struct vdax_fs_call *call)
{
	struct fuse_in_header header = { .opcode = call->opcode,
					 .unique = slot->unique,
					 .nodeid = call->nodeid,
					 .uid = rq->uid,
					 .gid = rq->gid,
					 .pid = rq->pid };
	uint8_t *at = slot->cell + sizeof(header);
	uint32_t len;

	at = put(at, call->body, call->body_len);
	at = put(at, call->list, call->list_len);
	for (unsigned int i = 0; i < 2 && call->name[i]; i++) {
		len = name_bytes(call->name[i], call->any_name);
		if (!len)
			return 0;
		at = put(at, call->name[i], len);
	}
	len = (uint32_t)(at - slot->cell);
	header.len = len + (call->readable ? vdax_fs_data_len(call->readable) : 0);
	put(slot->cell, &header, sizeof(header));
	return len;
}

static unsigned int add_segs(struct vdax_seg *to, unsigned int n, const struct vdax_fs_data *data)
{
	for (unsigned int i = 0; data && i < data->n; i++)
		to[n++] = data->seg[i];
	return n;
}

static int add_to_ring(struct vdax_fs_queue *q, struct vdax_fs_slot *slot,
		       const struct vdax_fs_call *call, uint32_t request_len)
{
	struct vdax_seg *seg = q->scratch;
	uint32_t reply_len = (uint32_t)sizeof(struct fuse_out_header);
	unsigned int readable, n;

	seg[0] = (struct vdax_seg){ slot->cell_addr, request_len };
	n = readable = add_segs(seg, 1, call->readable);
	if (call->kind != VDAX_FS_NO_REPLY) {
		if (call->kind >= VDAX_FS_INIT)
			reply_len += struct_bytes[call->kind];
		seg[n++] = (struct vdax_seg){ slot->cell_addr + REQUEST_BYTES, reply_len };
		n = add_segs(seg, n, call->writable);
	}
	__builtin_memset(slot->cell + REQUEST_BYTES, 0, sizeof(struct fuse_out_header));
	return vdax_ring_add(&q->ring, seg, readable, n - readable,
			     (struct vring_desc *)(void *)(slot->cell + TABLE_AT),
			     slot->cell_addr + TABLE_AT, slot);
}

/* Which queue a request may take, and when. */
static bool is_allowed(const struct vdax_fs_queue *q, const struct vdax_fs_call *call)
{
	bool hiprio = call->kind == VDAX_FS_NO_REPLY || call->kind == VDAX_FS_MAY_REPLY;

	if (call->kind == VDAX_FS_INIT)
		return q->index != VDAX_FS_HIPRIO && !q->fs->ready;
	return q->fs->ready && hiprio == (q->index == VDAX_FS_HIPRIO);
}

static bool data_fits(const struct vdax_fs_queue *q, const struct vdax_fs_data *data)
{
	return !data || (data->n <= q->segs && vdax_fs_data_len(data));
}

int vdax_fs_send(struct vdax_fs_queue *q, struct vdax_fs_rq *rq, const struct vdax_fs_call *call)
{
	struct vdax_fs_slot *slot = q->free;
	uint32_t len;
	int ret;

	if (q->failed)
		return q->failed;
	if (rq->slot)
		return -VDAX_EBUSY;
	if (!is_allowed(q, call) || !data_fits(q, call->readable) || !data_fits(q, call->writable))
		return -VDAX_EINVAL;
	if (!slot)
		return -VDAX_EAGAIN;

	/* Unique over all queues, and even: odd ones are for interrupts. */
	slot->unique = call->unique ? call->unique
				    : (q->counter + 1) * (2 * VDAX_FS_QUEUES_MAX) + 2 * q->index;
	slot->kind = (uint8_t)call->kind;
	slot->asked = call->asked;
	slot->type = call->type;
	len = fill_cell(slot, rq, call);
	if (!len)
		return -VDAX_EINVAL;
	ret = add_to_ring(q, slot, call, len);
	if (ret)
		return ret;
	q->free = slot->next;
	q->counter++;
	q->busy++;
	slot->rq = rq;
	rq->slot = slot;
	q->stats.sent++;
	return 0;
}

void vdax_fs_submit(struct vdax_fs_queue *q)
{
	const struct vdax_platform *p = q->platform;

	if (!q->failed && vdax_ring_publish(&q->ring)) {
		q->stats.notified++;
		p->ops->notify(p->ctx, q->index);
	}
}

uint64_t vdax_fs_unique(const struct vdax_fs_rq *rq)
{
	return rq->slot ? rq->slot->unique : 0;
}

/* --- Replies --- */

#define TYPE_MASK 0170000u

static bool type_ok(uint32_t mode)
{
	/* fifo, character device, directory, block device, file, link, socket: 1 2 4 6 8 10 12 */
	return (0x1556u >> ((mode & TYPE_MASK) >> 12)) & 1;
}

static void cut_ns(uint32_t *ns)
{
	if (*ns > 999999999u)
		*ns = 999999999u;
}

static bool attr_ok(struct fuse_attr *a)
{
	cut_ns(&a->atimensec);
	cut_ns(&a->mtimensec);
	cut_ns(&a->ctimensec);
	return type_ok(a->mode) && a->size <= INT64_MAX;
}

bool vdax_fs_entry_ok(struct fuse_entry_out *e)
{
	cut_ns(&e->entry_valid_nsec);
	cut_ns(&e->attr_valid_nsec);
	return !e->nodeid || attr_ok(&e->attr);
}

static bool new_entry_ok(struct fuse_entry_out *e, uint32_t type)
{
	return vdax_fs_entry_ok(e) && e->nodeid && e->nodeid != FUSE_ROOT_ID &&
	       (!type || (e->attr.mode & TYPE_MASK) == type);
}

static int finish_init(struct vdax_fs *fs, const struct fuse_init_out *init)
{
	if (init->major != FUSE_KERNEL_VERSION || init->minor < 23 || init->max_write < 4096)
		return -VDAX_EIO;
	fs->flags &= init->flags | (init->flags & FUSE_INIT_EXT ? (uint64_t)init->flags2 << 32 : 0);
	fs->minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor
							    : FUSE_KERNEL_MINOR_VERSION;
	fs->max_write = init->max_write;
	fs->max_readahead = init->max_readahead;
	fs->max_pages = fs->flags & FUSE_MAX_PAGES && init->max_pages ? init->max_pages : 32;
	fs->time_gran = init->time_gran ? init->time_gran : 1;
	fs->map_alignment = fs->flags & FUSE_MAP_ALIGNMENT && init->map_alignment < 32
				    ? (uint32_t)1 << init->map_alignment
				    : 0;
	fs->ready = true;
	return 0;
}

/* Is the structure one that can be? Returns what done() is told. */
static int check_struct(struct vdax_fs_queue *q, const struct vdax_fs_slot *slot,
			union vdax_fs_reply *r)
{
	bool ok = true;

	switch (slot->kind) {
	case VDAX_FS_INIT:
		return finish_init(q->fs, &r->init);
	case VDAX_FS_ENTRY:
		ok = vdax_fs_entry_ok(&r->entry);
		if (ok && !r->entry.nodeid)
			return -VDAX_ENOENT;
		break;
	case VDAX_FS_NEW_ENTRY:
		ok = new_entry_ok(&r->entry, slot->type);
		break;
	case VDAX_FS_CREATED:
		ok = new_entry_ok(&r->created.entry, slot->type);
		break;
	case VDAX_FS_ATTR:
		cut_ns(&r->attr.attr_valid_nsec);
		ok = attr_ok(&r->attr.attr);
		break;
	case VDAX_FS_WRITTEN:
		return r->write.size <= slot->asked ? (int)r->write.size : -VDAX_EIO;
	case VDAX_FS_XATTR_SIZE:
		return r->xattr.size <= 65536 ? (int)r->xattr.size : -VDAX_EIO;
	case VDAX_FS_LSEEK:
		ok = r->lseek.offset <= INT64_MAX;
		break;
	default: /* statfs, open: any bytes will do */
		break;
	}
	return ok ? 0 : -VDAX_EIO;
}

/* The device's own word, or -VDAX_EIO and *malformed if it makes no sense. */
static int check_reply(struct vdax_fs_queue *q, const struct vdax_fs_slot *slot, uint32_t written,
		       union vdax_fs_reply *reply, bool *malformed)
{
	const uint8_t *from = slot->cell + REQUEST_BYTES;
	struct fuse_out_header h;
	uint32_t body;
	int ret;

	if (slot->kind == VDAX_FS_NO_REPLY || (slot->kind == VDAX_FS_MAY_REPLY && !written))
		return 0;
	*malformed = true;
	if (written < sizeof(h))
		return -VDAX_EIO;
	__builtin_memcpy(&h, from, sizeof(h));
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* h is a copy from here on, not another look */
	if (h.unique != slot->unique || h.len < sizeof(h) || h.len > written)
		return -VDAX_EIO;
	body = h.len - (uint32_t)sizeof(h);
	if (h.error) {
		if (h.error > 0 || h.error < -MAX_ERRNO || body)
			return -VDAX_EIO;
		*malformed = false;
		return h.error;
	}
	if (slot->kind < VDAX_FS_INIT) { /* the ring has cut it to what there was room for */
		*malformed = slot->kind != VDAX_FS_DATA && body;
		return *malformed ? -VDAX_EIO : (int)body;
	}
	if (slot->kind == VDAX_FS_INIT && body >= FUSE_COMPAT_22_INIT_OUT_SIZE)
		__builtin_memset(&reply->init, 0,
				 sizeof(reply->init)); /* an older one is shorter */
	else if (body != struct_bytes[slot->kind])
		return -VDAX_EIO;
	__builtin_memcpy(reply, from + sizeof(h), body);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ret = check_struct(q, slot, reply);
	*malformed = ret == -VDAX_EIO;
	return ret;
}

/* The slot is free and rq the caller's again before the callback runs. */
static void end(struct vdax_fs_queue *q, struct vdax_fs_slot *slot, int ret)
{
	struct vdax_fs_rq *rq = slot->rq;

	slot->rq = NULL;
	rq->slot = NULL;
	q->busy--;
	if (ret < 0)
		q->stats.errors++;
	rq->done(rq, ret);
}

static void complete(struct vdax_fs_queue *q, struct vdax_fs_slot *slot, uint32_t written)
{
	bool malformed = false;
	int ret = check_reply(q, slot, written, &slot->rq->reply, &malformed);

	if (malformed)
		q->stats.malformed++;
	if (slot->kind == VDAX_FS_LAST)
		q->fs->ready = false;
	slot->next = q->free;
	q->free = slot;
	end(q, slot, ret);
}

/* Returns requests ended, or the error of a broken ring. */
static int collect_all(struct vdax_fs_queue *q)
{
	int ended = 0;

	for (;;) {
		uint32_t written;
		void *cookie;
		int ret = vdax_ring_collect(&q->ring, &cookie, &written);

		if (ret < 0)
			return ret;
		if (ret) {
			complete(q, cookie, written);
			ended++;
			if (q->failed) /* by a callback */
				return ended;
		} else if (vdax_ring_interrupts_on(&q->ring)) {
			return ended;
		}
	}
}

int vdax_fs_poll(struct vdax_fs_queue *q)
{
	int ended;

	if (q->in_callbacks)
		return 0;
	if (q->failed)
		return q->failed;
	q->in_callbacks = true;
	ended = collect_all(q);
	q->in_callbacks = false;
	if (ended < 0)
		vdax_fs_fail(q, ended);
	else
		vdax_fs_submit(q);
	return q->failed ? q->failed : ended;
}

void vdax_fs_config_changed(struct vdax_fs_queue *q)
{
	const struct vdax_platform *p = q->platform;

	if (!q->failed && (p->ops->status(p->ctx) & VIRTIO_STATUS_NEEDS_RESET))
		vdax_fs_fail(q, -VDAX_EIO);
}

void vdax_fs_fail(struct vdax_fs_queue *q, int error)
{
	bool nested = q->in_callbacks;

	if (q->failed)
		return;
	q->failed = error;
	q->in_callbacks = true;
	for (unsigned int i = 0; i < q->size; i++) { /* the cells stay with the device */
		if (q->slots[i].rq)
			end(q, &q->slots[i], error);
	}
	q->in_callbacks = nested;
}
