/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest against the daemon in its sandbox: each wrong request ends with an error, the
 * daemon lives and serves the next one, and has as many descriptors and threads as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "front/queue.h"
#include "front/ram.h"
#include "fs/dispatch.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"

#define BYTES  KIB(256)
#define HEADER sizeof(struct fuse_out_header)
#define QUEUES 4u

static struct fsd d;
static struct front_raw *r;
static uint8_t reply[BYTES];
static uint64_t file, other, dir, fh;

/* --- set-up --- */

static void put_file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void fill_share(void)
{
	char path[128];

	put_file("secret", "nobody shall see this");
	put_file("share/file", "0123456789");
	put_file("share/other", "abc");
	snprintf(path, sizeof(path), "%s/dir", d.share);
	REQUIRE(!mkdir(path, 0755));
	snprintf(path, sizeof(path), "%s/out", d.share);
	REQUIRE(!symlink("..", path));
}

static int call(const struct fsd_rq *rq)
{
	return fsd_call(r, 1, rq, reply, 4096);
}

#define CALL(...) call(&(const struct fsd_rq){ __VA_ARGS__ })

/* A session with what the tests use. */
static void session(void)
{
	fsd_init(r, UINT64_MAX & ~(uint64_t)(FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT));
	file = fsd_lookup(r, 1, 1, "file");
	other = fsd_lookup(r, 1, 1, "other");
	dir = fsd_lookup(r, 1, 1, "dir");
	fh = fsd_open(r, 1, FUSE_OPEN, file, O_RDWR);
	REQUIRE(file && other && dir && fh);
}

static void still_serves(const char *after)
{
	uint64_t id = fsd_lookup(r, 2, 1, "file");

	CHECK_NAMED(after, id);
	fsd_forget(r, 0, id, 1);
}

/* What the header says, and what of it there is. */
static int raw(uint32_t opcode, uint64_t nodeid, uint32_t says, const void *body, size_t len,
	       size_t room)
{
	struct fuse_in_header in = {
		.len = says, .opcode = opcode, .nodeid = nodeid, .unique = 77
	};
	struct iovec iov[] = { { &in, sizeof(in) }, { (void *)(uintptr_t)body, len } };
	struct fuse_out_header out = { .error = 1 };
	int n = front_raw_call(r, 1, iov, len ? 2 : 1, reply, room, FSD_TIMEOUT_MS);

	REQUIRE(n >= 0);
	if (n < (int)HEADER)
		return 1; /* no answer */
	memcpy(&out, reply, sizeof(out));
	CHECK_EQ("unique", out.unique, 77);
	CHECK_EQ("length", out.len, n);
	return out.error;
}

static bool silent(uint32_t opcode)
{
	return opcode < FS_OPCODES && fs_ops[opcode].flags & OP_SILENT;
}

static bool served(uint32_t opcode)
{
	return opcode < FS_OPCODES && fs_ops[opcode].handler;
}

/* --- sizes --- */

static void test_before_init(void)
{
	for (uint32_t op = 0; op < 70; op++) {
		char what[32];

		if (op == FUSE_INIT || op == FUSE_DESTROY)
			continue;
		snprintf(what, sizeof(what), "%u before INIT", op);
		CHECK_EQ(what, raw(op, 1, sizeof(struct fuse_in_header), NULL, 0, 4096),
			 silent(op)   ? 1
			 : served(op) ? -EIO
				      : -ENOSYS);
	}
}

