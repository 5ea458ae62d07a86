/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table says where the integers are that begin a body; the functions below it are for those
 * that come later. A request is swapped before anything else has looked at it, so each count and
 * size is checked on the line that reads it; a reply is our own.
 *
 * Values of extended attributes stay as they are: those with integers (POSIX ACLs, capabilities)
 * are little-endian for every guest.
 */
#include "fs/byteorder.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"

/* A digit for each field, in the order and groups of wire/fuse_structs.h */
/* clang-format off */
#define ATTR	  "888888" "4444444444"
#define ATTR_OUT  "844" ATTR
#define ENTRY_OUT "8888" "44" ATTR
#define OPEN_OUT  "844"
#define DIRENT	  "8844"
#define SX_TIME	  "844"
#define STATX	  "448" "44422" "8888" SX_TIME SX_TIME SX_TIME SX_TIME "4444" "88888888888888"
#define KSTATFS	  "88888" "4444" "444444"
#define SETATTR	  "44" "888" "888" "44444444"
#define INIT	  "44444" "44444444444"
#define INIT_OUT  "4444" "224" "422" "442" "22222222222"
#define FILE_LOCK "8844"
#define LK	  "88" FILE_LOCK "44"
#define RELEASE	  "8448"
#define READ	  "8844" "844"
#define COPY	  "8888888"
#define SIZE_OUT  "44"

const struct fs_layout fs_layouts[FUSE_OPCODE_END] = {
	[FUSE_LOOKUP]		  = { "",	ENTRY_OUT,	1 },
	[FUSE_FORGET]		  = { "8",	NULL,		0 },
	[FUSE_GETATTR]		  = { "448",	ATTR_OUT,	0 },
	[FUSE_SETATTR]		  = { SETATTR,	ATTR_OUT,	0 },
	[FUSE_READLINK]		  = { "",	"",		0 },
	[FUSE_SYMLINK]		  = { "",	ENTRY_OUT,	2 },
	[FUSE_MKNOD]		  = { "4444",	ENTRY_OUT,	1 },
	[FUSE_MKDIR]		  = { "44",	ENTRY_OUT,	1 },
	[FUSE_UNLINK]		  = { "",	"",		1 },
	[FUSE_RMDIR]		  = { "",	"",		1 },
	[FUSE_RENAME]		  = { "8",	"",		2 },
	[FUSE_LINK]		  = { "8",	ENTRY_OUT,	1 },
	[FUSE_OPEN]		  = { "44",	OPEN_OUT,	0 },
	[FUSE_READ]		  = { READ,	"",		0 },
	[FUSE_WRITE]		  = { READ,	SIZE_OUT,	0 },
	[FUSE_STATFS]		  = { "",	KSTATFS,	0 },
	[FUSE_RELEASE]		  = { RELEASE,	"",		0 },
	[FUSE_FSYNC]		  = { "844",	"",		0 },
	[FUSE_SETXATTR]		  = { "4444",	"",		1 },
	[FUSE_GETXATTR]		  = { "44",	SIZE_OUT,	1 },
	[FUSE_LISTXATTR]	  = { "44",	SIZE_OUT,	0 },
	[FUSE_REMOVEXATTR]	  = { "",	"",		1 },
	[FUSE_FLUSH]		  = { "8448",	"",		0 },
	[FUSE_INIT]		  = { INIT,	INIT_OUT,	0 },
	[FUSE_OPENDIR]		  = { "44",	OPEN_OUT,	0 },
	[FUSE_READDIR]		  = { READ,	"",		0 },
	[FUSE_RELEASEDIR]	  = { RELEASE,	"",		0 },
	[FUSE_FSYNCDIR]		  = { "844",	"",		0 },
	[FUSE_GETLK]		  = { LK,	FILE_LOCK,	0 },
	[FUSE_SETLK]		  = { LK,	"",		0 },
	[FUSE_SETLKW]		  = { LK,	"",		0 },
	[FUSE_ACCESS]		  = { "44",	"",		0 },
	[FUSE_CREATE]		  = { "4444",	ENTRY_OUT OPEN_OUT, 1 },
	[FUSE_INTERRUPT]	  = { "8",	NULL,		0 },
	[FUSE_BMAP]		  = { "844",	"8",		0 },
	[FUSE_DESTROY]		  = { "",	"",		0 },
	[FUSE_IOCTL]		  = { "844844",	"4444",		0 },
	[FUSE_POLL]		  = { "8844",	"44",		0 },
	[FUSE_NOTIFY_REPLY]	  = { "884488",	NULL,		0 },
	[FUSE_BATCH_FORGET]	  = { "44",	NULL,		0 },
	[FUSE_FALLOCATE]	  = { "88844",	"",		0 },
	[FUSE_READDIRPLUS]	  = { READ,	"",		0 },
	[FUSE_RENAME2]		  = { "844",	"",		2 },
	[FUSE_LSEEK]		  = { "8844",	"8",		0 },
	[FUSE_COPY_FILE_RANGE]	  = { COPY,	SIZE_OUT,	0 },
	[FUSE_SETUPMAPPING]	  = { "88888",	"",		0 },
	[FUSE_REMOVEMAPPING]	  = { "4",	"",		0 },
	[FUSE_SYNCFS]		  = { "8",	"",		0 },
	[FUSE_TMPFILE]		  = { "4444",	ENTRY_OUT OPEN_OUT, 1 },
	[FUSE_STATX]		  = { "44844",	"84488" STATX,	0 },
	[FUSE_COPY_FILE_RANGE_64] = { COPY,	"8",		0 },
};
/* clang-format on */

