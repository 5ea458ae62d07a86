/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `vdax fs` was told, after the options are parsed and checked: const from then on. Strings
 * are borrowed from the command line and live as long as the process. What a value means for the
 * guest is in docs/vdax-fs.8.
 */
#ifndef FS_CONFIG_H
#define FS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define FS_QUEUES_DEFAULT 8u
#define FS_QUEUES_MAX	  16u
#define FS_POOL_MAX	  4u
#define FS_ID_RULES_MAX	  32u /* --translate-uid or --translate-gid, each */
#define FS_TAG_MAX	  36u /* bytes of the tag; virtio 1.3, "File System Device", config */

enum fs_cache {
	FS_CACHE_AUTO,	   /* the guest may keep entries, attributes and data for a second */
	FS_CACHE_ALWAYS,   /* nobody else changes the share: keep everything */
	FS_CACHE_METADATA, /* keep entries and attributes, not data */
	FS_CACHE_NEVER,	   /* keep nothing: opens are direct unless allow_mmap */
};

/* A feature that INIT negotiates. */
enum fs_offer {
	FS_OFFER_OFF,  /* never */
	FS_OFFER_AUTO, /* if the guest has it */
	FS_OFFER_ON,   /* must be: INIT fails if the guest does not have it */
};

enum fs_handles {
	FS_HANDLES_NEVER,     /* one descriptor for each inode that the guest knows */
	FS_HANDLES_PREFER,    /* a file handle where the file system and our rights permit */
	FS_HANDLES_MANDATORY, /* a file handle, or the request fails; checked at the start */
};

enum fs_engine {
	FS_ENGINE_AUTO,	 /* io_uring where the kernel permits it, else the pool */
	FS_ENGINE_URING, /* io_uring, or it is an error at the start */
	FS_ENGINE_POOL,	 /* threads */
};

enum fs_migration_mode {
	FS_MIGRATE_FIND_PATHS,	 /* the state has paths */
	FS_MIGRATE_FILE_HANDLES, /* the state has file handles: same file system at both ends */
};

enum fs_migration_on_error {
	FS_MIGRATE_ABORT,	/* one inode that is not found fails the migration */
	FS_MIGRATE_GUEST_ERROR, /* the guest gets an error when it uses that inode */
};

#define FS_DAX_RANGE	  (2u << 20) /* what Linux maps at once */
#define FS_DAX_WINDOW_MAX (UINT64_C(64) << 30)
#define FS_DAX_MIN_SIZE	  (1u << 20)
#define FS_DAX_MIN_AGE_NS UINT64_C(5000000000)
#define FS_DAX_COPIES	  (UINT64_C(64) << 20)
/*
 * QEMU 11.1.3 aborts at 512 memory regions in a VM, all devices together, if one of them has memory
 * slots; RAM and other devices need some. (KVM has 32764.)
 */
#define FS_DAX_MAPS	480u
#define FS_DAX_MAPS_MAX 32000u
/* A window that Linux cannot need more mappings for: one for each range, and some have two. */
#define FS_DAX_WINDOW_FOR(maps) ((uint64_t)(maps)*15 / 16 * FS_DAX_RANGE)

/*
 * Which files get FUSE_ATTR_DAX, so are mapped by a guest that leaves it to us (dax=inode, its
 * default). docs/vdax-fs.8 says why each rule is there.
 */
struct fs_dax_policy {
	bool never;	   /* none; a guest that insists (dax=always) maps all the same */
	bool exec;	   /* also files with an execute bit */
	bool writers;	   /* also files that somebody has open for writing, here or on the host */
	bool any_fs;	   /* also on file systems that are not known to bear it */
	uint64_t min_size; /* bytes; smaller files are faster by READ */
	uint64_t min_age_ns; /* since the last change of a file */
};

/* Rules in the order they were given; fs/idmap parses them. */
struct fs_id_rules {
	unsigned n;
	const char *v[FS_ID_RULES_MAX]; /* "map:0:100000:65536", "squash-guest:0:1000:5", ... */
};

struct fs_config {
	/* what is served */
	const char *shared_dir; /* as given: for messages only, see struct fs_sandbox */
	const char *tag;	/* NULL: none, so no VIRTIO config space of ours */
	bool readonly;
	bool announce_submounts;

	/* caching */
	enum fs_cache cache;
	uint64_t entry_timeout_ns; /* from cache, or the old -o timeout= */
	uint64_t attr_timeout_ns;
	bool writeback;
	bool allow_direct_io; /* honour the guest's O_DIRECT */
	bool allow_mmap;      /* shared mappings where cache is never or metadata */
	bool readdirplus;
	bool no_open;	 /* offer FUSE_NO_OPEN_SUPPORT */
	bool no_opendir; /* offer FUSE_NO_OPENDIR_SUPPORT */

	/* attributes and rights */
	bool xattr;
	const char *xattrmap; /* fs/xattrmap parses it; NULL: names as they are. Implies xattr */
	enum fs_offer posix_acl;
	enum fs_offer security_label;
	bool killpriv_v2;
	bool posix_lock;
	bool flock;
	bool preserve_noatime;
	struct fs_id_rules translate_uid;
	struct fs_id_rules translate_gid;

	/* resources */
	enum fs_handles inode_file_handles;
	uint64_t rlimit_nofile; /* the limit in force, once the process is set up */
	uint64_t guest_fds;	/* descriptors of this number and above are for us; 0: no limit */
	uint64_t max_inode_fds; /* of the others at most for inodes; the rest is for open files */
	unsigned num_queues;	/* request queues, 1..FS_QUEUES_MAX; the hiprio queue not counted */
	enum fs_engine engine;
	unsigned pool_threads; /* of FS_ENGINE_POOL, 1..FS_POOL_MAX */
	uint64_t poll_ns;      /* longest that an idle queue polls before it sleeps; 0: never */

	/* DAX window */
	uint64_t dax_window; /* bytes, a multiple of FS_DAX_RANGE; 0: none */
	uint64_t dax_copies; /* bytes of private copies of files that cannot be mapped, at most */
	uint32_t dax_maps;   /* live mappings, 1..FS_DAX_MAPS_MAX */
	struct fs_dax_policy dax_policy;

	/* migration */
	enum fs_migration_mode migration_mode;
	enum fs_migration_on_error migration_on_error;
	bool migration_verify_handles; /* the target checks each inode by its file handle */
	bool migration_confirm_paths;  /* the source checks each path before it is sent */
};

/*
 * What the process set-up gives to the file system: open before the sandbox closed behind it,
 * owned by cmd/, open as long as the process. The working directory of the process is
 * /proc/self/fd, so an O_PATH descriptor n is opened again as openat(AT_FDCWD, "n", ...).
 */
struct fs_sandbox {
	int root_fd;	  /* O_PATH, of the share: a directory or, if that was shared, one file */
	int proc_self_fd; /* O_PATH directory: /proc/self/fd */
	int mountinfo_fd; /* read-only: /proc/self/mountinfo, pread() from 0; -1: not to be had */
	bool root_is_file;
};

#endif
