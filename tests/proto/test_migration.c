/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Live migration of a device in this process: the dirty log, switched while its queue runs,
 * and the transfer of its state. The test plays the front end, and the driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/proto/raw.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"

#define PAGE	  4096u
#define LOG_BYTES 64u
#define DATA	  0x10000u /* guest address of the buffers */
#define RING	  16u	   /* as raw_fill() says: desc 0x1000, avail 0x2000, used 0x3000 */
#define LOG_ALL	  (UINT64_C(1) << VHOST_USER_F_LOG_ALL)
#define FEATURES  ((RAW_FEATURES & ~UINT64_C(1)) | LOG_ALL)
#define PROTOCOL                                                                      \
	(UINT64_C(1) << 0 | UINT64_C(1) << 1 | UINT64_C(1) << 3 | UINT64_C(1) << 13 | \
	 UINT64_C(1) << 15 | UINT64_C(1) << 19)

#define STATE_BYTES 300000u /* more than a pipe holds */
#define GOOD	    0x5a

static struct device {
	struct vhost vhost;
	struct loop loop;
	struct loop_source end; /* an eventfd: the control thread shall end */
	_Atomic bool hold;	/* serve() does not return */
	_Atomic bool holding;	/* it is in there */
	_Atomic int logging;	/* calls: on minus off */
	_Atomic int load;	/* what load() made of it; 1 if it was not called */
	_Atomic int save;	/* how save() ended */
	_Atomic int resets;
} dev;

static void start(void *ctx, const struct device_start *how)
{
	(void)ctx, (void)how;
}

static void stop(void *ctx)
{
	(void)ctx;
}

static void reset(void *ctx)
{
	(void)ctx;
	dev.resets++;
}

/* Writes into the first buffer of each request, and says so. */
static uint64_t serve(void *ctx, unsigned queue, struct vq *vq)
{
	static const char text[16] = "written";
	struct iovec seg[2], out[2];
	struct vq_chain c = { .seg = seg, .cap = 2 };

	(void)ctx, (void)queue;
	while (dev.hold && !vq->stopping) {
		dev.holding = true;
		poll(NULL, 0, 1);
	}
	dev.holding = false;
	do {
		vq_kicks_off(vq);
		while (!vq->stopping && vq_pop(vq, &c) == 1) {
			int n = chain_writable(&c, 0, sizeof(text), out, 2);

			if (n > 0 && !chain_fill(out, (unsigned)n, text))
				vq_wrote(vq, out, (unsigned)n, sizeof(text));
			vq_push(vq, c.head, sizeof(text));
			vq_publish(vq);
			vq_refresh(vq);
		}
	} while (!vq->stopping && vq_kicks_on(vq) > 0);
	return UINT64_MAX;
}

static void logging(void *ctx, bool on)
{
	(void)ctx;
	dev.logging += on ? 1 : -1;
}

static int save(void *ctx, struct state_out *out)
{
	uint8_t byte = GOOD;

	(void)ctx;
	for (unsigned i = 0; i < STATE_BYTES && !out->err; i++)
		state_put(out, &byte, 1);
	dev.save = out->err;
	return out->err;
}

static int load(void *ctx, struct state_in *in)
{
	uint8_t byte;
	int ret = 0;

	(void)ctx;
	for (unsigned i = 0; !ret && i < STATE_BYTES; i++) {
		ret = state_get(in, &byte, 1);
		if (!ret && byte != GOOD)
			ret = -EBADMSG;
	}
	dev.load = ret;
	return ret;
}

static const struct device_ops ops = {
	.type = "test",
	.num_queues = 1,
	.migratable = true,
	.start = start,
	.stop = stop,
	.reset = reset,
	.serve = serve,
	.logging = logging,
	.save = save,
	.load = load,
};

/* --- the front end --- */

static struct daemon place; /* only its path */
static struct raw r;
static uint8_t *ram;
static int kick;
static uint16_t offered;

static enum raw_outcome call_u64(uint32_t request, uint64_t value)
{
	struct front_msg m;
	struct front_msg reply;

	raw_fill(&r, request, &m);
	m.p.u64 = value;
	m.hdr.flags = RAW_NEED_ACK;
	REQUIRE(!front_sock_send(r.sock, &m));
	if (front_sock_recv(r.sock, &reply, 5000))
		return RAW_CLOSED;
	r.reply = reply;
	return reply.p.u64 ? RAW_NACK : RAW_ACK;
}

