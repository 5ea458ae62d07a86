/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window over the life of a VM: unmounts, resets, stop and continue, front ends that refuse,
 * are late, or cannot map at all, and read-only shares.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/dax.h"

#define BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)
#define SEED	  7u
#define PIECE	  KIB(64)
#define PIECES	  200u

static struct fsd d;
static int file = -1; /* "file", 16 MiB of SEED; tests store at its very end only */

static const char *const plain[] = {
	"--dax-window", DAX_WINDOW, "--tag", "dax", "--dax-policy", "any-fs,writers,min-age=0", NULL
};

static void map_ok(struct dax_guest *g, uint64_t node, uint64_t at)
{
	CHECK_EQ("map", dax_map(g, node, at, DAX_RANGE, DAX_RW, at), 0);
	CHECK_NAMED("shows", dax_shows(g, at, SEED, at, DAX_RANGE - 8));
}

/* Is the main channel alive, and a request without a mapping answered? */
static void check_alive(struct dax_guest *g)
{
	struct fuse_attr attr;
	uint64_t features;

	CHECK_EQ("main channel", front_get_u64(g->f, VHOST_USER_GET_FEATURES, &features), 0);
	CHECK_NAMED("requests", dax_getattr(g, FUSE_ROOT_ID, &attr) > 0);
}

/* --- sessions --- */

/* An unmount sends DESTROY and no REMOVEMAPPING: the host's files are free after it. */
static void test_destroy(void)
{
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	for (int i = 0; i < 3; i++) {
		uint64_t node = dax_find(&g, "file");

		for (uint64_t at = 0; at < MIB(16); at += DAX_RANGE)
			map_ok(&g, node, at);
		CHECK_NAMED("mapped", g.f->maps.n >= 8);
		CHECK_EQ("DESTROY", dax_destroy(&g), 0);
		dax_settle(&g);
		CHECK_EQ("nothing is left", g.f->maps.n, 0);
		fsd_init(g.r, DAX_INIT);
	}
	check_alive(&g);
	dax_close(&g);
}

/* A guest that crashed and was started again by itself: INIT, and what it had is not its own. */
static void test_init_again(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	map_ok(&g, dax_find(&g, "file"), 0);
	fsd_init(g.r, DAX_INIT);
	node = dax_find(&g, "file");
	map_ok(&g, node, DAX_RANGE);
	CHECK_EQ("in place of the old one", dax_map(&g, node, DAX_RANGE, DAX_PAGE, DAX_RW, 0), 0);
	CHECK(dax_shows(&g, 0, SEED, DAX_RANGE, DAX_PAGE));
	dax_close(&g);
}

/* The front end drops all mappings at a reset, and does not say so. */
static void test_reset(const struct fsd *of, uint64_t drop_protocol)
{
	struct dax_guest g;

	dax_boot(&g, of, &(struct front_opts){ .drop_protocol = drop_protocol });
	for (int i = 0; i < 4; i++) {
		uint64_t node = dax_find(&g, "file"), maps = g.f->stats.maps;

		for (uint64_t at = 0; at < MIB(16); at += DAX_RANGE)
			map_ok(&g, node, at);
		CHECK_EQ("each anew", g.f->stats.maps - maps, 8);
		CHECK_EQ("reset", front_reset(g.f), 0);
		CHECK_EQ("dropped", g.f->maps.n, 0);
		dax_new_driver(&g);
		fsd_init(g.r, DAX_INIT);
	}
	CHECK_EQ("none was refused", g.f->stats.map_errors, 0);
	dax_close(&g);
}

/* There RAM of a VM may be as well: by the file system the mappings are not told from it. */
static void test_reset_on_tmpfs(void)
{
	struct fsd e;

	fsd_prepare(&e, "/dev/shm");
	close(dax_make(&e, "file", SEED, MIB(16)));
	fsd_start(&e, plain);
	test_reset(&e, 0);
	fsd_end(&e);
}

