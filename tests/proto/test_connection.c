/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a connection: in pieces, cut off at every byte, one after another, and ended
 * while a sync is under way. After each the daemon serves the next one, and nothing of the
 * former is left.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/listen.h"
#include "front/queue.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/guest.h"
#include "tests/proto/raw.h"

/* Header and payload as they go over the wire. */
static size_t flatten(const struct front_msg *m, uint8_t *buf)
{
	memcpy(buf, &m->hdr, sizeof(m->hdr));
	memcpy(buf + sizeof(m->hdr), &m->p, m->hdr.size);
	return sizeof(m->hdr) + m->hdr.size;
}

/* Waits until the daemon has taken all that was sent. */
static void drain(int sock)
{
	int left = 1;

	for (unsigned i = 0; i < 5000 && left; i++) {
		if (i)
			usleep(200);
		REQUIRE(!ioctl(sock, SIOCOUTQ, &left));
	}
	CHECK_EQ("taken by the daemon", left, 0);
}

static bool is_answered(const struct front_msg *m)
{
	switch (m->hdr.request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_SHMEM_CONFIG:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_STATUS:
		return true;
	default:
		return m->hdr.flags & VHOST_USER_F_NEED_REPLY;
	}
}

static void test_byte_by_byte(const struct daemon *d)
{
	struct front_msg m[RAW_STARTUP_MAX], reply;
	uint8_t buf[sizeof(m[0])];
	struct raw r;
	unsigned n;

	raw_open(&r, d);
	n = raw_startup(&r, m);
	for (unsigned i = 0; i < n; i++) {
		size_t len = flatten(&m[i], buf);

		for (size_t at = 0; at < len; at++) {
			REQUIRE(!front_sock_send_raw(r.sock, buf + at, 1, m[i].fds,
						     at ? 0 : m[i].nfds));
			drain(r.sock);
		}
		if (!is_answered(&m[i]))
			continue;
		CHECK_EQ("answered", front_sock_recv(r.sock, &reply, 5000), 0);
		CHECK_EQ("the right one", reply.hdr.request, m[i].hdr.request);
		if (m[i].hdr.flags & VHOST_USER_F_NEED_REPLY)
			CHECK_EQ("with success", reply.p.u64, 0);
	}
	CHECK_EQ("a mapping is asked for", front_sock_recv(r.pair[0], &reply, 5000), 0);
	CHECK_EQ("SHMEM_MAP", reply.hdr.request, VHOST_USER_BACKEND_SHMEM_MAP);
	CHECK_EQ("its file", reply.nfds, 1);
	front_msg_close(&reply);
	raw_close(&r);
}

/* All messages in one piece; descriptors still go with the first byte of theirs. */
static void test_all_at_once(const struct daemon *d)
{
	struct front_msg m[RAW_STARTUP_MAX], reply;
	struct raw r;
	unsigned n;

	raw_open(&r, d);
	n = raw_startup(&r, m);
	for (unsigned i = 0; i < n; i++)
		REQUIRE(!front_sock_send(r.sock, &m[i]));
	for (unsigned i = 0; i < n; i++) {
		if (!is_answered(&m[i]))
			continue;
		CHECK_EQ("answered", front_sock_recv(r.sock, &reply, 5000), 0);
		CHECK_EQ("in order", reply.hdr.request, m[i].hdr.request);
	}
	raw_close(&r);
}

/* Sends the start-up up to byte `at` of message `cut`, and goes away. */
static void send_cut(const struct daemon *d, unsigned cut, size_t at)
{
	struct front_msg m[RAW_STARTUP_MAX];
	uint8_t buf[sizeof(m[0])];
	struct raw r;

	raw_open(&r, d);
	raw_startup(&r, m);
	for (unsigned i = 0; i < cut; i++)
		REQUIRE(!front_sock_send(r.sock, &m[i]));
	flatten(&m[cut], buf);
	if (at)
		REQUIRE(!front_sock_send_raw(r.sock, buf, at, m[cut].fds, m[cut].nfds));
	raw_close(&r);
}

