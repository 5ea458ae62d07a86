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

#include <stdint.h>

#include "wire/fuse_structs.h" /* users include this file alone */

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

#endif
