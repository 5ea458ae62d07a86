/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat_print.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/json.h"
#include "cmd/stat_picture.h"

/* Does line i belong to the same list as the one before? */
static bool goes_on(const struct stat_answer *a, unsigned i)
{
	return i && i < a->n_lines && a->line[i].label && a->line[i - 1].label &&
	       !strcmp(a->line[i].key, a->line[i - 1].key);
}

static bool is_window(const struct stat_line *l)
{
	return l->label && !strcmp(l->key, "window");
}

static void print_rate(FILE *f, const struct stat_rate *r)
{
	fprintf(f, "%-20s %11.1f %9.1f", r->name ? r->name : "all", r->requests_s, r->errors_s);
	for (unsigned p = 0; p < STAT_PARTS; p++)
		if (r->measured)
			fprintf(f, " %9.1f", r->ns[p] / 1000);
		else
			fprintf(f, " %9s", "-");
	fprintf(f, " %12" PRIu64 " %9" PRIu64 "\n", r->requests, r->errors);
}

static void print_lines(FILE *f, const struct stat_answer *a)
{
	for (unsigned i = 0; i < a->n_lines; i++) {
		const struct stat_line *l = &a->line[i];

		if (is_window(l)) /* has a table of its own */
			continue;
		if (goes_on(a, i))
			fprintf(f, " %s", l->value);
		else
			fprintf(f, "%s%-20s %s", i ? "\n" : "", l->key, l->value);
	}
	if (a->n_lines)
		fputc('\n', f);
}

static void print_rates(FILE *f, const struct stat_rates *rates)
{
	fprintf(f, "\n%-20s %11s %9s %9s %9s %9s %12s %9s\n", "opcode", "requests/s", "errors/s",
		"p50 us", "p99 us", "p99.9 us", "requests", "errors");
	for (unsigned i = 0; i < rates->n_ops; i++)
		print_rate(f, &rates->op[i]);
	print_rate(f, &rates->all);
}

static bool wants_colour(FILE *f)
{
	const char *off = getenv("NO_COLOR");

	return (!off || !*off) && isatty(fileno(f));
}

void stat_print_table(FILE *f, const struct stat_answer *a, const struct stat_rates *rates)
{
	struct stat_window w;

	print_lines(f, a);
	if (rates)
		print_rates(f, rates);
	if (!stat_window_of(&w, a))
		return;
	fputc('\n', f);
	stat_print_window(f, &w, rates, wants_colour(f));
}

static void json_rate(FILE *f, const struct stat_rate *r)
{
	static const char *const names[STAT_PARTS] = {
		[STAT_P50] = "p50_us",
		[STAT_P99] = "p99_us",
		[STAT_P999] = "p999_us",
	};

	fprintf(f, "{\"requests\": %" PRIu64 ", \"errors\": %" PRIu64, r->requests, r->errors);
	fprintf(f, ", \"requests_per_s\": %.3f, \"errors_per_s\": %.3f", r->requests_s,
		r->errors_s);
	fprintf(f, ", \"measured\": %" PRIu64, r->measured);
	for (unsigned p = 0; p < STAT_PARTS; p++)
		if (r->measured)
			fprintf(f, ", \"%s\": %.3f", names[p], r->ns[p] / 1000);
		else
			fprintf(f, ", \"%s\": null", names[p]);
	fputc('}', f);
}

/* Lines with labels become an object: "queue_depth": {"0": 0, "1": 3}. */
static void json_lines(FILE *f, const struct stat_answer *a)
{
	for (unsigned i = 0; i < a->n_lines; i++) {
		const struct stat_line *l = &a->line[i];

		if (!goes_on(a, i)) {
			fputs(i ? ",\n  " : "  ", f);
			if (l->label)
				json_key(f, l->key);
		}
		if (l->label) {
			fputs(goes_on(a, i) ? ", " : "{", f);
			json_member(f, l->label, l->value);
			if (!goes_on(a, i + 1))
				fputc('}', f);
		} else {
			json_member(f, l->key, l->value);
		}
	}
}

static void json_window(FILE *f, const struct stat_rates *rates)
{
	fputs(",\n  ", f);
	json_key(f, "window_per_s");
	for (unsigned i = 0; i < STAT_WINDOW_COUNTERS; i++) {
		fputs(i ? ", " : "{", f);
		json_key(f, stat_window_label(i));
		fprintf(f, "%.3f", rates->window_s[i]);
	}
	fputc('}', f);
}

void stat_print_json(FILE *f, const struct stat_answer *a, const struct stat_rates *rates)
{
	struct stat_window w;

	fputs("{\n", f);
	json_lines(f, a);
	if (rates) {
		fprintf(f, "%s  \"interval_s\": %.6f,\n  \"opcodes\": {", a->n_lines ? ",\n" : "",
			rates->seconds);
		for (unsigned i = 0; i < rates->n_ops; i++) {
			fputs(i ? ",\n    " : "\n    ", f);
			json_key(f, rates->op[i].name);
			json_rate(f, &rates->op[i]);
		}
		fputs("\n  },\n  \"all\": ", f);
		json_rate(f, &rates->all);
		if (stat_window_of(&w, a))
			json_window(f, rates);
	}
	fputs("\n}\n", f);
}