static void test_front_end_goes(void)
{
	struct dax_guest g;
	unsigned fds = 0;

	for (int i = 0; i < 4; i++) {
		dax_boot(&g, &d, NULL);
		for (uint64_t at = 0; at < MIB(16); at += DAX_RANGE)
			map_ok(&g, dax_find(&g, "file"), at);
		if (i == 1)
			fds = fsd_fds(&d);
		if (i > 1)
			CHECK_EQ("no descriptor is left", fsd_fds(&d), fds);
		dax_close(&g);
	}
}

/* --- what was stored last --- */

static void by_stop(struct dax_guest *g, struct fsd *of)
{
	(void)of;
	CHECK_EQ("stop", front_stop(g->f), 0);
}

static void by_reset(struct dax_guest *g, struct fsd *of)
{
	(void)of;
	CHECK_EQ("reset", front_reset(g->f), 0);
	dax_new_driver(g);
}

static void by_init(struct dax_guest *g, struct fsd *of)
{
	(void)of;
	fsd_init(g->r, DAX_INIT);
}

static void by_destroy(struct dax_guest *g, struct fsd *of)
{
	(void)of;
	CHECK_EQ("DESTROY", dax_destroy(g), 0);
}

static void by_close(struct dax_guest *g, struct fsd *of)
{
	(void)of;
	front_close(g->f);
	g->r->f = g->f = NULL;
}

static void by_sigterm(struct dax_guest *g, struct fsd *of)
{
	int status;

	(void)g;
	REQUIRE(!kill(of->pid, SIGTERM));
	REQUIRE(waitpid(of->pid, &status, 0) == of->pid);
	CHECK_EQ("exit status", status, 0);
	of->pid = 0;
}

static const struct {
	const char *name;
	void (*end)(struct dax_guest *g, struct fsd *of);
	bool closed;
} ends[] = {
	{ "stop", by_stop, false },	    { "reset", by_reset, false },
	{ "INIT", by_init, false },	    { "DESTROY", by_destroy, false },
	{ "VM is killed", by_close, true }, { "daemon ends", by_sigterm, false },
};

/* In a page that is a private copy, just before everything ends: it gets into the file. */
static void test_last_store(void)
{
	struct fsd e;

	fsd_prepare_second(&e, &d, "/tmp");
	fsd_start(&e, plain);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct dax_guest g;
		bool there = false;
		int fd = dax_make(&e, "last", SEED, 1000);

		dax_boot(&g, &e, NULL);
		CHECK_EQ("map", dax_map(&g, dax_find(&g, "last"), 0, DAX_RANGE, DAX_RW, 0), 0);
		usleep(300000); /* so that nobody looks after it any more as often as at first */
		front_poll(g.f, 0);
		CHECK(dax_store(&g, 990, "last store", 10));
		ends[i].end(&g, &e);
		for (unsigned ms = 0; ms < (ends[i].closed ? 500 : 1) && !there; ms += 10) {
			there = dax_file_has(fd, 990, "last store", 10);
			usleep(there ? 0 : 10000);
		}
		CHECK_NAMED(ends[i].name, there);
		close(fd);
		front_raw_close(g.r);
	}
	fsd_end(&e);
}

/* --- stop and continue --- */

static uint64_t piece_at(unsigned i)
{
	return i * 2 * PIECE; /* never next to each other, so one map for each */
}

static void check_pieces(const char *name, struct dax_guest *g, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		CHECK_NAMED(name, dax_shows(g, piece_at(i), SEED, piece_at(i) / 4, PIECE));
}