static void test_cut_anywhere(const struct daemon *d)
{
	struct front_msg m[RAW_STARTUP_MAX];
	unsigned n, cuts = 0;
	struct raw r;

	raw_open(&r, d);
	n = raw_startup(&r, m);
	raw_close(&r);
	for (unsigned i = 0; i < n; i++) {
		for (size_t at = 0; at < sizeof(m[i].hdr) + m[i].hdr.size; at++) {
			send_cut(d, i, at);
			if (++cuts % 100 == 0)
				check_serves("after cuts", d);
		}
	}
	CHECK_NAMED("enough cuts", cuts > 400);
	check_serves("after all cuts", d);
}

/* Half a message holds up the control socket as little as anything else. */
static void test_half_message(const struct daemon *d)
{
	struct front_msg m;
	struct raw r;

	raw_open(&r, d);
	raw_fill(&r, VHOST_USER_SET_VRING_ADDR, &m);
	REQUIRE(!front_sock_send_raw(r.sock, &m.hdr, 7, NULL, 0));
	drain(r.sock);
	CHECK_EQ("control socket", daemon_stat(d, "connected"), 1);
	raw_close(&r);
}

/* The front end goes away at each stage of its life. */
static void test_drop_at_steps(const struct daemon *d)
{
	struct guest g;

	for (int step = 0; step < 7; step++) {
		guest_open(&g, d, NULL);
		if (step == 6)
			g.f->faults.reply = FRONT_REPLY_NEVER; /* SHMEM_MAP is outstanding */
		if (step >= 1)
			CHECK_EQ("start", front_start(g.f), 0);
		if (step >= 2 && step < 6)
			CHECK_EQ("probe", vdax_pmem_probe(&g.g.pm), 0);
		if (step == 6)
			front_poll(g.f, 1000);
		if (step == 3)
			CHECK_EQ("stop", front_stop(g.f), 0);
		if (step == 4)
			guest_reset(&g);
		if (step == 5)
			CHECK_EQ("reset", front_reset_device(g.f), 0);
		guest_close(&g);
		check_serves("after a drop", d);
	}
}

/* Somebody else still holds the other end of the back-end channel: it is closed all the same. */
static void test_channel_outlives(const struct daemon *d)
{
	struct daemon_use before = daemon_use(d);
	struct front_msg m;
	struct raw r;

	raw_open(&r, d);
	raw_negotiate(&r, RAW_PROTOCOL_BITS);
	raw_fill(&r, VHOST_USER_SET_BACKEND_REQ_FD, &m);
	m.hdr.flags = RAW_NEED_ACK;
	CHECK_EQ("a channel", raw_call(&r, &m), RAW_ACK);
	fd_close(&r.pair[1]);
	fd_close(&r.sock);
	CHECK_EQ("closed with the connection", front_sock_recv(r.pair[0], &m, 5000), -EPIPE);
	CHECK_NAMED("nothing leaked", daemon_use_returns(d, &before));
	raw_close(&r);
}

