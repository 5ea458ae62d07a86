/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DAX window under anything: ranges are set up, given back in pieces, replaced; files grow and
 * shrink by the guest and by the host; the guest stores; the front end refuses, or the device stops
 * at any point, and continues or is reset. A model knows what the guest owns, and what each file
 * has. usage: unit_fs_dax_random [SEED]; the seed is printed.
 */
#include <errno.h>
#include <time.h>

#include "tests/lib/dax_device.h"
#include "virtio/fault.h"

#define OPS	 30000u
#define PAGES	 96u /* of the window; the rest is left alone */
#define FILES	 4u
#define FILE_MAX 20u /* pages */
#define MAX_MAPS 24u
#define MS	 UINT64_C(1000000)

/* Page p of the window is page p - at of a file, if the guest owns it. */
struct page {
	bool owned, write;
	unsigned file;
	int64_t at;
};

struct file {
	uint64_t node, fh, size;
	int fd;
	uint8_t bytes[FILE_MAX * DAX_PAGE];
	bool stored; /* by the guest, and perhaps not yet in the file */
	int64_t stored_at;
};

static struct {
	struct dax_device *d;
	struct page page[PAGES];
	struct file file[FILES];
	/* A SETUPMAPPING that is under way. */
	struct page want;
	uint64_t from, to;
	bool gone; /* with its guest */
	uint64_t state;
	unsigned answered, failed, busy, stops, resets, stores;
} w;

static uint32_t any(uint32_t below)
{
	w.state = w.state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(w.state >> 33) % below;
}

static bool one_in(uint32_t n)
{
	return !any(n);
}

static uint8_t *view(uint64_t page)
{
	return w.d->shm.base + page * DAX_PAGE;
}

/* --- what must hold --- */

/* Does the guest go on using page p whatever becomes of the request that is under way? */
static bool is_kept(uint64_t p)
{
	const struct page *o = &w.page[p];

	if (!o->owned)
		return false;
	return p < w.from || p >= w.to || (o->file == w.want.file && o->at == w.want.at);
}

/* The front end's hook. */
static void goes(uint64_t off, uint64_t len)
{
	for (uint64_t p = off / DAX_PAGE; p < (off + len) / DAX_PAGE && p < PAGES; p++)
		CHECK_NAMED("what is owned is not unmapped", !is_kept(p));
}

static uint64_t bytes_at(const struct file *f, int64_t page)
{
	uint64_t off = (uint64_t)page * DAX_PAGE;

	return f->size > off ? MIN(f->size - off, (uint64_t)DAX_PAGE) : 0;
}

/* A page shows what the file has; some of it, or all. */
static void check_page(uint64_t p, bool all)
{
	const struct page *o = &w.page[p];
	const struct file *f = &w.file[o->file];
	int64_t page = (int64_t)p - o->at;
	uint64_t n = bytes_at(f, page);
	const uint8_t *want = f->bytes + (uint64_t)page * DAX_PAGE;

	if (!n || (f->stored && f->stored_at != o->at))
		return; /* another copy may not know of a store yet */
	REQUIRE(dax_page_is_mapped(w.d, p));
	if (all)
		CHECK_NAMED("shows the file", !memcmp(view(p), want, n));
	for (unsigned i = 0; i < 3 && !all; i++) {
		uint64_t k = any((uint32_t)n);

		CHECK_EQ("shows the file", view(p)[k], want[k]);
	}
}

/*
 * What was stored gets into the file, and the guest learns that it has changed, by a time of its
 * own: those of the file system are too coarse. So all copies are what the file is.
 */
static void sync_file(struct file *f)
{
	static struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
	uint64_t size;

	CHECK_EQ("FLUSH", dax_flush(w.d, f->node, f->fh), 0);
	t[1].tv_sec++;
	REQUIRE(!futimens(f->fd, t));
	dax_getattr(w.d, f->node, &size);
	f->stored = false;
}

static void check_file(struct file *f)
{
	static uint8_t got[FILE_MAX * DAX_PAGE + 1];

	sync_file(f);
	CHECK_EQ("size", pread(f->fd, got, sizeof(got), 0), f->size);
	CHECK_NAMED("the file has what was stored", !memcmp(got, f->bytes, f->size));
}

static void check(bool all)
{
	struct dax *x = dax_of(w.d);
	unsigned owned = 0;

	CHECK_EQ("refused by a rule of the front end", w.d->shm.bad_maps, 0);
	CHECK_NAMED("mappings", w.d->shm.n <= MAX_MAPS && x->map.n <= MAX_MAPS);
	for (unsigned i = 0; all && i < FILES; i++)
		check_file(&w.file[i]);
	for (unsigned p = 0; p < PAGES; p++) {
		owned += w.page[p].owned;
		if (w.page[p].owned && (all || one_in(8)))
			check_page(p, all);
	}
	CHECK_EQ("owned", x->map.owned, owned);
}

