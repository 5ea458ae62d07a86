/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest/fs*.c against a device of a few lines that does what a script says: it takes the chain
 * apart as a device would, notes the request, and writes whatever bytes the test wants.
 */
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

static void op_notify(void *ctx, unsigned int queue)
{
	(void)ctx;
	notified[queue]++;
}

static uint64_t op_dma_addr(void *ctx, const void *ptr, size_t len)
{
	(void)ctx;
	(void)len;
	return unreachable ? VDAX_DMA_BAD : (uintptr_t)ptr;
}

static int op_config_read(void *ctx, uint32_t off, void *dst, size_t len)
{
	(void)ctx;
	if (off + len > offsetof(struct virtio_fs_config, notify_buf_size))
		return -VDAX_EINVAL;
	memcpy(dst, (const uint8_t *)&config + off, len);
	return 0;
}

static uint8_t op_status(void *ctx)
{
	(void)ctx;
	return status;
}

static const struct vdax_platform_ops ops = { .notify = op_notify,
					      .dma_addr = op_dma_addr,
					      .config_read = op_config_read,
					      .status = op_status };
static const struct vdax_platform platform = { .ops = &ops, .ram_like = true };

static void make_queue(struct vdax_fs_queue *to, unsigned int index, uint64_t features)
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

static void walk(const struct vring_desc *d, uint16_t i, bool more)
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
static bool dev_pop(const struct vdax_fs_queue *from)
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

static void dev_push(struct vdax_fs_queue *to, uint16_t head, uint32_t len)
{
	struct vring_used *u = to->ring.used;
	uint16_t idx = ring_load(&u->idx);

	u->ring[idx & (SIZE - 1)] = (struct vring_used_elem){ le32_of(head), le32_of(len) };
	ring_store_release(&u->idx, (uint16_t)(idx + 1));
}

/* Bytes to the writable pieces, as many as there is room for. */
static uint32_t dev_write(const void *bytes, uint32_t len)
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
static void dev_reply(struct vdax_fs_queue *to, int error, const void *body, uint32_t len)
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

static void done(struct vdax_fs_rq *rq, int ret)
{
	last.calls++;
	last.ret = ret;
	last.rq = rq;
}

static struct vdax_fs_rq rq = { .done = done, .uid = 1000, .gid = 100, .pid = 42 };

/* The embedder's own way: submit, interrupt, poll. */
static int finish(struct vdax_fs_queue *on)
{
	unsigned int before = last.calls;
	int ret = vdax_fs_poll(on);

	CHECK_EQ("one callback", last.calls - before, ret == 1);
	return last.ret;
}

static void pop(struct vdax_fs_queue *on)
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

static int do_init(uint32_t len)
{
	REQUIRE(!vdax_fs_init(&q, &rq,
			      FUSE_SETXATTR_EXT | FUSE_MAP_ALIGNMENT | FUSE_MAX_PAGES |
				      FUSE_HAS_INODE_DAX,
			      4096));
	pop(&q);
	dev_reply(&q, 0, &init_reply, len);
	return finish(&q);
}

static void set_up(uint64_t features)
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
static const struct vdax_seg *data_segs(void)
{
	static struct vdax_seg s[3];

	for (unsigned int i = 0; i < 3; i++)
		s[i] = (struct vdax_seg){ (uintptr_t)data_bytes[i], 64 };
	return s;
}

/* --- Each request: what the device sees, and what comes back --- */

static struct fuse_entry_out file_entry = { .nodeid = 7, .attr = { .ino = 70, .mode = FILE_MODE } };
static struct fuse_entry_out dir_entry = { .nodeid = 8, .attr = { .ino = 80, .mode = DIR_MODE } };
static struct fuse_entry_out link_entry = { .nodeid = 9, .attr = { .mode = 0120777 } };
static struct fuse_entry_out fifo_entry = { .nodeid = 9, .attr = { .mode = 0010644 } };
static struct fuse_attr_out attr_reply = { .attr_valid = 1, .attr = { .mode = FILE_MODE } };
static struct vdax_fs_created created_reply = {
	.entry = { .nodeid = 7, .attr = { .mode = FILE_MODE } }, .open = { .fh = 5 }
};
static struct fuse_open_out open_reply = { .fh = 5, .open_flags = FOPEN_KEEP_CACHE };
static struct fuse_write_out write_reply = { .size = 192 };
static struct fuse_statfs_out statfs_reply = { .st = { .blocks = 9, .bsize = 4096 } };
static struct fuse_getxattr_out xattr_reply = { .size = 30 };
static struct fuse_lseek_out lseek_reply = { .offset = 4096 };
static const char bytes_reply[] = "seventeen bytes!";

