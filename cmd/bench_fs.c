/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All daemons live through the whole run. For each row of the table the rounds go from one
 * daemon to the next, so that whatever else the host does hits all of them; the medians of
 * the rounds are printed. System calls are counted in a slice of their own, after the
 * rounds, as counting slows them down.
 */
#include "cmd/bench_fs.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/bench_fs_daemon.h"
#include "cmd/bench_fs_dax.h"
#include "cmd/bench_fs_load.h"
#include "cmd/bench_fs_print.h"
#include "cmd/bench_fs_syscalls.h"
#include "host/fd.h"
#include "host/log.h"

#define NUMBERS_MAX	16u
#define LARGE_DEPTH_MAX 16u
#define WARM_UP_NS	20000000u
#define SPARE_MAPS	16u /* what a daemon maps before it is asked */

struct cfg {
	const char *daemon;
	struct option_list compare;
	const char *dir;
	uint32_t rounds;
	uint32_t time_ms;
	const char *depths, *queues;
	struct option_list workloads;
	const char *pin;
	bool syscalls, json;
	bool dax;
	uint64_t dax_size, dax_range;
};

#define AT(field) offsetof(struct cfg, field)

static const struct option_def options[] = {
	{ "daemon", "COMMAND", OPTION_STRING, AT(daemon),
	  "what to measure; {socket} and {dir} are replaced (default: vdax fs)" },
	{ "compare", "COMMAND", OPTION_LIST, AT(compare),
	  "another daemon, measured in turn with the first; may be repeated" },
	{ "dir", "DIR", OPTION_STRING, AT(dir), "where to make a scratch folder (default: /tmp)" },
	{ "workload", "NAME", OPTION_LIST, AT(workloads),
	  "only this one; may be repeated (default: all)" },
	{ "depths", "N,...", OPTION_STRING, AT(depths),
	  "operations under way in each queue (default: 1,16,64)" },
	{ "queues", "N,...", OPTION_STRING, AT(queues),
	  "request queues in use, a thread for each (default: 1)" },
	{ "rounds", "N", OPTION_U32, AT(rounds), "each daemon's turns for each row (default: 3)" },
	{ "time", "MS", OPTION_U32, AT(time_ms), "of one turn (default: 300)" },
	{ "syscalls", NULL, OPTION_FLAG, AT(syscalls), "count the daemons' system calls" },
	{ "pin", "HOW", OPTION_STRING, AT(pin),
	  "CPUs: apart (a half for us, a half for the daemons; default), together (one), no" },
	{ "dax", NULL, OPTION_FLAG, AT(dax), "measure the DAX window instead" },
	{ "dax-size", "SIZE", OPTION_SIZE, AT(dax_size), "of the file for it (default: 1G)" },
	{ "dax-range", "SIZE", OPTION_SIZE, AT(dax_range), "mapped at once (default: 2M)" },
	{ "json", NULL, OPTION_FLAG, AT(json), "print a JSON object" },
};

const struct command bench_fs_command = {
	.name = "bench fs",
	.args = "[OPTION]...",
	.summary = "Measure virtio-fs daemons, each in a folder of its own.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.epilogue =
		"Workloads: create+close unlink lookup lookup-cold getattr chmod open+close "
		"open+read+close\nreaddir readdirplus (100 names) rename "
		"mkdir+rmdir statfs\nread-4k read-4k-direct write-4k (at random) read-1m "
		"write-1m.\nx ops, x cpu, x sys: figures of "
		"the first daemon as parts of another's.\n--dax goes without --compare, --queues, "
		"--syscalls, --time and --workload.",
};

struct bench {
	const struct cfg *cfg;
	char folder[80];
	unsigned n; /* daemons */
	struct bench_daemon daemon[BENCH_DAEMONS_MAX];
	struct bench_session session[BENCH_DAEMONS_MAX];
	struct bench_report report;
	struct bench_syscalls syscalls;
	struct bench_dax_cfg dax;
	unsigned depth[NUMBERS_MAX], n_depths;
	unsigned queues[NUMBERS_MAX], n_queues, queues_max;
};