/* With a listening socket: in pieces, cut, dropped. */
static void test_pieces(void)
{
	static struct daemon d;
	struct daemon_use before;

	daemon_start(&d, NULL);
	check_serves("the first", &d);
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	before = daemon_use(&d);

	test_byte_by_byte(&d);
	test_all_at_once(&d);
	test_half_message(&d);
	test_cut_anywhere(&d);
	test_drop_at_steps(&d);
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	test_channel_outlives(&d);
	check_serves("the last", &d);

	CHECK(daemon_stat_becomes(&d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	CHECK_EQ("exit status", daemon_stop(&d), 0);
}

static void test_backlog(void)
{
	static struct daemon d;
	struct front_msg m, reply;
	struct raw first, second;

	daemon_start(&d, NULL);
	raw_open(&first, &d);
	raw_negotiate(&first, RAW_PROTOCOL_BITS);
	raw_open(&second, &d);
	raw_fill(&second, VHOST_USER_GET_FEATURES, &m);
	REQUIRE(!front_sock_send(second.sock, &m));
	CHECK_EQ("the second waits", front_sock_recv(second.sock, &reply, 200), -ETIMEDOUT);
	CHECK_EQ("the first is served", raw_call(&first, &m), RAW_NACK);
	raw_close(&first);
	CHECK_EQ("then the second", front_sock_recv(second.sock, &reply, 5000), 0);
	raw_close(&second);
	CHECK_EQ("exit status", daemon_stop(&d), 0);
}

/* A process that has been a front end, and lives. With mapped, it has got the image. */
static pid_t start_former(const struct daemon *d, bool mapped)
{
	int pair[2];
	pid_t pid;
	char c;

	make_pair(pair);
	pid = fork();
	REQUIRE(pid >= 0);
	if (!pid) {
		struct guest g;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		guest_open(&g, d, NULL);
		if (mapped)
			REQUIRE(!front_start(g.f) && !vdax_pmem_probe(&g.g.pm));
		close(g.f->sock); /* and nothing else */
		REQUIRE(write(pair[1], "", 1) == 1);
		for (;;)
			pause();
	}
	close(pair[1]);
	REQUIRE(read(pair[0], &c, 1) == 1);
	close(pair[0]);
	CHECK(daemon_stat_becomes(d, "connected", 0));
	return pid;
}

static void end_former(pid_t pid)
{
	REQUIRE(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
}

static void ask_features(struct raw *r, const struct daemon *d)
{
	struct front_msg m;

	raw_open(r, d);
	raw_fill(r, VHOST_USER_GET_FEATURES, &m);
	REQUIRE(!front_sock_send(r->sock, &m));
}

/* One image, one VM: whoever may have it mapped must have ended before the next is served. */
static void test_former_lives(void)
{
	static struct daemon d;
	struct daemon_use before;
	struct front_msg reply;
	struct raw r;
	pid_t former;

	daemon_start(&d, NULL);
	former = start_former(&d, false);
	ask_features(&r, &d);
	CHECK_EQ("the former one has not the image", front_sock_recv(r.sock, &reply, 5000), 0);
	raw_close(&r);
	end_former(former);

	former = start_former(&d, true);
	before = daemon_use(&d);
	for (int i = 0; i < 2; i++) {
		ask_features(&r, &d);
		CHECK_EQ("waits", front_sock_recv(r.sock, &reply, 200), -ETIMEDOUT);
		CHECK_EQ("not served", daemon_stat(&d, "connected"), 0);
		raw_close(&r);
		CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	}
	CHECK_NAMED("says so", daemon_logged(&d, "waits for process"));
	ask_features(&r, &d);
	CHECK_EQ("waits", front_sock_recv(r.sock, &reply, 200), -ETIMEDOUT);
	end_former(former);
	CHECK_EQ("served when the former one has ended", front_sock_recv(r.sock, &reply, 5000), 0);
	raw_close(&r);
	check_serves("and from then on", &d);
	CHECK_EQ("exit status", daemon_stop(&d), 0);

	daemon_start(&d, &(struct daemon_opts){ .keep_image = true });
	former = start_former(&d, true);
	ask_features(&r, &d);
	CHECK_EQ("waits", front_sock_recv(r.sock, &reply, 100), -ETIMEDOUT);
	CHECK_EQ("exit status while one waits", daemon_stop(&d), 0);
	CHECK_EQ("which sees it", front_sock_recv(r.sock, &reply, 5000), -ECONNRESET);
	raw_close(&r);
	end_former(former);
}

static void test_once(void)
{
	static const char *const once[] = { "--once", NULL };
	static struct daemon d;

	daemon_start(&d, &(struct daemon_opts){ .args = once });
	CHECK_EQ("another one wants the socket", listen_unix(d.sock), -EADDRINUSE);
	check_serves("once", &d);
	CHECK_EQ("exits by itself", daemon_wait(&d, 5000), 0);
	CHECK_NAMED("nobody listens", front_sock_connect(d.sock) < 0);
	/* The socket file that it left is in nobody's way. */
	daemon_start(&d, &(struct daemon_opts){ .args = once });
	check_serves("once more", &d);
	CHECK_EQ("exits by itself", daemon_wait(&d, 5000), 0);
}

static void test_inherited(void)
{
	static struct daemon d;
	struct guest_opts opts;
	struct guest g;
	char path[128];
	int pair[2], fd;

	make_pair(pair);
	daemon_start(&d, &(struct daemon_opts){ .fd = &pair[0] });
	opts = (struct guest_opts){ .fd = &pair[1] };
	guest_boot(&g, &d, &opts);
	CHECK_EQ("--fd, connected", guest_flush(&g), 0);
	guest_close(&g);
	CHECK_EQ("exits with its only front end", daemon_wait(&d, 5000), 0);

	/* The same when it is told to end before the front end goes. */
	make_pair(pair);
	daemon_start(&d, &(struct daemon_opts){ .fd = &pair[0] });
	opts = (struct guest_opts){ .fd = &pair[1] };
	guest_boot(&g, &d, &opts);
	CHECK_EQ("SIGTERM", daemon_stop(&d), 0);
	CHECK_EQ("the front end sees it", front_poll(g.f, 1000), -EPIPE);
	guest_close(&g);

	snprintf(path, sizeof(path), "%s", d.sock);
	fd = make_listener(path);
	daemon_start(&d, &(struct daemon_opts){ .fd = &fd });
	check_serves("--fd, listening", &d);
	check_serves("--fd, listening, again", &d);
	CHECK_EQ("SIGTERM", daemon_stop(&d), 0);
}

/* Told to end while the front end still owes the answer to SHMEM_MAP. */
static void test_sigterm_in_map(void)
{
	static struct daemon d;
	struct guest g;

	daemon_start(&d, NULL);
	guest_open(&g, &d, NULL);
	g.f->faults.reply = FRONT_REPLY_NEVER;
	REQUIRE(!front_start(g.f));
	for (int i = 0; i < 100 && !g.f->stats.backend; i++)
		front_poll(g.f, 10);
	CHECK_EQ("asked", g.f->stats.backend, 1);
	CHECK_EQ("exit status", daemon_stop(&d), 0);
	guest_close(&g);
}

/* A guest whose flush has reached the daemon and waits there in a sync. */
static void start_sync(struct guest *g, struct noted *n, const struct daemon *d)
{
	int64_t syncs = daemon_stat(d, "syncs");

	guest_submit(g, n);
	CHECK_NAMED("sync begins", daemon_stat_reaches(d, "syncs", syncs + 1));
}

static void boot_stalled(struct guest *g, struct daemon *d)
{
	guest_open(g, d, &(struct guest_opts){ .timeout_ns = 20000000000u });
	REQUIRE(!front_start(g->f));
	daemon_release(d, 1);
	REQUIRE(!vdax_pmem_probe(&g->g.pm));
}

static void send_get_base(struct guest *g)
{
	struct front_msg m = { .hdr = { VHOST_USER_GET_VRING_BASE, VHOST_USER_VERSION, 8 } };

	REQUIRE(!front_sock_send(g->f->sock, &m));
}

static void test_get_base_in_sync(struct daemon *d)
{
	struct front_msg reply;
	struct noted n;
	struct guest g;

	boot_stalled(&g, d);
	start_sync(&g, &n, d);
	send_get_base(&g);
	CHECK_EQ("not answered in a sync", front_sock_recv(g.f->sock, &reply, 200), -ETIMEDOUT);
	CHECK_EQ("the control socket is", daemon_stat(d, "connected"), 1);
	CHECK_NAMED("the flush is not done", !guest_wait(&g, &n, 0));
	daemon_release(d, 1);
	CHECK_EQ("answered after it", front_sock_recv(g.f->sock, &reply, 5000), 0);
	CHECK_EQ("the ring's position", reply.p.state.num, 2);
	vdax_pmem_poll(&g.g.pm);
	CHECK_NAMED("the flush had been done by then", n.done && n.ret == 0);
	guest_close(&g);
}

/* ENABLE(0), RESET_DEVICE and SET_STATUS(0) wait for the sync as well. */
static void test_stop_in_sync(struct daemon *d, uint32_t request)
{
	struct front_msg m = { .hdr = { request, RAW_NEED_ACK, 8 } };
	struct front_msg reply;
	struct noted n;
	struct guest g;

	if (request == VHOST_USER_RESET_DEVICE)
		m.hdr.size = 0;
	boot_stalled(&g, d);
	start_sync(&g, &n, d);
	REQUIRE(!front_sock_send(g.f->sock, &m));
	CHECK_EQ("not in a sync", front_sock_recv(g.f->sock, &reply, 50), -ETIMEDOUT);
	daemon_release(d, 1);
	CHECK_EQ("but after it", front_sock_recv(g.f->sock, &reply, 5000), 0);
	CHECK_EQ("with success", reply.p.u64, 0);
	vdax_pmem_poll(&g.g.pm);
	CHECK_NAMED("the flush is done", n.done && n.ret == 0);
	guest_close(&g);
}

static void test_drop_in_sync(struct daemon *d, bool with_get_base)
{
	struct daemon_use before, in_sync;
	struct noted n;
	struct guest g;

	CHECK(daemon_stat_becomes(d, "connected", 0));
	before = daemon_use(d);
	boot_stalled(&g, d);
	start_sync(&g, &n, d);
	if (with_get_base)
		send_get_base(&g);
	guest_close(&g);
	sleep_ms(50);
	in_sync = daemon_use(d);
	CHECK_EQ("memory is held while it is needed", in_sync.ram_maps, 1);
	CHECK_EQ("still there", daemon_stat(d, "connected"), 1);
	daemon_release(d, 1);
	CHECK(daemon_stat_becomes(d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(d, &before));
}

static void test_sigterm_in_sync(struct daemon *d, bool with_get_base)
{
	struct noted n;
	struct guest g;

	boot_stalled(&g, d);
	start_sync(&g, &n, d);
	if (with_get_base)
		send_get_base(&g);
	sleep_ms(20);
	daemon_signal(d, SIGTERM);
	CHECK_EQ("waits for the sync", daemon_wait(d, 200), -ETIMEDOUT);
	daemon_release(d, 1);
	CHECK_EQ("then exits", daemon_wait(d, 5000), 0);
	vdax_pmem_poll(&g.g.pm);
	CHECK_NAMED("the request was answered", n.done && n.ret == 0);
	guest_close(&g);
}

static void test_in_sync(void)
{
	static const struct daemon_opts stall = { .stall = true };
	static struct daemon d;

	daemon_start(&d, &stall);
	test_get_base_in_sync(&d);
	test_stop_in_sync(&d, VHOST_USER_SET_VRING_ENABLE);
	test_stop_in_sync(&d, VHOST_USER_RESET_DEVICE);
	test_stop_in_sync(&d, VHOST_USER_SET_STATUS);
	test_drop_in_sync(&d, false);
	test_drop_in_sync(&d, true);
	test_sigterm_in_sync(&d, false);
	daemon_start(&d, &stall);
	test_sigterm_in_sync(&d, true);
}

int main(void)
{
	test_pieces();
	test_backlog();
	test_former_lives();
	test_once();
	test_inherited();
	test_sigterm_in_map();
	test_in_sync();
	return check_done();
}