/* --- life --- */

static void files_find(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		const char name[] = { (char)('a' + i), 0 };

		w.file[i].node = fs_device_lookup(w.d->f, name);
		w.file[i].fh = fs_device_open(w.d->f, FUSE_OPEN, w.file[i].node, O_RDWR);
		w.file[i].stored = false;
		REQUIRE(w.file[i].node && w.file[i].fh);
	}
}

static void nothing_owned(void)
{
	memset(w.page, 0, sizeof(w.page));
	w.gone = true;
}

static void stop_and_go_on(void)
{
	bool continued = !one_in(4);

	dax_device_stop(w.d, (enum fake_shm_fate)any(3));
	if (!continued) {
		nothing_owned();
		if (one_in(2))
			w.d->f->fs.ops.reset(&w.d->f->fs);
	}
	dax_device_go_on(w.d, continued);
	w.stops += continued;
	w.resets += !continued;
	if (continued)
		return;
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	files_find();
}

/* Everything to its end, with what may happen meanwhile. */
static void settle(bool calm)
{
	dax_device_run(w.d);
	while (w.d->shm.first) {
		bool lost = !calm && !w.d->shm.first->is_map && w.d->shm.late.len;

		if (!calm && one_in(12))
			stop_and_go_on();
		else if (!calm && !lost && w.d->shm.first->is_map && one_in(20))
			fake_shm_answer(&w.d->shm, -EIO);
		else
			fake_shm_answer(&w.d->shm, 0);
		dax_device_run(w.d);
	}
}

/* --- requests --- */

/* What has become of the SETUPMAPPING. */
static void take(int ret)
{
	if (ret == -EBUSY) {
		w.busy++;
		return;
	}
	w.answered += !ret;
	w.failed += ret != 0;
	CHECK_NAMED("no other error", !ret || ret == -EIO);
	for (uint64_t p = w.from; p < w.to; p++) {
		struct page *o = &w.page[p];
		bool same = o->owned && o->file == w.want.file && o->at == w.want.at;

		if (!ret) {
			bool write = w.want.write || (same && o->write);

			*o = w.want;
			o->write = write;
		} else if (!same && o->owned) {
			/* It may have gone, or not: the guest is safe only without it. */
			o->owned = false;
			CHECK_EQ("give back", dax_unmap(w.d, w.file[0].node, p, 1), 0);
		}
	}
}

static void setup(void)
{
	unsigned file = any(FILES), len = 1 + any(one_in(3) ? 16 : 4);
	uint64_t off = any(PAGES - len), foff = any(FILE_MAX);

	if (!one_in(3)) /* where it belongs */
		foff = off % 24 < FILE_MAX ? off % 24 : 0;
	w.from = off;
	w.to = off + len;
	w.want = (struct page){ true, one_in(2), file, (int64_t)off - (int64_t)foff };
	w.gone = false;
	dax_send_later(w.d, 1, 0, w.file[file].node, foff, len, w.want.write ? DAX_RW : DAX_READ,
		       off);
	settle(false);
	if (!w.gone)
		take(fs_device_result(w.d->f, 1, 0));
	w.from = w.to = 0;
}

static void give_back(void)
{
	unsigned len = 1 + any(12), off = any(PAGES - len);

	for (unsigned p = off; p < off + len; p++)
		w.page[p].owned = false;
	CHECK_EQ("REMOVEMAPPING", dax_unmap(w.d, w.file[any(FILES)].node, off, len), 0);
}

/* A page that is owned for writing and has bytes of its file; PAGES: none. */
static unsigned find_writable(void)
{
	unsigned p = any(PAGES);

	for (unsigned n = 0; n < PAGES; n++, p = (p + 1) % PAGES) {
		const struct page *o = &w.page[p];

		if (o->owned && o->write && bytes_at(&w.file[o->file], (int64_t)p - o->at))
			return p;
	}
	return PAGES;
}

static void store(void)
{
	unsigned p = find_writable();
	const struct page *o = &w.page[p % PAGES];
	struct file *f = &w.file[o->file];
	uint64_t n, at, foff;

	if (p == PAGES)
		return;
	if (f->stored && f->stored_at != o->at)
		sync_file(f);
	f->stored = true;
	f->stored_at = o->at;
	foff = (uint64_t)((int64_t)p - o->at) * DAX_PAGE;
	n = bytes_at(f, (int64_t)p - o->at);
	at = any((uint32_t)n);
	n = 1 + any((uint32_t)MIN(n - at, 200u));
	for (uint64_t i = at; i < at + n; i++)
		f->bytes[foff + i] = view(p)[i] = (uint8_t)any(256);
	w.stores++;
}