static int send_log(int fd, uint64_t off, uint64_t size)
{
	struct front_msg m = { .hdr = { VHOST_USER_SET_LOG_BASE, VHOST_USER_VERSION,
					sizeof(struct vhost_user_log) } };
	const struct vhost_user_log log = { .mmap_size = size, .mmap_offset = off };

	memcpy(m.p.bytes, &log, sizeof(log));
	m.fds[0] = fd;
	m.nfds = fd >= 0;
	return front_sock_send(r.sock, &m);
}

/* The answer to what was sent: a u64, or -1 if there is none within ms, -2 if the end came. */
static int64_t answer(uint32_t request, int ms)
{
	struct front_msg m;
	int ret = front_sock_recv(r.sock, &m, ms);

	if (ret)
		return ret == -ETIMEDOUT ? -1 : -2;
	CHECK_EQ("an answer to it", m.hdr.request, request);
	CHECK_EQ("of a u64", m.hdr.size, 8);
	CHECK_EQ("without descriptors", m.nfds, 0);
	return (int64_t)m.p.u64;
}

static int64_t set_log(int fd, uint64_t off, uint64_t size)
{
	REQUIRE(!send_log(fd, off, size));
	return answer(VHOST_USER_SET_LOG_BASE, 5000);
}

static int64_t set_addr(uint32_t flags, uint64_t log)
{
	struct front_msg m;

	raw_fill(&r, VHOST_USER_SET_VRING_ADDR, &m);
	m.p.addr.flags = flags;
	m.p.addr.log = log;
	m.hdr.flags = RAW_NEED_ACK;
	REQUIRE(!front_sock_send(r.sock, &m));
	return answer(VHOST_USER_SET_VRING_ADDR, 5000);
}

static void negotiate(void)
{
	int sock = front_sock_connect(place.sock);
	struct front_msg m;

	REQUIRE(sock >= 0);
	raw_open_on(&r, sock);
	ram = mmap(NULL, RAW_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, r.ram_fd, 0);
	REQUIRE(ram != MAP_FAILED);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	offered = 0;
	CHECK_EQ("protocol features", call_u64(VHOST_USER_SET_PROTOCOL_FEATURES, PROTOCOL),
		 RAW_ACK);
	CHECK_EQ("features", call_u64(VHOST_USER_SET_FEATURES, FEATURES & ~LOG_ALL), RAW_ACK);
	raw_fill(&r, VHOST_USER_ADD_MEM_REG, &m);
	m.hdr.flags = RAW_NEED_ACK;
	REQUIRE(!front_sock_send(r.sock, &m) && !front_sock_recv(r.sock, &r.reply, 5000));
	CHECK_EQ("memory", r.reply.p.u64, 0);
}

static void start_queue(void)
{
	struct front_msg m;

	raw_fill(&r, VHOST_USER_SET_VRING_NUM, &m);
	REQUIRE(!front_sock_send(r.sock, &m));
	raw_fill(&r, VHOST_USER_SET_VRING_ADDR, &m);
	REQUIRE(!front_sock_send(r.sock, &m));
	raw_fill(&r, VHOST_USER_SET_VRING_KICK, &m);
	m.fds[0] = kick;
	REQUIRE(!front_sock_send(r.sock, &m));
	raw_fill(&r, VHOST_USER_SET_VRING_ENABLE, &m);
	m.p.state.num = 1;
	m.hdr.flags = RAW_NEED_ACK;
	REQUIRE(!front_sock_send(r.sock, &m) && !front_sock_recv(r.sock, &r.reply, 5000));
	CHECK_EQ("running", r.reply.p.u64, 0);
}

static void stop_queue(void)
{
	struct front_msg m;

	raw_fill(&r, VHOST_USER_GET_VRING_BASE, &m);
	REQUIRE(!front_sock_send(r.sock, &m) && !front_sock_recv(r.sock, &r.reply, 5000));
	CHECK_EQ("base", r.reply.p.state.num, offered);
}

static void leave(void)
{
	raw_close(&r);
	fd_close(&kick);
	munmap(ram, RAW_RAM);
}