/* Each opcode with each body that is too short, one that is too long, lies, too little room. */
static void test_sizes(uint32_t op)
{
	const struct fs_op *o = &fs_ops[op];
	const uint32_t head = sizeof(struct fuse_in_header);
	static char body[FS_BODY_MAX + 2];
	int nothing = silent(op) ? 1 : -EINVAL;

	memset(body, 'a', sizeof(body));
	for (uint32_t len = 0; len < o->body; len++)
		CHECK_EQ(o->name, raw(op, 1, head + len, body, len, 4096), nothing);
	CHECK_EQ(o->name, raw(op, 1, head + o->body + 1, body, o->body, 4096), nothing);
	CHECK_EQ(o->name, raw(op, 1, UINT32_MAX, body, o->body, 4096), nothing);
	CHECK_EQ(o->name, raw(op, 1, head - 1, body, o->body, 4096), nothing);
	CHECK_EQ(o->name, raw(op, 1, 0, body, o->body, 4096), nothing);
	if (!(o->flags & OP_DATA))
		CHECK_EQ(o->name,
			 raw(op, 1, head + (uint32_t)sizeof(body), body, sizeof(body), 4096),
			 silent(op) ? 1 : -E2BIG);
	if (silent(op))
		return;
	for (uint32_t room = 0; room < o->reply; room += 4)
		CHECK_EQ(o->name, raw(op, 1, head + o->body, body, o->body, HEADER + room),
			 -EINVAL);
	for (uint32_t room = 0; room < HEADER; room++)
		CHECK_EQ(o->name, raw(op, 0, head, NULL, 0, room), 1);
}

static void test_objects(uint32_t op)
{
	const struct fs_op *o = &fs_ops[op];
	const uint32_t head = sizeof(struct fuse_in_header);
	uint8_t body[256] = { 0 };
	uint64_t forged = fh ^ 1u << 20;
	uint32_t len = MAX(o->body, 8u) + 2;

	if (o->flags & OP_INODE)
		CHECK_EQ(o->name, raw(op, file ^ 1u << 24, head + len, body, len, 4096), -ESTALE);
	if (!(o->flags & OP_HANDLE))
		return;
	CHECK_EQ(o->name, raw(op, file, head + len, body, len, 4096), -EBADF);
	memcpy(body, &forged, sizeof(forged));
	CHECK_EQ(o->name, raw(op, file, head + len, body, len, 4096), -EBADF);
	memcpy(body, &fh, sizeof(fh));
	CHECK_EQ("of another inode", raw(op, other, head + len, body, len, 4096), -EBADF);
}

static void test_each_opcode(void)
{
	for (uint32_t op = 0; op < FS_OPCODES; op++) {
		if (!served(op))
			continue;
		test_sizes(op);
		/* Those of no size at all have been done by now. */
		if (op == FUSE_DESTROY || op == FUSE_INIT)
			session();
		test_objects(op);
	}
	session();
	still_serves("wrong sizes");
}

/* --- names --- */

static char name_255[256], name_256[257];

static const struct {
	const char *what, *name;
	size_t len; /* with its NUL, if it has one */
	int want;
} bad_names[] = {
	{ "none", "", 1, -EINVAL },
	{ "dot", ".", 2, -EINVAL },
	{ "dot dot", "..", 3, -EINVAL },
	{ "a slash", "/", 2, -EINVAL },
	{ "a path", "dir/x", 6, -EINVAL },
	{ "upwards", "../secret", 10, -EINVAL },
	{ "through a link", "out/secret", 11, -EINVAL },
	{ "absolute", "/etc/passwd", 12, -EINVAL },
	{ "a slash at the end", "dir/", 5, -EINVAL },
	{ "no NUL", "abcdefg", 7, -EINVAL },
	{ "too long", name_256, 257, -ENAMETOOLONG },
};

static const struct {
	uint32_t opcode;
	struct fsd_body head;
} named[] = {
	{ FUSE_LOOKUP, { 0 } },
	{ FUSE_UNLINK, { 0 } },
	{ FUSE_RMDIR, { 0 } },
	{ FUSE_SYMLINK, { 0 } },
	{ FUSE_MKDIR, { FSD_BODY(mkdir, .mode = 0755) } },
	{ FUSE_MKNOD, { FSD_BODY(mknod, .mode = S_IFREG | 0644) } },
	{ FUSE_CREATE, { FSD_BODY(create, .flags = O_RDWR, .mode = 0644) } },
	{ FUSE_LINK, { FSD_BODY(link, .oldnodeid = 1) } },
	{ FUSE_RENAME, { FSD_BODY(rename, .newdir = 1) } },
	{ FUSE_RENAME2, { FSD_BODY(rename2, .newdir = 1) } },
};

