/* SPDX-License-Identifier: BSD-2-Clause */
/* INIT: what guest and server agree on. */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "fs/dax.h"
#include "fs/fs.h"
#include "fs/ops.h"
#include "host/log.h"

#define MAJOR	     FUSE_KERNEL_VERSION
#define MINOR_OLDEST 27u /* virtio-fs is of Linux 5.4, which has 7.31 */

/* A feature, and whether the configuration wants it. */
struct offer {
	uint64_t feature;
	bool (*wanted)(const struct fs_config *cfg);
	const char *required_by; /* the option that fails without it, or NULL */
	enum fs_offer (*how)(const struct fs_config *cfg);
};

static bool want_readdirplus(const struct fs_config *cfg)
{
	return cfg->readdirplus;
}

static bool want_submounts(const struct fs_config *cfg)
{
	return cfg->announce_submounts;
}

static bool want_writeback(const struct fs_config *cfg)
{
	return cfg->writeback;
}

static bool want_posix_lock(const struct fs_config *cfg)
{
	return cfg->posix_lock;
}

static bool want_flock(const struct fs_config *cfg)
{
	return cfg->flock;
}

static bool want_killpriv_v2(const struct fs_config *cfg)
{
	return cfg->killpriv_v2;
}

static bool want_no_open(const struct fs_config *cfg)
{
	return cfg->no_open;
}

static bool want_no_opendir(const struct fs_config *cfg)
{
	return cfg->no_opendir;
}

static bool want_mmap(const struct fs_config *cfg)
{
	return cfg->allow_mmap;
}

static bool want_dax(const struct fs_config *cfg)
{
	return cfg->dax_window;
}

static bool want_acl(const struct fs_config *cfg)
{
	return cfg->posix_acl != FS_OFFER_OFF;
}

static bool want_label(const struct fs_config *cfg)
{
	return cfg->security_label != FS_OFFER_OFF;
}

static enum fs_offer how_acl(const struct fs_config *cfg)
{
	return cfg->posix_acl;
}

static enum fs_offer how_label(const struct fs_config *cfg)
{
	return cfg->security_label;
}

/* What a Linux guest gets if it has it. The rest it does by itself. */
static const struct offer offers[] = {
	{ FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS |
		  FUSE_AUTO_INVAL_DATA | FUSE_HAS_IOCTL_DIR | FUSE_ASYNC_DIO | FUSE_MAX_PAGES |
		  FUSE_CACHE_SYMLINKS | FUSE_SETXATTR_EXT | FUSE_INIT_EXT | FUSE_CREATE_SUPP_GROUP |
		  FUSE_ALLOW_IDMAP,
	  NULL, NULL, NULL },
	{ FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO, want_readdirplus, NULL, NULL },
	{ FUSE_SUBMOUNTS, want_submounts, NULL, NULL },
	{ FUSE_WRITEBACK_CACHE, want_writeback, NULL, NULL },
	{ FUSE_POSIX_LOCKS, want_posix_lock, NULL, NULL },
	{ FUSE_FLOCK_LOCKS, want_flock, NULL, NULL },
	{ FUSE_HANDLE_KILLPRIV_V2, want_killpriv_v2, NULL, NULL },
	{ FUSE_NO_OPEN_SUPPORT, want_no_open, NULL, NULL },
	{ FUSE_NO_OPENDIR_SUPPORT, want_no_opendir, NULL, NULL },
	{ FUSE_DIRECT_IO_ALLOW_MMAP, want_mmap, NULL, NULL },
	{ FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX, want_dax, NULL, NULL },
	/* With ACLs the umask is ours to apply, as a default ACL replaces it. */
	{ FUSE_POSIX_ACL | FUSE_DONT_MASK, want_acl, "--posix-acl", how_acl },
	{ FUSE_SECURITY_CTX, want_label, "--security-label", how_label },
};

/*
 * The guest drops what it has cached of a file that has changed. Linux from 6.15 on (FUSE 7.43)
 * does so with a file on DAX that is mapped, too, and loses its records of these pages: a warning,
 * and that part of the window can never be given back. Our stores change files, so it is to leave
 * it.
 */
static uint64_t keep_mapped(uint64_t features, uint64_t guest, uint32_t minor)
{
	if (!(features & FUSE_MAP_ALIGNMENT) || minor < 43)
		return features;
	return (features & ~FUSE_AUTO_INVAL_DATA) | (guest & FUSE_EXPLICIT_INVAL_DATA);
}

