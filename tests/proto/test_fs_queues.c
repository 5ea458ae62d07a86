/* SPDX-License-Identifier: BSD-2-Clause */
/* Four queues at once, on the same names, against the daemon: nothing is lost, nothing remains. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/fs_mix.h"
#include "tests/proto/fsd.h"

#define REQUEST_QUEUES 4u
#define DEPTH	       4u /* workers of one queue */
#define WORKERS	       (REQUEST_QUEUES * DEPTH)
#define ROUNDS	       2500u

static struct front_raw *r;
static struct mix workers[WORKERS];

/* One request of each worker, all at once. False: none has any. */
static bool step(void)
{
	static uint8_t body[MIX_ROOM];
	struct mix_rq rq[WORKERS];
	int ticket[WORKERS];
	bool any = false;

	for (unsigned i = 0; i < WORKERS; i++) {
		struct fsd_rq one;

		ticket[i] = -1;
		if (!mix_next(&workers[i], &rq[i]))
			continue;
		one = (struct fsd_rq){ rq[i].opcode, rq[i].nodeid, { .tail = rq[i].body }, 0 };
		one.body.tail_len = rq[i].len;
		ticket[i] = fsd_post(r, rq[i].silent ? 0 : 1 + i % REQUEST_QUEUES, &one,
				     rq[i].silent ? 0 : MIX_ROOM);
		any = true;
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		int ret;

		if (ticket[i] < 0)
			continue;
		ret = fsd_wait(r, rq[i].silent ? 0 : 1 + i % REQUEST_QUEUES, ticket[i], body,
			       sizeof(body));
		mix_answer(&workers[i], &rq[i], ret, body);
	}
	return any;
}

static void run(const char *const *options)
{
	uint64_t failed = 0, done = 0;
	static struct fsd d;
	unsigned fds;

	fsd_prepare(&d, "/tmp");
	fsd_start(&d, options);
	r = fsd_connect(&d, 1 + REQUEST_QUEUES, 8192);
	fsd_init(r, FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS);
	fds = fsd_fds(&d);
	for (unsigned i = 0; i < WORKERS; i++)
		mix_init(&workers[i], i);
	for (unsigned n = 0; n < ROUNDS; n++)
		step();
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i].ending = true;
	while (step())
		;
	for (unsigned i = 0; i < WORKERS; i++) {
		CHECK_EQ("impossible answers", workers[i].wrong, 0);
		failed += workers[i].failed;
		done += workers[i].done;
	}
	CHECK_NAMED("not all fail", failed < done * 3 / 4);
	/* Without DESTROY. Each inode has a descriptor, if it was not forgotten. */
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	front_raw_close(r);
	fsd_log_lines(&d);
	fsd_end(&d);
}

int main(void)
{
	static const char *const with[] = { NULL };
	static const char *const without[] = { "--inode-file-handles=never", NULL };

	umask(022);
	run(with);
	run(without);
	return check_done();
}