/* As the first name and as the second one of who has two. */
static void test_name(size_t n, size_t i)
{
	const struct fuse_link_in link = { .oldnodeid = file };
	char tail[600] = "file";
	struct fsd_rq rq = { named[n].opcode, 1, named[n].head, 0 };
	bool two = rq.opcode == FUSE_RENAME || rq.opcode == FUSE_RENAME2 ||
		   rq.opcode == FUSE_SYMLINK;
	size_t len = bad_names[i].len;

	if (rq.opcode == FUSE_LINK)
		rq.body.head = &link;
	memcpy(tail, bad_names[i].name, len);
	rq.body.tail = tail;
	rq.body.tail_len = len;
	if (two && !tail[len - 1]) {
		memcpy(tail + len, "new", 4);
		rq.body.tail_len += 4;
	}
	CHECK_EQ(bad_names[i].what, call(&rq), bad_names[i].want);
	if (!two || rq.opcode == FUSE_SYMLINK)
		return;
	memcpy(tail, "file", 5);
	memcpy(tail + 5, bad_names[i].name, len);
	rq.body.tail_len = len + 5;
	CHECK_EQ(bad_names[i].what, call(&rq), bad_names[i].want);
}

static void test_names(void)
{
	uint64_t id;

	memset(name_255, 'n', 255);
	memset(name_256, 'n', 256);
	for (size_t n = 0; n < ARRAY_SIZE(named); n++)
		for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++)
			test_name(n, i);
	CHECK_EQ("a longest name",
		 CALL(FUSE_MKDIR, 1, { FSD_BODY(mkdir, .mode = 0755), FSD_NAME(name_255) }, 0),
		 sizeof(struct fuse_entry_out));
	CHECK_EQ("is removed", CALL(FUSE_RMDIR, 1, { FSD_NAME(name_255) }, 0), 0);
	/* A NUL ends a name: what is behind it is not of it. */
	CHECK_EQ("two names",
		 CALL(FUSE_LOOKUP, 1, { .tail = "file\0/../../secret", .tail_len = 19 }, 0),
		 sizeof(struct fuse_entry_out));
	id = fsd_lookup(r, 1, 1, "out");
	CHECK_NAMED("the link itself", id);
	CHECK_EQ("is no directory", CALL(FUSE_LOOKUP, id, { FSD_NAME("secret") }, 0), -ENOTDIR);
	CHECK_EQ("nor opened", CALL(FUSE_OPENDIR, id, { FSD_BODY(open, 0) }, 0), -ENOTDIR);
	CHECK_EQ("nor opened", CALL(FUSE_OPEN, id, { FSD_BODY(open, 0) }, 0), -ELOOP);
	still_serves("bad names");
}

/* --- ids --- */

