/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/stat_*.c: answers taken apart, what two of them say, and how it is printed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/stat_picture.h"
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

#define MIB_CELL "2097152"
#define WINDOW_BEFORE                                                                  \
	"device fs\ntime_ns 1000000000\nwindow.bytes 134217728\nwindow.cell " MIB_CELL \
	"\nwindow.setups 100\nwindow.maps 50\nwindow.hits 0\nwindow.cells ....\nrequests.READ 1\n"
#define WINDOW_NOW                                                                                 \
	"device fs\nshare /a&b\ntime_ns 3000000000\nwindow.bytes 134217728\nwindow.cell " MIB_CELL \
	"\nwindow.setups 300\nwindow.maps 60\nwindow.hits 190\nwindow.mappings 7\n"                \
	"window.owned_mappings 5\nwindow.owned 10485760\nwindow.copies 4096\nwindow.files 3\n"     \
	"window.granted_files 40\nwindow.granted 1610612736\nwindow.new_number 9\n"                \
	"window.cells "
/* 66 cells: a row, and two. */
#define CELLS      \
	"rrwwp..c" \
	"a......." \
	"........" \
	"........" \
	"........" \
	"........" \
	"........" \
	"......rr" \
	"wX"

static char *window_answer(const char *cells)
{
	static char text[8192];

	snprintf(text, sizeof(text), "%s%s\nqueue_depth.0 3\nrequests.READ 5\n", WINDOW_NOW, cells);
	return text;
}

/* What print(f, ctx) writes. */
static const char *printed_window(const struct stat_window *w, const struct stat_rates *rates,
				  bool colour)
{
	static char text[64 << 10];
	FILE *f = fmemopen(text, sizeof(text), "w");

	REQUIRE(f);
	stat_print_window(f, w, rates, colour);
	REQUIRE(!fclose(f));
	return text;
}

static void test_window_numbers(void)
{
	struct stat_answer *x = parse(WINDOW_BEFORE, 0), *y = parse(window_answer(CELLS), 0);
	static struct stat_rates r;
	struct stat_window w;
	uint64_t n[STAT_CELLS];

	CHECK_NAMED("there is one", stat_window_of(&w, y));
	CHECK_EQ("bytes", w.n[STAT_WINDOW_BYTES], 134217728);
	CHECK_EQ("owned mappings", w.n[STAT_WINDOW_OWNED_MAPPINGS], 5);
	CHECK_EQ("granted", w.n[STAT_WINDOW_GRANTED], 1610612736);
	CHECK_EQ("not told", w.n[STAT_WINDOW_REFUSED], 0);
	CHECK_EQ("cells", w.n_cells, 66);
	stat_cells_count(&w, n);
	CHECK_EQ("read", n[stat_cell_of('r')], 4);
	CHECK_EQ("written", n[stat_cell_of('w')], 3);
	CHECK_EQ("unknown", n[STAT_CELL_UNKNOWN], 1);
	CHECK_EQ("empty", n[stat_cell_of('.')], 55);
	stat_rates_of(&r, x, y);
	CHECK_EQ("setups per 1000 s", r.window_s[STAT_WINDOW_SETUPS] * 1000, 100000);
	CHECK_EQ("hits per 1000 s", r.window_s[STAT_WINDOW_HITS] * 1000, 95000);
	CHECK_EQ("maps per 1000 s", r.window_s[STAT_WINDOW_MAPS] * 1000, 5000);
	stat_rates_of(&r, y, x); /* started again */
	CHECK_NAMED("not below 0", r.window_s[STAT_WINDOW_SETUPS] >= 0);
	drop(x);
	x = parse("device fs\nwindow.cells rrr\nwindow 5\nwindow.bytes many\n", 0);
	CHECK_NAMED("there is none", !stat_window_of(&w, x));
	drop(x);
	drop(y);
}

static void test_bytes(void)
{
	static const struct {
		uint64_t bytes;
		const char *about, *exactly;
	} cases[] = {
		{ 0, "0 B", "0" },
		{ 1, "1 B", "1 B" },
		{ 1023, "1023 B", "1023 B" },
		{ 1024, "1 KiB", "1 KiB" },
		{ 1536, "1.5 KiB", "1536 B" },
		{ 1048575, "1 MiB", "1048575 B" },
		{ 134217728, "128 MiB", "128 MiB" },
		{ 1207959552, "1.1 GiB", "1152 MiB" },
		{ 68719476736, "64 GiB", "64 GiB" },
		{ UINT64_MAX, "16777216 TiB", "18446744073709551615 B" },
	};
	char buf[STAT_BYTES_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_NAMED(cases[i].about,
			    !strcmp(stat_bytes(buf, cases[i].bytes), cases[i].about));
		CHECK_NAMED(cases[i].exactly,
			    !strcmp(stat_bytes_exact(buf, cases[i].bytes), cases[i].exactly));
	}
}

