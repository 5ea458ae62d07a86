/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mapping of the image: asked for once in a start and only while the front end may be
 * asked, kept over stop and continue, made anew after a reset, and no flush before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/guest.h"
#include "tests/proto/raw.h"
#include "vdax/errno.h"
#include "virtio/device.h"

#define BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)

static struct daemon d;

static void test_one_map(void)
{
	struct guest g;

	guest_boot(&g, &d, NULL);
	CHECK_EQ("flush", guest_flush(&g), 0);
	sleep_ms(150); /* a request for the commit would have come by now */
	front_poll(g.f, 0);
	CHECK_EQ("one map", g.f->stats.maps, 1);
	CHECK_EQ("no other request", g.f->stats.backend, 1);
	CHECK_EQ("refused as memory while it runs", g.f->stats.refused, 1);
	CHECK_EQ("daemon", daemon_stat(&d, "mappings_made"), 1);
	CHECK_EQ("violations", g.f->stats.violations, 0);
	guest_close(&g);
}

static void test_stop_cont(const char *name, uint64_t drop_protocol)
{
	struct guest g;

	guest_boot(&g, &d, &(struct guest_opts){ .drop_protocol = drop_protocol });
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(name, front_stop(g.f), 0);
		CHECK_EQ(name, front_start(g.f), 0);
		CHECK_EQ(name, guest_flush(&g), 0);
	}
	CHECK_EQ(name, g.f->stats.backend, 1);
	CHECK_EQ(name, g.f->stats.unmaps, 0);
	CHECK_EQ(name, g.f->stats.violations, 0);
	guest_close(&g);
}

