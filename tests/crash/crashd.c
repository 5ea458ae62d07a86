/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdax-crashd: `vdax pmem` with a disk that can lose power while the guest runs on.
 *
 * Between the flush engine and the image sits a shadow of what is durable (shadow.h). On a
 * unix socket it takes lines, and answers each with one:
 *
 *	cut SEED FILE	write to FILE what a power cut would leave on the disk now
 *	stats		syncs begun and ended
 *
 * Environment: VDAX_CRASHD_SOCKET is where to listen. VDAX_CRASHD_MODE makes it wrong on
 * purpose, for tests of the test: "no-sync" answers flushes and does nothing, "early" answers
 * them at once and lets another thread sync, "reuse" answers every fourth with the success of
 * the sync before it. It wants `--sandbox none`, to write those files.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/listen.h"
#include "cmd/pmem.h"
#include "host/fd.h"
#include "host/log.h"
#include "tests/crash/shadow.h"

struct crashd {
	struct image *img; /* borrowed from the daemon */
	struct shadow shadow;
	int listen_fd;
	unsigned asked; /* mode "reuse": syncs, done or not */

	/* Mode "early": the syncs still to be done. */
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	bool want;
};

static struct crashd crashd = {
	.listen_fd = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wanted = PTHREAD_COND_INITIALIZER,
};

static int sync_true(void *ctx)
{
	struct crashd *c = ctx;
	int ret;

	shadow_begin(&c->shadow);
	ret = image_sync(c->img);
	if (!ret)
		shadow_end(&c->shadow);
	return ret;
}

static int sync_nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static int sync_most(void *ctx)
{
	struct crashd *c = ctx;

	return ++c->asked % 4 ? sync_true(c) : 0;
}

static int sync_later(void *ctx)
{
	struct crashd *c = ctx;

	pthread_mutex_lock(&c->lock);
	c->want = true;
	pthread_cond_signal(&c->wanted);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void *late_thread(void *ctx)
{
	struct crashd *c = ctx;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		while (!c->want)
			pthread_cond_wait(&c->wanted, &c->lock);
		c->want = false;
		pthread_mutex_unlock(&c->lock);
		sync_true(c);
	}
	return NULL;
}

static const struct mode {
	const char *name;
	struct sync_ops ops;
	bool late;
} modes[] = {
	{ "true", { sync_true }, false },
	{ "no-sync", { sync_nothing }, false },
	{ "early", { sync_later }, true },
	{ "reuse", { sync_most }, false },
};

/* Writes the cut, with holes where it is zero: most of it is. 0 or -errno. */
static int write_cut(const struct shadow *s, int fd)
{
	static const uint8_t zero[SHADOW_PAGE];

	if (ftruncate(fd, (off_t)(s->pages * SHADOW_PAGE)) < 0)
		return -errno;
	for (size_t i = 0; i < s->pages; i++) {
		const uint8_t *page = s->cut + i * SHADOW_PAGE;
		ssize_t n;

		if (memcmp(page, zero, SHADOW_PAGE) == 0)
			continue;
		n = pwrite(fd, page, SHADOW_PAGE, (off_t)(i * SHADOW_PAGE));
		if (n != SHADOW_PAGE)
			return n < 0 ? -errno : -ENOSPC;
	}
	return 0;
}

static void command_cut(struct crashd *c, uint64_t seed, const char *path, int out)
{
	struct shadow_cut cut;
	int fd, ret;

	shadow_cut(&c->shadow, seed, &cut);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : write_cut(&c->shadow, fd);
	fd_close(&fd);
	if (ret)
		dprintf(out, "error %s: %s\n", path, strerror(-ret));
	else
		dprintf(out,
			"ok syncs %" PRIu64 " differed %" PRIu64 " taken %" PRIu64 " torn %" PRIu64
			"\n",
			cut.syncs, cut.differed, cut.taken, cut.torn);
}

static void command(struct crashd *c, char *line, int out)
{
	uint64_t seed;
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "cut %" SCNu64 " %n", &seed, &path) == 1 && path && line[path]) {
		command_cut(c, seed, line + path, out);
	} else if (!strcmp(line, "stats")) {
		pthread_mutex_lock(&c->shadow.lock);
		dprintf(out, "ok begun %" PRIu64 " ended %" PRIu64 "\n", c->shadow.begun,
			c->shadow.ended);
		pthread_mutex_unlock(&c->shadow.lock);
	} else {
		dprintf(out, "error what? cut SEED FILE, or stats\n");
	}
}

/* One client after the other. */
static void *command_thread(void *ctx)
{
	struct crashd *c = ctx;
	char line[4096];

	for (;;) {
		int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

		if (!f) {
			fd_close(&fd);
			continue;
		}
		while (fgets(line, sizeof(line), f))
			command(c, line, fileno(f));
		fclose(f);
	}
	return NULL;
}

/* A thread that no signal disturbs: they are for the daemon's loop. 0 or -errno. */
static int start_thread(void *(*run)(void *), void *ctx)
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, run, ctx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		pthread_detach(thread);
	return -err;
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!name || !strcmp(name, modes[i].name))
			return &modes[i];
	return NULL;
}

static int set_up(struct crashd *c, const struct mode *mode, const char *socket_path)
{
	void *live = mmap(NULL, c->img->size, PROT_READ, MAP_SHARED, c->img->map_fd, 0);
	int ret = live == MAP_FAILED ? -errno : image_sync(c->img);

	if (!ret)
		ret = shadow_init(&c->shadow, live, c->img->size);
	if (ret)
		return ret;
	c->listen_fd = listen_unix(socket_path);
	if (c->listen_fd < 0)
		return c->listen_fd;
	if (mode->late)
		ret = start_thread(late_thread, c);
	return ret ? ret : start_thread(command_thread, c);
}

static const struct sync_ops *opened(struct image *img, void **ctx)
{
	const struct mode *mode = find_mode(getenv("VDAX_CRASHD_MODE"));
	const char *path = getenv("VDAX_CRASHD_SOCKET");
	int ret;

	if (!mode || !path) {
		log_err(img->path, "VDAX_CRASHD_SOCKET must be set, VDAX_CRASHD_MODE can be true, "
				   "no-sync, early or reuse");
		exit(EXIT_USAGE);
	}
	crashd.img = img;
	ret = set_up(&crashd, mode, path);
	if (ret) {
		log_err(img->path, "cannot set up the shadow: %s", strerror(-ret));
		exit(EXIT_FAILED);
	}
	*ctx = &crashd;
	return &mode->ops;
}

int main(int argc, char **argv)
{
	static const struct pmem_hooks hooks = { .opened = opened };

	return pmem_main(argc, argv, &hooks);
}
