/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUSE protocol 7.45 as virtio-fs carries it: names and numbers of the kernel's <linux/fuse.h>.
 * What only /dev/fuse has (device ioctls, io_uring, CUSE) is left out. No logic here.
 *
 * All integers are in the order of the guest's CPU (VIRTIO 1.3, section 5.11 "File System
 * Device"), hence plain types: fs/byteorder converts at the edge, everything behind it is in host
 * order. Strings in requests end with NUL, those in replies have no NUL.
 */
#ifndef WIRE_FUSE_H
#define WIRE_FUSE_H

#include <stddef.h>
#include <stdint.h>

#define FUSE_SIZE_IS(name, bytes) _Static_assert(sizeof(struct name) == (bytes), #name " size")
#define FUSE_FIELD_AT(name, field, at) \
	_Static_assert(offsetof(struct name, field) == (at), #name "." #field)

#define FUSE_KERNEL_VERSION	  7u
#define FUSE_KERNEL_MINOR_VERSION 45u

#define FUSE_ROOT_ID 1u

/* Smallest buffer for a request that a server may have, in bytes. */
#define FUSE_MIN_READ_BUFFER 8192u

/* Opcodes */
#define FUSE_LOOKUP		1u
#define FUSE_FORGET		2u /* no reply */
#define FUSE_GETATTR		3u
#define FUSE_SETATTR		4u
#define FUSE_READLINK		5u
#define FUSE_SYMLINK		6u
#define FUSE_MKNOD		8u
#define FUSE_MKDIR		9u
#define FUSE_UNLINK		10u
#define FUSE_RMDIR		11u
#define FUSE_RENAME		12u
#define FUSE_LINK		13u
#define FUSE_OPEN		14u
#define FUSE_READ		15u
#define FUSE_WRITE		16u
#define FUSE_STATFS		17u
#define FUSE_RELEASE		18u
#define FUSE_FSYNC		20u
#define FUSE_SETXATTR		21u
#define FUSE_GETXATTR		22u
#define FUSE_LISTXATTR		23u
#define FUSE_REMOVEXATTR	24u
#define FUSE_FLUSH		25u
#define FUSE_INIT		26u
#define FUSE_OPENDIR		27u
#define FUSE_READDIR		28u
#define FUSE_RELEASEDIR		29u
#define FUSE_FSYNCDIR		30u
#define FUSE_GETLK		31u
#define FUSE_SETLK		32u
#define FUSE_SETLKW		33u
#define FUSE_ACCESS		34u
#define FUSE_CREATE		35u
#define FUSE_INTERRUPT		36u
#define FUSE_BMAP		37u
#define FUSE_DESTROY		38u
#define FUSE_IOCTL		39u
#define FUSE_POLL		40u
#define FUSE_NOTIFY_REPLY	41u
#define FUSE_BATCH_FORGET	42u /* no reply */
#define FUSE_FALLOCATE		43u
#define FUSE_READDIRPLUS	44u
#define FUSE_RENAME2		45u
#define FUSE_LSEEK		46u
#define FUSE_COPY_FILE_RANGE	47u
#define FUSE_SETUPMAPPING	48u
#define FUSE_REMOVEMAPPING	49u
#define FUSE_SYNCFS		50u
#define FUSE_TMPFILE		51u
#define FUSE_STATX		52u
#define FUSE_COPY_FILE_RANGE_64 53u
#define FUSE_OPCODE_END		54u /* ours: one past the last; 7 and 19 were never given */

/* FUSE_INIT as a guest of the other byte order sends it. */
#define FUSE_INIT_BSWAP_RESERVED 0x1a000000u

/* Notifications: out_header.error of a message with unique 0 */
#define FUSE_NOTIFY_POLL	1u
#define FUSE_NOTIFY_INVAL_INODE 2u
#define FUSE_NOTIFY_INVAL_ENTRY 3u
#define FUSE_NOTIFY_STORE	4u
#define FUSE_NOTIFY_RETRIEVE	5u
#define FUSE_NOTIFY_DELETE	6u
#define FUSE_NOTIFY_RESEND	7u
#define FUSE_NOTIFY_INC_EPOCH	8u
#define FUSE_NOTIFY_PRUNE	9u

/*
 * INIT flags, request and reply: bits 0..31 are in flags, 32..63 in flags2, which counts only
 * with FUSE_INIT_EXT in flags.
 */
#define FUSE_ASYNC_READ		  (UINT64_C(1) << 0)
#define FUSE_POSIX_LOCKS	  (UINT64_C(1) << 1)
#define FUSE_FILE_OPS		  (UINT64_C(1) << 2)
#define FUSE_ATOMIC_O_TRUNC	  (UINT64_C(1) << 3)
#define FUSE_EXPORT_SUPPORT	  (UINT64_C(1) << 4) /* LOOKUP of "." and ".." works */
#define FUSE_BIG_WRITES		  (UINT64_C(1) << 5)
#define FUSE_DONT_MASK		  (UINT64_C(1) << 6) /* the server applies the umask */
#define FUSE_SPLICE_WRITE	  (UINT64_C(1) << 7)
#define FUSE_SPLICE_MOVE	  (UINT64_C(1) << 8)
#define FUSE_SPLICE_READ	  (UINT64_C(1) << 9)
#define FUSE_FLOCK_LOCKS	  (UINT64_C(1) << 10)
#define FUSE_HAS_IOCTL_DIR	  (UINT64_C(1) << 11)
#define FUSE_AUTO_INVAL_DATA	  (UINT64_C(1) << 12)
#define FUSE_DO_READDIRPLUS	  (UINT64_C(1) << 13)
#define FUSE_READDIRPLUS_AUTO	  (UINT64_C(1) << 14)
#define FUSE_ASYNC_DIO		  (UINT64_C(1) << 15)
#define FUSE_WRITEBACK_CACHE	  (UINT64_C(1) << 16)
#define FUSE_NO_OPEN_SUPPORT	  (UINT64_C(1) << 17)
#define FUSE_PARALLEL_DIROPS	  (UINT64_C(1) << 18)
#define FUSE_HANDLE_KILLPRIV	  (UINT64_C(1) << 19)
#define FUSE_POSIX_ACL		  (UINT64_C(1) << 20)
#define FUSE_ABORT_ERROR	  (UINT64_C(1) << 21)
#define FUSE_MAX_PAGES		  (UINT64_C(1) << 22) /* init_out.max_pages counts */
#define FUSE_CACHE_SYMLINKS	  (UINT64_C(1) << 23)
#define FUSE_NO_OPENDIR_SUPPORT	  (UINT64_C(1) << 24)
#define FUSE_EXPLICIT_INVAL_DATA  (UINT64_C(1) << 25)
#define FUSE_MAP_ALIGNMENT	  (UINT64_C(1) << 26) /* init_out.map_alignment counts */
#define FUSE_SUBMOUNTS		  (UINT64_C(1) << 27)
#define FUSE_HANDLE_KILLPRIV_V2	  (UINT64_C(1) << 28)
#define FUSE_SETXATTR_EXT	  (UINT64_C(1) << 29) /* whole setxattr_in, not the short one */
#define FUSE_INIT_EXT		  (UINT64_C(1) << 30)
#define FUSE_INIT_RESERVED	  (UINT64_C(1) << 31)
#define FUSE_SECURITY_CTX	  (UINT64_C(1) << 32)
#define FUSE_HAS_INODE_DAX	  (UINT64_C(1) << 33)
#define FUSE_CREATE_SUPP_GROUP	  (UINT64_C(1) << 34)
#define FUSE_HAS_EXPIRE_ONLY	  (UINT64_C(1) << 35)
#define FUSE_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#define FUSE_PASSTHROUGH	  (UINT64_C(1) << 37)
#define FUSE_NO_EXPORT_SUPPORT	  (UINT64_C(1) << 38)
#define FUSE_HAS_RESEND		  (UINT64_C(1) << 39)
#define FUSE_ALLOW_IDMAP	  (UINT64_C(1) << 40)
#define FUSE_OVER_IO_URING	  (UINT64_C(1) << 41)
#define FUSE_REQUEST_TIMEOUT	  (UINT64_C(1) << 42)

/* setattr_in.valid */
#define FATTR_MODE	   (1u << 0)
#define FATTR_UID	   (1u << 1)
#define FATTR_GID	   (1u << 2)
#define FATTR_SIZE	   (1u << 3)
#define FATTR_ATIME	   (1u << 4)
#define FATTR_MTIME	   (1u << 5)
#define FATTR_FH	   (1u << 6)
#define FATTR_ATIME_NOW	   (1u << 7)
#define FATTR_MTIME_NOW	   (1u << 8)
#define FATTR_LOCKOWNER	   (1u << 9)
#define FATTR_CTIME	   (1u << 10)
#define FATTR_KILL_SUIDGID (1u << 11)

/* open_out.open_flags */
#define FOPEN_DIRECT_IO		     (1u << 0)
#define FOPEN_KEEP_CACHE	     (1u << 1)
#define FOPEN_NONSEEKABLE	     (1u << 2)
#define FOPEN_CACHE_DIR		     (1u << 3)
#define FOPEN_STREAM		     (1u << 4)
#define FOPEN_NOFLUSH		     (1u << 5) /* no FLUSH at close() */
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)
#define FOPEN_PASSTHROUGH	     (1u << 7)

