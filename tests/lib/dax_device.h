/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-fs device with a DAX window, on one thread: queues' threads and the control thread run
 * when the test says so, the front end (tests/lib/fake_shm.h) answers when the test says so, and
 * the clock stands still. Offsets and lengths of the window are in pages.
 */
#ifndef TESTS_LIB_DAX_DEVICE_H
#define TESTS_LIB_DAX_DEVICE_H

#include "fs/dax.h"
#include "fs/dax_window.h"
#include "host/fd.h"
#include "tests/lib/fake_shm.h"
#include "tests/lib/fs_device.h"

#define DAX_DEVICE_WINDOW (8u << 20)
#define DAX_DEVICE_INIT	  (FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX)
#define DAX_READ	  (uint64_t) FUSE_SETUPMAPPING_FLAG_READ
#define DAX_RW		  (DAX_READ | (uint64_t)FUSE_SETUPMAPPING_FLAG_WRITE)
#define DAX_PENDING	  1 /* not answered yet */

/* CLOCK_MONOTONIC, as the linker gives it to fs/: a test is linked with --wrap=clock_ns. */
static uint64_t dax_now_ns = 1000ull * NS_PER_S;

uint64_t __wrap_clock_ns(void);
uint64_t __wrap_clock_ns(void)
{
	return dax_now_ns;
}

struct dax_device {
	struct fs_device *f;
	struct fake_shm shm;
	_Atomic bool attend; /* was asked for */
	bool stopped;	     /* between stop and start */
	uint64_t again_ns;   /* what attend() returned last */
	uint16_t base[FS_DEVICE_QUEUES];
};

static struct dax_device dax_devices[2];

static inline void dax_device_attend(void *ctx)
{
	dax_devices[dax_devices[1].f == ctx].attend = true;
}

/* The options may be changed before dax_device_start(). Two at most live at a time. */
static inline struct dax_device *dax_device_new(void)
{
	struct dax_device *d = &dax_devices[dax_devices[0].f != NULL];

	REQUIRE(!d->f);
	*d = (struct dax_device){ .f = fs_device_new() };
	d->f->cfg.dax_window = DAX_DEVICE_WINDOW;
	d->f->cfg.dax_copies = FS_DAX_COPIES;
	d->f->cfg.dax_maps = FS_DAX_MAPS;
	d->f->cfg.killpriv_v2 = true;
	d->f->cfg.dax_policy = (struct fs_dax_policy){ .any_fs = true };
	return d;
}

static inline struct dax *dax_of(const struct dax_device *d)
{
	return d->f->fs.dax;
}

/* A start of the device, without a session. */
static inline void dax_device_make(struct dax_device *d)
{
	struct fs_device *f = d->f;

	fs_device_make(f);
	fake_shm_init(&d->shm, f->cfg.dax_window);
	f->host.shm = &fake_shm_ops;
	f->host.shm_ctx = &d->shm;
	f->host.attend = dax_device_attend;
	f->fs.ops.start(&f->fs, &(struct device_start){ .can_map = true });
}

static inline void dax_device_start(struct dax_device *d, uint64_t features)
{
	dax_device_make(d);
	fs_device_init_session(d->f, features);
}

static inline void dax_device_free(struct dax_device *d)
{
	CHECK_EQ("empty files that QEMU makes longer", d->shm.grown, 0);
	if (!d->stopped) {
		fake_shm_cancel(&d->shm, FAKE_SHM_LOST);
		d->f->fs.ops.stop(&d->f->fs);
	}
	fake_shm_forget(&d->shm);
	fake_shm_fini(&d->shm);
	fs_device_free(d->f);
	d->f = NULL;
}

/* --- threads --- */

/* Everybody does what there is to do, but the front end answers nothing. */
static inline void dax_device_run(struct dax_device *d)
{
	while (!d->stopped && (d->attend || d->f->woken)) {
		if (d->attend) {
			d->attend = false;
			d->again_ns = d->f->fs.ops.attend(&d->f->fs);
		}
		for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++)
			if (d->f->woken & 1u << q)
				fs_device_serve(d->f, q);
	}
}

