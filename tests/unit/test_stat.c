/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/stat_*.c: answers taken apart, what two of them say, and how it is printed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/stat_print.h"
#include "tests/lib/check.h"

static struct stat_answer *parse(const char *text, int want)
{
	struct stat_answer *a = calloc(1, sizeof(*a));

	REQUIRE(a);
	CHECK_EQ(text, stat_answer_parse(a, strdup(text)), want);
	return a;
}

static void drop(struct stat_answer *a)
{
	stat_answer_free(a);
	free(a);
}

static const char *const bad[] = {
	"device fs",					/* cut */
	"device fs\ninodes",				/* cut */
	"device\n",					/* no value */
	" fs\n",					/* no key */
	"\n",						/* nothing */
	"requests.LOOKUP x\n",				/* not a number */
	"requests.LOOKUP -1\n",				/* nor this */
	"requests.LOOKUP 99999999999999999999\n",	/* too large */
	"requests.LOOKUP 1 2\n",			/* one only */
	"latency_bounds_ns 10 10\n",			/* do not grow */
	"latency_bounds_ns 10 20\nlatency.A 1 2 3 4\n", /* one more than there are */
	"latency_bounds_ns 10 20\nlatency.A 1  2\n",	/* an empty number */
	"latency_bounds_ns 10 20\nlatency.A 1 2 \n",	/* the same, at the end */
	"latency_bounds_ns 10 20\ntime_ns never\n",	/* not a number */
};

