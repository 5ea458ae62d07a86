/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end is killed in the middle of I/O: with writes, syncs and a lock that somebody waits
 * for under way. Nothing is left of it, neither in a daemon that ends then nor in one that goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"

#define ROUNDS 8u

static struct fsd d;

/* A guest that never stops; says when it is at work. */
static _Noreturn void guest(int ready)
{
	struct front_raw *r = fsd_connect(&d, 3, 65536);
	static char data[32768];
	uint64_t id, fh;

	fsd_init(r, FUSE_POSIX_LOCKS);
	id = fsd_lookup(r, 1, 1, "file");
	fh = fsd_open(r, 1, FUSE_OPEN, id, O_RDWR);
	REQUIRE(id && fh);
	for (uint64_t owner = 1; owner < 4; owner++) {
		const struct fsd_rq lock = { FUSE_SETLKW,
					     id,
					     { FSD_BODY(
						     lk, .fh = fh, .owner = owner,
						     .lk = { .end = INT64_MAX, .type = F_WRLCK }) },
					     0 };
		int ticket = fsd_post(r, 2, &lock, 16);

		if (owner == 1)
			CHECK_EQ("locked", fsd_wait(r, 2, ticket, NULL, 0), 0);
	}
	for (unsigned round = 0;; round++) {
		int tickets[8];

		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++) {
			const struct fsd_rq write = { FUSE_WRITE,
						      id,
						      { FSD_BODY(write, .fh = fh, .offset = i << 15,
								 .size = sizeof(data)),
							.tail = data, .tail_len = sizeof(data) },
						      0 };
			const struct fsd_rq sync = {
				FUSE_FSYNC, id, { FSD_BODY(fsync, .fh = fh) }, 0
			};

			tickets[i] = fsd_post(r, 1, i % 4 ? &write : &sync, 64);
		}
		if (round == 2)
			REQUIRE(write(ready, "", 1) == 1);
		for (unsigned i = 0; i < ARRAY_SIZE(tickets); i++)
			fsd_wait(r, 1, tickets[i], data, 8);
	}
}

static void kill_guest(unsigned after_us)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	REQUIRE(!pipe(ready));
	pid = fork();
	REQUIRE(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		guest(ready[1]);
	}
	close(ready[1]);
	REQUIRE(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	usleep(after_us);
	kill(pid, SIGKILL);
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* Can the host have the whole file to itself? */
static bool unlocked(void)
{
	struct flock l = { .l_type = F_WRLCK };
	char path[128];
	int fd, ret = -1;

	snprintf(path, sizeof(path), "%s/file", d.share);
	fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0);
	/* The daemon hears of the end a little later than we do. */
	for (int ms = 0; ret && ms < 5000; ms += 10) {
		ret = fcntl(fd, F_OFD_SETLK, &l);
		if (ret)
			usleep(10000);
	}
	close(fd);
	return !ret;
}

static void begin(bool once)
{
	static const char *const options[] = { "--posix-lock", NULL };
	char path[128];
	int fd;

	fsd_prepare(&d, "/tmp");
	d.once = once;
	snprintf(path, sizeof(path), "%s/file", d.share);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0);
	close(fd);
	fsd_start(&d, options);
}

static void test_ends(void)
{
	int status = -1, ms = 0;
	char path[128];

	begin(true);
	kill_guest(1000);
	while (!waitpid(d.pid, &status, WNOHANG) && ms++ < 10000)
		usleep(1000);
	CHECK_NAMED("ends by itself", WIFEXITED(status) && !WEXITSTATUS(status));
	d.pid = 0;
	CHECK(unlocked());
	CHECK_NAMED("no socket", access(d.sock, F_OK) && errno == ENOENT);
	snprintf(path, sizeof(path), "%s.pid", d.sock);
	CHECK_NAMED("no pid file", access(path, F_OK) && errno == ENOENT);
	fsd_log_lines(&d);
	fsd_end(&d);
}

static void test_goes_on(void)
{
	struct front_raw *r;
	unsigned fds;

	begin(false);
	r = fsd_connect(&d, 3, 65536);
	fsd_init(r, 0);
	fds = fsd_fds(&d);
	front_raw_close(r);
	for (unsigned i = 0; i < ROUNDS; i++) {
		kill_guest(i * 300);
		CHECK(unlocked());
	}
	r = fsd_connect(&d, 3, 65536);
	fsd_init(r, 0);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	CHECK_NAMED("serves", fsd_lookup(r, 1, 1, "file"));
	front_raw_close(r);
	fsd_log_lines(&d);
	fsd_end(&d);
}

int main(void)
{
	umask(022);
	test_ends();
	test_goes_on();
	return check_done();
}
