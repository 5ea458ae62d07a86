/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --xattrmap: other names for extended attributes on the host than in the guest. A map is a list
 * of rules; the first one that matches a name decides.
 *
 *	:TYPE:SCOPE:KEY:PREPEND:	a rule; the first character is its separator, and any
 *					ASCII character may be. Spaces and newlines between
 *					rules are skipped, inside of one they count.
 *	:map:KEY:PREPEND:		the usual case, and it has to come last
 *
 * SCOPE says which names a rule looks at: those that the guest asks for (client), which match if
 * they begin with KEY, those that the host lists (server), which match if they begin with
 * PREPEND, or both (all). An empty KEY or PREPEND matches every name. TYPE says what happens:
 *
 *	prefix		guest to host: PREPEND is put before the name. Host to guest: taken off
 *	ok		the name stays as it is
 *	bad		guest to host: EPERM. Host to guest: not listed
 *	unsupported	guest to host: ENOTSUP. Host to guest: not listed
 *	map		PREPEND before names with KEY; what the guest could confuse with them is
 *			bad, and the other names are ok (bad, if KEY is empty)
 *
 * Every name has to match some rule, so one for all names of each scope is required: mostly the
 * last rule is ":bad:all:::" or ":ok:all:::". A map is const once it is parsed; threads share it.
 */
#ifndef FS_XATTRMAP_H
#define FS_XATTRMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define XATTRMAP_RULES_MAX 64u /* after map has become three */

enum xattrmap_type { XATTRMAP_PREFIX, XATTRMAP_OK, XATTRMAP_BAD, XATTRMAP_UNSUPPORTED };

struct xattrmap_rule {
	enum xattrmap_type type;
	unsigned scopes;     /* bits, see xattrmap.c */
	const char *key;     /* in text, as prepend: not terminated */
	const char *prepend; /* both are at most XATTR_NAME_MAX bytes */
	size_t key_len;
	size_t prepend_len;
};

struct xattrmap {
	unsigned n;
	struct xattrmap_rule rules[XATTRMAP_RULES_MAX];
	char *text; /* owned */
};

/*
 * Parses text, which is copied. Returns 0; or -EINVAL (not a map), -E2BIG (too many rules) or
 * -ENOMEM, and then err (of errlen bytes, at least 1) says what is wrong and in which rule, and
 * m needs no xattrmap_free().
 */
int xattrmap_parse(struct xattrmap *m, const char *text, char *err, size_t errlen);

/* May be called twice, and on a zeroed map. */
void xattrmap_free(struct xattrmap *m);

/*
 * The host's name for what the guest calls name; m may be NULL: the same. Returns 0; -EPERM or
 * -ENOTSUP if a rule says so; -ERANGE, as the kernel does, if either name is empty, longer than
 * XATTR_NAME_MAX, or does not fit into out with its NUL. out and name do not overlap.
 */
int xattrmap_to_host(const struct xattrmap *m, const char *name, char *out, size_t outlen);

/*
 * What the guest is told of a list as listxattr(2) fills it, each name with its NUL, and with
 * len bytes in all; m may be NULL: the same. Returns the length of the guest's list, which is
 * never more than len; with outlen 0, only that. -ERANGE if outlen is too small, -EIO if the
 * last name has no NUL. out may be host_list itself, and else must not overlap it.
 */
ssize_t xattrmap_list(const struct xattrmap *m, const char *host_list, size_t len, char *out,
		      size_t outlen);

#endif
