/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time is cut into slices. With a comparison, slices of flushing and slices of bare
 * syncs alternate, so that whatever else the host does hits both. At the end of a slice
 * all jobs finish what they have begun, and the slice ends with the last of them: no flush
 * is counted that did not end, and no time is left out.
 */
#include "cmd/bench_pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/macros.h"
#include "cmd/bench_bare.h"
#include "front/guest.h"
#include "front/queue.h"
#include "host/fd.h"
#include "host/log.h"
#include "wire/pmem.h"

#define PAGE 4096u

#define SLICE_NS       100000000u
#define WARM_UP_NS     200000000u
#define MAX_JOBS       16384u
#define POLL_MS	       10000 /* nothing at all for so long is a failure */
#define SYNCS_NOT_TOLD (-1)

struct bench;

struct job {
	struct vdax_flush flush;
	struct bench *b;
	uint64_t off;	/* of its page in the window */
	uint64_t began; /* ns */
	uint64_t value; /* what it stores next */
};

struct bench {
	const struct bench_pmem_opts *opts;
	struct front *f;
	struct front_pmem g;
	struct job *jobs;
	unsigned busy;	/* jobs that wait for a flush */
	uint64_t until; /* ns; no flush begins after this */
	int error;	/* the first submission that failed */
	struct bench_side *side;

	int64_t syncs_before;

	struct bare bare; /* syncs the image through the front end's own descriptor */
};

/* Store and flush. */
static void job_begin(struct job *j)
{
	struct bench *b = j->b;
	int ret;

	j->began = clock_ns();
	j->value++;
	vdax_window_write(&b->g.window, j->off, &j->value, sizeof(j->value));
	ret = vdax_pmem_submit(&b->g.pm, &j->flush);
	if (ret)
		b->error = b->error ? b->error : ret;
	else
		b->busy++;
}

static void job_done(struct vdax_flush *flush, int ret)
{
	struct job *j = container_of(flush, struct job, flush);
	struct bench *b = j->b;
	uint64_t now = clock_ns();

	b->busy--;
	if (ret) {
		b->side->errors++;
		return; /* it does not go on */
	}
	latency_add(&b->side->latency, now - j->began);
	if (now < b->until)
		job_begin(j);
}

static int flush_slice(struct bench *b, uint64_t ns, struct bench_side *side)
{
	uint64_t began = clock_ns();
	int ret = 0;

	b->side = side;
	b->until = began + ns;
	for (uint32_t i = 0; i < b->opts->jobs; i++)
		job_begin(&b->jobs[i]);
	while (b->busy && ret >= 0)
		ret = front_pmem_poll(&b->g, POLL_MS);
	side->seconds += (double)(clock_ns() - began) / NS_PER_S;
	if (!b->error && !side->errors)
		return 0;
	log_err(b->opts->socket_path, "flushes failed: %s", strerror(b->error ? -b->error : EIO));
	return -EIO;
}

/* One caller, without vdax: store and sync. */
static int bare_slice(struct bench *b, uint64_t ns, struct bench_side *side,
		      int (*sync)(struct bare *bare))
{
	uint64_t began = clock_ns(), now = began;

	while (now - began < ns) {
		struct job *j = &b->jobs[0];
		uint64_t start = now;
		int ret;

		j->value++;
		vdax_window_write(&b->g.window, j->off, &j->value, sizeof(j->value));
		ret = sync(&b->bare);
		if (ret) {
			log_err(b->opts->socket_path, "fdatasync: %s", strerror(-ret));
			return ret;
		}
		now = clock_ns();
		latency_add(&side->latency, now - start);
	}
	side->seconds += (double)(now - began) / NS_PER_S;
	return 0;
}

/* The daemon's number of syncs, or SYNCS_NOT_TOLD. */
static int64_t read_syncs(const char *path)
{
	int64_t syncs = SYNCS_NOT_TOLD;
	char line[4096];
	int fd = front_sock_connect(path);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");

	if (!in) {
		log_warn(path, "no control socket: host syncs are not counted");
		fd_close(&fd);
		return SYNCS_NOT_TOLD;
	}
	while (fgets(line, sizeof(line), in))
		sscanf(line, "syncs %" SCNd64, &syncs);
	fclose(in);
	return syncs;
}

static int connect_device(struct bench *b)
{
	const struct front_opts fo = { .fd = -1,
				       .socket_path = b->opts->socket_path,
				       .ram_size = MIB(64) };
	struct front_pmem_opts po = { .separate = !b->opts->coalesce,
				      .timeout_ns = 60u * (uint64_t)NS_PER_S };
	int ret;

	/* Two entries for each flush, where the device does not take indirect ones. */
	po.queue_size = (unsigned)pow2_up(MAX(2u * b->opts->jobs, 128u));
	ret = front_open(&b->f, &fo);
	if (!ret)
		ret = front_pmem_init(&b->g, b->f, &po);
	if (!ret)
		ret = front_start(b->f);
	if (!ret)
		ret = vdax_pmem_probe(&b->g.pm); /* the mapping is there after this */
	if (ret)
		log_err(b->opts->socket_path, "cannot use this device: %s", strerror(-ret));
	return ret;
}