/* The rest of a body, whose bytes are looked at once and in order. */
struct rest {
	uint8_t *p;
	size_t len;
};

static void skip(struct rest *r, size_t n)
{
	r->p += n;
	r->len -= n;
}

static void swap_field(uint8_t *p, size_t width)
{
	for (size_t i = 0; i < width / 2; i++) {
		uint8_t byte = p[i];

		p[i] = p[width - 1 - i];
		p[width - 1 - i] = byte;
	}
}

/* Up to the first field that is not there whole. Was everything there? */
static bool swap_fields(struct rest *r, const char *widths)
{
	for (; *widths; widths++) {
		size_t width = (size_t)(*widths - '0');

		if (width > r->len)
			return false;
		swap_field(r->p, width);
		skip(r, width);
	}
	return true;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* Behind a name and its NUL. */
static bool skip_name(struct rest *r)
{
	const uint8_t *nul = r->len ? memchr(r->p, 0, r->len) : NULL;

	if (!nul)
		return false;
	skip(r, (size_t)(nul - r->p) + 1);
	return true;
}

static int swap_records(struct rest *r, uint32_t count, const char *widths, size_t record)
{
	if (count > r->len / record)
		return -EINVAL;
	while (count--)
		swap_fields(r, widths);
	return 0;
}

/* Integers of the ioctls that a file system has, by type and number: the rest of a cmd, size and
 * direction, is encoded in ways that differ between architectures. */
static const struct ioctl_layout {
	uint32_t type_nr;
	size_t len;
	const char *widths;
} ioctl_layouts[] = {
	{ 'f' << 8 | 1, 4, "4" }, /* FS_IOC_GETFLAGS: Linux sends an int, the cmd says long */
	{ 'f' << 8 | 1, 8, "8" },
	{ 'f' << 8 | 2, 4, "4" }, /* FS_IOC_SETFLAGS */
	{ 'f' << 8 | 2, 8, "8" },
	{ 'X' << 8 | 31, 28, "44444" }, /* FS_IOC_FSGETXATTR: struct fsxattr, 8 bytes of padding */
	{ 'X' << 8 | 32, 28, "44444" }, /* FS_IOC_FSSETXATTR */
};

static void swap_ioctl_data(struct rest r, uint32_t cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(ioctl_layouts); i++)
		if (ioctl_layouts[i].type_nr == (cmd & 0xffff) && ioctl_layouts[i].len == r.len)
			swap_fields(&r, ioctl_layouts[i].widths);
}

/* count times: fuse_secctx, name, context, padding */
static int swap_secctx(struct rest r, uint32_t count)
{
	while (count--) {
		const uint8_t *start = r.p;
		size_t size, pad;

		if (!swap_fields(&r, "44"))
			return -EINVAL;
		size = get32(start);
		if (!skip_name(&r) || size > r.len)
			return -EINVAL;
		skip(&r, size);
		pad = -(size_t)(r.p - start) % 8;
		skip(&r, MIN(pad, r.len));
	}
	return 0;
}

static int swap_groups(struct rest r)
{
	const uint8_t *count = r.p;

	if (!swap_fields(&r, "4"))
		return -EINVAL;
	return swap_records(&r, get32(count), "4", 4);
}

/* Of extensions that we do not know, the header only. */
static int swap_extensions(struct rest r)
{
	while (r.len) {
		const uint8_t *header = r.p;
		struct rest content;
		uint32_t size, type;
		int err = 0;

		if (!swap_fields(&r, "44"))
			return -EINVAL;
		size = get32(header);
		type = get32(header + 4);
		if (size < sizeof(struct fuse_ext_header) ||
		    size - sizeof(struct fuse_ext_header) > r.len)
			return -EINVAL;
		content = (struct rest){ r.p, size - sizeof(struct fuse_ext_header) };
		if (type <= FUSE_MAX_NR_SECCTX)
			err = swap_secctx(content, type);
		else if (type == FUSE_EXT_GROUPS)
			err = swap_groups(content);
		if (err)
			return err;
		skip(&r, MIN(FUSE_REC_ALIGN(content.len), r.len));
	}
	return 0;
}

