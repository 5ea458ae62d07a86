/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax pmem` with something between it and its file. The environment variable VDAX_TESTD
 * says what, as a list with commas:
 *
 *   fail-at=N    the N-th sync (from 1) fails with EIO; those after it do not
 *   delay-us=N   each sync takes so much longer
 *   stall=FIFO   each sync first takes a byte from this FIFO; the byte 'a' ends the waiting
 *   count=FILE   each sync appends a byte to this file once it has succeeded
 *
 * All files are open before the sandbox closes, and a sync makes no system call that the
 * filter does not know, so this runs with the sandbox as well as without.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/pmem.h"

static struct {
	struct image *img;
	unsigned long fail_at;
	unsigned long delay_us;
	int stall_fd; /* -1: no waiting */
	int count_fd; /* -1: no counting */
	unsigned long syncs;
} t = { .stall_fd = -1, .count_fd = -1 };

static void wait_for_release(void)
{
	struct pollfd p = { .fd = t.stall_fd, .events = POLLIN };
	char c;

	if (t.stall_fd < 0)
		return;
	while (read(t.stall_fd, &c, 1) != 1)
		poll(&p, 1, -1);
	if (c == 'a')
		t.stall_fd = -1;
}

static int test_sync(void *ctx)
{
	const struct timespec delay = { (time_t)(t.delay_us / 1000000),
					(long)(t.delay_us % 1000000) * 1000 };
	int ret;

	(void)ctx;
	t.syncs++;
	wait_for_release();
	if (t.delay_us)
		ppoll(NULL, 0, &delay, NULL);
	if (t.syncs == t.fail_at)
		return -EIO;
	ret = image_sync(t.img);
	if (!ret && t.count_fd >= 0 && write(t.count_fd, "s", 1) != 1)
		ret = -EIO;
	return ret;
}

static int open_or_exit(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0) {
		perror(path);
		exit(EXIT_USAGE);
	}
	return fd;
}

static bool set_option(const char *name, const char *value)
{
	if (!strcmp(name, "fail-at"))
		t.fail_at = strtoul(value, NULL, 10);
	else if (!strcmp(name, "delay-us"))
		t.delay_us = strtoul(value, NULL, 10);
	else if (!strcmp(name, "stall"))
		t.stall_fd = open_or_exit(value, O_RDWR | O_NONBLOCK);
	else if (!strcmp(name, "count"))
		t.count_fd = open_or_exit(value, O_WRONLY | O_CREAT | O_APPEND);
	else
		return false;
	return true;
}

static void read_options(char *list)
{
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		char *value = strchr(name, '=');

		if (value)
			*value++ = '\0';
		if (!value || !set_option(name, value)) {
			fprintf(stderr, "VDAX_TESTD: what is %s?\n", name);
			exit(EXIT_USAGE);
		}
	}
}

static const struct sync_ops *opened(struct image *img, void **ctx)
{
	static const struct sync_ops ops = { .sync = test_sync };
	const char *list = getenv("VDAX_TESTD");
	char *copy = list ? strdup(list) : NULL;

	t.img = img;
	*ctx = NULL;
	if (copy)
		read_options(copy);
	free(copy);
	return &ops;
}

int main(int argc, char **argv)
{
	static const struct pmem_hooks hooks = { .opened = opened };

	return pmem_main(argc, argv, &hooks);
}
