/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/device.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/align.h"
#include "base/macros.h"
#include "host/log.h"
#include "wire/pmem.h"

/* QEMU wants all regions together to be a power of two: this one, never mapped, fills up. */
#define FILLER_SHMID 1u

static void config_read(void *dev, uint32_t off, void *buf, uint32_t len)
{
	/* With SHMEM_REGION start and size are not used and are zero (5.19.4). */
	static const struct pmem_config config;

	(void)dev;
	memcpy(buf, (const char *)&config + off, len);
}

static uint64_t shm_size(void *dev, uint8_t shmid)
{
	const struct pmem *p = dev;

	switch (shmid) {
	case PMEM_SHMID:
		return p->img->size;
	case FILLER_SHMID:
		return pow2_up(p->img->size) - p->img->size;
	default:
		return 0;
	}
}

static bool shm_file(void *dev, dev_t st_dev, ino_t st_ino)
{
	const struct pmem *p = dev;

	return p->img->dev == st_dev && p->img->ino == st_ino;
}

static void set_state(struct pmem *p, enum pmem_state state)
{
	p->state = (int)state;
	p->was_mapped |= state == PMEM_MAPPED;
	if (state != PMEM_UNMAPPED)
		p->host->wake(p->host->ctx, 0);
}

static void refused(struct pmem *p, int err)
{
	if (err == -ENOTSUP)
		log_guest(p->name, "the front end cannot map files into the guest (vhost-user "
				   "protocol feature SHMEM): every flush will fail. QEMU 11.1 or "
				   "later can");
	else
		log_guest(p->name, "the front end refused to map the image; its own messages say "
				   "why. Every flush will fail until the guest starts again");
	set_state(p, PMEM_REFUSED);
}

static void map_done(struct shm_req *req, int err)
{
	struct pmem *p = container_of(req, struct pmem, map);

	p->map_pending = false;
	if (!err) {
		p->maps++;
		set_state(p, PMEM_MAPPED);
	} else if (err == -ECANCELED) {
		set_state(p, PMEM_UNMAPPED);
	} else if (err == -EIO && p->continued && p->was_mapped) {
		/* The driver goes on and its mapping with it: that is why a second one fails. */
		p->kept++;
		set_state(p, PMEM_MAPPED);
	} else {
		refused(p, err);
	}
}

static void request_map(struct pmem *p)
{
	int ret;

	assert(!p->map_pending);
	p->map = (struct shm_req){
		.shmid = PMEM_SHMID,
		.writable = true,
		.fd = p->img->map_fd,
		.len = p->img->size,
		.done = map_done,
	};
	ret = p->host->shm->map(p->host->shm_ctx, &p->map);
	if (ret)
		refused(p, ret);
	else
		p->map_pending = true;
}

static void start(void *dev, const struct device_start *how)
{
	struct pmem *p = dev;

	p->continued = how->continued;
	p->was_mapped &= how->continued;
	if (mem_lists(how->mem, p->img->dev, p->img->ino, 0)) {
		p->kept++;
		set_state(p, PMEM_MAPPED);
	} else {
		request_map(p);
	}
}

static void stop(void *dev)
{
	set_state(dev, PMEM_UNMAPPED);
}

static void reset(void *dev)
{
	struct pmem *p = dev;

	stop(dev);
	p->was_mapped = false;
}

static uint64_t serve(void *dev, unsigned queue, struct vq *vq)
{
	struct pmem *p = dev;

	(void)queue;
	if (p->state == PMEM_UNMAPPED)
		return UINT64_MAX; /* set_state() wakes us */
	return flush_serve(p->flush, vq, p->state == PMEM_REFUSED);
}

const struct device_ops pmem_device_ops = {
	.type = "pmem",
	.features = VIRTIO_BIT(PMEM_F_SHMEM_REGION),
	.num_queues = PMEM_NUM_QUEUES,
	.config_size = sizeof(struct pmem_config),
	.config_read = config_read,
	.shm_size = shm_size,
	.shm_file = shm_file,
	.exclusive = true,
	.start = start,
	.stop = stop,
	.reset = reset,
	.serve = serve,
};

void pmem_init(struct pmem *p, const char *name, const struct image *img, struct flush *flush,
	       const struct device_host *host)
{
	*p = (struct pmem){ .name = name, .img = img, .flush = flush, .host = host };
}

const char *pmem_state_name(const struct pmem *p)
{
	static const char *const names[] = {
		[PMEM_UNMAPPED] = "unmapped",
		[PMEM_MAPPED] = "mapped",
		[PMEM_REFUSED] = "refused",
	};

	return names[p->state];
}
