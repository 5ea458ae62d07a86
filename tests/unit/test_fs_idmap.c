/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/idmap.c: which rules are refused, and what they make of ids both ways. */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "fs/idmap.h"
#include "tests/lib/check.h"

#define RULES 4u

/* Rules that are refused; the message names the last one, and says why. */
static const struct {
	const char *rules[RULES];
	const char *why;
} bad_cases[] = {
	{ { "" }, "the type" },
	{ { ":0:0:1" }, "the type" },
	{ { "mapped:0:0:1" }, "the type" },
	{ { "ma:0:0:1" }, "the type" },
	{ { " map:0:0:1" }, "the type" },
	{ { "forbid-host:0:1" }, "the type" },
	{ { "map" }, "a number is missing" },
	{ { "map:" }, "a number is missing" },
	{ { "map:0:0" }, "a number is missing" },
	{ { "map:0:0:" }, "a number is missing" },
	{ { "map:::" }, "a number is missing" },
	{ { "map:0::1" }, "a number is missing" },
	{ { "map:-1:0:1" }, "a number is missing" },
	{ { "map:+1:0:1" }, "a number is missing" },
	{ { "map: 1:0:1" }, "a number is missing" },
	{ { "map:0:0:1:" }, "too many numbers" },
	{ { "map:0:0:1:2" }, "too many numbers" },
	{ { "forbid-guest:0:1:2" }, "too many numbers" },
	{ { "forbid-guest:0" }, "a number is missing" },
	{ { "map:0:0:1 " }, "not a number" },
	{ { "map:0:0:1x" }, "not a number" },
	{ { "map:0x0:0:1" }, "not a number" },
	{ { "map:0/0:1" }, "not a number" },
	{ { "map:4294967296:0:1" }, "over 4294967295" },
	{ { "map:0:18446744073709551616:1" }, "over 4294967295" },
	{ { "map:0:0:99999999999999999999999999" }, "over 4294967295" },
	/* no rule is about ID_NONE */
	{ { "guest:4294967295:0:1" }, "over 4294967294" },
	{ { "guest:4294967294:0:2" }, "over 4294967294" },
	{ { "host:1:0:4294967295" }, "over 4294967294" },
	{ { "squash-guest:1:0:4294967295" }, "over 4294967294" },
	{ { "squash-host:4294967295:0:1" }, "over 4294967294" },
	{ { "forbid-guest:4294967295:1" }, "over 4294967294" },
	{ { "forbid-guest:2:4294967295" }, "over 4294967294" },
	/* and none leads to it */
	{ { "guest:0:4294967295:1" }, "over 4294967294" },
	{ { "guest:0:1:4294967295" }, "over 4294967294" },
	{ { "map:0:4294967294:2" }, "over 4294967294" },
	{ { "squash-guest:0:4294967295:1" }, "over 4294967294" },
	{ { "squash-host:0:4294967295:0" }, "over 4294967294" },
	/* one id, one rule */
	{ { "map:0:0:1", "map:0:0:1" }, "overlaps" },
	{ { "guest:10:0:10", "guest:0:50:11" }, "overlaps" },
	{ { "guest:10:0:10", "guest:19:50:1" }, "overlaps" },
	{ { "guest:10:0:10", "guest:12:50:3" }, "overlaps" },
	{ { "guest:10:0:10", "guest:5:50:100" }, "overlaps" },
	{ { "guest:10:0:10", "guest:0:50:4294967245" }, "overlaps" },
	{ { "guest:30:0:1", "guest:10:0:1", "guest:20:0:11" }, "overlaps" },
	{ { "guest:0:0:9", "squash-guest:8:1:1" }, "overlaps" },
	{ { "forbid-guest:0:9", "map:8:100:1" }, "overlaps" },
	{ { "squash-host:100:0:5", "map:0:104:1" }, "overlaps" },
	{ { "host:100:0:5", "squash-host:99:0:2" }, "overlaps" },
};

static unsigned count_of(const char *const *rules)
{
	unsigned n = 0;

	while (n < RULES && rules[n])
		n++;
	return n;
}