/* One request into this page of DATA; waits for its answer. */
static void request(unsigned page)
{
	struct vring_desc *d = (void *)(ram + 0x1000);
	struct vring_avail *avail = (void *)(ram + 0x2000);
	const struct vring_used *used = (const void *)(ram + 0x3000);

	d[0] = (struct vring_desc){ .addr = le64_of(DATA + (uint64_t)page * PAGE),
				    .len = le32_of(16),
				    .flags = le16_of(VRING_DESC_F_WRITE) };
	ring_store(&avail->ring[offered % RING], 0);
	ring_store_release(&avail->idx, ++offered);
	fd_signal(kick);
	for (unsigned ms = 0; ms < 5000 && ring_load_acquire(&used->idx) != offered; ms++)
		sleep_ms(1);
	REQUIRE(ring_load_acquire(&used->idx) == offered);
	/* The mark comes after the index: wait until the queue sleeps, or was told to. */
	sleep_ms(2);
}

static uint8_t *new_log(int *fd)
{
	uint8_t *log;

	*fd = memfd_create("test-log", MFD_CLOEXEC);
	REQUIRE(*fd >= 0 && !ftruncate(*fd, PAGE));
	log = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	REQUIRE(log != MAP_FAILED);
	return log;
}

static bool marked(uint8_t *log, uint64_t page)
{
	return log[page / 8] & 1u << (page % 8);
}

static unsigned marks(uint8_t *log)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LOG_BYTES; i++)
		n += (unsigned)__builtin_popcount(log[i]);
	memset(log, 0, LOG_BYTES);
	return n;
}

/* --- the log --- */

static void test_offers(void)
{
	struct front_msg m;

	negotiate();
	raw_fill(&r, VHOST_USER_GET_FEATURES, &m);
	REQUIRE(!front_sock_send(r.sock, &m) && !front_sock_recv(r.sock, &r.reply, 5000));
	CHECK_EQ("features", r.reply.p.u64, FEATURES);
	raw_fill(&r, VHOST_USER_GET_PROTOCOL_FEATURES, &m);
	REQUIRE(!front_sock_send(r.sock, &m) && !front_sock_recv(r.sock, &r.reply, 5000));
	CHECK_EQ("protocol features, STATUS not among them", r.reply.p.u64, PROTOCOL);
	leave();
}

static void test_switching(void)
{
	int fd;
	uint8_t *log = new_log(&fd);

	negotiate();
	start_queue();
	request(0);
	CHECK_EQ("a log", set_log(fd, 0, LOG_BYTES), 0);
	request(1);
	CHECK_EQ("nothing before LOG_ALL", marks(log), 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		CHECK_EQ("on", call_u64(VHOST_USER_SET_FEATURES, FEATURES), RAW_ACK);
		CHECK_EQ("the device knows", dev.logging, 1);
		request(2);
		CHECK_NAMED("data", marked(log, DATA / PAGE + 2));
		CHECK_NAMED("ring", marked(log, 3));
		CHECK_EQ("nothing else", marks(log), 2);
		CHECK_EQ("used ring", set_addr(VHOST_USER_VRING_F_LOG, 0x80000), 0);
		request(3);
		CHECK_NAMED("data", marked(log, DATA / PAGE + 3));
		CHECK_NAMED("ring, where it was said to be", marked(log, 0x80));
		CHECK_EQ("nothing else", marks(log), 2);
		CHECK_EQ("used ring", set_addr(0, 0), 0);
		CHECK_EQ("off", call_u64(VHOST_USER_SET_FEATURES, FEATURES & ~LOG_ALL), RAW_ACK);
		CHECK_EQ("the device knows", dev.logging, 0);
		memset(log, 0, LOG_BYTES); /* each message woke the queue, which wrote its switch */
		request(4);
		CHECK_EQ("nothing", marks(log), 0);
	}
	CHECK_EQ("other features do not change",
		 call_u64(VHOST_USER_SET_FEATURES, FEATURES & ~(UINT64_C(1) << 29)), RAW_NACK);
	CHECK_EQ("on", call_u64(VHOST_USER_SET_FEATURES, FEATURES), RAW_ACK);
	stop_queue();
	memset(log, 0, LOG_BYTES);
	start_queue(); /* goes on where it stopped: the base is kept */
	request(5);
	CHECK_NAMED("a queue that starts logs at once", marked(log, DATA / PAGE + 5));
	leave();
	for (unsigned ms = 0; ms < 5000 && dev.logging; ms++)
		sleep_ms(1);
	CHECK_EQ("the end of the connection is the end of it", dev.logging, 0);
	munmap(log, PAGE);
	close(fd);
}

