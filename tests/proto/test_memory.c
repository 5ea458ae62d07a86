/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory that changes: regions that cannot be mapped, tables that come while the
 * device runs or syncs, and memory that goes away under the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "front/ram.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/guest.h"
#include "tests/proto/raw.h"
#include "vdax/errno.h"

#define BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)

static struct daemon d, stalled;

static struct vhost_user_region ram_region(const struct guest *g)
{
	return (struct vhost_user_region){ .size = g->f->opts.ram_size,
					   .uva = (uintptr_t)g->f->ram };
}

static int send_region(struct guest *g, uint32_t request, struct vhost_user_region region, int fd)
{
	struct front_msg m = { .hdr = { request, 0, sizeof(m.p.reg) },
			       .fds = { fd },
			       .nfds = request == VHOST_USER_ADD_MEM_REG };

	m.p.reg.region = region;
	return front_call(g->f, &m, FRONT_ACK);
}

/* Waits until the daemon says that the queue is broken; then forgets that it was. */
static bool breaks(struct guest *g)
{
	bool broken;

	for (unsigned ms = 0; ms < 5000 && !g->f->q[0].errs; ms++)
		front_poll(g->f, 1);
	broken = g->f->q[0].errs == 1;
	g->f->q[0].errs = 0;
	return broken;
}

/* The guest resets, and all works again. */
static void check_healed(const char *name, struct guest *g)
{
	guest_reset(g);
	CHECK_EQ(name, front_start(g->f), 0);
	CHECK_EQ(name, vdax_pmem_probe(&g->g.pm), 0);
	CHECK_EQ(name, g->f->q[0].errs, 0);
	CHECK_EQ(name, g->f->stats.violations, 0);
}

/* --- regions that cannot be mapped: present, but unusable --- */

static int make_memfd(uint64_t size, int flags)
{
	int fd = memfd_create("test-ram", MFD_CLOEXEC);
	int again;
	char path[64];

	REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)size));
	if (flags == O_RDWR)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	REQUIRE(again >= 0);
	close(fd);
	return again;
}

static int make_pipe(void)
{
	int p[2];

	REQUIRE(!pipe2(p, O_CLOEXEC));
	close(p[0]);
	return p[1];
}

