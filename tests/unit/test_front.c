/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front/ and guest/ against our own daemon, which runs in a second thread behind a socket
 * pair: the whole path of a flush but for a virtual machine.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "front/guest.h"
#include "front/queue.h"
#include "front/ram.h"
#include "front/shmem.h"
#include "host/log.h"
#include "host/loop.h"
#include "pmem/device.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"
#include "wire/ring.h"

#define BIT(name)  ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)
#define IMAGE_SIZE MIB(6) /* not a power of two: there is a second, empty region */

/* The daemon: everything that cmd/ would put together, in a thread. */
static struct daemon {
	char path[64];
	struct loop loop;
	struct image img;
	struct latch latch;
	struct flush flush;
	struct pmem pmem;
	struct vhost vhost;
	pthread_t thread;
} d;

static struct front *f;
static struct front_pmem g;

static int sync_image(void *ctx)
{
	return image_sync(ctx);
}

static void *run_daemon(void *arg)
{
	(void)arg;
	return loop_run(&d.loop) ? &d : NULL;
}

static int start_daemon(void)
{
	static const struct sync_ops sync = { .sync = sync_image };
	struct image_opts opts = { .path = d.path };
	int pair[2];

	snprintf(d.path, sizeof(d.path), "/tmp/test-front-%d.img", (int)getpid());
	unlink(d.path);
	REQUIRE(!image_create(d.path, IMAGE_SIZE, true));
	REQUIRE(!image_open(&d.img, &opts));
	REQUIRE(!latch_open(&d.latch, d.path, -1));
	flush_init(&d.flush, "test", &sync, &d.img, &d.latch, 0);
	REQUIRE(!loop_init(&d.loop));
	REQUIRE(!vhost_init(&d.vhost, &d.loop, "test", &pmem_device_ops, &d.pmem));
	pmem_init(&d.pmem, "test", &d.img, &d.flush, &d.vhost.host);
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	REQUIRE(!vhost_attach(&d.vhost, pair[0]));
	REQUIRE(!pthread_create(&d.thread, NULL, run_daemon, NULL));
	return pair[1];
}

/* It ends by itself when the connection is over. */
static void end_daemon(void)
{
	void *failed;

	pthread_join(d.thread, &failed);
	CHECK_NAMED("loop", !failed);
	vhost_fini(&d.vhost);
	loop_fini(&d.loop);
	flush_fini(&d.flush);
	latch_close(&d.latch);
	image_close(&d.img);
	unlink(d.path);
}

static const struct front_pmem_opts quick = { .timeout_ns = 300000000 };
static const struct front_pmem_opts patient = { .queue_size = 64 };

static void open_front(struct front_opts opts)
{
	opts.fd = start_daemon();
	REQUIRE(!front_open(&f, &opts));
}

/* Connected, driver initialised, not started. */
static void set_up(uint64_t drop_protocol, const struct front_pmem_opts *opts)
{
	open_front((struct front_opts){ .drop_protocol = drop_protocol });
	REQUIRE(!front_pmem_init(&g, f, opts));
}

static void tear_down(void)
{
	front_close(f);
	front_pmem_fini(&g);
	end_daemon();
}

/* Is text, at off, what the image file holds? */
static bool image_has(uint64_t off, const char *text)
{
	char buf[64];

	return pread(d.img.sync_fd, buf, strlen(text), (off_t)off) == (ssize_t)strlen(text) &&
	       !memcmp(buf, text, strlen(text));
}

static void check_flush(const char *name, uint64_t off, const char *text)
{
	uint64_t syncs = d.flush.syncs;

	CHECK_EQ(name, vdax_window_write(&g.window, off, text, strlen(text)), 0);
	CHECK_EQ(name, vdax_pmem_flush(&g.pm), 0);
	CHECK_NAMED(name, d.flush.syncs > syncs);
	CHECK_NAMED(name, image_has(off, text));
	CHECK_EQ(name, f->stats.violations, 0);
	CHECK_EQ(name, f->q[0].kicks, g.pm.stats.notified);
}