/* The front end, too. */
static inline void dax_device_settle(struct dax_device *d)
{
	dax_device_run(d);
	while (d->shm.first) {
		fake_shm_answer(&d->shm, 0);
		dax_device_run(d);
	}
}

/* Time goes on, and the control thread's timer with it. */
static inline void dax_device_sleep(struct dax_device *d, uint64_t ns)
{
	dax_now_ns += ns;
	d->attend = true;
	dax_device_settle(d);
}

/* --- requests --- */

/* SETUPMAPPING, as far as the queue's thread goes. */
static inline void dax_send_later(struct dax_device *d, unsigned q, unsigned slot, uint64_t node,
				  uint64_t foff, uint64_t len, uint64_t flags, uint64_t off)
{
	const struct fuse_setupmapping_in in = {
		.fh = UINT64_MAX,
		.foffset = foff * DAX_PAGE,
		.len = len * DAX_PAGE,
		.flags = flags,
		.moffset = off * DAX_PAGE,
	};

	fs_device_send(d->f, q, slot, FUSE_SETUPMAPPING, node, &in, sizeof(in), 0);
	fs_device_serve(d->f, q);
}

/* As far as it goes without the front end. */
static inline void dax_send_map(struct dax_device *d, unsigned q, unsigned slot, uint64_t node,
				uint64_t foff, uint64_t len, uint64_t flags, uint64_t off)
{
	dax_send_later(d, q, slot, node, foff, len, flags, off);
	dax_device_run(d);
}

/* To its end. */
static inline int dax_map(struct dax_device *d, uint64_t node, uint64_t foff, uint64_t len,
			  uint64_t flags, uint64_t off)
{
	dax_send_map(d, 1, 0, node, foff, len, flags, off);
	dax_device_settle(d);
	return fs_device_result(d->f, 1, 0);
}

static inline int dax_unmap(struct dax_device *d, uint64_t node, uint64_t off, uint64_t len)
{
	struct {
		struct fuse_removemapping_in in;
		uint8_t one[sizeof(struct fuse_removemapping_one)];
	} body = { .in.count = 1 };
	const struct fuse_removemapping_one one = { .moffset = off * DAX_PAGE,
						    .len = len * DAX_PAGE };
	int ret;

	memcpy(body.one, &one, sizeof(one));
	ret = fs_device_call(d->f, 1, FUSE_REMOVEMAPPING, node, &body, sizeof(body), NULL, 0);
	dax_device_settle(d);
	return ret;
}

static inline int dax_destroy(struct dax_device *d)
{
	fs_device_send(d->f, 1, 0, FUSE_DESTROY, 0, NULL, 0, 0);
	fs_device_serve(d->f, 1);
	dax_device_settle(d);
	return fs_device_result(d->f, 1, 0);
}

/* What was stored is in the file, and the other way round. */
static inline int dax_flush(struct dax_device *d, uint64_t node, uint64_t fh)
{
	const struct fuse_flush_in in = { .fh = fh };

	return fs_device_call(d->f, 1, FUSE_FLUSH, node, &in, sizeof(in), NULL, 0);
}

static inline int dax_write(struct dax_device *d, uint64_t node, uint64_t fh, uint64_t off,
			    const void *bytes, uint32_t len)
{
	struct {
		struct fuse_write_in in;
		uint8_t bytes[FS_DEVICE_HALF / 2];
	} body = { .in = { .fh = fh, .offset = off, .size = len } };
	struct fuse_write_out out;

	REQUIRE(len <= sizeof(body.bytes));
	memcpy(body.bytes, bytes, len);
	return fs_device_call(d->f, 1, FUSE_WRITE, node, &body, (uint32_t)sizeof(body.in) + len,
			      &out, sizeof(out));
}

static inline int dax_truncate(struct dax_device *d, uint64_t node, uint64_t size)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = size };
	struct fuse_attr_out out;

	return fs_device_call(d->f, 1, FUSE_SETATTR, node, &in, sizeof(in), &out, sizeof(out));
}

