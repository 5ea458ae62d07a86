/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/idmap.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "base/range.h"

#define TO_HOST	   1u
#define TO_GUEST   2u
#define FIELDS_MAX 3u

static const struct rule_type {
	const char *name;
	unsigned directions;
	unsigned fields; /* numbers behind the name */
	enum idmap_kind kind;
} types[] = {
	{ "guest", TO_HOST, 3, IDMAP_SHIFT },	       { "host", TO_GUEST, 3, IDMAP_SHIFT },
	{ "map", TO_HOST | TO_GUEST, 3, IDMAP_SHIFT }, { "squash-guest", TO_HOST, 3, IDMAP_SQUASH },
	{ "squash-host", TO_GUEST, 3, IDMAP_SQUASH },  { "forbid-guest", TO_HOST, 2, IDMAP_FORBID },
};

struct parser {
	const char *text; /* of the rule that is parsed */
	char *err;
	size_t errlen;
};

static int fail(const struct parser *p, const char *why)
{
	snprintf(p->err, p->errlen, "'%s': %s", p->text, why);
	return -EINVAL;
}

/* Takes a decimal number without sign from *at. */
static int take_number(const struct parser *p, const char **at, uint32_t *value)
{
	uint64_t v = 0;
	const char *s = *at;

	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (unsigned)(*s - '0');
		if (v > UINT32_MAX)
			return fail(p, "a number is over 4294967295");
	}
	if (s == *at)
		return fail(p, "a number is missing");
	*at = s;
	*value = (uint32_t)v;
	return 0;
}

/* Takes want numbers, each behind a separator, up to the end of the text. */
static int take_numbers(const struct parser *p, const char *at, uint32_t *v, unsigned want)
{
	char sep = *at;
	int ret;

	for (unsigned i = 0; i < want; i++) {
		if (!*at || *at != sep)
			return fail(p, *at ? "not a number" : "a number is missing");
		at++;
		ret = take_number(p, &at, &v[i]);
		if (ret < 0)
			return ret;
	}
	if (!*at)
		return 0;
	return fail(p, *at == sep ? "too many numbers" : "not a number");
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static int parse_text(const struct parser *p, const struct rule_type **type, uint32_t *v)
{
	size_t len = 0;

	while (is_name(p->text[len]))
		len++;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strlen(types[i].name) == len && !strncasecmp(types[i].name, p->text, len)) {
			*type = &types[i];
			return take_numbers(p, p->text + len, v, types[i].fields);
		}
	}
	return fail(p, "the type is none of guest, host, map, squash-guest, squash-host, "
		       "forbid-guest");
}

/* The first range that ends at id or behind it: the place of id, and its range if it has one. */
static unsigned lower_bound(const struct idmap_table *t, uint32_t id)
{
	unsigned lo = 0, hi = t->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (t->r[mid].last < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Adds count ids from first on; to is 0 if they are forbidden. Neither sum can wrap. */
static int add_range(const struct parser *p, struct idmap_table *t, enum idmap_kind kind,
		     uint32_t first, uint32_t to, uint32_t count)
{
	unsigned at = lower_bound(t, first);

	if (!range_ok(first, count, ID_NONE) ||
	    !range_ok(to, kind == IDMAP_SHIFT ? count : 1, ID_NONE))
		return fail(p, "an id is over 4294967294");
	if (!count)
		return 0;
	if (at < t->n && t->r[at].first < first + count)
		return fail(p, "overlaps another rule");
	if (t->n == IDMAP_RANGES_MAX) {
		fail(p, "too many rules");
		return -E2BIG;
	}
	memmove(&t->r[at + 1], &t->r[at], (t->n - at) * sizeof(t->r[0]));
	t->r[at] = (struct idmap_range){ first, first + count - 1, to, kind };
	t->n++;
	return 0;
}

static int parse_rule(const struct parser *p, struct idmap *m)
{
	const struct rule_type *type;
	uint32_t v[FIELDS_MAX] = { 0 };
	uint32_t from, to, count;
	int ret = parse_text(p, &type, v);

	if (ret < 0)
		return ret;
	from = v[0];
	to = type->fields == 3 ? v[1] : 0;
	count = v[type->fields - 1];
	if (type->directions == TO_GUEST)
		return add_range(p, &m->to_guest, type->kind, from, to, count);
	ret = add_range(p, &m->to_host, type->kind, from, to, count);
	if (ret == 0 && type->directions & TO_GUEST)
		ret = add_range(p, &m->to_guest, type->kind, to, from, count);
	return ret;
}

int idmap_parse(struct idmap *m, const char *const *texts, unsigned n, char *err, size_t errlen)
{
	struct parser p = { .err = err, .errlen = errlen };
	int ret = 0;

	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; ret == 0 && i < n; i++) {
		p.text = texts[i];
		ret = parse_rule(&p, m);
	}
	if (ret < 0)
		memset(m, 0, sizeof(*m));
	return ret;
}

static const struct idmap_range *find(const struct idmap_table *t, uint32_t id)
{
	unsigned at = lower_bound(t, id);

	return at < t->n && t->r[at].first <= id ? &t->r[at] : NULL;
}

static uint32_t apply(const struct idmap_range *r, uint32_t id)
{
	return r->kind == IDMAP_SHIFT ? r->to + (id - r->first) : r->to;
}

int idmap_to_host(const struct idmap *m, uint32_t guest, uint32_t *host)
{
	const struct idmap_range *r = m ? find(&m->to_host, guest) : NULL;

	if (r && r->kind == IDMAP_FORBID)
		return -EPERM;
	*host = r ? apply(r, guest) : guest;
	return 0;
}

uint32_t idmap_to_guest(const struct idmap *m, uint32_t host)
{
	const struct idmap_range *r = m ? find(&m->to_guest, host) : NULL;

	return r ? apply(r, host) : host;
}