/* The answer waits for the queue, and the control thread does not. */
static void test_deferred(void)
{
	int fd;
	uint8_t *log = new_log(&fd);

	negotiate();
	start_queue();
	request(0);
	CHECK_EQ("on", call_u64(VHOST_USER_SET_FEATURES, FEATURES), RAW_ACK);
	dev.hold = true;
	fd_signal(kick);
	for (unsigned ms = 0; ms < 5000 && !dev.holding; ms++)
		sleep_ms(1);
	CHECK_NAMED("at work", dev.holding);
	REQUIRE(!send_log(fd, 0, LOG_BYTES));
	CHECK_EQ("no answer yet", answer(VHOST_USER_SET_LOG_BASE, 200), -1);
	dev.hold = false;
	CHECK_EQ("now", answer(VHOST_USER_SET_LOG_BASE, 5000), 0);
	request(1);
	CHECK_NAMED("logged", marked(log, DATA / PAGE + 1));

	dev.hold = true;
	fd_signal(kick);
	for (unsigned ms = 0; ms < 5000 && !dev.holding; ms++)
		sleep_ms(1);
	REQUIRE(!send_log(fd, 0, LOG_BYTES));
	leave(); /* with an answer that is owed */
	dev.hold = false;
	negotiate();
	start_queue();
	request(0);
	leave();
	munmap(log, PAGE);
	close(fd);
}

static struct {
	_Atomic bool quit;
	_Atomic unsigned n;
} storm;

/* The driver goes on and on, while the front end changes logs. */
static void *storm_main(void *arg)
{
	struct vring_avail *avail = (void *)(ram + 0x2000);
	const struct vring_used *used = (const void *)(ram + 0x3000);

	while (!storm.quit) {
		ring_store(&avail->ring[offered % RING], 0);
		ring_store_release(&avail->idx, ++offered);
		fd_signal(kick);
		while (ring_load_acquire(&used->idx) != offered && !storm.quit)
			sched_yield();
		storm.n++;
	}
	return arg;
}

/* After the answer nothing is marked in the former log, and everything in the new one. */
static void test_resize(void)
{
	uint8_t *logs[2];
	pthread_t driver;
	int fds[2];

	logs[0] = new_log(&fds[0]);
	logs[1] = new_log(&fds[1]);
	negotiate();
	start_queue();
	request(0);
	CHECK_EQ("a log", set_log(fds[0], 0, LOG_BYTES), 0);
	CHECK_EQ("on", call_u64(VHOST_USER_SET_FEATURES, FEATURES), RAW_ACK);
	storm.quit = false;
	REQUIRE(!pthread_create(&driver, NULL, storm_main, NULL));
	for (unsigned i = 1; i < 100; i++) {
		uint8_t *former = logs[(i + 1) % 2], *next = logs[i % 2];
		unsigned n;

		CHECK_EQ("another log", set_log(fds[i % 2], 0, LOG_BYTES), 0);
		memset(former, 0, LOG_BYTES);
		memset(next, 0, LOG_BYTES);
		for (n = storm.n; storm.n < n + 3;)
			sched_yield();
		CHECK_EQ("the former is left alone", marks(former), 0);
		CHECK_NAMED("the new one is not", marked(next, 3));
	}
	storm.quit = true;
	pthread_join(driver, NULL);
	leave();
	for (unsigned i = 0; i < 2; i++) {
		munmap(logs[i], PAGE);
		close(fds[i]);
	}
}

static const struct {
	const char *name;
	uint64_t off, size;
	bool fd;
} bad_logs[] = {
	{ "empty", 0, 0, true },
	{ "past the end of its file", 0, PAGE + 1, true },
	{ "behind its file", PAGE, 1, true },
	{ "wraps", UINT64_MAX, 2, true },
	{ "no descriptor", 0, LOG_BYTES, false },
};

static void test_bad_logs(void)
{
	int fd;
	uint8_t *log = new_log(&fd);

	for (size_t i = 0; i < ARRAY_SIZE(bad_logs); i++) {
		negotiate();
		start_queue();
		request(0);
		CHECK_EQ(bad_logs[i].name,
			 set_log(bad_logs[i].fd ? fd : -1, bad_logs[i].off, bad_logs[i].size), -2);
		leave();
	}
	negotiate();
	start_queue();
	CHECK_EQ("a log", set_log(fd, 0, LOG_BYTES), 0);
	CHECK_EQ("on", call_u64(VHOST_USER_SET_FEATURES, FEATURES), RAW_ACK);
	REQUIRE(!ftruncate(fd, 0));
	request(0);
	request(1);
	CHECK_EQ("a log that goes away harms nobody", call_u64(VHOST_USER_GET_FEATURES, 0),
		 RAW_NACK);
	leave();
	munmap(log, PAGE);
	close(fd);
}