static struct vdax_fs_data data;
static struct vdax_window window;
static const uint64_t fh = 5;

#define SEND(name, call)           \
	static int do_##name(void) \
	{                          \
		return call;       \
	}                          \
	struct vdax_fs /* and ; */

SEND(lookup, vdax_fs_lookup(&q, &rq, 1, "name"));
SEND(forget, vdax_fs_forget(&hiprio, &rq, 7, 3));
static int do_batch_forget(void)
{
	static const struct fuse_forget_one list[] = { { 7, 1 }, { 8, 2 } };

	return vdax_fs_batch_forget(&hiprio, &rq, list, 2);
}
SEND(getattr, vdax_fs_getattr(&q, &rq, 7, &fh));
static int do_setattr(void)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0600 };

	return vdax_fs_setattr(&q, &rq, 7, &in);
}
SEND(mknod, vdax_fs_mknod(&q, &rq, 1, "name", 0010644, 0, 022));
SEND(mkdir, vdax_fs_mkdir(&q, &rq, 1, "name", 0755, 022));
SEND(link, vdax_fs_link(&q, &rq, 7, 1, "name"));
SEND(symlink, vdax_fs_symlink(&q, &rq, 1, "name", &data));
SEND(create, vdax_fs_create(&q, &rq, 1, "name", 2, 0644, 022));
SEND(unlink, vdax_fs_unlink(&q, &rq, 1, "name"));
SEND(rmdir, vdax_fs_rmdir(&q, &rq, 1, "name"));
SEND(rename, vdax_fs_rename2(&q, &rq, 1, "name", 8, "other", 0));
SEND(rename2, vdax_fs_rename2(&q, &rq, 1, "name", 8, "other", 1));
SEND(readlink, vdax_fs_readlink(&q, &rq, 9, &data));
SEND(open, vdax_fs_open(&q, &rq, 7, 2));
SEND(opendir, vdax_fs_opendir(&q, &rq, 8, 0));
SEND(release, vdax_fs_release(&q, &rq, 7, 5, 2));
SEND(releasedir, vdax_fs_releasedir(&q, &rq, 8, 5, 0));
SEND(read, vdax_fs_read(&q, &rq, 7, 5, 4096, &data));
SEND(write, vdax_fs_write(&q, &rq, 7, 5, 4096, &data));
SEND(readdir, vdax_fs_readdir(&q, &rq, 8, 5, 0, &data));
SEND(readdirplus, vdax_fs_readdirplus(&q, &rq, 8, 5, 0, &data));
SEND(flush, vdax_fs_flush(&q, &rq, 7, 5, 99));
SEND(fsync, vdax_fs_fsync(&q, &rq, 7, 5, true));
SEND(fsyncdir, vdax_fs_fsyncdir(&q, &rq, 8, 5, false));
SEND(fallocate, vdax_fs_fallocate(&q, &rq, 7, 5, 0, 4096, 1));
SEND(lseek, vdax_fs_lseek(&q, &rq, 7, 5, 0, 3));
SEND(statfs, vdax_fs_statfs(&q, &rq, 1));
SEND(access, vdax_fs_access(&q, &rq, 1, 4));
SEND(getxattr, vdax_fs_getxattr(&q, &rq, 7, "user.a/b", &data));
SEND(getxattr_size, vdax_fs_getxattr(&q, &rq, 7, "user.a", NULL));
SEND(listxattr, vdax_fs_listxattr(&q, &rq, 7, &data));
SEND(listxattr_size, vdax_fs_listxattr(&q, &rq, 7, NULL));
SEND(setxattr, vdax_fs_setxattr(&q, &rq, 7, "user.a", &data, 1));
SEND(setxattr_empty, vdax_fs_setxattr(&q, &rq, 7, "user.a", NULL, 0));
SEND(removexattr, vdax_fs_removexattr(&q, &rq, 7, "user.a"));
SEND(setupmapping, vdax_fs_setupmapping(&q, &rq, &window, 7, UINT64_MAX, 8192, 4096, 1, 4096));
static int do_removemapping(void)
{
	static const struct fuse_removemapping_one list[] = { { 0, 4096 }, { 4096, 4096 } };

	return vdax_fs_removemapping(&q, &rq, &window, 7, list, 2);
}
SEND(interrupt, vdax_fs_interrupt(&hiprio, &rq, 512));
SEND(destroy, vdax_fs_destroy(&q, &rq));
#define REPLY(r) &(r), sizeof(r)
#define NOTHING	 NULL, 0

