/* SPDX-License-Identifier: BSD-2-Clause */
/* host/loop.c and host/fd.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/loop.h"
#include "tests/lib/check.h"

struct source {
	struct loop_source src;
	struct loop *loop;
	struct source *victim; /* removed by the handler, or NULL */
	unsigned calls;
};

static void on_ready(struct loop_source *src, uint32_t events)
{
	struct source *s = container_of(src, struct source, src);

	s->calls++;
	CHECK_EQ("events", events & EPOLLIN, EPOLLIN);
	fd_drain(src->fd);
	if (s->victim) {
		loop_del(s->loop, &s->victim->src);
		s->victim = NULL;
	}
}

static void source_init(struct source *s, struct loop *loop)
{
	*s = (struct source){ .loop = loop };
	s->src.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->src.ready = on_ready;
	REQUIRE(s->src.fd >= 0 && loop_add(loop, &s->src, EPOLLIN) == 0);
}

/* Ends the loop after some turns. */
struct turns {
	struct loop *loop;
	unsigned left;
	struct source *signal; /* made ready before each wait, or NULL */
};

static void before_wait(void *ctx)
{
	struct turns *t = ctx;

	if (!t->left--)
		loop_quit(t->loop);
	else if (t->signal)
		fd_signal(t->signal->src.fd);
}

static void run(struct loop *loop, unsigned turns, struct source *signal)
{
	struct turns t = { .loop = loop, .left = turns, .signal = signal };

	loop->quit = false;
	loop->before_wait = before_wait;
	loop->ctx = &t;
	CHECK_EQ("run", loop_run(loop), 0);
}

static void test_dispatch(void)
{
	struct source a, b;
	struct loop loop;

	REQUIRE(loop_init(&loop) == 0);
	source_init(&a, &loop);
	source_init(&b, &loop);
	run(&loop, 3, &a);
	CHECK_EQ("once per turn", a.calls, 3);
	CHECK_EQ("not ready", b.calls, 0);
	CHECK_EQ("twice", loop_add(&loop, &a.src, EPOLLIN), -EEXIST);
	fd_close(&a.src.fd);
	CHECK_EQ("closed", loop_add(&loop, &a.src, EPOLLIN), -EBADF);
	loop_del(&loop, &a.src); /* without an fd: nothing to do */
	loop_del(&loop, &b.src);
	fd_close(&b.src.fd);
	loop_fini(&loop);
	loop_fini(&loop);
}

/* Both are ready; whichever runs first removes the other, which must not run then. */
static void test_remove_ready(void)
{
	struct source a, b, keep;
	struct loop loop;

	REQUIRE(loop_init(&loop) == 0);
	source_init(&a, &loop);
	source_init(&b, &loop);
	source_init(&keep, &loop);
	a.victim = &b;
	b.victim = &a;
	fd_signal(a.src.fd);
	fd_signal(b.src.fd);
	run(&loop, 4, &keep);
	CHECK_EQ("one of them", a.calls + b.calls, 1);
	fd_close(&a.src.fd);
	fd_close(&b.src.fd);
	fd_close(&keep.src.fd);
	loop_fini(&loop);
}

static void test_remove_itself(void)
{
	struct source a, keep;
	struct loop loop;

	REQUIRE(loop_init(&loop) == 0);
	source_init(&a, &loop);
	source_init(&keep, &loop);
	a.victim = &a;
	fd_signal(a.src.fd);
	run(&loop, 3, &keep);
	fd_signal(a.src.fd); /* ready, but nobody's business now */
	run(&loop, 3, &keep);
	CHECK_EQ("once", a.calls, 1);
	CHECK(keep.calls >= 5);
	fd_close(&a.src.fd);
	fd_close(&keep.src.fd);
	loop_fini(&loop);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal wakes the loop, which goes on. */
static void test_interrupted(void)
{
	const struct sigaction sa = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct loop loop;

	REQUIRE(loop_init(&loop) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
	setitimer(ITIMER_REAL, &often, NULL);
	run(&loop, 3, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	loop_fini(&loop);
	loop.quit = false;
	loop.before_wait = NULL;
	CHECK_EQ("waiting fails", loop_run(&loop), -EBADF);
}

static void test_signal(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t n = UINT64_MAX - 1;

	REQUIRE(fd >= 0);
	CHECK_EQ("signal", fd_signal(fd), 0);
	CHECK_EQ("signal", fd_signal(fd), 0);
	REQUIRE(read(fd, &n, sizeof(n)) == sizeof(n));
	CHECK_EQ("both", n, 2);
	n = UINT64_MAX - 1;
	REQUIRE(write(fd, &n, sizeof(n)) == sizeof(n));
	CHECK_EQ("full is readable", fd_signal(fd), 0);
	fd_drain(fd);
	CHECK_EQ("drained", read(fd, &n, sizeof(n)) < 0 && errno == EAGAIN, true);
	fd_drain(fd); /* does not wait */
	CHECK_EQ("no fd", fd_signal(-1), -EBADF);
	close(fd);
}

static void test_close(void)
{
	int fds[2];

	REQUIRE(pipe(fds) == 0);
	CHECK_EQ("nonblock", fd_set_nonblock(fds[0]), 0);
	CHECK_EQ("nonblock", fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_EQ("nonblock again", fd_set_nonblock(fds[0]), 0);
	errno = ENOENT;
	fd_close_all(fds, 2);
	fd_close_all(fds, 2);
	CHECK_EQ("errno kept", errno, ENOENT);
	CHECK(fds[0] == -1 && fds[1] == -1);
	CHECK_EQ("no fd", fd_set_nonblock(-1), -EBADF);
}

static void test_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t before = clock_ns(), n = 0;

	REQUIRE(fd >= 0);
	CHECK_EQ("arm", fd_timer_set(fd, 2000000), 0);
	REQUIRE(read(fd, &n, sizeof(n)) == sizeof(n));
	CHECK(n == 1 && clock_ns() - before >= 2000000);
	CHECK_EQ("arm", fd_timer_set(fd, 1), 0);
	CHECK_EQ("disarm", fd_timer_set(fd, 0), 0);
	CHECK_EQ("nonblock", fd_set_nonblock(fd), 0);
	CHECK_EQ("silent", read(fd, &n, sizeof(n)), -1);
	CHECK_EQ("not a timer", fd_timer_set(-1, 1), -EBADF);
	close(fd);
}

int main(void)
{
	test_dispatch();
	test_remove_ready();
	test_remove_itself();
	test_interrupted();
	test_signal();
	test_close();
	test_timer();
	return check_done();
}
