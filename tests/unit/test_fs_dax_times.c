/* SPDX-License-Identifier: BSD-2-Clause */
/* What a private copy in the window must not hide, and not do late: times, holes, truncations. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fs/dax_lock.h"
#include "fs/dax_window.h"
#include "tests/lib/dax_device.h"
#include "virtio/fault.h"

#define SECOND UINT64_C(1000000000)

/* A device with one file, of which the guest has 16 pages. */
struct world {
	struct dax_device *d;
	uint64_t node, fh;
	int fd;
};

static struct world world_new(uint64_t size)
{
	struct world w = { .d = dax_device_new() };

	dax_device_start(w.d, DAX_DEVICE_INIT);
	w.fd = dax_file_make(w.d, "f", 0, size, 0644);
	w.node = fs_device_lookup(w.d->f, "f");
	w.fh = fs_device_open(w.d->f, FUSE_OPEN, w.node, O_RDWR);
	CHECK_EQ("map", dax_map(w.d, w.node, 0, 16, DAX_RW, 0), 0);
	return w;
}

static void world_end(struct world *w)
{
	CHECK_EQ("DESTROY", dax_destroy(w->d), 0);
	dax_check_empty(w->d);
	CHECK_EQ("requests that a rule of the front end forbids", w->d->shm.bad_maps, 0);
	dax_device_free(w->d);
	close(w->fd);
}

/* A store is older than the time that is set after it, whenever it is saved. */
static void test_time_is_set_last(void)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MTIME, .mtime = 1000000 };
	struct world w = world_new(100);
	struct fuse_attr_out out;
	struct stat st;

	w.d->shm.base[5] ^= 0xff;
	CHECK_EQ(
		"SETATTR",
		fs_device_call(w.d->f, 1, FUSE_SETATTR, w.node, &in, sizeof(in), &out, sizeof(out)),
		sizeof(out));
	dax_device_sleep(w.d, 2 * SECOND);
	REQUIRE(!fstat(w.fd, &st));
	CHECK_EQ("mtime on the host", st.st_mtime, 1000000);
	world_end(&w);
}

/* The host changes the file and sets its time back, as rsync and tar do. */
static void test_time_is_set_back(void)
{
	struct world w = world_new(100);
	struct timespec times[2];
	struct stat st;

	dax_getattr(w.d, w.node, NULL);
	REQUIRE(!fstat(w.fd, &st) && pwrite(w.fd, "by host", 7, 0) == 7);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	REQUIRE(!futimens(w.fd, times));
	dax_getattr(w.d, w.node, NULL);
	CHECK_NAMED("seen", !memcmp(w.d->shm.base, "by host", 7));
	world_end(&w);
}

/* A store into a hole makes data of it. */
static void test_hole(void)
{
	struct world w = world_new(100);
	const struct fuse_lseek_in in = { .fh = w.fh, .offset = 4 * DAX_PAGE, .whence = SEEK_DATA };
	struct fuse_lseek_out out = { 0 };

	CHECK_EQ("grow", dax_truncate(w.d, w.node, 16 * DAX_PAGE), sizeof(struct fuse_attr_out));
	memcpy(w.d->shm.base + 8 * DAX_PAGE, "stored", 6);
	CHECK_EQ("SEEK_DATA",
		 fs_device_call(w.d->f, 1, FUSE_LSEEK, w.node, &in, sizeof(in), &out, sizeof(out)),
		 sizeof(out));
	CHECK_EQ("found", out.offset, 8 * DAX_PAGE);
	world_end(&w);
}

/* Of two truncations at once the first to end leaves the lock to the second. */
static void test_two_truncations(void)
{
	struct world w = world_new(16 * DAX_PAGE);
	struct fs *fs = &w.d->f->fs;
	struct inode *i = inode_get(fs, w.node);
	struct dax_shrink a, b;
	char path[32];
	int other;

	REQUIRE(i);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w.fd);
	other = open(path, O_RDWR | O_CLOEXEC); /* of another VM's daemon */
	REQUIRE(other >= 0);
	CHECK_EQ("one", dax_shrink_begin(fs, i, w.fd, &a), 0);
	CHECK_EQ("two", dax_shrink_begin(fs, i, w.fd, &b), 0);
	CHECK_EQ("who maps waits", dax_lock(other, F_RDLCK), -EAGAIN);
	dax_shrink_end(fs, &a);
	CHECK_EQ("and waits", dax_lock(other, F_RDLCK), -EAGAIN);
	dax_shrink_end(fs, &b);
	CHECK_EQ("then maps", dax_lock(other, F_RDLCK), 0);
	CHECK_EQ("and nobody shrinks it", dax_shrink_begin(fs, i, w.fd, &a), -ETXTBSY);
	close(other);
	inode_put(fs, i);
	world_end(&w);
}

int main(void)
{
	REQUIRE(!fault_init());
	test_time_is_set_last();
	test_time_is_set_back();
	test_hole();
	test_two_truncations();
	return check_done();
}