/* The table at `cont` does not say that the mapping is kept; that a second one fails does. */
static void test_cont_unlisted(void)
{
	struct guest g;

	guest_boot(&g, &d, NULL);
	CHECK_EQ("stop", front_stop(g.f), 0);
	front_maps_list(&g.f->maps, front_maps_from(&g.f->maps, 0), true); /* so it is not sent */
	CHECK_EQ("cont", front_start(g.f), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("a second map was refused", g.f->stats.map_errors, 1);
	CHECK_EQ("the first one stayed", g.f->stats.maps, 1);
	CHECK_EQ("no unmap", g.f->stats.unmaps, 0);
	guest_close(&g);
}

static void test_resets(const char *name, uint64_t drop_protocol, bool by_message)
{
	struct guest g;

	guest_boot(&g, &d, &(struct guest_opts){ .drop_protocol = drop_protocol });
	for (unsigned i = 2; i < 6; i++) {
		if (by_message) {
			CHECK_EQ(name, front_stop(g.f), 0);
			CHECK_EQ(name, front_reset_device(g.f), 0);
		}
		guest_reset(&g);
		CHECK_EQ(name, front_start(g.f), 0);
		CHECK_EQ(name, vdax_pmem_probe(&g.g.pm), 0);
		CHECK_EQ(name, g.f->stats.maps, i);
		CHECK_EQ(name, g.f->stats.backend, i);
	}
	CHECK_EQ(name, g.f->stats.violations, 0);
	guest_close(&g);
}

static void test_map_refused(void)
{
	struct noted n[2];
	struct guest g;

	guest_open(&g, &d, &(struct guest_opts){ .separate = true });
	g.f->faults.reply = FRONT_REPLY_ERROR;
	REQUIRE(!front_start(g.f));
	guest_submit(&g, &n[0]);
	guest_submit(&g, &n[1]);
	CHECK_NAMED("answered", guest_wait(&g, &n[0], 5000) && guest_wait(&g, &n[1], 5000));
	CHECK_EQ("with failure", n[0].ret, -VDAX_EIO);
	CHECK_EQ("both", n[1].ret, -VDAX_EIO);
	CHECK_NAMED("says why", daemon_logged(&d, "refused to map the image"));
	g.f->faults.reply = FRONT_REPLY_NORMAL;
	guest_reset(&g);
	CHECK_EQ("start", front_start(g.f), 0);
	CHECK_EQ("the next start asks again", vdax_pmem_probe(&g.g.pm), 0);
	CHECK_EQ("and is mapped", g.f->stats.maps, 1);
	guest_close(&g);
}

/* A front end that lacks any of the three features that a mapping needs. */
static void test_cannot_map(const char *name, uint64_t drop_protocol)
{
	const struct front_opts fo = { .fd = -1,
				       .socket_path = d.sock,
				       .drop_protocol = drop_protocol,
				       .not_ram_like = true };
	const struct front_pmem_opts po = { .queue_size = 16 };
	struct front_pmem g = { 0 };
	struct front *f;

	REQUIRE(!front_open(&f, &fo));
	f->shm_size[0] = f->bar_size = DAEMON_IMAGE_SIZE; /* the driver finds a region anyway */
	REQUIRE(!front_pmem_init(&g, f, &po));
	CHECK_EQ(name, front_start(f), 0);
	CHECK_EQ(name, vdax_pmem_flush(&g.pm), -VDAX_EIO);
	CHECK_EQ(name, vdax_pmem_flush(&g.pm), -VDAX_EIO);
	CHECK_NAMED(name, daemon_logged(&d, "cannot map files into the guest"));
	CHECK_EQ(name, f->stats.backend, 0);
	CHECK_EQ(name, front_reset(f), 0);
	f->bar_size = 0;
	front_close(f);
	front_pmem_fini(&g);
}

static void test_late(void)
{
	int64_t flushes = daemon_stat(&d, "flushes");
	struct noted n;
	struct guest g;

	guest_open(&g, &d, NULL);
	g.f->faults.reply = FRONT_REPLY_LATE;
	REQUIRE(!front_start(g.f));
	guest_submit(&g, &n);
	CHECK_NAMED("no flush before the mapping", !guest_wait(&g, &n, 300));
	CHECK_EQ("asked", g.f->num_held, 1);
	CHECK_EQ("not even popped", daemon_stat(&d, "flushes"), flushes);
	front_release(g.f);
	CHECK_NAMED("but after it", guest_wait(&g, &n, 5000) && n.ret == 0);
	CHECK_EQ("violations", g.f->stats.violations, 0);
	guest_close(&g);
}

/* The test itself is at the other end of the back-end channel, not front/. */
static int take_channel(struct guest *g)
{
	int channel = g->f->backend;

	g->f->backend = -1;
	return channel;
}

static void send_reply(int channel, uint32_t request, uint64_t value)
{
	struct front_msg m = { .hdr = { request, VHOST_USER_VERSION | VHOST_USER_F_REPLY, 8 } };

	m.p.u64 = value;
	CHECK_EQ("reply", front_sock_send(channel, &m), 0);
}

/* The next request is this; its descriptor is closed. */
static bool expect_request(int channel, uint32_t request)
{
	struct front_msg m;

	if (front_sock_recv(channel, &m, 5000))
		return false;
	front_msg_close(&m);
	return m.hdr.request == request && (m.hdr.flags & VHOST_USER_F_NEED_REPLY);
}

static bool is_quiet(int channel, int ms)
{
	struct front_msg m;

	return front_sock_recv(channel, &m, ms) == -ETIMEDOUT;
}

static void test_map_message(void)
{
	struct stat image, sent;
	struct front_msg m;
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	REQUIRE(!front_sock_recv(channel, &m, 5000));
	CHECK_EQ("request", m.hdr.request, VHOST_USER_BACKEND_SHMEM_MAP);
	CHECK_EQ("flags", m.hdr.flags, RAW_NEED_ACK);
	CHECK_EQ("size", m.hdr.size, 40);
	CHECK_EQ("id", m.p.mmap.shmid, 0);
	CHECK_EQ("file offset", m.p.mmap.fd_offset, 0);
	CHECK_EQ("region offset", m.p.mmap.shm_offset, 0);
	CHECK_EQ("length", m.p.mmap.len, DAEMON_IMAGE_SIZE);
	CHECK_EQ("read and write", m.p.mmap.flags, VHOST_USER_SHMEM_RW);
	REQUIRE(m.nfds == 1 && !fstat(m.fds[0], &sent) && !stat(d.image, &image));
	CHECK_NAMED("the image", sent.st_dev == image.st_dev && sent.st_ino == image.st_ino);
	front_msg_close(&m);
	guest_close(&g);
	close(channel);
}

/* No table follows the answer: one more round trip shows that the mapping is there. */
static void test_commit_by_round_trip(void)
{
	struct noted n;
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	guest_submit(&g, &n);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	send_reply(channel, VHOST_USER_BACKEND_SHMEM_MAP, 0);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG));
	CHECK_NAMED("no flush before the commit", !guest_wait(&g, &n, 200));
	send_reply(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0);
	CHECK_NAMED("but after it", guest_wait(&g, &n, 5000) && n.ret == 0);
	CHECK_NAMED("no more", is_quiet(channel, 150));
	guest_close(&g);
	close(channel);
}