/* body: bytes behind the header that the device must find, names with their NUL. */
static const struct request_case {
	const char *name;
	int (*send)(void);
	uint32_t opcode;
	uint64_t nodeid;
	uint32_t body;
	const void *reply;
	uint32_t reply_len;
	int ret;
} cases[] = {
	{ "lookup", do_lookup, FUSE_LOOKUP, 1, 5, REPLY(file_entry), 0 },
	{ "forget", do_forget, FUSE_FORGET, 7, 8, NOTHING, 0 },
	{ "batch_forget", do_batch_forget, FUSE_BATCH_FORGET, 0, 8 + 32, NOTHING, 0 },
	{ "getattr", do_getattr, FUSE_GETATTR, 7, 16, REPLY(attr_reply), 0 },
	{ "setattr", do_setattr, FUSE_SETATTR, 7, 88, REPLY(attr_reply), 0 },
	{ "mknod", do_mknod, FUSE_MKNOD, 1, 16 + 5, REPLY(fifo_entry), 0 },
	{ "mkdir", do_mkdir, FUSE_MKDIR, 1, 8 + 5, REPLY(dir_entry), 0 },
	{ "link", do_link, FUSE_LINK, 1, 8 + 5, REPLY(file_entry), 0 },
	{ "symlink", do_symlink, FUSE_SYMLINK, 1, 5 + 192, REPLY(link_entry), 0 },
	{ "create", do_create, FUSE_CREATE, 1, 16 + 5, REPLY(created_reply), 0 },
	{ "unlink", do_unlink, FUSE_UNLINK, 1, 5, NOTHING, 0 },
	{ "rmdir", do_rmdir, FUSE_RMDIR, 1, 5, NOTHING, 0 },
	{ "rename", do_rename, FUSE_RENAME, 1, 8 + 5 + 6, NOTHING, 0 },
	{ "rename2", do_rename2, FUSE_RENAME2, 1, 16 + 5 + 6, NOTHING, 0 },
	{ "readlink", do_readlink, FUSE_READLINK, 9, 0, REPLY(bytes_reply), 17 },
	{ "open", do_open, FUSE_OPEN, 7, 8, REPLY(open_reply), 0 },
	{ "opendir", do_opendir, FUSE_OPENDIR, 8, 8, REPLY(open_reply), 0 },
	{ "release", do_release, FUSE_RELEASE, 7, 24, NOTHING, 0 },
	{ "releasedir", do_releasedir, FUSE_RELEASEDIR, 8, 24, NOTHING, 0 },
	{ "read", do_read, FUSE_READ, 7, 40, REPLY(bytes_reply), 17 },
	{ "read at the end", do_read, FUSE_READ, 7, 40, NOTHING, 0 },
	{ "write", do_write, FUSE_WRITE, 7, 40 + 192, REPLY(write_reply), 192 },
	{ "readdir", do_readdir, FUSE_READDIR, 8, 40, REPLY(bytes_reply), 17 },
	{ "readdirplus", do_readdirplus, FUSE_READDIRPLUS, 8, 40, NOTHING, 0 },
	{ "flush", do_flush, FUSE_FLUSH, 7, 24, NOTHING, 0 },
	{ "fsync", do_fsync, FUSE_FSYNC, 7, 16, NOTHING, 0 },
	{ "fsyncdir", do_fsyncdir, FUSE_FSYNCDIR, 8, 16, NOTHING, 0 },
	{ "fallocate", do_fallocate, FUSE_FALLOCATE, 7, 32, NOTHING, 0 },
	{ "lseek", do_lseek, FUSE_LSEEK, 7, 24, REPLY(lseek_reply), 0 },
	{ "statfs", do_statfs, FUSE_STATFS, 1, 0, REPLY(statfs_reply), 0 },
	{ "access", do_access, FUSE_ACCESS, 1, 8, NOTHING, 0 },
	{ "getxattr", do_getxattr, FUSE_GETXATTR, 7, 8 + 9, REPLY(bytes_reply), 17 },
	{ "getxattr size", do_getxattr_size, FUSE_GETXATTR, 7, 8 + 7, REPLY(xattr_reply), 30 },
	{ "listxattr", do_listxattr, FUSE_LISTXATTR, 7, 8, REPLY(bytes_reply), 17 },
	{ "listxattr size", do_listxattr_size, FUSE_LISTXATTR, 7, 8, REPLY(xattr_reply), 30 },
	{ "setxattr", do_setxattr, FUSE_SETXATTR, 7, 16 + 7 + 192, NOTHING, 0 },
	{ "setxattr empty", do_setxattr_empty, FUSE_SETXATTR, 7, 16 + 7, NOTHING, 0 },
	{ "removexattr", do_removexattr, FUSE_REMOVEXATTR, 7, 7, NOTHING, 0 },
	{ "setupmapping", do_setupmapping, FUSE_SETUPMAPPING, 7, 40, NOTHING, 0 },
	{ "removemapping", do_removemapping, FUSE_REMOVEMAPPING, 7, 4 + 32, NOTHING, 0 },
	{ "interrupt", do_interrupt, FUSE_INTERRUPT, 0, 8, NOTHING, 0 },
	{ "destroy", do_destroy, FUSE_DESTROY, 0, 0, NOTHING, 0 },
};