static void test_window_print(void)
{
	static const char *const lines[] = {
		"setups                         -          300\n",
		"\nsize                 128 MiB, 66 cells of 2 MiB\n",
		"\nmappings             7, of 3 files; the guest owns 5\n",
		"\nowned by the guest   10 MiB; private copies: 4 KiB\n",
		"\nfiles to be mapped   40, of 1.5 GiB\n",
		"\n        0  rrwwp..ca....... ................ ................ ..............rr\n",
		"rr\n  128 MiB  w?\n",
		" r read: 4  w read and written: 3  p with a private copy: 1  ? unknown: 1 \n",
	};
	struct stat_answer *a = parse(window_answer(CELLS), 0);
	static struct stat_rates r;
	struct stat_window w;
	const char *text;

	REQUIRE(stat_window_of(&w, a));
	text = printed_window(&w, NULL, false);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		CHECK_NAMED(lines[i], strstr(text, lines[i]));
	CHECK_NAMED("no colours", !strchr(text, '\033'));
	r.window_s[STAT_WINDOW_MAPS] = 12.25;
	text = printed_window(&w, &r, true);
	CHECK_NAMED("a rate", strstr(text, "\nmaps                        12.2           60\n"));
	CHECK_NAMED("colours, and an end of them",
		    strstr(text, "\033[0;97;44mrr\033[0;97;41mww\033[0;97;45mp\033[0;90m..") &&
			    strstr(text, "\033[0;97;44mrr\033[0m\n"));
	drop(a);
	a = parse("window.bytes 4096\n", 0);
	REQUIRE(stat_window_of(&w, a));
	CHECK_NAMED("no picture", !strstr(printed_window(&w, NULL, false), "empty"));
	drop(a);
}

/* As many cells as there can be, most of them empty: each is in the picture or in a number. */
static void test_window_largest(void)
{
	static char cells[4097];
	struct stat_answer *a;
	struct stat_window w;
	const char *text;
	size_t rows = 0;

	memset(cells, '.', 4096);
	a = parse(window_answer(cells), 0);
	REQUIRE(stat_window_of(&w, a));
	CHECK_EQ("cells", w.n_cells, 4096);
	CHECK(strstr(printed_window(&w, NULL, false), "\n           63 more rows are empty\n"));
	drop(a);
	cells[64 * 63] = cells[64 * 5 - 1] = cells[64 * 7] = 'r';
	a = parse(window_answer(cells), 0);
	REQUIRE(stat_window_of(&w, a));
	text = printed_window(&w, NULL, false);
	CHECK(strstr(text, "        0  ................ ................ ................ "
			   "................\n           3 more rows are empty\n  512 MiB  ..."));
	CHECK(strstr(text, "\n 7936 MiB  ......") == NULL);
	CHECK(strstr(text, "           54 more rows are empty\n 8064 MiB  r....."));
	for (const char *p = text; (p = strchr(p, '\n')); p++) {
		const char *end = strchr(p + 1, '\n');

		rows++;
		CHECK_NAMED("fits on a terminal", !end || end - p <= 80);
	}
	CHECK_NAMED("and few of them", rows < 32);
	drop(a);
	memset(cells, 'w', 4096);
	a = parse(window_answer(cells), 0);
	REQUIRE(stat_window_of(&w, a));
	CHECK(strstr(printed_window(&w, NULL, false), "\n 8064 MiB  wwww"));
	drop(a);
}