static int make_jobs(struct bench *b)
{
	uint32_t n = b->opts->jobs;

	if (n > b->g.pm.region.len / PAGE) {
		log_err(b->opts->socket_path, "the image has no page for each of %" PRIu32 " jobs",
			n);
		return -EINVAL;
	}
	b->jobs = calloc(n, sizeof(*b->jobs));
	if (!b->jobs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		b->jobs[i] = (struct job){ .flush.done = job_done,
					   .b = b,
					   .off = (uint64_t)i * PAGE };
	return 0;
}

/* All slices: first some that do not count, in which pages are touched and code is warm. */
static int run_slices(struct bench *b, struct bench_pmem_result *r)
{
	static struct bench_side warm_up;
	uint64_t left = (uint64_t)(b->opts->seconds * NS_PER_S);
	int ret;

	ret = flush_slice(b, WARM_UP_NS, &warm_up);
	if (!ret && b->opts->bare)
		ret = bare_slice(b, WARM_UP_NS, &warm_up, bare_sync);
	r->requests = b->g.pm.stats.sent;
	r->kicks = b->f->q[0].kicks;
	r->calls = b->f->q[0].calls;
	if (!ret && b->opts->control_path)
		b->syncs_before = read_syncs(b->opts->control_path);
	while (!ret && left) {
		uint64_t ns = b->opts->bare ? MIN(left, (uint64_t)SLICE_NS) : left;

		left -= ns;
		ret = flush_slice(b, ns, &r->vdax);
		if (!ret && b->opts->bare)
			ret = bare_slice(b, ns, &r->bare, bare_sync);
		if (!ret && b->opts->bare)
			ret = bare_slice(b, ns, &r->handed, bare_sync_handed);
	}
	return ret;
}

static void count(struct bench *b, struct bench_pmem_result *r)
{
	int64_t after = SYNCS_NOT_TOLD;

	r->requests = b->g.pm.stats.sent - r->requests;
	r->kicks = b->f->q[0].kicks - r->kicks;
	r->calls = b->f->q[0].calls - r->calls;
	if (b->syncs_before != SYNCS_NOT_TOLD)
		after = read_syncs(b->opts->control_path);
	r->has_syncs = after != SYNCS_NOT_TOLD;
	r->syncs = r->has_syncs ? (uint64_t)(after - b->syncs_before) : 0;
}

int bench_pmem_run(const struct bench_pmem_opts *opts, struct bench_pmem_result *result)
{
	struct bench b = { .opts = opts,
			   .bare = { .go = -1, .done = -1 },
			   .syncs_before = SYNCS_NOT_TOLD };
	const struct front_mapping *image = NULL;
	int ret;

	memset(result, 0, sizeof(*result));
	ret = connect_device(&b);
	if (!ret)
		ret = make_jobs(&b);
	if (!ret)
		image = front_maps_from(&b.f->maps, 0);
	if (!ret && opts->bare)
		ret = image ? bare_init(&b.bare, image->fd) : -EIO;
	if (!ret)
		ret = run_slices(&b, result);
	if (!ret)
		count(&b, result);

	bare_fini(&b.bare);
	if (b.f && b.f->running)
		front_stop(b.f);
	front_close(b.f);
	front_pmem_fini(&b.g);
	free(b.jobs);
	return ret;
}

/* --- the command --- */

struct cfg {
	const char *socket_path;
	const char *control;
	bool bare;
	uint32_t jobs;
	uint32_t seconds;
	bool separate;
	bool json;
};

#define AT(field) offsetof(struct cfg, field)

static const struct option_def options[] = {
	{ "socket-path", "PATH", OPTION_STRING, AT(socket_path), "where vdax pmem listens" },
	{ "jobs", "N", OPTION_U32, AT(jobs), "flushes that are under way at once (default: 1)" },
	{ "seconds", "N", OPTION_U32, AT(seconds), "how long (default: 5)" },
	{ "no-coalesce", NULL, OPTION_FLAG, AT(separate),
	  "the driver sends each flush by itself; only the daemon merges" },
	{ "control", "PATH", OPTION_STRING, AT(control),
	  "the daemon's control socket (default: the socket path and .ctl)" },
	{ "bare", NULL, OPTION_FLAG, AT(bare),
	  "compare with bare syncs of the same image; alternates" },
	{ "json", NULL, OPTION_FLAG, AT(json), "print a JSON object" },
};

const struct command bench_pmem_command = {
	.name = "bench pmem",
	.args = "--socket-path PATH [OPTION]...",
	.summary = "Measure the flushes of a running vdax pmem. Overwrites the image.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.epilogue = "Each job stores 8 bytes to its own page at the beginning of the image, "
		    "flushes, and\nstarts again when the flush is done. Latency counts from "
		    "before the store. --bare is\nalways one caller at a time: compare it with "
		    "--jobs 1.",
};

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static const struct {
	const char *name;
	double part;
} columns[] = { { "p50_us", 0.5 }, { "p90_us", 0.9 }, { "p99_us", 0.99 } };

static void print_side(const char *name, const struct bench_side *s)
{
	printf("%-6s %12.1f", name, (double)s->latency.n / s->seconds);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf(" %10.1f", us(latency_at(&s->latency, columns[i].part)));
	printf(" %10.1f %10" PRIu64 "\n", us(s->latency.max), s->latency.n);
}

/* By how much the medians differ: what the way through the daemon costs, in us. */
static double added_us(const struct bench_pmem_result *r, const struct bench_side *to)
{
	return us(latency_at(&r->vdax.latency, 0.5)) - us(latency_at(&to->latency, 0.5));
}

static void print_table(const struct bench_pmem_result *r)
{
	printf("%-6s %12s", "", "flushes/s");
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf(" %10s", columns[i].name);
	printf(" %10s %10s\n", "max_us", "flushes");
	print_side("vdax", &r->vdax);
	if (r->bare.latency.n) {
		print_side("bare", &r->bare);
		print_side("handed", &r->handed);
		printf("median: %+.1f us to bare, %+.1f us to handed\n", added_us(r, &r->bare),
		       added_us(r, &r->handed));
	}
	printf("ring requests %" PRIu64 ", kicks %" PRIu64 ", calls %" PRIu64, r->requests,
	       r->kicks, r->calls);
	if (r->has_syncs)
		printf(", host syncs %" PRIu64 " (%.4f for each flush)", r->syncs,
		       (double)r->syncs / (double)r->vdax.latency.n);
	printf("\n");
}

static void print_side_json(const char *name, const struct bench_side *s)
{
	printf("  \"%s\": { \"flushes\": %" PRIu64 ", \"seconds\": %.3f, \"per_second\": %.1f",
	       name, s->latency.n, s->seconds, (double)s->latency.n / s->seconds);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf(", \"%s\": %.1f", columns[i].name,
		       us(latency_at(&s->latency, columns[i].part)));
	printf(", \"max_us\": %.1f },\n", us(s->latency.max));
}

static void print_json(const struct bench_pmem_opts *o, const struct bench_pmem_result *r)
{
	printf("{\n  \"jobs\": %" PRIu32 ",\n  \"coalesce\": %s,\n", o->jobs,
	       o->coalesce ? "true" : "false");
	print_side_json("vdax", &r->vdax);
	if (r->bare.latency.n) {
		print_side_json("bare", &r->bare);
		print_side_json("handed", &r->handed);
		printf("  \"added_p50_us\": %.1f,\n  \"added_to_handed_p50_us\": %.1f,\n",
		       added_us(r, &r->bare), added_us(r, &r->handed));
	}
	if (r->has_syncs)
		printf("  \"host_syncs\": %" PRIu64 ",\n  \"host_syncs_per_flush\": %.6f,\n",
		       r->syncs, (double)r->syncs / (double)r->vdax.latency.n);
	printf("  \"ring_requests\": %" PRIu64 ",\n  \"kicks\": %" PRIu64 ",\n  \"calls\": %" PRIu64
	       "\n}\n",
	       r->requests, r->kicks, r->calls);
}

int cmd_bench_pmem(int argc, char **argv)
{
	struct cfg cfg = { .jobs = 1, .seconds = 5 };
	int i = options_parse(&bench_pmem_command, argc, argv, &cfg);
	static struct bench_pmem_result result;
	struct bench_pmem_opts opts;
	char control[256];

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	if (argc != i || !cfg.socket_path || !cfg.jobs || cfg.jobs > MAX_JOBS || !cfg.seconds) {
		fprintf(stderr,
			"vdax bench pmem: give --socket-path, 1 to %u jobs and a time; see: "
			"vdax bench pmem --help\n",
			MAX_JOBS);
		return EXIT_USAGE;
	}
	snprintf(control, sizeof(control), "%s.ctl", cfg.socket_path);
	opts = (struct bench_pmem_opts){
		.socket_path = cfg.socket_path,
		.control_path = cfg.control ? cfg.control : control,
		.bare = cfg.bare,
		.jobs = cfg.jobs,
		.seconds = cfg.seconds,
		.coalesce = !cfg.separate,
	};
	if (bench_pmem_run(&opts, &result))
		return EXIT_FAILED;
	if (cfg.json)
		print_json(&opts, &result);
	else
		print_table(&result);
	return EXIT_OK;
}
