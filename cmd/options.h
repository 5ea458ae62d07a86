/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options are data: one table for each subcommand, from which parsing, --help and the test
 * of the manual all work. An option is spelled --name VALUE or --name=VALUE; one whose name is
 * a single letter -n VALUE or -nVALUE. What is given again replaces what was given before.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,	 /* bool */
	OPTION_STRING,	 /* const char * */
	OPTION_LIST,	 /* struct option_list: may be given several times */
	OPTION_U32,	 /* uint32_t */
	OPTION_SIZE,	 /* uint64_t, bytes; accepts K, M, G, T */
	OPTION_SIZE_OPT, /* the same, and --name alone is UINT64_MAX; SIZE only after "=" */
	/*
	 * An enum (of the size of int): the index of the value in arg, "one|two,alias|three".
	 * An alias is accepted, but not shown. Letters are compared without case.
	 */
	OPTION_ENUM,
	OPTION_ENUM_OPT,   /* the same, and --name alone is the last value; VALUE only after "=" */
	OPTION_ENUM_FIRST, /* no value: the enum's first */
	OPTION_CLEAR,	   /* bool, made false */
	OPTION_SECONDS,	   /* uint64_t, nanoseconds; accepts a fraction */
	/*
	 * A list "a,b=c" of options in the command's table subs, without dashes. In a value, two
	 * commas are one that does not end it. Writes to argv.
	 */
	OPTION_SUBS,
};

#define OPTION_LIST_MAX 32u

struct option_list {
	unsigned n;
	const char *v[OPTION_LIST_MAX]; /* borrowed from argv */
};

struct option_def {
	const char *name; /* without the dashes */
	const char *arg;  /* what the value is called in --help, or a list; NULL for a flag */
	enum option_kind kind;
	size_t offset; /* of the value in the configuration */
	const char *help;
};

struct command {
	const char *name; /* "pmem", "bench pmem" */
	const char *args; /* "[OPTION]... IMAGE" */
	const char *summary;
	const struct option_def *options;
	size_t n_options;
	const struct option_def *subs; /* of its OPTION_SUBS */
	size_t n_subs;
	const char *epilogue; /* more lines for --help, or NULL */
};

/* The exit status of every subcommand, unless it passes on that of something it ran. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,      /* something outside went wrong; a message says what */
	EXIT_USAGE = 2,	      /* the command line is wrong */
	EXIT_LOST_WRITES = 3, /* served, but writes of the guest may be lost */
};

/*
 * Parses argv[1..], setting cfg, until "--", the end, or the first argument that is not an
 * option. Returns the index of the first argument after the options, 0 if --help was asked
 * for and printed, or -EINVAL after a message that says what is wrong. Strings stay in argv.
 */
int options_parse(const struct command *cmd, int argc, char **argv, void *cfg);

void options_usage(const struct command *cmd);

/* "1.5" as nanoseconds, rounded down; at most 9 digits on either side of the point. 0 or -EINVAL.
 */
int parse_seconds(const char *text, uint64_t *ns);

/* The sizes of option_kind: "4096", "2M", "1.5G" is not one. 0 or -EINVAL. */
int parse_size(const char *text, uint64_t *size);

/* The one of n names that is most like name, or NULL if none is near. name_at(i) gives them. */
const char *closest_name(const char *name, size_t n, const char *(*name_at)(const void *, size_t),
			 const void *ctx);

#endif
