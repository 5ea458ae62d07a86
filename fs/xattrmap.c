/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/xattrmap.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define CLIENT 1u /* names that the guest asks for */
#define SERVER 2u /* names that the host lists */

/* A piece of the text that is parsed. */
struct field {
	const char *at;
	size_t len;
};

struct parser {
	struct xattrmap *m;
	const char *at; /* what is not parsed yet */
	unsigned rule;	/* that is being parsed, as written: from 1 */
	char *err;
	size_t errlen;
};

/* map is no type of a rule that is in force: it becomes others. */
#define TYPE_MAP (-1)

static const struct word {
	const char *text;
	int value;
} types[] = {
	{ "prefix", XATTRMAP_PREFIX },
	{ "ok", XATTRMAP_OK },
	{ "bad", XATTRMAP_BAD },
	{ "unsupported", XATTRMAP_UNSUPPORTED },
	{ "map", TYPE_MAP },
}, scopes[] = {
	{ "client", CLIENT },
	{ "server", SERVER },
	{ "all", CLIENT | SERVER },
};

/* The same in every locale. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int fail(const struct parser *p, const char *why)
{
	snprintf(p->err, p->errlen, "rule %u: %s", p->rule, why);
	return -EINVAL;
}

/* Takes the text up to the next sep, which has to be there. */
static int take_field(struct parser *p, char sep, struct field *f)
{
	const char *end = strchr(p->at, sep);

	if (!end)
		return fail(p, "a field is missing, or the separator at the end");
	*f = (struct field){ p->at, (size_t)(end - p->at) };
	p->at = end + 1;
	return 0;
}

/* Takes a field that is one of n words. */
static int take_word(struct parser *p, char sep, const struct word *words, size_t n,
		     const char *why, int *value)
{
	struct field f;
	int ret = take_field(p, sep, &f);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i].text) == f.len && !memcmp(words[i].text, f.at, f.len)) {
			*value = words[i].value;
			return 0;
		}
	}
	return fail(p, why);
}

/* Takes a field that is the beginning of names. */
static int take_name(struct parser *p, char sep, struct field *f)
{
	int ret = take_field(p, sep, f);

	if (ret < 0)
		return ret;
	return f->len > XATTR_NAME_MAX ? fail(p, "longer than a name can be") : 0;
}

static int add_rule(struct parser *p, enum xattrmap_type type, unsigned in, struct field key,
		    struct field prepend)
{
	struct xattrmap *m = p->m;

	if (m->n == XATTRMAP_RULES_MAX) {
		fail(p, "too many rules");
		return -E2BIG;
	}
	m->rules[m->n++] = (struct xattrmap_rule){
		.type = type,
		.scopes = in,
		.key = key.at,
		.prepend = prepend.at,
		.key_len = key.len,
		.prepend_len = prepend.len,
	};
	return 0;
}

/* The rules that ":map:key:prepend:" stands for. */
static int add_map(struct parser *p, struct field key, struct field prepend)
{
	const struct field any = { "", 0 };
	int ret = add_rule(p, XATTRMAP_PREFIX, CLIENT | SERVER, key, prepend);

	/*
	 * Of the host's own names, those that would look like mapped ones are hidden; and the
	 * guest must not get at the mapped ones under the name that they have on the host.
	 */
	if (ret == 0 && key.len)
		ret = add_rule(p, XATTRMAP_BAD, CLIENT | SERVER, prepend, key);
	if (ret == 0)
		ret = add_rule(p, key.len ? XATTRMAP_OK : XATTRMAP_BAD, CLIENT | SERVER, any, any);
	return ret;
}

static void skip_spaces(struct parser *p)
{
	while (is_space(*p->at))
		p->at++;
}

/* Parses the rule that begins at p->at, where there is no space. */
static int parse_rule(struct parser *p)
{
	struct field key = { 0 }, prepend = { 0 };
	int type = 0, in = 0, ret;
	char sep = *p->at++;

	if ((unsigned char)sep >= 0x80)
		return fail(p, "the separator is not an ASCII character");
	ret = take_word(p, sep, types, ARRAY_SIZE(types),
			"the type is none of prefix, ok, bad, unsupported, map", &type);
	if (ret == 0 && type != TYPE_MAP)
		ret = take_word(p, sep, scopes, ARRAY_SIZE(scopes),
				"the scope is none of client, server, all", &in);
	if (ret == 0)
		ret = take_name(p, sep, &key);
	if (ret == 0)
		ret = take_name(p, sep, &prepend);
	if (ret < 0)
		return ret;
	if (type != TYPE_MAP)
		return add_rule(p, (enum xattrmap_type)type, (unsigned)in, key, prepend);
	skip_spaces(p);
	if (*p->at)
		return fail(p, "map has to be the last rule");
	return add_map(p, key, prepend);
}