static int odd_fd(int kind)
{
	switch (kind) {
	case 0:
		return make_memfd(MIB(2) - 1, O_RDWR);
	case 1:
		return make_memfd(0, O_RDWR);
	case 2:
		return make_memfd(MIB(2), O_RDONLY);
	case 3:
		return eventfd(0, EFD_CLOEXEC);
	case 4:
		return make_pipe();
	case 5:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
}

static const char *const odd_names[] = { "one byte short", "empty",	"read-only", "eventfd",
					 "pipe",	   "/dev/null", "folder" };

static void test_unusable(void)
{
	const struct vhost_user_region odd = { .gpa = GIB(2), .size = MIB(2), .uva = GIB(2) };

	for (int i = 0; i < (int)ARRAY_SIZE(odd_names); i++) {
		const char *name = odd_names[i];
		int fd = odd_fd(i);
		struct guest g;

		REQUIRE(fd >= 0);
		guest_open(&g, &d, NULL);
		CHECK_EQ(name, send_region(&g, VHOST_USER_ADD_MEM_REG, odd, fd), 0);
		CHECK_EQ(name, front_start(g.f), 0);
		CHECK_EQ(name, vdax_pmem_probe(&g.g.pm), 0);
		CHECK_EQ(name, send_region(&g, VHOST_USER_ADD_MEM_REG, odd, fd), -EREMOTEIO);
		CHECK_EQ(name, send_region(&g, VHOST_USER_REM_MEM_REG, odd, -1), 0);
		CHECK_EQ(name, guest_flush(&g), 0);
		guest_close(&g);
		close(fd);
	}
}

/* A ring in unusable memory, or in none, does not run; that is an answer, not the end. */
static void test_ring_nowhere(bool listed)
{
	struct front_msg m[RAW_STARTUP_MAX];
	enum raw_outcome last = RAW_WRONG;
	eventfd_t events;
	struct raw r;
	unsigned n;

	raw_open(&r, &d);
	if (listed)
		REQUIRE(!ftruncate(r.ram_fd, (off_t)RAW_RAM / 2));
	n = raw_startup(&r, m);
	for (unsigned i = 0; i < n; i++) {
		enum raw_outcome o;

		if (m[i].hdr.request == VHOST_USER_ADD_MEM_REG && !listed)
			continue;
		if (m[i].hdr.request == VHOST_USER_SET_VRING_ENABLE)
			m[i].hdr.flags |= VHOST_USER_F_NEED_REPLY;
		o = raw_call(&r, &m[i]);
		if (m[i].hdr.request == VHOST_USER_SET_VRING_ENABLE)
			last = o;
	}
	CHECK_EQ("refused", last, RAW_NACK);
	CHECK_NAMED("told by the err descriptor", eventfd_read(r.event, &events) == 0);
	raw_fill(&r, VHOST_USER_GET_VRING_BASE, &m[0]);
	CHECK_EQ("stop", raw_call(&r, &m[0]), RAW_ACK);
	if (listed)
		REQUIRE(!ftruncate(r.ram_fd, (off_t)RAW_RAM));
	raw_fill(&r, VHOST_USER_SET_MEM_TABLE, &m[0]);
	m[0].hdr.flags = RAW_NEED_ACK;
	CHECK_EQ("memory", raw_call(&r, &m[0]), RAW_ACK);
	raw_fill(&r, VHOST_USER_SET_VRING_KICK, &m[0]);
	m[0].hdr.flags = RAW_NEED_ACK;
	CHECK_EQ("now it runs", raw_call(&r, &m[0]), RAW_ACK);
	raw_close(&r);
}

/* --- tables while the device runs --- */

static int send_table(struct guest *g, const struct vhost_user_region *r, unsigned n)
{
	struct front_msg m = { .hdr = { VHOST_USER_SET_MEM_TABLE, 0, 8 + n * (uint32_t)sizeof(*r) },
			       .nfds = n };

	m.p.table.nregions = n;
	for (unsigned i = 0; i < n; i++) {
		m.p.table.regions[i] = r[i];
		m.fds[i] = g->f->ram_fd;
	}
	return front_call(g->f, &m, FRONT_ACK);
}

static void test_replaced_table(void)
{
	struct vhost_user_region r[2];
	struct guest g;

	guest_boot(&g, &d, &(struct guest_opts){ .drop_protocol = BIT(CONFIGURE_MEM_SLOTS) });
	r[0] = ram_region(&g);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ("the same table", send_table(&g, r, 1), 0);
		CHECK_EQ("flush", guest_flush(&g), 0);
	}
	/* In halves; the ring is in the first one. */
	r[1] = r[0];
	r[0].size = r[1].size /= 2;
	r[1].gpa = r[1].mmap_offset = r[0].size;
	r[1].uva += r[0].size;
	CHECK_EQ("halves", send_table(&g, r, 2), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("the first half", send_table(&g, r, 1), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("overlapping", send_table(&g, (struct vhost_user_region[]){ r[0], r[0] }, 2),
		 -EREMOTEIO);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("one map of it", daemon_use(&d).ram_maps, 1);
	CHECK_EQ("not broken", g.f->q[0].errs, 0);
	CHECK_EQ("the second half", send_table(&g, r + 1, 1), 0);
	CHECK_EQ("flush in the first one", guest_flush(&g), 0);
	CHECK_EQ("no memory at all", send_table(&g, r, 0), 0);
	CHECK_EQ("flush in the first one", guest_flush(&g), 0);
	CHECK_EQ("one map of it", daemon_use(&d).ram_maps, 1);
	CHECK_EQ("halves", send_table(&g, r, 2), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("never broken", g.f->q[0].errs, 0);
	guest_close(&g);
}

/* QEMU removes and adds what has changed: the region with the ring, too, while it runs. */
static void test_removed_ring(void)
{
	struct vhost_user_region ram;
	struct guest g;

	guest_boot(&g, &d, NULL);
	ram = ram_region(&g);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ("remove", send_region(&g, VHOST_USER_REM_MEM_REG, ram, -1), 0);
		CHECK_EQ("flush", guest_flush(&g), 0);
		CHECK_EQ("add", send_region(&g, VHOST_USER_ADD_MEM_REG, ram, g.f->ram_fd), 0);
		CHECK_EQ("flush", guest_flush(&g), 0);
	}
	CHECK_EQ("one map is left", daemon_use(&d).ram_maps, 1);
	CHECK_EQ("remove", send_region(&g, VHOST_USER_REM_MEM_REG, ram, -1), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("never broken", g.f->q[0].errs, 0);
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_EQ("not mapped any more", daemon_use(&d).ram_maps, 0);
	g.f->ram_listed = false;
	check_healed("after a removal", &g);
	guest_close(&g);
}

/* Hot-plugged RAM holds the buffers of requests at once. */
static void test_added_region(void)
{
	const struct vhost_user_region more = { .gpa = GIB(2), .size = MIB(2), .uva = GIB(2) };
	int fd = make_memfd(MIB(2), O_RDWR);
	struct guest g;

	guest_boot(&g, &d, NULL);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ("add", send_region(&g, VHOST_USER_ADD_MEM_REG, more, fd), 0);
		CHECK_EQ("flush", guest_flush(&g), 0);
		CHECK_EQ("remove", send_region(&g, VHOST_USER_REM_MEM_REG, more, -1), 0);
		CHECK_EQ("flush", guest_flush(&g), 0);
	}
	CHECK_EQ("one map is left", daemon_use(&d).ram_maps, 1);
	guest_close(&g);
	close(fd);
}

/* --- in the middle of a sync --- */

static void boot_in_sync(struct guest *g, struct noted *n)
{
	int64_t syncs;

	guest_open(g, &stalled, &(struct guest_opts){ .timeout_ns = 20000000000u });
	REQUIRE(!front_start(g->f));
	daemon_release(&stalled, 1);
	REQUIRE(!vdax_pmem_probe(&g->g.pm));
	syncs = daemon_stat(&stalled, "syncs");
	guest_submit(g, n);
	CHECK(daemon_stat_reaches(&stalled, "syncs", syncs + 1));
}

static void test_change_in_sync(void)
{
	const struct vhost_user_region more = { .gpa = GIB(2), .size = MIB(2), .uva = GIB(2) };
	int fd = make_memfd(MIB(2), O_RDWR);
	struct noted n;
	struct guest g;

	boot_in_sync(&g, &n);
	CHECK_EQ("acknowledged at once", send_region(&g, VHOST_USER_ADD_MEM_REG, more, fd), 0);
	CHECK_EQ("and again", send_region(&g, VHOST_USER_REM_MEM_REG, more, -1), 0);
	CHECK_EQ("the ring's, too", send_region(&g, VHOST_USER_REM_MEM_REG, ram_region(&g), -1), 0);
	CHECK_EQ("held while it is needed", daemon_use(&stalled).ram_maps, 1);
	daemon_release(&stalled, 1);
	CHECK_NAMED("answered in the memory of then", guest_wait(&g, &n, 5000) && n.ret == 0);
	CHECK_EQ("not broken", g.f->q[0].errs, 0);
	daemon_release(&stalled, 1);
	g.f->ram_listed = false;
	check_healed("after that", &g);
	guest_close(&g);
	close(fd);
}

/* --- truncated under the daemon; here nobody may look while it is --- */

static void set_ram_size(struct guest *g, uint64_t size)
{
	REQUIRE(!ftruncate(g->f->ram_fd, (off_t)size));
}

static void test_truncated(void)
{
	struct guest g;

	guest_boot(&g, &d, NULL);
	set_ram_size(&g, 0);
	front_kick(g.f, 0);
	CHECK_NAMED("breaks the queue", breaks(&g));
	CHECK_EQ("the process lives", daemon_stat(&d, "connected"), 1);
	front_kick(g.f, 0);
	set_ram_size(&g, g.f->opts.ram_size);
	check_healed("after truncation", &g);
	guest_close(&g);

	/*
	 * While it is stopped; then it does not start. Without slots, as with them QEMU
	 * does not survive a reset after a start that listed the mapping.
	 */
	guest_boot(&g, &d, &(struct guest_opts){ .drop_protocol = BIT(CONFIGURE_MEM_SLOTS) });
	CHECK_EQ("stop", front_stop(g.f), 0);
	set_ram_size(&g, 0);
	CHECK_EQ("start without memory", front_start(g.f), 0); /* QEMU asks for no answer */
	CHECK_NAMED("the queue is broken", breaks(&g));
	CHECK_EQ("the process lives", daemon_stat(&d, "connected"), 1);
	set_ram_size(&g, g.f->opts.ram_size);
	check_healed("after truncation while stopped", &g);
	guest_close(&g);
}

static void test_truncated_in_sync(void)
{
	struct noted n;
	struct guest g;

	boot_in_sync(&g, &n);
	set_ram_size(&g, 0);
	daemon_release(&stalled, 1);
	CHECK_NAMED("the answer breaks the queue", breaks(&g));
	CHECK_EQ("the process lives", daemon_stat(&stalled, "connected"), 1);
	set_ram_size(&g, g.f->opts.ram_size);
	daemon_release(&stalled, 1);
	check_healed("after truncation in a sync", &g);
	guest_close(&g);
}

/* Regions without end, in descending order: there is a limit, and no more is held. */
static void test_many_regions(void)
{
	struct vhost_user_region r = { .size = 4096, .uva = GIB(2) };
	int fd = make_memfd(4096, O_RDWR);
	struct front_msg m = { .hdr = { VHOST_USER_ADD_MEM_REG, RAW_NEED_ACK, 40 },
			       .fds = { fd },
			       .nfds = 1 };
	unsigned added = 0;
	struct raw raw;

	raw_open(&raw, &d);
	raw_negotiate(&raw, RAW_PROTOCOL_BITS);
	for (unsigned i = 0; i < 600; i++) {
		r.gpa = (600 - i) * UINT64_C(4096);
		m.p.reg.region = r;
		added += raw_call(&raw, &m) == RAW_ACK;
	}
	CHECK_EQ("as many as were promised", added, 512);
	raw_close(&raw);
	close(fd);
}

int main(void)
{
	struct daemon_use before;

	daemon_start(&d, NULL);
	daemon_start(&stalled, &(struct daemon_opts){ .stall = true });
	check_serves("the first", &d);
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	before = daemon_use(&d);

	test_unusable();
	test_ring_nowhere(true);
	test_ring_nowhere(false);
	test_replaced_table();
	test_removed_ring();
	test_added_region();
	test_many_regions();
	test_change_in_sync();
	test_truncated();
	test_truncated_in_sync();
	check_serves("the last", &d);

	CHECK(daemon_stat_becomes(&d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	CHECK_EQ("exit status", daemon_stop(&d), 0);
	CHECK_EQ("exit status", daemon_stop(&stalled), 0);
	return check_done();
}