static void test_stop_cont(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	for (unsigned i = 0; i < PIECES; i++)
		CHECK_EQ("map", dax_map(&g, node, piece_at(i) / 4, PIECE, DAX_RW, piece_at(i)), 0);
	check_pieces("mapped", &g, 0, PIECES);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ("stop", front_stop(g.f), 0);
		check_pieces("while stopped", &g, 0, PIECES);
		CHECK_EQ("cont", front_start(g.f), 0);
		check_pieces("after it", &g, 0, PIECES);
		check_alive(&g);
	}
	CHECK_EQ("none twice", g.f->stats.maps, PIECES);
	CHECK_EQ("none removed", g.f->stats.unmaps, 0);
	for (unsigned i = 0; i < PIECES / 2; i++)
		CHECK_EQ("unmap", dax_unmap(&g, piece_at(i), PIECE), 0);
	CHECK_EQ("another file's part", dax_map(&g, node, MIB(8), MIB(1), DAX_RW, 0), 0);
	CHECK_NAMED("shows", dax_shows(&g, 0, SEED, MIB(8), MIB(1)));
	check_pieces("the others", &g, PIECES / 2, PIECES);
	dax_close(&g);
}

/*
 * What was mapped before a stop is in QEMU's shadow table, and a reset with it is the end of QEMU.
 * So it goes when the guest gives it back, and is not kept.
 */
static void test_reset_after_cont(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	map_ok(&g, node, 0);
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_EQ("cont", front_start(g.f), 0);
	CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_RANGE), 0);
	dax_settle(&g);
	CHECK_EQ("not kept", g.f->maps.n, 0);
	map_ok(&g, node, DAX_RANGE);
	CHECK_EQ("reset", front_reset(g.f), 0);
	CHECK_EQ("is survived", g.f->stats.violations, 0);
	dax_close(&g);
}

static void wait_held(struct dax_guest *g)
{
	for (int i = 0; i < 200 && !g->f->num_held; i++)
		front_poll(g->f, 20);
	REQUIRE(g->f->num_held);
}

/* The front end looks at a request only after stop and continue. */
static void test_stop_while_mapping(void)
{
	struct dax_guest g;
	uint64_t node;
	int ticket;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	g.f->faults.reply = FRONT_REPLY_LATE;
	ticket = dax_post_map(&g, node, 0, DAX_RANGE, DAX_RW, 0);
	wait_held(&g);
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_EQ("cont", front_start(g.f), 0);
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	front_release(g.f);
	CHECK_EQ("answered", fsd_wait(g.r, 1, ticket, NULL, 0), 0);
	CHECK_NAMED("shows", dax_shows(&g, 0, SEED, 0, DAX_RANGE - 8));
	map_ok(&g, node, DAX_RANGE);
	dax_close(&g);
}

/* The same with a reset: the request is gone with its driver. */
static void test_reset_while_mapping(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	g.f->faults.reply = FRONT_REPLY_LATE;
	dax_post_map(&g, node, 0, DAX_RANGE, DAX_RW, 0);
	wait_held(&g);
	CHECK_EQ("reset", front_reset(g.f), 0);
	dax_new_driver(&g);
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	front_release(g.f);
	fsd_init(g.r, DAX_INIT);
	node = dax_find(&g, "file");
	map_ok(&g, node, 0);
	map_ok(&g, node, DAX_RANGE);
	dax_close(&g);
}

/* --- front ends that do not do it --- */

static void test_refused(void)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	g.f->faults.reply = FRONT_REPLY_ERROR;
	for (int i = 0; i < 3; i++)
		CHECK_EQ("refused", dax_map(&g, node, 0, DAX_RANGE, DAX_RW, 0), -EIO);
	check_alive(&g);
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	map_ok(&g, node, 0);
	CHECK_EQ("unmap", dax_unmap(&g, 0, DAX_RANGE), 0);
	/* Now what is in the way is not removed: whoever says so has lost it, or is out of order.
	 */
	g.f->faults.reply = FRONT_REPLY_ERROR;
	CHECK_EQ("refused", dax_map(&g, node, DAX_RANGE, DAX_RANGE, DAX_RW, 0), -EIO);
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	CHECK_EQ("in the way", dax_map(&g, node, DAX_RANGE, DAX_RANGE, DAX_RW, 0), -EIO);
	map_ok(&g, node, DAX_RANGE);
	check_alive(&g);
	dax_close(&g);
}

