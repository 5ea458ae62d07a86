/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/xattrmap.c: which maps are refused and why, and what a map makes of names both ways. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"
#include "fs/xattrmap.h"
#include "tests/lib/check.h"

/* Maps that are refused, and a part of the message. */
static const struct {
	const char *text, *why;
} bad_cases[] = {
	{ "", "no rules" },
	{ " \n\t ", "no rules" },
	{ ":", "rule 1: a field is missing" },
	{ ":ok", "a field is missing" },
	{ ":ok:all", "a field is missing" },
	{ ":ok:all:", "a field is missing" },
	{ ":ok:all::", "a field is missing" },
	{ ":map:", "a field is missing" },
	{ ":map::user.", "a field is missing" },
	{ "/ok/all:::", "a field is missing" },
	{ ":ok:all::: :bad:all::", "rule 2: a field is missing" },
	{ ":ok:all::: x", "rule 2: a field is missing" },
	{ "::all:::", "rule 1: the type" },
	{ ":OK:all:::", "the type" },
	{ ": ok:all:::", "the type" },
	{ ":okay:all:::", "the type" },
	{ ":o:all:::", "the type" },
	{ ":ok::::", "the scope" },
	{ ":ok:host:::", "the scope" },
	{ ":ok:al:::", "the scope" },
	{ ":bad:all::::ok:none:::", "rule 2: the scope" },
	{ "\xc2\xa7ok\xc2\xa7"
	  "all\xc2\xa7\xc2\xa7\xc2\xa7",
	  "not an ASCII character" },
	{ ":map::user.::ok:all:::", "rule 1: map has to be the last" },
	{ ":map:a:b: :map:a:b:", "map has to be the last" },
	{ ":ok:client:::", "other names of the server" },
	{ ":ok:server:::", "other names of the client" },
	{ ":ok:all:user.:user.:", "other names of the client" },
	{ ":prefix:all::user.virtiofs.:", "other names of the server" },
	{ ":prefix:all:trusted.:user.virtiofs.:", "other names of the client" },
	{ ":ok:server::::bad:client:user.::", "other names of the client" },
};

static void test_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const char *text = bad_cases[i].text;
		char err[160] = "", little[8];
		struct xattrmap m;

		CHECK_EQ(text, xattrmap_parse(&m, text, err, sizeof(err)), -EINVAL);
		CHECK_NAMED(text, strstr(err, bad_cases[i].why));
		CHECK_NAMED(text, m.n == 0 && !m.text);
		memset(little, 'x', sizeof(little));
		CHECK_EQ(text, xattrmap_parse(&m, text, little, 4), -EINVAL);
		CHECK_EQ(text, strlen(little), 3);
		CHECK_EQ(text, little[4], 'x');
	}
}

/* count times rule, with end behind it. */
static int parse_many(struct xattrmap *m, unsigned count, const char *rule, const char *end)
{
	static char text[4096];
	char err[160];
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", rule);
	snprintf(text + len, sizeof(text) - len, "%s", end);
	return xattrmap_parse(m, text, err, sizeof(err));
}

static void test_number_of_rules(void)
{
	struct xattrmap m;

	CHECK_EQ("full", parse_many(&m, XATTRMAP_RULES_MAX, ":ok:all:::", ""), 0);
	CHECK_EQ("rules", m.n, XATTRMAP_RULES_MAX);
	xattrmap_free(&m);
	xattrmap_free(&m);
	CHECK_EQ("one more", parse_many(&m, XATTRMAP_RULES_MAX + 1, ":ok:all:::", ""), -E2BIG);
	CHECK_EQ("room for map", parse_many(&m, XATTRMAP_RULES_MAX - 3, ":ok:all:::", ":map:a:b:"),
		 0);
	xattrmap_free(&m);
	CHECK_EQ("no room for map",
		 parse_many(&m, XATTRMAP_RULES_MAX - 2, ":ok:all:::", ":map:a:b:"), -E2BIG);
}

/* A key as long as a name can be, and one that is longer. */
static void test_length_of_fields(void)
{
	char text[XATTR_NAME_MAX + 32], err[160];
	struct xattrmap m;

	for (int extra = 0; extra < 2; extra++) {
		for (int second = 0; second < 2; second++) {
			snprintf(text, sizeof(text),
				 ":bad:all:%s%0*d:%s :ok:all:::", second ? ":" : "",
				 XATTR_NAME_MAX + extra, 0, second ? "" : ":");
			CHECK_EQ(text, xattrmap_parse(&m, text, err, sizeof(err)),
				 extra ? -EINVAL : 0);
			if (extra)
				CHECK_NAMED(text, strstr(err, "longer than a name"));
			xattrmap_free(&m);
		}
	}
}