static struct vdax_fs_queue *queue_of(const struct request_case *c)
{
	return c->opcode == FUSE_FORGET || c->opcode == FUSE_BATCH_FORGET ||
			       c->opcode == FUSE_INTERRUPT
		       ? &hiprio
		       : &q;
}

static void test_request(const struct request_case *c, int error)
{
	struct vdax_fs_queue *on = queue_of(c);
	bool silent = c->opcode == FUSE_FORGET || c->opcode == FUSE_BATCH_FORGET;

	CHECK_EQ(c->name, c->send(), 0);
	CHECK_NAMED(c->name, vdax_fs_unique(&rq));
	CHECK_EQ(c->name, c->send(), -VDAX_EBUSY);
	pop(on);
	CHECK_EQ(c->name, got.h.opcode, c->opcode);
	CHECK_EQ(c->name, got.h.nodeid, c->nodeid);
	CHECK_EQ(c->name, got.h.unique, vdax_fs_unique(&rq));
	CHECK_EQ(c->name, got.h.uid + got.h.gid + got.h.pid, 1142);
	CHECK_EQ(c->name, got.body_len, c->body);
	CHECK_EQ(c->name, got.n_room == 0, silent);
	if (silent || (c->opcode == FUSE_INTERRUPT && !error))
		dev_push(on, got.head, 0);
	else
		dev_reply(on, error, c->reply, error ? 0 : c->reply_len);
	CHECK_EQ(c->name, finish(on), error && !silent ? error : c->ret);
	CHECK_NAMED(c->name, !vdax_fs_unique(&rq) && !on->busy);
	if (!error && c->reply && c->reply_len > 17)
		CHECK_NAMED(c->name, !memcmp(&rq.reply, c->reply, c->reply_len));
	else if (!error && c->reply && c->ret == 17)
		CHECK_NAMED(c->name, !memcmp(data_bytes[0], c->reply, 17));
	CHECK_EQ(c->name, on->stats.malformed, 0);
}

static void test_requests(uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_up(features);
		test_request(&cases[i], 0);
		set_up(features);
		test_request(&cases[i], -13);
	}
}

/* What the device finds in the body, where the order of fields matters. */
static void test_bodies(void)
{
	struct fuse_rename2_in rename2;
	struct fuse_setxattr_in setxattr;

	set_up(0);
	REQUIRE(!do_rename2());
	pop(&q);
	memcpy(&rename2, got.body, sizeof(rename2));
	CHECK_EQ("new parent", rename2.newdir, 8);
	CHECK_NAMED("names", !memcmp(got.body + 16, "name\0other", 11));
	dev_reply(&q, 0, NULL, 0);
	CHECK_EQ("renamed", finish(&q), 0);

	memcpy(data_bytes[2], "value", 5);
	REQUIRE(!do_setxattr());
	pop(&q);
	memcpy(&setxattr, got.body, sizeof(setxattr));
	CHECK_EQ("size", setxattr.size, 192);
	CHECK_NAMED("name", !memcmp(got.body + 16, "user.a", 7));
	CHECK_NAMED("value", !memcmp(got.body + 16 + 7 + 128, "value", 5));
	dev_reply(&q, 0, NULL, 0);
	CHECK_EQ("set", finish(&q), 0);

	fs.flags &= ~FUSE_SETXATTR_EXT;
	REQUIRE(!do_setxattr());
	pop(&q);
	CHECK_NAMED("short form", !memcmp(got.body + 8, "user.a", 7));
}

