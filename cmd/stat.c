/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each question is one connection, answered at once with all that has been counted so far. Rates
 * and percentiles are the difference of two answers: the daemon keeps no time for us.
 */
#include "cmd/stat.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/listen.h"
#include "cmd/stat_answer.h"
#include "cmd/stat_picture.h"
#include "cmd/stat_print.h"
#include "cmd/stat_rate.h"
#include "host/fd.h"
#include "host/log.h"

/* A daemon measures latencies for five seconds after a question: we ask in time. */
#define ASK_AGAIN_NS	(2ull * NS_PER_S)
#define INTERVAL_MIN_NS (NS_PER_S / 100)

struct stat_cfg {
	bool json;
	bool prometheus;
	bool watch;
	const char *svg; /* file, or NULL */
	uint64_t interval_ns;
};

#define AT(member) offsetof(struct stat_cfg, member)

static const struct option_def options[] = {
	{ "json", NULL, OPTION_FLAG, AT(json), "print a JSON object" },
	{ "prometheus", NULL, OPTION_FLAG, AT(prometheus),
	  "print what is counted as Prometheus reads it" },
	{ "svg", "FILE", OPTION_STRING, AT(svg),
	  "draw the DAX window of a file system, and print nothing" },
	{ "interval", "SECONDS", OPTION_SECONDS, AT(interval_ns),
	  "between two questions, for rates and latencies (default: 1)" },
	{ "watch", NULL, OPTION_FLAG, AT(watch), "go on until interrupted" },
};

const struct command stat_command = {
	.name = "stat",
	.args = "[OPTION]... CONTROL-SOCKET",
	.summary = "Show what a running daemon does.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
};

/* All that comes from fd, as a string. NULL and errno. */
static char *read_all(int fd)
{
	size_t used = 0;
	char *buf = malloc(STAT_ANSWER_MAX + 1);

	while (buf) {
		ssize_t n = used < STAT_ANSWER_MAX ? read(fd, buf + used, STAT_ANSWER_MAX - used)
						   : -1;

		if (!n)
			break;
		if (n < 0) {
			int err = used < STAT_ANSWER_MAX ? errno : EPROTO;

			free(buf);
			errno = err;
			return NULL;
		}
		used += (size_t)n;
	}
	if (buf)
		buf[used] = '\0';
	return buf;
}

/* One question. The caller frees the answer in every case. 0 or -errno. */
static int ask(const char *path, struct stat_answer *a)
{
	int fd = connect_unix(path), ret;
	char *text;

	a->text = NULL;
	if (fd < 0)
		return fd;
	/* a daemon that hangs shall not hang us */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 5 },
		   sizeof(struct timeval));
	text = read_all(fd);
	ret = text ? stat_answer_parse(a, text) : errno == EAGAIN ? -ENODATA : -errno;
	fd_close(&fd);
	if (!ret && !a->n_lines)
		ret = -ENODATA;
	return ret;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	nanosleep(&t, NULL);
}

/* Waits for the interval, then asks; and asks in between so that the daemon goes on measuring. */
static int ask_after(const char *path, uint64_t interval_ns, struct stat_answer *a)
{
	uint64_t end = clock_ns() + interval_ns;
	int ret;

	for (;;) {
		uint64_t now = clock_ns();
		bool last = end <= now + ASK_AGAIN_NS;

		if (end > now)
			sleep_ns(last ? end - now : ASK_AGAIN_NS);
		ret = ask(path, a);
		if (ret || last)
			return ret;
		stat_answer_free(a);
	}
}

/* A regular file is replaced as a whole, anything else is written to. NULL and errno. */
static FILE *open_svg(const char *path, char *temporary, size_t len)
{
	struct stat st;

	*temporary = '\0';
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return fopen(path, "we");
	if ((size_t)snprintf(temporary, len, "%s.new", path) >= len) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(temporary, "we");
}

