/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

int parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	*size = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (*size > UINT64_MAX >> shift)
		return -EINVAL;
	*size <<= shift;
	return 0;
}

static int parse_u32(const char *text, uint32_t *out)
{
	uint64_t x;

	if (!isdigit((unsigned char)text[strlen(text) - (*text != 0)]) || parse_size(text, &x) ||
	    x > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)x;
	return 0;
}

#define NAME_MAX_LEN 32u

/* How many letters must change to make a into b. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t n = strlen(b);

	if (n > NAME_MAX_LEN)
		return UINT32_MAX;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = MIN(row[j], row[j - 1]) + 1;

			best = MIN(best, diagonal + (*a != b[j - 1]));
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const char *closest_name(const char *name, size_t n, const char *(*name_at)(const void *, size_t),
			 const void *ctx)
{
	unsigned best = (unsigned)strlen(name) / 2 + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = edit_distance(name, name_at(ctx, i));

		if (d < best) {
			best = d;
			found = name_at(ctx, i);
		}
	}
	return found;
}

static const char *option_name_at(const void *ctx, size_t i)
{
	const struct command *cmd = ctx;

	return cmd->options[i].name;
}

static const struct option_def *find_option(const struct command *cmd, const char *name, size_t len)
{
	for (size_t i = 0; i < cmd->n_options; i++)
		if (strlen(cmd->options[i].name) == len && !memcmp(cmd->options[i].name, name, len))
			return &cmd->options[i];
	return NULL;
}

static int add_to_list(struct option_list *list, const char *value)
{
	if (list->n == OPTION_LIST_MAX)
		return -EINVAL;
	list->v[list->n++] = value;
	return 0;
}

static int set_value(const struct option_def *def, void *cfg, const char *value)
{
	void *at = (char *)cfg + def->offset;

	assert(value || def->kind == OPTION_FLAG);
	switch (def->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_STRING:
		*(const char **)at = value;
		return 0;
	case OPTION_LIST:
		return add_to_list(at, value);
	case OPTION_U32:
		return parse_u32(value, at);
	case OPTION_SIZE:
		return parse_size(value, at) || !*(uint64_t *)at ? -EINVAL : 0;
	}
	return -EINVAL;
}

static const char *const kind_wants[] = {
	[OPTION_FLAG] = "no value",
	[OPTION_STRING] = "a value",
	[OPTION_LIST] = "a value, at most 16 times",
	[OPTION_U32] = "a number",
	[OPTION_SIZE] = "a size in bytes, or with K, M, G or T, above 0",
};

static int complain(const struct command *cmd, const struct option_def *def, const char *value)
{
	fprintf(stderr, "vdax %s: --%s wants %s%s%s%s\n", cmd->name, def->name,
		kind_wants[def->kind], value ? ", not \"" : "", value ? value : "",
		value ? "\"" : "");
	return -EINVAL;
}

static int unknown_option(const struct command *cmd, const char *arg)
{
	const char *near = NULL;

	if (arg[1] == '-')
		near = closest_name(arg + 2, cmd->n_options, option_name_at, cmd);
	fprintf(stderr, "vdax %s: there is no option %s%s%s%s; see: vdax %s --help\n", cmd->name,
		arg, near ? ", did you mean --" : "", near ? near : "", near ? "?" : "", cmd->name);
	return -EINVAL;
}

/* Handles argv[i]. The index after it and its value, or -EINVAL. */
static int parse_one(const struct command *cmd, int argc, char **argv, int i, void *cfg)
{
	const char *arg = argv[i], *value;
	const struct option_def *def = NULL;
	size_t len = strcspn(arg + 1, "=") + 1;

	if (arg[1] == '-')
		def = find_option(cmd, arg + 2, len - 2);
	if (!def)
		return unknown_option(cmd, arg);
	value = arg[len] == '=' ? arg + len + 1 : NULL;
	if (!def->arg) {
		if (value)
			return complain(cmd, def, value);
	} else if (!value) {
		if (++i == argc)
			return complain(cmd, def, NULL);
		value = argv[i];
	}
	if (set_value(def, cfg, value))
		return complain(cmd, def, value);
	return i + 1;
}

int options_parse(const struct command *cmd, int argc, char **argv, void *cfg)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		if (!strcmp(argv[i], "--"))
			return i + 1;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			options_usage(cmd);
			return 0;
		}
		i = parse_one(cmd, argc, argv, i, cfg);
		if (i < 0)
			return i;
	}
	return i;
}

void options_usage(const struct command *cmd)
{
	printf("usage: vdax %s %s\n%s\n\n", cmd->name, cmd->args, cmd->summary);
	for (size_t i = 0; i < cmd->n_options; i++) {
		const struct option_def *o = &cmd->options[i];
		char left[48];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-24s %s\n", left, o->help);
	}
	printf("  %-24s %s\n", "--help", "this text");
	if (cmd->epilogue)
		printf("\n%s\n", cmd->epilogue);
}
