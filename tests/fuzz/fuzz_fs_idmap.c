/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --translate-uid, and ACLs with such a map. An input is a header (struct input), rules with
 * newlines between them, and an ACL.
 */
#include <errno.h>
#include <stdbool.h>

#include "base/le.h"
#include "base/macros.h"
#include "fs/acl.h"
#include "fs/idmap.h"
#include "tests/fuzz/text.h"

#define RULES_MAX 100u

struct input {
	uint8_t maps;	  /* bit 0: for users, bit 1: for groups, bit 2: to the host */
	uint8_t text_len; /* the ACL follows */
};

static const char *const words[] = {
	"\nguest:",
	"\nhost:",
	"\nmap:",
	"\nsquash-guest:",
	"\nsquash-host:",
	"\nforbid-guest:",
	":0",
	":1",
	":10",
	":100",
	":1000",
	":4294967294",
	":4294967295",
	":2147483647",
	"\nmap:10:20:10",
};

/* What lookups have to find, by looking at each range. */
static const struct idmap_range *search(const struct idmap_table *t, uint32_t id)
{
	for (unsigned i = 0; i < t->n; i++)
		if (id >= t->r[i].first && id <= t->r[i].last)
			return &t->r[i];
	return NULL;
}

static uint32_t want(const struct idmap_range *r, uint32_t id)
{
	if (!r)
		return id;
	return r->kind == IDMAP_SQUASH ? r->to : id - r->first + r->to;
}

static void check_id(const struct idmap *m, uint32_t id)
{
	const struct idmap_range *h = search(&m->to_host, id), *g = search(&m->to_guest, id);
	uint32_t host = 0;
	int ret = idmap_to_host(m, id, &host);

	MUST(!g || g->kind != IDMAP_FORBID);
	MUST(ret == (h && h->kind == IDMAP_FORBID ? -EPERM : 0));
	if (ret == 0)
		MUST(host == want(h, id) && (host == ID_NONE) == (id == ID_NONE));
	MUST(idmap_to_guest(m, id) == want(g, id));
	MUST((idmap_to_guest(m, id) == ID_NONE) == (id == ID_NONE));
}

static void check_table(const struct idmap *m, const struct idmap_table *t)
{
	MUST(t->n <= IDMAP_RANGES_MAX);
	for (unsigned i = 0; i < t->n; i++) {
		const struct idmap_range *r = &t->r[i];

		MUST(r->first <= r->last && r->last != ID_NONE);
		MUST(!i || t->r[i - 1].last < r->first);
		check_id(m, r->first - 1);
		check_id(m, r->first);
		check_id(m, r->first + (r->last - r->first) / 2);
		check_id(m, r->last);
		check_id(m, r->last + 1);
	}
	check_id(m, 0);
	check_id(m, ID_NONE);
}

/* The id that an entry has to have afterwards. */
static uint32_t want_id(const struct idmap *m, bool to_host, uint32_t id)
{
	uint32_t host = 0;

	if (!to_host)
		return idmap_to_guest(m, id);
	MUST(id != ID_NONE && idmap_to_host(m, id, &host) == 0);
	return host;
}

static void check_entry(const uint8_t *was, const uint8_t *is, const struct idmap *uid,
			const struct idmap *gid, bool to_host)
{
	uint16_t tag = (uint16_t)(was[0] | was[1] << 8);
	le32 old, new;

	MUST(!memcmp(was, is, 4));
	memcpy(&old, was + 4, 4);
	memcpy(&new, is + 4, 4);
	if (tag == 2 || tag == 8)
		MUST(le32_get(new) == want_id(tag == 2 ? uid : gid, to_host, le32_get(old)));
	else
		MUST(old.v == new.v);
}

static void check_acl(const struct idmap *uid, const struct idmap *gid, bool to_host,
		      const uint8_t *data, size_t len)
{
	uint8_t *acl = malloc(len ? len : 1);
	int ret;

	MUST(acl);
	memcpy(acl, data, len);
	ret = acl_translate(acl, len, uid, gid, to_host);
	MUST(ret == 0 || ret == -EINVAL || ret == -EOPNOTSUPP || (ret == -EPERM && to_host));
	if (ret < 0 || !len) {
		MUST(!memcmp(acl, data, len));
	} else {
		MUST(len % 8 == 4 && !memcmp(acl, data, 4));
		for (size_t at = 4; at < len; at += 8)
			check_entry(data + at, acl + at, uid, gid, to_host);
	}
	free(acl);
}

/* Cuts text at its newlines. Returns the number of rules; empty ones do not count. */
static unsigned rules_of(char *text, const char **rules)
{
	unsigned n = 0;

	for (char *save, *r = strtok_r(text, "\n", &save); r && n < RULES_MAX;
	     r = strtok_r(NULL, "\n", &save))
		rules[n++] = r;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rules[RULES_MAX];
	struct idmap m;
	struct input in;
	char err[80], *text;
	int ret;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	in.text_len = (uint8_t)MIN(in.text_len, size);
	text = fuzz_text(data, in.text_len, words, ARRAY_SIZE(words));
	memset(err, 'x', sizeof(err));
	ret = idmap_parse(&m, rules, rules_of(text, rules), err, sizeof(err));
	free(text);
	MUST(ret == 0 || ret == -EINVAL || ret == -E2BIG);
	MUST(ret == 0 || (*err && strnlen(err, sizeof(err)) < sizeof(err)));
	MUST(ret == 0 || (!m.to_host.n && !m.to_guest.n));
	check_table(&m, &m.to_host);
	check_table(&m, &m.to_guest);
	check_acl(in.maps & 1 ? &m : NULL, in.maps & 2 ? &m : NULL, in.maps & 4, data + in.text_len,
		  size - in.text_len);
	return 0;
}

static const struct {
	uint8_t maps;
	const char *text;
} seeds[] = {
	{ 7, "map:0:100000:65536" },
	{ 7, "squash-guest:0:1000:4294967295\nsquash-host:1000:0:1" },
	{ 5, "guest:1000:0:10\nforbid-guest:0:1000\nhost:0:1000:10\nguest:1010:7:1" },
	{ 3, "map/10/20/10\nMAP,30,40,10\nsquash-host:4294967294:5:1" },
	{ 4, "forbid-guest:0:4294967295" },
};

/* As <linux/posix_acl_xattr.h> says: version, then tag, rights and id of each entry. */
static const uint8_t acl[] = {
	2,    0,    0,	  0,	1,    0,    7,	0, 0xff, 0xff, 0xff, 0xff, 2,
	0,    6,    0,	  0xf2, 3,    0,    0,	4, 0,	 5,    0,    0xff, 0xff,
	0xff, 0xff, 8,	  0,	4,    0,    35, 0, 0,	 0,    0x10, 0,	   7,
	0,    0xff, 0xff, 0xff, 0xff, 0x20, 0,	0, 0,	 0xff, 0xff, 0xff, 0xff,
};

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct input in;
	size_t len;

	if (i >= ARRAY_SIZE(seeds))
		return 0;
	len = strlen(seeds[i].text);
	MUST(sizeof(in) + len + sizeof(acl) <= cap);
	in = (struct input){ seeds[i].maps, (uint8_t)len };
	memcpy(buf, &in, sizeof(in));
	memcpy(buf + sizeof(in), seeds[i].text, len);
	memcpy(buf + sizeof(in) + len, acl, sizeof(acl));
	return sizeof(in) + len + sizeof(acl);
}
