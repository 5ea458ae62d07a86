/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The structures of FUSE 7.45, for wire/fuse.h: byte order and flags are described there. Every
 * size is a multiple of 8 but for fuse_removemapping_in and fuse_supp_groups. No logic here.
 */
#ifndef WIRE_FUSE_STRUCTS_H
#define WIRE_FUSE_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

#define FUSE_SIZE_IS(name, bytes) _Static_assert(sizeof(struct name) == (bytes), #name " size")
#define FUSE_FIELD_AT(name, field, at) \
	_Static_assert(offsetof(struct name, field) == (at), #name "." #field)

/* Message headers: every request starts with the first, every reply with the second. */
struct fuse_in_header {
	uint32_t len; /* of the message, with this header */
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen; /* of the extensions at the end, in units of 8 bytes */
	uint16_t padding;
};
FUSE_SIZE_IS(fuse_in_header, 40);
FUSE_FIELD_AT(fuse_in_header, unique, 8);
FUSE_FIELD_AT(fuse_in_header, uid, 24);
FUSE_FIELD_AT(fuse_in_header, total_extlen, 36);

struct fuse_out_header {
	uint32_t len;
	int32_t error; /* 0 or -errno, in Linux' generic numbers */
	uint64_t unique;
};
FUSE_SIZE_IS(fuse_out_header, 16);
FUSE_FIELD_AT(fuse_out_header, unique, 8);

/* INIT */
#define FUSE_COMPAT_INIT_OUT_SIZE    8u	 /* minor < 5 */
#define FUSE_COMPAT_22_INIT_OUT_SIZE 24u /* minor < 23 */

struct fuse_init_in {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2; /* from here on: since 7.36 */
	uint32_t unused[11];
};
FUSE_SIZE_IS(fuse_init_in, 64);
FUSE_FIELD_AT(fuse_init_in, flags2, 16);

struct fuse_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran; /* ns */
	uint16_t max_pages;
	uint16_t map_alignment; /* log2 of bytes */
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint16_t request_timeout; /* s */
	uint16_t unused[11];
};
FUSE_SIZE_IS(fuse_init_out, 64);
FUSE_FIELD_AT(fuse_init_out, max_write, 20);
FUSE_FIELD_AT(fuse_init_out, max_pages, 28);
FUSE_FIELD_AT(fuse_init_out, flags2, 32);
FUSE_FIELD_AT(fuse_init_out, request_timeout, 40);

/* Attributes */
struct fuse_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev; /* the kernel's 32-bit form: minor 0..7, major 8..19, minor 20..31 */
	uint32_t blksize;
	uint32_t flags; /* FUSE_ATTR_* */
};
FUSE_SIZE_IS(fuse_attr, 88);
FUSE_FIELD_AT(fuse_attr, mode, 60);

#define FUSE_COMPAT_ENTRY_OUT_SIZE 120u /* minor < 9: an attr without the last two fields */
#define FUSE_COMPAT_ATTR_OUT_SIZE  96u

struct fuse_entry_out {
	uint64_t nodeid; /* 0: no such name, and the guest may remember it */
	uint64_t generation;
	uint64_t entry_valid; /* s */
	uint64_t attr_valid;
	uint32_t entry_valid_nsec;
	uint32_t attr_valid_nsec;
	struct fuse_attr attr;
};
FUSE_SIZE_IS(fuse_entry_out, 128);
FUSE_FIELD_AT(fuse_entry_out, attr, 40);

struct fuse_getattr_in {
	uint32_t getattr_flags;
	uint32_t dummy;
	uint64_t fh;
};
FUSE_SIZE_IS(fuse_getattr_in, 16);

struct fuse_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t dummy;
	struct fuse_attr attr;
};
FUSE_SIZE_IS(fuse_attr_out, 104);
FUSE_FIELD_AT(fuse_attr_out, attr, 16);

struct fuse_setattr_in {
	uint32_t valid; /* FATTR_* */
	uint32_t padding;
	uint64_t fh;
	uint64_t size;
	uint64_t lock_owner;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t unused4;
	uint32_t uid;
	uint32_t gid;
	uint32_t unused5;
};
FUSE_SIZE_IS(fuse_setattr_in, 88);
FUSE_FIELD_AT(fuse_setattr_in, mode, 68);
FUSE_FIELD_AT(fuse_setattr_in, uid, 76);

/* As struct statx: bit for bit */
struct fuse_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};
FUSE_SIZE_IS(fuse_sx_time, 16);

