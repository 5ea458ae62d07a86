/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-fs device: a host directory, served to one guest.
 *
 * Threads. Each queue has its own (queue 0 is hiprio, the others carry requests); a request is
 * served by the thread of its queue from pop to push. What threads share is in this order of
 * locks, outermost first; none is held over a system call that can block:
 *
 *   fs->locks.lock     POSIX and flock waiters (fs/lock.h)
 *   inode shard locks  the hash of inodes and their lookup counts (fs/inode.h)
 *   mounts.lock        the table of mounts (fs/mount.h)
 *   inodes.fds.lock    which inodes have a descriptor open (fs/inode.c)
 *   handles.lock       the free list of handles (fs/handle.h)
 *
 * Inodes and handles are found without a lock, and counted: see there.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/config.h"
#include "fs/handle.h"
#include "fs/idmap.h"
#include "fs/inode.h"
#include "fs/lock.h"
#include "fs/mount.h"
#include "fs/stats.h"
#include "fs/xattrmap.h"
#include "virtio/device.h"
#include "wire/fuse.h"

#define FS_MAX_QUEUES (1u + FS_QUEUES_MAX)

/* Bytes of one WRITE or READ; what we announce in INIT. */
#define FS_MAX_WRITE (1u << 20)

struct dax;
struct fs_queue;

/*
 * The session that INIT opens and DESTROY ends. Each field is read once for a request; one
 * that races with INIT on another queue, which no honest guest does, sees either value.
 */
struct fs_session {
	_Atomic bool ready;
	_Atomic bool swapped;	   /* the guest's byte order is not ours */
	_Atomic uint32_t minor;	   /* of the guest's protocol 7.x */
	_Atomic uint64_t features; /* FUSE_* INIT flags in force */
};

struct fs {
	const char *name; /* for messages; borrowed */
	const struct fs_config *cfg;
	const struct fs_sandbox *box;
	const struct device_host *host;
	struct device_ops ops; /* what the transport gets */

	struct fs_session session;
	struct inode_table inodes;
	struct handle_table handles;
	struct mount_table mounts;
	struct fs_locks locks;
	struct idmap uids, gids; /* guest to host and back */
	struct xattrmap *xattrs; /* NULL: names as they are */
	bool as_root;		 /* CAP_SETUID and CAP_SETGID: may create files for anybody */
	_Atomic bool logging;	 /* a migration may be under way */
	_Atomic bool frozen;	 /* a ring has stopped during one: locks are not waited for */
	struct pool *pool;	 /* fs/async.h */
	struct dax *dax;	 /* the window; NULL: none */
	struct fs_queue *queues[FS_MAX_QUEUES];
};

/*
 * Before the sandbox is locked, after it is entered: the working directory is /proc/self/fd.
 * Makes the queues (and their I/O engines). cfg, box and name are borrowed and must outlive fs.
 * 0, or -errno after a message; call fs_fini() in both cases.
 */
int fs_init(struct fs *fs, const char *name, const struct fs_config *cfg,
	    const struct fs_sandbox *box);
void fs_fini(struct fs *fs);

/* What the device asks of its transport; before anything is served. */
void fs_set_host(struct fs *fs, const struct device_host *host);

/* Forgets all that the guest has: inodes, handles, locks. Any thread; requests may run. */
void fs_forget_all(struct fs *fs);

/* For migration: as after an INIT with that outcome. -EPROTO if it is none of ours. */
int session_restore(struct fs *fs, uint32_t minor, bool swapped, uint64_t features);

/* Is feature (FUSE_* INIT flag) in force? */
static inline bool fs_has(const struct fs *fs, uint64_t feature)
{
	return atomic_load_explicit(&fs->session.features, memory_order_relaxed) & feature;
}

#endif
