/* SPDX-License-Identifier: BSD-2-Clause */
/* What a hostile guest does to the answer of the control socket: it is counted, nothing else. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/listen.h"
#include "front/raw.h"
#include "tests/lib/check.h"
#include "wire/fuse.h"

static char dir[] = "/tmp/vdax-test-XXXXXX";
static char sock[64], ctl[64], share[64];
static pid_t pid;

static void clean_up(void)
{
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	unlink(sock);
	unlink(ctl);
	rmdir(share);
	rmdir(dir);
}

static void start_daemon(void)
{
	const char *mode = getenv("VDAX_SANDBOX");
	bool free = mode && !strcmp(mode, "none");

	REQUIRE(mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(ctl, sizeof(ctl), "%s/c", dir);
	snprintf(share, sizeof(share), "%s/share", dir);
	REQUIRE(!mkdir(share, 0700));
	pid = fork();
	REQUIRE(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(getenv("VDAX"), "vdax", "fs", "--socket-path", sock, "--shared-dir", share,
		      "--control", ctl, free ? "--sandbox" : NULL, "none", "--seccomp", "none",
		      NULL);
		_exit(127);
	}
	atexit(clean_up);
}

static struct front_raw *connect_front(void)
{
	struct front_raw_opts opts = { .front = { .num_queues = 3 } };
	struct front_raw *r = NULL;

	for (int ms = 0; ms < 10000 && !r; ms += 5) {
		opts.front.fd = connect_unix(sock);
		if (opts.front.fd < 0)
			usleep(5000);
		else
			REQUIRE(!front_raw_open(&r, &opts));
	}
	REQUIRE(r);
	return r;
}

/* The answer of the control socket. */
static const char *ask(void)
{
	static char text[256 << 10];
	int fd = connect_unix(ctl);
	size_t used = 0;
	ssize_t n;

	REQUIRE(fd >= 0);
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	REQUIRE(!n);
	close(fd);
	text[used] = '\0';
	return text;
}

/* A request with this body. Returns the error of the answer. */
static int request(struct front_raw *r, uint32_t opcode, const void *body, size_t len)
{
	struct fuse_in_header in = {
		.len = (uint32_t)(sizeof(in) + len),
		.opcode = opcode,
		.unique = 5,
		.nodeid = FUSE_ROOT_ID,
	};
	struct iovec iov[] = { { &in, sizeof(in) }, { (void *)(uintptr_t)body, len } };
	struct fuse_out_header out = { .error = 1 };
	uint8_t answer[256];
	int n = front_raw_call(r, 1, iov, len ? 2 : 1, answer, sizeof(answer), 5000);

	REQUIRE(n >= (int)sizeof(out));
	memcpy(&out, answer, sizeof(out));
	return out.error;
}

static void test_counts(struct front_raw *r)
{
	static const char evil[] = "x\nrequests.EVIL 1\nqueue_depth.1 9";
	struct fuse_init_in init = { .major = 7, .minor = 38 };
	struct iovec tiny = { (void *)(uintptr_t) "abc", 3 };
	const char *text;

	CHECK_EQ("before INIT", request(r, FUSE_LOOKUP, evil, sizeof(evil)), -EIO);
	CHECK_EQ("INIT", request(r, FUSE_INIT, &init, sizeof(init)), 0);
	CHECK_EQ("a name with lines", request(r, FUSE_LOOKUP, evil, sizeof(evil)), -ENOENT);
	CHECK_EQ("unknown", request(r, 63, NULL, 0), -ENOSYS);
	CHECK_EQ("unknown", request(r, 4096, NULL, 0), -ENOSYS);
	CHECK_EQ("unknown", request(r, UINT32_MAX, NULL, 0), -ENOSYS);
	CHECK_EQ("no header", front_raw_call(r, 1, &tiny, 1, (char[16]){ 0 }, 16, 5000), 0);
	CHECK_EQ("nothing", front_raw_call(r, 2, NULL, 0, (char[16]){ 0 }, 16, 5000), 0);

	text = ask();
	CHECK_NAMED("no lines of the guest's", !strstr(text, "EVIL"));
	CHECK(strstr(text, "\nrequests.LOOKUP 2\nerrors.LOOKUP 2\n"));
	CHECK(strstr(text, "\nrequests.INIT 1\nerrors.INIT 0\n"));
	CHECK(strstr(text, "\nrequests.OTHER 5\nerrors.OTHER 5\n"));
	CHECK_NAMED("all are answered", strstr(text, "\nqueue_depth.1 0\nqueue_depth.2 0\n"));
	CHECK(strstr(text, "\nqueue_popped.1 7\nqueue_popped.2 1\n"));
	CHECK(strstr(text, "\nsession 1\n"));
}

/* A client that reads nothing does not hold up the others, however many there are of it. */
static void test_slow_readers(void)
{
	int fds[20];

	for (size_t i = 0; i < 20; i++) {
		fds[i] = connect_unix(ctl);
		REQUIRE(fds[i] >= 0);
	}
	CHECK(strstr(ask(), "\nsession 1\n"));
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
}

int main(void)
{
	struct front_raw *r;

	signal(SIGPIPE, SIG_IGN);
	start_daemon();
	r = connect_front();
	test_counts(r);
	test_slow_readers();
	front_raw_close(r);
	return check_done();
}
