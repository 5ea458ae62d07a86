/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/inode*.c with somebody else who changes things at the worst moment. */
#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/lib/fs_device.h"

#define OLD_US 60000u /* a file of that age is known by its numbers */

/* Called once, right after the numbers of this name were asked for. */
static const char *hook_name;
static void (*hook)(void);

int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
	int ret = __real_statx(fd, path, flags, mask, st);

	if (hook_name && !strcmp(path, hook_name)) {
		hook_name = NULL;
		hook();
	}
	return ret;
}

static const char *no_handle; /* the file of this name has none */

int __real_name_to_handle_at(int fd, const char *path, struct file_handle *h, int *mnt, int flags);
int __wrap_name_to_handle_at(int fd, const char *path, struct file_handle *h, int *mnt, int flags);
int __wrap_name_to_handle_at(int fd, const char *path, struct file_handle *h, int *mnt, int flags)
{
	if (!no_handle || strcmp(path, no_handle))
		return __real_name_to_handle_at(fd, path, h, mnt, flags);
	errno = EOVERFLOW;
	return -1;
}

static bool forgets; /* another queue has a FORGET for what this LOOKUP finds */

int __real_inode_lookup(struct fs *fs, const struct inode *parent, int pfd, const char *name,
			struct statx *st, struct inode **out);
int __wrap_inode_lookup(struct fs *fs, const struct inode *parent, int pfd, const char *name,
			struct statx *st, struct inode **out);
int __wrap_inode_lookup(struct fs *fs, const struct inode *parent, int pfd, const char *name,
			struct statx *st, struct inode **out)
{
	int ret = __real_inode_lookup(fs, parent, pfd, name, st, out);

	if (!ret && forgets)
		inode_unlookup(fs, *out, UINT64_MAX);
	return ret;
}

static void make_file(const struct fs_device *f, const char *name)
{
	int fd = openat(f->dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0);
	close(fd);
}

static int getattr(struct fs_device *f, uint64_t node, struct fuse_attr_out *out)
{
	const struct fuse_getattr_in in = { 0 };

	return fs_device_call(f, 1, FUSE_GETATTR, node, &in, sizeof(in), out, sizeof(*out));
}

