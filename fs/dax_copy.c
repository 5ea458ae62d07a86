/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private copies: memory of ours in the window, where the file itself cannot be mapped. A front end
 * maps whole pages within the size of a file, so its last, partial page is a copy, and so is the
 * place behind it, into which it may grow. All copies are in one memory file of the window's size,
 * each at its offset in the window.
 *
 * A copy that the guest only reads is filled from the file again whenever that may have changed.
 * One that it may store into has a base as well: what file and copy were when they were last the
 * same. What differs from the base in the copy was stored by the guest and goes to the file; what
 * differs in the file was changed elsewhere and goes to the copy; where both do the guest wins.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/dax_window.h"
#include "fs/seccomp.h"
#include "host/fd.h"
#include "host/log.h"

const int fs_dax_copy_syscalls[] = { SCMP_SYS(fstat),  SCMP_SYS(pread64),   SCMP_SYS(pwrite64),
				     SCMP_SYS(lseek),  SCMP_SYS(fallocate), SCMP_SYS(mmap),
				     SCMP_SYS(munmap), SYSCALLS_END };

#define CHUNK (64u << 10)

int dax_copies_init(struct dax *d)
{
	struct stat st;
	char path[32];

	d->copies_fd = memfd_create("vdax-dax", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->copies_fd < 0 || ftruncate(d->copies_fd, (off_t)d->size) < 0 ||
	    fcntl(d->copies_fd, F_ADD_SEALS, SHM_MEMFD_SEALS) < 0 || fstat(d->copies_fd, &st) < 0)
		return -errno;
	d->copies_dev = st.st_dev;
	d->copies_ino = st.st_ino;
	snprintf(path, sizeof(path), "%d", d->copies_fd); /* below our working directory */
	d->copies_ro_fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	d->copies = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			 d->copies_fd, 0);
	if (d->copies == MAP_FAILED) {
		d->copies = NULL;
		return -errno;
	}
	d->buffer = malloc(CHUNK);
	d->scratch = malloc(CHUNK);
	return d->buffer && d->scratch ? 0 : -ENOMEM;
}

void dax_copies_fini(struct dax *d)
{
	if (d->copies)
		munmap(d->copies, d->size);
	fd_close(&d->copies_fd);
	fd_close(&d->copies_ro_fd);
	free(d->buffer);
	free(d->scratch);
}

/* --- bringing together --- */

/* A range of one copy, at most CHUNK. off is from the begin of the piece. */
struct part {
	struct dax_piece *p;
	uint64_t off;
	size_t len;
	uint8_t *copy, *base; /* base: NULL, if the guest only reads */
	uint8_t *file;	      /* what the file has there; NULL: nobody has looked */
};

static struct part part_of(const struct dax *d, struct dax_piece *p, uint64_t at, uint64_t end)
{
	return (struct part){
		.p = p,
		.off = at,
		.len = (size_t)MIN(end - at, CHUNK),
		.copy = d->copies + p->off + at,
		.base = p->base ? p->base + at : NULL,
	};
}

