/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmem/latch.c on real files, with extended attributes and without: the linker puts our own
 * functions in the place of the system calls (--wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/log.h"
#include "pmem/latch.h"
#include "tests/lib/check.h"

#define MARK ".image" LATCH_FILE_SUFFIX

/* One file's attribute, as a file system that has them would keep it. */
static struct {
	bool supported;
	bool full;   /* as on a full disk */
	bool broken; /* cannot be read */
	bool set;
	char value[64];
	bool probe; /* left behind */
} xattr;

ssize_t __wrap_getxattr(const char *file, const char *name, void *value, size_t size);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fremovexattr(int fd, const char *name);

static int fail(int err)
{
	errno = err;
	return -1;
}

ssize_t __wrap_getxattr(const char *file, const char *name, void *value, size_t size)
{
	(void)file;
	CHECK(!strcmp(name, LATCH_XATTR));
	if (!xattr.supported)
		return fail(EOPNOTSUPP);
	if (xattr.broken)
		return fail(EIO);
	if (!xattr.set)
		return fail(ENODATA);
	REQUIRE(size >= strlen(xattr.value));
	memcpy(value, xattr.value, strlen(xattr.value));
	return (ssize_t)strlen(xattr.value);
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	(void)fd, (void)flags;
	if (!xattr.supported)
		return fail(EOPNOTSUPP);
	if (strcmp(name, LATCH_XATTR)) {
		xattr.probe = true;
		return 0;
	}
	if (xattr.full)
		return fail(ENOSPC);
	REQUIRE(size < sizeof(xattr.value));
	memcpy(xattr.value, value, size);
	xattr.value[size] = '\0';
	xattr.set = true;
	return 0;
}

int __wrap_fremovexattr(int fd, const char *name)
{
	(void)fd;
	if (!xattr.supported)
		return fail(EOPNOTSUPP);
	if (strcmp(name, LATCH_XATTR)) {
		xattr.probe = false;
		return 0;
	}
	if (!xattr.set)
		return fail(ENODATA);
	xattr.set = false;
	return 0;
}

static char dir[PATH_MAX], path[PATH_MAX + 8];
static int fd;

static void set_up(bool has_xattr)
{
	const char *tmp = getenv("TMPDIR");

	memset(&xattr, 0, sizeof(xattr));
	xattr.supported = has_xattr;
	snprintf(dir, sizeof(dir), "%s/vdax-latch-XXXXXX", tmp ? tmp : "/tmp");
	REQUIRE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
}

static void tear_down(void)
{
	CHECK_EQ("no probe left behind", xattr.probe, 0);
	close(fd);
	unlink(path);
	CHECK_EQ("no mark left behind", rmdir(dir), 0);
}

/* Is there a mark beside the image? */
static bool mark_exists(void)
{
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool found;

	REQUIRE(dirfd >= 0);
	found = !faccessat(dirfd, MARK, F_OK, AT_SYMLINK_NOFOLLOW);
	close(dirfd);
	return found;
}

/* What a process that starts now finds. */
static int found_at_start(const char *where)
{
	struct latch l;
	int err;

	REQUIRE(latch_open(&l, where, fd) == 0);
	err = latch_error(&l);
	latch_close(&l);
	return err;
}

/* From the first failure to the operator's pardon, over restarts. */
static void test_life(bool has_xattr)
{
	struct latch l;

	set_up(has_xattr);
	REQUIRE(latch_open(&l, path, fd) == 0);
	CHECK_EQ("good at first", latch_error(&l), 0);
	CHECK_EQ("needs a file", latch_dirfd(&l) >= 0, !has_xattr);
	CHECK_EQ("no mark yet", mark_exists() || xattr.set, 0);
	latch_set(&l, ENOSPC);
	CHECK_EQ("set", latch_error(&l), ENOSPC);
	latch_set(&l, EIO);
	CHECK_EQ("the first one counts", latch_error(&l), ENOSPC);
	CHECK_EQ("mark beside the image", mark_exists(), !has_xattr);
	CHECK_EQ("mark on the image", xattr.set, has_xattr);
	latch_close(&l);

	CHECK_EQ("found again", found_at_start(path), ENOSPC);
	CHECK_EQ("and again", found_at_start(path), ENOSPC);
	CHECK_EQ("seen without opening", latch_peek(path), ENOSPC);
	REQUIRE(latch_open(&l, path, fd) == 0);
	latch_set(&l, EIO);
	CHECK_EQ("the older one counts", latch_error(&l), ENOSPC);
	CHECK_EQ("accepted", latch_clear(&l), 0);
	CHECK_EQ("clear", latch_error(&l), 0);
	CHECK_EQ("no mark", mark_exists() || xattr.set, 0);
	CHECK_EQ("nothing to accept", latch_clear(&l), 0);
	latch_close(&l);
	CHECK_EQ("gone for good", found_at_start(path), 0);
	tear_down();
}

/* The image by another name, and marks of both sorts: moved between file systems, say. */
static void test_symlink(void)
{
	char name[PATH_MAX + 16];
	struct latch l;

	set_up(false);
	snprintf(name, sizeof(name), "%s/link", dir);
	REQUIRE(!symlink("image", name));
	REQUIRE(latch_open(&l, name, fd) == 0);
	latch_set(&l, EIO);
	latch_close(&l);
	CHECK_NAMED("beside the image itself", mark_exists());
	CHECK_EQ("found by its other name", found_at_start(path), EIO);

	xattr.supported = xattr.set = true;
	REQUIRE(latch_open(&l, path, fd) == 0);
	CHECK_EQ("accepted", latch_clear(&l), 0);
	latch_close(&l);
	CHECK_EQ("both marks are gone", mark_exists() || xattr.set, 0);
	unlink(name);
	tear_down();
}

/* A mark that cannot be written is no reason to forget the failure. */
static void test_no_room(void)
{
	struct latch l;

	set_up(true);
	xattr.full = true;
	REQUIRE(latch_open(&l, path, fd) == 0);
	latch_set(&l, EIO);
	CHECK_EQ("set all the same", latch_error(&l), EIO);
	latch_close(&l);
	tear_down();
}

/* A link in the mark's place, put there by somebody else, is not followed. */
static void test_mark_is_a_link(void)
{
	char name[PATH_MAX + 64], victim[PATH_MAX + 16];
	struct latch l;

	set_up(false);
	REQUIRE(latch_open(&l, path, fd) == 0);
	snprintf(name, sizeof(name), "%s/%s", dir, MARK);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	REQUIRE(!symlink(victim, name));
	latch_set(&l, EIO);
	CHECK_EQ("set all the same", latch_error(&l), EIO);
	CHECK_EQ("not followed", access(victim, F_OK), -1);
	latch_close(&l);
	CHECK_EQ("counts as a mark", found_at_start(path), EIO);
	unlink(name);
	tear_down();
}

/* What cannot be read is not "no mark". */
static void test_unreadable(void)
{
	struct latch l;

	set_up(true);
	xattr.broken = true;
	CHECK_EQ("not opened", latch_open(&l, path, fd), -EIO);
	latch_close(&l);
	CHECK_EQ("not looked over", latch_peek(path), -EIO);
	tear_down();
}

/* Without a file nothing is kept; so for private copies. */
static void test_no_file(void)
{
	struct latch l;

	REQUIRE(latch_open(&l, "test", -1) == 0);
	CHECK_EQ("needs no file", latch_dirfd(&l), -1);
	latch_set(&l, EIO);
	CHECK_EQ("set", latch_error(&l), EIO);
	latch_close(&l);
	REQUIRE(latch_open(&l, "test", -1) == 0);
	CHECK_EQ("forgotten", latch_error(&l), 0);
	CHECK_EQ("nothing to accept", latch_clear(&l), 0);
	latch_close(&l);
}

int main(void)
{
	log_set_level((enum log_level) - 1); /* failures are the point here */
	test_life(true);
	test_life(false);
	test_symlink();
	test_no_room();
	test_mark_is_a_link();
	test_unreadable();
	test_no_file();
	return check_done();
}