static int unlink_name(struct fs_device *f, const char *name)
{
	return fs_device_call(f, 1, FUSE_UNLINK, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1,
			      NULL, 0);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool has_handles(const struct fs_device *f)
{
	if (f->fs.mounts.m[0]->handles)
		return true;
	fprintf(stderr, "no file handles here\n");
	return false;
}

static struct fs_device *device;

static void swap_files(void)
{
	REQUIRE(!renameat2(device->dir_fd, "a", device->dir_fd, "b", RENAME_EXCHANGE));
}

/* The numbers of one file and the handle of another: ESTALE, but not for ever. */
static void test_swapped(void)
{
	struct fs_device *f = device = fs_device_new();
	struct fuse_attr_out out;
	uint64_t wrong, right;
	struct stat a;

	make_file(f, "a");
	make_file(f, "b");
	usleep(OLD_US);
	REQUIRE(!fstatat(f->dir_fd, "a", &a, 0));
	fs_device_start(f, 0);
	if (has_handles(f)) {
		hook = swap_files;
		hook_name = "a";
		wrong = fs_device_lookup(f, "a");
		CHECK(wrong && !hook_name);
		CHECK_EQ("neither", getattr(f, wrong, &out), -ESTALE);
		right = fs_device_lookup(f, "b");
		CHECK(right && right != wrong);
		CHECK_EQ("looked up again", getattr(f, right, &out), sizeof(out));
		CHECK_EQ("the file", out.attr.ino, a.st_ino);
		CHECK_EQ("still neither", getattr(f, wrong, &out), -ESTALE);
	}
	fs_device_free(f);
}

/* One file that has no handle is one descriptor, in the midst of the others. */
static void find_without(enum fs_handles handles, bool found)
{
	struct fs_device *f = fs_device_new();
	struct fuse_attr_out out;
	uint64_t node;

	make_file(f, "a");
	make_file(f, "b");
	f->cfg.inode_file_handles = handles;
	fs_device_start(f, 0);
	no_handle = "a";
	node = fs_device_lookup(f, "a");
	CHECK_EQ("found", !!node, found);
	CHECK_EQ("pinned", f->fs.inodes.fds.pinned, 1 + found);
	if (found) {
		CHECK_EQ("again", fs_device_lookup(f, "a"), node);
		CHECK_EQ("usable", getattr(f, node, &out), sizeof(out));
	}
	CHECK(fs_device_lookup(f, "b"));
	CHECK_EQ("not that one", f->fs.inodes.fds.pinned, 1 + found);
	no_handle = NULL;
	fs_device_free(f);
}

static void test_without(void)
{
	struct fs_device *f = fs_device_new();
	bool handles;

	fs_device_start(f, 0);
	handles = has_handles(f);
	fs_device_free(f);
	if (!handles)
		return;
	find_without(FS_HANDLES_PREFER, true);
	find_without(FS_HANDLES_MANDATORY, false);
}

/* A name goes while the guest forgets the file: nothing is kept for it. */
static void test_forgotten(void)
{
	struct fs_device *f = fs_device_new();
	unsigned before;
	uint64_t node;

	make_file(f, "a");
	f->cfg.no_open = true;
	fs_device_start(f, FUSE_NO_OPEN_SUPPORT);
	if (has_handles(f)) {
		node = fs_device_lookup(f, "a");
		before = open_fds();
		forgets = true;
		CHECK_EQ("unlink", unlink_name(f, "a"), 0);
		forgets = false;
		CHECK_EQ("descriptors", open_fds(), before);
		CHECK_EQ("pinned: the root", f->fs.inodes.fds.pinned, 1);
		CHECK_EQ("inodes: the root", f->fs.inodes.count, 1);
		CHECK(!inode_get(&f->fs, node));
	}
	fs_device_free(f);
}

static const struct {
	const char *name;
	uint64_t features;
	bool no_open, no_opendir, writeback;
	bool file_stays, dir_stays;
} kept_cases[] = {
	{ "nothing", FUSE_NO_OPEN_SUPPORT, false, false, false, false, false },
	{ "no OPEN", FUSE_NO_OPEN_SUPPORT, true, false, false, true, false },
	{ "no OPENDIR", FUSE_NO_OPENDIR_SUPPORT, false, true, false, false, true },
	{ "the guest cannot", 0, true, true, true, false, false },
	{ "write-back", FUSE_WRITEBACK_CACHE, false, false, true, true, false },
};

/* What the guest may need after its name has gone is there still. */
static void kept_case(size_t k)
{
	struct fs_device *f = fs_device_new();
	struct fuse_attr_out out;
	uint64_t file, dir;

	make_file(f, "file");
	REQUIRE(!mkdirat(f->dir_fd, "dir", 0755));
	f->cfg.no_open = kept_cases[k].no_open;
	f->cfg.no_opendir = kept_cases[k].no_opendir;
	f->cfg.writeback = kept_cases[k].writeback;
	fs_device_start(f, kept_cases[k].features);
	file = fs_device_lookup(f, "file");
	dir = fs_device_lookup(f, "dir");
	/* Those that are only cached, as they would be in the end. */
	while (inode_close_some(&f->fs, 1))
		;
	if (has_handles(f)) {
		CHECK_EQ("unlink", unlink_name(f, "file"), 0);
		CHECK_EQ("rmdir", fs_device_call(f, 1, FUSE_RMDIR, FUSE_ROOT_ID, "dir", 4, NULL, 0),
			 0);
		CHECK_EQ(kept_cases[k].name, getattr(f, file, &out),
			 kept_cases[k].file_stays ? (int)sizeof(out) : -ESTALE);
		CHECK_EQ(kept_cases[k].name, getattr(f, dir, &out),
			 kept_cases[k].dir_stays ? (int)sizeof(out) : -ESTALE);
	}
	fs_device_free(f);
}

static void test_kept(void)
{
	for (size_t k = 0; k < ARRAY_SIZE(kept_cases); k++)
		kept_case(k);
}

#define HELD   8200u /* more than are cached */
#define OTHERS 64u

static void make_known(struct fs_device *f, unsigned k, uint64_t *node, char *name)
{
	snprintf(name, 16, "%u", k);
	make_file(f, name);
	*node = fs_device_lookup(f, name);
	REQUIRE(*node);
}

/* Files that stay open do not take the places of those that can be closed. */
static void test_held(void)
{
	struct rlimit limit, more;
	struct fs_device *f;
	struct fuse_attr_out out;
	uint64_t node;
	char name[16];

	REQUIRE(!getrlimit(RLIMIT_NOFILE, &limit));
	more = (struct rlimit){ .rlim_cur = 2 * HELD, .rlim_max = limit.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &more)) {
		fprintf(stderr, "not that many descriptors here\n");
		return;
	}
	f = fs_device_new();
	f->cfg.no_open = true;
	f->cfg.max_inode_fds = 2 * HELD;
	fs_device_start(f, FUSE_NO_OPEN_SUPPORT);
	if (has_handles(f)) {
		for (unsigned k = 0; k < HELD; k++) {
			make_known(f, k, &node, name);
			CHECK_EQ("unlink", unlink_name(f, name), 0);
		}
		CHECK_EQ("pinned", f->fs.inodes.fds.pinned, HELD + 1);
		for (unsigned k = 0; k < OTHERS; k++) {
			make_known(f, k, &node, name);
			CHECK_EQ("used", getattr(f, node, &out), sizeof(out));
		}
		CHECK(inode_close_some(&f->fs, OTHERS) == OTHERS);
	}
	fs_device_free(f);
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &limit));
}

