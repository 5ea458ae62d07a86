/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/acl.c: ACLs as the kernel's header lays them out, translated both ways. */
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "base/macros.h"
#include "fs/acl.h"
#include "tests/lib/check.h"

#define NONE	UINT32_MAX /* the id of an entry that has none */
#define ENTRIES 6u

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

/* One byte off any alignment, as it is inside a message. */
struct blob {
	uint8_t pad;
	uint8_t bytes[sizeof(struct posix_acl_xattr_header) +
		      ENTRIES * sizeof(struct posix_acl_xattr_entry)];
};

static size_t blob_of(const struct entry *e, unsigned n, struct blob *b)
{
	struct posix_acl_xattr_header h = { .a_version = htole32(POSIX_ACL_XATTR_VERSION) };
	uint8_t *at = b->bytes;

	memcpy(at, &h, sizeof(h));
	at += sizeof(h);
	for (unsigned i = 0; i < n; i++, at += sizeof(struct posix_acl_xattr_entry)) {
		struct posix_acl_xattr_entry x = {
			.e_tag = htole16(e[i].tag),
			.e_perm = htole16(e[i].perm),
			.e_id = htole32(e[i].id),
		};

		memcpy(at, &x, sizeof(x));
	}
	return (size_t)(at - b->bytes);
}

static const char *const uid_rules[] = { "map:1000:101000:100", "squash-guest:2000:7:10",
					 "forbid-guest:3000:10" };
static const char *const gid_rules[] = { "map:1000:201000:100", "forbid-guest:4000:10" };
static struct idmap uid_map, gid_map;

/* ACLs that are refused both ways or, where it is said, only on the way to the host. */
static const struct {
	const char *name;
	struct entry e;
	int to_host, to_guest;
} bad_entries[] = {
	{ "no tag", { 0, 7, NONE }, -EINVAL, -EINVAL },
	{ "unknown tag", { 0x40, 7, NONE }, -EINVAL, -EINVAL },
	{ "two tags", { ACL_USER | ACL_GROUP, 7, 1000 }, -EINVAL, -EINVAL },
	{ "high bits of a tag", { 0x100 | ACL_USER, 7, 1000 }, -EINVAL, -EINVAL },
	{ "unknown right", { ACL_USER, 8, 1000 }, -EINVAL, -EINVAL },
	{ "right of a mask", { ACL_MASK, 0x8000, NONE }, -EINVAL, -EINVAL },
	{ "user without id", { ACL_USER, 7, NONE }, -EINVAL, 0 },
	{ "group without id", { ACL_GROUP, 7, NONE }, -EINVAL, 0 },
	{ "forbidden user", { ACL_USER, 7, 3000 }, -EPERM, 0 },
	{ "forbidden group", { ACL_GROUP, 7, 4009 }, -EPERM, 0 },
};

/* Behind a good entry, which stays as it is: all or nothing. */
static void test_bad_entries(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_entries); i++) {
		const struct entry e[] = { { ACL_USER, 6, 1001 }, bad_entries[i].e };
		const char *name = bad_entries[i].name;
		struct blob b, was;
		size_t len = blob_of(e, 2, &b);

		blob_of(e, 2, &was);
		CHECK_EQ(name, acl_translate(b.bytes, len, &uid_map, &gid_map, true),
			 bad_entries[i].to_host);
		CHECK_NAMED(name, !memcmp(b.bytes, was.bytes, len));
		CHECK_EQ(name, acl_translate(b.bytes, len, &uid_map, &gid_map, false),
			 bad_entries[i].to_guest);
		CHECK_NAMED(name, !memcmp(b.bytes, was.bytes, len));
	}
}

/* Every length but those of an ACL, and other versions. */
static void test_bad_headers(void)
{
	const struct entry e[] = { { ACL_USER, 6, 5 }, { ACL_GROUP, 6, 6 } };
	struct blob b;
	size_t len = blob_of(e, 2, &b);

	for (size_t n = 0; n <= len; n++) {
		uint8_t *just = malloc(n ? n : 1); /* for the sanitizer */

		REQUIRE(just);
		memcpy(just, b.bytes, n);
		CHECK_EQ("length", acl_translate(just, n, &uid_map, &gid_map, true),
			 n == 0 || n % 8 == 4 ? 0 : -EINVAL);
		free(just);
	}
	CHECK_EQ("nothing", acl_translate(NULL, 0, &uid_map, &gid_map, true), 0);
	b.bytes[0] = 1;
	CHECK_EQ("version 1", acl_translate(b.bytes, len, NULL, NULL, true), -EOPNOTSUPP);
	b.bytes[0] = 0;
	b.bytes[3] = 2;
	CHECK_EQ("other end", acl_translate(b.bytes, len, NULL, NULL, true), -EOPNOTSUPP);
}

