/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/op_dir.c and fs/op_xattr.c on a real directory, through rings. */
#include <errno.h>
#include <sys/xattr.h>

#include "tests/lib/fs_device.h"

#define FILES 1500u

static unsigned seeks;

off_t __real_lseek64(int fd, off_t off, int whence);
off_t __wrap_lseek64(int fd, off_t off, int whence);
off_t __wrap_lseek64(int fd, off_t off, int whence)
{
	seeks++;
	return __real_lseek64(fd, off, whence);
}

/* Names with this begin vanish before anybody can look at them. */
#define GONE "gone-"

int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
	if (!strncmp(path, GONE, strlen(GONE))) {
		errno = ENOENT;
		return -1;
	}
	return __real_statx(fd, path, flags, mask, st);
}

/* --- directories --- */

/* The k-th name: of any length, of bytes that are no text; all differ. */
static const char *name_of(unsigned k)
{
	static char name[256];
	size_t len = 6 + k * 7 % 250;

	memset(name, 0x80 + (int)(k % 100), len);
	name[len] = '\0';
	memcpy(name,
	       (char[]){ 'f', (char)('0' + k / 1000 % 10), (char)('0' + k / 100 % 10),
			 (char)('0' + k / 10 % 10), (char)('0' + k % 10) },
	       5);
	return name;
}

