/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for scripts: vdax-guest-shell SOCKET. It is connected and its driver is ready; then
 * each line on standard input is a command, answered by one line.
 *
 *   start, stop, reset    0 or a negative error; reset also prepares the driver again
 *   flush                 one flush: 0 or a negative error
 *   submit N              N requests at once, never merged: 0
 *   wait MS               the results of all that were submitted, "-" for one that is not done
 *   store OFF TEXT        into the window: 0
 *   load OFF LEN          the text there
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "front/guest.h"
#include "front/queue.h"
#include "host/fd.h"

#define MAX_JOBS 64u

static const struct front_pmem_opts driver = { .separate = true, .timeout_ns = 30000000000u };

static struct front *f;
static struct front_pmem g;

static struct job {
	struct vdax_flush flush;
	bool done;
	int ret;
} jobs[MAX_JOBS];
static unsigned submitted;

static void note(struct vdax_flush *flush, int ret)
{
	struct job *j = container_of(flush, struct job, flush);

	j->done = true;
	j->ret = ret;
}

static int cmd_submit(const char *arg)
{
	unsigned n = (unsigned)atoi(arg);
	int ret = 0;

	for (unsigned i = 0; !ret && i < n && submitted < MAX_JOBS; i++) {
		struct job *j = &jobs[submitted++];

		*j = (struct job){ .flush.done = note };
		ret = vdax_pmem_submit(&g.pm, &j->flush);
	}
	return ret;
}

static bool all_done(void)
{
	for (unsigned i = 0; i < submitted; i++)
		if (!jobs[i].done)
			return false;
	return true;
}

static void cmd_wait(const char *arg)
{
	uint64_t deadline = clock_ns() + (uint64_t)atoi(arg) * 1000000;
	unsigned left = 0;

	vdax_pmem_poll(&g.pm); /* also what came before the daemon went away */
	while (!all_done() && clock_ns() < deadline)
		front_pmem_poll(&g, 5);
	for (unsigned i = 0; i < submitted; i++) {
		if (jobs[i].done)
			printf("%s%d", i ? " " : "", jobs[i].ret);
		else
			printf("%s-", i ? " " : "");
		left += !jobs[i].done;
	}
	putchar('\n');
	if (!left)
		submitted = 0;
}

/* Here nobody serves the back-end channel between commands, so the mapping comes first. */
static int cmd_start(void)
{
	int ret = front_start(f);

	for (int i = 0; !ret && i < 500 && !f->maps.n; i++)
		front_poll(f, 10);
	return ret;
}

static int cmd_reset(void)
{
	int ret = front_reset(f);

	submitted = 0;
	return ret ? ret : front_pmem_init(&g, f, &driver);
}

static int cmd_store(char *arg)
{
	char *text;
	uint64_t off = strtoull(arg, &text, 0);

	text += *text == ' ';
	return vdax_window_write(&g.window, off, text, strlen(text));
}

static void cmd_load(char *arg)
{
	char buf[256] = "", *len;
	uint64_t off = strtoull(arg, &len, 0);

	if (vdax_window_read(&g.window, off, buf, strtoul(len, NULL, 0) % sizeof(buf)))
		puts("error");
	else
		puts(buf);
}

static void command(const char *name, char *arg)
{
	int ret = -EINVAL;

	if (!strcmp(name, "wait")) {
		cmd_wait(arg);
		return;
	}
	if (!strcmp(name, "load")) {
		cmd_load(arg);
		return;
	}
	if (!strcmp(name, "start"))
		ret = cmd_start();
	else if (!strcmp(name, "stop"))
		ret = front_stop(f);
	else if (!strcmp(name, "reset"))
		ret = cmd_reset();
	else if (!strcmp(name, "flush"))
		ret = vdax_pmem_flush(&g.pm);
	else if (!strcmp(name, "submit"))
		ret = cmd_submit(arg);
	else if (!strcmp(name, "store"))
		ret = cmd_store(arg);
	printf("%d\n", ret);
}

int main(int argc, char **argv)
{
	struct front_opts fo = { .fd = -1, .socket_path = argc == 2 ? argv[1] : "" };
	char line[512];
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = front_open(&f, &fo);
	if (!ret)
		ret = front_pmem_init(&g, f, &driver);
	printf("%d\n", ret);
	while (!ret && fgets(line, sizeof(line), stdin)) {
		char *arg;

		line[strcspn(line, "\n")] = '\0';
		arg = strchr(line, ' ');
		if (arg)
			*arg++ = '\0';
		command(line, arg ? arg : line + strlen(line));
	}
	front_close(f);
	front_pmem_fini(&g);
	return ret ? 1 : 0;
}