static void test_window_forms(void)
{
	static const char *const json[] = {
		"\"window\": {\"bytes\": 134217728, ",
		"\"cells\": \"rrwwp..ca",
		",\n  \"window_per_s\": {\"setups\": 100.000, \"hits\": 95.000, ",
	};
	struct stat_answer *x = parse(WINDOW_BEFORE, 0), *y = parse(window_answer(CELLS), 0);
	static struct stat_rates r;
	static char text[64 << 10];
	const char *prometheus;
	FILE *f;

	stat_rates_of(&r, x, y);
	REQUIRE((f = fmemopen(text, sizeof(text), "w")));
	stat_print_json(f, y, &r);
	fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(json); i++)
		CHECK_NAMED(json[i], strstr(text, json[i]));
	REQUIRE((f = fmemopen(text, sizeof(text), "w")));
	stat_print_table(f, y, &r);
	fclose(f);
	CHECK_NAMED("other lines", strstr(text, "\nqueue_depth          3\n"));
	CHECK_NAMED("after the opcodes", strstr(text, "\nwindow  ") > strstr(text, "\nall  "));
	CHECK_NAMED("not twice", !strstr(text, "134217728"));
	prometheus = printed(stat_print_prometheus, y);
	CHECK(strstr(prometheus,
		     "# TYPE vdax_fs_window_bytes gauge\nvdax_fs_window_bytes 134217728\n"));
	CHECK(strstr(prometheus, "# TYPE vdax_fs_window_maps_total counter\n"
				 "vdax_fs_window_maps_total 60\n"));
	CHECK_NAMED("no picture", !strstr(prometheus, "rrww"));
	CHECK_NAMED("nothing that is not known", !strstr(prometheus, "new_number"));
	drop(x);
	x = parse("device fs\nwindow.x.y 3\nwindows.maps 3\nwindow.map 3\n", 0);
	CHECK_NAMED("no window", !strstr(printed(stat_print_prometheus, x), "window"));
	drop(x);
	drop(y);
}

static const char *drawn(const struct stat_window *w, const struct stat_answer *a)
{
	static char text[256 << 10];
	FILE *f = fmemopen(text, sizeof(text), "w");

	REQUIRE(f);
	stat_print_svg(f, w, a, NULL);
	REQUIRE(!fclose(f));
	return text;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Names are bytes that others chose. */
static const struct {
	const char *share, *want;
} svg_names[] = {
	{ "/plain", ">DAX window of /plain" },
	{ "a<b>&\"c\"", ">DAX window of a&lt;b&gt;&amp;&quot;c&quot;" },
	{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "of \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "bad\xff\xc3", "of bad??" },
	{ "cut\xe2\x82", "of cut??" },
	{ "long\xc0\xaf", "of long??" },	   /* a slash in two bytes */
	{ "sur\xed\xa0\x80", "of sur???" },	   /* half of a pair */
	{ "non\xef\xbf\xbf", "of non???" },	   /* U+FFFF */
	{ "high\xf4\x90\x80\x80", "of high????" }, /* above U+10FFFF */
	{ "ctl\xc2\x80", "of ctl??" },
};

static void test_svg(void)
{
	struct stat_answer *a = parse(window_answer(CELLS), 0);
	struct stat_window w;
	const char *text;

	REQUIRE(stat_window_of(&w, a));
	text = drawn(&w, a);
	CHECK_NAMED("a document",
		    !strncmp(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg ",
			     strlen("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg ")));
	CHECK_NAMED("its end", strstr(text, "\n</svg>\n"));
	CHECK_EQ("each cell once", count(text, "h25v25h-25z"), 66);
	CHECK_NAMED("the last one", strstr(text, "M132 264h25v25h-25z\"/>"));
	CHECK_NAMED("the offset of its row", strstr(text, ">128 MiB</text>\n</g>"));
	CHECK_NAMED("a legend", strstr(text, ">read: 4</text>") && strstr(text, ">unknown: 1<"));
	CHECK_NAMED("numbers", strstr(text, ">63 %</text>") && strstr(text, ">10 MiB</text>"));
	drop(a);
	for (size_t i = 0; i < ARRAY_SIZE(svg_names); i++) {
		char answer[256], want[64];

		snprintf(answer, sizeof(answer), "share %s\nwindow.bytes 1\n", svg_names[i].share);
		a = parse(answer, 0);
		REQUIRE(stat_window_of(&w, a));
		snprintf(want, sizeof(want), "%s<", svg_names[i].want);
		CHECK_NAMED(svg_names[i].share, strstr(drawn(&w, a), want));
		drop(a);
	}
}

static void test_svg_largest(void)
{
	static char cells[4097];
	struct stat_answer *a;
	struct stat_window w;
	const char *text;

	for (size_t i = 0; i < 4096; i++)
		cells[i] = "rw.pca"[i % 6];
	a = parse(window_answer(cells), 0);
	REQUIRE(stat_window_of(&w, a));
	text = drawn(&w, a);
	CHECK_EQ("each cell once", count(text, "h12v12h-12z"), 4096);
	CHECK_NAMED("whole", strstr(text, "\n</svg>\n"));
	CHECK_NAMED("offsets", strstr(text, ">7936 MiB</text>\n</g>"));
	drop(a);
}

int main(void)
{
	test_parse();
	test_too_many();
	test_percentile();
	test_rates();
	test_prometheus();
	test_window_numbers();
	test_bytes();
	test_window_print();
	test_window_largest();
	test_window_forms();
	test_svg();
	test_svg_largest();
	return check_done();
}
