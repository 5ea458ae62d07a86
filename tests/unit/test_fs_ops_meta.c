/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/name.c, fs/ext.c and fs/attr.c: what a guest may write, and what it reads of a file. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/macros.h"
#include "fs/attr.h"
#include "fs/ext.h"
#include "fs/name.h"
#include "tests/lib/check.h"

static struct fs_config cfg;
static struct fs fs = { .cfg = &cfg };

/* A body in memory of exactly its size, so that the address sanitizer sees a byte too much. */
static struct fs_req body_of(const void *bytes, uint32_t len)
{
	struct fs_req rq = { .fs = &fs, .body_len = len, .body = malloc(len ? len : 1) };

	REQUIRE(rq.body);
	memcpy(rq.body, bytes, len);
	return rq;
}

static const struct {
	const char *what, *body;
	uint32_t len, off;
	int want;
	const char *name;
	uint32_t left;
} name_cases[] = {
	{ "a name", "ab", 3, 0, 0, "ab", 0 },
	{ "a name and more", "ab\0cd", 6, 0, 0, "ab", 3 },
	{ "behind a structure", "12345678x", 10, 8, 0, "x", 0 },
	{ "three dots", "...", 4, 0, 0, "...", 0 },
	{ "a dot and a letter", ".a", 3, 0, 0, ".a", 0 },
	{ "two dots and a letter", "..a", 4, 0, 0, "..a", 0 },
	{ "bytes above 127", "\xff\x80", 3, 0, 0, "\xff\x80", 0 },
	{ "no NUL", "ab", 2, 0, -EINVAL, NULL, 0 },
	{ "nothing", "", 0, 0, -EINVAL, NULL, 0 },
	{ "an offset at the end", "ab", 3, 3, -EINVAL, NULL, 0 },
	{ "an offset behind the end", "ab", 3, 9, -EINVAL, NULL, 0 },
	{ "empty", "", 1, 0, -EINVAL, NULL, 0 },
	{ "empty, then a name", "\0a", 3, 0, -EINVAL, NULL, 0 },
	{ "a dot", ".", 2, 0, -EINVAL, NULL, 0 },
	{ "two dots", "..", 3, 0, -EINVAL, NULL, 0 },
	{ "a slash", "/", 2, 0, -EINVAL, NULL, 0 },
	{ "a path", "a/b", 4, 0, -EINVAL, NULL, 0 },
	{ "a slash at the end", "a/", 3, 0, -EINVAL, NULL, 0 },
	{ "a way out", "../x", 5, 0, -EINVAL, NULL, 0 },
};

static void test_names(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		const char *what = name_cases[i].what, *name = NULL;
		struct fs_req rq = body_of(name_cases[i].body, name_cases[i].len);
		struct cursor c = fs_cursor(&rq, name_cases[i].off);

		CHECK_EQ(what, fs_next_name(&c, &name), name_cases[i].want);
		if (!name_cases[i].want) {
			CHECK_NAMED(what, name && !strcmp(name, name_cases[i].name));
			CHECK_EQ(what, c.left, name_cases[i].left);
		}
		free(rq.body);
	}
}

static void test_lengths(void)
{
	char body[NAME_MAX + 2];
	const char *s;
	struct fs_req rq;
	struct cursor c;

	memset(body, 'a', sizeof(body));
	body[NAME_MAX] = '\0';
	rq = body_of(body, NAME_MAX + 1);
	c = fs_cursor(&rq, 0);
	CHECK_EQ("longest name", fs_next_name(&c, &s), 0);
	c = fs_cursor(&rq, 0);
	CHECK_EQ("string of max", fs_next_string(&c, NAME_MAX, &s), 0);
	c = fs_cursor(&rq, 0);
	CHECK_EQ("string over max", fs_next_string(&c, NAME_MAX - 1, &s), -ENAMETOOLONG);
	free(rq.body);

	body[NAME_MAX] = 'a';
	body[NAME_MAX + 1] = '\0';
	rq = body_of(body, sizeof(body));
	c = fs_cursor(&rq, 0);
	CHECK_EQ("name too long", fs_next_name(&c, &s), -ENAMETOOLONG);
	free(rq.body);

	rq = body_of("\0x", 3);
	c = fs_cursor(&rq, 0);
	CHECK_EQ("empty string", fs_next_string(&c, 8, &s), 0);
	CHECK(!*s);
	CHECK_EQ("the next one", fs_next_string(&c, 8, &s), 0);
	CHECK(!strcmp(s, "x"));
	CHECK_EQ("then no more", fs_next_string(&c, 8, &s), -EINVAL);
	free(rq.body);
}