/* Bytes, or -errno; less than len only at the end of the file. */
static ssize_t read_all(int fd, uint8_t *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int write_all(int fd, const uint8_t *buf, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buf += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int size_of(const struct dax_file *f, uint64_t *size)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* How many of len bytes at off are below end. */
static size_t below(uint64_t off, size_t len, uint64_t end)
{
	return off >= end ? 0 : MIN(len, end - off);
}

/* The first byte at or behind off that fd has data for; end at most. */
static uint64_t next_data(int fd, uint64_t off, uint64_t end)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : off;
	return MIN((uint64_t)data, end);
}

/*
 * What the guest has stored into [0, len) of the part since goes to the file, which is not made
 * longer by that. 0 or -errno: then the rest is tried again another time.
 */
static int push(struct dax *d, const struct part *a, size_t len)
{
	const volatile uint8_t *copy = a->copy; /* the guest goes on */
	uint64_t at = a->p->foff + a->off, size;
	uint8_t *to = d->scratch;
	int ret, err;

	if (!memcmp(a->copy, a->base, len))
		return 0;
	ret = size_of(a->p->file, &size);
	len = ret ? 0 : below(at, len, size);
	for (size_t i = 0, end; i < len; i = end) {
		for (end = i; end < len && (to[end] = copy[end]) != a->base[end]; end++)
			;
		if (end == i) {
			end++;
			continue;
		}
		err = write_all(a->p->file->fd, to + i, end - i, at + i);
		ret = ret ? ret : err;
		if (err)
			continue;
		d->write_back_ns = DAX_WRITE_BACK_MIN_NS; /* it will store more */
		memcpy(a->base + i, to + i, end - i);
		if (a->file)
			memcpy(a->file + i, to + i, end - i);
	}
	return ret;
}

/* What was changed elsewhere goes to the copy; of what is new there, from known on, everything. */
static void pull(const struct part *a, size_t len, size_t known)
{
	for (size_t i = 0, end; i < len; i = end) {
		for (end = i; end < len && (end >= known || a->file[end] != a->base[end]); end++)
			a->base[end] = a->file[end];
		if (end == i)
			end++;
		else
			memcpy(a->copy + i, a->base + i, end - i);
	}
}

/*
 * One part. valid: how much of it is within the file; known: how much was so at the last time.
 * Behind the end of the file a copy is 0.
 */
static int merge_part(struct dax *d, const struct part *a, size_t valid, size_t known, bool *unread)
{
	const struct dax_file *f = a->p->file;
	ssize_t n = read_all(f->fd, a->file, valid, a->p->foff + a->off);
	int ret = 0;

	*unread |= n < 0;
	if (n < 0)
		return (int)n;
	valid = (size_t)n; /* it may have become shorter just now */
	memset(a->file + valid, 0, a->len - valid);
	if (!a->base) {
		memcpy(a->copy, a->file, a->len);
		return 0;
	}
	if (f->writable)
		ret = push(d, a, MIN(valid, known));
	if (valid != known || memcmp(a->file, a->base, known))
		pull(a, a->len, MIN(valid, known));
	return ret;
}

/* How much of p is within a file of that size. */
static uint64_t valid_of(const struct dax_piece *p, uint64_t size)
{
	return size > p->foff ? MIN(size - p->foff, p->len) : 0;
}

/* Where in p, from at on, is anything: in the file, or in the copy? */
static uint64_t next_part(const struct dax *d, const struct dax_piece *p, uint64_t at, uint64_t end)
{
	uint64_t file = next_data(p->file->fd, p->foff + at, p->foff + end) - p->foff;
	uint64_t copy = next_data(d->copies_fd, p->off + at, p->off + end) - p->off;

	return MIN(file, copy);
}

/* [off, end) of the file, as far as the copy p has it; size is the file's. */
static int merge_piece(struct dax *d, struct dax_piece *p, uint64_t off, uint64_t end,
		       uint64_t size)
{
	uint64_t valid = valid_of(p, size);
	uint64_t from = off > p->foff ? off - p->foff : 0;
	uint64_t to = end > p->foff ? MIN(end - p->foff, p->len) : 0;
	bool unread = false;
	int ret = 0;

	/* What has begun or ceased to exist is to be seen to whatever was asked for. */
	if (valid != p->valid) {
		from = MIN(from, MIN(valid, p->valid));
		to = MAX(to, MAX(valid, p->valid));
	}
	to = MIN(to, MAX(valid, p->valid));
	while ((from = next_part(d, p, MIN(from, to), to)) < to) {
		struct part a = part_of(d, p, from, to);
		int err;

		a.file = d->buffer;
		err = merge_part(d, &a, below(from, a.len, valid), below(from, a.len, p->valid),
				 &unread);
		ret = ret ? ret : err;
		from += a.len;
	}
	p->valid = unread ? MIN(valid, p->valid) : valid;
	return ret;
}

/* What the guest has stored into p goes to the file, of which nothing has to be read for that. */
static int save_piece(struct dax *d, struct dax_piece *p)
{
	uint64_t at = 0;
	int ret = 0;

	if (!p->base || !p->file->writable)
		return 0;
	while ((at = next_data(d->copies_fd, p->off + at, p->off + p->valid) - p->off) < p->valid) {
		const struct part a = part_of(d, p, at, p->valid);
		int err = push(d, &a, a.len);

		ret = ret ? ret : err;
		at += a.len;
	}
	p->unsaved = ret;
	return ret;
}

static int complain(const struct dax *d, int err)
{
	if (err)
		log_guest(d->fs->name, "cannot keep a private copy and its file the same: %s",
			  strerror(-err));
	return err;
}

/*
 * The next copy of f behind p, or the first. One that leaves the list meanwhile is freed by nobody:
 * that takes the copies' lock. One that is not filled yet is for dax_copies_fill() alone: there may
 * be what was stored into a former one at its place.
 */
static struct dax_piece *next_copy(struct dax *d, const struct dax_file *f, struct dax_piece *p)
{
	pthread_mutex_lock(&d->lock);
	p = p ? p->next_of_file : f->pieces;
	while (p && !(p->copy && p->filled))
		p = p->next_of_file;
	pthread_mutex_unlock(&d->lock);
	return p;
}

int dax_copies_merge(struct dax *d, struct dax_file *f, uint64_t off, uint64_t end)
{
	struct dax_piece *p = NULL;
	uint64_t size = 0;
	int ret = size_of(f, &size), err;

	if (ret)
		return complain(d, ret);
	while ((p = next_copy(d, f, p))) {
		err = merge_piece(d, p, off, end, size);
		ret = ret ? ret : err;
	}
	return complain(d, ret);
}

int dax_copies_save(struct dax *d, struct dax_file *f)
{
	struct dax_piece *p = NULL;
	int ret = 0, err;

	while ((p = next_copy(d, f, p))) {
		err = save_piece(d, p);
		ret = ret ? ret : err;
	}
	return complain(d, ret);
}

/* --- stores --- */

/* What file and copy are, now that they are the same. 0 or -ENOMEM. */
static int give_base(struct dax *d, struct dax_piece *p)
{
	uint64_t at = 0, part;
	void *base;

	if (p->base)
		return 0;
	base = mmap(NULL, p->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	p->base = base;
	while ((at = next_data(d->copies_fd, p->off + at, p->off + p->valid) - p->off) < p->valid) {
		part = MIN(p->valid - at, CHUNK);
		memcpy(p->base + at, d->copies + p->off + at, part);
		at += part;
	}
	return 0;
}

/* The next piece of the window from *at on; moves that behind it. */
static struct dax_piece *next_piece(struct dax *d, uint64_t *at, uint64_t end)
{
	struct dax_piece *p;

	pthread_mutex_lock(&d->lock);
	p = dax_map_first(&d->map, *at, end);
	if (p)
		*at = p->off + p->len;
	pthread_mutex_unlock(&d->lock);
	return p;
}

static int fill_piece(struct dax *d, struct dax_piece *p)
{
	uint64_t size = 0;
	int ret = size_of(p->file, &size);

	/* What is in a copy elsewhere, and not in the file yet, belongs here as well. */
	if (!ret)
		ret = dax_copies_save(d, p->file);
	if (!ret)
		ret = merge_piece(d, p, 0, UINT64_MAX, size);
	p->filled |= !ret;
	return complain(d, ret);
}

int dax_copies_fill(struct dax *d, uint64_t off, uint64_t end, bool write)
{
	struct dax_piece *p;
	int ret = 0;

	while (!ret && (p = next_piece(d, &off, end))) {
		bool first = write && p->copy && !p->base;

		ret = p->copy ? fill_piece(d, p) : 0;
		if (!ret && first)
			ret = give_base(d, p);
		pthread_mutex_lock(&d->lock);
		d->n_written += first && !ret;
		p->written |= write && !ret;
		pthread_mutex_unlock(&d->lock);
	}
	return ret;
}

int dax_copies_write_back(struct dax *d)
{
	struct dax_piece *p;
	uint64_t at = 0;
	int ret = 0;

	while ((p = next_piece(d, &at, d->size))) {
		int err = complain(d, save_piece(d, p));

		ret = ret ? ret : err;
	}
	return ret;
}

/* --- the end --- */

/* What was stored and cannot be saved is lost: the next sync or close of the file says so. */
static void save_last(struct dax *d, struct dax_piece *p)
{
	int err = complain(d, save_piece(d, p));
	struct inode *i = err ? inode_get(d->fs, p->file->nodeid) : NULL;

	if (!i)
		return;
	atomic_fetch_or(&i->flags, INODE_DAX_LOST);
	inode_put(d->fs, i);
}

static void bury(struct dax *d, struct dax_piece *p)
{
	if (p->base) {
		save_last(d, p);
		munmap(p->base, p->len);
	}
	if (p->copy)
		fallocate(d->copies_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)p->off,
			  (off_t)p->len);
	pthread_mutex_lock(&d->lock);
	d->n_written -= p->base != NULL;
	dax_file_put(d, p->file);
	pthread_mutex_unlock(&d->lock);
	free(p);
}

static void bury_all(struct dax *d)
{
	struct dax_piece *p, *next;

	pthread_mutex_lock(&d->lock);
	p = d->dead_pieces;
	d->dead_pieces = NULL;
	pthread_mutex_unlock(&d->lock);
	for (; p; p = next) {
		next = p->next_dead;
		bury(d, p);
	}
}

/* A copy may have come to the place of one that is gone and not yet saved: that is first. */
void dax_copies_lock(struct dax *d)
{
	pthread_mutex_lock(&d->copies_lock);
	bury_all(d);
}

void dax_copies_unlock(struct dax *d)
{
	pthread_mutex_unlock(&d->copies_lock);
}
