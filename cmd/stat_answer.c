/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/stat_answer.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

/* Reads up to max decimal numbers, a space between any two. How many, or -EPROTO. */
static int parse_numbers(const char *text, uint64_t *out, unsigned max)
{
	unsigned n = 0;

	for (;;) {
		char *end;

		if (n == max || *text < '0' || *text > '9')
			return -EPROTO;
		errno = 0;
		out[n++] = strtoull(text, &end, 10);
		if (errno)
			return -EPROTO;
		if (!*end)
			return (int)n;
		if (*end != ' ')
			return -EPROTO;
		text = end + 1;
	}
}

static struct stat_op *op_of(struct stat_answer *a, const char *name)
{
	for (unsigned i = 0; i < a->n_ops; i++)
		if (!strcmp(a->op[i].name, name))
			return &a->op[i];
	if (a->n_ops == STAT_OPS_MAX)
		return NULL;
	a->op[a->n_ops].name = name;
	return &a->op[a->n_ops++];
}

static const struct {
	const char *key;
	size_t offset;
	unsigned max; /* numbers */
} op_keys[] = {
	{ "requests", offsetof(struct stat_op, requests), 1 },
	{ "errors", offsetof(struct stat_op, errors), 1 },
	{ "latency_sum_ns", offsetof(struct stat_op, latency_sum_ns), 1 },
	{ "latency", offsetof(struct stat_op, latency), STAT_BUCKETS_MAX },
};

/* Is it about an opcode? 1 if so, 0, or -EPROTO. */
static int parse_op(struct stat_answer *a, const struct stat_line *l)
{
	struct stat_op *op;
	int ret;

	for (size_t i = 0; l->label && i < ARRAY_SIZE(op_keys); i++) {
		if (strcmp(l->key, op_keys[i].key) != 0)
			continue;
		op = op_of(a, l->label);
		if (!op)
			return -EPROTO;
		ret = parse_numbers(l->value, (uint64_t *)(void *)((char *)op + op_keys[i].offset),
				    op_keys[i].max);
		return ret < 0 ? ret : 1;
	}
	return 0;
}

/* One bucket has no bound, so there is one bound less. Each is above the one before. */
static int parse_bounds(struct stat_answer *a, const char *value)
{
	int n = parse_numbers(value, a->bound_ns, STAT_BUCKETS_MAX - 1);

	for (int i = 1; i < n; i++)
		if (a->bound_ns[i] <= a->bound_ns[i - 1])
			return -EPROTO;
	a->n_bounds = n < 0 ? 0 : (unsigned)n;
	return n < 0 ? n : 0;
}

static int parse_line(struct stat_answer *a, char *text)
{
	struct stat_line l = { .key = text };
	char *value = strchr(text, ' '), *dot;
	int ret;

	if (!value || value == text)
		return -EPROTO;
	*value++ = '\0';
	dot = strchr(text, '.');
	if (dot)
		*dot++ = '\0';
	l.label = dot;
	l.value = value;
	if (!strcmp(l.key, "latency_bounds_ns"))
		return parse_bounds(a, value);
	ret = parse_op(a, &l);
	if (ret)
		return ret < 0 ? ret : 0;
	if (!strcmp(l.key, "time_ns"))
		return parse_numbers(value, &a->time_ns, 1) < 0 ? -EPROTO : 0;
	if (a->n_lines == STAT_LINES_MAX)
		return -EPROTO;
	a->line[a->n_lines++] = l;
	return 0;
}

/* Is there nothing in a bucket that has no bounds? */
static bool buckets_fit(const struct stat_answer *a)
{
	for (unsigned i = 0; i < a->n_ops; i++)
		for (unsigned b = a->n_bounds + 1; b < STAT_BUCKETS_MAX; b++)
			if (a->op[i].latency[b])
				return false;
	return true;
}

int stat_answer_parse(struct stat_answer *a, char *text)
{
	char *line = text;
	int ret = 0;

	*a = (struct stat_answer){ .text = text };
	while (!ret && *line) {
		char *end = strchr(line, '\n');

		if (!end) /* the rest is missing */
			return -EPROTO;
		*end = '\0';
		ret = parse_line(a, line);
		line = end + 1;
	}
	if (!ret && !buckets_fit(a))
		ret = -EPROTO;
	return ret;
}

void stat_answer_free(struct stat_answer *a)
{
	free(a->text);
	a->text = NULL;
}

const char *stat_answer_find(const struct stat_answer *a, const char *key)
{
	for (unsigned i = 0; i < a->n_lines; i++)
		if (!a->line[i].label && !strcmp(a->line[i].key, key))
			return a->line[i].value;
	return NULL;
}
