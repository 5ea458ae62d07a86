/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole virtio-fs device on a directory of its own, with a driver that the test plays: requests
 * go through rings, and fs_serve() runs when the test says so, on its thread.
 */
#ifndef TESTS_LIB_FS_DEVICE_H
#define TESTS_LIB_FS_DEVICE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/req.h"
#include "tests/lib/fake_driver.h"

#define FS_DEVICE_QUEUES 3u /* hiprio and two more */
#define FS_DEVICE_RING	 16u
#define FS_DEVICE_SLOTS	 (FS_DEVICE_RING / 2) /* requests at once: each has two descriptors */
#define FS_DEVICE_HALF	 8192u		      /* bytes for a request, and for its reply */

struct fs_device {
	char dir[64];
	int dir_fd;
	struct fs_config cfg;
	struct fs_sandbox box;
	struct device_host host;
	struct fs fs;
	struct fake_driver *driver[FS_DEVICE_QUEUES];
	uint16_t seen[FS_DEVICE_QUEUES]; /* used entries that were looked at */
	bool answered[FS_DEVICE_QUEUES][FS_DEVICE_SLOTS];
	uint64_t again_ns[FS_DEVICE_QUEUES]; /* what fs_serve() returned last */
	_Atomic unsigned woken;		     /* bits of queues */
	_Atomic uint64_t unique;	     /* of the last request */
};

static inline void fs_device_wake(void *ctx, unsigned queue)
{
	struct fs_device *f = ctx;

	f->woken |= 1u << queue;
}

static inline uint8_t *fs_device_request(struct fs_device *f, unsigned q, unsigned slot)
{
	return f->driver[q]->ram + FAKE_DATA + (size_t)slot * 2 * FS_DEVICE_HALF;
}

static inline struct fuse_out_header *fs_device_reply(struct fs_device *f, unsigned q,
						      unsigned slot)
{
	return (void *)(fs_device_request(f, q, slot) + FS_DEVICE_HALF);
}

/* Offers a request with len bytes of body, and room bytes for the body of its reply. */
static inline void fs_device_send(struct fs_device *f, unsigned q, unsigned slot, uint32_t opcode,
				  uint64_t nodeid, const void *body, uint32_t len, uint32_t room)
{
	struct fake_driver *d = f->driver[q];
	uint64_t at = FAKE_DATA + (uint64_t)slot * 2 * FS_DEVICE_HALF;
	const struct fuse_in_header h = {
		.len = (uint32_t)sizeof(h) + len,
		.opcode = opcode,
		.unique = ++f->unique,
		.nodeid = nodeid,
	};
	uint8_t *request = fs_device_request(f, q, slot);

	REQUIRE(h.len <= FS_DEVICE_HALF && sizeof(struct fuse_out_header) + room <= FS_DEVICE_HALF);
	memcpy(request, &h, sizeof(h));
	if (len)
		memcpy(request + sizeof(h), body, len);
	memset(request + FS_DEVICE_HALF, 0, FS_DEVICE_HALF);
	f->answered[q][slot] = false;
	fake_desc(&d->desc[2 * slot], at, h.len, VRING_DESC_F_NEXT, (uint16_t)(2 * slot + 1));
	fake_desc(&d->desc[2 * slot + 1], at + FS_DEVICE_HALF,
		  (uint32_t)sizeof(struct fuse_out_header) + room, VRING_DESC_F_WRITE, 0);
	fake_offer(d, (uint16_t)(2 * slot));
}

/* Runs the queue's thread once. */
static inline void fs_device_serve(struct fs_device *f, unsigned q)
{
	struct fake_driver *d = f->driver[q];

	f->woken &= ~(1u << q);
	f->again_ns[q] = fs_serve(f->fs.queues[q], &d->vq);
	for (; f->seen[q] != fake_used_idx(d); f->seen[q]++) {
		uint32_t head = le32_get(fake_used(d, f->seen[q]).id);

		REQUIRE(head % 2 == 0 && head < FS_DEVICE_RING);
		CHECK_NAMED("answered once", !f->answered[q][head / 2]);
		f->answered[q][head / 2] = true;
	}
}