/* The same with front/: and where neither can show it, a pause must do. */
static void test_no_table(uint64_t drop_protocol, uint64_t config_changes)
{
	struct guest g;

	guest_open(&g, &d, &(struct guest_opts){ .drop_protocol = drop_protocol });
	g.f->faults.no_table = true;
	REQUIRE(!front_start(g.f));
	CHECK_EQ("flush", vdax_pmem_probe(&g.g.pm), 0);
	CHECK_EQ("round trips", g.f->stats.config_changes, config_changes);
	CHECK_EQ("maps", g.f->stats.maps, 1);
	CHECK_EQ("violations", g.f->stats.violations, 0);
	guest_close(&g);
}

/* The answer comes after a stop: it is of no use, and nothing is sent before it. */
static void test_answer_after_stop(void)
{
	struct noted n;
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	guest_submit(&g, &n);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	CHECK_EQ("a stop does not wait for it", front_stop(g.f), 0);
	CHECK_EQ("start", front_start(g.f), 0);
	CHECK_NAMED("one at a time", is_quiet(channel, 200));
	send_reply(channel, VHOST_USER_BACKEND_SHMEM_MAP, 1);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	CHECK_NAMED("the late answer is not for this one", !guest_wait(&g, &n, 200));
	send_reply(channel, VHOST_USER_BACKEND_SHMEM_MAP, 0);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG));
	send_reply(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0);
	CHECK_NAMED("flush", guest_wait(&g, &n, 5000) && n.ret == 0);
	guest_close(&g);
	close(channel);
}

/* Stopped between the answer and the round trip, whose answer then comes late. */
static void test_stop_in_round_trip(void)
{
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	send_reply(channel, VHOST_USER_BACKEND_SHMEM_MAP, 0);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG));
	CHECK_EQ("stop", front_stop(g.f), 0);
	send_reply(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0);
	CHECK_EQ("start", front_start(g.f), 0);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	CHECK_EQ("lives", front_stop(g.f), 0);
	guest_close(&g);
	close(channel);
}

/* The round trip waits, too, while a queue is off: the device may be about to stop. */
static void test_round_trip_not_while_off(void)
{
	struct front_msg m = { .hdr = { VHOST_USER_SET_VRING_ENABLE, 0, sizeof(m.p.state) } };
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	send_reply(channel, VHOST_USER_BACKEND_SHMEM_MAP, 0);
	CHECK_EQ("off", front_call(g.f, &m, FRONT_ACK), 0);
	CHECK_NAMED("nothing is asked", is_quiet(channel, 250));
	m = (struct front_msg){ .hdr = { VHOST_USER_SET_VRING_ENABLE, 0, sizeof(m.p.state) } };
	m.p.state.num = 1;
	CHECK_EQ("on", front_call(g.f, &m, FRONT_ACK), 0);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG));
	guest_close(&g);
	close(channel);
}

static void put(uint8_t *buf, size_t *len, const struct front_msg *m)
{
	memcpy(buf + *len, &m->hdr, sizeof(m->hdr));
	memcpy(buf + *len + sizeof(m->hdr), &m->p, m->hdr.size);
	*len += sizeof(m->hdr) + m->hdr.size;
}

/*
 * What the front end has sent already may close the window: while the main channel is
 * readable nothing is asked. Start and stop arrive in one piece.
 */
static void test_not_while_readable(uint32_t then)
{
	struct front_msg m[RAW_STARTUP_MAX], stop = { .hdr = { then, VHOST_USER_VERSION, 8 } };
	uint8_t buf[1024];
	size_t len = 0;
	unsigned n, i;
	struct raw r;

	raw_open(&r, &d);
	n = raw_startup(&r, m);
	for (i = 0; i < n && m[i].hdr.request != VHOST_USER_SET_VRING_ENABLE; i++)
		REQUIRE(!front_sock_send(r.sock, &m[i]));
	put(buf, &len, &m[i]);
	put(buf, &len, &stop);
	REQUIRE(!front_sock_send_raw(r.sock, buf, len, NULL, 0));
	CHECK_NAMED("nothing is asked", is_quiet(r.pair[0], 150));
	if (then == VHOST_USER_SET_VRING_ENABLE) {
		REQUIRE(!front_sock_send(r.sock, &m[i]));
		CHECK_NAMED("but when it is on again",
			    expect_request(r.pair[0], VHOST_USER_BACKEND_SHMEM_MAP));
	}
	raw_close(&r);
}