static void test_ids(void)
{
	uint64_t id = fsd_lookup(r, 1, 1, "other"), h;

	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t forged = id ^ (uint64_t)1 << bit;
		const struct fsd_rq rq = { FUSE_READ,
					   file,
					   { FSD_BODY(read, .fh = fh ^ (uint64_t)1 << bit,
						      .size = 5) },
					   0 };

		if (forged != 1 && forged != file && forged != dir && forged)
			CHECK_EQ("node", CALL(FUSE_GETATTR, forged, { FSD_BODY(getattr, 0) }, 0),
				 -ESTALE);
		CHECK_EQ("handle", call(&rq), -EBADF);
	}
	/* other has been looked up by session(), too. */
	fsd_forget(r, 0, id, UINT64_MAX);
	CHECK_EQ("forgotten", CALL(FUSE_GETATTR, id, { FSD_BODY(getattr, 0) }, 0), -ESTALE);
	fsd_forget(r, 0, id, UINT64_MAX);
	fsd_forget(r, 0, 1, UINT64_MAX);
	CHECK_EQ("the root stays", CALL(FUSE_GETATTR, 1, { FSD_BODY(getattr, 0) }, 0),
		 sizeof(struct fuse_attr_out));
	other = fsd_lookup(r, 1, 1, "other");
	CHECK_NAMED("a new id", other && other != id);
	CHECK_EQ("the former one", CALL(FUSE_GETATTR, id, { FSD_BODY(getattr, 0) }, 0), -ESTALE);
	h = fsd_open(r, 1, FUSE_OPEN, other, O_RDONLY);
	CHECK_EQ("released", CALL(FUSE_RELEASE, other, { FSD_BODY(release, .fh = h) }, 0), 0);
	CHECK_EQ("twice", CALL(FUSE_RELEASE, other, { FSD_BODY(release, .fh = h) }, 0), -EBADF);
	CHECK_EQ("and read", CALL(FUSE_READ, other, { FSD_BODY(read, .fh = h, .size = 1) }, 0),
		 -EBADF);
	/* An inode that is open but forgotten is still the handle's. */
	h = fsd_open(r, 1, FUSE_OPEN, other, O_RDONLY);
	fsd_forget(r, 0, other, 1);
	CHECK_EQ("of a forgotten one",
		 CALL(FUSE_READ, other, { FSD_BODY(read, .fh = h, .size = 3) }, 0), 3);
	CHECK_EQ("released", CALL(FUSE_RELEASE, other, { FSD_BODY(release, .fh = h) }, 0), 0);
	CHECK_EQ("now gone", CALL(FUSE_GETATTR, other, { FSD_BODY(getattr, 0) }, 0), -ESTALE);
	CHECK_EQ("a link to a forged one",
		 CALL(FUSE_LINK, 1, { FSD_BODY(link, .oldnodeid = 99), FSD_NAME("x") }, 0),
		 -ESTALE);
	CHECK_EQ("a move to a forged one",
		 CALL(FUSE_RENAME, 1,
		      { FSD_BODY(rename, .newdir = 99), .tail = "file\0x", .tail_len = 7 }, 0),
		 -ESTALE);
	CHECK_EQ("a move below a file",
		 CALL(FUSE_RENAME, 1,
		      { FSD_BODY(rename, .newdir = file), .tail = "dir\0x", .tail_len = 6 }, 0),
		 -ENOTDIR);
	still_serves("forged ids");
}

/* --- sizes in bodies --- */

