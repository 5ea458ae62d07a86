/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/fs*.c: what each request looks like to the device, and replies of every kind. */
#include "tests/lib/fake_fs.h"

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

int main(void)
{
	fake_start();
	test_requests(0);
	test_requests(INDIRECT);
	test_requests(INDIRECT | EVENT_IDX);
	test_bodies();
	test_init();
	test_bad_replies(0);
	test_bad_replies(INDIRECT);
	test_random_replies();
	return check_done();
}
