/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files a guest is told to map, and what the host and other VMs may do with those that are
 * mapped: truncate, execute, open for writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

#define AGE_US 400000u /* --dax-policy min-age */
#define BUDGET (DAX_SIZE / 4 * 3)

static struct fsd d, e; /* two VMs with one share */

static const char *const options[] = { "--dax-window", DAX_WINDOW, "--dax-policy",
				       "any-fs,min-age=0.4", NULL };

/* --- truncating what another VM has mapped --- */

static int open_truncating(struct dax_guest *g, uint64_t node)
{
	const struct fsd_rq rq = {
		FUSE_OPEN, node, { FSD_BODY(open, .flags = O_RDWR | O_TRUNC) }, 0
	};
	struct fuse_open_out out = { 0 };
	int ret = fsd_call(g->r, 1, &rq, &out, sizeof(out));

	if (ret > 0)
		dax_release(g, node, out.fh);
	return ret < 0 ? ret : 0;
}

/* What was given back is kept as a cache, and must not be in the way for long. */
static int truncate_soon(struct dax_guest *g, struct dax_guest *other, uint64_t node, uint64_t size)
{
	int ret = -ETXTBSY;

	for (int i = 0; i < 100 && ret == -ETXTBSY; i++) {
		front_poll(other->f, 20);
		ret = dax_truncate(g, node, size);
	}
	return ret;
}

static void test_two_guests(uint64_t flags)
{
	struct dax_guest a, b;
	uint64_t in_a, in_b;
	struct stat st;
	int fd = dax_make(&d, "both", 1, MIB(2) + 100);

	dax_boot(&a, &d, NULL);
	dax_boot(&b, &e, NULL);
	in_a = dax_find(&a, "both");
	in_b = dax_find(&b, "both");
	CHECK_EQ("map", dax_map(&a, in_a, 0, MIB(2), flags, 0), 0);
	CHECK_EQ("less", dax_truncate(&b, in_b, 100), -ETXTBSY);
	CHECK_EQ("nothing", open_truncating(&b, in_b), -ETXTBSY);
	CHECK_NAMED("as it was", !fstat(fd, &st) && st.st_size == (off_t)MIB(2) + 100);
	CHECK_EQ("the same", dax_truncate(&b, in_b, MIB(2) + 100), 0);
	CHECK_EQ("more", dax_truncate(&b, in_b, MIB(3)), 0);
	CHECK_NAMED("seen", dax_shows(&a, 0, 1, 0, MIB(2)));
	CHECK_EQ("a's own", dax_truncate(&a, in_a, MIB(2)), 0);
	CHECK_NAMED("left", dax_shows(&a, 0, 1, 0, MIB(2)));
	CHECK_EQ("still mapped", dax_truncate(&b, in_b, 100), -ETXTBSY);
	CHECK_EQ("in both", dax_map(&b, in_b, 0, MIB(2), flags, 0), 0);
	CHECK_NAMED("seen", dax_shows(&b, 0, 1, 0, MIB(2)));
	CHECK_EQ("now neither may", dax_truncate(&a, in_a, 100), -ETXTBSY);
	CHECK_EQ("now neither may", dax_truncate(&b, in_b, 100), -ETXTBSY);
	CHECK_EQ("unmap", dax_unmap(&a, 0, MIB(2)), 0);
	CHECK_EQ("b has it for itself", truncate_soon(&b, &a, in_b, MIB(1)), 0);
	CHECK_EQ("unmap", dax_unmap(&b, 0, MIB(2)), 0);
	CHECK_EQ("a may again", truncate_soon(&a, &b, in_a, 0), 0);
	dax_close(&a);
	dax_close(&b);
	close(fd);
}

/* A VM that has ended holds nothing. */
static void test_other_guest_ended(void)
{
	struct dax_guest a, b;
	uint64_t in_b;
	int fd = dax_make(&d, "ended", 2, MIB(2)), ret = -ETXTBSY;

	dax_boot(&a, &d, NULL);
	CHECK_EQ("map", dax_map(&a, dax_find(&a, "ended"), 0, MIB(2), DAX_RW, 0), 0);
	dax_boot(&b, &e, NULL);
	in_b = dax_find(&b, "ended");
	CHECK_EQ("mapped", dax_truncate(&b, in_b, 100), -ETXTBSY);
	dax_close(&a);
	for (int i = 0; i < 100 && ret == -ETXTBSY; i++) {
		usleep(10000);
		ret = dax_truncate(&b, in_b, 100);
	}
	CHECK_EQ("not mapped", ret, 0);
	dax_close(&b);
	close(fd);
}

/* --- programs --- */