/* Bytes to a place of the file, which may be behind its end. */
static void fill(struct file *f, uint64_t off, uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		f->bytes[off + i] = bytes[i] = (uint8_t)any(256);
	f->size = MAX(f->size, off + len);
}

static void write_by_request(void)
{
	struct file *f = &w.file[any(FILES)];
	uint32_t len = 1 + any(3000);
	uint64_t off = any((uint32_t)sizeof(f->bytes) - len);
	uint8_t bytes[3000];

	fill(f, off, bytes, len);
	CHECK_EQ("WRITE", dax_write(w.d, f->node, f->fh, off, bytes, len),
		 sizeof(struct fuse_write_out));
}

static void write_by_host(void)
{
	struct file *f = &w.file[any(FILES)];
	uint32_t len = 1 + any(3000);
	uint64_t off = any((uint32_t)sizeof(f->bytes) - len);
	uint8_t bytes[3000];

	sync_file(f); /* who is last is not told by bytes alone */
	fill(f, off, bytes, len);
	REQUIRE(pwrite(f->fd, bytes, len, (off_t)off) == (ssize_t)len);
	sync_file(f);
}

static void resize(void)
{
	struct file *f = &w.file[any(FILES)];
	uint64_t size = one_in(2) ? any(FILE_MAX + 1) * DAX_PAGE : any(sizeof(f->bytes) + 1);

	if (one_in(2)) {
		CHECK_EQ("SETATTR", dax_truncate(w.d, f->node, size), sizeof(struct fuse_attr_out));
	} else {
		sync_file(f);
		REQUIRE(!ftruncate(f->fd, (off_t)size));
		sync_file(f);
	}
	if (size < f->size)
		memset(f->bytes + size, 0, f->size - size);
	f->size = size;
}

static void unmount(void)
{
	unsigned was = w.resets;

	nothing_owned();
	fs_device_send(w.d->f, 1, 0, FUSE_DESTROY, 0, NULL, 0, 0);
	fs_device_serve(w.d->f, 1);
	settle(false);
	if (w.resets != was)
		return;
	CHECK_EQ("DESTROY", fs_device_result(w.d->f, 1, 0), 0);
	CHECK_EQ("mapped", w.d->shm.n, 0);
	dax_check_empty(w.d);
	fs_device_init_session(w.d->f, DAX_DEVICE_INIT);
	files_find();
}

static void sleep_some(void)
{
	static const uint64_t ns[] = { MS, 30 * MS, 500 * MS, 61000 * MS };

	dax_now_ns += ns[any(ARRAY_SIZE(ns))];
	w.d->attend = true;
	settle(false);
}

static void any_op(void)
{
	static void (*const ops[])(void) = {
		setup,	   setup,     setup,	     setup,
		setup,	   setup,     store,	     store,
		give_back, give_back, write_by_host, write_by_request,
		store,	   store,     sleep_some,    write_by_request,
		resize,	   resize,
	};

	if (one_in(300))
		unmount();
	else if (one_in(300))
		stop_and_go_on();
	else
		ops[any(ARRAY_SIZE(ops))]();
	settle(false);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	unsigned fds;

	fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	w.state = seed;
	REQUIRE(!fault_init());
	w.d = dax_device_new();
	dax_device_start(w.d, DAX_DEVICE_INIT);
	dax_of(w.d)->max_maps = MAX_MAPS;
	w.d->shm.goes = goes;
	for (unsigned i = 0; i < FILES; i++) {
		const char name[] = { (char)('a' + i), 0 };

		/* The last one is a program, so never mapped itself. */
		w.file[i].fd = dax_file_make(w.d, name, 0, 0, i + 1 < FILES ? 0644 : 0755);
	}
	files_find();
	fds = dax_count_fds();
	for (unsigned n = 0; n < OPS && !check_failed; n++) {
		any_op();
		check(n % 32 == 0);
	}
	settle(true);
	check(true);
	nothing_owned();
	CHECK_EQ("DESTROY", dax_destroy(w.d), 0);
	dax_check_empty(w.d);
	CHECK_NAMED("descriptors", dax_count_fds() <= fds);
	CHECK_EQ("empty files made longer", w.d->shm.grown, 0);
	fprintf(stderr, "%u set up, %u failed, %u busy; %u stores, %u stops, %u resets; %u maps\n",
		w.answered, w.failed, w.busy, w.stores, w.stops, w.resets, w.d->shm.maps);
	CHECK_NAMED("a bit of everything",
		    w.answered > OPS / 8 && w.failed && w.busy && w.stores && w.stops && w.resets);
	for (unsigned i = 0; i < FILES; i++)
		close(w.file[i].fd);
	dax_device_free(w.d);
	return check_done();
}