static void test_fd_names(void)
{
	static const int fds[] = { 0, 7, 10, 99, 100, 1048576, INT_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		char want[16];

		snprintf(want, sizeof(want), "%d", fds[i]);
		CHECK_NAMED(want, !strcmp(fd_name(fds[i]).s, want));
	}
}

/* --- extensions --- */

/* W: 32 bits in host order, and the device is for little-endian hosts. */
#define SECCTX	   FUSE_SECURITY_CTX
#define GROUPS	   FUSE_CREATE_SUPP_GROUP
#define BOTH	   (SECCTX | GROUPS)
#define W(v)	   (v) & 0xff, (v) >> 8 & 0xff, 0, 0
#define NAME_A	   'u', 's', 'e', 'r', '.', 'a', 0
#define LABEL	   W(32), W(1), W(5), W(0), NAME_A, 'v', 'a', 'l', 'u', 'e', 0, 0, 0, 0
#define GROUP(id)  W(16), W(FUSE_EXT_GROUPS), W(1), W(id)
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *what;
	uint64_t features;
	uint16_t extlen; /* units of 8 bytes */
	const uint8_t *bytes;
	uint32_t len;
	int want;
	bool label;
	unsigned n_groups;
	uint32_t first_group;
} ext_cases[] = {
	{ "nothing", BOTH, 0, NULL, 0, 0, false, 0, 0 },
	{ "a label", BOTH, 4, BYTES(LABEL), 0, true, 0, 0 },
	{ "a label as of old", SECCTX, 0, BYTES(LABEL), 0, true, 0, 0 },
	{ "no label", BOTH, 1, BYTES(W(8), W(0)), 0, false, 0, 0 },
	{ "no label as of old", SECCTX, 0, BYTES(W(8), W(0)), 0, false, 0, 0 },
	{ "a group", BOTH, 2, BYTES(GROUP(77)), 0, false, 1, 77 },
	{ "no group", BOTH, 2, BYTES(W(12), W(FUSE_EXT_GROUPS), W(0), W(0)), 0, false, 0, 0 },
	{ "label and group", BOTH, 6, BYTES(LABEL, GROUP(7)), 0, true, 1, 7 },
	{ "group and label", BOTH, 6, BYTES(GROUP(7), LABEL), 0, true, 1, 7 },
	{ "behind other bytes", BOTH, 2, BYTES('a', 0, 'b', GROUP(9)), 0, false, 1, 9 },
	{ "one of the future", BOTH, 4, BYTES(W(16), W(33), W(1), W(1), GROUP(9)), 0, false, 1, 9 },
	{ "label not negotiated", GROUPS, 6, BYTES(LABEL, GROUP(7)), 0, false, 1, 7 },
	{ "group not negotiated", SECCTX, 6, BYTES(LABEL, GROUP(7)), 0, true, 0, 0 },
	{ "none negotiated", 0, 9, BYTES(1, 2, 3), 0, false, 0, 0 },
	{ "not announced", GROUPS, 0, BYTES(GROUP(7)), 0, false, 0, 0 },
	{ "longer than the body", BOTH, 5, BYTES(LABEL), -EINVAL, false, 0, 0 },
	{ "longest there can be", BOTH, 65535, BYTES(LABEL), -EINVAL, false, 0, 0 },
	{ "half a header", SECCTX, 0, BYTES(W(8), 0, 0), -EINVAL, false, 0, 0 },
	{ "size 0", BOTH, 1, BYTES(W(0), W(0)), -EINVAL, false, 0, 0 },
	{ "size below the header", BOTH, 1, BYTES(W(7), W(0)), -EINVAL, false, 0, 0 },
	{ "size over all", BOTH, 2, BYTES(W(17), W(32), W(1), W(1)), -EINVAL, false, 0, 0 },
	{ "size near 2^32", BOTH, 2, BYTES(0xff, 0xff, 0xff, 0xff, W(32), W(1), W(1)), -EINVAL,
	  false, 0, 0 },
	{ "two labels in one", BOTH, 1, BYTES(W(8), W(2)), -EOPNOTSUPP, false, 0, 0 },
	{ "two labels", BOTH, 8, BYTES(LABEL, LABEL), -EINVAL, false, 0, 0 },
	{ "groups twice", BOTH, 4, BYTES(GROUP(1), GROUP(2)), -EINVAL, false, 0, 0 },
	{ "a label of nothing", BOTH, 1, BYTES(W(8), W(1)), -EINVAL, false, 0, 0 },
	{ "a label without NUL", BOTH, 3,
	  BYTES(W(24), W(1), W(1), W(0), 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'), -EINVAL, false, 0,
	  0 },
	{ "a label without a name", BOTH, 3, BYTES(W(24), W(1), W(1), W(0), W(0), W(0)), -EINVAL,
	  false, 0, 0 },
	{ "an empty label", BOTH, 3, BYTES(W(24), W(1), W(0), W(0), NAME_A, 0), -EINVAL, false, 0,
	  0 },
	{ "a label over its extension", BOTH, 3, BYTES(W(24), W(1), W(2), W(0), NAME_A, 0), -EINVAL,
	  false, 0, 0 },
	{ "a label near 2^32", BOTH, 3, BYTES(W(24), W(1), 0xff, 0xff, 0xff, 0xff, W(0), NAME_A, 0),
	  -EINVAL, false, 0, 0 },
	{ "more groups than there are", BOTH, 2, BYTES(W(16), W(FUSE_EXT_GROUPS), W(2), W(1)),
	  -EINVAL, false, 0, 0 },
	{ "groups without a count", BOTH, 1, BYTES(W(8), W(FUSE_EXT_GROUPS)), -EINVAL, false, 0,
	  0 },
	{ "a count near 2^32", BOTH, 2, BYTES(W(16), W(FUSE_EXT_GROUPS), 0x01, 0, 0, 0x40, W(1)),
	  -EINVAL, false, 0, 0 },
};

static void test_extensions(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext_cases); i++) {
		const char *what = ext_cases[i].what;
		struct fs_req rq = body_of(ext_cases[i].bytes ? ext_cases[i].bytes
							      : (const uint8_t *)"",
					   ext_cases[i].len);
		struct fs_ext ext;

		rq.in.total_extlen = ext_cases[i].extlen;
		fs.session.features = ext_cases[i].features;
		CHECK_EQ(what, ext_parse(&rq, fs_cursor(&rq, 0), &ext), ext_cases[i].want);
		if (!ext_cases[i].want) {
			CHECK_EQ(what, ext.label_name != NULL, ext_cases[i].label);
			CHECK_EQ(what, ext.n_groups, ext_cases[i].n_groups);
			CHECK_EQ(what, ext.groups[0], ext_cases[i].first_group);
		}
		if (!ext_cases[i].want && ext_cases[i].label && ext.label_name) {
			CHECK_NAMED(what, !strcmp(ext.label_name, "user.a"));
			CHECK_EQ(what, ext.label_len, 5);
			CHECK_NAMED(what, !memcmp(ext.label, "value", 5));
		}
		free(rq.body);
	}
	fs.session.features = 0;
}