static const struct {
	const char *name;
	uint64_t drop_protocol;
	uint64_t refused;
} connection_cases[] = {
	{ "as QEMU does", 0, 1 },
	{ "no memory slots", BIT(CONFIGURE_MEM_SLOTS), 0 },
	{ "no acknowledgements", BIT(REPLY_ACK), 0 },
	{ "no status", BIT(STATUS), 1 },
	{ "no configuration", BIT(CONFIG), 1 },
	{ "no multiqueue", BIT(MQ), 1 },
};

static void test_connections(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(connection_cases); i++) {
		const char *name = connection_cases[i].name;

		set_up(connection_cases[i].drop_protocol, &patient);
		CHECK_EQ(name, g.pm.region.len, IMAGE_SIZE);
		CHECK_EQ(name, front_start(f), 0);
		CHECK_EQ(name, vdax_pmem_probe(&g.pm), 0);
		check_flush(name, 0, "first page");
		check_flush(name, IMAGE_SIZE - 9, "last page");
		CHECK_EQ(name, f->stats.maps, 1);
		CHECK_EQ(name, f->stats.refused, connection_cases[i].refused);
		CHECK_EQ(name, front_stop(f), 0);
		CHECK_NAMED(name, f->q[0].base == (uint16_t)g.pm.stats.sent);
		tear_down();
	}
}

static void test_stop_cont(uint64_t drop_protocol)
{
	set_up(drop_protocol, &patient);
	REQUIRE(!front_start(f));
	CHECK_EQ("probe", vdax_pmem_probe(&g.pm), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ("stop", front_stop(f), 0);
		CHECK_EQ("cont", front_start(f), 0);
		check_flush("after cont", 4096, "after cont");
	}
	CHECK_EQ("mapped once", f->stats.maps, 1);
	CHECK_EQ("a second map is not even tried", f->stats.map_errors, 0);
	tear_down();
}

static void test_reset(uint64_t drop_protocol)
{
	set_up(drop_protocol, &patient);
	for (unsigned int i = 1; i < 4; i++) {
		REQUIRE(!front_start(f));
		CHECK_EQ("probe", vdax_pmem_probe(&g.pm), 0);
		check_flush("after reset", 4096 * i, "after reset");
		CHECK_EQ("mapped again", f->stats.maps, i);
		CHECK_EQ("reset", front_reset(f), 0);
		CHECK_EQ("init", front_pmem_init(&g, f, &patient), 0);
		f->q[0].kicks = 0;
	}
	CHECK_EQ("violations", f->stats.violations, 0);
	tear_down();
}

/* With slots, QEMU survives no reset after stop and cont: the region is in its table. */
static void test_known_hole(void)
{
	set_up(0, &patient);
	REQUIRE(!front_start(f));
	CHECK_EQ("probe", vdax_pmem_probe(&g.pm), 0);
	CHECK_EQ("stop", front_stop(f), 0);
	CHECK_EQ("cont", front_start(f), 0);
	CHECK_EQ("reset", front_reset(f), 0);
	CHECK_EQ("noticed", f->stats.violations, 1);
	tear_down();
}

static const struct {
	const char *name;
	struct front_faults faults;
	uint64_t drop_protocol;
	int probe;
} fault_cases[] = {
	{ "map refused", { .reply = FRONT_REPLY_ERROR }, 0, -VDAX_EIO },
	{ "map not answered", { .reply = FRONT_REPLY_NEVER }, 0, -VDAX_ETIMEDOUT },
	{ "no table follows", { .no_table = true }, 0, 0 },
	{ "not served while waiting", { .deaf = true }, 0, 0 },
	{ "no shared memory", { 0 }, BIT(BACKEND_SEND_FD), -VDAX_EIO },
};

static void test_faults(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_cases); i++) {
		const char *name = fault_cases[i].name;

		set_up(fault_cases[i].drop_protocol, &quick);
		f->faults = fault_cases[i].faults;
		CHECK_EQ(name, front_start(f), 0);
		CHECK_EQ(name, vdax_pmem_probe(&g.pm), fault_cases[i].probe);
		CHECK_EQ(name, front_stop(f), 0);
		CHECK_EQ(name, f->stats.violations, 0);
		tear_down();
	}
}