/* Does each name, in each scope, match a rule? */
static int check_complete(const struct parser *p)
{
	unsigned open = CLIENT | SERVER;

	for (unsigned i = 0; i < p->m->n; i++) {
		const struct xattrmap_rule *r = &p->m->rules[i];

		if (!r->key_len)
			open &= ~(r->scopes & CLIENT);
		if (!r->prepend_len)
			open &= ~(r->scopes & SERVER);
	}
	if (!open)
		return 0;
	snprintf(p->err, p->errlen,
		 "no rule for all other names of the %s: end with :bad:all::: or :ok:all:::",
		 open & CLIENT ? "client" : "server");
	return -EINVAL;
}

static int parse_rules(struct parser *p)
{
	int ret = 0;

	for (skip_spaces(p); ret == 0 && *p->at; skip_spaces(p)) {
		p->rule++;
		ret = parse_rule(p);
	}
	if (ret < 0)
		return ret;
	if (!p->rule) {
		snprintf(p->err, p->errlen, "no rules");
		return -EINVAL;
	}
	return check_complete(p);
}

int xattrmap_parse(struct xattrmap *m, const char *text, char *err, size_t errlen)
{
	struct parser p = { .m = m, .err = err, .errlen = errlen };
	int ret;

	*m = (struct xattrmap){ .text = strdup(text) };
	if (!m->text) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	p.at = m->text;
	ret = parse_rules(&p);
	if (ret < 0)
		xattrmap_free(m);
	return ret;
}

void xattrmap_free(struct xattrmap *m)
{
	free(m->text);
	*m = (struct xattrmap){ 0 };
}

static bool begins(const char *name, size_t len, const char *start, size_t start_len)
{
	return start_len <= len && !memcmp(name, start, start_len);
}

/* The rule for a name, NULL only for a map that was never parsed. */
static const struct xattrmap_rule *find_rule(const struct xattrmap *m, unsigned scope,
					     const char *name, size_t len)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct xattrmap_rule *r = &m->rules[i];

		if (!(r->scopes & scope))
			continue;
		if (scope == CLIENT ? begins(name, len, r->key, r->key_len)
				    : begins(name, len, r->prepend, r->prepend_len))
			return r;
	}
	return NULL;
}

int xattrmap_to_host(const struct xattrmap *m, const char *name, char *out, size_t outlen)
{
	size_t len = strnlen(name, XATTR_NAME_MAX + 1), extra = 0;
	const struct xattrmap_rule *r = NULL;

	if (!len || len > XATTR_NAME_MAX)
		return -ERANGE;
	if (m) {
		r = find_rule(m, CLIENT, name, len);
		if (!r || r->type == XATTRMAP_BAD)
			return -EPERM;
		if (r->type == XATTRMAP_UNSUPPORTED)
			return -ENOTSUP;
		if (r->type == XATTRMAP_PREFIX)
			extra = r->prepend_len;
	}
	if (extra + len > XATTR_NAME_MAX || extra + len >= outlen)
		return -ERANGE;
	if (extra)
		memcpy(out, r->prepend, extra);
	memcpy(out + extra, name, len + 1);
	return 0;
}

/* How many bytes at the start of a listed name are not for the guest: len hides all of it. */
static size_t hidden_part(const struct xattrmap *m, const char *name, size_t len)
{
	const struct xattrmap_rule *r;

	if (!m)
		return 0;
	r = find_rule(m, SERVER, name, len);
	if (!r || r->type == XATTRMAP_BAD || r->type == XATTRMAP_UNSUPPORTED)
		return len;
	return r->type == XATTRMAP_PREFIX ? r->prepend_len : 0;
}

ssize_t xattrmap_list(const struct xattrmap *m, const char *host_list, size_t len, char *out,
		      size_t outlen)
{
	size_t used = 0;

	if (len && host_list[len - 1])
		return -EIO;
	/* A name never grows, so that in place what is written is behind what is read. */
	for (size_t at = 0, next; at < len; at = next) {
		size_t n = strlen(host_list + at);
		size_t hidden = hidden_part(m, host_list + at, n);

		next = at + n + 1;
		if (hidden == n)
			continue;
		n -= hidden;
		if (outlen) {
			if (n >= outlen - used)
				return -ERANGE;
			memmove(out + used, host_list + at + hidden, n + 1);
		}
		used += n + 1;
	}
	return (ssize_t)used;
}