static void test_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const char *const *rules = bad_cases[i].rules;
		unsigned n = count_of(rules);
		const char *last = rules[n - 1];
		char err[160] = "", little[8];
		struct idmap m;

		CHECK_EQ(last, idmap_parse(&m, rules, n, err, sizeof(err)), -EINVAL);
		CHECK_NAMED(last, strstr(err, bad_cases[i].why));
		CHECK_NAMED(last, err[0] == '\'' && !strncmp(err + 1, last, strlen(last)));
		CHECK_NAMED(last, m.to_host.n == 0 && m.to_guest.n == 0);
		memset(little, 'x', sizeof(little));
		CHECK_EQ(last, idmap_parse(&m, rules, n, little, 4), -EINVAL);
		CHECK_EQ(last, strlen(little), 3);
		CHECK_EQ(last, little[4], 'x');
		CHECK_EQ("without the last", idmap_parse(&m, rules, n - 1, err, sizeof(err)), 0);
	}
}

static void test_number_of_rules(void)
{
	static char texts[IDMAP_RANGES_MAX + 1][32];
	const char *rules[IDMAP_RANGES_MAX + 1];
	char err[160];
	struct idmap m;
	uint32_t id;

	/* From the middle outwards, so that each place in the table is inserted at. */
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		unsigned id_of = 1000 + (i % 2 ? 10 * i : 0u - 10 * i);

		snprintf(texts[i], sizeof(texts[i]), "guest:%u:%u:10", id_of, id_of + 100000);
		rules[i] = texts[i];
	}
	CHECK_EQ("full", idmap_parse(&m, rules, IDMAP_RANGES_MAX, err, sizeof(err)), 0);
	CHECK_EQ("ranges", m.to_host.n, IDMAP_RANGES_MAX);
	for (unsigned i = 1; i < m.to_host.n; i++)
		CHECK(m.to_host.r[i - 1].last < m.to_host.r[i].first);
	for (unsigned i = 0; i < IDMAP_RANGES_MAX; i++) {
		unsigned id_of = 1000 + (i % 2 ? 10 * i : 0u - 10 * i);

		CHECK_EQ(rules[i], idmap_to_host(&m, id_of + 9, &id), 0);
		CHECK_EQ(rules[i], id, id_of + 100009);
	}
	CHECK_EQ("one more", idmap_parse(&m, rules, IDMAP_RANGES_MAX + 1, err, sizeof(err)),
		 -E2BIG);
	CHECK(strstr(err, "too many rules"));
	CHECK_EQ("nothing of it", m.to_host.n, 0);
}

