/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

#define FRACTION_DIGITS 9u

int parse_seconds(const char *text, uint64_t *ns)
{
	size_t whole = strspn(text, "0123456789"), part = 0, i;
	const char *fraction = text + whole;

	if (*fraction == '.')
		part = strspn(++fraction, "0123456789");
	if (!whole || whole > FRACTION_DIGITS || part > FRACTION_DIGITS || fraction[part])
		return -EINVAL;
	*ns = strtoull(text, NULL, 10);
	for (i = 0; i < FRACTION_DIGITS; i++)
		*ns = *ns * 10 + (i < part ? (unsigned)(fraction[i] - '0') : 0);
	return 0;
}

/* The index of value in a list "one|two,alias|three", or -EINVAL. */
static int find_value(const char *list, const char *value)
{
	int index = 0;

	for (;;) {
		size_t len = strcspn(list, "|,");

		if (len == strlen(value) && !strncasecmp(list, value, len))
			return index;
		list += len;
		if (!*list)
			return -EINVAL;
		index += *list++ == '|';
	}
}

/* Prints the list without the aliases. */
static void print_values(FILE *f, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, "|,");

		fwrite(list, 1, len, f);
		list += len + strcspn(list + len, "|");
		if (*list)
			fputc(*list++, f);
	}
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
	const struct option_def *table = ctx;

	return table[i].name;
}

static const struct option_def *find_option(const struct option_def *table, size_t n,
					    const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return &table[i];
	return NULL;
}

static bool takes_value(const struct option_def *def)
{
	return def->kind != OPTION_FLAG && def->kind != OPTION_CLEAR &&
	       def->kind != OPTION_ENUM_FIRST;
}

/* Has it a list of values? */
static bool is_enum(const struct option_def *def)
{
	return def->arg && (def->kind == OPTION_ENUM || def->kind == OPTION_ENUM_OPT);
}

static bool has_optional_value(const struct option_def *def)
{
	return def->kind == OPTION_ENUM_OPT || def->kind == OPTION_SIZE_OPT;
}

static bool needs_value(const struct option_def *def)
{
	return takes_value(def) && !has_optional_value(def);
}

/* "--", "-" for a single letter, or "-o " for one of the table subs. */
static const char *dashes(const struct command *cmd, const struct option_def *def)
{
	if (cmd->subs && def >= cmd->subs && def < cmd->subs + cmd->n_subs)
		return "-o ";
	return def->name[1] ? "--" : "-";
}

static int add_to_list(struct option_list *list, const char *value)
{
	if (list->n == OPTION_LIST_MAX)
		return -EINVAL;
	list->v[list->n++] = value;
	return 0;
}

static int set_enum(const struct option_def *def, int *at, const char *value)
{
	int i = value ? find_value(def->arg, value) : 0;

	if (i < 0)
		return i;
	if (!value) /* the last one */
		for (const char *p = def->arg; *p; p++)
			i += *p == '|';
	*at = i;
	return 0;
}

static int set_size(uint64_t *at, const char *value)
{
	return parse_size(value, at) || !*at ? -EINVAL : 0;
}

static int set_value(const struct option_def *def, void *cfg, const char *value)
{
	void *at = (char *)cfg + def->offset;

	assert(value || !needs_value(def));
	switch (def->kind) {
	case OPTION_FLAG:
	case OPTION_CLEAR:
		*(bool *)at = def->kind == OPTION_FLAG;
		return 0;
	case OPTION_ENUM_FIRST:
		*(int *)at = 0;
		return 0;
	case OPTION_ENUM:
	case OPTION_ENUM_OPT:
		return set_enum(def, at, value);
	case OPTION_SECONDS:
		return parse_seconds(value, at);
	case OPTION_SUBS: /* parse_subs() did that */
		return -EINVAL;
	case OPTION_STRING:
		*(const char **)at = value;
		return 0;
	case OPTION_LIST:
		return add_to_list(at, value);
	case OPTION_U32:
		return parse_u32(value, at);
	case OPTION_SIZE:
		return set_size(at, value);
	case OPTION_SIZE_OPT:
		*(uint64_t *)at = UINT64_MAX;
		return value ? set_size(at, value) : 0;
	}
	return -EINVAL;
}

static const char *const kind_wants[] = {
	[OPTION_FLAG] = "no value",
	[OPTION_CLEAR] = "no value",
	[OPTION_ENUM_FIRST] = "no value",
	[OPTION_STRING] = "a value",
	[OPTION_LIST] = "a value, at most 32 times",
	[OPTION_U32] = "a number",
	[OPTION_SIZE] = "a size in bytes, or with K, M, G or T, above 0",
	[OPTION_SIZE_OPT] = "a size in bytes, or with K, M, G or T, above 0",
	[OPTION_ENUM] = "one of ",
	[OPTION_ENUM_OPT] = "one of ",
	[OPTION_SECONDS] = "seconds",
	[OPTION_SUBS] = "a list of options",
};