/* A copy of a program into the share. */
static void copy_program(const char *from, const char *name, mode_t mode)
{
	static uint8_t buf[KIB(64)];
	char path[256];
	ssize_t n;
	int in, out;

	snprintf(path, sizeof(path), "%s/%s", d.share, name);
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	REQUIRE(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		REQUIRE(write(out, buf, (size_t)n) == n);
	close(in);
	close(out);
}

/* Its exit status; -errno if it could not be executed. */
static int run(const char *name)
{
	char path[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", d.share, name);
	pid = fork();
	REQUIRE(pid >= 0);
	if (!pid) {
		execl(path, name, NULL);
		_exit(errno == ETXTBSY ? 100 : 101);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_program(uint64_t flags)
{
	struct fuse_entry_out out;
	struct dax_guest g;
	char path[256];
	uint8_t got[4];

	snprintf(path, sizeof(path), "%s/program", d.share);
	unlink(path);
	copy_program("/bin/true", "program", 0755);
	usleep(AGE_US);
	dax_boot(&g, &d, NULL);
	CHECK(dax_lookup(&g, "program", &out) > 0);
	CHECK_EQ("not granted", out.attr.flags & FUSE_ATTR_DAX, 0);
	CHECK_EQ("mapped all the same", dax_map(&g, out.nodeid, 0, MIB(2), DAX_READ, 0), 0);
	CHECK(dax_load(&g, 0, got, 4) && !memcmp(got, "\177ELF", 4));
	CHECK_EQ("runs on the host", run("program"), 0);
	if (flags == DAX_RW)
		CHECK_EQ("the guest writes it", dax_map(&g, out.nodeid, 0, MIB(2), DAX_RW, 0), 0);
	CHECK_EQ("unmap", dax_unmap(&g, 0, MIB(2)), 0);
	CHECK_EQ("DESTROY", dax_destroy(&g), 0);
	dax_settle(&g);
	CHECK_EQ("runs on the host", run("program"), 0);
	dax_close(&g);
}

/* Copies of programs have a bound; what is not used any more makes room. */
static void test_copies_are_bounded(void)
{
	static const char *const few[] = { "--dax-window", DAX_WINDOW, "--dax-copies", "4M", NULL };
	struct dax_guest g;
	unsigned good = 0;
	char path[256];
	uint64_t node;
	struct fsd f;
	int fd;

	fsd_prepare_second(&f, &d, "/tmp");
	fsd_start(&f, few);
	fd = dax_make(&d, "big-program", 5, MIB(16));
	snprintf(path, sizeof(path), "%s/big-program", d.share);
	REQUIRE(!chmod(path, 0755));
	dax_boot(&g, &f, NULL);
	node = dax_find(&g, "big-program");
	for (uint64_t at = 0; at < MIB(16); at += DAX_RANGE) {
		int ret = dax_map(&g, node, at, DAX_RANGE, DAX_READ, at);

		CHECK_NAMED("mapped or EIO", !ret || ret == -EIO);
		if (ret)
			continue;
		good++;
		CHECK_NAMED("shows", dax_shows(&g, at, 5, at, DAX_RANGE));
	}
	CHECK_EQ("4 MiB of them", good, 2);
	CHECK_NAMED("and not more memory", fsd_rss(&f) < 64 << 10);
	CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_SIZE), 0);
	CHECK_EQ("room", dax_map(&g, node, MIB(8), DAX_RANGE, DAX_READ, MIB(8)), 0);
	CHECK_NAMED("shows", dax_shows(&g, MIB(8), 5, MIB(8), DAX_RANGE));
	dax_close(&g);
	fsd_end(&f);
	close(fd);
}

/* --- who is told to map it --- */

static const struct {
	const char *name;
	uint64_t size;
	mode_t mode;
	bool young, granted;
} files[] = {
	{ "stable", MIB(8), 0644, false, true },
	{ "odd", MIB(8) + 77, 0644, false, true },
	{ "smallest", MIB(1), 0644, false, true },
	{ "small", MIB(1) - 1, 0644, false, false },
	{ "empty", 0, 0644, false, false },
	{ "runs", MIB(4), 0755, false, false },
	{ "runs-for-others", MIB(4), 0645, false, false },
	{ "changed", MIB(4), 0644, true, false },
	{ "half", DAX_SIZE / 2, 0644, false, true },
	{ "large", DAX_SIZE / 2 + 1, 0644, false, false },
};

static void make_sized(const char *name, uint64_t size, mode_t mode)
{
	int fd = dax_make(&d, name, 0, 0);

	REQUIRE(!ftruncate(fd, (off_t)size) && !fchmod(fd, mode));
	close(fd);
}

static bool granted(struct dax_guest *g, const char *name)
{
	struct fuse_entry_out out = { 0 };
	struct fuse_attr attr;
	bool yes;

	CHECK_NAMED(name, dax_lookup(g, name, &out) > 0);
	yes = out.attr.flags & FUSE_ATTR_DAX;
	CHECK_NAMED(name, dax_getattr(g, out.nodeid, &attr) > 0);
	CHECK_EQ(name, attr.flags & FUSE_ATTR_DAX, yes ? FUSE_ATTR_DAX : 0);
	return yes;
}

static void test_policy(void)
{
	struct dax_guest g;
	char path[256];

	snprintf(path, sizeof(path), "%s/dir", d.share);
	REQUIRE(!mkdir(path, 0755));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!files[i].young)
			make_sized(files[i].name, files[i].size, files[i].mode);
	usleep(AGE_US + 100000);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (files[i].young)
			make_sized(files[i].name, files[i].size, files[i].mode);
		dax_boot(&g, &d, NULL); /* each has the whole budget */
		CHECK_EQ(files[i].name, granted(&g, files[i].name), files[i].granted);
		CHECK_NAMED("a directory", !granted(&g, "dir"));
		dax_close(&g);
	}
}