/* --- INIT --- */

static const struct {
	const char *name;
	uint32_t major, minor, max_write, len;
	int ret;
} init_cases[] = {
	{ "as now", 7, 38, 65536, 64, 0 },
	{ "newer", 7, 99, 65536, 64, 0 },
	{ "7.23", 7, 23, 65536, 64, 0 },
	{ "short but whole", 7, 23, 65536, 24, 0 },
	{ "too short", 7, 38, 65536, 23, -VDAX_EIO },
	{ "old", 7, 22, 65536, 64, -VDAX_EIO },
	{ "other major", 8, 0, 65536, 64, -VDAX_EIO },
	{ "writes of nothing", 7, 38, 4095, 64, -VDAX_EIO },
};

static void test_init(void)
{
	const struct fuse_init_out normal = init_reply;

	set_up(0);
	CHECK_EQ("flags", fs.flags, FUSE_SETXATTR_EXT | FUSE_MAP_ALIGNMENT | FUSE_INIT_EXT);
	CHECK_EQ("alignment", fs.map_alignment, 4096);
	CHECK_EQ("pages", fs.max_pages, 32);
	CHECK_EQ("not twice", vdax_fs_init(&q, &rq, 0, 0), -VDAX_EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(init_cases); i++) {
		set_up(0);
		fs.ready = false;
		CHECK_EQ("nothing before INIT", do_getattr(), -VDAX_EINVAL);
		init_reply.major = init_cases[i].major;
		init_reply.minor = init_cases[i].minor;
		init_reply.max_write = init_cases[i].max_write;
		CHECK_EQ(init_cases[i].name, do_init(init_cases[i].len), init_cases[i].ret);
		CHECK_EQ(init_cases[i].name, fs.ready, !init_cases[i].ret);
		init_reply = normal;
	}
	set_up(0);
	REQUIRE(!do_destroy());
	pop(&q);
	dev_reply(&q, 0, NULL, 0);
	CHECK_EQ("destroy", finish(&q), 0);
	CHECK_NAMED("over", !fs.ready && do_getattr() == -VDAX_EINVAL);
}

/* --- Replies that make no sense --- */

static const struct {
	const char *name;
	int (*send)(void);
	uint32_t written; /* what the used ring says */
	uint32_t len;	  /* in the header */
	int32_t error;
	uint64_t unique; /* xored */
	const void *body;
	uint32_t body_len;
	int ret;
} bad_cases[] = {
	{ "nothing written", do_unlink, 0, 16, 0, 0, NOTHING, -VDAX_EIO },
	{ "half a header", do_unlink, 15, 16, 0, 0, NOTHING, -VDAX_EIO },
	{ "longer than written", do_unlink, 16, 17, 0, 0, NOTHING, -VDAX_EIO },
	{ "shorter than a header", do_unlink, 16, 15, 0, 0, NOTHING, -VDAX_EIO },
	{ "length of 4 GiB", do_read, 64, UINT32_MAX, 0, 0, NOTHING, -VDAX_EIO },
	{ "more than there is room for", do_read, UINT32_MAX, 16 + 193, 0, 0, NOTHING, -VDAX_EIO },
	{ "all there is room for", do_read, UINT32_MAX, 16 + 192, 0, 0, NOTHING, 192 },
	{ "another's", do_unlink, 16, 16, 0, 2, NOTHING, -VDAX_EIO },
	{ "positive error", do_unlink, 16, 16, 2, 0, NOTHING, -VDAX_EIO },
	{ "error of the kernel's own", do_unlink, 16, 16, -512, 0, NOTHING, -VDAX_EIO },
	{ "last error", do_unlink, 16, 16, -511, 0, NOTHING, -511 },
	{ "least error", do_unlink, 16, 16, INT32_MIN, 0, NOTHING, -VDAX_EIO },
	{ "error with a body", do_read, 20, 20, -2, 0, NOTHING, -VDAX_EIO },
	{ "entry too short", do_lookup, 16 + 120, 16 + 120, 0, 0, REPLY(file_entry), -VDAX_EIO },
	{ "no entry", do_lookup, 16 + 128, 16 + 128, 0, 0, NOTHING, -VDAX_ENOENT },
	{ "made, but no entry", do_mkdir, 16 + 128, 16 + 128, 0, 0, NOTHING, -VDAX_EIO },
	{ "made another type", do_mkdir, 144, 144, 0, 0, REPLY(file_entry), -VDAX_EIO },
	{ "attributes of no type", do_getattr, 120, 120, 0, 0, NOTHING, -VDAX_EIO },
	{ "wrote more than asked", do_write, 24, 24, 0, 0, "\xc1\0\0\0\0\0\0\0", 8, -VDAX_EIO },
	{ "huge attribute", do_getxattr_size, 24, 24, 0, 0, "\xff\xff\xff\xff\0\0\0\0", 8,
	  -VDAX_EIO },
	{ "seek to nowhere", do_lseek, 24, 24, 0, 0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
	  -VDAX_EIO },
};

