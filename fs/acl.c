/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/acl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"

/* The kernel's interface: <linux/posix_acl_xattr.h>. The entries follow the header. */
#define ACL_VERSION 2u

struct acl_header {
	le32 version;
};
_Static_assert(sizeof(struct acl_header) == 4, "acl_header size");

struct acl_entry {
	le16 tag;
	le16 perm;
	le32 id;
};
_Static_assert(sizeof(struct acl_entry) == 8, "acl_entry size");

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

#define ACL_PERM_BITS 07u

struct maps {
	const struct idmap *uid, *gid;
	bool to_host;
};

static int translate_id(const struct idmap *m, bool to_host, le32 *id)
{
	uint32_t v = le32_get(*id);
	int ret = 0;

	if (!to_host)
		v = idmap_to_guest(m, v);
	else if (v == ID_NONE)
		ret = -EINVAL;
	else
		ret = idmap_to_host(m, v, &v);
	if (ret == 0)
		*id = le32_of(v);
	return ret;
}

static int translate_entry(struct acl_entry *e, const struct maps *maps)
{
	if (le16_get(e->perm) & ~ACL_PERM_BITS)
		return -EINVAL;
	switch (le16_get(e->tag)) {
	case ACL_USER:
		return translate_id(maps->uid, maps->to_host, &e->id);
	case ACL_GROUP:
		return translate_id(maps->gid, maps->to_host, &e->id);
	case ACL_USER_OBJ:
	case ACL_GROUP_OBJ:
	case ACL_MASK:
	case ACL_OTHER:
		return 0; /* the id means nothing here */
	default:
		return -EINVAL;
	}
}

/* Translates every entry, and writes them back only if write is set. */
static int translate_all(uint8_t *at, size_t len, const struct maps *maps, bool write)
{
	struct acl_entry e;
	int ret;

	for (; len; at += sizeof(e), len -= sizeof(e)) {
		memcpy(&e, at, sizeof(e)); /* value may be anywhere, e.g. inside a message */
		ret = translate_entry(&e, maps);
		if (ret < 0)
			return ret;
		if (write)
			memcpy(at, &e, sizeof(e));
	}
	return 0;
}

int acl_translate(void *value, size_t len, const struct idmap *uid, const struct idmap *gid,
		  bool to_host)
{
	const struct maps maps = { uid, gid, to_host };
	struct acl_header h;
	uint8_t *entries;
	int ret;

	if (!len)
		return 0;
	if (len < sizeof(h) || (len - sizeof(h)) % sizeof(struct acl_entry))
		return -EINVAL;
	memcpy(&h, value, sizeof(h));
	if (le32_get(h.version) != ACL_VERSION)
		return -EOPNOTSUPP;
	entries = (uint8_t *)value + sizeof(h);
	len -= sizeof(h);
	/* First only to see whether it can be done: an ACL that is half translated helps nobody. */
	ret = translate_all(entries, len, &maps, false);
	return ret < 0 ? ret : translate_all(entries, len, &maps, true);
}