static void test_channel_closed(void)
{
	struct noted n;
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	REQUIRE(!front_start(g.f));
	guest_submit(&g, &n);
	CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
	close(channel);
	CHECK_NAMED("answered", guest_wait(&g, &n, 5000));
	CHECK_EQ("with failure", n.ret, -VDAX_EIO);
	CHECK_EQ("the connection lives", front_stop(g.f), 0);
	guest_close(&g);

	/* Once the mapping is there the channel is of no more use. */
	guest_boot(&g, &d, NULL);
	fd_close(&g.f->backend);
	sleep_ms(50);
	CHECK_EQ("flush", guest_flush(&g), 0);
	CHECK_EQ("stop", front_stop(g.f), 0);
	CHECK_EQ("cont", front_start(g.f), 0);
	CHECK_EQ("flush", guest_flush(&g), 0);
	guest_close(&g);
}

/* Closed before it was ever used. */
static void test_channel_never_there(void)
{
	struct guest g;
	int channel;

	guest_open(&g, &d, NULL);
	channel = take_channel(&g);
	close(channel);
	REQUIRE(!front_start(g.f));
	CHECK_EQ("flush", vdax_pmem_probe(&g.g.pm), -VDAX_EIO);
	guest_close(&g);
}

static const struct {
	const char *name;
	struct vhost_user_hdr hdr;
} garbage[] = {
	{ "a request", { VHOST_USER_BACKEND_SHMEM_MAP, VHOST_USER_VERSION, 8 } },
	{ "wrong size", { VHOST_USER_BACKEND_SHMEM_MAP, 5, 4 } },
	{ "empty", { VHOST_USER_BACKEND_SHMEM_MAP, 5, 0 } },
	{ "wrong version", { VHOST_USER_BACKEND_SHMEM_MAP, 6, 8 } },
	{ "huge", { VHOST_USER_BACKEND_SHMEM_MAP, 5, UINT32_MAX } },
	{ "answer to something else", { VHOST_USER_BACKEND_SHMEM_UNMAP, 5, 8 } },
};

/* Nonsense costs the channel, so the mapping, but neither the connection nor the daemon. */
static void test_garbage(bool outstanding)
{
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		const char *name = garbage[i].name;
		struct front_msg m = { .hdr = garbage[i].hdr };
		struct guest g;
		int channel;

		guest_open(&g, &d, NULL);
		channel = take_channel(&g);
		if (outstanding) {
			REQUIRE(!front_start(g.f));
			CHECK(expect_request(channel, VHOST_USER_BACKEND_SHMEM_MAP));
		}
		front_sock_send(channel, &m);
		sleep_ms(10);
		if (!outstanding)
			REQUIRE(!front_start(g.f));
		CHECK_EQ(name, vdax_pmem_probe(&g.g.pm), -VDAX_EIO);
		CHECK_EQ(name, front_stop(g.f), 0);
		guest_close(&g);
		close(channel);
	}
}

/* Files that other daemons map, and memory that a guest has. */
static int sealed_memfd(int seals)
{
	int fd = memfd_create("test-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)MIB(2)));
	if (seals)
		REQUIRE(!fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static int disk_file(int unused)
{
	int fd = open(d.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)unused;
	REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)MIB(2)));
	return fd;
}

/* With O_PATH it needs no permission, and the daemon cannot map it; -1 if there is none. */
static int block_device(int unused)
{
	int fd = open("/dev/loop0", O_PATH | O_CLOEXEC);

	(void)unused;
	if (fd < 0)
		fprintf(stderr, "skipped a case: no /dev/loop0\n");
	return fd;
}

static const struct {
	const char *name;
	int (*open)(int arg);
	int arg;
	bool refused_while_running;
} regions[] = {
	{ "memfd: RAM", sealed_memfd, 0, false },
	{ "memfd with all seals: RAM", sealed_memfd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	  false },
	{ "memfd sealed as a daemon does", sealed_memfd, SHM_MEMFD_SEALS, true },
	{ "file: a mapping", disk_file, 0, true },
	{ "block device: a mapping", block_device, 0, true },
};