#define MAP_ALL	   ":map::user.virtiofs.:"
#define MAP_SOME   "/map/trusted./user.virtiofs./"
#define MAP_SOME_4 /* MAP_SOME as the rules that an administrator would write for it */ \
	"/prefix/all/trusted./user.virtiofs./\n\t/bad/server//trusted./\n"              \
	"/bad/client/user.virtiofs.//\r\n  /ok/all///\n"
#define HIDE_SECURITY ":unsupported:all:security.:security.: |ok|all|||"
/* Each scope on its own; for the other one, the rules may as well not be there. */
#define ONE_WAY                                              \
	":prefix:client:a.:host.: :bad:client:b.:c.:"        \
	":prefix:server:x.:old.: :unsupported:server:c.:b.:" \
	":ok:client:c.:: :unsupported:client::: :ok:server:::"
#define SPACES " :ok:client: a :: \n:bad:client::::ok:server:::"

/* What the guest's name is on the host; want is NULL where ret says all. */
static const struct {
	const char *map, *name;
	int ret;
	const char *want;
} client_cases[] = {
	{ NULL, "", -ERANGE, NULL },
	{ NULL, "user.a", 0, "user.a" },
	{ ":bad:all:::", "", -ERANGE, NULL },
	{ ":bad:all:::", "user.a", -EPERM, NULL },
	{ ":unsupported:all:::", "user.a", -ENOTSUP, NULL },
	{ ":ok:all:::", "user.a", 0, "user.a" },
	{ ":ok:all::::bad:all:::", "first.wins", 0, "first.wins" },
	{ ":bad:all::::ok:all:::", "first.wins", -EPERM, NULL },
	{ MAP_ALL, "", -ERANGE, NULL },
	{ MAP_ALL, "user.a", 0, "user.virtiofs.user.a" },
	{ MAP_ALL, "user.virtiofs.a", 0, "user.virtiofs.user.virtiofs.a" },
	{ MAP_SOME, "trusted.a", 0, "user.virtiofs.trusted.a" },
	{ MAP_SOME, "trusted.", 0, "user.virtiofs.trusted." },
	{ MAP_SOME, "trusted", 0, "trusted" },
	{ MAP_SOME, "user.a", 0, "user.a" },
	{ MAP_SOME, "user.virtiofs.trusted.a", -EPERM, NULL },
	{ MAP_SOME, "user.virtiofs.", -EPERM, NULL },
	{ MAP_SOME, "user.virtiofs", 0, "user.virtiofs" },
	{ MAP_SOME_4, "trusted.a", 0, "user.virtiofs.trusted.a" },
	{ MAP_SOME_4, "user.virtiofs.trusted.a", -EPERM, NULL },
	{ MAP_SOME_4, "user.a", 0, "user.a" },
	{ HIDE_SECURITY, "security.capability", -ENOTSUP, NULL },
	{ HIDE_SECURITY, "user.security.", 0, "user.security." },
	{ ONE_WAY, "a.x", 0, "host.a.x" },
	{ ONE_WAY, "b.x", -EPERM, NULL },
	{ ONE_WAY, "c.x", 0, "c.x" },
	{ ONE_WAY, "old.x", -ENOTSUP, NULL },
	{ "xokxallxxx", "any.separator", 0, "any.separator" },
	{ SPACES, " a b", 0, " a b" },
	{ SPACES, "a b", -EPERM, NULL },
};

/* What the guest sees of a list: names are written with a semicolon for the NUL. */
static const struct {
	const char *map, *host, *guest;
} list_cases[] = {
	{ NULL, "", "" },
	{ NULL, "user.a;user.b;", "user.a;user.b;" },
	{ ":ok:all:::", "", "" },
	{ ":ok:all:::", "user.a;trusted.b;", "user.a;trusted.b;" },
	{ ":ok:all:::", ";user.a;;", "user.a;" },
	{ ":bad:all:::", "user.a;trusted.b;", "" },
	{ ":unsupported:all:::", "user.a;", "" },
	{ MAP_ALL, "user.virtiofs.user.a;user.b;user.virtiofs.security.c;", "user.a;security.c;" },
	{ MAP_ALL, "user.virtiofs.;user.virtiofs;user.virtiofs.a;", "a;" },
	{ MAP_SOME, "trusted.host;user.a;user.virtiofs.trusted.g;", "user.a;trusted.g;" },
	{ MAP_SOME_4, "trusted.host;user.a;user.virtiofs.trusted.g;", "user.a;trusted.g;" },
	{ HIDE_SECURITY, "security.selinux;user.a;security;", "user.a;security;" },
	{ ONE_WAY, "a.x;b.x;c.x;old.x;host.a.x;", "a.x;c.x;x;host.a.x;" },
};

static struct xattrmap *parsed(struct xattrmap *m, const char *text)
{
	char err[160] = "";

