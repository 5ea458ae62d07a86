/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --xattrmap and what it makes of names. An input is a header (struct input), the text of a map
 * and a list of names, which are the guest's and the host's in turn.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include "base/macros.h"
#include "fs/xattrmap.h"
#include "tests/fuzz/text.h"

struct input {
	uint8_t map_only; /* the text is put into ":map:" and ":" */
	uint8_t text_len; /* the names follow */
};

static const char *const words[] = {
	":prefix:",   ":ok:",	     ":bad:",	 ":unsupported:",
	":map:",      "all:",	     "client:",	 "server:",
	"::",	      ":::",	     " ",	 "\n:",
	"user.",      "a.",	     "trusted.", "user.virtiofs.",
	":ok:all:::", ":bad:all:::",
};

static bool ends(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return k <= n && !strcmp(name + n - k, end);
}

/* What holds for each map: at most something is put before the name. */
static void check_name(const struct xattrmap *m, const char *name, bool map_only)
{
	char host[XATTR_NAME_MAX + 1], back[XATTR_NAME_MAX + 1];
	int ret = xattrmap_to_host(m, name, host, sizeof(host));
	ssize_t n;

	MUST(ret == 0 || ret == -EPERM || ret == -ENOTSUP || ret == -ERANGE);
	if (ret < 0)
		return;
	MUST(*name && strlen(host) <= XATTR_NAME_MAX && ends(host, name));
	MUST(xattrmap_to_host(m, name, back, strlen(host)) == -ERANGE);
	n = xattrmap_list(m, host, strlen(host) + 1, back, sizeof(back));
	MUST(n >= 0 && (!n || (back[n - 1] == '\0' && ends(host, back))));
	/* The guest finds what it has set, under the name that it gave. */
	if (map_only)
		MUST(n == (ssize_t)strlen(name) + 1 && !strcmp(back, name));
}

/* Each listed name is the end of one of the host's, in their order. */
static void check_names(const char *guest, size_t n, const char *host, size_t len)
{
	const char *const guest_end = guest + n, *const host_end = host + len;

	for (; guest < guest_end; guest += strlen(guest) + 1) {
		MUST(*guest);
		while (host < host_end && !ends(host, guest))
			host += strlen(host) + 1;
		MUST(host < host_end);
		host += strlen(host) + 1;
	}
}

static void check_list(const struct xattrmap *m, char *list, size_t len)
{
	ssize_t n = xattrmap_list(m, list, len, NULL, 0);
	char *out;

	if (len && list[len - 1]) {
		MUST(n == -EIO);
		return;
	}
	MUST(n >= 0 && (size_t)n <= len);
	out = malloc((size_t)n + 1);
	MUST(out);
	if (n > 1)
		MUST(xattrmap_list(m, list, len, out, (size_t)n - 1) == -ERANGE);
	if (n)
		MUST(xattrmap_list(m, list, len, out, (size_t)n) == n);
	check_names(out, (size_t)n, list, len);
	MUST(xattrmap_list(m, list, len, list, len) == n);
	MUST(!memcmp(list, out, (size_t)n));
	free(out);
}

static void use_map(const struct xattrmap *m, bool map_only, const uint8_t *names, size_t len)
{
	char *list = malloc(len + 1);

	MUST(list);
	memcpy(list, names, len);
	list[len] = '\0';
	for (size_t at = 0; at < len; at += strlen(list + at) + 1)
		check_name(m, list + at, map_only);
	/* A block of just that size: the NUL above was for check_name(). */
	list = realloc(list, len ? len : 1);
	MUST(list);
	check_list(m, list, len);
	free(list);
}

static char *map_text(const struct input *in, const uint8_t *data)
{
	char *text = fuzz_text(data, in->text_len, words, ARRAY_SIZE(words)), *whole;
	size_t size = strlen(text) + sizeof(":map::");

	if (!(in->map_only & 1))
		return text;
	whole = malloc(size);
	MUST(whole);
	snprintf(whole, size, ":map:%s:", text);
	free(text);
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xattrmap m;
	struct input in;
	char err[80], *text;
	int ret;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	in.text_len = (uint8_t)MIN(in.text_len, size);
	text = map_text(&in, data);
	memset(err, 'x', sizeof(err));
	ret = xattrmap_parse(&m, text, err, sizeof(err));
	free(text);
	MUST(ret == 0 || ret == -EINVAL || ret == -E2BIG);
	MUST(ret == 0 || (*err && strnlen(err, sizeof(err)) < sizeof(err) && !m.n && !m.text));
	if (ret == 0)
		use_map(&m, in.map_only & 1, data + in.text_len, size - in.text_len);
	xattrmap_free(&m);
	return 0;
}

static const struct {
	bool map_only;
	const char *text;
} seeds[] = {
	{ false, ":map::user.virtiofs.:" },
	{ false, ":prefix:all:trusted.:user.virtiofs.: :bad:server::trusted.:"
		 " :bad:client:user.virtiofs.:: :ok:all:::" },
	{ false, "/unsupported/client/a.// |ok|server|x.|b.| :prefix:server::user.: ;ok;all;;;" },
	{ true, "trusted.:user.virtiofs." },
	{ true, ":a." },
	{ true, "a.:" },
};
static const char names[] = "user.a\0trusted.b\0user.virtiofs.trusted.c\0a.\0a.x\0user.virtiofs.\0"
			    "b.security.capability\0user.user.d\0user.virtiofs.a.a.";

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct input in;
	size_t len;

	if (i >= ARRAY_SIZE(seeds))
		return 0;
	len = strlen(seeds[i].text);
	MUST(sizeof(in) + len + sizeof(names) <= cap);
	in = (struct input){ seeds[i].map_only, (uint8_t)len };
	memcpy(buf, &in, sizeof(in));
	memcpy(buf + sizeof(in), seeds[i].text, len);
	memcpy(buf + sizeof(in) + len, names, sizeof(names));
	return sizeof(in) + len + sizeof(names);
}