/* What a slot was answered: 0, -errno, or 1: not yet. */
static inline int fs_device_result(struct fs_device *f, unsigned q, unsigned slot)
{
	return f->answered[q][slot] ? fs_device_reply(f, q, slot)->error : 1;
}

/* Sends, serves; an answer has to be there. -errno, or the bytes of its body, which are copied. */
static inline int fs_device_call(struct fs_device *f, unsigned q, uint32_t opcode, uint64_t nodeid,
				 const void *body, uint32_t len, void *reply, uint32_t room)
{
	unsigned slot = FS_DEVICE_SLOTS - 1;
	const struct fuse_out_header *h = fs_device_reply(f, q, slot);

	fs_device_send(f, q, slot, opcode, nodeid, body, len, room);
	fs_device_serve(f, q);
	REQUIRE(f->answered[q][slot]);
	CHECK_EQ("unique", h->unique, f->unique);
	if (h->error)
		return h->error;
	if (room)
		memcpy(reply, h + 1, room);
	return (int)(h->len - sizeof(*h));
}

/* The node id of a file in the share, or 0. */
static inline uint64_t fs_device_lookup(struct fs_device *f, const char *name)
{
	struct fuse_entry_out out;
	int ret = fs_device_call(f, 1, FUSE_LOOKUP, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1,
				 &out, sizeof(out));

	return ret == sizeof(out) ? out.nodeid : 0;
}

/* fh, or 0. */
static inline uint64_t fs_device_open(struct fs_device *f, uint32_t opcode, uint64_t nodeid,
				      int flags)
{
	const struct fuse_open_in in = { .flags = (uint32_t)flags };
	struct fuse_open_out out;
	int ret = fs_device_call(f, 1, opcode, nodeid, &in, sizeof(in), &out, sizeof(out));

	return ret == sizeof(out) ? out.fh : 0;
}

static inline void fs_device_init_session(struct fs_device *f, uint64_t features)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = (uint32_t)features | (uint32_t)FUSE_INIT_EXT,
		.flags2 = (uint32_t)(features >> 32),
	};
	struct fuse_init_out out;

	CHECK_EQ("INIT", fs_device_call(f, 1, FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)),
		 sizeof(out));
}

/* What the options are unless the test changes them before fs_device_start(). */
static inline struct fs_device *fs_device_new(void)
{
	struct fs_device *f = calloc(1, sizeof(*f));

	REQUIRE(f);
	f->cfg = (struct fs_config){
		.shared_dir = f->dir,
		.readdirplus = true,
		.xattr = true,
		.posix_lock = true,
		.flock = true,
		.inode_file_handles = FS_HANDLES_PREFER,
		.rlimit_nofile = 1024,
		.max_inode_fds = 512,
		.num_queues = FS_DEVICE_QUEUES - 1,
		.engine = FS_ENGINE_POOL,
		.pool_threads = 1,
	};
	snprintf(f->dir, sizeof(f->dir), "%s", "/var/tmp/vdax-fs-device-XXXXXX");
	REQUIRE(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(f->dir_fd >= 0);
	return f;
}

/* Everything but a session of the guest's. */
static inline void fs_device_make(struct fs_device *f)
{
	f->box.root_fd = f->dir_fd;
	f->box.proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->box.mountinfo_fd = -1;
	f->host = (struct device_host){ .wake = fs_device_wake, .ctx = f };
	REQUIRE(f->box.proc_self_fd >= 0 && fchdir(f->box.proc_self_fd) == 0);
	REQUIRE(fs_init(&f->fs, "test", &f->cfg, &f->box) == 0);
	fs_set_host(&f->fs, &f->host);
	for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++)
		f->driver[q] = fake_new(FS_DEVICE_RING, 0);
}

/* With these INIT flags of the guest. */
static inline void fs_device_start(struct fs_device *f, uint64_t features)
{
	fs_device_make(f);
	fs_device_init_session(f, features);
}

static inline int fs_device_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void fs_device_free(struct fs_device *f)
{
	fs_fini(&f->fs);
	for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++) {
		CHECK_EQ("nobody holds the guest's memory", f->driver[q]->mem->refs,
			 f->driver[q]->vq.mem ? 2 : 1);
		fake_free(f->driver[q]);
	}
	close(f->box.proc_self_fd);
	close(f->dir_fd);
	nftw(f->dir, fs_device_rm, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
}

#endif