/* FUSE_ATTR_DAX of GETATTR; the size in *size, if wanted. */
static inline bool dax_getattr(struct dax_device *d, uint64_t node, uint64_t *size)
{
	const struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;

	REQUIRE(fs_device_call(d->f, 1, FUSE_GETATTR, node, &in, sizeof(in), &out, sizeof(out)) ==
		sizeof(out));
	if (size)
		*size = out.attr.size;
	return out.attr.flags & FUSE_ATTR_DAX;
}

/* --- life --- */

/* The rings go back, requests are cancelled, the device stops. */
static inline void dax_device_stop(struct dax_device *d, enum fake_shm_fate fate)
{
	struct fs_device *f = d->f;

	for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++) {
		f->driver[q]->vq.stopping = true;
		fs_device_serve(f, q);
		d->base[q] = vq_stop(&f->driver[q]->vq);
	}
	fake_shm_cancel(&d->shm, fate);
	f->fs.ops.stop(&f->fs);
	d->stopped = true;
}

/* continued: the rings go on where they stopped; if not so, mappings and rings are gone. */
static inline void dax_device_go_on(struct dax_device *d, bool continued)
{
	struct fs_device *f = d->f;

	d->shm.open = true;
	d->stopped = false;
	if (!continued)
		fake_shm_drop(&d->shm);
	f->fs.ops.start(&f->fs, &(struct device_start){ .continued = continued, .can_map = true });
	for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++) {
		struct fake_driver *r = f->driver[q];
		struct vq_config cfg = r->cfg;

		cfg.base = d->base[q];
		if (!continued) {
			cfg.base = r->avail_idx = f->seen[q] = 0;
			ring_store(&r->avail->idx, 0);
			ring_store(&r->used->idx, 0);
		}
		REQUIRE(vq_start(&r->vq, &cfg, r->mem) == 0);
		fs_device_serve(f, q);
	}
	dax_device_run(d);
}

/* --- files, and what the guest sees --- */

static inline uint8_t dax_byte(unsigned seed, uint64_t at)
{
	return (uint8_t)(seed * 31 + at * 7 + at / DAX_PAGE * 13 + 1);
}

/* A file of the host's, of a pattern. Returns a descriptor. */
static inline int dax_file_make(const struct dax_device *d, const char *name, unsigned seed,
				uint64_t size, mode_t mode)
{
	int fd = openat(d->f->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	uint8_t *bytes = malloc(size + 1);

	REQUIRE(fd >= 0 && bytes && !fchmod(fd, mode));
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = dax_byte(seed, i);
	REQUIRE(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	free(bytes);
	return fd;
}

/* Is a page mapped? */
static inline bool dax_page_is_mapped(const struct dax_device *d, uint64_t page)
{
	for (unsigned i = 0; i < d->shm.n; i++)
		if (page * DAX_PAGE >= d->shm.v[i].off &&
		    page * DAX_PAGE < d->shm.v[i].off + d->shm.v[i].len)
			return true;
	return false;
}

/* Does the guest see n bytes of a file's pattern at page off of the window? */
static inline bool dax_shows(const struct dax_device *d, uint64_t off, unsigned seed, uint64_t foff,
			     uint64_t n)
{
	const uint8_t *p = d->shm.base + off * DAX_PAGE;

	for (uint64_t i = 0; i < n; i += DAX_PAGE)
		if (!dax_page_is_mapped(d, off + i / DAX_PAGE))
			return false;
	for (uint64_t i = 0; i < n; i++)
		if (p[i] != dax_byte(seed, foff * DAX_PAGE + i))
			return false;
	return true;
}

/* Descriptors of this process. */
static inline unsigned dax_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Nothing is left of any mapping: no piece, file, copy. */
static inline void dax_check_empty(struct dax_device *d)
{
	struct dax *x = dax_of(d);

	CHECK_EQ("pieces", x->map.n, 0);
	CHECK_EQ("owned pages", x->map.owned, 0);
	CHECK_EQ("files", x->n_files, 0);
	CHECK_EQ("bytes of copies", x->copied, 0);
	CHECK_EQ("copies with a base", x->n_written, 0);
	CHECK_NAMED("nothing waits to be freed", !x->dead_pieces && !x->dead_files);
	CHECK_NAMED("no operation is left", !x->todo.first && !x->busy);
}

#endif