static const struct request_case lives_on = { "lives on",	   do_statfs, FUSE_STATFS, 1, 0,
					      REPLY(statfs_reply), 0 };

static void test_bad_replies(uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const char *name = bad_cases[i].name;
		uint8_t all[512] = { 0 };
		struct fuse_out_header h = { .len = bad_cases[i].len, .error = bad_cases[i].error };

		set_up(features);
		REQUIRE(!bad_cases[i].send());
		pop(&q);
		h.unique = got.h.unique ^ bad_cases[i].unique;
		memcpy(all, &h, sizeof(h));
		if (bad_cases[i].body_len)
			memcpy(all + sizeof(h), bad_cases[i].body, bad_cases[i].body_len);
		dev_write(all, sizeof(all));
		dev_push(&q, got.head, bad_cases[i].written);
		CHECK_EQ(name, finish(&q), bad_cases[i].ret);
		CHECK_EQ(name, q.stats.malformed, bad_cases[i].ret == -VDAX_EIO);
		q.stats.malformed = 0;
		test_request(&lives_on, 0);
	}
}

/* Random bytes for everything that a device writes: no access outside, no lost request. */
static void test_random_replies(void)
{
	uint32_t seed = 1;

	set_up(INDIRECT | EVENT_IDX);
	for (unsigned int i = 0; i < 100000; i++) {
		const struct request_case *c = &cases[i % ARRAY_SIZE(cases)];
		struct vdax_fs_queue *on = queue_of(c);
		uint8_t bytes[512];

		fs.ready = true;
		REQUIRE(!c->send());
		pop(on);
		for (unsigned int k = 0; k < sizeof(bytes); k += 4) {
			seed = seed * 1664525 + 1013904223;
			memcpy(bytes + k, &seed, 4);
		}
		if (seed >> 31) { /* else not even the header gets past the first check */
			struct fuse_out_header h = { .len = (seed >> 8) % 220,
						     .error = seed & 1 ? -(int)(seed >> 20) : 0,
						     .unique = got.h.unique };

			memcpy(bytes, &h, sizeof(h));
		}
		dev_write(bytes, sizeof(bytes));
		dev_push(on, got.head, (seed >> 4) % 300);
		CHECK_NAMED("an answer", finish(on) <= 65536 && last.ret >= -511);
		REQUIRE(!on->failed && !on->busy);
	}
}

/* --- Parameters --- */

static char long_name[300];

static const struct {
	const char *name, *arg;
	int ret;
} name_cases[] = {
	{ "empty", "", -VDAX_EINVAL },
	{ "slash", "a/b", -VDAX_EINVAL },
	{ "only a slash", "/", -VDAX_EINVAL },
	{ "dots", "..", 0 },
	{ "256 bytes", long_name, -VDAX_EINVAL },
	{ "255 bytes", long_name + 1, 0 },
};