/* 0 or -errno. */
static int write_svg(const char *path, const struct stat_window *w, const struct stat_answer *a,
		     const struct stat_rates *rates)
{
	char temporary[PATH_MAX];
	FILE *f = open_svg(path, temporary, sizeof(temporary));
	int ret = 0;

	if (!f)
		return -errno;
	stat_print_svg(f, w, a, rates);
	if (fflush(f) || ferror(f))
		ret = errno ? -errno : -EIO;
	if (fclose(f) && !ret)
		ret = -errno;
	if (!ret && *temporary && rename(temporary, path) < 0)
		ret = -errno;
	if (ret && *temporary)
		unlink(temporary);
	return ret;
}

/* 0, -ENXIO if there is no window, or -ECANCELED after a message. */
static int draw(const char *path, const struct stat_answer *a, const struct stat_rates *rates)
{
	struct stat_window w;
	int ret;

	if (!stat_window_of(&w, a))
		return -ENXIO;
	ret = write_svg(path, &w, a, rates);
	if (!ret)
		return 0;
	log_err(path, "cannot be written: %s", strerror(-ret));
	return -ECANCELED;
}

/* 0, or what draw() says. */
static int print(const struct stat_cfg *cfg, const struct stat_answer *a,
		 const struct stat_rates *rates, unsigned round)
{
	if (cfg->svg)
		return draw(cfg->svg, a, rates);
	if (cfg->watch && !cfg->json)
		fputs(isatty(STDOUT_FILENO) ? "\033[H\033[J" : round ? "\n" : "", stdout);
	if (cfg->prometheus)
		stat_print_prometheus(stdout, a);
	else if (cfg->json)
		stat_print_json(stdout, a, rates);
	else
		stat_print_table(stdout, a, rates);
	fflush(stdout);
	return 0;
}

/* Asks and prints, once or until it fails. 0 or -errno. */
static int show(const struct stat_cfg *cfg, const char *path)
{
	static struct stat_answer answers[2];
	static struct stat_rates rates;
	bool has_rates;
	int ret = ask(path, &answers[0]);

	has_rates = !ret && answers[0].time_ns && !cfg->prometheus;
	if (!ret && !has_rates)
		ret = print(cfg, &answers[0], NULL, 0);
	for (unsigned n = 1; !ret && (cfg->watch || (has_rates && n == 1)); n++) {
		struct stat_answer *before = &answers[!(n % 2)], *now = &answers[n % 2];

		ret = ask_after(path, cfg->interval_ns, now);
		if (!ret && has_rates)
			stat_rates_of(&rates, before, now);
		if (!ret)
			ret = print(cfg, now, has_rates ? &rates : NULL, has_rates ? n - 1 : n);
		stat_answer_free(before);
	}
	stat_answer_free(&answers[0]);
	stat_answer_free(&answers[1]);
	return ret;
}

static const char *what_failed(int ret)
{
	switch (ret) {
	case -ENODATA:
		return "no answer";
	case -EPROTO:
		return "this is not the answer of a vdax daemon";
	case -ENXIO:
		return "there is no DAX window to draw";
	default:
		return strerror(-ret);
	}
}

static int usage_error(const char *what)
{
	fprintf(stderr, "vdax stat: %s; see: vdax stat --help\n", what);
	return EXIT_USAGE;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_cfg cfg = { .interval_ns = NS_PER_S };
	int i = options_parse(&stat_command, argc, argv, &cfg);
	int ret;

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	if (argc - i != 1)
		return usage_error("give one control socket");
	if (cfg.prometheus && (cfg.json || cfg.watch))
		return usage_error("--prometheus is one answer, without --json and --watch");
	if (cfg.svg && (cfg.json || cfg.prometheus))
		return usage_error("--svg is instead of --json and --prometheus");
	if (cfg.interval_ns < INTERVAL_MIN_NS)
		return usage_error("--interval wants at least 0.01 seconds");
	ret = show(&cfg, argv[i]);
	if (ret && ret != -ECANCELED)
		log_err(argv[i], "%s", what_failed(ret));
	return ret ? EXIT_FAILED : EXIT_OK;
}
