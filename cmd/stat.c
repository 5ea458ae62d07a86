/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/macros.h"
#include "cmd/json.h"
#include "cmd/listen.h"
#include "host/log.h"

struct stat_cfg {
	bool json;
};

static const struct option_def options[] = {
	{ "json", NULL, OPTION_FLAG, offsetof(struct stat_cfg, json), "print a JSON object" },
};

const struct command stat_command = {
	.name = "stat",
	.args = "[OPTION]... CONTROL-SOCKET",
	.summary = "Show what a running daemon has done.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
};

/* Prints the lines of f as a table, or as the members of an object. */
static int print_lines(FILE *f, bool json)
{
	char line[4096];
	int n = 0;

	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		if (json) {
			fputs(n ? ",\n  " : "{\n  ", stdout);
			json_member(stdout, line, value);
		} else {
			printf("%-20s %s\n", line, value);
		}
		n++;
	}
	if (json && n)
		fputs("\n}\n", stdout);
	return n ? 0 : -ENODATA;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_cfg cfg = { 0 };
	int i = options_parse(&stat_command, argc, argv, &cfg);
	int fd, ret;
	FILE *f;

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	if (argc - i != 1) {
		fprintf(stderr, "vdax stat: give one control socket; see: vdax stat --help\n");
		return EXIT_USAGE;
	}
	fd = connect_unix(argv[i]);
	if (fd >= 0) /* a daemon that hangs shall not hang us */
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 5 },
			   sizeof(struct timeval));
	f = fd < 0 ? NULL : fdopen(fd, "r");
	ret = fd < 0 ? fd : f ? print_lines(f, cfg.json) : -errno;
	if (f)
		fclose(f);
	if (ret)
		log_err(argv[i], "%s", ret == -ENODATA ? "no answer" : strerror(-ret));
	return ret ? EXIT_FAILED : EXIT_OK;
}