/*
 * r is behind the integers of the request. Before 7.38 there was no total_extlen, but a security
 * context could follow the names all the same.
 */
static int swap_tail(const struct fs_layout *layout, struct rest r, size_t extlen,
		     uint64_t features)
{
	if (extlen > r.len)
		return -EINVAL;
	if (extlen) {
		skip(&r, r.len - extlen);
		return swap_extensions(r);
	}
	if (!(features & FUSE_SECURITY_CTX))
		return 0;
	for (unsigned i = 0; i < layout->names; i++)
		if (!skip_name(&r))
			return 0; /* the handler's error */
	return swap_extensions(r);
}

bool fs_is_swapped_init(const struct fuse_in_header *raw)
{
	struct fuse_in_header h = *raw;

	fs_swap_in_header(&h);
	return h.opcode == FUSE_INIT &&
	       h.len >= sizeof(h) + offsetof(struct fuse_init_in, max_readahead) &&
	       h.len <= FUSE_MIN_READ_BUFFER;
}

void fs_swap_in_header(struct fuse_in_header *h)
{
	swap_fields(&(struct rest){ (uint8_t *)h, sizeof(*h) }, "448844422");
}

void fs_swap_out_header(struct fuse_out_header *h)
{
	swap_fields(&(struct rest){ (uint8_t *)h, sizeof(*h) }, "448");
}

int fs_swap_request(uint32_t opcode, void *body, size_t len, uint16_t total_extlen,
		    uint64_t features)
{
	const uint8_t *start = body;
	struct rest r = { body, len };
	const char *widths;

	if (opcode >= FUSE_OPCODE_END || !fs_layouts[opcode].request)
		return 0;
	widths = fs_layouts[opcode].request;
	if (opcode == FUSE_SETXATTR && !(features & FUSE_SETXATTR_EXT))
		widths = "44";
	if (!swap_fields(&r, widths))
		return total_extlen ? -EINVAL : 0;

	switch (opcode) {
	case FUSE_BATCH_FORGET:
		return swap_records(&r, get32(start), "88", sizeof(struct fuse_forget_one));
	case FUSE_REMOVEMAPPING:
		return swap_records(&r, get32(start), "88", sizeof(struct fuse_removemapping_one));
	case FUSE_IOCTL:
		r.len = get32(start + offsetof(struct fuse_ioctl_in, in_size));
		if (r.len > len - sizeof(struct fuse_ioctl_in))
			return -EINVAL;
		swap_ioctl_data(r, get32(start + offsetof(struct fuse_ioctl_in, cmd)));
		return 0;
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		return swap_tail(&fs_layouts[opcode], r, (size_t)total_extlen * 8, features);
	}
	return 0;
}

uint32_t fs_swap_hint(uint32_t opcode, const void *body, size_t len)
{
	const uint8_t *p = body;

	switch (opcode) {
	case FUSE_IOCTL:
		if (len >= sizeof(struct fuse_ioctl_in))
			return get32(p + offsetof(struct fuse_ioctl_in, cmd));
		break;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		if (len >= sizeof(struct fuse_getxattr_in))
			return get32(p + offsetof(struct fuse_getxattr_in, size));
		break;
	}
	return 0;
}

/* Each with its name behind it, and padding. */
static void swap_dirents(struct rest r, const char *widths, size_t fixed)
{
	while (r.len >= fixed) {
		const uint8_t *dirent = r.p + fixed - sizeof(struct fuse_dirent);
		size_t namelen = get32(dirent + offsetof(struct fuse_dirent, namelen));

		swap_fields(&r, widths);
		skip(&r, MIN(FUSE_REC_ALIGN(namelen), r.len));
	}
}

void fs_swap_reply(uint32_t opcode, void *body, size_t len, uint32_t hint)
{
	struct rest r = { body, len };

	if (opcode >= FUSE_OPCODE_END || !fs_layouts[opcode].reply)
		return;
	if ((opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR) && hint)
		return; /* it asked for a value, not for its size */
	swap_fields(&r, fs_layouts[opcode].reply);
	if (opcode == FUSE_READDIR)
		swap_dirents(r, DIRENT, sizeof(struct fuse_dirent));
	else if (opcode == FUSE_READDIRPLUS)
		swap_dirents(r, ENTRY_OUT DIRENT, sizeof(struct fuse_direntplus));
	else if (opcode == FUSE_IOCTL)
		swap_ioctl_data(r, hint);
}