static void test_many_groups(void)
{
	uint32_t ext_of[4 + CRED_GROUPS_MAX + 1] = { 0, FUSE_EXT_GROUPS };
	struct fs_ext ext;
	struct fs_req rq;

	fs.session.features = GROUPS;
	for (uint32_t n = CRED_GROUPS_MAX - 1; n <= CRED_GROUPS_MAX + 1; n += 2) {
		uint32_t size = 12 + 4 * n, padded = (uint32_t)FUSE_REC_ALIGN(size);

		ext_of[0] = size;
		ext_of[2] = n;
		ext_of[3] = 11;
		ext_of[2 + n] = 22;
		rq = body_of(ext_of, padded);
		rq.in.total_extlen = (uint16_t)(padded / 8);
		CHECK_EQ("groups", ext_parse(&rq, fs_cursor(&rq, 0), &ext),
			 n > CRED_GROUPS_MAX ? -EINVAL : 0);
		if (n <= CRED_GROUPS_MAX) {
			CHECK_EQ("how many", ext.n_groups, n);
			CHECK_EQ("first", ext.groups[0], 11);
			CHECK_EQ("last", ext.groups[n - 1], 22);
		}
		free(rq.body);
	}
	fs.session.features = 0;
}

/* --- attributes --- */

static const struct statx a_file = {
	.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
	.stx_blksize = 4096,
	.stx_attributes = STATX_ATTR_IMMUTABLE | STATX_ATTR_MOUNT_ROOT,
	.stx_attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT,
	.stx_nlink = 3,
	.stx_uid = 100005,
	.stx_gid = 200006,
	.stx_mode = S_IFREG | 04755,
	.stx_ino = 0x123456789abcdef,
	.stx_size = 5000000000,
	.stx_blocks = 17,
	.stx_atime = { .tv_sec = -2, .tv_nsec = 1 },
	.stx_btime = { .tv_sec = 3, .tv_nsec = 2 },
	.stx_ctime = { .tv_sec = 4, .tv_nsec = 3 },
	.stx_mtime = { .tv_sec = 5, .tv_nsec = 999999999 },
	.stx_dev_major = 8,
	.stx_dev_minor = 1,
};