/* --- the state --- */

static int64_t transfer(uint32_t direction, uint32_t phase, int fd)
{
	struct front_msg m;
	const struct vhost_user_transfer_state s = { direction, phase };

	raw_fill(&r, VHOST_USER_SET_DEVICE_STATE_FD, &m);
	memcpy(m.p.bytes, &s, sizeof(s));
	m.fds[0] = fd;
	REQUIRE(!front_sock_send(r.sock, &m));
	return answer(VHOST_USER_SET_DEVICE_STATE_FD, 5000);
}

static void send_check(void)
{
	struct front_msg m;

	raw_fill(&r, VHOST_USER_CHECK_DEVICE_STATE, &m);
	REQUIRE(!front_sock_send(r.sock, &m));
}

static int64_t check(void)
{
	send_check();
	return answer(VHOST_USER_CHECK_DEVICE_STATE, 5000);
}

/* Starts a transfer through a pipe; returns our end. */
static int begin(uint32_t direction)
{
	int fds[2], ours = direction == VHOST_USER_STATE_SAVE ? 0 : 1;

	REQUIRE(!pipe2(fds, O_CLOEXEC));
	CHECK_EQ("begins, without a descriptor for us",
		 transfer(direction, VHOST_USER_STATE_STOPPED, fds[!ours]),
		 VHOST_USER_STATE_FD_NONE);
	close(fds[!ours]);
	return fds[ours];
}

/* Reads to the end. How many bytes, or -1 if one is wrong. */
static int64_t read_state(int fd)
{
	static uint8_t buf[10000];
	int64_t total = 0;
	bool wrong = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong |= buf[i] != GOOD;
		total += n;
	}
	return wrong || n < 0 ? -1 : total;
}

static void write_state(int fd, size_t n)
{
	static uint8_t state[STATE_BYTES + 1];
	size_t at = 0;

	memset(state, GOOD, sizeof(state));
	while (at < n) {
		ssize_t done = write(fd, state + at, n - at);

		if (done < 0)
			break; /* refused: the daemon says so */
		at += (size_t)done;
	}
}

static void test_save(void)
{
	int fd;

	negotiate();
	CHECK_NAMED("none was asked for", check() > 0);
	start_queue();
	request(0);
	CHECK_NAMED("not while a queue runs",
		    transfer(VHOST_USER_STATE_SAVE, VHOST_USER_STATE_STOPPED, kick) &
			    VHOST_USER_STATE_FD_ERROR);
	stop_queue();
	for (unsigned i = 0; i < 3; i++) {
		fd = begin(VHOST_USER_STATE_SAVE);
		CHECK_EQ("the state", read_state(fd), STATE_BYTES);
		CHECK_EQ("saved", check(), 0);
		close(fd);
	}
	CHECK_NAMED("an unknown phase", transfer(VHOST_USER_STATE_SAVE, 1, kick) & 0xff);
	CHECK_NAMED("an unknown direction", transfer(2, 0, kick) & 0xff);
	CHECK_EQ("the latest result stays", check(), 0);
	start_queue(); /* the migration failed elsewhere: on with it */
	request(1);
	leave();
	negotiate();
	CHECK_NAMED("none was asked for on this connection", check() > 0);
	leave();
}

static const struct {
	const char *name;
	size_t len;
	int load;
} load_cases[] = {
	{ "all", STATE_BYTES, 0 },
	{ "short", STATE_BYTES - 1, -ENODATA },
	{ "empty", 0, -ENODATA },
	{ "too long", STATE_BYTES + 1, 0 },
};

static void test_load(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(load_cases); i++) {
		bool good = load_cases[i].len == STATE_BYTES;
		int fd, resets;

		negotiate();
		fd = begin(VHOST_USER_STATE_LOAD);
		resets = dev.resets;
		write_state(fd, load_cases[i].len);
		close(fd);
		CHECK_EQ(load_cases[i].name, check() == 0, good);
		CHECK_EQ(load_cases[i].name, dev.load, load_cases[i].load);
		if (load_cases[i].len > STATE_BYTES)
			CHECK_EQ("what was loaded is dropped", dev.resets, resets + 1);
		start_queue();
		request(0);
		leave();
	}
}

