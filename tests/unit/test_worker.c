/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost/worker.c: what wakes a queue's thread, and what must not. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "base/macros.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/lib/fake_driver.h"
#include "vhost/worker.h"
#include "virtio/fault.h"

#define PATIENCE_MS 5000u

static struct {
	_Atomic unsigned serves;
	_Atomic uint64_t again; /* what serve() returns */
	_Atomic unsigned last;	/* calls with vq->stopping */
	_Atomic bool break_it;	/* serve() breaks the queue */
	int fd;			/* of wait_fd() */
} dev;

static uint64_t serve(void *ctx, unsigned queue, struct vq *vq)
{
	(void)ctx, (void)queue;
	dev.last += vq->stopping;
	if (dev.break_it)
		vq_break(vq, -EIO, "test");
	dev.serves++;
	return dev.again;
}

static int wait_fd(void *ctx, unsigned queue)
{
	(void)ctx;
	CHECK_EQ("queue", queue, 3);
	return dev.fd;
}

static const struct device_ops ops = { .serve = serve, .wait_fd = wait_fd };

static struct fake_driver *ring; /* its memory */
static struct worker worker;
static int parked;

static void nap_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

/* Waits until serve() was called n times in all. */
static bool served(unsigned n)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && dev.serves < n; ms++)
		nap_ms(1);
	return dev.serves >= n;
}

/* Hands the ring over with this kick (taken); the first serve() is done. */
static void run(int kick)
{
	dev.serves = dev.last = 0;
	worker_set_kick(&worker, kick);
	REQUIRE(!vq_start(&worker.vq, &ring->cfg, ring->mem));
	worker_run(&worker);
}

static void park(void)
{
	unsigned ms = 0;

	worker_park(&worker);
	while (!worker_parked(&worker) && ms++ < PATIENCE_MS)
		nap_ms(1);
	REQUIRE(worker_parked(&worker));
	CHECK_NAMED("the last call knows that it is", dev.last >= 1);
	vq_stop(&worker.vq);
	fd_drain(parked);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clockid_t id;

	REQUIRE(!pthread_getcpuclockid(worker.thread, &id) && !clock_gettime(id, &t));
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Sleeps: neither serves nor spins. */
static void check_asleep(const char *name)
{
	unsigned before = dev.serves;
	uint64_t cpu = cpu_ns();

	nap_ms(50);
	CHECK_NAMED(name, dev.serves <= before + 1); /* an edge that was under way */
	CHECK_NAMED(name, cpu_ns() - cpu < 10000000);
}

/* Each kick is served, though nobody ever reads it. */
static void check_kicks(const char *name, int kick)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned before = dev.serves;

		fd_signal(kick);
		CHECK_NAMED(name, served(before + 1));
	}
}

/* What the front end may have done to the open file that it shares. */
static void blocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void signalled(int fd)
{
	fd_signal(fd);
}

static void full(int fd)
{
	uint64_t most = UINT64_MAX - 1;

	REQUIRE(write(fd, &most, sizeof(most)) == sizeof(most));
}

static void asynchronous(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
}

static const struct {
	const char *name;
	void (*spoil)(int fd);
	bool full; /* no more kicks are possible */
} kick_cases[] = {
	{ "as usual", NULL, false },
	{ "one that blocks", blocking, false },
	{ "one that was signalled before", signalled, false },
	{ "one with O_ASYNC", asynchronous, false },
	{ "a full one", full, true },
};

static void test_kicks(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kick_cases); i++) {
		int kick = fake_eventfd();
		unsigned before;

		run(dup(kick));
		CHECK_NAMED("first", served(1));
		if (kick_cases[i].spoil)
			kick_cases[i].spoil(kick);
		if (!kick_cases[i].full)
			check_kicks(kick_cases[i].name, kick);
		check_asleep(kick_cases[i].name);
		fd_drain(kick); /* the front end, which may read it as well */
		check_kicks(kick_cases[i].name, kick);
		worker_wake(&worker);
		check_asleep(kick_cases[i].name);
		CHECK_EQ(kick_cases[i].name, worker.vq.broken, 0);
		park();
		/* The front end's open file lives on: it is none of ours. */
		before = dev.serves;
		fd_signal(kick);
		nap_ms(2);
		CHECK_EQ("not served while it is away", dev.serves, before);
		close(kick);
	}
}

static void check_broken(const char *name)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && !fake_signals(ring->err); ms++)
		nap_ms(1);
	check_asleep(name);
	park();
}

static void test_unusable_kick(void)
{
	int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), before;

	REQUIRE(file >= 0 && !pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	vq_set_err(&worker.vq, dup(ring->err));
	run(fds[0]);
	CHECK_NAMED("a pipe is as good", served(1));
	check_kicks("a pipe", fds[1]);
	close(fds[1]);
	check_broken("hung up");

	run(file);
	check_broken("a file");
	CHECK_EQ("never served but for the end", dev.serves, 1);

	before = fake_eventfd();
	run(dup(before));
	CHECK_NAMED("whole again", served(1));
	check_kicks("whole again", before);
	park();
	close(before);
}

/* A broken queue is not woken by kicks, which would be for nothing. */
static void test_broken(void)
{
	int kick = fake_eventfd();
	unsigned before;
	uint64_t cpu;

	dev.break_it = true;
	run(dup(kick));
	CHECK_NAMED("runs", served(1));
	dev.break_it = false;
	nap_ms(20);
	before = dev.serves;
	cpu = cpu_ns();
	for (unsigned i = 0; i < 100000; i++)
		fd_signal(kick);
	CHECK_EQ("not served", dev.serves, before);
	CHECK_NAMED("asleep", cpu_ns() - cpu < 10000000);
	park();
	close(kick);
}

static void test_device_fd(void)
{
	int kick = fake_eventfd();

	dev.fd = fake_eventfd();
	run(dup(kick));
	CHECK_NAMED("runs", served(1));
	check_kicks("the device's", dev.fd);
	check_kicks("the kick", kick);
	check_asleep("neither");
	park();
	fd_signal(dev.fd);
	run(dup(kick));
	CHECK_NAMED("what was ready before", served(2));
	check_asleep("once");
	park();
	fd_close(&dev.fd);
	run(dup(kick));
	CHECK_NAMED("without one", served(1));
	check_kicks("without one", kick);
	park();
	close(kick);
}

/* How long serve() is not called, by what it returned. */
static void test_timeouts(void)
{
	static const uint64_t times[] = { 1, 200000, 3000000, 1500000000 };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const unsigned n = times[i] > 100000000 ? 1 : 5;
		int kick = fake_eventfd();
		uint64_t begin = clock_ns(), took;

		dev.again = times[i];
		run(dup(kick));
		CHECK_NAMED("called again", served(1 + n));
		took = clock_ns() - begin;
		CHECK_NAMED("not before its time", took >= n * times[i]);
		dev.again = UINT64_MAX;
		worker_wake(&worker);
		park();
		close(kick);
	}
}

/* Without a kick the ring is looked at again and again. */
static void test_polled(void)
{
	run(-1);
	CHECK_NAMED("polled", served(20));
	park();
}

int main(void)
{
	REQUIRE(!fault_init());
	dev.fd = -1;
	dev.again = UINT64_MAX;
	ring = fake_new(8, 0);
	parked = fake_eventfd();
	REQUIRE(!worker_init(&worker, 3, "test", &ops, NULL, parked));
	test_kicks();
	test_unusable_kick();
	test_broken();
	test_device_fd();
	test_timeouts();
	test_polled();
	worker_fini(&worker);
	fake_free(ring);
	close(parked);
	return check_done();
}
