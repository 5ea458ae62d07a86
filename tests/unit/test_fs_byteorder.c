/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of integers against the structures, and what is behind them: lists, extensions,
 * ioctl data, directory streams.
 */
#include "fs/byteorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "wire/fuse.h"

/* Each field of each structure, from the list that is compared with the kernel's header. */
static struct field {
	const char *type;
	size_t at, width;
} fields[400];
static size_t nfields;

static void add_field(const char *type, size_t at, size_t width)
{
	REQUIRE(nfields < ARRAY_SIZE(fields));
	fields[nfields++] = (struct field){ type, at, width };
}

#define NUMBER(name)
#define SIZE(type)
#define FIELD(type, field) \
	add_field(#type, offsetof(struct type, field), sizeof(((struct type *)NULL)->field));

static void add_fields(void)
{
#include "tests/unit/uapi_fuse_list.h"
}

/* A body is one structure or two; of one that contains others, these are listed too. */
struct part {
	const char *type;
	size_t at;
};
struct body {
	unsigned opcode;
	size_t size;
	struct part parts[6];
};

/* clang-format off */
#define WHOLE(opcode, type) { opcode, sizeof(struct type), { { #type, 0 } } }
#define LOCK(opcode, type)  { opcode, sizeof(struct type), \
			      { { #type, 0 }, { "fuse_file_lock", offsetof(struct type, lk) } } }
#define ATTR(opcode)	    { opcode, sizeof(struct fuse_attr_out), \
			      { { "fuse_attr_out", 0 }, { "fuse_attr", ATTR_AT } } }
#define ENTRY(opcode)	    { opcode, sizeof(struct fuse_entry_out), \
			      { { "fuse_entry_out", 0 }, { "fuse_attr", ENTRY_AT } } }
#define ENTRY_AND_OPEN(opcode) { opcode, \
			      sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), \
			      { { "fuse_entry_out", 0 }, { "fuse_attr", ENTRY_AT }, \
				{ "fuse_open_out", sizeof(struct fuse_entry_out) } } }
/* clang-format on */

#define ATTR_AT	       offsetof(struct fuse_attr_out, attr)
#define ENTRY_AT       offsetof(struct fuse_entry_out, attr)
#define STATX_AT       offsetof(struct fuse_statx_out, stat)
#define TIME_AT(which) (STATX_AT + offsetof(struct fuse_statx, which))

static const struct body requests[] = {
	WHOLE(FUSE_FORGET, fuse_forget_in),
	WHOLE(FUSE_GETATTR, fuse_getattr_in),
	WHOLE(FUSE_SETATTR, fuse_setattr_in),
	WHOLE(FUSE_MKNOD, fuse_mknod_in),
	WHOLE(FUSE_MKDIR, fuse_mkdir_in),
	WHOLE(FUSE_RENAME, fuse_rename_in),
	WHOLE(FUSE_LINK, fuse_link_in),
	WHOLE(FUSE_OPEN, fuse_open_in),
	WHOLE(FUSE_READ, fuse_read_in),
	WHOLE(FUSE_WRITE, fuse_write_in),
	WHOLE(FUSE_RELEASE, fuse_release_in),
	WHOLE(FUSE_FSYNC, fuse_fsync_in),
	WHOLE(FUSE_SETXATTR, fuse_setxattr_in),
	WHOLE(FUSE_GETXATTR, fuse_getxattr_in),
	WHOLE(FUSE_LISTXATTR, fuse_getxattr_in),
	WHOLE(FUSE_FLUSH, fuse_flush_in),
	WHOLE(FUSE_INIT, fuse_init_in),
	WHOLE(FUSE_OPENDIR, fuse_open_in),
	WHOLE(FUSE_READDIR, fuse_read_in),
	WHOLE(FUSE_RELEASEDIR, fuse_release_in),
	WHOLE(FUSE_FSYNCDIR, fuse_fsync_in),
	LOCK(FUSE_GETLK, fuse_lk_in),
	LOCK(FUSE_SETLK, fuse_lk_in),
	LOCK(FUSE_SETLKW, fuse_lk_in),
	WHOLE(FUSE_ACCESS, fuse_access_in),
	WHOLE(FUSE_CREATE, fuse_create_in),
	WHOLE(FUSE_INTERRUPT, fuse_interrupt_in),
	WHOLE(FUSE_BMAP, fuse_bmap_in),
	WHOLE(FUSE_IOCTL, fuse_ioctl_in),
	WHOLE(FUSE_POLL, fuse_poll_in),
	WHOLE(FUSE_NOTIFY_REPLY, fuse_notify_retrieve_in),
	WHOLE(FUSE_BATCH_FORGET, fuse_batch_forget_in),
	WHOLE(FUSE_FALLOCATE, fuse_fallocate_in),
	WHOLE(FUSE_READDIRPLUS, fuse_read_in),
	WHOLE(FUSE_RENAME2, fuse_rename2_in),
	WHOLE(FUSE_LSEEK, fuse_lseek_in),
	WHOLE(FUSE_COPY_FILE_RANGE, fuse_copy_file_range_in),
	WHOLE(FUSE_SETUPMAPPING, fuse_setupmapping_in),
	WHOLE(FUSE_REMOVEMAPPING, fuse_removemapping_in),
	WHOLE(FUSE_SYNCFS, fuse_syncfs_in),
	WHOLE(FUSE_TMPFILE, fuse_create_in),
	WHOLE(FUSE_STATX, fuse_statx_in),
	WHOLE(FUSE_COPY_FILE_RANGE_64, fuse_copy_file_range_in),
};

