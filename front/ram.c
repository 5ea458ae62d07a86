/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/ram.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/align.h"
#include "base/range.h"
#include "front/shmem.h"
#include "host/fd.h"

int front_ram_open(struct front *f)
{
	void *p;

	f->ram_fd = memfd_create("front-ram", MFD_CLOEXEC);
	if (f->ram_fd < 0 || ftruncate(f->ram_fd, (off_t)f->opts.ram_size) < 0)
		return -errno;
	p = mmap(NULL, f->opts.ram_size, PROT_READ | PROT_WRITE, MAP_SHARED, f->ram_fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	f->ram = p;
	f->ram_used = 4096;
	return 0;
}

void front_ram_close(struct front *f)
{
	if (f->ram)
		munmap(f->ram, f->opts.ram_size);
	f->ram = NULL;
	fd_close(&f->ram_fd);
}

void *front_ram_alloc(struct front *f, size_t bytes, size_t align)
{
	uint64_t off = align_up(f->ram_used, align);

	if (!range_ok(off, bytes, f->opts.ram_size))
		return NULL;
	f->ram_used = off + bytes;
	return f->ram + off;
}

uint64_t front_ram_gpa(const struct front *f, const void *ptr, size_t len)
{
	if (!range_within((uintptr_t)ptr, len, (uintptr_t)f->ram, f->opts.ram_size))
		return UINT64_MAX;
	return (uintptr_t)ptr - (uintptr_t)f->ram;
}

static struct vhost_user_region ram_region(const struct front *f)
{
	return (struct vhost_user_region){ .gpa = 0,
					   .size = f->opts.ram_size,
					   .uva = (uintptr_t)f->ram };
}

static struct vhost_user_region mapping_region(const struct front *f, const struct front_mapping *m)
{
	return (struct vhost_user_region){ .gpa = FRONT_BAR_GPA + m->at,
					   .size = m->len,
					   .uva = (uintptr_t)f->bar + m->at,
					   .mmap_offset = m->fd_offset };
}

static int send_region(struct front *f, uint32_t request, struct vhost_user_region region, int fd)
{
	struct front_msg m = { .hdr = { .request = request, .size = sizeof(m.p.reg) },
			       .fds = { fd },
			       .nfds = fd >= 0 };
	int ret;

	m.p.reg.region = region;
	f->stats.tables++;
	ret = front_call(f, &m, FRONT_ACK);
	if (ret == -EREMOTEIO)
		f->stats.refused++;
	return ret;
}

/* Without memory slots: all of it, in one message. */
static int send_whole_table(struct front *f)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_SET_MEM_TABLE },
			       .fds = { f->ram_fd },
			       .nfds = 1 };
	struct vhost_user_mem_table *t = &m.p.table;
	int ret;

	if (f->maps.n >= VHOST_USER_MAX_REGIONS) {
		f->stats.table_full++;
		return -ENOBUFS;
	}
	t->regions[0] = ram_region(f);
	for (const struct front_mapping *o = front_maps_from(&f->maps, 0); o;
	     o = front_maps_from(&f->maps, o->at + o->len)) {
		t->regions[m.nfds] = mapping_region(f, o);
		m.fds[m.nfds++] = o->fd;
	}
	t->nregions = m.nfds;
	m.hdr.size = 8 + m.nfds * (uint32_t)sizeof(t->regions[0]);
	f->stats.tables++;
	ret = front_call(f, &m, FRONT_ACK);
	if (ret == -EREMOTEIO)
		f->stats.refused++;
	return ret;
}

/* The first refusal ends it, as in QEMU, so later regions are not even tried. */
static int send_changes(struct front *f)
{
	struct front_mapping *m;
	int ret = 0;

	if (f->maps.n >= FRONT_MAX_REGIONS)
		f->stats.violations++;
	while (!ret && (m = front_maps_take_gone(&f->maps))) {
		ret = send_region(f, VHOST_USER_REM_MEM_REG, mapping_region(f, m), -1);
		free(m);
	}
	if (!ret && !f->ram_listed) {
		ret = send_region(f, VHOST_USER_ADD_MEM_REG, ram_region(f), f->ram_fd);
		f->ram_listed = !ret;
	}
	while (!ret && (m = front_maps_unlisted(&f->maps))) {
		ret = send_region(f, VHOST_USER_ADD_MEM_REG, mapping_region(f, m), m->fd);
		if (!ret)
			front_maps_list(&f->maps, m, true);
	}
	return ret;
}

int front_table_send(struct front *f)
{
	int ret;

	f->table_dirty = false;
	f->depth++; /* a change that comes meanwhile waits for the next table */
	if (front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = send_changes(f);
	else
		ret = send_whole_table(f);
	f->depth--;
	return ret;
}

void front_table_flush(struct front *f)
{
	while (f->table_dirty && f->running && !f->depth && f->sock >= 0) {
		if (f->faults.no_table)
			f->table_dirty = false;
		else
			front_table_send(f);
	}
}