/* What the guest offered and we want. -EPROTO if it lacks what must be. */
static int negotiate(const struct fs *fs, uint64_t guest, uint64_t *features)
{
	*features = 0;
	if (fs->cfg->no_open) /* with OPEN goes what it would truncate */
		guest &= ~FUSE_ATOMIC_O_TRUNC;
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		const struct offer *o = &offers[i];

		if (o->wanted && !o->wanted(fs->cfg))
			continue;
		*features |= o->feature & guest;
		if (o->how && o->how(fs->cfg) == FS_OFFER_ON && (o->feature & ~guest)) {
			log_guest(fs->name, "the guest does not have what %s needs",
				  o->required_by);
			return -EPROTO;
		}
	}
	return 0;
}

static uint64_t guest_features(const struct fuse_init_in *in)
{
	uint64_t flags = in->flags;

	if (flags & FUSE_INIT_EXT)
		flags |= (uint64_t)in->flags2 << 32;
	return flags;
}

static void fill_out(struct fuse_init_out *out, uint32_t readahead, uint64_t features)
{
	*out = (struct fuse_init_out){
		.major = MAJOR,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = readahead,
		.flags = (uint32_t)features,
		.flags2 = features & FUSE_INIT_EXT ? (uint32_t)(features >> 32) : 0,
		.max_background = UINT16_MAX,
		.congestion_threshold = UINT16_MAX / 4 * 3,
		.max_write = FS_MAX_WRITE,
		.max_pages = FS_MAX_WRITE / 4096,
		.time_gran = 1,
		.map_alignment = features & FUSE_MAP_ALIGNMENT ? DAX_ALIGN_SHIFT : 0,
	};
}

/* A guest may begin as many sessions as it likes, but not fill the log with them. */
static void log_session(const struct fs_req *rq, const struct fuse_init_in *in, uint64_t features)
{
	static struct log_limit limit;

	if (log_allowed(&limit, rq->fs->name))
		log_info(rq->fs->name, "FUSE %u.%u, %s-endian guest, features %#llx", in->major,
			 in->minor,
			 rq->swapped == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) ? "big"
										    : "little",
			 (unsigned long long)features);
}

int op_init(struct fs_req *rq)
{
	struct fs *fs = rq->fs;
	struct fuse_init_in in = { 0 };
	uint64_t features;
	int ret;

	memcpy(&in, rq->body, MIN(rq->body_len, sizeof(in)));
	if (in.major > MAJOR) {
		/* It asks again, with ours. */
		fill_out(FS_REPLY(rq, fuse_init_out), 0, 0);
		return sizeof(struct fuse_init_out);
	}
	if (in.major < MAJOR || in.minor < MINOR_OLDEST) {
		log_guest(fs->name, "the guest speaks FUSE %u.%u, which is too old", in.major,
			  in.minor);
		return -EPROTO;
	}
	ret = negotiate(fs, guest_features(&in), &features);
	if (!ret)
		ret = dax_negotiate(fs, &features);
	if (ret)
		return ret;
	features = keep_mapped(features, guest_features(&in), in.minor);
	/* A guest that starts over without a word has forgotten what it had. */
	fs->session.ready = false;
	fs_forget_all(fs);
	fs->session.minor = in.minor;
	fs->session.features = features;
	fs->session.swapped = rq->swapped;
	fs->session.ready = true;
	log_session(rq, &in, features);
	fill_out(FS_REPLY(rq, fuse_init_out), in.max_readahead, features);
	return sizeof(struct fuse_init_out);
}

int session_restore(struct fs *fs, uint32_t minor, bool swapped, uint64_t features)
{
	uint64_t ours;
	int ret = minor < MINOR_OLDEST ? -EPROTO : negotiate(fs, features, &ours);

	if (ret)
		return ret;
	if (ours != features) {
		log_err(fs->name,
			"migration: the guest has features %#llx, which this side was not "
			"told to offer; both need the same options",
			(unsigned long long)(features & ~ours));
		return -EPROTO;
	}
	fs->session.minor = minor;
	fs->session.features = features;
	fs->session.swapped = swapped;
	fs->session.ready = true;
	return 0;
}