static const struct body replies[] = {
	ENTRY(FUSE_LOOKUP),
	ATTR(FUSE_GETATTR),
	ATTR(FUSE_SETATTR),
	ENTRY(FUSE_SYMLINK),
	ENTRY(FUSE_MKNOD),
	ENTRY(FUSE_MKDIR),
	ENTRY(FUSE_LINK),
	WHOLE(FUSE_OPEN, fuse_open_out),
	WHOLE(FUSE_WRITE, fuse_write_out),
	WHOLE(FUSE_STATFS, fuse_kstatfs),
	WHOLE(FUSE_GETXATTR, fuse_getxattr_out),
	WHOLE(FUSE_LISTXATTR, fuse_getxattr_out),
	WHOLE(FUSE_INIT, fuse_init_out),
	WHOLE(FUSE_OPENDIR, fuse_open_out),
	LOCK(FUSE_GETLK, fuse_lk_out),
	ENTRY_AND_OPEN(FUSE_CREATE),
	WHOLE(FUSE_BMAP, fuse_bmap_out),
	WHOLE(FUSE_IOCTL, fuse_ioctl_out),
	WHOLE(FUSE_POLL, fuse_poll_out),
	WHOLE(FUSE_LSEEK, fuse_lseek_out),
	WHOLE(FUSE_COPY_FILE_RANGE, fuse_write_out),
	ENTRY_AND_OPEN(FUSE_TMPFILE),
	{ FUSE_STATX,
	  sizeof(struct fuse_statx_out),
	  { { "fuse_statx_out", 0 },
	    { "fuse_statx", STATX_AT },
	    { "fuse_sx_time", TIME_AT(atime) },
	    { "fuse_sx_time", TIME_AT(btime) },
	    { "fuse_sx_time", TIME_AT(ctime) },
	    { "fuse_sx_time", TIME_AT(mtime) } } },
	WHOLE(FUSE_COPY_FILE_RANGE_64, fuse_copy_file_range_out),
};

#define ANY_FEATURES UINT64_MAX
#define MAX_BODY     512

static uint32_t random32(void)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 32);
}

static void fill(uint8_t *p, size_t len)
{
	while (len--)
		*p++ = (uint8_t)random32();
}

/* Integers in the guest's order: the other one. */
static uint8_t *put(uint8_t *p, size_t width, uint64_t value)
{
	uint8_t bytes[8];

	memcpy(bytes, &value, sizeof(bytes));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (size_t i = 0; i < width; i++)
		p[i] = bytes[width - 1 - i];
#else
	for (size_t i = 0; i < width; i++)
		p[i] = bytes[7 - i];
#endif
	return p + width;
}

static uint64_t guest(const uint8_t *p, size_t width)
{
	uint64_t value = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (size_t i = 0; i < width; i++)
		value = value << 8 | p[i];
#else
	for (size_t i = width; i--;)
		value = value << 8 | p[i];
#endif
	return value;
}

static uint32_t host32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return x;
}

static uint64_t host64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, 8);
	return x;
}