/* What is taken at the begin and the end of a slice. */
struct taken {
	struct bench *b;
	unsigned daemon;
	bool count;
	uint64_t cpu; /* ns */
	uint64_t syscalls;
	int error;
};

static void take_begin(void *ctx)
{
	struct taken *t = ctx;

	if (t->count)
		t->error = bench_syscalls_start(&t->b->syscalls, &t->b->daemon[t->daemon]);
	t->cpu = bench_daemon_cpu(&t->b->daemon[t->daemon]);
}

static void take_end(void *ctx)
{
	struct taken *t = ctx;

	t->cpu = bench_daemon_cpu(&t->b->daemon[t->daemon]) - t->cpu;
	if (t->count && !t->error)
		t->syscalls = bench_syscalls_stop(&t->b->syscalls);
}

/* One turn of a daemon: a slice, and its figures as those of round (if not counting). */
static int take_turn(struct bench *b, struct bench_row *row, const struct bench_workload *w,
		     unsigned i, uint64_t ns, int round)
{
	struct taken t = { .b = b, .daemon = i, .count = round < 0 };
	struct bench_slice r = { .ops = 0 };
	double *f, ops;
	int ret;

	ret = bench_session_run(&b->session[i], w, row->queues, row->depth, ns, &r, take_begin,
				take_end, &t);
	ret = ret ? ret : t.error;
	row->of[i].queues = MIN(row->queues, b->session[i].n);
	if (!ret && !r.ops)
		ret = -ETIMEDOUT;
	if (ret) {
		row->of[i].error = ret;
		return ret;
	}
	ops = (double)r.ops;
	if (round < 0) {
		row->of[i].syscalls = (double)t.syscalls / ops;
		return 0;
	}
	f = &row->of[i].figure[0][round];
#define SET(figure_, value) f[(figure_)*BENCH_ROUNDS_MAX] = (value)
	SET(BENCH_OPS, ops / r.seconds);
	SET(BENCH_P50, (double)latency_at(&r.latency, 0.5) / 1000);
	SET(BENCH_P99, (double)latency_at(&r.latency, 0.99) / 1000);
	SET(BENCH_CPU, (double)t.cpu / 1000 / ops);
	SET(BENCH_KICKS, (double)r.kicks / ops);
	SET(BENCH_CALLS, (double)r.calls / ops);
#undef SET
	return 0;
}

/* Returns 0, or an error that ends everything. One that is only of this row is in the row. */
static int measure_row(struct bench *b, struct bench_row *row, const struct bench_workload *w)
{
	const uint64_t ns = (uint64_t)b->cfg->time_ms * 1000000;
	int ret = 0;

	for (unsigned i = 0; i < b->n; i++)
		take_turn(b, row, w, i, MIN(ns, (uint64_t)WARM_UP_NS), 0); /* overwritten */
	for (unsigned round = 0; round < b->cfg->rounds; round++) {
		for (unsigned i = 0; i < b->n; i++) {
			if (!row->of[i].error)
				take_turn(b, row, w, i, ns, (int)round);
		}
	}
	row->rounds = b->cfg->rounds;
	for (unsigned i = 0; i < b->n; i++) {
		if (b->cfg->syscalls && !row->of[i].error)
			take_turn(b, row, w, i, ns, -1);
		if (row->of[i].error == -EPIPE || row->of[i].error == -EIO ||
		    row->of[i].error == -ETIMEDOUT)
			ret = row->of[i].error;
	}
	return ret;
}

static bool is_wanted(const struct cfg *cfg, const struct bench_workload *w)
{
	for (unsigned i = 0; i < cfg->workloads.n; i++) {
		if (bench_workload_find(cfg->workloads.v[i]) == w)
			return true;
	}
	return !cfg->workloads.n;
}