static void test_late_reply(void)
{
	set_up(0, &patient);
	f->faults.reply = FRONT_REPLY_LATE;
	REQUIRE(!front_start(f));
	for (int i = 0; i < 100 && !f->num_held; i++)
		front_poll(f, 50);
	CHECK_EQ("held", f->num_held, 1);
	front_release(f);
	check_flush("after the late reply", 0, "late");
	tear_down();
}

/* Many flushes at once: they share requests, and one request is outstanding at a time. */
static unsigned int ended;

static void count_done(struct vdax_flush *flush, int ret)
{
	(void)flush;
	CHECK_EQ("flush", ret, 0);
	ended++;
}

static void test_many(bool separate)
{
	const struct front_pmem_opts opts = { .queue_size = 64, .separate = separate };
	struct vdax_flush flush[64];

	set_up(0, &opts);
	REQUIRE(!front_start(f));
	CHECK_EQ("probe", vdax_pmem_probe(&g.pm), 0);
	ended = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flush); i++) {
		flush[i] = (struct vdax_flush){ .done = count_done };
		CHECK_EQ("submit", vdax_pmem_submit(&g.pm, &flush[i]), 0);
	}
	while (ended < ARRAY_SIZE(flush))
		REQUIRE(front_pmem_poll(&g, 2000) >= 0);
	CHECK_EQ("requests", g.pm.stats.sent, separate ? 65 : 3);
	CHECK_NAMED("syncs", d.flush.syncs <= g.pm.stats.sent);
	tear_down();
}

static void test_not_ram_like(void)
{
	void *ptr;

	open_front((struct front_opts){ .not_ram_like = true });
	REQUIRE(!front_pmem_init(&g, f, &patient));
	REQUIRE(!front_start(f));
	CHECK_EQ("probe", vdax_pmem_probe(&g.pm), 0);
	CHECK_EQ("no pointer", vdax_window_ptr(&g.window, 0, 1, &ptr), -VDAX_ENOTSUP);
	check_flush("by accessors", 8192, "by accessors");
	tear_down();
}

/* Garbage ends the connection; the waiters learn of it at once. */
static void test_connection_lost(void)
{
	struct vdax_flush flush = { .done = count_done };
	struct front_msg m = { .hdr = { .request = VHOST_USER_SET_FEATURES, .size = 3 } };
	int ret = 0;

	set_up(0, &patient);
	CHECK_EQ("garbage", front_sock_send(f->sock, &m), 0);
	for (int i = 0; i < 100 && ret >= 0; i++)
		ret = front_poll(f, 50);
	CHECK_EQ("closed", ret, -EPIPE);
	CHECK_EQ("flush", vdax_pmem_flush(&g.pm), -VDAX_EIO);
	CHECK_EQ("later", vdax_pmem_submit(&g.pm, &flush), -VDAX_EIO);
	CHECK_EQ("requests", front_start(f), -EPIPE);
	tear_down();
}

static void test_config(void)
{
	uint8_t buf[16];

	set_up(0, &patient);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ("all", front_config_read(f, 0, buf, sizeof(buf)), 0);
	CHECK_EQ("zero with a region", buf[0] | buf[15], 0);
	CHECK_EQ("too long", front_config_read(f, 1, buf, sizeof(buf)), -EREMOTEIO);
	CHECK_EQ("read-only", front_config_write(f, 0, buf, 1), -EREMOTEIO);
	CHECK_EQ("reset", front_reset_device(f), 0);
	tear_down();
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERR);
	REQUIRE(!fault_init());
	test_connections();
	test_stop_cont(0);
	test_stop_cont(BIT(CONFIGURE_MEM_SLOTS));
	test_reset(0);
	test_reset(BIT(CONFIGURE_MEM_SLOTS));
	test_known_hole();
	test_faults();
	test_late_reply();
	test_many(false);
	test_many(true);
	test_not_ram_like();
	test_connection_lost();
	test_config();
	return check_done();
}