static void test_late(void)
{
	struct dax_guest g;
	uint64_t node;
	int ticket;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	g.f->faults.reply = FRONT_REPLY_LATE;
	ticket = dax_post_map(&g, node, 0, DAX_RANGE, DAX_RW, 0);
	wait_held(&g);
	for (int i = 0; i < 10; i++) {
		front_poll(g.f, 20);
		check_alive(&g);
	}
	CHECK_NAMED("not answered before it",
		    g.r->q[1].slot[ticket].busy && !g.r->q[1].slot[ticket].answered);
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	front_release(g.f);
	CHECK_EQ("then it is", fsd_wait(g.r, 1, ticket, NULL, 0), 0);
	CHECK(dax_shows(&g, 0, SEED, 0, DAX_RANGE - 8));
	dax_close(&g);
}

static void test_never(void)
{
	struct dax_guest g;
	uint64_t node, before;
	int ticket;

	dax_boot(&g, &d, NULL);
	node = dax_find(&g, "file");
	g.f->faults.reply = FRONT_REPLY_NEVER;
	before = g.f->stats.backend;
	ticket = dax_post_map(&g, node, 0, DAX_RANGE, DAX_RW, 0);
	for (int i = 0; i < 200 && g.f->stats.backend == before; i++)
		front_poll(g.f, 20);
	for (int i = 0; i < 10; i++)
		check_alive(&g);
	CHECK_NAMED("not answered", !g.r->q[1].slot[ticket].answered);
	CHECK_EQ("stop", front_stop(g.f), 0);
	dax_close(&g);
	dax_boot(&g, &d, NULL);
	map_ok(&g, dax_find(&g, "file"), 0);
	dax_close(&g);
}

/* QEMU answers before it commits: nothing may be told to the guest before the second. */
static void test_no_table_follows(void)
{
	struct dax_guest g;

	dax_boot(&g, &d, NULL);
	g.f->faults.no_table = true;
	map_ok(&g, dax_find(&g, "file"), 0);
	map_ok(&g, dax_find(&g, "file"), DAX_RANGE);
	CHECK_NAMED("asked", g.f->stats.config_changes >= 1);
	dax_close(&g);
}

/* A front end without shared memory has no window, and files all the same. */
static void test_cannot_map(uint64_t drop_protocol)
{
	struct fuse_entry_out out;
	struct dax_guest g;
	struct fsd_rq rq;
	uint8_t got[100];
	uint64_t node, fh;

	dax_boot(&g, &d, &(struct front_opts){ .drop_protocol = drop_protocol });
	CHECK(dax_lookup(&g, "file", &out) > 0);
	node = out.nodeid;
	CHECK_NAMED("refused", dax_map(&g, node, 0, DAX_RANGE, DAX_RW, 0) < 0);
	CHECK_NAMED("fine", dax_unmap(&g, 0, DAX_RANGE) <= 0);
	fh = fsd_open(g.r, 1, FUSE_OPEN, node, O_RDONLY);
	rq = (struct fsd_rq){ FUSE_READ, node, { FSD_BODY(read, .fh = fh, .size = 100) }, 0 };
	CHECK_EQ("READ", fsd_call(g.r, 1, &rq, got, 100), 100);
	CHECK(dax_file_has(file, 0, got, 100));
	check_alive(&g);
	dax_close(&g);
}

/* With SET_MEM_TABLE there is room for 8 regions; the mappings work beyond them. */
static void test_few_features(uint64_t drop_protocol)
{
	struct dax_guest g;
	uint64_t node;

	dax_boot(&g, &d, &(struct front_opts){ .drop_protocol = drop_protocol });
	node = dax_find(&g, "file");
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ("map", dax_map(&g, node, piece_at(i) / 4, PIECE, DAX_RW, piece_at(i)), 0);
	dax_settle(&g);
	check_pieces("shown", &g, 0, 20);
	check_alive(&g);
	dax_close(&g);
}