static const struct {
	const char *what;
	uint32_t opcode;
	struct fsd_body body; /* begins with fh, which is filled in, if with_fh */
	bool with_fh;
	int want;
} odd[] = {
	{ "READ of more than there is room for",
	  FUSE_READ,
	  { FSD_BODY(read, .size = 4097) },
	  true,
	  -EINVAL },
	{ "READ of 4 GiB", FUSE_READ, { FSD_BODY(read, .size = UINT32_MAX) }, true, -EINVAL },
	{ "READ at the end of all",
	  FUSE_READ,
	  { FSD_BODY(read, .size = 10, .offset = UINT64_MAX - 3) },
	  true,
	  -EINVAL },
	{ "READ over the end",
	  FUSE_READ,
	  { FSD_BODY(read, .size = 10, .offset = INT64_MAX) },
	  true,
	  -EINVAL },
	{ "WRITE of more than there is",
	  FUSE_WRITE,
	  { FSD_BODY(write, .size = 100), .tail = "abc", .tail_len = 3 },
	  true,
	  -EINVAL },
	{ "WRITE at a negative offset",
	  FUSE_WRITE,
	  { FSD_BODY(write, .size = 3, .offset = 1ull << 63), .tail = "abc", .tail_len = 3 },
	  true,
	  -EFBIG },
	{ "FALLOCATE below 0",
	  FUSE_FALLOCATE,
	  { FSD_BODY(fallocate, .offset = UINT64_MAX) },
	  true,
	  -EINVAL },
	{ "LSEEK nowhere", FUSE_LSEEK, { FSD_BODY(lseek, .whence = 99) }, true, -EINVAL },
	{ "READDIR of a file", FUSE_READDIR, { FSD_BODY(read, .size = 100) }, true, -ENOTDIR },
	{ "READDIRPLUS of a file",
	  FUSE_READDIRPLUS,
	  { FSD_BODY(read, .size = 100) },
	  true,
	  -ENOTDIR },
	{ "GETLK of no type", FUSE_GETLK, { FSD_BODY(lk, .lk = { .type = 99 }) }, true, -EINVAL },
	{ "SETLK backwards",
	  FUSE_SETLK,
	  { FSD_BODY(lk, .lk = { .type = F_RDLCK, .start = 9, .end = 3 }) },
	  true,
	  -EINVAL },
	{ "SETXATTR of more than there is",
	  FUSE_SETXATTR,
	  { FSD_BODY(setxattr, .size = 4096), FSD_TEXT("user.x") },
	  false,
	  -EINVAL },
	{ "SETXATTR of 4 GiB",
	  FUSE_SETXATTR,
	  { FSD_BODY(setxattr, .size = UINT32_MAX), .tail = "user.x\0a", .tail_len = 8 },
	  false,
	  -E2BIG },
	{ "MKNOD of a directory",
	  FUSE_MKNOD,
	  { FSD_BODY(mknod, .mode = S_IFDIR | 0755), FSD_TEXT("x") },
	  false,
	  -EINVAL },
	{ "MKNOD of nothing that is",
	  FUSE_MKNOD,
	  { FSD_BODY(mknod, .mode = 0170000), FSD_TEXT("x") },
	  false,
	  -EINVAL },
	{ "STATX of unknown flags",
	  FUSE_STATX,
	  { FSD_BODY(statx, .sx_flags = UINT32_MAX) },
	  false,
	  -EINVAL },
	{ "RENAME2 of unknown flags",
	  FUSE_RENAME2,
	  { FSD_BODY(rename2, .newdir = 1, .flags = 0x80), .tail = "file\0x", .tail_len = 7 },
	  false,
	  -EINVAL },
	{ "an IOCTL of somebody's", FUSE_IOCTL, { FSD_BODY(ioctl, .cmd = 0x5413) }, true, -ENOTTY },
};

static void test_odd_sizes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct fsd_rq rq = { odd[i].opcode, odd[i].with_fh ? file : 1, odd[i].body, 0 };
		uint8_t head[128];

		memcpy(head, rq.body.head, rq.body.head_len);
		if (odd[i].with_fh)
			memcpy(head, &fh, sizeof(fh));
		rq.body.head = head;
		CHECK_EQ(odd[i].what, call(&rq), odd[i].want);
	}
	still_serves("odd sizes");
}

/* --- sessions --- */

static void test_sessions(void)
{
	uint64_t before = file, handle = fh;
	int tickets[32];

	CHECK_EQ("of the future", CALL(FUSE_INIT, 0, { FSD_BODY(init, .major = 8) }, 0),
		 sizeof(struct fuse_init_out));
	CHECK_EQ("has changed nothing", CALL(FUSE_GETATTR, file, { FSD_BODY(getattr, 0) }, 0),
		 sizeof(struct fuse_attr_out));
	CHECK_EQ("of the past", CALL(FUSE_INIT, 0, { FSD_BODY(init, .major = 6) }, 0), -EPROTO);
	CHECK_EQ("old", CALL(FUSE_INIT, 0, { FSD_BODY(init, .major = 7, .minor = 5) }, 0), -EPROTO);
	session();
	CHECK_EQ("of the former session", CALL(FUSE_GETATTR, before, { FSD_BODY(getattr, 0) }, 0),
		 -ESTALE);
	CHECK_EQ("a handle of it",
		 CALL(FUSE_READ, before, { FSD_BODY(read, .fh = handle, .size = 3) }, 0), -ESTALE);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++) {
			const struct fsd_rq read = {
				FUSE_READ, file, { FSD_BODY(read, .fh = fh, .size = 10) }, 0
			};
			const struct fsd_rq sync = {
				FUSE_FSYNC, file, { FSD_BODY(fsync, .fh = fh) }, 0
			};

			tickets[i] = fsd_post(r, 1 + i % 2, i % 3 ? &read : &sync, 4096);
		}
		CHECK_EQ(
			"DESTROY meanwhile",
			fsd_call(r, 3, &(const struct fsd_rq){ .opcode = FUSE_DESTROY }, reply, 16),
			0);
		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++) {
			int ret = fsd_wait(r, 1 + i % 2, tickets[i], reply, 4096);

			CHECK(ret == 10 || ret == 0 || ret == -EIO || ret == -ESTALE ||
			      ret == -EBADF);
		}
		session();
	}
	still_serves("DESTROY");
}