static int add_region(struct guest *g, int fd, uint32_t request)
{
	struct front_msg m = { .hdr = { request, 0, sizeof(m.p.reg) },
			       .fds = { fd },
			       .nfds = request == VHOST_USER_ADD_MEM_REG };

	m.p.reg.region = (struct vhost_user_region){ .gpa = GIB(1), .size = MIB(2), .uva = GIB(1) };
	return front_call(g->f, &m, FRONT_ACK);
}

static void test_regions(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		const char *name = regions[i].name;
		int fd = regions[i].open(regions[i].arg);
		struct guest g;

		if (fd < 0)
			continue;
		guest_boot(&g, &d, NULL);
		CHECK_EQ(name, add_region(&g, fd, VHOST_USER_ADD_MEM_REG),
			 regions[i].refused_while_running ? -EREMOTEIO : 0);
		CHECK_EQ(name, add_region(&g, fd, VHOST_USER_REM_MEM_REG),
			 regions[i].refused_while_running ? -EREMOTEIO : 0);
		CHECK_EQ(name, guest_flush(&g), 0);
		CHECK_EQ(name, front_stop(g.f), 0);
		CHECK_EQ(name, add_region(&g, fd, VHOST_USER_ADD_MEM_REG), 0);
		CHECK_EQ(name, front_start(g.f), 0);
		CHECK_EQ(name, guest_flush(&g), 0);
		guest_close(&g);
		close(fd);
	}
}

/* What is refused is logged, but not what is refused at each start. */
static void test_refusals_logged(void)
{
	struct front_msg m = { .hdr = { VHOST_USER_SET_VRING_NUM, 0, sizeof(m.p.state) } };
	static struct daemon fresh;
	struct guest g;

	daemon_start(&fresh, NULL);
	guest_boot(&g, &fresh, NULL);
	CHECK_EQ("the mapping was refused", g.f->stats.refused, 1);
	m.p.state.num = 32;
	CHECK_EQ("another size while it runs", front_call(g.f, &m, FRONT_ACK), -EREMOTEIO);
	CHECK_NAMED("logged", daemon_logged(&fresh, "(SET_VRING_NUM) refused"));
	CHECK_NAMED("not logged", !daemon_logged(&fresh, "(ADD_MEM_REG) refused"));
	guest_close(&g);
	CHECK_EQ("exit status", daemon_stop(&fresh), 0);
}

int main(void)
{
	struct daemon_use before;

	daemon_start(&d, NULL);
	test_one_map();
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	before = daemon_use(&d);

	test_stop_cont("stop/cont", 0);
	test_stop_cont("stop/cont without slots", BIT(CONFIGURE_MEM_SLOTS));
	test_stop_cont("stop/cont without status", BIT(STATUS));
	test_cont_unlisted();
	test_resets("reset", 0, false);
	test_resets("reset without slots", BIT(CONFIGURE_MEM_SLOTS), false);
	/* With slots a refusal that is not acknowledged goes unnoticed: QEMU has both. */
	test_resets("reset without acknowledgements", BIT(CONFIGURE_MEM_SLOTS) | BIT(REPLY_ACK),
		    false);
	test_resets("reset by message", 0, true);
	test_map_refused();
	test_cannot_map("no SHMEM", BIT(SHMEM));
	test_cannot_map("no BACKEND_REQ", BIT(BACKEND_REQ));
	test_cannot_map("no BACKEND_SEND_FD", BIT(BACKEND_SEND_FD));
	test_late();
	test_map_message();
	test_commit_by_round_trip();
	test_no_table(0, 1);
	test_no_table(BIT(CONFIG), 0);
	test_no_table(BIT(REPLY_ACK), 0);
	test_answer_after_stop();
	test_stop_in_round_trip();
	test_round_trip_not_while_off();
	test_not_while_readable(VHOST_USER_GET_VRING_BASE);
	test_not_while_readable(VHOST_USER_SET_VRING_ENABLE);
	test_channel_closed();
	test_channel_never_there();
	test_garbage(true);
	test_garbage(false);
	test_regions();
	test_refusals_logged();
	check_serves("the last", &d);

	CHECK(daemon_stat_becomes(&d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	CHECK_EQ("exit status", daemon_stop(&d), 0);
	return check_done();
}
