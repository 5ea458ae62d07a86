/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/control.c: a reader gets all of a long answer; those who do not read cost little. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/control.h"
#include "cmd/listen.h"
#include "host/fd.h"
#include "tests/lib/check.h"

#define SLOW 7u /* clients that do not read at first */

static struct loop loop;
static struct control control;
static struct loop_source end;
static _Atomic size_t answer_len;

/* Sockets of the daemon take a few kilobytes. */
int __real_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int s = __real_accept4(fd, sa, len, flags);

	if (s >= 0)
		setsockopt(s, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
	return s;
}

static char byte_at(size_t i)
{
	return (char)('a' + i % 23);
}

static size_t report(void *ctx, char *buf, size_t len)
{
	if (ctx != &control || len != CONTROL_ANSWER_MAX)
		abort();
	for (size_t i = 0; i < answer_len; i++)
		buf[i] = byte_at(i);
	return answer_len;
}

static void end_ready(struct loop_source *src, uint32_t events)
{
	(void)src;
	(void)events;
	loop_quit(&loop);
}

static void *run(void *arg)
{
	(void)arg;
	return loop_run(&loop) ? &loop : NULL;
}

static int connect_to(const char *path)
{
	int fd = connect_unix(path);

	REQUIRE(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 10 },
		   sizeof(struct timeval));
	return fd;
}

/* Reads to the end. How much it was; it is as it should be as far as it goes. */
static size_t read_all(int fd)
{
	static char buf[CONTROL_ANSWER_MAX + 1];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, buf + used, sizeof(buf) - used)) > 0)
		used += (size_t)n;
	CHECK_NAMED("an end", n == 0);
	for (size_t i = 0; i < used; i++)
		if (buf[i] != byte_at(i)) {
			CHECK_EQ("byte", buf[i], byte_at(i));
			break;
		}
	close(fd);
	return used;
}

static void test_lengths(const char *path)
{
	static const size_t lengths[] = { 0, 1, 4096, 4097, 100000, CONTROL_ANSWER_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		answer_len = lengths[i];
		CHECK_EQ("length", read_all(connect_to(path)), lengths[i]);
	}
}

static void test_slow(const char *path)
{
	int fd[SLOW];
	unsigned whole = 0;

	answer_len = CONTROL_ANSWER_MAX;
	for (unsigned i = 0; i < SLOW; i++)
		fd[i] = connect_to(path);
	CHECK_EQ("who reads gets it", read_all(connect_to(path)), answer_len);
	for (unsigned i = 0; i < SLOW; i++) {
		size_t n = read_all(fd[i]);

		CHECK_NAMED("a part at least", n > 0);
		whole += n == answer_len;
	}
	/* The reader took a place as well, if it was not faster than we send. */
	CHECK_NAMED("those that were kept",
		    whole == CONTROL_CLIENTS || whole == CONTROL_CLIENTS - 1);
	CHECK_EQ("and the next", read_all(connect_to(path)), answer_len);
}

/* Who goes away gives its place back. */
static void test_gone(const char *path)
{
	int fd[CONTROL_CLIENTS];

	for (unsigned round = 0; round < 50; round++)
		for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
			fd[i] = connect_to(path);
			close(fd[i]);
		}
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		fd[i] = connect_to(path);
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		CHECK_EQ("all of them are kept", read_all(fd[i]), answer_len);
}

int main(void)
{
	char path[] = "/tmp/vdax-test-XXXXXX";
	pthread_t thread;
	int before, fd;
	void *failed;

	REQUIRE((fd = mkstemp(path)) >= 0);
	close(fd);
	unlink(path);
	REQUIRE(!loop_init(&loop));
	end.ready = end_ready;
	end.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	REQUIRE(!loop_add(&loop, &end, EPOLLIN));
	before = dup(0);
	close(before);
	fd = listen_unix(path);
	REQUIRE(fd >= 0 && !control_init(&control, &loop, fd, report, &control));
	REQUIRE(!pthread_create(&thread, NULL, run, NULL));
	test_lengths(path);
	test_slow(path);
	test_gone(path);
	answer_len = CONTROL_ANSWER_MAX;
	fd = connect_to(path); /* is there when it ends */
	CHECK(read(fd, &(char){ 0 }, 1) == 1);
	fd_signal(end.fd);
	REQUIRE(!pthread_join(thread, &failed) && !failed);
	control_fini(&control);
	control_fini(&control);
	close(fd);
	fd = dup(0);
	CHECK_EQ("nothing is left open", fd, before);
	close(fd);
	loop_fini(&loop);
	close(end.fd);
	unlink(path);
	return check_done();
}