/* --- memory --- */

/* A chain of these pieces of one slot's memory, first those to read. Returns the slot. */
static int post_pieces(unsigned q, const void *bytes, size_t len, const struct vdax_seg *seg,
		       unsigned readable, unsigned writable, bool loop)
{
	struct front_raw_queue *queue = &r->q[q];
	struct front_raw_slot *slot = queue->slot;
	struct vring_desc *table = queue->tables;
	struct vdax_seg abs[FRONT_RAW_SEGS];
	uint64_t gpa = front_ram_gpa(r->f, slot->mem, BYTES);

	REQUIRE(!slot->busy);
	memcpy(slot->mem, bytes, len);
	for (unsigned i = 0; i < readable + writable; i++)
		abs[i] = (struct vdax_seg){ gpa + seg[i].addr, seg[i].len };
	REQUIRE(!vdax_ring_add(&queue->ring, abs, readable, writable, table,
			       front_ram_gpa(r->f, table, sizeof(*table) * FRONT_RAW_SEGS), slot));
	if (loop) {
		table[readable + writable - 1].flags = le16_of(VRING_DESC_F_NEXT |
							       (writable ? VRING_DESC_F_WRITE : 0));
		table[readable + writable - 1].next = le16_of(0);
	}
	*slot = (struct front_raw_slot){ .busy = true, .mem = slot->mem, .writable = BYTES / 2 };
	if (vdax_ring_publish(&queue->ring))
		front_kick(r->f, q);
	return 0;
}

static void test_overlap(void)
{
	static const struct vdax_seg shapes[][4] = {
		{ { 0, 80 }, { 0, 4096 } },			   /* the answer over the request */
		{ { 0, 80 }, { 16, 4096 } },			   /* and shifted */
		{ { 0, 40 }, { 40, 40 }, { 0, 16 }, { 0, 4096 } }, /* twice, over itself */
		{ { 0, 80 }, { 200, 16 }, { 200, 100 }, { 204, 4000 } },
	};
	static const unsigned readable[] = { 1, 1, 2, 1 }, writable[] = { 1, 1, 2, 3 };

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct {
			struct fuse_in_header in;
			struct fuse_read_in read;
		} rq = { { .len = sizeof(rq), .opcode = FUSE_READ, .nodeid = file, .unique = 3 },
			 { .fh = fh, .size = 10 } };
		int n;

		post_pieces(1, &rq, sizeof(rq), shapes[i], readable[i], writable[i], false);
		n = front_raw_wait(r, 1, 0, reply, sizeof(reply), FSD_TIMEOUT_MS);
		CHECK_EQ("its bytes", n, HEADER + 10);
		rq.in.opcode = FUSE_GETATTR;
		memset(&rq.read, 0, sizeof(rq.read));
		post_pieces(1, &rq, sizeof(rq), shapes[i], readable[i], writable[i], false);
		n = front_raw_wait(r, 1, 0, reply, sizeof(reply), FSD_TIMEOUT_MS);
		CHECK_EQ("its bytes", n, HEADER + sizeof(struct fuse_attr_out));
	}
	still_serves("overlapping buffers");
}

static _Atomic bool scribble;

/* Writes into requests and answers that are under way. */
static void *scribbler(void *arg)
{
	uint32_t x = 12345;

	(void)arg;
	while (scribble) {
		x = x * 1664525u + 1013904223u;
		for (unsigned q = 1; q < QUEUES; q++) {
			volatile uint8_t *mem = r->q[q].slot[(x >> 8) % 16].mem;

			mem[(x >> 12) % 120] ^= (uint8_t)(1u << (x >> 28) % 8);
		}
	}
	return NULL;
}