/* --- read-only shares --- */

/* Whatever the guest stores, the file is as it was. */
static void try_store(struct dax_guest *g, uint64_t node, uint64_t flags)
{
	int ret = dax_map(g, node, 0, DAX_RANGE, flags, 0);
	uint8_t before[16];

	REQUIRE(pread(file, before, 16, 100) == 16);
	if (!ret) {
		CHECK_NAMED("shows", dax_shows(g, 0, SEED, 0, DAX_RANGE));
		dax_store(g, 100, "an evil guest is", 16);
	}
	CHECK_EQ("unmap", dax_unmap(g, 0, DAX_RANGE), 0);
	dax_settle(g);
	CHECK_NAMED("not a byte", dax_file_has(file, 100, before, 16));
}

static void test_read_only(bool enforced)
{
	const struct front_opts o = { .enforce_read_only = enforced };
	static const char *const options[] = { "--dax-window",
					       DAX_WINDOW,
					       "--readonly",
					       "--dax-policy",
					       "any-fs,writers,min-age=0",
					       NULL };
	struct fuse_entry_out out;
	struct dax_guest g;
	struct fsd e;

	fsd_prepare_second(&e, &d, "/tmp");
	fsd_start(&e, options);
	dax_boot(&g, &e, &o);
	CHECK(dax_lookup(&g, "file", &out) > 0);
	CHECK_EQ("granted if the front end enforces it", out.attr.flags & FUSE_ATTR_DAX,
		 enforced ? FUSE_ATTR_DAX : 0);
	try_store(&g, out.nodeid, DAX_RW);
	try_store(&g, out.nodeid, DAX_READ);
	if (enforced) {
		CHECK_EQ("map", dax_map(&g, out.nodeid, 0, DAX_RANGE, DAX_READ, MIB(4)), 0);
		CHECK_NAMED("shows", dax_shows(&g, MIB(4), SEED, 0, DAX_RANGE));
		CHECK_NAMED("cannot be stored to", !dax_store(&g, MIB(4), "x", 1));
		REQUIRE(pwrite(file, "host", 4, MIB(16) - 4) == 4);
		CHECK_EQ("map", dax_map(&g, out.nodeid, MIB(14), DAX_RANGE, DAX_READ, 0), 0);
		REQUIRE(pwrite(file, "HOST", 4, MIB(16) - 4) == 4);
		CHECK_NAMED("is the file itself", !memcmp(g.window + DAX_RANGE - 4, "HOST", 4));
	}
	check_alive(&g);
	dax_close(&g);
	fsd_end(&e);
}

int main(void)
{
	fsd_prepare(&d, "/tmp");
	file = dax_make(&d, "file", SEED, MIB(16));
	fsd_start(&d, plain);
	test_destroy();
	test_init_again();
	test_reset(&d, 0);
	test_reset(&d, BIT(CONFIGURE_MEM_SLOTS));
	test_reset_on_tmpfs();
	test_front_end_goes();
	test_last_store();
	test_stop_cont();
	test_reset_after_cont();
	test_stop_while_mapping();
	test_reset_while_mapping();
	test_refused();
	test_late();
	test_never();
	test_no_table_follows();
	test_cannot_map(BIT(SHMEM));
	test_cannot_map(BIT(BACKEND_REQ));
	test_cannot_map(BIT(BACKEND_SEND_FD));
	test_few_features(BIT(CONFIGURE_MEM_SLOTS));
	test_few_features(BIT(REPLY_ACK));
	test_few_features(BIT(STATUS) | BIT(RESET_DEVICE));
	test_read_only(false);
	test_read_only(true);
	fsd_end(&d);
	return check_done();
}