struct fuse_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0[1];
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct fuse_sx_time atime;
	struct fuse_sx_time btime;
	struct fuse_sx_time ctime;
	struct fuse_sx_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};
FUSE_SIZE_IS(fuse_statx, 256);
FUSE_FIELD_AT(fuse_statx, mode, 28);
FUSE_FIELD_AT(fuse_statx, atime, 64);
FUSE_FIELD_AT(fuse_statx, rdev_major, 128);

struct fuse_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags; /* AT_STATX_* */
	uint32_t sx_mask;  /* STATX_* */
};
FUSE_SIZE_IS(fuse_statx_in, 24);

struct fuse_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags; /* FUSE_ATTR_* */
	uint64_t spare[2];
	struct fuse_statx stat;
};
FUSE_SIZE_IS(fuse_statx_out, 288);
FUSE_FIELD_AT(fuse_statx_out, stat, 32);

#define FUSE_COMPAT_STATFS_SIZE 48u /* minor < 4 */

struct fuse_kstatfs {
	uint64_t blocks; /* of frsize bytes */
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t frsize;
	uint32_t padding;
	uint32_t spare[6];
};
FUSE_SIZE_IS(fuse_kstatfs, 80);

struct fuse_statfs_out {
	struct fuse_kstatfs st;
};
FUSE_SIZE_IS(fuse_statfs_out, 80);

/* Names */
struct fuse_forget_in {
	uint64_t nlookup;
};
FUSE_SIZE_IS(fuse_forget_in, 8);

struct fuse_forget_one {
	uint64_t nodeid;
	uint64_t nlookup;
};
FUSE_SIZE_IS(fuse_forget_one, 16);

struct fuse_batch_forget_in {
	uint32_t count; /* fuse_forget_one follow */
	uint32_t dummy;
};
FUSE_SIZE_IS(fuse_batch_forget_in, 8);

#define FUSE_COMPAT_MKNOD_IN_SIZE 8u /* minor < 12: mode and rdev; CREATE: an open_in */

struct fuse_mknod_in {
	uint32_t mode;
	uint32_t rdev; /* as attr.rdev */
	uint32_t umask;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_mknod_in, 16);

struct fuse_mkdir_in {
	uint32_t mode;
	uint32_t umask;
};
FUSE_SIZE_IS(fuse_mkdir_in, 8);

struct fuse_rename_in {
	uint64_t newdir;
};
FUSE_SIZE_IS(fuse_rename_in, 8);

struct fuse_rename2_in {
	uint64_t newdir;
	uint32_t flags; /* RENAME_* */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_rename2_in, 16);

struct fuse_link_in {
	uint64_t oldnodeid;
};
FUSE_SIZE_IS(fuse_link_in, 8);

struct fuse_access_in {
	uint32_t mask;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_access_in, 8);

/* Open files. Open flags (O_*) have the values of the guest's architecture. */
struct fuse_open_in {
	uint32_t flags;
	uint32_t open_flags; /* FUSE_OPEN_* */
};
FUSE_SIZE_IS(fuse_open_in, 8);

struct fuse_create_in {
	uint32_t flags;
	uint32_t mode;
	uint32_t umask;
	uint32_t open_flags; /* FUSE_OPEN_* */
};
FUSE_SIZE_IS(fuse_create_in, 16);

struct fuse_open_out {
	uint64_t fh;
	uint32_t open_flags; /* FOPEN_* */
	int32_t backing_id;
};
FUSE_SIZE_IS(fuse_open_out, 16);

struct fuse_release_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t release_flags;
	uint64_t lock_owner;
};
FUSE_SIZE_IS(fuse_release_in, 24);

struct fuse_flush_in {
	uint64_t fh;
	uint32_t unused;
	uint32_t padding;
	uint64_t lock_owner;
};
FUSE_SIZE_IS(fuse_flush_in, 24);

struct fuse_read_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t read_flags; /* FUSE_READ_* */
	uint64_t lock_owner;
	uint32_t flags; /* O_* */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_read_in, 40);
FUSE_FIELD_AT(fuse_read_in, lock_owner, 24);

#define FUSE_COMPAT_WRITE_IN_SIZE 24u /* minor < 9; READ alike */

struct fuse_write_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t write_flags; /* FUSE_WRITE_* */
	uint64_t lock_owner;
	uint32_t flags; /* O_* */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_write_in, 40);