static size_t sum(const char *widths)
{
	size_t n = 0;

	for (; *widths; widths++)
		n += (size_t)(*widths - '0');
	return n;
}

/* Width of the integer that begins at; 0 if none does. */
static size_t width_at(const char *widths, size_t at)
{
	size_t here = 0;

	for (; *widths && here < at; widths++)
		here += (size_t)(*widths - '0');
	return *widths && here == at ? (size_t)(*widths - '0') : 0;
}

static void check_body(const struct body *b, const char *widths)
{
	size_t checked = 0;

	REQUIRE(widths);
	CHECK_EQ(b->parts[0].type, sum(widths), b->size);
	CHECK(b->size <= MAX_BODY);
	for (size_t i = 0; i < ARRAY_SIZE(b->parts) && b->parts[i].type; i++)
		for (size_t f = 0; f < nfields; f++) {
			if (strcmp(fields[f].type, b->parts[i].type) || fields[f].width > 8)
				continue;
			CHECK_EQ(fields[f].type, width_at(widths, b->parts[i].at + fields[f].at),
				 fields[f].width);
			checked++;
		}
	/* syncfs_in has nothing but padding */
	CHECK(checked || b->opcode == FUSE_SYNCFS);
}

static const struct body *find(const struct body *bodies, size_t n, unsigned opcode)
{
	for (size_t i = 0; i < n; i++)
		if (bodies[i].opcode == opcode)
			return &bodies[i];
	return NULL;
}

static void test_table(void)
{
	for (unsigned op = 1; op < FUSE_OPCODE_END; op++) {
		const struct fs_layout *l = &fs_layouts[op];
		const struct body *rq = find(requests, ARRAY_SIZE(requests), op);
		const struct body *re = find(replies, ARRAY_SIZE(replies), op);

		CHECK_EQ("in the table", l->request != NULL, op != 7 && op != 19);
		if (!l->request)
			continue;
		CHECK_EQ("has a request body", l->request[0] != 0, rq != NULL);
		CHECK_EQ("has a reply body", l->reply && l->reply[0], re != NULL);
		if (rq)
			check_body(rq, l->request);
		if (re)
			check_body(re, l->reply);
	}
}

/* Bytes of the body reversed within each integer, by the structures alone. */
static void check_swapped(const struct body *b, const uint8_t *before, const uint8_t *after)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->parts) && b->parts[i].type; i++)
		for (size_t f = 0; f < nfields; f++) {
			size_t at = b->parts[i].at + fields[f].at, w = fields[f].width;

			if (strcmp(fields[f].type, b->parts[i].type) || w > 8)
				continue;
			for (size_t k = 0; k < w; k++)
				CHECK_EQ(fields[f].type, after[at + k], before[at + w - 1 - k]);
		}
}

/* Random, but what counts the things that follow says none. */
static void fill_request(unsigned opcode, uint8_t *p, size_t len)
{
	fill(p, len);
	if (opcode == FUSE_BATCH_FORGET || opcode == FUSE_REMOVEMAPPING)
		memset(p, 0, 4);
	if (opcode == FUSE_IOCTL)
		memset(p + offsetof(struct fuse_ioctl_in, in_size), 0, 4);
}

static void test_round_trips(void)
{
	uint8_t before[MAX_BODY], now[MAX_BODY];

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		const struct body *b = &requests[i];

		fill_request(b->opcode, before, b->size);
		memcpy(now, before, b->size);
		CHECK_EQ(b->parts[0].type,
			 fs_swap_request(b->opcode, now, b->size, 0, FUSE_SETXATTR_EXT), 0);
		check_swapped(b, before, now);
		CHECK_EQ(b->parts[0].type,
			 fs_swap_request(b->opcode, now, b->size, 0, FUSE_SETXATTR_EXT), 0);
		CHECK_NAMED(b->parts[0].type, !memcmp(before, now, b->size));
	}
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		const struct body *b = &replies[i];

		fill(before, b->size);
		memcpy(now, before, b->size);
		fs_swap_reply(b->opcode, now, b->size, 0);
		check_swapped(b, before, now);
		fs_swap_reply(b->opcode, now, b->size, 0);
		CHECK_NAMED(b->parts[0].type, !memcmp(before, now, b->size));
	}
}

