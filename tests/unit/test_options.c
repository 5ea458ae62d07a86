/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/options.c: what a command line becomes, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/options.h"
#include "tests/lib/check.h"

static const struct {
	const char *text;
	bool ok;
	uint64_t size;
} size_cases[] = {
	{ "0", true, 0 },
	{ "4096", true, 4096 },
	{ "2M", true, MIB(2) },
	{ "2m", true, MIB(2) },
	{ "3G", true, GIB(3) },
	{ "1k", true, 1024 },
	{ "1T", true, GIB(1024) },
	{ "16777215T", true, (uint64_t)16777215 << 40 },
	{ "16777216T", false, 0 },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "18446744073709551616", false, 0 },
	{ "", false, 0 },
	{ "M", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ " 1", false, 0 },
	{ "1.5G", false, 0 },
	{ "1MB", false, 0 },
	{ "1x", false, 0 },
	{ "0x10", false, 0 },
};

static void test_sizes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(size_cases); i++) {
		uint64_t size = 0;
		int ret = parse_size(size_cases[i].text, &size);

		CHECK_EQ(size_cases[i].text, ret == 0, size_cases[i].ok);
		if (size_cases[i].ok)
			CHECK_EQ(size_cases[i].text, size, size_cases[i].size);
	}
}

struct cfg {
	bool flag;
	const char *string;
	struct option_list list;
	uint32_t number;
	uint64_t size;
};

static const struct option_def options[] = {
	{ "flag", NULL, OPTION_FLAG, offsetof(struct cfg, flag), "a flag" },
	{ "string", "TEXT", OPTION_STRING, offsetof(struct cfg, string), "a string" },
	{ "list", "TEXT", OPTION_LIST, offsetof(struct cfg, list), "several strings" },
	{ "number", "N", OPTION_U32, offsetof(struct cfg, number), "a number" },
	{ "size", "SIZE", OPTION_SIZE, offsetof(struct cfg, size), "a size" },
};

static const struct command command = {
	.name = "test",
	.args = "[OPTION]...",
	.summary = "Nothing.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
};

/* A command line of words, and the index that is returned; < 0 is refused. */
static const struct {
	const char *words[8];
	int ret;
} line_cases[] = {
	{ { "x" }, 1 },
	{ { "x", "file" }, 1 },
	{ { "x", "--flag", "file" }, 2 },
	{ { "x", "--string", "text", "file" }, 3 },
	{ { "x", "--string=text", "file" }, 2 },
	{ { "x", "--string=", "file" }, 2 },
	{ { "x", "--string", "--flag" }, 3 },
	{ { "x", "--flag", "--", "--number" }, 3 },
	{ { "x", "-", "--flag" }, 1 },
	{ { "x", "--list", "a", "--list", "b" }, 5 },
	{ { "x", "--number", "7" }, 3 },
	{ { "x", "--size", "2M" }, 3 },
	{ { "x", "--help" }, 0 },
	{ { "x", "-h" }, 0 },
	{ { "x", "--flag=yes" }, -EINVAL },
	{ { "x", "--string" }, -EINVAL },
	{ { "x", "--number", "x" }, -EINVAL },
	{ { "x", "--number", "7M" }, -EINVAL },
	{ { "x", "--number", "-7" }, -EINVAL },
	{ { "x", "--number", "4294967296" }, -EINVAL },
	{ { "x", "--size", "much" }, -EINVAL },
	{ { "x", "--size", "0" }, -EINVAL },
	{ { "x", "--fla" }, -EINVAL },
	{ { "x", "--flags" }, -EINVAL },
	{ { "x", "-f" }, -EINVAL },
	{ { "x", "-flag" }, -EINVAL },
};

static int parse(const char *const *words, struct cfg *cfg)
{
	static char kept[8][32]; /* strings stay in argv */
	char *argv[8];
	int argc = 0;

	memset(cfg, 0, sizeof(*cfg));
	for (; argc < 8 && words[argc]; argc++) {
		snprintf(kept[argc], sizeof(kept[argc]), "%s", words[argc]);
		argv[argc] = kept[argc];
	}
	return options_parse(&command, argc, argv, cfg);
}

static void test_lines(void)
{
	struct cfg cfg;

	for (size_t i = 0; i < ARRAY_SIZE(line_cases); i++)
		CHECK_EQ(line_cases[i].words[1] ? line_cases[i].words[1] : "nothing",
			 parse(line_cases[i].words, &cfg), line_cases[i].ret);
}

static void test_values(void)
{
	static const char *const words[] = { "x",      "--flag", "--string=a=b", "--list=one",
					     "--list", "two",	 "--number=7",	 NULL };
	struct cfg cfg;

	CHECK_EQ("all", parse(words, &cfg), 7);
	CHECK(cfg.flag);
	CHECK(!strcmp(cfg.string, "a=b"));
	CHECK_EQ("list", cfg.list.n, 2);
	CHECK(!strcmp(cfg.list.v[0], "one") && !strcmp(cfg.list.v[1], "two"));
	CHECK_EQ("number", cfg.number, 7);
}

static void test_list_is_bounded(void)
{
	static char option[] = "--list=x";
	char *argv[OPTION_LIST_MAX + 3];
	struct cfg cfg = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = option;
	CHECK_EQ("full", options_parse(&command, OPTION_LIST_MAX + 1, argv, &cfg),
		 OPTION_LIST_MAX + 1);
	memset(&cfg, 0, sizeof(cfg));
	CHECK_EQ("too many", options_parse(&command, OPTION_LIST_MAX + 2, argv, &cfg), -EINVAL);
}

static const char *name_at(const void *ctx, size_t i)
{
	const char *const *names = ctx;

	return names[i];
}

static void test_closest(void)
{
	static const char *const names[] = { "socket-path", "control", "create", "grow" };
	const char *found = closest_name("socket-pth", 4, name_at, names);

	CHECK(found && !strcmp(found, "socket-path"));
	found = closest_name("contorl", 4, name_at, names);
	CHECK(found && !strcmp(found, "control"));
	CHECK(!closest_name("xyzzy", 4, name_at, names));
	CHECK(!closest_name("quite-something-else-altogether-and-long", 4, name_at, names));
}

int main(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* What the program says here is for people. */
	REQUIRE(null >= 0 && dup2(null, STDOUT_FILENO) >= 0);
	test_sizes();
	test_lines();
	test_values();
	test_list_is_bounded();
	test_closest();
	return check_done();
}
