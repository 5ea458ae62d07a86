/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/queue.h"
#include "host/fd.h"
#include "tests/lib/check.h"

static struct front_pmem_opts driver_opts;

void guest_open(struct guest *g, const struct daemon *d, const struct guest_opts *opts)
{
	static const struct guest_opts none;
	struct front_opts fo = { .fd = -1, .socket_path = d->sock };

	opts = opts ? opts : &none;
	memset(g, 0, sizeof(*g));
	fo.drop_features = opts->drop_features;
	fo.drop_protocol = opts->drop_protocol;
	if (opts->fd) {
		fo.fd = *opts->fd;
		*opts->fd = -1;
	}
	driver_opts = (struct front_pmem_opts){ .queue_size = opts->queue_size,
						.separate = opts->separate,
						.timeout_ns = opts->timeout_ns };
	REQUIRE(!front_open(&g->f, &fo));
	REQUIRE(!front_pmem_init(&g->g, g->f, &driver_opts));
}

void guest_close(struct guest *g)
{
	front_close(g->f);
	front_pmem_fini(&g->g);
	g->f = NULL;
}

void guest_reset(struct guest *g)
{
	CHECK_EQ("reset", front_reset(g->f), 0);
	REQUIRE(!front_pmem_init(&g->g, g->f, &driver_opts));
}

void guest_boot(struct guest *g, const struct daemon *d, const struct guest_opts *opts)
{
	guest_open(g, d, opts);
	REQUIRE(!front_start(g->f));
	REQUIRE(!vdax_pmem_probe(&g->g.pm));
}

static void note(struct vdax_flush *flush, int ret)
{
	struct noted *n = container_of(flush, struct noted, flush);

	n->done = true;
	n->ret = ret;
}

void guest_submit(struct guest *g, struct noted *n)
{
	*n = (struct noted){ .flush.done = note };
	REQUIRE(!vdax_pmem_submit(&g->g.pm, &n->flush));
}

bool guest_wait(struct guest *g, const struct noted *n, unsigned ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)ms * 1000000;

	vdax_pmem_poll(&g->g.pm); /* also what came before the daemon went away */
	while (!n->done && clock_ns() < deadline)
		front_pmem_poll(&g->g, 10);
	return n->done;
}

int guest_flush(struct guest *g)
{
	return vdax_pmem_flush(&g->g.pm);
}

/* Does the image hold text at off? */
static bool image_has(const struct daemon *d, uint64_t off, const char *text)
{
	int fd = open(d->image, O_RDONLY | O_CLOEXEC);
	char buf[64];
	ssize_t n = pread(fd, buf, strlen(text), (off_t)off);

	fd_close(&fd);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

void check_serves(const char *name, const struct daemon *d)
{
	static unsigned times;
	struct guest g;
	char text[32];

	snprintf(text, sizeof(text), "life %u", ++times);
	guest_open(&g, d, NULL);
	CHECK_EQ(name, front_start(g.f), 0);
	CHECK_EQ(name, vdax_pmem_probe(&g.g.pm), 0);
	CHECK_EQ(name, vdax_window_write(&g.g.window, 4096, text, sizeof(text)), 0);
	CHECK_EQ(name, guest_flush(&g), 0);
	CHECK_NAMED(name, image_has(d, 4096, text));
	CHECK_EQ(name, g.f->stats.maps, 1);
	CHECK_EQ(name, g.f->stats.unmaps, 0);
	CHECK_EQ(name, front_reset(g.f), 0);
	CHECK_EQ(name, g.f->stats.violations, 0);
	guest_close(&g);
}
