/* SPDX-License-Identifier: BSD-2-Clause */
#include "fs/readdir.h"

#include <assert.h>
#include <string.h>

#include "base/macros.h"

/* The shortest record of the host, for names of up to 4 bytes: for these the ratio is worst. */
#define HOST_DIRENT_MIN	 24u
#define SHORT_NAME	 4u
#define HOST_NAME_OFFSET offsetof(struct host_dirent, name)
_Static_assert(HOST_NAME_OFFSET == 19, "host_dirent.name");
_Static_assert(HOST_DIRENT_MAX == FUSE_REC_ALIGN(HOST_NAME_OFFSET + 255 + 1), "longest record");

const struct host_dirent *dirent_next(const uint8_t *buf, size_t len, size_t *pos)
{
	const struct host_dirent *d = (const void *)(buf + *pos);

	if (*pos == len)
		return NULL;
	/* The kernel wrote these. */
	assert(len - *pos >= HOST_DIRENT_MIN && d->reclen >= HOST_DIRENT_MIN &&
	       d->reclen <= len - *pos && !(d->reclen % 8));
	*pos += d->reclen;
	return d;
}

bool dirent_is_dot(const struct host_dirent *d)
{
	return d->name[0] == '.' && (!d->name[1] || (d->name[1] == '.' && !d->name[2]));
}

static size_t name_len(const struct host_dirent *d)
{
	return strnlen(d->name, d->reclen - HOST_NAME_OFFSET);
}

static size_t record_size(bool plus, size_t namelen)
{
	return plus ? FUSE_DIRENTPLUS_SIZE(namelen) : FUSE_DIRENT_SIZE(namelen);
}

bool dirents_fit(const struct dirents *out, const struct host_dirent *d)
{
	return record_size(out->plus, name_len(d)) <= out->max - out->len;
}

void dirents_add(struct dirents *out, const struct host_dirent *d, uint64_t ino,
		 const struct fuse_entry_out *entry)
{
	static const struct fuse_entry_out nothing;
	size_t namelen = name_len(d), size = record_size(out->plus, namelen);
	uint8_t *to = out->buf + out->len;
	const struct fuse_dirent head = {
		.ino = ino,
		.off = (uint64_t)d->off,
		.namelen = (uint32_t)namelen,
		.type = d->type,
	};

	assert(size <= out->max - out->len);
	/* The padding at the end, which must not be what the buffer had before. */
	memset(to + size - sizeof(uint64_t), 0, sizeof(uint64_t));
	if (out->plus) {
		memcpy(to, entry ? entry : &nothing, sizeof(nothing));
		to += sizeof(nothing);
	}
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), d->name, namelen);
	out->len += size;
}

size_t dirents_ask(const struct dirents *out, size_t max)
{
	size_t worst = record_size(out->plus, SHORT_NAME);
	size_t sure = (out->max - out->len) / worst * HOST_DIRENT_MIN;

	return MIN(MAX(sure, HOST_DIRENT_MAX), max);
}