static const struct {
	const char *name;
	struct entry guest, host;
	bool one_way; /* guest to host only */
} entries[] = {
	{ "owner", { ACL_USER_OBJ, 7, NONE }, { ACL_USER_OBJ, 7, NONE }, false },
	{ "owner with an id", { ACL_USER_OBJ, 7, 1000 }, { ACL_USER_OBJ, 7, 1000 }, false },
	{ "group with an id", { ACL_GROUP_OBJ, 7, 3000 }, { ACL_GROUP_OBJ, 7, 3000 }, false },
	{ "mask with an id", { ACL_MASK, 5, 4000 }, { ACL_MASK, 5, 4000 }, false },
	{ "others with an id", { ACL_OTHER, 0, 1000 }, { ACL_OTHER, 0, 1000 }, false },
	{ "user", { ACL_USER, 6, 1099 }, { ACL_USER, 6, 101099 }, false },
	{ "user without rule", { ACL_USER, 6, 0 }, { ACL_USER, 6, 0 }, false },
	{ "squashed user", { ACL_USER, 6, 2009 }, { ACL_USER, 6, 7 }, true },
	{ "user, forbidden as group", { ACL_USER, 6, 4000 }, { ACL_USER, 6, 4000 }, false },
	{ "group", { ACL_GROUP, 1, 1000 }, { ACL_GROUP, 1, 201000 }, false },
	{ "group, forbidden as user", { ACL_GROUP, 1, 3000 }, { ACL_GROUP, 1, 3000 }, false },
};

static void test_entries(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const char *name = entries[i].name;
		struct blob guest, host, b;
		size_t len = blob_of(&entries[i].guest, 1, &guest);

		blob_of(&entries[i].host, 1, &host);
		b = guest;
		CHECK_EQ(name, acl_translate(b.bytes, len, NULL, NULL, true), 0);
		CHECK_NAMED(name, !memcmp(b.bytes, guest.bytes, len));
		CHECK_EQ(name, acl_translate(b.bytes, len, &uid_map, &gid_map, true), 0);
		CHECK_NAMED(name, !memcmp(b.bytes, host.bytes, len));
		if (entries[i].one_way)
			continue;
		CHECK_EQ(name, acl_translate(b.bytes, len, &uid_map, &gid_map, false), 0);
		CHECK_NAMED(name, !memcmp(b.bytes, guest.bytes, len));
	}
}

/* A whole ACL: each entry for itself, and one map without the other. */
static void test_whole(void)
{
	struct entry e[ENTRIES] = {
		{ ACL_USER_OBJ, 7, NONE }, { ACL_USER, 6, 1000 }, { ACL_GROUP_OBJ, 5, NONE },
		{ ACL_GROUP, 4, 1000 },	   { ACL_MASK, 7, NONE }, { ACL_OTHER, 0, NONE },
	};
	struct blob b, want;
	size_t len = blob_of(e, ENTRIES, &b);

	CHECK_EQ("uids", acl_translate(b.bytes, len, &uid_map, NULL, true), 0);
	e[1].id = 101000;
	blob_of(e, ENTRIES, &want);
	CHECK(!memcmp(b.bytes, want.bytes, len));
	CHECK_EQ("gids", acl_translate(b.bytes, len, NULL, &gid_map, true), 0);
	e[3].id = 201000;
	blob_of(e, ENTRIES, &want);
	CHECK(!memcmp(b.bytes, want.bytes, len));
	CHECK_EQ("back", acl_translate(b.bytes, len, &uid_map, &gid_map, false), 0);
	e[1].id = e[3].id = 1000;
	blob_of(e, ENTRIES, &want);
	CHECK(!memcmp(b.bytes, want.bytes, len));
}

int main(void)
{
	char err[160];

	REQUIRE(idmap_parse(&uid_map, uid_rules, ARRAY_SIZE(uid_rules), err, sizeof(err)) == 0);
	REQUIRE(idmap_parse(&gid_map, gid_rules, ARRAY_SIZE(gid_rules), err, sizeof(err)) == 0);
	test_bad_entries();
	test_bad_headers();
	test_entries();
	test_whole();
	return check_done();
}
