/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --translate-uid and --translate-gid: other ids on the host than in the guest. One map is for
 * uids or for gids; it has two directions that know nothing of each other:
 *
 *	guest:GUEST:HOST:COUNT		guest to host: COUNT ids, one to one
 *	host:HOST:GUEST:COUNT		host to guest: COUNT ids, one to one
 *	map:GUEST:HOST:COUNT		both of the above
 *	squash-guest:GUEST:HOST:COUNT	guest to host: COUNT ids all become HOST
 *	squash-host:HOST:GUEST:COUNT	host to guest: COUNT ids all become GUEST
 *	forbid-guest:GUEST:COUNT	guest to host: using one of COUNT ids is an error
 *
 * An id that no rule is about stays the same. Two rules may not be about the same id in the same
 * direction, so their order says nothing. A COUNT of 0 is no rule at all. Instead of the colon,
 * any ASCII character but a letter, a digit, '-' and '_' may separate the fields of a rule; upper
 * and lower case of the type are the same.
 *
 * ID_NONE is no id, and "leave it" in system calls. No rule can be about it or lead to it, and
 * both functions return it for itself: the caller has to know whether it may come.
 *
 * A map is const once it is parsed; threads share it. It owns nothing.
 */
#ifndef FS_IDMAP_H
#define FS_IDMAP_H

#include <stddef.h>
#include <stdint.h>

#define IDMAP_RANGES_MAX 64u /* in each direction */
#define ID_NONE		 UINT32_MAX

enum idmap_kind { IDMAP_SHIFT, IDMAP_SQUASH, IDMAP_FORBID };

struct idmap_range {
	uint32_t first, last; /* last is one of them */
	uint32_t to;	      /* what first becomes */
	enum idmap_kind kind;
};

/* One direction: sorted, and no two have an id in common. */
struct idmap_table {
	unsigned n;
	struct idmap_range r[IDMAP_RANGES_MAX];
};

struct idmap {
	struct idmap_table to_host, to_guest;
};

/*
 * Parses n rules. Returns 0; or -EINVAL (not a rule, or it overlaps another) or -E2BIG (too
 * many), and then err (of errlen bytes, at least 1) says what is wrong, and m maps nothing.
 */
int idmap_parse(struct idmap *m, const char *const *texts, unsigned n, char *err, size_t errlen);

/* Sets *host and returns 0, or -EPERM if the id is forbidden. m may be NULL: the same id. */
int idmap_to_host(const struct idmap *m, uint32_t guest, uint32_t *host);

/* Cannot fail: nothing is forbidden in this direction. m may be NULL: the same id. */
uint32_t idmap_to_guest(const struct idmap *m, uint32_t host);

#endif
