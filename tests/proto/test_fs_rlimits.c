/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits that the host has set for the daemon: what goes beyond is an error of that request. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"

#define BYTES	 KIB(64)
#define QUEUES	 2u
#define MAX_SIZE MIB(1) /* of a file */

static struct fsd d;
static struct front_raw *r;
static uint64_t file, fh;

static void limit_file_size(rlim_t soft)
{
	struct rlimit now;

	REQUIRE(!getrlimit(RLIMIT_FSIZE, &now));
	now.rlim_cur = soft;
	REQUIRE(!setrlimit(RLIMIT_FSIZE, &now));
}

/* A daemon with these options, whose files end at max; and a file that is open. */
static void set_up(const char *const *options, rlim_t max)
{
	char path[128];
	int fd;

	fsd_prepare(&d, "/tmp");
	snprintf(path, sizeof(path), "%s/file", d.share);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0);
	close(fd);
	limit_file_size(max);
	fsd_start(&d, options);
	limit_file_size(RLIM_INFINITY);
	r = fsd_connect(&d, QUEUES, BYTES);
	fsd_init(r, 0);
	file = fsd_lookup(r, 1, 0, "file");
	fh = fsd_open(r, 1, FUSE_OPEN, file, O_RDWR);
	REQUIRE(file && fh);
}

static void tear_down(void)
{
	front_raw_close(r);
	fsd_end(&d);
}

static int call(uint32_t opcode, const struct fsd_body *body)
{
	const struct fsd_rq rq = { opcode, file, *body, 0 };
	uint8_t reply[256];

	return fsd_call(r, 1, &rq, reply, sizeof(reply));
}

static int write_at(uint64_t off)
{
	const struct fsd_body body = { FSD_BODY(write, .fh = fh, .offset = off, .size = 4),
				       .tail = "abcd", .tail_len = 4 };

	return call(FUSE_WRITE, &body);
}

/* The kernel sends a signal with this error, which ends a process that does not expect it. */
static void test_file_size(const char *const *options)
{
	const struct fsd_body cut = { FSD_BODY(setattr, .valid = FATTR_SIZE,
					       .size = MAX_SIZE + 1) };

	set_up(options, MAX_SIZE);
	CHECK_EQ("below", write_at(MAX_SIZE - 4), sizeof(struct fuse_write_out));
	CHECK_EQ("beyond", write_at(MAX_SIZE), -EFBIG);
	CHECK_EQ("truncate", call(FUSE_SETATTR, &cut), -EFBIG);
	{
		const struct fsd_body body = { FSD_BODY(fallocate, .fh = fh,
							.length = MAX_SIZE + 1) };

		CHECK_EQ("allocate", call(FUSE_FALLOCATE, &body), -EFBIG);
	}
	CHECK_EQ("lives", write_at(0), sizeof(struct fuse_write_out));
	tear_down();
}

/* The front end sends a descriptor while the guest has as many files open as it can. */
static int send_call_fd(void)
{
	struct front_msg m = {
		.hdr = { .request = VHOST_USER_SET_VRING_CALL, .size = sizeof(m.p.u64) },
		.p.u64 = 1,
		.fds = { r->f->q[1].call },
		.nfds = 1,
	};

	return front_call(r->f, &m, FRONT_ACK);
}

static void test_descriptors(void)
{
	static const char *const options[] = { "--rlimit-nofile=1000", "--queues=1", NULL };
	const struct fsd_body body = { FSD_BODY(open, .flags = O_RDWR) };
	unsigned n = 0;
	int ret;

	set_up(options, RLIM_INFINITY);
	do
		ret = call(FUSE_OPEN, &body);
	while (ret > 0 && ++n < 2000);
	CHECK_EQ("no more files", ret, -ENFILE);
	CHECK(n > 64);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ("a descriptor of the front end", send_call_fd(), 0);
	CHECK_EQ("lives", write_at(0), sizeof(struct fuse_write_out));
	tear_down();
}

int main(void)
{
	static const char *const none[] = { NULL };
	static const char *const chroot[] = { "--sandbox", "chroot", NULL };
	const char *mode = getenv("VDAX_SANDBOX");

	test_file_size(none);
	if (!mode || strcmp(mode, "none"))
		test_file_size(chroot);
	test_descriptors();
	return check_done();
}