FUSE_FIELD_AT(fuse_write_in, lock_owner, 24);

struct fuse_write_out {
	uint32_t size;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_write_out, 8);

struct fuse_fsync_in {
	uint64_t fh;
	uint32_t fsync_flags;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_fsync_in, 16);

struct fuse_fallocate_in {
	uint64_t fh;
	uint64_t offset;
	uint64_t length;
	uint32_t mode; /* FALLOC_FL_* */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_fallocate_in, 32);

struct fuse_lseek_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t whence;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_lseek_in, 24);

struct fuse_lseek_out {
	uint64_t offset;
};
FUSE_SIZE_IS(fuse_lseek_out, 8);

struct fuse_copy_file_range_in {
	uint64_t fh_in;
	uint64_t off_in;
	uint64_t nodeid_out;
	uint64_t fh_out;
	uint64_t off_out;
	uint64_t len;
	uint64_t flags;
};
FUSE_SIZE_IS(fuse_copy_file_range_in, 56);

/* Of COPY_FILE_RANGE_64; COPY_FILE_RANGE has a write_out */
struct fuse_copy_file_range_out {
	uint64_t bytes_copied;
};
FUSE_SIZE_IS(fuse_copy_file_range_out, 8);

struct fuse_syncfs_in {
	uint64_t padding;
};
FUSE_SIZE_IS(fuse_syncfs_in, 8);

struct fuse_interrupt_in {
	uint64_t unique; /* of the request to interrupt */
};
FUSE_SIZE_IS(fuse_interrupt_in, 8);

struct fuse_bmap_in {
	uint64_t block;
	uint32_t blocksize;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_bmap_in, 16);

struct fuse_bmap_out {
	uint64_t block;
};
FUSE_SIZE_IS(fuse_bmap_out, 8);

struct fuse_poll_in {
	uint64_t fh;
	uint64_t kh;
	uint32_t flags;
	uint32_t events;
};
FUSE_SIZE_IS(fuse_poll_in, 24);

struct fuse_poll_out {
	uint32_t revents;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_poll_out, 8);

/* Extended attributes */
#define FUSE_COMPAT_SETXATTR_IN_SIZE 8u /* without FUSE_SETXATTR_EXT */

struct fuse_setxattr_in {
	uint32_t size; /* of the value, which follows the name */
	uint32_t flags;
	uint32_t setxattr_flags; /* FUSE_SETXATTR_* */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_setxattr_in, 16);

/* LISTXATTR too. Size 0 asks for the size: the reply is a getxattr_out, else bytes. */
struct fuse_getxattr_in {
	uint32_t size;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_getxattr_in, 8);

struct fuse_getxattr_out {
	uint32_t size;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_getxattr_out, 8);

/* Locks */
struct fuse_file_lock {
	uint64_t start;
	uint64_t end; /* inclusive; INT64_MAX: to the end of the file */
	uint32_t type;
	uint32_t pid;
};
FUSE_SIZE_IS(fuse_file_lock, 24);

struct fuse_lk_in {
	uint64_t fh;
	uint64_t owner;
	struct fuse_file_lock lk;
	uint32_t lk_flags;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_lk_in, 48);
FUSE_FIELD_AT(fuse_lk_in, lk_flags, 40);

struct fuse_lk_out {
	struct fuse_file_lock lk;
};
FUSE_SIZE_IS(fuse_lk_out, 24);

/* ioctl */
struct fuse_ioctl_in {
	uint64_t fh;
	uint32_t flags; /* FUSE_IOCTL_* */
	uint32_t cmd;
	uint64_t arg;
	uint32_t in_size; /* bytes that follow */
	uint32_t out_size;
};
FUSE_SIZE_IS(fuse_ioctl_in, 32);
FUSE_FIELD_AT(fuse_ioctl_in, arg, 16);

struct fuse_ioctl_iovec {
	uint64_t base;
	uint64_t len;
};
FUSE_SIZE_IS(fuse_ioctl_iovec, 16);

struct fuse_ioctl_out {
	int32_t result;
	uint32_t flags;
	uint32_t in_iovs;
	uint32_t out_iovs;
};
FUSE_SIZE_IS(fuse_ioctl_out, 16);

/*
 * Directories. The name follows its fuse_dirent, at FUSE_NAME_OFFSET, without NUL; records of both
 * streams are padded to 8 bytes.
 */
