/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared-memory regions: one range of reserved address space holds them all, in order of
 * their ids, and stands for QEMU's BAR. A mapping is an mmap over a part of it.
 *
 * QEMU refuses a mapping that overlaps another or exceeds its file, and an unmapping that
 * is not exactly one mapping. It crashes on any request that it reads while the device does
 * not run; here that is answered with an error and counted as a violation.
 */
#include "front/shmem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "base/range.h"
#include "front/ram.h"
#include "host/fd.h"

#define PAGE 4096u

int front_backend_open(struct front *f)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_SET_BACKEND_REQ_FD }, .nfds = 1 };
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	f->backend = pair[0];
	m.fds[0] = pair[1];
	ret = front_call(f, &m, FRONT_ACK);
	close(pair[1]);
	return ret;
}

/* Give [off, off + len) of the reserved range back its emptiness. */
static int make_hole(struct front *f, uint64_t off, uint64_t len)
{
	void *p = mmap(f->bar + off, len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static void drop(struct front *f, struct front_mapping *m)
{
	make_hole(f, front_bar_offset(f, m->shmid) + m->shm_offset, m->len);
	fd_close(&m->fd);
	m->live = false;
}

void front_backend_close(struct front *f)
{
	fd_close(&f->backend);
	for (unsigned int i = 0; i < f->num_held; i++)
		front_msg_close(&f->held[i]);
	f->num_held = 0;
	for (unsigned int i = 0; i < FRONT_MAX_MAPPINGS; i++) {
		if (f->map[i].live)
			drop(f, &f->map[i]);
	}
	if (f->bar)
		munmap(f->bar, f->bar_size);
	f->bar = NULL;
}

void front_drop_mappings(struct front *f)
{
	bool slots = front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);

	for (unsigned int i = 0; i < FRONT_MAX_MAPPINGS; i++) {
		struct front_mapping *m = &f->map[i];

		/* QEMU removes a listed region from the table at the next start: freed memory. */
		if (m->listed && slots)
			f->stats.violations++;
		if (m->live)
			drop(f, m);
		m->listed = false;
	}
}

int front_shmem_config(struct front *f)
{
	struct front_msg m = { .hdr = { .request = VHOST_USER_GET_SHMEM_CONFIG } };
	unsigned int regions = 0;
	uint64_t sum = 0;
	void *p;
	int ret;

	ret = front_call(f, &m, FRONT_REPLY);
	if (ret)
		return ret;
	if (m.hdr.size != sizeof(m.p.shmem))
		return -EPROTO;
	for (unsigned int i = 0; i < VHOST_USER_MAX_SHMEM; i++) {
		uint64_t size = m.p.shmem.sizes[i];

		if (!is_aligned(size, PAGE) || !range_ok(sum, size, INT64_MAX))
			return -EPROTO;
		f->shm_size[i] = size;
		sum += size;
		regions += size != 0;
	}
	/* QEMU aborts on a sum that can not be a BAR. */
	if (regions != m.p.shmem.nregions || (sum && !is_pow2(sum)))
		return -EPROTO;
	if (!sum)
		return 0;
	p = mmap(NULL, sum, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	f->bar = p;
	f->bar_size = sum;
	return 0;
}

uint64_t front_bar_offset(const struct front *f, uint8_t shmid)
{
	uint64_t off = 0;

	for (unsigned int i = 0; i < shmid; i++)
		off += f->shm_size[i];
	return off;
}

void *front_shm_ptr(const struct front *f, uint8_t shmid)
{
	return f->shm_size[shmid] ? f->bar + front_bar_offset(f, shmid) : NULL;
}

static struct front_mapping *find_mapping(struct front *f, const struct vhost_user_mmap *r)
{
	for (unsigned int i = 0; i < FRONT_MAX_MAPPINGS; i++) {
		struct front_mapping *m = &f->map[i];

		if (m->live && m->shmid == r->shmid && m->shm_offset == r->shm_offset &&
		    m->len == r->len)
			return m;
	}
	return NULL;
}

/* A place for a new mapping, or NULL if one that exists is in the way (or all are used). */
static struct front_mapping *free_mapping(struct front *f, const struct vhost_user_mmap *r)
{
	struct front_mapping *place = NULL;

	for (unsigned int i = 0; i < FRONT_MAX_MAPPINGS; i++) {
		struct front_mapping *m = &f->map[i];

		if (!m->live && !m->listed)
			place = place ? place : m;
		else if (m->live && m->shmid == r->shmid &&
			 range_overlap(m->shm_offset, m->len, r->shm_offset, r->len))
			return NULL;
	}
	return place;
}

static bool file_holds(int fd, uint64_t off, uint64_t len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	return !S_ISREG(st.st_mode) || range_ok(off, align_up(len, PAGE), (uint64_t)st.st_size);
}

/* Is this a mapping that QEMU would make? The descriptor is m->fds[0]. */
static bool map_is_good(const struct front *f, const struct front_msg *m)
{
	const struct vhost_user_mmap *r = &m->p.mmap;

	return m->nfds == 1 && r->len && is_aligned(r->fd_offset | r->shm_offset, PAGE) &&
	       range_ok(r->shm_offset, r->len, f->shm_size[r->shmid]) &&
	       file_holds(m->fds[0], r->fd_offset, r->len);
}

static void answer(struct front *f, const struct front_msg *request, int err)
{
	struct front_msg m = { .hdr = { .request = request->hdr.request,
					.flags = VHOST_USER_VERSION | VHOST_USER_F_REPLY,
					.size = sizeof(m.p.u64) } };

	m.p.u64 = err ? 1 : 0;
	if ((request->hdr.flags & VHOST_USER_F_NEED_REPLY) && f->backend >= 0)
		front_sock_send(f->backend, &m);
}

/* Map the file aside, to see whether it can be; answer; then move it to its place. */
static int do_map(struct front *f, struct front_msg *m)
{
	const struct vhost_user_mmap *r = &m->p.mmap;
	struct front_mapping *place = free_mapping(f, r);
	void *aside, *at;

	if (!place || !map_is_good(f, m))
		return -EINVAL;
	/* QEMU asks for read and write whatever the flags say. */
	aside = mmap(NULL, r->len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0],
		     (off_t)r->fd_offset);
	if (aside == MAP_FAILED)
		return -errno;
	answer(f, m, 0);
	at = f->bar + front_bar_offset(f, r->shmid) + r->shm_offset;
	if (mremap(aside, r->len, r->len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED)
		abort(); /* promised already; only a lack of memory can do this */
	*place = (struct front_mapping){ .live = true,
					 .shmid = r->shmid,
					 .fd = m->fds[0],
					 .fd_offset = r->fd_offset,
					 .shm_offset = r->shm_offset,
					 .len = r->len };
	m->nfds = 0; /* the mapping has it now */
	f->stats.maps++;
	return 0;
}

static int do_unmap(struct front *f, const struct front_msg *m)
{
	struct front_mapping *mapping = find_mapping(f, &m->p.mmap);

	if (!mapping)
		return -ENOENT;
	answer(f, m, 0);
	drop(f, mapping);
	f->stats.unmaps++;
	return 0;
}

static void handle_shmem(struct front *f, struct front_msg *m)
{
	int err = -EPROTO;

	if (!f->window_open) {
		f->stats.violations++;
		answer(f, m, -EPERM);
		return;
	}
	if (m->hdr.size == sizeof(m->p.mmap))
		err = m->hdr.request == VHOST_USER_BACKEND_SHMEM_MAP ? do_map(f, m)
								     : do_unmap(f, m);
	if (err) {
		f->stats.map_errors++;
		answer(f, m, err);
		return;
	}
	f->table_dirty = true;
}

/* As handle_shmem(), but for what a test wants to go wrong. */
static void handle_shmem_faulty(struct front *f, struct front_msg *m)
{
	switch (f->faults.reply) {
	case FRONT_REPLY_NORMAL:
		handle_shmem(f, m);
		break;
	case FRONT_REPLY_ERROR:
		answer(f, m, -EIO);
		break;
	case FRONT_REPLY_LATE:
		if (f->num_held < ARRAY_SIZE(f->held)) {
			f->held[f->num_held++] = *m;
			m->nfds = 0;
		}
		break;
	case FRONT_REPLY_NEVER:
		break;
	}
}

void front_backend_serve(struct front *f)
{
	struct front_msg m;

	if (front_sock_recv(f->backend, &m, f->opts.timeout_ms)) {
		fd_close(&f->backend);
		return;
	}
	f->stats.backend++;
	switch (m.hdr.request) {
	case VHOST_USER_BACKEND_SHMEM_MAP:
	case VHOST_USER_BACKEND_SHMEM_UNMAP:
		handle_shmem_faulty(f, &m);
		break;
	case VHOST_USER_BACKEND_CONFIG_CHANGE_MSG:
		f->stats.config_changes++;
		answer(f, &m, 0);
		break;
	default:
		f->stats.unknown++;
		answer(f, &m, -ENOSYS);
		break;
	}
	front_msg_close(&m);
}

void front_release(struct front *f)
{
	unsigned int n = f->num_held;

	f->num_held = 0;
	for (unsigned int i = 0; i < n; i++) {
		handle_shmem(f, &f->held[i]);
		front_msg_close(&f->held[i]);
	}
	front_table_flush(f);
}
