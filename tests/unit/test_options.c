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

static const struct {
	const char *text;
	bool ok;
	uint64_t ns;
} seconds_cases[] = {
	{ "0", true, 0 },
	{ "1", true, 1000000000 },
	{ "1.5", true, 1500000000 },
	{ "86400.", true, 86400000000000 },
	{ "0.000000001", true, 1 },
	{ "999999999.999999999", true, 999999999999999999 },
	{ "1000000000", false, 0 },
	{ "0.0000000001", false, 0 },
	{ "", false, 0 },
	{ ".5", false, 0 },
	{ "-1", false, 0 },
	{ "1e3", false, 0 },
	{ "1s", false, 0 },
	{ "1.5.5", false, 0 },
};

static void test_seconds(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(seconds_cases); i++) {
		uint64_t ns = 0;
		int ret = parse_seconds(seconds_cases[i].text, &ns);

		CHECK_EQ(seconds_cases[i].text, ret == 0, seconds_cases[i].ok);
		if (seconds_cases[i].ok)
			CHECK_EQ(seconds_cases[i].text, ns, seconds_cases[i].ns);
	}
}

enum color { RED, GREEN, BLUE };

struct cfg {
	bool flag;
	const char *string;
	struct option_list list;
	uint32_t number;
	uint64_t size;
	enum color color;
	enum color maybe;
	uint64_t time;
	uint64_t extra;
	bool letter;
};

static const struct option_def options[] = {
	{ "flag", NULL, OPTION_FLAG, offsetof(struct cfg, flag), "a flag" },
	{ "string", "TEXT", OPTION_STRING, offsetof(struct cfg, string), "a string" },
	{ "list", "TEXT", OPTION_LIST, offsetof(struct cfg, list), "several strings" },
	{ "number", "N", OPTION_U32, offsetof(struct cfg, number), "a number" },
	{ "size", "SIZE", OPTION_SIZE, offsetof(struct cfg, size), "a size" },
	{ "no-flag", NULL, OPTION_CLEAR, offsetof(struct cfg, flag), "not" },
	{ "color", "red|green,verde|blue", OPTION_ENUM, offsetof(struct cfg, color), "an enum" },
	{ "maybe", "red|green|blue", OPTION_ENUM_OPT, offsetof(struct cfg, maybe), "an enum" },
	{ "time", "SECONDS", OPTION_SECONDS, offsetof(struct cfg, time), "a time" },
	{ "extra", "SIZE", OPTION_SIZE_OPT, offsetof(struct cfg, extra), "a size, or not" },
	{ "f", NULL, OPTION_FLAG, offsetof(struct cfg, letter), "a letter" },
	{ "o", "LIST", OPTION_SUBS, 0, "some of the others" },
};

static const struct option_def subs[] = {
	{ "letter", NULL, OPTION_FLAG, offsetof(struct cfg, letter), "" },
	{ "no_letter", NULL, OPTION_CLEAR, offsetof(struct cfg, letter), "" },
	{ "string", "TEXT", OPTION_STRING, offsetof(struct cfg, string), "" },
	{ "color", "red|green", OPTION_ENUM, offsetof(struct cfg, color), "" },
};

static const struct command command = {
	.name = "test",
	.args = "[OPTION]...",
	.summary = "Nothing.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.subs = subs,
	.n_subs = ARRAY_SIZE(subs),
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
	{ { "x", "--flag=" }, -EINVAL },
	{ { "x", "--no-flag" }, 2 },
	{ { "x", "--color", "green" }, 3 },
	{ { "x", "--color=GREEN" }, 2 },
	{ { "x", "--color=verde" }, 2 },
	{ { "x", "--color=gree" }, -EINVAL },
	{ { "x", "--color=greens" }, -EINVAL },
	{ { "x", "--color=red|green" }, -EINVAL },
	{ { "x", "--color=" }, -EINVAL },
	{ { "x", "--color" }, -EINVAL },
	{ { "x", "--maybe" }, 2 },
	{ { "x", "--maybe", "red" }, 2 },
	{ { "x", "--maybe=" }, -EINVAL },
	{ { "x", "--time=1.25" }, 2 },
	{ { "x", "--time=soon" }, -EINVAL },
	{ { "x", "--extra" }, 2 },
	{ { "x", "--extra", "2M" }, 2 },
	{ { "x", "--extra=2M" }, 2 },
	{ { "x", "--extra=" }, -EINVAL },
	{ { "x", "--extra=0" }, -EINVAL },
	{ { "x", "-f" }, 2 },
	{ { "x", "-f", "file" }, 2 },
	{ { "x", "-f=x" }, -EINVAL },
	{ { "x", "--f" }, -EINVAL },
	{ { "x", "-g" }, -EINVAL },
	{ { "x", "-flag" }, -EINVAL },
	{ { "x", "-o", "letter,string=a" }, 3 },
	{ { "x", "-oletter" }, 2 },
	{ { "x", "-o", "" }, 3 },
	{ { "x", "-o", ",letter," }, 3 },
	{ { "x", "-o" }, -EINVAL },
	{ { "x", "-o", "lettre" }, -EINVAL },
	{ { "x", "-o", "letter=1" }, -EINVAL },
	{ { "x", "-o", "string" }, -EINVAL },
	{ { "x", "-o", "color=blue" }, -EINVAL },
	{ { "x", "-o", "f" }, -EINVAL },
	{ { "x", "--o", "letter" }, -EINVAL },
};

static int parse(const char *const *words, struct cfg *cfg)
{
	static char kept[8][48]; /* strings stay in argv */
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

static void test_enums(void)
{
	static const char *const words[] = {
		"x",	  "--color=Verde", "--maybe=green", "--time=0.5",
		"--flag", "--no-flag",	   "-osubs=letter", NULL
	};
	static const char *const last[] = { "x", "--color=green", "--color=red", "--maybe", NULL };
	struct cfg cfg;

	CHECK_EQ("no such sub-option", parse(words, &cfg), -EINVAL);
	CHECK(cfg.color == GREEN && cfg.maybe == GREEN && !cfg.flag);
	CHECK_EQ("time", cfg.time, 500000000);
	CHECK_EQ("last", parse(last, &cfg), 4);
	CHECK(cfg.color == RED && cfg.maybe == BLUE);
}

static void test_optional_size(void)
{
	static const char *const alone[] = { "x", "--extra", NULL };
	static const char *const given[] = { "x", "--extra", "--extra=3K", NULL };
	struct cfg cfg;

	CHECK_EQ("alone", parse(alone, &cfg), 2);
	CHECK_EQ("no size", cfg.extra, -1);
	CHECK_EQ("given", parse(given, &cfg), 3);
	CHECK_EQ("a size", cfg.extra, 3072);
}

static void test_subs(void)
{
	static const char *const words[] = {
		"x", "-o", "letter,color=green,string=a,,b=c,,", "-o", "no_letter", NULL
	};
	static const char *const odd[] = { "x", "-ostring=,,,color=green", NULL };
	struct cfg cfg;

	CHECK_EQ("two lists", parse(words, &cfg), 5);
	CHECK(!cfg.letter && cfg.color == GREEN);
	CHECK(cfg.string && !strcmp(cfg.string, "a,b=c,"));
	CHECK_EQ("a comma, then the end", parse(odd, &cfg), 2);
	CHECK(cfg.string && !strcmp(cfg.string, ",") && cfg.color == GREEN);
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
	test_seconds();
	test_lines();
	test_values();
	test_enums();
	test_optional_size();
	test_subs();
	test_list_is_bounded();
	test_closest();
	return check_done();
}
