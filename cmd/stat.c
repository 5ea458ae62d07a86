/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each question is one connection, answered at once with all that has been counted so far. Rates
 * and percentiles are the difference of two answers: the daemon keeps no time for us.
 */
#include "cmd/stat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/listen.h"
#include "cmd/stat_answer.h"
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
	uint64_t interval_ns;
};

#define AT(member) offsetof(struct stat_cfg, member)

static const struct option_def options[] = {
	{ "json", NULL, OPTION_FLAG, AT(json), "print a JSON object" },
	{ "prometheus", NULL, OPTION_FLAG, AT(prometheus),
	  "print what is counted as Prometheus reads it" },
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

static void print(const struct stat_cfg *cfg, const struct stat_answer *a,
		  const struct stat_rates *rates, unsigned round)
{
	if (cfg->watch && !cfg->json)
		fputs(isatty(STDOUT_FILENO) ? "\033[H\033[J" : round ? "\n" : "", stdout);
	if (cfg->prometheus)
		stat_print_prometheus(stdout, a);
	else if (cfg->json)
		stat_print_json(stdout, a, rates);
	else
		stat_print_table(stdout, a, rates);
	fflush(stdout);
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
		print(cfg, &answers[0], NULL, 0);
	for (unsigned n = 1; !ret && (cfg->watch || (has_rates && n == 1)); n++) {
		struct stat_answer *before = &answers[!(n % 2)], *now = &answers[n % 2];

		ret = ask_after(path, cfg->interval_ns, now);
		if (!ret && has_rates)
			stat_rates_of(&rates, before, now);
		if (!ret)
			print(cfg, now, has_rates ? &rates : NULL, has_rates ? n - 1 : n);
		stat_answer_free(before);
	}
	stat_answer_free(&answers[0]);
	stat_answer_free(&answers[1]);
	return ret;
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
	if (cfg.interval_ns < INTERVAL_MIN_NS)
		return usage_error("--interval wants at least 0.01 seconds");
	ret = show(&cfg, argv[i]);
	if (ret)
		log_err(argv[i], "%s",
			ret == -ENODATA	 ? "no answer"
			: ret == -EPROTO ? "this is not the answer of a vdax daemon"
					 : strerror(-ret));
	return ret ? EXIT_FAILED : EXIT_OK;
}