/* While a transfer hangs the connection lives, and what ends the transfer ends it. */
static void test_cancel(void)
{
	static const uint32_t ends[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_NUM,
					 VHOST_USER_SET_VRING_ADDR, VHOST_USER_RESET_DEVICE,
					 VHOST_USER_RESET_OWNER,    0 /* the connection's end */ };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		int fd;

		negotiate();
		fd = begin(i % 2 ? VHOST_USER_STATE_LOAD : VHOST_USER_STATE_SAVE);
		CHECK_NAMED("one at a time", transfer(VHOST_USER_STATE_SAVE, 0, kick) & 0xff);
		CHECK_EQ("the connection lives", call_u64(VHOST_USER_GET_FEATURES, 0), RAW_NACK);
		if (ends[i]) {
			struct front_msg m;

			raw_fill(&r, ends[i], &m);
			m.hdr.flags = RAW_NEED_ACK;
			REQUIRE(!front_sock_send(r.sock, &m));
			CHECK_EQ("what comes instead", answer(ends[i], 5000), 0);
			CHECK_NAMED("the transfer has failed", check() > 0);
			CHECK_EQ("in the device as well", i % 2 ? dev.load : dev.save, -ECANCELED);
		}
		leave();
		negotiate(); /* the next one is served */
		start_queue();
		request(0);
		leave();
		close(fd);
	}
}

/* A pipe that was made to block, and one that nobody reads any more. */
static void test_bad_pipes(void)
{
	int fds[2], fd;

	negotiate();
	REQUIRE(!pipe2(fds, O_CLOEXEC));
	CHECK_EQ("begins", transfer(VHOST_USER_STATE_SAVE, 0, fds[1]), VHOST_USER_STATE_FD_NONE);
	fcntl(fds[1], F_SETFL, 0);
	sleep_ms(50); /* it is full by now */
	raw_close(&r);
	close(fds[0]);
	close(fds[1]);
	fd_close(&kick);
	munmap(ram, RAW_RAM);

	negotiate();
	fd = begin(VHOST_USER_STATE_SAVE);
	close(fd);
	CHECK_NAMED("nobody reads", check() > 0);
	CHECK_EQ("the device heard of it", dev.save, -EPIPE);

	/* The answer to a check waits for the end. */
	fd = begin(VHOST_USER_STATE_SAVE);
	send_check();
	CHECK_EQ("not yet", answer(VHOST_USER_CHECK_DEVICE_STATE, 100), -1);
	CHECK_EQ("the state", read_state(fd), STATE_BYTES);
	CHECK_EQ("now", answer(VHOST_USER_CHECK_DEVICE_STATE, 5000), 0);
	close(fd);
	leave();
}

static void end_ready(struct loop_source *src, uint32_t events)
{
	(void)events;
	fd_drain(src->fd);
	vhost_quit(&dev.vhost);
}

static void *control_thread(void *arg)
{
	return loop_run(&dev.loop) ? arg : NULL;
}

int main(void)
{
	char dir[] = "/tmp/vdax-test-XXXXXX";
	pthread_t control;
	void *failed;

	signal(SIGPIPE, SIG_IGN);
	REQUIRE(mkdtemp(dir));
	snprintf(place.sock, sizeof(place.sock), "%s/sock", dir);
	REQUIRE(!fault_init() && !loop_init(&dev.loop));
	REQUIRE(!vhost_init(&dev.vhost, &dev.loop, "test", &ops, &dev));
	REQUIRE(!vhost_listen(&dev.vhost, make_listener(place.sock)));
	dev.end = (struct loop_source){ .fd = eventfd(0, EFD_CLOEXEC), .ready = end_ready };
	REQUIRE(dev.end.fd >= 0 && !loop_add(&dev.loop, &dev.end, EPOLLIN));
	REQUIRE(!pthread_create(&control, NULL, control_thread, &dev));

	test_offers();
	test_switching();
	test_deferred();
	test_resize();
	test_bad_logs();
	test_save();
	test_load();
	test_cancel();
	test_bad_pipes();

	negotiate();
	begin(VHOST_USER_STATE_SAVE); /* nobody reads: the end does not wait for it */
	fd_signal(dev.end.fd);
	pthread_join(control, &failed);
	CHECK_NAMED("loop", !failed);
	leave();
	vhost_fini(&dev.vhost);
	close(dev.end.fd);
	loop_fini(&dev.loop);
	unlink(place.sock);
	rmdir(dir);
	return check_done();
}