	if (!text)
		return NULL;
	if (xattrmap_parse(m, text, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s: %s\n", text, err);
		exit(1);
	}
	return m;
}

static void test_to_host(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(client_cases); i++) {
		const char *name = client_cases[i].name, *want = client_cases[i].want;
		struct xattrmap room = { 0 }, *m = parsed(&room, client_cases[i].map);
		char out[XATTR_NAME_MAX + 1];

		memset(out, 'x', sizeof(out));
		CHECK_EQ(name, xattrmap_to_host(m, name, out, sizeof(out)), client_cases[i].ret);
		if (want) {
			CHECK_NAMED(name, !strcmp(out, want));
			CHECK_EQ(name, xattrmap_to_host(m, name, out, strlen(want) + 1), 0);
			CHECK_EQ(name, xattrmap_to_host(m, name, out, strlen(want)), -ERANGE);
		} else {
			CHECK_EQ(name, out[0], 'x');
		}
		xattrmap_free(&room);
	}
}

/* Neither the guest's name nor the host's may be longer than a file system can have. */
static void test_length_of_names(void)
{
	static const struct {
		const char *map;
		size_t longest;
	} cases[] = {
		{ NULL, XATTR_NAME_MAX },
		{ ":ok:all:::", XATTR_NAME_MAX },
		{ MAP_ALL, XATTR_NAME_MAX - 14 },
	};
	char name[2 * XATTR_NAME_MAX], out[2 * XATTR_NAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xattrmap room = { 0 }, *m = parsed(&room, cases[i].map);

		memset(name, 'n', sizeof(name));
		name[cases[i].longest] = '\0';
		CHECK_EQ("longest", xattrmap_to_host(m, name, out, sizeof(out)), 0);
		CHECK_EQ("all of it", strlen(out), XATTR_NAME_MAX);
		name[cases[i].longest] = 'n';
		name[cases[i].longest + 1] = '\0';
		CHECK_EQ("too long", xattrmap_to_host(m, name, out, sizeof(out)), -ERANGE);
		xattrmap_free(&room);
	}
}

/* Returns the length of a list that is written with semicolons. */
static size_t list_of(const char *text, char *list)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		list[i] = text[i] == ';' ? '\0' : text[i];
	return len;
}

static void test_list(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(list_cases); i++) {
		const char *name = list_cases[i].host;
		struct xattrmap room = { 0 }, *m = parsed(&room, list_cases[i].map);
		char host[256], want[256], out[256];
		size_t len = list_of(name, host);
		ssize_t n = (ssize_t)list_of(list_cases[i].guest, want);

		CHECK_EQ(name, xattrmap_list(m, host, len, NULL, 0), n);
		if (n)
			CHECK_EQ(name, xattrmap_list(m, host, len, out, (size_t)n - 1), -ERANGE);
		memset(out, 'x', sizeof(out));
		CHECK_EQ(name, xattrmap_list(m, host, len, out, n ? (size_t)n : 1), n);
		CHECK_NAMED(name, !memcmp(out, want, (size_t)n) && out[n] == 'x');
		/* The same buffer, as a reply is made. */
		CHECK_EQ(name, xattrmap_list(m, host, len, host, len), n);
		CHECK_NAMED(name, !memcmp(host, want, (size_t)n));
		xattrmap_free(&room);
	}
}

static void test_list_without_end(void)
{
	struct xattrmap m;
	char list[] = "user.a\0user.b", out[32];

	parsed(&m, ":ok:all:::");
	CHECK_EQ("no end", xattrmap_list(&m, list, sizeof(list) - 1, out, sizeof(out)), -EIO);
	CHECK_EQ("no end", xattrmap_list(NULL, list, 1, out, sizeof(out)), -EIO);
	CHECK_EQ("an end", xattrmap_list(&m, list, sizeof(list), out, sizeof(out)), sizeof(list));
	xattrmap_free(&m);
}

/* The text that was parsed may go away. */
static void test_owns_its_text(void)
{
	char text[] = MAP_ALL, out[64];
	struct xattrmap m;

	parsed(&m, text);
	memset(text, 'x', sizeof(text) - 1);
	CHECK_EQ("a copy", xattrmap_to_host(&m, "a", out, sizeof(out)), 0);
	CHECK(!strcmp(out, "user.virtiofs.a"));
	xattrmap_free(&m);
}

/* A map that was never parsed lets nothing through. */
static void test_empty_map(void)
{
	const struct xattrmap m = { 0 };
	char out[64];

	CHECK_EQ("no rule", xattrmap_to_host(&m, "user.a", out, sizeof(out)), -EPERM);
	CHECK_EQ("no rule", xattrmap_list(&m, "user.a", 7, out, sizeof(out)), 0);
}

int main(void)
{
	test_refused();
	test_number_of_rules();
	test_length_of_fields();
	test_to_host();
	test_length_of_names();
	test_list();
	test_list_without_end();
	test_owns_its_text();
	test_empty_map();
	return check_done();
}
