/* SPDX-License-Identifier: BSD-2-Clause */
/* The device: its life, and what the transport asks of it. */
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/async.h"
#include "fs/cred.h"
#include "fs/dax.h"
#include "fs/req.h"
#include "fs/state.h"
#include "host/log.h"
#include "wire/virtio_fs.h"

static void config_read(void *dev, uint32_t off, void *buf, uint32_t len)
{
	const struct fs *fs = dev;
	struct virtio_fs_config config = { .num_request_queues = le32_of(fs->cfg->num_queues) };

	/* Only with a tag there is a configuration space of ours. A full field has no NUL. */
	memcpy(config.tag, fs->cfg->tag, MIN(strlen(fs->cfg->tag), sizeof(config.tag)));
	memcpy(buf, (const char *)&config + off, len);
}

static void start(void *dev, const struct device_start *how)
{
	struct fs *fs = dev;

	dax_start(fs, how);
	fs->frozen = false; /* if there was a migration, it has failed: we go on */
}

static void stop(void *dev)
{
	dax_stop(dev);
}

static void reset(void *dev)
{
	struct fs *fs = dev;

	fs->session.ready = false;
	fs->session.swapped = false;
	dax_reset(fs);
	fs_forget_all(fs);
}

static void logging(void *dev, bool on)
{
	struct fs *fs = dev;

	fs->logging = on;
}

static uint64_t serve(void *dev, unsigned queue, struct vq *vq)
{
	struct fs *fs = dev;

	return fs_serve(fs->queues[queue], vq);
}

static int wait_fd(void *dev, unsigned queue)
{
	const struct fs *fs = dev;

	return async_fd(fs->queues[queue]->async);
}

static const struct device_ops fs_device_ops = {
	.type = "fs",
	.migratable = true,
	.config_read = config_read,
	.start = start,
	.stop = stop,
	.reset = reset,
	.serve = serve,
	.wait_fd = wait_fd,
	.logging = logging,
	.save = fs_save,
	.load = fs_load,
};

/* The rules of the command line that are texts until here. 0, or -errno after a message. */
static int parse_rules(struct fs *fs)
{
	const struct fs_config *cfg = fs->cfg;
	char err[256];
	int ret = idmap_parse(&fs->uids, cfg->translate_uid.v, cfg->translate_uid.n, err,
			      sizeof(err));

	if (ret) {
		log_err(fs->name, "--translate-uid: %s", err);
		return ret;
	}
	ret = idmap_parse(&fs->gids, cfg->translate_gid.v, cfg->translate_gid.n, err, sizeof(err));
	if (ret) {
		log_err(fs->name, "--translate-gid: %s", err);
		return ret;
	}
	if (!cfg->xattrmap)
		return 0;
	fs->xattrs = calloc(1, sizeof(*fs->xattrs));
	if (!fs->xattrs)
		return -ENOMEM;
	ret = xattrmap_parse(fs->xattrs, cfg->xattrmap, err, sizeof(err));
	if (ret)
		log_err(fs->name, "--xattrmap: %s", err);
	return ret;
}

static int make_tables(struct fs *fs)
{
	int ret = mount_table_init(&fs->mounts);

	if (!ret)
		ret = inode_table_init(&fs->inodes, fs->cfg->max_inode_fds);
	if (!ret)
		ret = handle_table_init(&fs->handles);
	if (!ret)
		ret = locks_init(&fs->locks);
	if (!ret)
		ret = inode_root(fs);
	if (ret)
		log_err(fs->name, "cannot serve the shared directory: %s", strerror(-ret));
	return ret;
}

static int make_queues(struct fs *fs)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < fs->ops.num_queues; i++) {
		fs->queues[i] = fs_queue_new(fs, i);
		ret = fs->queues[i] ? async_new(fs->queues[i], &fs->queues[i]->async) : -ENOMEM;
	}
	if (!ret)
		ret = pool_start(fs, fs->cfg->pool_threads);
	if (ret)
		log_err(fs->name, "cannot make the queues: %s", strerror(-ret));
	return ret;
}

int fs_init(struct fs *fs, const char *name, const struct fs_config *cfg,
	    const struct fs_sandbox *box)
{
	int ret;

	*fs = (struct fs){ .name = name, .cfg = cfg, .box = box, .ops = fs_device_ops };
	fs->ops.num_queues = (uint16_t)(VIRTIO_FS_QUEUE_REQUEST + cfg->num_queues);
	fs->ops.spin_ns = (uint32_t)MIN(cfg->poll_ns, UINT32_MAX);
	fs->ops.config_size = cfg->tag ? sizeof(struct virtio_fs_config) : 0;
	if (cfg->dax_window) {
		fs->ops.migratable = false;
		fs->ops.save = NULL;
		fs->ops.load = NULL;
		fs->ops.shm_size = dax_shm_size;
		fs->ops.shm_file = dax_shm_file;
		fs->ops.attend = dax_attend;
	}
	fs->as_root = cred_can_switch();
	umask(0); /* the guest's kernel applies its own, or sends it */
	ret = parse_rules(fs);
	if (!ret)
		ret = make_tables(fs);
	if (!ret)
		ret = dax_init(fs);
	if (!ret)
		ret = make_queues(fs);
	return ret;
}

void fs_set_host(struct fs *fs, const struct device_host *host)
{
	fs->host = host;
}

void fs_fini(struct fs *fs)
{
	pool_stop(fs);
	dax_fini(fs);
	locks_fini(fs);
	handle_table_fini(fs);
	inode_table_fini(fs);
	mount_table_fini(&fs->mounts);
	for (unsigned i = 0; i < FS_MAX_QUEUES; i++)
		fs_queue_free(fs->queues[i]);
	if (fs->xattrs)
		xattrmap_free(fs->xattrs);
	free(fs->xattrs);
}

void fs_forget_all(struct fs *fs)
{
	locks_forget_all(fs);
	dax_forget(fs);
	handle_release_all(fs);
	inode_forget_all(fs);
}