static void test_attr(void)
{
	static const char *const uid_rules[] = { "map:0:100000:65536" };
	static const char *const gid_rules[] = { "map:0:200000:65536" };
	struct fuse_attr_out out;
	char err[128];

	REQUIRE(!idmap_parse(&fs.uids, uid_rules, 1, err, sizeof(err)));
	REQUIRE(!idmap_parse(&fs.gids, gid_rules, 1, err, sizeof(err)));
	cfg.attr_timeout_ns = 1500000000;
	memset(&out, 0xff, sizeof(out));
	attr_out(&fs, NULL, &a_file, &out);
	CHECK_EQ("valid", out.attr_valid, 1);
	CHECK_EQ("valid, ns", out.attr_valid_nsec, 500000000);
	CHECK_EQ("padding", out.dummy, 0);
	CHECK_EQ("ino", out.attr.ino, a_file.stx_ino);
	CHECK_EQ("size", out.attr.size, 5000000000);
	CHECK_EQ("blocks", out.attr.blocks, 17);
	CHECK_EQ("atime", (int64_t)out.attr.atime, -2);
	CHECK_EQ("atime, ns", out.attr.atimensec, 1);
	CHECK_EQ("mtime", out.attr.mtime, 5);
	CHECK_EQ("mtime, ns", out.attr.mtimensec, 999999999);
	CHECK_EQ("ctime", out.attr.ctime, 4);
	CHECK_EQ("ctime, ns", out.attr.ctimensec, 3);
	CHECK_EQ("mode", out.attr.mode, S_IFREG | 04755);
	CHECK_EQ("nlink", out.attr.nlink, 3);
	CHECK_EQ("uid", out.attr.uid, 5);
	CHECK_EQ("gid", out.attr.gid, 6);
	CHECK_EQ("blksize", out.attr.blksize, 4096);
	CHECK_EQ("flags", out.attr.flags, 0);
}