/* Each length of each body, in memory that ends there. What is behind whole integers is bytes. */
static void test_truncated(void)
{
	uint8_t before[MAX_BODY];

	for (size_t i = 0; i < ARRAY_SIZE(requests) + ARRAY_SIZE(replies); i++) {
		bool reply = i >= ARRAY_SIZE(requests);
		const struct body *b = reply ? &replies[i - ARRAY_SIZE(requests)] : &requests[i];
		const char *widths = reply ? fs_layouts[b->opcode].reply
					   : fs_layouts[b->opcode].request;

		for (size_t len = 0; len < b->size; len++) {
			uint8_t *now = malloc(len + !len);
			size_t whole = 0;

			REQUIRE(now);
			fill(before, len);
			memcpy(now, before, len);
			if (reply)
				fs_swap_reply(b->opcode, now, len, 0);
			else
				CHECK_EQ("truncated",
					 fs_swap_request(b->opcode, now, len, 0, FUSE_SETXATTR_EXT),
					 0);
			while (whole + width_at(widths, whole) <= len)
				whole += width_at(widths, whole);
			CHECK(!memcmp(now + whole, before + whole, len - whole));
			if (reply)
				fs_swap_reply(b->opcode, now, len, 0);
			else
				fs_swap_request(b->opcode, now, len, 0, FUSE_SETXATTR_EXT);
			CHECK(!memcmp(now, before, len));
			free(now);
		}
	}
}

static void test_headers(void)
{
	struct fuse_in_header in = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct fuse_out_header out = { 24, -ENOENT, 77 };

	fs_swap_in_header(&in);
	CHECK_EQ("len", guest((uint8_t *)&in.len, 4), 1);
	CHECK_EQ("opcode", guest((uint8_t *)&in.opcode, 4), 2);
	CHECK_EQ("unique", guest((uint8_t *)&in.unique, 8), 3);
	CHECK_EQ("nodeid", guest((uint8_t *)&in.nodeid, 8), 4);
	CHECK_EQ("uid", guest((uint8_t *)&in.uid, 4), 5);
	CHECK_EQ("gid", guest((uint8_t *)&in.gid, 4), 6);
	CHECK_EQ("pid", guest((uint8_t *)&in.pid, 4), 7);
	CHECK_EQ("total_extlen", guest((uint8_t *)&in.total_extlen, 2), 8);
	CHECK_EQ("padding", guest((uint8_t *)&in.padding, 2), 9);
	fs_swap_out_header(&out);
	CHECK_EQ("len", guest((uint8_t *)&out.len, 4), 24);
	CHECK_EQ("error", (int32_t)guest((uint8_t *)&out.error, 4), -ENOENT);
	CHECK_EQ("unique", guest((uint8_t *)&out.unique, 8), 77);
}

static void test_init(void)
{
	static const struct {
		uint32_t opcode, len;
		bool want;
	} cases[] = {
		{ FUSE_INIT, 104, true },     { FUSE_INIT, 56, true },
		{ FUSE_INIT, 48, true },      { FUSE_INIT, 47, false },
		{ FUSE_INIT, 8193, false },   { FUSE_LOOKUP, 104, false },
		{ FUSE_DESTROY, 104, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fuse_in_header h = { .opcode = cases[i].opcode, .len = cases[i].len };

		CHECK(!fs_is_swapped_init(&h));
		fs_swap_in_header(&h);
		CHECK_EQ("swapped", fs_is_swapped_init(&h), cases[i].want);
	}
}

static void test_names_stay(void)
{
	uint8_t body[64], *p = body;

	p = put(p, 8, 42);
	memcpy(p, "old name\0new name", 18);
	CHECK_EQ("RENAME", fs_swap_request(FUSE_RENAME, body, 8 + 18, 0, ANY_FEATURES), 0);
	CHECK_EQ("newdir", host64(body), 42);
	CHECK(!memcmp(p, "old name\0new name", 18));

	/* Both sizes of setxattr_in */
	p = put(body, 4, 5);
	p = put(p, 4, 1);
	memcpy(p, "user.abc\0value", 14);
	CHECK_EQ("SETXATTR", fs_swap_request(FUSE_SETXATTR, body, 8 + 14, 0, 0), 0);
	CHECK_EQ("size", host32(body), 5);
	CHECK(!memcmp(p, "user.abc\0value", 14));
	p = put(body + 8, 4, 1);
	p = put(p, 4, 0);
	memcpy(p, "user.abc\0value", 14);
	CHECK_EQ("SETXATTR_EXT",
		 fs_swap_request(FUSE_SETXATTR, body, 16 + 14, 0, FUSE_SETXATTR_EXT), 0);
	CHECK_EQ("setxattr_flags", host32(body + 8), 1);
	CHECK(!memcmp(p, "user.abc\0value", 14));
}

static void test_unknown(void)
{
	static const uint32_t opcodes[] = { 0, 7, 19, FUSE_OPCODE_END, 4096, UINT32_MAX };
	uint8_t before[64], now[64];

	fill(before, sizeof(before));
	memcpy(now, before, sizeof(now));
	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
		CHECK_EQ("unknown", fs_swap_request(opcodes[i], now, 64, 1, ANY_FEATURES), 0);
		fs_swap_reply(opcodes[i], now, 64, 0);
		CHECK(!memcmp(before, now, 64));
	}
}