/* attr.flags */
#define FUSE_ATTR_SUBMOUNT (1u << 0)
#define FUSE_ATTR_DAX	   (1u << 1)

/* open_in.open_flags, create_in.open_flags; release_in.release_flags; getattr_flags; ... */
#define FUSE_OPEN_KILL_SUIDGID	    (1u << 0)
#define FUSE_RELEASE_FLUSH	    (1u << 0)
#define FUSE_RELEASE_FLOCK_UNLOCK   (1u << 1)
#define FUSE_GETATTR_FH		    (1u << 0)
#define FUSE_LK_FLOCK		    (1u << 0)
#define FUSE_WRITE_CACHE	    (1u << 0) /* from the page cache: fh is a guess */
#define FUSE_WRITE_LOCKOWNER	    (1u << 1)
#define FUSE_WRITE_KILL_SUIDGID	    (1u << 2)
#define FUSE_READ_LOCKOWNER	    (1u << 1)
#define FUSE_FSYNC_FDATASYNC	    (1u << 0)
#define FUSE_SETXATTR_ACL_KILL_SGID (1u << 0)
#define FUSE_POLL_SCHEDULE_NOTIFY   (1u << 0)
#define FUSE_EXPIRE_ONLY	    (1u << 0) /* notify_inval_entry_out.flags */