static int complain(const struct command *cmd, const struct option_def *def, const char *value)
{
	fprintf(stderr, "vdax %s: %s%s wants %s", cmd->name, dashes(cmd, def), def->name,
		kind_wants[def->kind]);
	if (is_enum(def))
		print_values(stderr, def->arg);
	fprintf(stderr, "%s%s%s\n", value ? ", not \"" : "", value ? value : "", value ? "\"" : "");
	return -EINVAL;
}

/* "PREFIXname" is not in the table. name may have a value after "=". */
static int unknown_option(const struct command *cmd, const char *name,
			  const struct option_def *table, size_t n, const char *prefix)
{
	char bare[NAME_MAX_LEN + 1];
	const char *near = NULL;

	snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(name, "="), name);
	if (strcmp(prefix, "-") != 0) /* every letter is near every other */
		near = closest_name(bare, n, option_name_at, table);
	if (near && !near[1])
		near = NULL;
	fprintf(stderr, "vdax %s: there is no option %s%s%s%s%s%s; see: vdax %s --help\n",
		cmd->name, prefix, name, near ? ", did you mean " : "", near ? prefix : "",
		near ? near : "", near ? "?" : "", cmd->name);
	return -EINVAL;
}

/* Ends *rest at the comma after one option of a list, with "," for ",,". Returns that option. */
static char *next_sub(char **rest)
{
	char *begin = *rest, *to = begin, *from = begin;

	for (; *from && (*from != ',' || from[1] == ','); from++) {
		if (*from == ',')
			from++;
		*to++ = *from;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return begin;
}

static int parse_subs(const struct command *cmd, char *list, void *cfg)
{
	while (list) {
		char *name = next_sub(&list), *value = strchr(name, '=');
		const struct option_def *def;

		if (!*name)
			continue;
		if (value)
			*value++ = '\0';
		def = find_option(cmd->subs, cmd->n_subs, name, strlen(name));
		if (!def)
			return unknown_option(cmd, name, cmd->subs, cmd->n_subs, "-o ");
		if (value ? !takes_value(def) : needs_value(def))
			return complain(cmd, def, value);
		if (set_value(def, cfg, value))
			return complain(cmd, def, value);
	}
	return 0;
}

/* Finds argv's arg in the table, and the value that is in the same argument or NULL. */
static const struct option_def *match_option(const struct command *cmd, char *arg, char **value)
{
	size_t len = strcspn(arg, "=");

	*value = arg[len] ? arg + len + 1 : NULL;
	if (arg[1] == '-') /* a letter has one dash */
		return len > 3 ? find_option(cmd->options, cmd->n_options, arg + 2, len - 2) : NULL;
	*value = arg[2] ? arg + 2 : NULL;
	return find_option(cmd->options, cmd->n_options, arg + 1, 1);
}

/* Handles argv[i]. The index after it and its value, or -EINVAL. */
static int parse_one(const struct command *cmd, int argc, char **argv, int i, void *cfg)
{
	char *arg = argv[i], *value;
	const struct option_def *def = match_option(cmd, arg, &value);
	int ret;

	/* -flag is not the letter f */
	if (!def || (!def->name[1] && value && !takes_value(def))) {
		bool is_long = arg[1] == '-';

		return unknown_option(cmd, arg + 1 + is_long, cmd->options, cmd->n_options,
				      is_long ? "--" : "-");
	}
	if (!takes_value(def)) {
		if (value)
			return complain(cmd, def, value);
	} else if (!value && needs_value(def)) {
		if (++i == argc)
			return complain(cmd, def, NULL);
		value = argv[i];
	}
	if (def->kind == OPTION_SUBS) {
		ret = parse_subs(cmd, value, cfg);
		return ret ? ret : i + 1;
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

static void print_option(const struct command *cmd, const struct option_def *o)
{
	char *left = NULL;
	size_t size;
	FILE *f = open_memstream(&left, &size);

	if (!f)
		return;
	fprintf(f, "%s%s", dashes(cmd, o), o->name);
	if (o->arg)
		fputs(has_optional_value(o) ? "[=" : " ", f);
	if (is_enum(o))
		print_values(f, o->arg);
	else if (o->arg)
		fputs(o->arg, f);
	if (has_optional_value(o))
		fputc(']', f);
	if (fclose(f) == 0)
		printf("  %-24s%s%s\n", left, size > 24 ? "\n\t\t\t   " : " ", o->help);
	free(left);
}

void options_usage(const struct command *cmd)
{
	printf("usage: vdax %s %s\n%s\n\n", cmd->name, cmd->args, cmd->summary);
	for (size_t i = 0; i < cmd->n_options; i++)
		print_option(cmd, &cmd->options[i]);
	printf("  %-24s %s\n", "--help", "this text");
	if (cmd->epilogue)
		printf("\n%s\n", cmd->epilogue);
}