static void test_lists(void)
{
	static const struct {
		unsigned opcode;
		size_t head;
	} cases[] = { { FUSE_BATCH_FORGET, 8 }, { FUSE_REMOVEMAPPING, 4 } };
	uint8_t body[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned count = 0; count < 6; count++) {
			size_t len = cases[i].head + 3 * 16;
			uint8_t *p = body;
			int err;

			memset(body, 0, sizeof(body));
			put(p, 4, count);
			p += cases[i].head;
			for (unsigned k = 0; k < 6; k++)
				p = put(p, 8, k + 1);
			err = fs_swap_request(cases[i].opcode, body, len, 0, 0);
			CHECK_EQ("list", err, count > 3 ? -EINVAL : 0);
			CHECK_EQ("count", host32(body), count);
			for (unsigned k = 0; count <= 3 && k < 6; k++) {
				p = body + cases[i].head + 8 * k;
				CHECK_EQ("entry", k < 2 * count ? host64(p) : guest(p, 8), k + 1);
			}
		}
	put(body, 4, UINT32_MAX);
	CHECK_EQ("too many", fs_swap_request(FUSE_BATCH_FORGET, body, 64, 0, 0), -EINVAL);
}

static void test_ioctl(void)
{
	static const struct {
		uint32_t cmd;
		size_t len;
		unsigned ints, width;
	} cases[] = {
		{ 0x80086601, 4, 1, 4 }, /* GETFLAGS */
		{ 0x40086602, 4, 1, 4 }, /* SETFLAGS */
		{ 0x80086602, 8, 1, 8 }, /* as powerpc encodes it; a long */
		{ 0x401c5820, 28, 5, 4 }, { 0x801c581f, 28, 5, 4 }, /* fsxattr */
		{ 0x401c5820, 27, 0, 4 }, { 0x40086603, 8, 0, 8 },  { 0x40086602, 0, 0, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t body[64], before[64], *data = body + 32;
		size_t end = cases[i].ints * cases[i].width;

		fill(before, sizeof(before));
		put(before + offsetof(struct fuse_ioctl_in, cmd), 4, cases[i].cmd);
		put(before + offsetof(struct fuse_ioctl_in, in_size), 4, cases[i].len);
		memcpy(body, before, sizeof(body));
		CHECK_EQ("ioctl", fs_swap_request(FUSE_IOCTL, body, 64, 0, 0), 0);
		CHECK_EQ("hint", fs_swap_hint(FUSE_IOCTL, body, 64), cases[i].cmd);
		for (size_t k = 0; k < end; k++)
			CHECK_EQ("data", data[k],
				 before[32 + k - k % cases[i].width + cases[i].width - 1 -
					k % cases[i].width]);
		CHECK(!memcmp(data + end, before + 32 + end, 32 - end));
		/* The same as a reply: ioctl_out is 16 bytes. */
		memcpy(body, before, sizeof(body));
		fs_swap_reply(FUSE_IOCTL, body, 16 + cases[i].len, cases[i].cmd);
		CHECK_EQ("result", host32(body), guest(before, 4));
		CHECK_EQ("swapped", !memcmp(body + 16, before + 16, cases[i].len), !end);
		CHECK(!memcmp(body + 16 + end, before + 16 + end, 48 - end));

		put(before + offsetof(struct fuse_ioctl_in, in_size), 4, 33);
		CHECK_EQ("in_size", fs_swap_request(FUSE_IOCTL, before, 64, 0, 0), -EINVAL);
	}
}

/* ext_header of groups, then secctx_header with two contexts; returns the length. */
static size_t put_extensions(uint8_t *at)
{
	uint8_t *p = at, *header;

	p = put(p, 4, 24);
	p = put(p, 4, FUSE_EXT_GROUPS);
	p = put(p, 4, 3);
	for (unsigned i = 0; i < 3; i++)
		p = put(p, 4, 1000 + i);
	header = p;
	p = put(p + 4, 4, 2);
	for (unsigned i = 0; i < 2; i++) {
		p = put(p, 4, 7);
		p = put(p, 4, 0);
		memcpy(p, "security.x\0context\0\0\0\0\0\0", 24);
		p += 24;
	}
	put(header, 4, (uint64_t)(p - header));
	return (size_t)(p - at);
}

static void check_extensions(const uint8_t *p)
{
	CHECK_EQ("size", host32(p), 24);
	CHECK_EQ("type", host32(p + 4), FUSE_EXT_GROUPS);
	CHECK_EQ("nr_groups", host32(p + 8), 3);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ("group", host32(p + 12 + 4 * i), 1000 + i);
	p += 24;
	CHECK_EQ("size", host32(p), 8 + 2 * 32);
	CHECK_EQ("nr_secctx", host32(p + 4), 2);
	for (p += 8; host32(p) == 7; p += 32) {
		CHECK_EQ("padding", host32(p + 4), 0);
		CHECK(!memcmp(p + 8, "security.x\0context\0\0\0\0\0\0", 24));
	}
	CHECK_EQ("end of contexts", *p, 0xee);
}

static const struct {
	unsigned opcode;
	size_t fixed, names_len;
	const char *names;
} creators[] = {
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), 5, "node" },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 4, "dir" },
	{ FUSE_SYMLINK, 0, 12, "link\0target" },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), 7, "create" },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), 2, "/" },
};