static int create(struct fs_device *f, const char *name)
{
	struct {
		struct fuse_create_in in;
		char name[16];
	} body = { .in = { .flags = O_RDWR, .mode = 0600 } };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	snprintf(body.name, sizeof(body.name), "%s", name);
	return fs_device_call(f, 1, FUSE_CREATE, FUSE_ROOT_ID, &body,
			      (uint32_t)(sizeof(body.in) + strlen(name) + 1), &out, sizeof(out));
}

static int open_error(struct fs_device *f, uint64_t node)
{
	const struct fuse_open_in in = { .flags = O_RDONLY };
	struct fuse_open_out out;

	return fs_device_call(f, 1, FUSE_OPEN, node, &in, sizeof(in), &out, sizeof(out));
}

#define GUEST_FDS 100u

/* A guest that opens all it can leaves what the process keeps for itself. */
static void fill_fds(enum fs_handles handles)
{
	struct fs_device *f = fs_device_new();
	struct fuse_release_in release = { 0 };
	struct fuse_attr_out out;
	uint64_t node, other;
	unsigned n = 0;
	int fd;

	f->cfg.inode_file_handles = handles;
	f->cfg.guest_fds = GUEST_FDS;
	make_file(f, "a");
	make_file(f, "b");
	make_file(f, "late");
	fs_device_start(f, 0);
	node = fs_device_lookup(f, "a");
	other = fs_device_lookup(f, "b");
	CHECK_EQ("has a descriptor", getattr(f, other, &out), sizeof(out));
	release.fh = fs_device_open(f, FUSE_OPEN, node, O_RDONLY);
	REQUIRE(release.fh);
	while (n < GUEST_FDS && fs_device_open(f, FUSE_OPEN, node, O_RDONLY))
		n++;
	CHECK(n && n < GUEST_FDS);
	fd = dup(f->dir_fd);
	CHECK_EQ("the next", fd, GUEST_FDS);
	close(fd);
	CHECK_EQ("open", open_error(f, node), -ENFILE);
	CHECK_EQ("create", create(f, "new"), -ENFILE);
	CHECK_EQ("not made", faccessat(f->dir_fd, "new", F_OK, 0), -1);
	/* Without handles a descriptor is needed to know it. */
	CHECK_NAMED("lookup", !!fs_device_lookup(f, "late") == f->fs.mounts.m[0]->handles);
	CHECK_EQ("release",
		 fs_device_call(f, 1, FUSE_RELEASE, node, &release, sizeof(release), NULL, 0), 0);
	CHECK_EQ("room again", open_error(f, other), sizeof(struct fuse_open_out));
	fs_device_free(f);
}

/* Lock owners have descriptors of their own. */
static void fill_owners(enum fs_handles handles)
{
	struct fs_device *f = fs_device_new();
	struct fuse_lk_in in = { .lk = { .type = F_RDLCK } };
	uint64_t node;
	int ret = 0, fd;

	f->cfg.inode_file_handles = handles;
	f->cfg.guest_fds = GUEST_FDS;
	make_file(f, "a");
	fs_device_start(f, FUSE_POSIX_LOCKS);
	node = fs_device_lookup(f, "a");
	in.fh = fs_device_open(f, FUSE_OPEN, node, O_RDWR);
	while (!ret && ++in.owner < 2 * GUEST_FDS)
		ret = fs_device_call(f, 1, FUSE_SETLK, node, &in, sizeof(in), NULL, 0);
	CHECK_EQ("no more", ret, -ENOLCK);
	fd = dup(f->dir_fd);
	CHECK_EQ("the next", fd, GUEST_FDS);
	close(fd);
	fs_device_free(f);
}

static void test_full(void)
{
	fill_owners(FS_HANDLES_PREFER);
	fill_owners(FS_HANDLES_NEVER);
	fill_fds(FS_HANDLES_PREFER);
	fill_fds(FS_HANDLES_NEVER);
}

int main(void)
{
	test_swapped();
	test_without();
	test_forgotten();
	test_kept();
	test_held();
	test_full();
	return check_done();
}