static void test_parse(void)
{
	static const char good[] = "device fs\nshare /a b/c.d\ntime_ns 77\nqueue_depth.0 3\n"
				   "latency_bounds_ns 10 20\nrequests.READ 9\nerrors.READ 1\n"
				   "latency_sum_ns.READ 55\nlatency.READ 4 0 5\nrequests.OPEN 2\n";
	struct stat_answer *a = parse(good, 0);

	CHECK_EQ("lines", a->n_lines, 3);
	CHECK(!strcmp(stat_answer_find(a, "share"), "/a b/c.d"));
	CHECK_NAMED("has a label", !stat_answer_find(a, "queue_depth"));
	CHECK(!strcmp(a->line[2].key, "queue_depth") && !strcmp(a->line[2].label, "0") &&
	      !strcmp(a->line[2].value, "3"));
	CHECK_EQ("time", a->time_ns, 77);
	CHECK_EQ("bounds", a->n_bounds, 2);
	CHECK_EQ("bound", a->bound_ns[1], 20);
	CHECK_EQ("opcodes", a->n_ops, 2);
	CHECK(!strcmp(a->op[0].name, "READ") && !strcmp(a->op[1].name, "OPEN"));
	CHECK_EQ("requests", a->op[0].requests, 9);
	CHECK_EQ("errors", a->op[0].errors, 1);
	CHECK_EQ("sum", a->op[0].latency_sum_ns, 55);
	CHECK_EQ("bucket", a->op[0].latency[2], 5);
	drop(a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		drop(parse(bad[i], -EPROTO));
}

/* More of anything than there is room for. */
static void test_too_many(void)
{
	static char text[64 << 10];

	for (int what = 0; what < 3; what++) {
		static const char *const before[] = { "key", "requests.OP", " " };
		static const char *const after[] = { " 1\n", " 1\n", "" };
		size_t used = what == 2 ? (size_t)sprintf(text, "latency_bounds_ns") : 0;

		for (unsigned i = 1; i <= STAT_LINES_MAX + 1; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u%s",
						 before[what], i, after[what]);
		if (what == 2)
			strcpy(text + used, "\n");
		drop(parse(text, -EPROTO));
	}
}

static void test_percentile(void)
{
	static const uint64_t bounds[] = { 100, 200, 400 };
	static const struct {
		const char *name;
		uint64_t n[4];
		double part, want;
	} cases[] = {
		{ "none", { 0, 0, 0, 0 }, 0.5, 0 },
		{ "one bucket, half of it", { 10, 0, 0, 0 }, 0.5, 50 },
		{ "one bucket, all", { 0, 10, 0, 0 }, 1, 200 },
		{ "one request", { 0, 0, 1, 0 }, 0.5, 300 },
		{ "on the border", { 5, 5, 0, 0 }, 0.5, 100 },
		{ "in the second", { 5, 5, 0, 0 }, 0.75, 150 },
		{ "a gap between", { 5, 0, 5, 0 }, 0.9, 360 },
		{ "the last has no end", { 1, 0, 0, 99 }, 0.5, 400 },
		{ "99 %", { 99, 0, 0, 1 }, 0.99, 100 },
		{ "99.9 %", { 99, 0, 0, 1 }, 0.999, 400 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double got = stat_percentile(bounds, 3, cases[i].n, cases[i].part);

		CHECK_EQ(cases[i].name, got * 1000 + 0.5, cases[i].want * 1000);
	}
}

#define BEFORE                                                                          \
	"device fs\ntime_ns 1000000000\nlatency_bounds_ns 1000 2000\n"                  \
	"requests.READ 100\nerrors.READ 5\nlatency.READ 50 50\nlatency_sum_ns.READ 9\n" \
	"requests.OPEN 7\nerrors.OPEN 7\n"
#define NOW                                                                                      \
	"device fs\ntime_ns 3000000000\nlatency_bounds_ns 1000 2000\n"                           \
	"requests.OPEN 7\nerrors.OPEN 7\n"                                                       \
	"requests.LOOKUP 1\nerrors.LOOKUP 0\nlatency.LOOKUP 0 0 1\nlatency_sum_ns.LOOKUP 5000\n" \
	"requests.READ 300\nerrors.READ 6\nlatency.READ 250 50\nlatency_sum_ns.READ 100009\n"

static void test_rates(void)
{
	struct stat_answer *x = parse(BEFORE, 0), *y = parse(NOW, 0);
	static struct stat_rates r;

	stat_rates_of(&r, x, y);
	CHECK_EQ("seconds", r.seconds, 2);
	CHECK_EQ("opcodes", r.n_ops, 3);
	CHECK_NAMED("the most frequent first", !strcmp(r.op[0].name, "READ"));
	CHECK_EQ("READ per 1000 s", r.op[0].requests_s * 1000, 100000);
	CHECK_EQ("READ errors per 1000 s", r.op[0].errors_s * 1000, 500);
	CHECK_EQ("READ measured", r.op[0].measured, 200);
	CHECK_EQ("READ p50: all were in the first bucket", r.op[0].ns[STAT_P50], 500);
	CHECK_EQ("READ p99", r.op[0].ns[STAT_P99], 990);
	CHECK_NAMED("LOOKUP is new", !strcmp(r.op[1].name, "LOOKUP"));
	CHECK_EQ("LOOKUP per 1000 s", r.op[1].requests_s * 1000, 500);
	CHECK_EQ("LOOKUP", r.op[1].ns[STAT_P50], 2000);
	CHECK_NAMED("OPEN rests", !strcmp(r.op[2].name, "OPEN"));
	CHECK_EQ("OPEN", r.op[2].requests_s * 1000, 0);
	CHECK_EQ("OPEN in all", r.op[2].requests, 7);
	CHECK_EQ("OPEN measured", r.op[2].measured, 0);
	CHECK_EQ("all", r.all.requests, 308);
	CHECK_EQ("all errors", r.all.errors, 13);
	CHECK_EQ("all per 1000 s", r.all.requests_s * 1000, 100500);
	CHECK_EQ("all measured", r.all.measured, 201);

	/* Started again: counts from 0. */
	stat_rates_of(&r, y, x);
	CHECK_EQ("not below 0", r.op[0].requests_s * 1e9, 100 * 1000000000ll / r.seconds);
	/* The same twice. */
	stat_rates_of(&r, y, y);
	CHECK_EQ("nothing", r.all.requests_s * 1000, 0);
	CHECK_EQ("nothing", r.all.measured, 0);
	drop(x);
	drop(y);
}

static const char *printed(void (*print)(FILE *f, const struct stat_answer *a),
			   const struct stat_answer *a)
{
	static char text[64 << 10];
	FILE *f = fmemopen(text, sizeof(text), "w");

	REQUIRE(f);
	print(f, a);
	REQUIRE(!fclose(f));
	return text;
}

static void test_prometheus(void)
{
	static const char *const lines[] = {
		"# TYPE vdax_info gauge\nvdax_info{device=\"fs\",share=\"/a\\\"b\\\\c\"} 1\n",
		"# TYPE vdax_fs_inodes gauge\nvdax_fs_inodes 12\n",
		"# TYPE vdax_pmem_sync_seconds_max gauge\nvdax_pmem_sync_seconds_max 1.000000002\n",
		"# TYPE vdax_fs_queue_depth gauge\nvdax_fs_queue_depth{queue=\"0\"} 3\n"
		"vdax_fs_queue_depth{queue=\"1\"} 4\n",
		"# TYPE vdax_fs_requests_total counter\nvdax_fs_requests_total{opcode=\"READ\"} 9\n",
		"# TYPE vdax_fs_request_errors_total counter\n"
		"vdax_fs_request_errors_total{opcode=\"READ\"} 1\n",
		"# TYPE vdax_fs_request_duration_seconds histogram\n"
		"vdax_fs_request_duration_seconds_bucket{opcode=\"READ\",le=\"0.000001000\"} 4\n"
		"vdax_fs_request_duration_seconds_bucket{opcode=\"READ\",le=\"2.000000001\"} 4\n"
		"vdax_fs_request_duration_seconds_bucket{opcode=\"READ\",le=\"+Inf\"} 9\n"
		"vdax_fs_request_duration_seconds_sum{opcode=\"READ\"} 0.000000055\n"
		"vdax_fs_request_duration_seconds_count{opcode=\"READ\"} 9\n",
	};
	struct stat_answer *a = parse("device fs\nshare /a\"b\\c\ninodes 12\nunknown 1\n"
				      "sync_ns_max 1000000002\nhandles many\n"
				      "queue_depth.0 3\nqueue_depth.1 4\nmessages.x 1\n"
				      "latency_bounds_ns 1000 2000000001\nrequests.READ 9\n"
				      "errors.READ 1\nlatency_sum_ns.READ 55\nlatency.READ 4 0 5\n",
				      0);
	const char *text = printed(stat_print_prometheus, a);

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		CHECK_NAMED(lines[i], strstr(text, lines[i]));
	CHECK_NAMED("in no table", !strstr(text, "unknown"));
	CHECK_NAMED("not a number", !strstr(text, "handles"));
	CHECK_NAMED("has no label", !strstr(text, "messages"));
	drop(a);
	a = parse("device pmem\nimage x\nsyncs 5\n", 0);
	text = printed(stat_print_prometheus, a);
	CHECK_NAMED("no file system", !strstr(text, "vdax_fs_"));
	CHECK_NAMED("a counter", strstr(text, "# TYPE vdax_pmem_syncs_total counter\n"
					      "vdax_pmem_syncs_total 5\n"));
	drop(a);
}

int main(void)
{
	test_parse();
	test_too_many();
	test_percentile();
	test_rates();
	test_prometheus();
	return check_done();
}
