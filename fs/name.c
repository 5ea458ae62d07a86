/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/name.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct cursor fs_cursor(const struct fs_req *rq, uint32_t off)
{
	struct cursor c = { (const char *)rq->body, rq->body_len };

	if (off > c.left)
		off = c.left;
	c.p += off;
	c.left -= off;
	return c;
}

/* Takes the next string and its NUL. Returns its length, or -EINVAL if there is no NUL. */
static int64_t take(struct cursor *c, const char **s)
{
	const char *nul = c->left ? memchr(c->p, '\0', c->left) : NULL;
	uint32_t len;

	if (!nul)
		return -EINVAL;
	len = (uint32_t)(nul - c->p);
	*s = c->p;
	c->p += len + 1;
	c->left -= len + 1;
	return len;
}

int fs_next_string(struct cursor *c, uint32_t max, const char **s)
{
	int64_t len = take(c, s);

	if (len < 0)
		return (int)len;
	return len > max ? -ENAMETOOLONG : 0;
}

int fs_next_name(struct cursor *c, const char **name)
{
	int ret = fs_next_string(c, NAME_MAX, name);
	const char *s;

	if (ret)
		return ret;
	s = *name;
	if (!*s || strchr(s, '/') || !strcmp(s, ".") || !strcmp(s, ".."))
		return -EINVAL;
	return 0;
}

struct fd_name fd_name(int fd)
{
	struct fd_name name;
	char digits[sizeof(name.s)];
	unsigned n = 0, v = (unsigned)fd;
	char *to = name.s;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
	return name;
}