static void test_extensions(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(creators); i++)
		for (unsigned old = 0; old < 2; old++) {
			size_t fixed = creators[i].fixed, names = creators[i].names_len;
			uint8_t body[256], before[256], *ext = body + fixed + names;
			size_t ext_len = put_extensions(ext);
			size_t len = fixed + names + ext_len;
			uint16_t units = (uint16_t)(old ? 0 : ext_len / 8);
			unsigned op = creators[i].opcode;

			memcpy(body + fixed, creators[i].names, names);
			body[len] = 0xee;
			CHECK_EQ("create", fs_swap_request(op, body, len, units, FUSE_SECURITY_CTX),
				 0);
			check_extensions(ext);
			CHECK(!memcmp(body + fixed, creators[i].names, names));

			CHECK_EQ("too long", fs_swap_request(op, body, len, 100, 0), -EINVAL);
			/* Without the feature, what is behind the names is nobody's. */
			put_extensions(ext);
			memcpy(body + fixed, creators[i].names, names);
			memcpy(before, body, len);
			CHECK_EQ("no feature", fs_swap_request(op, body, len, 0, 0), 0);
			CHECK(!memcmp(body + fixed, before + fixed, names + ext_len));
		}
}

/* One number in the extensions that says more than there is. */
static void test_bad_extensions(void)
{
	static const struct {
		size_t at;
		uint32_t value;
	} bad[] = {
		{ 0, 7 },	   { 0, 0 },	       { 0, 200 }, { 0, UINT32_MAX }, { 8, 4 },
		{ 8, UINT32_MAX }, { 24, 73 },	       { 24, 7 },  { 28, 3 },	      { 28, 31 },
		{ 32, 60 },	   { 32, UINT32_MAX }, { 64, 14 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t body[256] = { 0 };
		size_t len = put_extensions(body + 12);

		memcpy(body + 8, "dir", 4);
		put(body + 12 + bad[i].at, 4, bad[i].value);
		CHECK_EQ("bad extension",
			 fs_swap_request(FUSE_MKDIR, body, 12 + len, (uint16_t)(len / 8), 0),
			 -EINVAL);
	}
	/* A name without its NUL */
	{
		uint8_t body[256] = { 0 };
		size_t len = put_extensions(body);

		memset(body + 64 + 8, 'x', 24);
		CHECK_EQ("no NUL", fs_swap_request(FUSE_SYMLINK, body, len, (uint16_t)(len / 8), 0),
			 -EINVAL);
	}
}

static void test_xattr_replies(void)
{
	uint8_t body[16], value[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	put(body, 4, 300);
	put(body + 4, 4, 0);
	CHECK_EQ("request", fs_swap_request(FUSE_GETXATTR, body, 8, 0, 0), 0);
	CHECK_EQ("hint", fs_swap_hint(FUSE_GETXATTR, body, 8), 300);
	CHECK_EQ("hint", fs_swap_hint(FUSE_LISTXATTR, body, 8), 300);
	CHECK_EQ("hint", fs_swap_hint(FUSE_LISTXATTR, body, 7), 0);
	CHECK_EQ("hint", fs_swap_hint(FUSE_LOOKUP, body, 8), 0);
	for (unsigned op = FUSE_GETXATTR; op <= FUSE_LISTXATTR; op++) {
		memcpy(body, value, 8);
		fs_swap_reply(op, body, 8, 300);
		CHECK_NAMED("a value of 8 bytes", !memcmp(body, value, 8));
		fs_swap_reply(op, body, 8, 0);
		CHECK_EQ("size", guest(body, 4), host32(value));
	}
}

static void test_dirents(bool plus)
{
	size_t entry = plus ? sizeof(struct fuse_entry_out) : 0;
	unsigned opcode = plus ? FUSE_READDIRPLUS : FUSE_READDIR;
	uint8_t stream[4096], before[4096];
	size_t at[20], len = 0;

	fill(stream, sizeof(stream));
	for (unsigned i = 0; i < 20; i++) {
		struct fuse_dirent d = { i + 1, i + 2, i, 8 };

		at[i] = len;
		memcpy(stream + len + entry, &d, sizeof(d));
		len += entry + FUSE_DIRENT_SIZE(i);
	}
	memcpy(before, stream, sizeof(stream));
	fs_swap_reply(opcode, stream, len, 0);
	for (unsigned i = 0; i < 20; i++) {
		const uint8_t *d = stream + at[i] + entry;

		CHECK_EQ("ino", guest(d, 8), i + 1);
		CHECK_EQ("off", guest(d + 8, 8), i + 2);
		CHECK_EQ("namelen", guest(d + 16, 4), i);
		CHECK_EQ("type", guest(d + 20, 4), 8);
		CHECK(!memcmp(d + 24, before + at[i] + entry + 24, FUSE_DIRENT_SIZE(i) - 24));
		for (size_t k = 0; entry && k < 40; k++) /* the part before attr */
			CHECK_EQ("entry", stream[at[i] + k],
				 before[at[i] +
					(k < 32 ? k - k % 8 + 7 - k % 8 : k - k % 4 + 3 - k % 4)]);
	}
	CHECK_NAMED("behind", !memcmp(stream + len, before + len, sizeof(stream) - len));
}

/* Any bytes at all, in memory that ends with them or one byte later: nothing else changes. */
static void test_any_bytes(void)
{
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = random32() % 160, behind = random32() % 2;
		uint8_t *body = malloc(len + behind + !len);
		unsigned op = random32() % (FUSE_OPCODE_END + 1);
		int err;

		REQUIRE(body);
		fill(body, len);
		for (size_t k = 0; k < len; k++) /* small numbers, often */
			if (random32() % 4)
				body[k] = random32() % 8 ? 0 : random32() % 40;
		if (behind)
			body[len] = 0xa5;
		if (i % 2)
			op = creators[i / 2 % ARRAY_SIZE(creators)].opcode;
		err = fs_swap_request(op, body, len, (uint16_t)(random32() % 12),
				      random32() % 2 ? ANY_FEATURES : 0);
		if ((err && err != -EINVAL) || (behind && body[len] != 0xa5))
			CHECK_EQ("any bytes", err, 0);
		free(body);
	}
}

int main(void)
{
	add_fields();
	test_table();
	test_round_trips();
	test_truncated();
	test_headers();
	test_init();
	test_names_stay();
	test_unknown();
	test_lists();
	test_ioctl();
	test_extensions();
	test_bad_extensions();
	test_xattr_replies();
	test_dirents(false);
	test_dirents(true);
	test_any_bytes();
	return check_done();
}