/* All rows. Returns 0, or the error that a row had. */
static int measure(struct bench *b)
{
	static struct bench_row row;
	const struct bench_workload *w;
	bool first = true;
	int ret = 0;

	bench_print_head(&b->report, b->cfg->json);
	for (unsigned i = 0; (w = bench_workload_at(i)); i++) {
		for (unsigned k = 0; k < b->n_queues * b->n_depths && ret >= 0; k++) {
			memset(&row, 0, sizeof(row));
			row.workload = bench_workload_name(w);
			row.queues = b->queues[k / b->n_depths];
			row.depth = b->depth[k % b->n_depths];
			if (!is_wanted(b->cfg, w) ||
			    (bench_workload_is_large(w) && row.depth > LARGE_DEPTH_MAX))
				continue;
			ret = measure_row(b, &row, w);
			bench_print_row(&b->report, &row, b->cfg->json, first);
			first = false;
		}
	}
	bench_print_end(b->cfg->json);
	return ret;
}

/* --- Set-up --- */

/* Apart: our half of the CPUs comes first. With one CPU there is nothing to choose. */
static void pin(struct bench *b)
{
	unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), half = n / 2, first = half;
	cpu_set_t set;

	if (!strcmp(b->cfg->pin, "no") || n < 2)
		return;
	if (!strcmp(b->cfg->pin, "together")) {
		first = 0;
		half = n = 1;
	}
	CPU_ZERO(&set);
	for (unsigned i = 0; i < half; i++)
		CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (unsigned i = 0; i < b->n; i++)
		bench_daemon_pin(&b->daemon[i], first, n);
}

/* Returns a connected socket, or -errno after a message. */
static int start_process(struct bench *b, const char *command)
{
	struct bench_daemon *d = &b->daemon[b->n];
	int ret;

	b->report.command[b->n] = command;
	ret = bench_daemon_start(d, b->folder, b->n++, command);
	b->report.name[b->report.n_daemons++] = d->name;
	return ret ? ret : bench_daemon_connect(d);
}

static int start_daemon(struct bench *b, const char *command)
{
	struct bench_daemon *d = &b->daemon[b->n];
	struct bench_session *s = &b->session[b->n];
	int ret = start_process(b, command);

	if (ret >= 0)
		ret = bench_session_open(s, ret, d->dir, b->queues_max);
	if (ret >= 0)
		bench_daemon_find(d);
	return ret;
}

/* The command that is measured first: what the user says, or this program with its window. */
static const char *first_command(const struct bench *b)
{
	static char ours[350];
	char self[180], window[80] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (b->cfg->daemon)
		return b->cfg->daemon;
	self[n > 0 ? n : 0] = '\0';
	if (b->cfg->dax)
		snprintf(window, sizeof(window), " --dax-window %" PRIu64 "M --dax-maps %" PRIu64,
			 bench_dax_window(&b->dax) / MIB(1),
			 b->dax.size / b->dax.range + SPARE_MAPS);
	snprintf(ours, sizeof(ours),
		 "%s fs --socket-path {socket} --shared-dir {dir} --tag bench%s", self, window);
	return ours;
}

static int start_all(struct bench *b)
{
	uint32_t chunk = UINT32_MAX;
	int ret;

	ret = start_daemon(b, first_command(b));
	for (unsigned i = 0; i < b->cfg->compare.n && !ret; i++)
		ret = start_daemon(b, b->cfg->compare.v[i]);
	for (unsigned i = 0; i < b->n && !ret; i++)
		chunk = MIN(chunk, b->session[i].chunk);
	for (unsigned i = 0; i < b->n && !ret; i++)
		b->session[i].chunk = chunk; /* the same for all */
	if (!ret)
		pin(b);
	return ret;
}