struct fuse_dirent {
	uint64_t ino;
	uint64_t off; /* of the entry after this one */
	uint32_t namelen;
	uint32_t type; /* DT_* */
};
FUSE_SIZE_IS(fuse_dirent, 24);

struct fuse_direntplus {
	struct fuse_entry_out entry_out;
	struct fuse_dirent dirent;
};
FUSE_SIZE_IS(fuse_direntplus, 152);
FUSE_FIELD_AT(fuse_direntplus, dirent, 128);

#define FUSE_REC_ALIGN(bytes)	    (((bytes) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1))
#define FUSE_NAME_OFFSET	    sizeof(struct fuse_dirent)
#define FUSE_NAME_OFFSET_DIRENTPLUS (sizeof(struct fuse_entry_out) + FUSE_NAME_OFFSET)
#define FUSE_DIRENT_SIZE(namelen)   FUSE_REC_ALIGN(FUSE_NAME_OFFSET + (size_t)(namelen))
#define FUSE_DIRENTPLUS_SIZE(namelen) \
	FUSE_REC_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + (size_t)(namelen))

/* DAX window */
struct fuse_setupmapping_in {
	uint64_t fh;
	uint64_t foffset;
	uint64_t len;
	uint64_t flags; /* FUSE_SETUPMAPPING_FLAG_* */
	uint64_t moffset;
};
FUSE_SIZE_IS(fuse_setupmapping_in, 40);

struct fuse_removemapping_in {
	uint32_t count; /* fuse_removemapping_one follow, without padding */
};
FUSE_SIZE_IS(fuse_removemapping_in, 4);

struct fuse_removemapping_one {
	uint64_t moffset;
	uint64_t len;
};
FUSE_SIZE_IS(fuse_removemapping_one, 16);

/*
 * Extensions at the end of requests that create something, each padded to 8 bytes. All start
 * with size and a number: up to FUSE_MAX_NR_SECCTX it is a count of security contexts, above it
 * the type of the extension.
 */
#define FUSE_MAX_NR_SECCTX 31u
#define FUSE_EXT_GROUPS	   32u

struct fuse_ext_header {
	uint32_t size; /* with this header */
	uint32_t type;
};
FUSE_SIZE_IS(fuse_ext_header, 8);

struct fuse_secctx_header {
	uint32_t size; /* of all contexts, with this header */
	uint32_t nr_secctx;
};
FUSE_SIZE_IS(fuse_secctx_header, 8);

/* Then the name with its NUL, then the context */
struct fuse_secctx {
	uint32_t size; /* of the context alone */
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_secctx, 8);

struct fuse_supp_groups {
	uint32_t nr_groups;
	uint32_t groups[];
};
FUSE_SIZE_IS(fuse_supp_groups, 4);

/* Notifications */
struct fuse_notify_poll_wakeup_out {
	uint64_t kh;
};
FUSE_SIZE_IS(fuse_notify_poll_wakeup_out, 8);

struct fuse_notify_inval_inode_out {
	uint64_t ino;
	int64_t off;
	int64_t len;
};
FUSE_SIZE_IS(fuse_notify_inval_inode_out, 24);

struct fuse_notify_inval_entry_out {
	uint64_t parent;
	uint32_t namelen;
	uint32_t flags;
};
FUSE_SIZE_IS(fuse_notify_inval_entry_out, 16);

struct fuse_notify_delete_out {
	uint64_t parent;
	uint64_t child;
	uint32_t namelen;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_notify_delete_out, 24);

struct fuse_notify_store_out {
	uint64_t nodeid;
	uint64_t offset;
	uint32_t size;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_notify_store_out, 24);

struct fuse_notify_retrieve_out {
	uint64_t notify_unique;
	uint64_t nodeid;
	uint64_t offset;
	uint32_t size;
	uint32_t padding;
};
FUSE_SIZE_IS(fuse_notify_retrieve_out, 32);

/* Of NOTIFY_REPLY: laid out as write_in */
struct fuse_notify_retrieve_in {
	uint64_t dummy1;
	uint64_t offset;
	uint32_t size;
	uint32_t dummy2;
	uint64_t dummy3;
	uint64_t dummy4;
};
FUSE_SIZE_IS(fuse_notify_retrieve_in, 40);

struct fuse_notify_prune_out {
	uint32_t count; /* node ids follow */
	uint32_t padding;
	uint64_t spare;
};
FUSE_SIZE_IS(fuse_notify_prune_out, 16);

#undef FUSE_SIZE_IS
#undef FUSE_FIELD_AT

#endif