static void test_parameters(void)
{
	const struct vdax_seg empty = { 4096, 0 }, large = { 4096, 1u << 31 };
	struct vdax_seg four[4] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 } };
	const struct vdax_fs_data none = { &empty, 1 }, huge = { &large, 1 }, many = { four, 4 };
	const struct fuse_forget_one one = { 7, 1 };

	memset(long_name, 'x', 256);
	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		set_up(0);
		CHECK_EQ(name_cases[i].name, vdax_fs_lookup(&q, &rq, 1, name_cases[i].arg),
			 name_cases[i].ret);
		CHECK_EQ(name_cases[i].name, q.busy, !name_cases[i].ret);
	}
	set_up(0);
	CHECK_EQ("second name", vdax_fs_rename2(&q, &rq, 1, "a", 1, "", 0), -VDAX_EINVAL);
	CHECK_EQ("empty piece", vdax_fs_read(&q, &rq, 7, 5, 0, &none), -VDAX_EINVAL);
	CHECK_EQ("2 GiB", vdax_fs_read(&q, &rq, 7, 5, 0, &huge), -VDAX_EINVAL);
	CHECK_EQ("pieces", vdax_fs_read(&q, &rq, 7, 5, 0, &many), -VDAX_EINVAL);
	CHECK_EQ("no place", vdax_fs_read(&q, &rq, 7, 5, 0, NULL), -VDAX_EINVAL);
	CHECK_EQ("nothing to write", vdax_fs_write(&q, &rq, 7, 5, 0, NULL), -VDAX_EINVAL);
	fs.max_write = 191;
	CHECK_EQ("more than max_write", do_write(), -VDAX_EINVAL);
	CHECK_EQ("empty list", vdax_fs_batch_forget(&hiprio, &rq, &one, 0), -VDAX_EINVAL);
	CHECK_EQ("long list", vdax_fs_batch_forget(&hiprio, &rq, &one, 33), -VDAX_EINVAL);
	CHECK_EQ("nobody", vdax_fs_interrupt(&hiprio, &rq, 0), -VDAX_EINVAL);
	CHECK_EQ("forget in a request queue", vdax_fs_forget(&q, &rq, 7, 1), -VDAX_EINVAL);
	CHECK_EQ("request in hiprio", vdax_fs_statfs(&hiprio, &rq, 1), -VDAX_EINVAL);
	CHECK_EQ("beyond the window",
		 vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 0, 8192, 1, 4096), -VDAX_ERANGE);
	CHECK_EQ("offset wraps",
		 vdax_fs_setupmapping(&q, &rq, &window, 7, 0, UINT64_MAX, 4096, 1, 0),
		 -VDAX_ERANGE);
	CHECK_EQ("unaligned", vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 512, 4096, 1, 0),
		 -VDAX_EINVAL);
	CHECK_EQ("nothing to map", vdax_fs_setupmapping(&q, &rq, &window, 7, 0, 0, 0, 1, 0),
		 -VDAX_EINVAL);
	CHECK_EQ("nothing was sent", q.busy + hiprio.busy, 0);
	CHECK_NAMED("and nothing shows", !dev_pop(&q) && !dev_pop(&hiprio));
}

/* --- Queues --- */

static struct vdax_fs_rq many[2 * SIZE];

static unsigned int fill(void)
{
	unsigned int n = 0;

	memset(many, 0, sizeof(many));
	for (;; n++) {
		REQUIRE(n < ARRAY_SIZE(many));
		many[n].done = done;
		if (vdax_fs_read(&q, &many[n], 7, 5, 0, &data))
			return n;
	}
}

static void test_full(uint64_t features, unsigned int want)
{
	uint64_t seen[SIZE] = { 0 };
	unsigned int n;

	set_up(features);
	n = fill();
	CHECK_EQ("requests", n, want);
	CHECK_EQ("full", vdax_fs_statfs(&q, &many[n], 1), -VDAX_EAGAIN);
	vdax_fs_submit(&q);
	for (unsigned int i = 0; i < n; i++) {
		REQUIRE(dev_pop(&q));
		seen[i] = got.h.unique;
		for (unsigned int k = 0; k < i; k++)
			CHECK_NAMED("unique", seen[k] != seen[i]);
		CHECK_NAMED("even", !(seen[i] & 1));
		dev_reply(&q, 0, NULL, 0);
	}
	last.calls = 0;
	CHECK_EQ("all at once", vdax_fs_poll(&q), n);
	CHECK_EQ("callbacks", last.calls, n);
	CHECK_EQ("again", fill(), want);
	vdax_fs_fail(&q, -VDAX_ETIMEDOUT);
	CHECK_EQ("all failed", last.calls, 2 * n);
	CHECK_EQ("with", last.ret, -VDAX_ETIMEDOUT);
	CHECK_EQ("later ones too", vdax_fs_statfs(&q, &rq, 1), -VDAX_ETIMEDOUT);
	CHECK_EQ("and poll", vdax_fs_poll(&q), -VDAX_ETIMEDOUT);
}

