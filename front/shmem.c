/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared-memory regions: one range of reserved address space holds them all, in order of
 * their ids, and stands for QEMU's BAR. A mapping is an mmap over a part of it.
 *
 * QEMU refuses a mapping that overlaps another or exceeds its file, and an unmapping that
 * is not exactly one mapping. An empty file it makes as long as the mapping needs. It crashes on
 * any request that it reads while the device does not run, and on too many mappings; here the
 * first is answered with an error, and both are counted as violations.
 */
#include "front/shmem.h"

#include <errno.h>
#include <fcntl.h>
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
	int prot = f->opts.holes_readable ? PROT_READ | PROT_WRITE : PROT_NONE;
	void *p = mmap(f->bar + off, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static void drop(struct front *f, struct front_mapping *m)
{
	if (make_hole(f, m->at, m->len))
		abort(); /* what is there would be taken for the file's */
	front_maps_remove(&f->maps, m);
}

static void drop_all(struct front *f)
{
	struct front_mapping *m;

	while ((m = front_maps_from(&f->maps, 0)))
		drop(f, m);
}

static void forget_gone(struct front *f)
{
	struct front_mapping *m;

	while ((m = front_maps_take_gone(&f->maps)))
		free(m);
}

void front_backend_close(struct front *f)
{
	fd_close(&f->backend);
	for (unsigned int i = 0; i < f->num_held; i++)
		front_msg_close(&f->held[i]);
	f->num_held = 0;
	drop_all(f);
	forget_gone(f);
	if (f->bar)
		munmap(f->bar, f->bar_size);
	f->bar = NULL;
}

void front_drop_mappings(struct front *f)
{
	bool slots = front_has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	struct front_mapping *m;

	drop_all(f);
	/* QEMU removes a listed region from the table at the next start: freed memory. */
	while ((m = front_maps_take_gone(&f->maps))) {
		f->stats.violations += slots;
		free(m);
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
	return make_hole(f, 0, sum);
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

/* Does the file have [off, off + len)? QEMU makes an empty one longer. */
static bool file_holds(struct front *f, int fd, uint64_t off, uint64_t len)
{
	uint64_t whole = align_up(len, PAGE);
	struct stat st;

	if (fstat(fd, &st) < 0 || !range_ok(off, whole, INT64_MAX))
		return false;
	if (!S_ISREG(st.st_mode) || range_ok(off, whole, (uint64_t)st.st_size))
		return true;
	if (st.st_size)
		return false;
	if (!ftruncate(fd, (off_t)(off + whole)))
		f->stats.grown++;
	return true;
}

/* Is this a mapping that QEMU would try to make? The descriptor is m->fds[0]. */
static bool map_is_good(struct front *f, const struct front_msg *m, uint64_t at)
{
	const struct vhost_user_mmap *r = &m->p.mmap;

	return m->nfds == 1 && r->len && is_aligned(r->fd_offset | r->shm_offset, PAGE) &&
	       range_ok(r->shm_offset, r->len, f->shm_size[r->shmid]) &&
	       !front_maps_find(&f->maps, at, r->len) &&
	       file_holds(f, m->fds[0], r->fd_offset, r->len);
}

/* QEMU asks for read and write whatever the flags say, so an O_RDONLY file gets EACCES. */
static int map_prot(const struct front *f, const struct front_msg *m)
{
	bool reads_only = f->opts.enforce_read_only && !(m->p.mmap.flags & VHOST_USER_SHMEM_RW) &&
			  (fcntl(m->fds[0], F_GETFL) & O_ACCMODE) == O_RDONLY;

	return reads_only ? PROT_READ : PROT_READ | PROT_WRITE;
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

static struct front_mapping *new_mapping(const struct vhost_user_mmap *r, uint64_t at, int fd)
{
	struct front_mapping *m = malloc(sizeof(*m));

	if (m)
		*m = (struct front_mapping){ .at = at,
					     .len = r->len,
					     .fd_offset = r->fd_offset,
					     .shm_offset = r->shm_offset,
					     .fd = fd,
					     .shmid = r->shmid };
	return m;
}

/* Map the file aside, to see whether it can be; answer; then move it to its place. */
static int do_map(struct front *f, struct front_msg *m)
{
	const struct vhost_user_mmap *r = &m->p.mmap;
	uint64_t at = front_bar_offset(f, r->shmid) + r->shm_offset;
	struct front_mapping *mapping;
	void *aside;

	if (!map_is_good(f, m, at))
		return -EINVAL;
	aside = mmap(NULL, r->len, map_prot(f, m), MAP_SHARED, m->fds[0], (off_t)r->fd_offset);
	if (aside == MAP_FAILED)
		return -errno;
	mapping = new_mapping(r, at, m->fds[0]);
	if (!mapping) {
		munmap(aside, r->len);
		return -ENOMEM;
	}
	answer(f, m, 0);
	if (mremap(aside, r->len, r->len, MREMAP_MAYMOVE | MREMAP_FIXED, f->bar + at) == MAP_FAILED)
		abort(); /* promised already; only a lack of memory can do this */
	m->nfds = 0;	 /* the mapping has it now */
	front_maps_add(&f->maps, mapping);
	f->stats.maps++;
	return 0;
}

static int do_unmap(struct front *f, const struct front_msg *m)
{
	const struct vhost_user_mmap *r = &m->p.mmap;
	uint64_t at = front_bar_offset(f, r->shmid) + r->shm_offset;
	struct front_mapping *mapping;

	if (!r->len || !range_ok(r->shm_offset, r->len, f->shm_size[r->shmid]))
		return -EFAULT;
	mapping = front_maps_find(&f->maps, at, r->len);
	if (!mapping || mapping->at != at || mapping->len != r->len)
		return -ENOENT;
	if (f->watch && f->watch(f->watch_ctx, r->shmid, r->shm_offset, r->len))
		f->stats.owned_violations++;
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