static void test_entry(void)
{
	struct inode inode = { .ref = (uint64_t)7 << 32 | 2, .index = 9 };
	struct fuse_entry_out out;

	cfg.entry_timeout_ns = UINT64_C(86400) * 1000000000;
	cfg.attr_timeout_ns = 0;
	memset(&out, 0xff, sizeof(out));
	attr_entry(&fs, &inode, &a_file, &out);
	CHECK_EQ("nodeid", out.nodeid, (uint64_t)7 << 32 | 9);
	CHECK_EQ("generation", out.generation, 0);
	CHECK_EQ("entry", out.entry_valid, 86400);
	CHECK_EQ("entry, ns", out.entry_valid_nsec, 0);
	CHECK_EQ("attr", out.attr_valid, 0);
	CHECK_EQ("attr, ns", out.attr_valid_nsec, 0);
	CHECK_EQ("ino", out.attr.ino, a_file.stx_ino);
}

static void test_submount(void)
{
	struct inode inode = { .flags = INODE_SUBMOUNT };
	struct fuse_attr out;

	for (unsigned i = 0; i < 8; i++) {
		cfg.announce_submounts = i & 1;
		fs.session.features = i & 2 ? FUSE_SUBMOUNTS : 0;
		inode.flags = i & 4 ? INODE_SUBMOUNT : INODE_YOUNG;
		attr_of(&fs, &inode, &a_file, &out);
		CHECK_EQ("submount", out.flags, i == 7 ? FUSE_ATTR_SUBMOUNT : 0);
	}
	fs.session.features = 0;
}

static void test_statx(void)
{
	struct fuse_statx_out out;

	memset(&out, 0xff, sizeof(out));
	attr_statx(&fs, NULL, &a_file, &out);
	CHECK_EQ("mask", out.stat.mask, STATX_BASIC_STATS | STATX_BTIME);
	CHECK_EQ("attributes", out.stat.attributes, STATX_ATTR_IMMUTABLE);
	CHECK_EQ("attributes_mask", out.stat.attributes_mask,
		 STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND);
	CHECK_EQ("uid", out.stat.uid, 5);
	CHECK_EQ("gid", out.stat.gid, 6);
	CHECK_EQ("mode", out.stat.mode, S_IFREG | 04755);
	CHECK_EQ("btime", out.stat.btime.tv_sec, 3);
	CHECK_EQ("btime, ns", out.stat.btime.tv_nsec, 2);
	CHECK_EQ("atime", out.stat.atime.tv_sec, -2);
	CHECK_EQ("size", out.stat.size, 5000000000);
	CHECK_EQ("dev", out.stat.dev_major, 8);
	CHECK_EQ("spare", out.stat.spare2[13], 0);
}

static const struct {
	uint32_t major, minor, want;
} rdev_cases[] = {
	{ 0, 0, 0 },
	{ 1, 3, 0x103 },
	{ 8, 255, 0x8ff },
	{ 8, 256, 0x00100800 },
	{ 259, 0, 0x10300 },
	{ 0xfff, 0xff, 0xfffff },
	{ 1, 0xfffff, 0xfff001ff },
};

static void test_rdev(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rdev_cases); i++) {
		struct statx st = { .stx_mode = S_IFCHR,
				    .stx_rdev_major = rdev_cases[i].major,
				    .stx_rdev_minor = rdev_cases[i].minor };
		struct fuse_attr out;

		attr_of(&fs, NULL, &st, &out);
		CHECK_EQ("rdev", out.rdev, rdev_cases[i].want);
	}
}

static void test_mode_killed(void)
{
	CHECK_EQ("nothing to do", attr_mode_killed(S_IFREG | 0777), S_IFREG | 0777);
	CHECK_EQ("set-user-ID", attr_mode_killed(S_IFREG | 04755), S_IFREG | 0755);
	CHECK_EQ("both", attr_mode_killed(S_IFREG | 06755), S_IFREG | 0755);
	CHECK_EQ("mandatory locks", attr_mode_killed(S_IFREG | 02745), S_IFREG | 02745);
	CHECK_EQ("a directory", attr_mode_killed(S_IFDIR | 06777), S_IFDIR | 06777);
}

int main(void)
{
	test_names();
	test_lengths();
	test_fd_names();
	test_extensions();
	test_many_groups();
	test_attr();
	test_entry();
	test_submount();
	test_statx();
	test_rdev();
	test_mode_killed();
	return check_done();
}
