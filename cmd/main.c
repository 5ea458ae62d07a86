/* SPDX-License-Identifier: BSD-2-Clause */
/* `vdax`: finds the subcommand. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/bench_fs.h"
#include "cmd/bench_pmem.h"
#include "cmd/fs.h"
#include "cmd/fs_options.h"
#include "cmd/options.h"
#include "cmd/pmem.h"
#include "cmd/stat.h"
#include "cmd/vm.h"

static const struct {
	const struct command *cmd;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ &pmem_command, cmd_pmem },
	{ &fs_command, cmd_fs },
	{ &stat_command, cmd_stat },
	{ &vm_command, cmd_vm },
	{ &bench_pmem_command, cmd_bench_pmem },
	{ &bench_fs_command, cmd_bench_fs },
};

static void usage(FILE *f)
{
	fputs("usage: vdax COMMAND [OPTION]...\n"
	      "Host files used by virtual machines in place, not copied.\n\n",
	      f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-12s %s\n", commands[i].cmd->name, commands[i].cmd->summary);
	fputs("\n  vdax COMMAND --help tells the options; vdax --version the version.\n", f);
}

static const char *command_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return commands[i].cmd->name;
}

/* How many arguments name the command ("bench pmem" is two), or 0. */
static int matches(const char *name, int argc, char **argv)
{
	int n = 0;

	while (n < argc) {
		size_t len = strcspn(name, " ");

		if (strlen(argv[n]) != len || memcmp(argv[n], name, len) != 0)
			return 0;
		n++;
		if (!name[len])
			return n;
		name += len + 1;
	}
	return 0;
}

/* Whoever closed these did not mean that an image opened next shall receive our messages. */
static void keep_std_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A link of that name stands where launchers look for one. */
static bool called_virtiofsd(const char *name)
{
	const char *slash = name ? strrchr(name, '/') : NULL;

	return name && !strcmp(slash ? slash + 1 : name, "virtiofsd");
}

int main(int argc, char **argv)
{
	const char *near;

	keep_std_fds();

	if (called_virtiofsd(argv[0]))
		return cmd_fs(argc, argv);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("vdax " VDAX_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		int n = matches(commands[i].cmd->name, argc - 1, argv + 1);

		if (n)
			return commands[i].run(argc - n, argv + n);
	}
	near = closest_name(argv[1], ARRAY_SIZE(commands), command_name_at, NULL);
	fprintf(stderr, "vdax: there is no command %s%s%s%s; see: vdax --help\n", argv[1],
		near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	return EXIT_USAGE;
}