static void make_files(const struct fs_device *f, unsigned from, unsigned to)
{
	for (unsigned k = from; k < to; k++) {
		int fd = openat(f->dir_fd, name_of(k), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		REQUIRE(fd >= 0);
		close(fd);
	}
}

/* What a listing has shown. */
struct listing {
	struct fs_device *f;
	uint64_t fh, off;
	uint32_t opcode, size;
	unsigned seen[FILES];
	unsigned dots, others, lookups;
};

static void note(struct listing *l, const struct fuse_dirent *d, const struct fuse_entry_out *e)
{
	char name[256] = "";
	unsigned k;

	REQUIRE(d->namelen < sizeof(name));
	memcpy(name, d + 1, d->namelen);
	if (e && e->nodeid) {
		CHECK_EQ("ino", e->attr.ino, d->ino);
		l->lookups++;
	}
	if (!strcmp(name, ".") || !strcmp(name, "..")) {
		CHECK(!e || !e->nodeid);
		l->dots++;
	} else if (name[0] == 'f' && (k = (unsigned)atoi((char[]){ name[1], name[2], name[3],
								   name[4], 0 })) < FILES) {
		CHECK(!strcmp(name, name_of(k)));
		CHECK(!e || e->nodeid);
		CHECK(!e || S_ISREG(e->attr.mode));
		l->seen[k]++;
	} else {
		l->others++;
	}
}

/* One request. Bytes of its answer, or -errno. */
static int list_some(struct listing *l, unsigned q)
{
	const struct fuse_read_in in = { .fh = l->fh, .offset = l->off, .size = l->size };
	static uint8_t reply[FS_DEVICE_HALF] __attribute__((aligned(8)));
	bool plus = l->opcode == FUSE_READDIRPLUS;
	size_t head = plus ? sizeof(struct fuse_entry_out) : 0;
	int len = fs_device_call(l->f, q, l->opcode, FUSE_ROOT_ID, &in, sizeof(in), reply, l->size);

	for (int at = 0; at < len;) {
		const struct fuse_dirent *d = (const void *)(reply + at + head);

		note(l, d, plus ? (const void *)(reply + at) : NULL);
		l->off = d->off;
		at += (int)(plus ? FUSE_DIRENTPLUS_SIZE(d->namelen) : FUSE_DIRENT_SIZE(d->namelen));
		CHECK(at <= len);
	}
	return len;
}

static void list_all(struct listing *l, unsigned q)
{
	int len;

	do {
		len = list_some(l, q);
		CHECK(len >= 0);
	} while (len > 0);
}

static void check_complete(const char *name, const struct listing *l, unsigned dots)
{
	unsigned wrong = 0;

	for (unsigned k = 0; k < FILES; k++)
		wrong += l->seen[k] != 1;
	CHECK_EQ(name, wrong, 0);
	CHECK_EQ(name, l->dots, dots);
}

static const struct {
	const char *name;
	uint32_t opcode, size;
} list_cases[] = {
	{ "READDIR, small", FUSE_READDIR, 300 },
	{ "READDIR, a page", FUSE_READDIR, 4096 },
	{ "READDIR, larger", FUSE_READDIR, 8000 },
	{ "READDIRPLUS, small", FUSE_READDIRPLUS, 420 },
	{ "READDIRPLUS, a page", FUSE_READDIRPLUS, 4096 },
	{ "READDIRPLUS, larger", FUSE_READDIRPLUS, 8000 },
};

static void test_lists(void)
{
	struct fs_device *f = fs_device_new();

	make_files(f, 0, FILES);
	fs_device_start(f, FUSE_DO_READDIRPLUS);
	for (size_t i = 0; i < ARRAY_SIZE(list_cases); i++) {
		const char *name = list_cases[i].name;
		bool plus = list_cases[i].opcode == FUSE_READDIRPLUS;
		struct listing l = { .f = f,
				     .opcode = list_cases[i].opcode,
				     .size = list_cases[i].size };

		l.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
		REQUIRE(l.fh);
		seeks = 0;
		list_all(&l, 1);
		check_complete(name, &l, 2);
		CHECK_EQ(name, l.others, 0);
		/* A second look that found the end leaves it unknown where the descriptor is. */
		if (list_cases[i].size >= 4096)
			CHECK_NAMED(name, seeks <= plus);
		/* Each counted once, and only those that were shown. */
		CHECK_EQ(name, l.lookups, plus ? FILES : 0);
		CHECK_EQ(name, f->fs.inodes.count, plus ? FILES + 1 : 1);
		/* Again from the begin, from another queue. */
		l.off = 0;
		memset(l.seen, 0, sizeof(l.seen));
		list_all(&l, 2);
		check_complete("again", &l, 4);
		inode_forget_all(&f->fs);
		CHECK_EQ("forgotten", f->fs.inodes.count, 1);
	}
	fs_device_free(f);
}

/* FORGET of what one listing has counted leaves nothing. */
static void test_lookups_are_exact(void)
{
	struct fs_device *f = fs_device_new();
	struct listing l = { .f = f, .opcode = FUSE_READDIRPLUS, .size = 700 };
	const struct fuse_forget_in forget = { .nlookup = 2 };
	uint64_t node;

	make_files(f, 0, 20);
	fs_device_start(f, FUSE_DO_READDIRPLUS);
	l.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
	list_all(&l, 1);
	node = fs_device_lookup(f, name_of(7));
	CHECK_EQ("all", f->fs.inodes.count, 21);
	fs_device_send(f, 0, 0, FUSE_FORGET, node, &forget, sizeof(forget), 0);
	fs_device_serve(f, 0);
	CHECK_EQ("READDIRPLUS and LOOKUP were one each", f->fs.inodes.count, 20);
	fs_device_free(f);
}

/* Two readers of one handle do not disturb each other, on whatever queue. */
static void test_two_readers(void)
{
	struct fs_device *f = fs_device_new();
	struct listing a = { .f = f, .opcode = FUSE_READDIR, .size = 4096 }, b;
	int more;

	make_files(f, 0, FILES);
	fs_device_start(f, 0);
	a.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
	b = a;
	b.size = 1000;
	do {
		more = list_some(&a, 1) > 0;
		more |= list_some(&b, 2) > 0;
		more |= list_some(&b, 1) > 0;
	} while (more);
	check_complete("first", &a, 2);
	check_complete("second", &b, 2);
	fs_device_free(f);
}

/* Names come and go: those that stay are listed once, whatever happens beside them. */
static void test_changes(void)
{
	struct fs_device *f = fs_device_new();
	struct listing l = { .f = f, .opcode = FUSE_READDIR, .size = 2048 };
	unsigned wrong = 0, round = 0;
	char name[32];

	make_files(f, 0, FILES);
	fs_device_start(f, 0);
	l.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
	while (list_some(&l, 1) > 0) {
		for (unsigned k = 0; k < 10; k++) {
			snprintf(name, sizeof(name), "new-%u-%u", round, k);
			close(openat(f->dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		}
		for (unsigned k = round * 14 + 1; k < round * 14 + 14 && k < FILES; k += 2)
			unlinkat(f->dir_fd, name_of(k), 0);
		round++;
	}
	for (unsigned k = 0; k < FILES; k += 2)
		wrong += l.seen[k] != 1;
	CHECK_EQ("those that stayed", wrong, 0);
	for (unsigned k = 1; k < FILES; k += 2)
		wrong += l.seen[k] > 1;
	CHECK_EQ("nothing twice", wrong, 0);
	CHECK(round > 20);
	fs_device_free(f);
}

static void test_vanished(void)
{
	struct fs_device *f = fs_device_new();
	struct listing l = { .f = f, .opcode = FUSE_READDIRPLUS, .size = 4096 };

	close(openat(f->dir_fd, GONE "1", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	make_files(f, 0, 3);
	fs_device_start(f, FUSE_DO_READDIRPLUS);
	l.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
	list_all(&l, 1);
	CHECK_EQ("it is shown", l.others, 1);
	CHECK_EQ("but is no lookup", l.lookups, 3);
	fs_device_free(f);
}

static void test_dir_errors(void)
{
	struct fs_device *f = fs_device_new();
	struct listing l = { .f = f, .opcode = FUSE_READDIR, .size = 24 };
	struct fuse_release_in release = { 0 };
	struct fuse_open_out out;
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	uint64_t node;

	make_files(f, 0, 1);
	fs_device_start(f, 0);
	node = fs_device_lookup(f, name_of(0));
	CHECK_EQ("OPENDIR of a file",
		 fs_device_call(f, 1, FUSE_OPENDIR, node, &open_in, sizeof(open_in), &out,
				sizeof(out)),
		 -ENOTDIR);
	l.fh = fs_device_open(f, FUSE_OPENDIR, FUSE_ROOT_ID, O_RDONLY | O_DIRECTORY);
	CHECK_EQ("room for no entry", list_some(&l, 1), -EINVAL);
	l.size = 0;
	CHECK_EQ("no room", list_some(&l, 1), -EINVAL);
	l.size = 4096;
	l.off = UINT64_MAX;
	CHECK_EQ("nowhere", list_some(&l, 1), -EINVAL);
	l.off = 0;
	CHECK(list_some(&l, 1) > 0);
	release.fh = l.fh;
	CHECK_EQ("RELEASEDIR",
		 fs_device_call(f, 1, FUSE_RELEASEDIR, FUSE_ROOT_ID, &release, sizeof(release),
				NULL, 0),
		 0);
	CHECK_EQ("released", list_some(&l, 1), -EBADF);
	l.fh = fs_device_open(f, FUSE_OPEN, node, O_RDONLY);
	CHECK_EQ("of another inode", list_some(&l, 1), -EBADF);
	CHECK_EQ("no directory", f->fs.handles.count, 1);
	fs_device_free(f);
}

/* --- extended attributes --- */

/* SETXATTR with the long header. */
static int set(struct fs_device *f, uint64_t node, const char *name, const void *value,
	       uint32_t size, uint32_t flags, uint32_t more)
{
	struct fuse_setxattr_in in = { .size = size, .flags = flags, .setxattr_flags = more };
	uint8_t body[4096];
	size_t len = strlen(name) + 1;

	memcpy(body, &in, sizeof(in));
	memcpy(body + sizeof(in), name, len);
	memcpy(body + sizeof(in) + len, value, size);
	return fs_device_call(f, 1, FUSE_SETXATTR, node, body, (uint32_t)(sizeof(in) + len + size),
			      NULL, 0);
}

static int get(struct fs_device *f, uint64_t node, const char *name, void *value, uint32_t size)
{
	struct fuse_getxattr_in in = { .size = size };
	struct fuse_getxattr_out out;
	uint8_t body[512];
	size_t len = strlen(name) + 1;
	int ret;

	memcpy(body, &in, sizeof(in));
	memcpy(body + sizeof(in), name, len);
	len += sizeof(in);
	if (size)
		return fs_device_call(f, 1, FUSE_GETXATTR, node, body, (uint32_t)len, value, size);
	ret = fs_device_call(f, 1, FUSE_GETXATTR, node, body, (uint32_t)len, &out, sizeof(out));
	return ret < 0 ? ret : (int)out.size;
}

static int list(struct fs_device *f, uint64_t node, char *names, uint32_t size)
{
	const struct fuse_getxattr_in in = { .size = size };
	struct fuse_getxattr_out out;
	int ret;

	if (size)
		return fs_device_call(f, 1, FUSE_LISTXATTR, node, &in, sizeof(in), names, size);
	ret = fs_device_call(f, 1, FUSE_LISTXATTR, node, &in, sizeof(in), &out, sizeof(out));
	return ret < 0 ? ret : (int)out.size;
}

static int rm(struct fs_device *f, uint64_t node, const char *name)
{
	return fs_device_call(f, 1, FUSE_REMOVEXATTR, node, name, (uint32_t)strlen(name) + 1, NULL,
			      0);
}

static bool in_list(const char *names, int len, const char *name)
{
	for (int i = 0; i < len; i += (int)strlen(names + i) + 1)
		if (!strcmp(names + i, name))
			return true;
	return false;
}

static void path_of(const struct fs_device *f, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", f->dir, name);
}

static void test_xattr(void)
{
	struct fs_device *f = fs_device_new();
	char value[64] = "", names[256], path[128];
	uint64_t node;
	int len;

	make_files(f, 0, 1);
	fs_device_start(f, FUSE_SETXATTR_EXT);
	node = fs_device_lookup(f, name_of(0));
	path_of(f, name_of(0), path, sizeof(path));
	CHECK_EQ("none", get(f, node, "user.a", value, sizeof(value)), -ENODATA);
	CHECK_EQ("set", set(f, node, "user.a", "value", 5, 0, 0), 0);
	CHECK_EQ("the host has it", getxattr(path, "user.a", value, sizeof(value)), 5);
	memset(value, 0, sizeof(value));
	CHECK_EQ("get", get(f, node, "user.a", value, sizeof(value)), 5);
	CHECK(!memcmp(value, "value", 5));
	CHECK_EQ("exactly", get(f, node, "user.a", value, 5), 5);
	CHECK_EQ("its size", get(f, node, "user.a", NULL, 0), 5);
	CHECK_EQ("too small", get(f, node, "user.a", value, 4), -ERANGE);
	CHECK_EQ("CREATE", set(f, node, "user.a", "x", 1, XATTR_CREATE, 0), -EEXIST);
	CHECK_EQ("REPLACE", set(f, node, "user.b", "x", 1, XATTR_REPLACE, 0), -ENODATA);
	CHECK_EQ("no flag", set(f, node, "user.b", "x", 1, 8, 0), -EINVAL);
	CHECK_EQ("empty", set(f, node, "user.b", "", 0, 0, 0), 0);
	CHECK_EQ("empty", get(f, node, "user.b", value, sizeof(value)), 0);
	CHECK_EQ("no name", set(f, node, "", "x", 1, 0, 0), -ERANGE);
	len = list(f, node, names, sizeof(names));
	CHECK(len >= 14 && in_list(names, len, "user.a") && in_list(names, len, "user.b"));
	CHECK_EQ("its size", list(f, node, NULL, 0), len);
	CHECK_EQ("too small", list(f, node, names, (uint32_t)len - 1), -ERANGE);
	CHECK_EQ("exactly", list(f, node, names, (uint32_t)len), len);
	CHECK_EQ("remove", rm(f, node, "user.a"), 0);
	CHECK_EQ("again", rm(f, node, "user.a"), -ENODATA);
	CHECK_EQ("gone", getxattr(path, "user.a", NULL, 0), -1);
	CHECK_EQ("no ACLs", get(f, node, "system.posix_acl_access", value, 64), -ENOTSUP);
	CHECK_EQ("no ACLs", set(f, node, "system.posix_acl_default", "x", 1, 0, 0), -ENOTSUP);
	CHECK_EQ("no ACLs", rm(f, node, "system.posix_acl_access"), -ENOTSUP);
	fs_device_free(f);
}

/* Lengths in a request that do not fit together. */
static void test_xattr_bodies(void)
{
	static const struct {
		const char *name;
		uint32_t size;
		const char *rest;
		uint32_t rest_len;
		int want;
	} cases[] = {
		{ "right", 2, "user.a\0xy", 9, 0 },
		{ "a byte more", 2, "user.a\0xyz", 10, 0 },
		{ "a byte less", 3, "user.a\0xy", 9, -EINVAL },
		{ "much less", 60000, "user.a\0xy", 9, -EINVAL },
		{ "too much", 65537, "user.a\0xy", 9, -E2BIG },
		{ "all", UINT32_MAX, "user.a\0xy", 9, -E2BIG },
		{ "no end", 0, "user.a", 6, -EINVAL },
	};
	struct fs_device *f = fs_device_new();
	uint64_t node;

	make_files(f, 0, 1);
	fs_device_start(f, 0); /* so the header is the short one */
	node = fs_device_lookup(f, name_of(0));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fuse_setxattr_in in = { .size = cases[i].size };
		uint8_t body[64];

		memcpy(body, &in, FUSE_COMPAT_SETXATTR_IN_SIZE);
		memcpy(body + FUSE_COMPAT_SETXATTR_IN_SIZE, cases[i].rest, cases[i].rest_len);
		CHECK_EQ(cases[i].name,
			 fs_device_call(f, 1, FUSE_SETXATTR, node, body,
					FUSE_COMPAT_SETXATTR_IN_SIZE + cases[i].rest_len, NULL, 0),
			 cases[i].want);
	}
	fs_device_free(f);
}

/* The link itself and special files, never what a link points to. */
static void test_xattr_of_links(void)
{
	struct fs_device *f = fs_device_new();
	static const char *const names[] = { "link", "fifo", "dir" };
	char path[128];

	make_files(f, 0, 1);
	REQUIRE(!symlinkat(name_of(0), f->dir_fd, "link"));
	REQUIRE(!mkfifoat(f->dir_fd, "fifo", 0644));
	REQUIRE(!mkdirat(f->dir_fd, "dir", 0755));
	fs_device_start(f, FUSE_SETXATTR_EXT);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t node = fs_device_lookup(f, names[i]);
		int want;

		/* Whatever the host says to its own programs. */
		path_of(f, names[i], path, sizeof(path));
		want = lsetxattr(path, "trusted.h", "v", 1, 0) ? -errno : 0;
		CHECK_EQ(names[i], set(f, node, "trusted.g", "v", 1, 0, 0), want);
		CHECK_EQ(names[i], lgetxattr(path, "trusted.g", NULL, 0), want ? -1 : 1);
		want = lsetxattr(path, "user.h", "v", 1, 0) ? -errno : 0;
		CHECK_EQ(names[i], set(f, node, "user.g", "v", 1, 0, 0), want);
	}
	path_of(f, name_of(0), path, sizeof(path));
	CHECK_EQ("not the target's", lgetxattr(path, "trusted.g", NULL, 0), -1);
	fs_device_free(f);
}

static void test_xattr_off(void)
{
	struct fs_device *f = fs_device_new();
	char value[64];
	uint64_t node;

	f->cfg.xattr = false;
	make_files(f, 0, 1);
	fs_device_start(f, FUSE_SETXATTR_EXT);
	node = fs_device_lookup(f, name_of(0));
	CHECK_EQ("SETXATTR", set(f, node, "user.a", "x", 1, 0, 0), -ENOSYS);
	CHECK_EQ("GETXATTR", get(f, node, "user.a", value, sizeof(value)), -ENOSYS);
	CHECK_EQ("LISTXATTR", list(f, node, value, sizeof(value)), -ENOSYS);
	CHECK_EQ("REMOVEXATTR", rm(f, node, "user.a"), -ENOSYS);
	fs_device_free(f);
}

static void test_xattr_map(void)
{
	struct fs_device *f = fs_device_new();
	char names[256], path[128];
	uint64_t node;
	int len;

	f->cfg.xattrmap = ":map::user.guest.:";
	make_files(f, 0, 1);
	path_of(f, name_of(0), path, sizeof(path));
	fs_device_start(f, FUSE_SETXATTR_EXT);
	node = fs_device_lookup(f, name_of(0));
	REQUIRE(!setxattr(path, "user.host", "x", 1, 0));
	CHECK_EQ("set", set(f, node, "security.x", "value", 5, 0, 0), 0);
	CHECK_EQ("the host's name", getxattr(path, "user.guest.security.x", NULL, 0), 5);
	CHECK_EQ("get", get(f, node, "security.x", names, sizeof(names)), 5);
	CHECK_EQ("not the host's own", get(f, node, "user.host", names, 64), -ENODATA);
	len = list(f, node, names, sizeof(names));
	CHECK_EQ("list", len, sizeof("security.x"));
	CHECK(in_list(names, len, "security.x"));
	CHECK_EQ("room for the guest's names is enough", list(f, node, names, 11), 11);
	fs_device_free(f);
}

/* An ACL of version 2 for user uid: rwx for all, r-x for that one. */
static uint32_t acl_for(uint32_t uid, uint32_t *acl)
{
	static const struct {
		uint16_t tag, perm;
	} entries[] = { { 1, 7 }, { 2, 5 }, { 4, 7 }, { 0x10, 7 }, { 0x20, 7 } };

	acl[0] = 2;
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		acl[1 + 2 * i] = entries[i].tag | (uint32_t)entries[i].perm << 16;
		acl[2 + 2 * i] = entries[i].tag == 2 ? uid : UINT32_MAX;
	}
	return 4 + 8 * ARRAY_SIZE(entries);
}

static void test_acl(void)
{
	struct fs_device *f = fs_device_new();
	uint32_t acl[16], got[16];
	char names[256], path[128];
	struct stat st;
	uint64_t node;
	uint32_t len = acl_for(1000, acl);

	make_files(f, 0, 1);
	path_of(f, name_of(0), path, sizeof(path));
	if (setxattr(path, "system.posix_acl_access", acl, len, 0)) {
		fprintf(stderr, "no ACLs here: %s\n", strerror(errno));
		fs_device_start(f, 0);
		fs_device_free(f);
		return;
	}
	removexattr(path, "system.posix_acl_access");
	f->cfg.xattr = false; /* ACLs are enough */
	f->cfg.posix_acl = FS_OFFER_ON;
	f->cfg.translate_uid = (struct fs_id_rules){ .n = 1, .v = { "map:1000:5000:1" } };
	fs_device_start(f, FUSE_SETXATTR_EXT | FUSE_POSIX_ACL | FUSE_DONT_MASK);
	node = fs_device_lookup(f, name_of(0));
	REQUIRE(!chmod(path, 02775));
	CHECK_EQ("set", set(f, node, "system.posix_acl_access", acl, len, 0, 0), 0);
	CHECK_EQ("stat", stat(path, &st), 0);
	CHECK_EQ("still set-group", st.st_mode & 07777, 02777);
	CHECK_EQ("host", getxattr(path, "system.posix_acl_access", got, sizeof(got)), len);
	CHECK_EQ("the host's user", got[4], 5000);
	CHECK_EQ("get", get(f, node, "system.posix_acl_access", got, sizeof(got)), len);
	CHECK_EQ("the guest's", got[4], 1000);
	CHECK(in_list(names, list(f, node, names, sizeof(names)), "system.posix_acl_access"));
	CHECK_EQ("set",
		 set(f, node, "system.posix_acl_access", acl, len, 0, FUSE_SETXATTR_ACL_KILL_SGID),
		 0);
	CHECK_EQ("stat", stat(path, &st), 0);
	CHECK_EQ("not set-group any more", st.st_mode & 07777, 0777);
	CHECK_EQ("no ACL", set(f, node, "system.posix_acl_access", "x", 1, 0, 0), -EINVAL);
	CHECK_EQ("remove", rm(f, node, "system.posix_acl_access"), 0);
	fs_device_free(f);
}

int main(void)
{
	test_lists();
	test_lookups_are_exact();
	test_two_readers();
	test_changes();
	test_vanished();
	test_dir_errors();
	test_xattr();
	test_xattr_bodies();
	test_xattr_of_links();
	test_xattr_off();
	test_xattr_map();
	test_acl();
	return check_done();
}