/* Guests that do not know of it, and a share where nobody should. */
static void test_never(void)
{
	static const char *const never[] = { "--dax-window", DAX_WINDOW, "--dax-policy",
					     "any-fs,min-age=0.4,never", NULL };
	struct dax_guest g;
	struct fsd f;

	make_sized("asked", MIB(8), 0644);
	usleep(AGE_US + 100000);
	fsd_prepare_second(&f, &d, "/tmp");
	fsd_start(&f, never);
	dax_boot(&g, &f, NULL);
	CHECK_NAMED("never", !granted(&g, "asked"));
	CHECK_EQ("but who insists", dax_map(&g, dax_find(&g, "asked"), 0, MIB(2), DAX_RW, 0), 0);
	dax_close(&g);
	fsd_end(&f);
	dax_boot(&g, &d, NULL);
	CHECK_NAMED("yes", granted(&g, "asked"));
	fsd_init(g.r, DAX_INIT & ~FUSE_HAS_INODE_DAX);
	CHECK_NAMED("does not know", !granted(&g, "asked"));
	dax_close(&g);
}

/* That another VM has it mapped is no reason: it only reads as long as nobody is told otherwise. */
static void test_two_vms(void)
{
	struct dax_guest a, b;

	make_sized("of-both", MIB(8), 0644);
	usleep(AGE_US + 100000);
	dax_boot(&a, &d, NULL);
	CHECK_NAMED("one", granted(&a, "of-both"));
	CHECK_EQ("map", dax_map(&a, dax_find(&a, "of-both"), 0, MIB(2), DAX_RW, 0), 0);
	dax_boot(&b, &e, NULL);
	CHECK_NAMED("the other", granted(&b, "of-both"));
	dax_close(&b);
	dax_close(&a);
}

static void test_writers(void)
{
	struct dax_guest g;
	char path[256];
	uint64_t node, fh;
	int fd;

	make_sized("written", MIB(8), 0644);
	usleep(AGE_US + 100000);
	snprintf(path, sizeof(path), "%s/written", d.share);
	dax_boot(&g, &d, NULL);
	fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0);
	CHECK_NAMED("open for writing on the host", !granted(&g, "written"));
	node = dax_find(&g, "written");
	fh = fsd_open(g.r, 1, FUSE_OPEN, node, O_RDWR);
	close(fd);
	CHECK_NAMED("in the guest", !granted(&g, "written"));
	CHECK_EQ("RELEASE", dax_release(&g, node, fh), 0);
	CHECK_NAMED("OPEN", fsd_open(g.r, 1, FUSE_OPEN, node, O_RDONLY));
	CHECK_NAMED("only to read", granted(&g, "written"));
	dax_close(&g);
}

/* Many files that suit: together they fit into the window, and more when others are forgotten. */
static void test_budget(void)
{
	struct fuse_entry_out out;
	uint64_t sum = 0, node[32];
	struct dax_guest g;
	unsigned n = 0;
	char name[16];

	for (unsigned i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		make_sized(name, MIB(3), 0644);
	}
	usleep(AGE_US + 100000);
	dax_boot(&g, &d, NULL);
	for (unsigned i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		CHECK(dax_lookup(&g, name, &out) > 0);
		node[i] = out.nodeid;
		n += (out.attr.flags & FUSE_ATTR_DAX) != 0;
		sum += out.attr.flags & FUSE_ATTR_DAX ? MIB(4) : 0; /* whole ranges */
	}
	CHECK_NAMED("not beyond it", sum <= BUDGET);
	CHECK_EQ("and all of it", n, BUDGET / MIB(4));
	CHECK_NAMED("the last had no luck", !granted(&g, "many31"));
	for (unsigned i = 0; i < 31; i++)
		CHECK_EQ("FORGET", fsd_forget(g.r, 0, node[i], 1), 0);
	CHECK_NAMED("now it has", granted(&g, "many31"));
	dax_close(&g);
}

int main(void)
{
	fsd_prepare(&d, "/tmp");
	fsd_prepare_second(&e, &d, "/tmp");
	fsd_start(&d, options);
	fsd_start(&e, options);
	test_two_guests(DAX_RW);
	test_two_guests(DAX_READ);
	test_other_guest_ended();
	test_program(DAX_READ);
	test_program(DAX_RW);
	test_copies_are_bounded();
	test_policy();
	test_never();
	test_two_vms();
	test_writers();
	test_budget();
	fsd_end(&e);
	fsd_end(&d);
	return check_done();
}
