/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/readdir.c: records of the host become records of FUSE; sizes, padding, what has no room. */
#include <dirent.h>
#include <string.h>

#include "base/macros.h"
#include "fs/readdir.h"
#include "tests/lib/check.h"

static uint8_t host[1 << 16] __attribute__((aligned(8)));
static uint8_t reply[1 << 16] __attribute__((aligned(8)));

/* Appends a record as getdents64() would. Returns the new length. */
static size_t host_add(size_t len, const char *name, uint64_t ino, int64_t off, uint8_t type)
{
	struct host_dirent *d = (void *)(host + len);
	size_t n = strlen(name);

	d->ino = ino;
	d->off = off;
	d->type = type;
	d->reclen = (uint16_t)FUSE_REC_ALIGN(offsetof(struct host_dirent, name) + n + 1);
	memset(d->name, 0xee, d->reclen - offsetof(struct host_dirent, name));
	memcpy(d->name, name, n + 1);
	return len + d->reclen;
}

/* A name of n bytes that are neither printable nor UTF-8. */
static const char *name_of(size_t n)
{
	static char name[256];

	memset(name, 0xfe, n);
	name[n] = '\0';
	return name;
}

static const struct host_dirent *first(size_t len)
{
	size_t pos = 0;

	return dirent_next(host, len, &pos);
}

static void test_next(void)
{
	size_t len = host_add(0, "a", 1, 10, DT_REG), pos = 0;
	const struct host_dirent *d;

	CHECK(!dirent_next(host, 0, &pos));
	CHECK_EQ("shortest", len, 24);
	len = host_add(len, name_of(255), 2, 20, DT_DIR);
	CHECK_EQ("longest", len - 24, HOST_DIRENT_MAX);
	d = dirent_next(host, len, &pos);
	REQUIRE(d);
	CHECK_EQ("first", d->off, 10);
	d = dirent_next(host, len, &pos);
	REQUIRE(d);
	CHECK_EQ("second", d->off, 20);
	CHECK(!dirent_next(host, len, &pos));
}

static void test_dots(void)
{
	static const struct {
		const char *name;
		bool dot;
	} cases[] = {
		{ ".", true },	{ "..", true },	  { "...", false }, { ".a", false },
		{ "a", false }, { "..a", false }, { "a.", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_EQ(cases[i].name, dirent_is_dot(first(host_add(0, cases[i].name, 1, 1, 0))),
			 cases[i].dot);
}

/* Every length of name: the size is the protocol's, and neither a byte more nor one less is used.
 */
static void test_sizes(void)
{
	for (int plus = 0; plus < 2; plus++) {
		for (size_t n = 1; n <= 255; n++) {
			const struct host_dirent *d = first(host_add(0, name_of(n), 7, -3, DT_LNK));
			size_t want = plus ? FUSE_DIRENTPLUS_SIZE(n) : FUSE_DIRENT_SIZE(n);
			struct dirents out = { .buf = reply, .max = want - 1, .plus = plus };
			size_t at = plus ? sizeof(struct fuse_entry_out) : 0;
			const struct fuse_dirent *f = (const void *)(reply + at);

			CHECK(!dirents_fit(&out, d));
			out.max = want;
			CHECK(dirents_fit(&out, d));
			memset(reply, 0xaa, sizeof(reply));
			dirents_add(&out, d, 9, NULL);
			CHECK_EQ("length", out.len, want);
			CHECK_EQ("nothing behind it", reply[want], 0xaa);
			CHECK(!dirents_fit(&out, d));
			CHECK_EQ("ino", f->ino, 9);
			CHECK_EQ("off", (int64_t)f->off, -3);
			CHECK_EQ("namelen", f->namelen, n);
			CHECK_EQ("type", f->type, DT_LNK);
			CHECK(!memcmp(f + 1, d->name, n));
			for (size_t i = at + sizeof(*f) + n; i < want; i++)
				CHECK_EQ("padding", reply[i], 0);
		}
	}
}

static void test_entry(void)
{
	const struct host_dirent *d = first(host_add(0, "file", 7, 3, DT_REG));
	const struct fuse_entry_out entry = { .nodeid = 77, .attr.mode = 0100644 };
	const struct fuse_direntplus *f = (const void *)reply;
	struct dirents out = { .buf = reply, .max = sizeof(reply), .plus = true };

	memset(reply, 0xaa, sizeof(reply));
	dirents_add(&out, d, d->ino, &entry);
	CHECK(!memcmp(&f->entry_out, &entry, sizeof(entry)));
	dirents_add(&out, d, d->ino, NULL);
	f = (const void *)(reply + FUSE_DIRENTPLUS_SIZE(4));
	CHECK_EQ("no lookup", f->entry_out.nodeid, 0);
	CHECK_EQ("and no attributes", f->entry_out.attr.mode, 0);
}

/*
 * For names of every length, alone and mixed, what dirents_ask() says has room. It is as much as
 * that rule allows for the shortest names.
 */
static void test_ask(void)
{
	for (int plus = 0; plus < 2; plus++) {
		for (size_t max = 512; max <= 16384; max += 488) {
			for (size_t n = 1; n <= 256; n++) {
				struct dirents out = { .buf = reply, .max = max, .plus = plus };
				size_t ask = dirents_ask(&out, sizeof(host)), len = 0, pos = 0;
				const struct host_dirent *d;
				size_t mix = 0;
				bool all = true;

				for (;;) {
					size_t k = n < 256 ? n : 1 + mix++ * 37 % 255;
					size_t end = host_add(len, name_of(k), 1, 1, 0);

					if (end > ask)
						break;
					len = end;
				}
				while (all && (d = dirent_next(host, len, &pos))) {
					all = dirents_fit(&out, d);
					if (all)
						dirents_add(&out, d, 1, NULL);
				}
				/* The last one need not, if it was asked for only to get any. */
				if (!all && ask == HOST_DIRENT_MAX)
					all = out.len || FUSE_DIRENTPLUS_SIZE(n) > max;
				CHECK_NAMED("room", all);
				CHECK_NAMED("room", out.len <= max);
			}
		}
	}
}

static void test_ask_limits(void)
{
	struct dirents out = { .buf = reply, .max = 0 };

	CHECK_EQ("always one entry", dirents_ask(&out, sizeof(host)), HOST_DIRENT_MAX);
	out.max = 4096;
	CHECK_EQ("a page", dirents_ask(&out, sizeof(host)), 3072);
	out.len = 2048;
	CHECK_EQ("the rest", dirents_ask(&out, sizeof(host)), 1536);
	out.len = 0;
	out.plus = true;
	CHECK_EQ("a page, plus", dirents_ask(&out, sizeof(host)), 4096 / 160 * 24);
	out.max = sizeof(reply);
	CHECK_EQ("our buffer", dirents_ask(&out, 1000), 1000);
}

int main(void)
{
	test_next();
	test_dots();
	test_sizes();
	test_entry();
	test_ask();
	test_ask_limits();
	return check_done();
}