/* One notification for all that were made, and only if the event index asks for it. */
static void test_notify(void)
{
	le16 *avail_event;
	unsigned int n;

	set_up(INDIRECT | EVENT_IDX);
	avail_event = (le16 *)(void *)&q.ring.used->ring[SIZE];
	ring_store(avail_event, popped[1]);
	notified[1] = 0;
	n = fill();
	CHECK_EQ("not before submit", notified[1], 0);
	vdax_fs_submit(&q);
	CHECK_EQ("once", notified[1], 1);
	vdax_fs_submit(&q);
	CHECK_EQ("nothing new", notified[1], 1);
	while (dev_pop(&q))
		dev_reply(&q, 0, NULL, 0);
	CHECK_EQ("ended", vdax_fs_poll(&q), n);
	ring_store(avail_event, (uint16_t)(popped[1] - 1)); /* the device is still looking */
	REQUIRE(!do_statfs());
	vdax_fs_submit(&q);
	CHECK_EQ("not asked for", notified[1], 1);
	CHECK_NAMED("but there", dev_pop(&q));
}

static void again(struct vdax_fs_rq *r, int ret)
{
	done(r, ret);
	CHECK_EQ("poll inside", vdax_fs_poll(&q), 0);
	CHECK_EQ("request inside", vdax_fs_statfs(&q, r, 1), 0);
}

static void test_callback_sends(void)
{
	struct vdax_fs_rq r = { .done = again };

	set_up(0);
	REQUIRE(!vdax_fs_statfs(&q, &r, 1));
	pop(&q);
	notified[1] = 0;
	dev_reply(&q, 0, &statfs_reply, sizeof(statfs_reply));
	CHECK_EQ("poll", vdax_fs_poll(&q), 1);
	CHECK_EQ("shown by poll", notified[1], 1);
	CHECK_NAMED("there", dev_pop(&q));
	r.done = done;
	status = VIRTIO_STATUS_NEEDS_RESET;
	vdax_fs_config_changed(&q);
	status = 0;
	CHECK_EQ("device failed", last.ret, -VDAX_EIO);
	CHECK_EQ("over", vdax_fs_poll(&q), -VDAX_EIO);
}

/* The device gives back what it does not have. */
static void test_broken_ring(void)
{
	set_up(0);
	REQUIRE(!do_statfs());
	pop(&q);
	dev_push(&q, 9, 16);
	CHECK_EQ("broken", vdax_fs_poll(&q), -VDAX_EIO);
	CHECK_EQ("told", last.ret, -VDAX_EIO);
	CHECK_EQ("stays so", do_statfs(), -VDAX_EIO);
}

static void test_set_up(void)
{
	struct vdax_fs_queue_opts o = { .platform = &platform,
					.fs = &fs,
					.index = 1,
					.size = SIZE,
					.segs = SEGS,
					.shared = shared[1],
					.ring_slots = ring_slots[1],
					.slots = slots[1],
					.scratch = scratch[1] };
	struct vdax_fs_config c;

	unreachable = true;
	CHECK_EQ("out of reach", vdax_fs_queue_init(&q, &o), -VDAX_ENODEV);
	unreachable = false;
	o.size = 2;
	CHECK_EQ("too small", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);
	o.size = SIZE;
	o.index = VDAX_FS_QUEUES_MAX;
	CHECK_EQ("index", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);
	o.index = 1;
	o.segs = 0;
	CHECK_EQ("segs", vdax_fs_queue_init(&q, &o), -VDAX_EINVAL);

	CHECK_EQ("no VERSION_1", vdax_fs_features(EVENT_IDX), 0);
	CHECK_EQ("known only", vdax_fs_features(~(uint64_t)0), VERSION_1 | EVENT_IDX | INDIRECT);
	memset(config.tag, 'T', sizeof(config.tag)); /* no NUL: a tag may fill the field */
	CHECK_EQ("no queues", vdax_fs_read_config(&platform, &c), -VDAX_EINVAL);
	config.num_request_queues = le32_of(4);
	CHECK_EQ("config", vdax_fs_read_config(&platform, &c), 0);
	CHECK_EQ("queues", c.request_queues, 4);
	CHECK_EQ("tag", strlen(c.tag), 36);
}

int main(void)
{
	static const struct vdax_region region = { 1 << 20, 8192 };

	data = (struct vdax_fs_data){ data_segs(), 3 };
	REQUIRE(!vdax_window_init(&window, &platform, &region, shared));
	test_set_up();
	test_requests(0);
	test_requests(INDIRECT);
	test_requests(INDIRECT | EVENT_IDX);
	test_bodies();
	test_init();
	test_bad_replies(0);
	test_bad_replies(INDIRECT);
	test_random_replies();
	test_parameters();
	test_full(0, SIZE / 5);
	test_full(INDIRECT, SIZE);
	test_notify();
	test_callback_sends();
	test_broken_ring();
	return check_done();
}