static int measure_dax(struct bench *b)
{
	int sock = start_process(b, first_command(b));

	if (sock < 0)
		return sock;
	pin(b);
	return bench_dax_run(&b->dax, sock, b->daemon[0].dir);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void clean_up(struct bench *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		bench_session_close(&b->session[i]);
		bench_daemon_stop(&b->daemon[i]);
	}
	nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* "1,16,64". Returns how many, or 0 if the list or a number is none. */
static unsigned parse_numbers(const char *text, unsigned *v, unsigned max)
{
	unsigned n = 0;

	for (;;) {
		char *end;
		unsigned long x = strtoul(text, &end, 10);

		if (end == text || !x || x > max || n == NUMBERS_MAX)
			return 0;
		v[n++] = (unsigned)x;
		if (!*end)
			return n;
		if (*end != ',')
			return 0;
		text = end + 1;
	}
}

static const char *check_dax(struct bench *b, const struct cfg *cfg)
{
	if (cfg->compare.n || cfg->workloads.n || cfg->syscalls)
		return "--dax goes without --compare, --workload and --syscalls";
	b->dax = (struct bench_dax_cfg){ .size = cfg->dax_size,
					 .range = cfg->dax_range,
					 .rounds = cfg->rounds,
					 .depth = b->depth,
					 .n_depths = b->n_depths,
					 .json = cfg->json };
	return bench_dax_check(&b->dax);
}

static const char *check(struct bench *b, const struct cfg *cfg)
{
	for (unsigned i = 0; i < cfg->workloads.n; i++) {
		if (!bench_workload_find(cfg->workloads.v[i]))
			return "there is no such workload";
	}
	if (cfg->compare.n >= BENCH_DAEMONS_MAX)
		return "there is room for 5 daemons";
	if (strcmp(cfg->pin, "apart") != 0 && strcmp(cfg->pin, "together") != 0 &&
	    strcmp(cfg->pin, "no") != 0)
		return "--pin is apart, together or no";
	if (!cfg->rounds || cfg->rounds > BENCH_ROUNDS_MAX || !cfg->time_ms)
		return "give 1 to 32 rounds, and a time";
	b->n_depths = parse_numbers(cfg->depths, b->depth, BENCH_DEPTH_MAX);
	b->n_queues = parse_numbers(cfg->queues, b->queues, BENCH_QUEUES_MAX);
	if (!b->n_depths || !b->n_queues)
		return "depths are 1 to 64, queues 1 to 4";
	for (unsigned i = 0; i < b->n_queues; i++)
		b->queues_max = MAX(b->queues_max, b->queues[i]);
	return cfg->dax ? check_dax(b, cfg) : NULL;
}

static int run(struct bench *b)
{
	int ret;

	snprintf(b->folder, sizeof(b->folder), "%s/vdax-bench-XXXXXX",
		 b->cfg->dir ? b->cfg->dir : "/tmp");
	if (!mkdtemp(b->folder)) {
		log_err("bench fs", "%s: %s", b->folder, strerror(errno));
		return -errno;
	}
	if (b->cfg->syscalls)
		bench_syscalls_init(&b->syscalls, &b->report.how);
	b->report.rounds = b->cfg->rounds;
	b->report.time_ms = b->cfg->time_ms;
	ret = b->cfg->dax ? measure_dax(b) : start_all(b);
	if (!ret && !b->cfg->dax)
		ret = measure(b);
	clean_up(b);
	return ret;
}

int cmd_bench_fs(int argc, char **argv)
{
	static struct bench b;
	static struct cfg cfg = { .rounds = 3,
				  .time_ms = 300,
				  .depths = "1,16,64",
				  .queues = "1",
				  .pin = "apart",
				  .dax_size = GIB(1),
				  .dax_range = MIB(2) };
	int i = options_parse(&bench_fs_command, argc, argv, &cfg);
	const char *wrong;

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	b.cfg = &cfg;
	wrong = argc != i ? "there are no arguments" : check(&b, &cfg);
	if (wrong) {
		fprintf(stderr, "vdax bench fs: %s; see: vdax bench fs --help\n", wrong);
		return EXIT_USAGE;
	}
	return run(&b) ? EXIT_FAILED : EXIT_OK;
}