static void test_scribble(void)
{
	const struct fsd_rq rqs[] = {
		{ FUSE_LOOKUP, 1, { FSD_NAME("file") }, 0 },
		{ FUSE_READ, file, { FSD_BODY(read, .fh = fh, .size = 2000) }, 0 },
		{ FUSE_WRITE, file, { FSD_BODY(write, .fh = fh, .size = 40), name_255, 40 }, 0 },
		{ FUSE_MKDIR, 1, { FSD_BODY(mkdir, .mode = 0755), FSD_NAME("made") }, 0 },
		{ FUSE_RENAME, 1, { FSD_BODY(rename, .newdir = 1), "made\0dir/", 10 }, 0 },
		{ FUSE_SETXATTR,
		  file,
		  { FSD_BODY(setxattr, .size = 6), FSD_TEXT("user.a\0value") },
		  0 },
		{ FUSE_RMDIR, 1, { FSD_NAME("made") }, 0 },
		{ FUSE_OPENDIR, 1, { FSD_BODY(open, 0) }, 0 },
	};
	unsigned answered = 0;
	pthread_t t;

	scribble = true;
	REQUIRE(!pthread_create(&t, NULL, scribbler, NULL));
	for (unsigned round = 0; round < 300; round++) {
		int tickets[3 * 16];

		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++)
			tickets[i] = fsd_post(r, 1 + i % 3, &rqs[(i / 3 + round) % ARRAY_SIZE(rqs)],
					      2100);
		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++)
			answered += front_raw_wait(r, 1 + i % 3, tickets[i], reply, sizeof(reply),
						   FSD_TIMEOUT_MS) >= 0;
	}
	scribble = false;
	pthread_join(t, NULL);
	CHECK_EQ("answered", answered, 300 * 3 * 16);
	session(); /* what it was is anybody's guess */
	still_serves("scribbling");
}

/* An impossible chain breaks its queue; the others serve. The last one: needs a new connection. */
static void test_loop(void)
{
	static const struct vdax_seg seg[] = { { 0, 40 }, { 100, 100 } };
	struct fuse_in_header in = { .len = sizeof(in), .opcode = FUSE_STATFS, .nodeid = 1 };

	post_pieces(3, &in, sizeof(in), seg, 2, 0, true);
	CHECK_EQ("broken", front_raw_wait(r, 3, 0, reply, sizeof(reply), FSD_TIMEOUT_MS), -EIO);
	still_serves("a loop");
}

/* --- all --- */

static void check_outside(void)
{
	char path[128], text[64] = "";
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/secret", d.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !fstat(fd, &st));
	close(fd);
	CHECK_NAMED("untouched", !strcmp(text, "nobody shall see this"));
	CHECK_EQ("not linked", st.st_nlink, 1);
	CHECK_EQ("mode", st.st_mode, S_IFREG | 0644);
}

int main(void)
{
	static const char *const options[] = { "--xattr", "--posix-lock", "--flock", NULL };
	unsigned fds, threads;

	umask(022);
	fsd_prepare(&d, "/tmp");
	fill_share();
	fsd_start(&d, options);
	r = fsd_connect(&d, QUEUES, BYTES);
	test_before_init();
	session();
	CALL(FUSE_DESTROY, 0, { 0 }, 0);
	fds = fsd_fds(&d);
	threads = fsd_threads(&d);
	session();
	test_each_opcode();
	test_names();
	test_ids();
	session();
	test_odd_sizes();
	test_sessions();
	test_overlap();
	test_scribble();
	CHECK_EQ("DESTROY", CALL(FUSE_DESTROY, 0, { 0 }, 0), 0);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	CHECK_EQ("threads", fsd_threads(&d), threads);
	session();
	test_loop();
	front_raw_close(r);
	r = fsd_connect(&d, QUEUES, BYTES);
	session();
	still_serves("the next guest");
	front_raw_close(r);
	check_outside();
	CHECK_NAMED("a guest does not fill the log", fsd_log_lines(&d) < 60);
	return check_done();
}
