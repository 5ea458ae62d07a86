/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU lists every shared-memory mapping of every device in the memory table of each
 * vhost-user device. With CONFIGURE_MEM_SLOTS it also keeps a shadow table, and after a
 * reset, which frees the mappings, it looks for them there: QEMU 11.1.3 dies of that. So a
 * region that is such a mapping is refused while the device runs, and never gets into the
 * shadow. At a start it is taken: after stop/continue QEMU gives up on a device that
 * refuses then.
 */
#include "vhost/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "host/fd.h"
#include "host/log.h"
#include "vhost/dispatch.h"

/* Makes t the table of the device and of all queues. Takes the reference. */
static void install(struct vhost *v, struct mem_table *t)
{
	mem_put(v->mem);
	v->mem = t;
	for (unsigned i = 0; i < v->ops->num_queues; i++) {
		if (v->workers[i].state == WORKER_IDLE)
			continue;
		vq_set_mem(&v->workers[i].vq, t);
		worker_wake(&v->workers[i]); /* an idle queue must let go of the old one, too */
	}
	backend_table_changed(&v->backend);
}

/* Is fd a mapping that this daemon, or one like it, has made? Or the RAM of the guest? */
static bool is_shm_mapping(const struct vhost *v, int fd)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return false;
	if (v->ops->shm_file && v->ops->shm_file(v->dev, st.st_dev, st.st_ino))
		return true;
	if (S_ISBLK(st.st_mode))
		return true; /* its node may be on a tmpfs: that says nothing about the device */
	if (fs.f_type == HUGETLBFS_MAGIC)
		return false;
	if (fs.f_type == TMPFS_MAGIC)
		return fcntl(fd, F_GET_SEALS) == SHM_MEMFD_SEALS;
	return true; /* RAM is not kept on a disk's file system */
}

/* t and the region; takes the reference on t in every case. NULL with *err set on failure. */
static struct mem_table *grow(struct vhost *v, struct mem_table *t,
			      const struct vhost_user_region *r, int fd, int *err)
{
	struct mem_table *out = NULL;

	*err = mem_with(t, r->gpa, r->size, r->uva, r->mmap_offset, fd, v->mem, &out);
	mem_put(t);
	return out;
}

int op_set_mem_table(struct vhost *v, struct vhost_msg *m)
{
	const struct vhost_user_mem_table *mt = &m->p.mem_table;
	struct mem_table *t;
	int err = 0;

	if (m->hdr.size < offsetof(struct vhost_user_mem_table, regions) ||
	    mt->nregions > VHOST_USER_MAX_REGIONS || mt->nregions != m->nfds ||
	    m->hdr.size < offsetof(struct vhost_user_mem_table, regions) +
				  mt->nregions * sizeof(mt->regions[0]))
		return -EPROTO;
	t = mem_new();
	for (unsigned i = 0; t && i < mt->nregions; i++)
		t = grow(v, t, &mt->regions[i], m->fds[i], &err);
	if (!t)
		return err ? err : -ENOMEM;
	install(v, t);
	return 0;
}

int op_get_max_mem_slots(struct vhost *v, struct vhost_msg *m)
{
	(void)v;
	m->p.u64 = MEM_MAX_REGIONS;
	return sizeof(m->p.u64);
}

int op_add_mem_reg(struct vhost *v, struct vhost_msg *m)
{
	struct mem_table *t;
	int err;

	if (v->dev_started && is_shm_mapping(v, m->fds[0])) {
		log_debug(v->name, "refused a shared-memory mapping as guest memory");
		backend_table_changed(&v->backend);
		return VHOST_REFUSE;
	}
	t = grow(v, mem_get(v->mem), &m->p.mem_reg.region, m->fds[0], &err);
	if (!t)
		return err;
	install(v, t);
	return 0;
}

int op_rem_mem_reg(struct vhost *v, struct vhost_msg *m)
{
	const struct vhost_user_region *r = &m->p.mem_reg.region;
	struct mem_table *t;
	int err = mem_without(v->mem, r->gpa, r->size, r->uva, &t);

	if (err)
		return err;
	install(v, t);
	return 0;
}