/* ioctl_in.flags, ioctl_out.flags */
#define FUSE_IOCTL_COMPAT	(1u << 0)
#define FUSE_IOCTL_UNRESTRICTED (1u << 1)
#define FUSE_IOCTL_RETRY	(1u << 2)
#define FUSE_IOCTL_32BIT	(1u << 3)
#define FUSE_IOCTL_DIR		(1u << 4)
#define FUSE_IOCTL_COMPAT_X32	(1u << 5)
#define FUSE_IOCTL_MAX_IOV	256u

/* setupmapping_in.flags: 64 bits */
#define FUSE_SETUPMAPPING_FLAG_WRITE (UINT64_C(1) << 0)
#define FUSE_SETUPMAPPING_FLAG_READ  (UINT64_C(1) << 1)

/* Bit of in_header.unique: the request was sent before, its reply never came. */
#define FUSE_UNIQUE_RESEND (UINT64_C(1) << 63)

/* in_header.uid and gid with FUSE_ALLOW_IDMAP: has no mapping, and the request needs none */
#define FUSE_INVALID_UIDGID UINT32_MAX

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

/* Directories. Records of both streams are padded to 8 bytes. */
struct fuse_dirent {
	uint64_t ino;
	uint64_t off; /* of the entry after this one */
	uint32_t namelen;
	uint32_t type; /* DT_* */
	char name[];   /* no NUL */
};
FUSE_SIZE_IS(fuse_dirent, 24);

struct fuse_direntplus {
	struct fuse_entry_out entry_out;
	struct fuse_dirent dirent;
};
FUSE_SIZE_IS(fuse_direntplus, 152);
FUSE_FIELD_AT(fuse_direntplus, dirent, 128);

#define FUSE_REC_ALIGN(bytes)	    (((bytes) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1))
#define FUSE_NAME_OFFSET	    offsetof(struct fuse_dirent, name)
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

#endif
