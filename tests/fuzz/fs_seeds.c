/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fs_seeds.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"

const struct fuse_init_in seed_init = { .major = FUSE_KERNEL_VERSION,
					.minor = FUSE_KERNEL_MINOR_VERSION,
					.max_readahead = 131072,
					.flags = UINT32_MAX & ~(uint32_t)FUSE_NO_OPEN_SUPPORT,
					.flags2 = UINT32_MAX };

#define ROOM  12u /* 4096 */
#define SEEDS 9u
#define H     NODE_OF_HANDLE

#define BODY(type, ...)                                          \
	.body = &(const struct fuse_##type##_in){ __VA_ARGS__ }, \
	.body_len = sizeof(struct fuse_##type##_in)
#define NO_BODY	 .body = NULL
#define NAME(s)	 .name = (s), .name_len = sizeof(s)
#define NO_NAME	 .name = NULL
#define OPEN_RW	 BODY(open, .flags = O_RDWR)
#define OPEN_DIR BODY(open, .flags = O_RDONLY | O_DIRECTORY)
#define MAP(at, from, size)                                                                \
	BODY(setupmapping, .fh = UINT64_MAX, .foffset = (from), .len = (size), .flags = 3, \
	     .moffset = (at))
#define MAP_READ(at, from, size)                                                           \
	BODY(setupmapping, .fh = UINT64_MAX, .foffset = (from), .len = (size), .flags = 1, \
	     .moffset = (at))
#define GIVE_BACK     BODY(removemapping, .count = 1)
#define LOCK(t)	      BODY(lk, .owner = 7, .lk = { .start = 2, .end = 5, .type = (t), .pid = 9 })
#define LOCK_OF(o, t) BODY(lk, .owner = (o), .lk = { .start = 2, .end = 5, .type = (t), .pid = 9 })
#define USER	      "user.a"
#define LABEL	      "\x20\0\0\0\1\0\0\0\4\0\0\0\0\0\0\0user.l\0abcd\0\0\0\0"

/* Nodes are counted from 0, the root, in the order of the answers; handles from 1. */
static const struct {
	uint8_t seed, opcode, how, node, handle, cut;
	uint16_t body_len, name_len;
	const void *body;
	const char *name;
} rows[] = {
	/* what is there */
	{ 0, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 0, FUSE_GETATTR, 0, 1, 0, 0, BODY(getattr, 0), NO_NAME },
	{ 0, FUSE_STATX, 0, 1, 0, 0, BODY(statx, .sx_mask = 0xfff), NO_NAME },
	{ 0, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("out") },
	{ 0, FUSE_READLINK, HOW_PIECES, 2, 0, 0, NO_BODY, NO_NAME },
	{ 0, FUSE_LOOKUP, 0, 2, 0, 0, NO_BODY, NAME("secret") },
	{ 0, FUSE_ACCESS, 0, 1, 0, 1, BODY(access, .mask = 4), NO_NAME },
	{ 0, FUSE_STATFS, 0, 0, 0, 0, NO_BODY, NO_NAME },
	{ 0, FUSE_FORGET, HOW_HIPRIO, 1, 0, 0, BODY(forget, .nlookup = 1), NO_NAME },
	{ 0, FUSE_BATCH_FORGET, 0, 0, 0, 0, BODY(batch_forget, .count = 1),
	  NAME("\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0") },
	/* files that are open */
	{ 1, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 1, FUSE_OPEN, 0, 1, 0, 0, OPEN_RW, NO_NAME },
	{ 1, FUSE_READ, HOW_PIECES, H, 1, 0, BODY(read, .size = 64, .offset = 2), NO_NAME },
	{ 1, FUSE_WRITE, 0, H, 1, 41, BODY(write, .size = 6, .offset = 4), NAME("hello") },
	{ 1, FUSE_LSEEK, 0, H, 1, 0, BODY(lseek, .whence = SEEK_HOLE), NO_NAME },
	{ 1, FUSE_FALLOCATE, 0, H, 1, 0, BODY(fallocate, .length = 9000), NO_NAME },
	{ 1, FUSE_FSYNC, 0, H, 1, 0, BODY(fsync, .fsync_flags = 1), NO_NAME },
	{ 1, FUSE_POLL, 0, H, 1, 0, BODY(poll, .events = 1), NO_NAME },
	{ 1, FUSE_FLUSH, 0, H, 1, 0, BODY(flush, .lock_owner = 7), NO_NAME },
	{ 1, FUSE_IOCTL, 0, H, 1, 0, BODY(ioctl, .cmd = FS_IOC_GETFLAGS, .out_size = 8), NO_NAME },
	{ 1, FUSE_IOCTL, 0, H, 1, 0, BODY(ioctl, .cmd = FS_IOC_SETFLAGS, .in_size = 8),
	  NAME("\0\0\0\0\0\0\0") },
	{ 1, FUSE_IOCTL, 0, H, 1, 0, BODY(ioctl, .cmd = FS_IOC_FSGETXATTR, .out_size = 28),
	  NO_NAME },
	{ 1, FUSE_CREATE, 0, 0, 0, 0, BODY(create, .flags = O_RDWR, .mode = 0644), NAME("new") },
	{ 1, FUSE_COPY_FILE_RANGE, 0, H, 1, 0, BODY(copy_file_range, .len = 5), NO_NAME },
	{ 1, FUSE_COPY_FILE_RANGE_64, 0, H, 1, 0, BODY(copy_file_range, .len = 5), NO_NAME },
	{ 1, FUSE_RELEASE, 0, H, 1, 0, BODY(release, 0), NO_NAME },
	{ 1, FUSE_SYNCFS, 0, 0, 0, 0, BODY(syncfs, 0), NO_NAME },
	/* names that come and go */
	{ 2, FUSE_MKDIR, 0, 0, 0, 0, BODY(mkdir, .mode = 0755), NAME("m") },
	{ 2, FUSE_MKNOD, 0, 1, 0, 1, BODY(mknod, .mode = S_IFREG | 0600), NAME("n") },
	{ 2, FUSE_MKNOD, 0, 1, 0, 0, BODY(mknod, .mode = S_IFCHR | 0600, .rdev = 0x103),
	  NAME("null") },
	{ 2, FUSE_OPEN, 0, 2, 0, 0, OPEN_RW, NO_NAME },
	{ 2, FUSE_SYMLINK, 0, 1, 0, 0, NO_BODY, NAME("s\0/etc/passwd") },
	{ 2, FUSE_LINK, 0, 1, 3, 0, BODY(link, 0), NAME("hard") },
	{ 2, FUSE_RENAME, 0, 1, 1, 0, BODY(rename, 0), NAME("n\0moved") },
	{ 2, FUSE_RENAME2, 0, 0, 2, 0, BODY(rename2, .flags = 1), NAME("f\0inner") },
	{ 2, FUSE_RENAME2, 0, 1, 1, 0, BODY(rename2, .flags = 2), NAME("inner\0g") },
	{ 2, FUSE_UNLINK, 0, 0, 0, 0, NO_BODY, NAME("moved") },
	{ 2, FUSE_UNLINK, 0, 1, 0, 0, NO_BODY, NAME("hard") },
	{ 2, FUSE_RMDIR, 0, 0, 0, 0, NO_BODY, NAME("m") },
	{ 2, FUSE_TMPFILE, 0, 0, 0, 1, BODY(create, .flags = O_RDWR, .mode = 0600), NAME("x") },
	{ 2, FUSE_WRITE, HOW_LONG, H, 1, 5, BODY(write, .size = 65536), NO_NAME },
	/* directories */
	{ 3, FUSE_OPENDIR, 0, 0, 0, 0, OPEN_DIR, NO_NAME },
	{ 3, FUSE_READDIRPLUS, 0, H, 1, 0, BODY(read, .size = 4000), NO_NAME },
	{ 3, FUSE_READDIR, HOW_PIECES, H, 1, 0, BODY(read, .size = 4000), NO_NAME },
	{ 3, FUSE_READDIRPLUS, 0, H, 1, 0, BODY(read, .size = 400, .offset = 2), NO_NAME },
	{ 3, FUSE_FSYNCDIR, 0, H, 1, 0, BODY(fsync, 0), NO_NAME },
	{ 3, FUSE_RELEASEDIR, 0, H, 1, 0, BODY(release, 0), NO_NAME },
	{ 3, FUSE_READDIRPLUS, 0, 0, 0, 0, BODY(read, .size = 4000), NO_NAME },
	/* attributes */
	{ 4, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 4, FUSE_SETXATTR, 0, 1, 0, 0, BODY(setxattr, .size = 3), NAME(USER "\0xy") },
	{ 4, FUSE_GETXATTR, 0, 1, 0, 0, BODY(getxattr, .size = 100), NAME(USER) },
	{ 4, FUSE_GETXATTR, 0, 1, 0, 0, BODY(getxattr, .size = 0), NAME(USER) },
	{ 4, FUSE_LISTXATTR, 0, 1, 0, 0, BODY(getxattr, .size = 100), NO_NAME },
	{ 4, FUSE_SETXATTR, 0, 1, 0, 0, BODY(setxattr, .size = 28),
	  NAME("system.posix_acl_access\0\2\0\0\0\1\0\6\0\xff\xff\xff\xff"
	       "\4\0\4\0\xff\xff\xff\xff\x20\0\4\0\xff\xff\xff\xff") },
	{ 4, FUSE_REMOVEXATTR, 0, 1, 0, 0, NO_BODY, NAME(USER) },
	{ 4, FUSE_SETATTR, 0, 1, 0, 0, BODY(setattr, .valid = FATTR_MODE | FATTR_SIZE, .size = 99),
	  NO_NAME },
	{ 4, FUSE_OPEN, 0, 1, 0, 0, OPEN_RW, NO_NAME },
	{ 4, FUSE_SETATTR, 0, H, 1, 0,
	  BODY(setattr, .valid = FATTR_FH | FATTR_UID | FATTR_MTIME, .uid = 5, .mtime = 77),
	  NO_NAME },
	{ 4, FUSE_CREATE, HOW_EXT, 0, 0, 4, BODY(create, .flags = O_RDWR, .mode = 0644),
	  NAME("l\0" LABEL) },
	/* locks, one of which has to wait */
	{ 5, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 5, FUSE_OPEN, 0, 1, 0, 0, OPEN_RW, NO_NAME },
	{ 5, FUSE_SETLK, 0, H, 1, 0, LOCK(F_WRLCK), NO_NAME },
	{ 5, FUSE_GETLK, 0, H, 1, 0, LOCK_OF(8, F_WRLCK), NO_NAME },
	{ 5, FUSE_SETLKW, 0, H, 1, 0, LOCK_OF(8, F_WRLCK), NO_NAME },
	{ 5, FUSE_SETLKW, 0, H, 1, 0, LOCK_OF(9, F_RDLCK), NO_NAME },
	{ 5, FUSE_INTERRUPT, HOW_HIPRIO, 0, 0, 0, BODY(interrupt, .unique = 7), NO_NAME },
	{ 5, FUSE_SETLK, 0, H, 1, 0, LOCK(F_UNLCK), NO_NAME },
	{ 5, FUSE_SETLKW, 0, H, 1, 0, BODY(lk, .lk_flags = 1, .lk = { .type = F_WRLCK }), NO_NAME },
	{ 5, FUSE_RELEASE, 0, H, 1, 0, BODY(release, .release_flags = 2), NO_NAME },
	/* sessions, and what nobody serves */
	{ 6, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("d") },
	{ 6, FUSE_DESTROY, 0, 0, 0, 0, NO_BODY, NO_NAME },
	{ 6, FUSE_LOOKUP, 0, 1, 0, 0, NO_BODY, NAME("in") },
	{ 6, FUSE_INIT, 0, 0, 0, 0, BODY(init, .major = 7, .minor = 31, .flags = UINT32_MAX),
	  NO_NAME },
	{ 6, FUSE_LOOKUP, HOW_HOLE, 0, 0, 0, NO_BODY, NAME("d") },
	{ 6, FUSE_LOOKUP, HOW_OVERLAP, 0, 0, 0, NO_BODY, NAME("..") },
	{ 6, FUSE_LOOKUP, HOW_LEN, 0, 0, 15, NO_BODY, NAME("d/in") },
	{ 6, FUSE_LOOKUP, HOW_SHORT, 0, 0, 38, NO_BODY, NAME("d") },
	{ 6, FUSE_LOOKUP, HOW_LONG, 129, 0, 0, NO_BODY, NAME("d") },
	{ 6, FUSE_BMAP, 0, 0, 0, 0, BODY(bmap, 0), NO_NAME },
	/* the window: a file that is shorter than a page, grows, shrinks, is removed */
	{ 7, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 7, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP(0, 0, 0x200000), NO_NAME },
	{ 7, FUSE_OPEN, 0, 1, 0, 0, OPEN_RW, NO_NAME },
	{ 7, FUSE_WRITE, HOW_LONG, H, 1, 5, BODY(write, .size = 65536, .offset = 3), NO_NAME },
	{ 7, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP(0x200000, 0, 0x200000), NO_NAME },
	{ 7, FUSE_SETATTR, 0, 1, 0, 0, BODY(setattr, .valid = FATTR_SIZE, .size = 200000),
	  NO_NAME },
	{ 7, FUSE_REMOVEMAPPING, 0, 1, 0, 0, GIVE_BACK, NAME("\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0") },
	{ 7, FUSE_FALLOCATE, 0, H, 1, 0, BODY(fallocate, .mode = 3, .length = 9000), NO_NAME },
	{ 7, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP(0, 0, 0x1000), NO_NAME },
	{ 7, FUSE_SETATTR, 0, 1, 0, 0, BODY(setattr, .valid = FATTR_SIZE, .size = 5), NO_NAME },
	{ 7, FUSE_SETATTR, 0, 1, 0, 0, BODY(setattr, .valid = FATTR_MTIME, .mtime = INT64_MAX),
	  NO_NAME },
	{ 7, FUSE_UNLINK, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 7, FUSE_REMOVEMAPPING, 0, 1, 0, 0, GIVE_BACK, NAME("\0\0\0\0\0\0\0\0\0\0\x20\0\0\0\0") },
	{ 7, FUSE_DESTROY, 0, 0, 0, 0, NO_BODY, NO_NAME },
	/* ranges one after the other, over each other, and none */
	{ 8, FUSE_LOOKUP, 0, 0, 0, 0, NO_BODY, NAME("f") },
	{ 8, FUSE_SETATTR, 0, 1, 0, 0, BODY(setattr, .valid = FATTR_SIZE, .size = 0x40000),
	  NO_NAME },
	{ 8, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP_READ(0, 0, 0x4000), NO_NAME },
	{ 8, FUSE_SETUPMAPPING, 0, 1, 0, 1, MAP_READ(0x4000, 0x4000, 0x4000), NO_NAME },
	{ 8, FUSE_SETUPMAPPING, 0, 1, 0, 2, MAP_READ(0x8000, 0x8000, 0x4000), NO_NAME },
	{ 8, FUSE_SETUPMAPPING, HOW_HIPRIO, 1, 0, 0, MAP_READ(0x2000, 0, 0x4000), NO_NAME },
	{ 8, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP_READ(0, 0x10000, 0xc000), NO_NAME },
	{ 8, FUSE_SETUPMAPPING, 0, 1, 0, 0, MAP_READ(0xfff000, 0, 0x2000), NO_NAME },
	{ 8, FUSE_REMOVEMAPPING, 0, 1, 0, 0, BODY(removemapping, .count = 2),
	  NAME("\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0") },
	{ 8, FUSE_SETUPMAPPING, 0, 0, 0, 0, MAP_READ(0, 0, 0x1000), NO_NAME },
	{ 8, FUSE_INIT, 0, 0, 0, 0, BODY(init, .major = 7, .minor = 31, .flags = UINT32_MAX),
	  NO_NAME },
};

/* Seed i in both byte orders, and for each of three configurations. */
#define VARIANTS 6u

size_t seed_make(unsigned i, uint8_t *buf, size_t cap)
{
	const unsigned variant = i % VARIANTS;
	const struct input in = { .what = (uint8_t)((variant & 1) | variant / 2 << 4) };
	size_t n = sizeof(in);

	if (i >= SEEDS * VARIANTS || cap < 8192)
		return 0;
	memcpy(buf, &in, sizeof(in));
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		struct record r = { .opcode = rows[k].opcode,
				    .how = rows[k].how,
				    .node = rows[k].node,
				    .handle = rows[k].handle,
				    .room = ROOM,
				    .cut = rows[k].cut };

		if (rows[k].seed != i / VARIANTS)
			continue;
		r.len = le16_of((uint16_t)(rows[k].body_len + rows[k].name_len));
		memcpy(buf + n, &r, sizeof(r));
		n += sizeof(r);
		if (rows[k].body_len)
			memcpy(buf + n, rows[k].body, rows[k].body_len);
		n += rows[k].body_len;
		if (rows[k].name_len)
			memcpy(buf + n, rows[k].name, rows[k].name_len);
		n += rows[k].name_len;
	}
	return n;
}