/* Ids that a lookup gives: the host's for the guest's number id, and the other way. */
static const struct {
	const char *rules[RULES];
	uint32_t id;
	int ret;
	uint32_t host;	/* to_host(id), where ret is 0 */
	uint32_t guest; /* to_guest(id) */
} cases[] = {
	/* no rule, or none for this id */
	{ { NULL }, 0, 0, 0, 0 },
	{ { NULL }, ID_NONE, 0, ID_NONE, ID_NONE },
	{ { "map:10:100:10" }, 9, 0, 9, 9 },
	{ { "map:10:100:10" }, 20, 0, 20, 20 },
	{ { "map:10:100:10" }, 99, 0, 99, 99 },
	{ { "map:10:100:10" }, 110, 0, 110, 110 },
	{ { "map:10:100:0", "map:10:100:0" }, 10, 0, 10, 10 },
	{ { "squash-guest:0:5:0", "host:0:5:0" }, 7, 0, 7, 7 },
	{ { "map:10:100:0", "guest:0:50:20" }, 10, 0, 60, 10 },
	/* each type, at both ends */
	{ { "map:10:100:10" }, 10, 0, 100, 10 },
	{ { "map:10:100:10" }, 19, 0, 109, 19 },
	{ { "map:10:100:10" }, 100, 0, 100, 10 },
	{ { "map:10:100:10" }, 109, 0, 109, 19 },
	{ { "guest:10:100:10" }, 19, 0, 109, 19 },
	{ { "guest:10:100:10" }, 109, 0, 109, 109 },
	{ { "host:100:10:10" }, 109, 0, 109, 19 },
	{ { "host:100:10:10" }, 19, 0, 19, 19 },
	{ { "squash-guest:10:100:10" }, 10, 0, 100, 10 },
	{ { "squash-guest:10:100:10" }, 19, 0, 100, 19 },
	{ { "squash-guest:10:100:10" }, 20, 0, 20, 20 },
	{ { "squash-host:100:10:10" }, 100, 0, 100, 10 },
	{ { "squash-host:100:10:10" }, 109, 0, 109, 10 },
	{ { "squash-host:100:10:10" }, 110, 0, 110, 110 },
	{ { "forbid-guest:10:10" }, 9, 0, 9, 9 },
	{ { "forbid-guest:10:10" }, 10, -EPERM, 0, 10 },
	{ { "forbid-guest:10:10" }, 19, -EPERM, 0, 19 },
	{ { "forbid-guest:10:10" }, 20, 0, 20, 20 },
	{ { "forbid-guest:10:0" }, 10, 0, 10, 10 },
	/* the ends of the numbers */
	{ { "map:0:0:4294967295" }, 4294967294, 0, 4294967294, 4294967294 },
	{ { "squash-guest:0:1000:4294967295" }, 0, 0, 1000, 0 },
	{ { "squash-guest:0:1000:4294967295" }, 4294967294, 0, 1000, 4294967294 },
	{ { "squash-guest:0:1000:4294967295" }, ID_NONE, 0, ID_NONE, ID_NONE },
	{ { "squash-host:0:5:4294967295" }, ID_NONE, 0, ID_NONE, ID_NONE },
	{ { "forbid-guest:0:4294967295" }, 4294967294, -EPERM, 0, 4294967294 },
	{ { "forbid-guest:0:4294967295" }, ID_NONE, 0, ID_NONE, ID_NONE },
	{ { "guest:4294967294:0:1" }, 4294967294, 0, 0, 4294967294 },
	{ { "guest:0:4294967294:1" }, 0, 0, 4294967294, 0 },
	/* several rules, in no order, that touch */
	{ { "map:20:200:10", "map:10:100:10", "forbid-guest:30:10" }, 19, 0, 109, 19 },
	{ { "map:20:200:10", "map:10:100:10", "forbid-guest:30:10" }, 20, 0, 200, 20 },
	{ { "map:20:200:10", "map:10:100:10", "forbid-guest:30:10" }, 30, -EPERM, 0, 30 },
	{ { "map:20:200:10", "map:10:100:10", "forbid-guest:30:10" }, 205, 0, 205, 25 },
	/* directions know nothing of each other */
	{ { "guest:0:1000:10", "host:0:2000:10" }, 5, 0, 1005, 2005 },
	{ { "forbid-guest:0:10", "host:1000:0:10" }, 1005, 0, 1005, 5 },
	/* two ranges may lead to one */
	{ { "guest:0:1000:10", "guest:10:1000:10" }, 13, 0, 1003, 13 },
	/* how a rule may be written */
	{ { "MAP:10:100:10" }, 10, 0, 100, 10 },
	{ { "Squash-Guest/10/100/10" }, 12, 0, 100, 12 },
	{ { "map,0010,0000000000000100,10" }, 10, 0, 100, 10 },
	{ { "forbid-guest 10 10" }, 10, -EPERM, 0, 10 },
};

static void test_lookups(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const *rules = cases[i].rules;
		const char *name = rules[0] ? rules[0] : "no rule";
		char err[160];
		struct idmap m;
		uint32_t host = 12345;

		CHECK_EQ(name, idmap_parse(&m, rules, count_of(rules), err, sizeof(err)), 0);
		CHECK_EQ(name, idmap_to_host(&m, cases[i].id, &host), cases[i].ret);
		CHECK_EQ(name, host, cases[i].ret ? 12345 : cases[i].host);
		CHECK_EQ(name, idmap_to_guest(&m, cases[i].id), cases[i].guest);
	}
}

static void test_no_map(void)
{
	uint32_t host;

	CHECK_EQ("no map", idmap_to_host(NULL, 7, &host), 0);
	CHECK_EQ("no map", host, 7);
	CHECK_EQ("no map", idmap_to_guest(NULL, 7), 7);
}

int main(void)
{
	test_refused();
	test_number_of_rules();
	test_lookups();
	test_no_map();
	return check_done();
}
