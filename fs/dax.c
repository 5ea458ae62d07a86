/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done with the front end, on the control thread: one operation after the other, each one
 * request after the other. Before each request an operation looks at the map anew and does what is
 * next: unmap a piece that is in its way, make room, map a piece that is missing; so there is
 * nothing to remember if the device stops in between.
 */
#include "fs/dax.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/align.h"
#include "base/macros.h"
#include "fs/dax_window.h"
#include "host/fd.h"
#include "host/log.h"
#include "wire/virtio_fs.h"

/* QEMU wants all regions together to be a power of two: this one, never mapped, fills up. */
#define FILLER_SHMID 1u

/* What nobody has asked for in so long is unmapped: others may want to write or to execute it. */
#define IDLE_NS	      (60ull * NS_PER_S)
#define WRITE_BACK_NS (1ull * NS_PER_S)

/* --- pieces --- */

/* Bytes of the file that [off, op->end) of the window shows. */
static uint64_t bytes_of_file(const struct dax_op *op, uint64_t off)
{
	uint64_t foff = op->foff + (off - op->off);

	return op->size > foff ? MIN(op->size - foff, op->end - off) : 0;
}

static struct dax_piece *piece_new(struct dax *d, const struct dax_op *op, uint64_t off,
				   uint64_t end)
{
	struct dax_piece *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->off = off;
	p->foff = op->foff + (off - op->off);
	p->copy = p->foff >= op->direct_end;
	p->len = p->copy ? end - off : MIN(end - off, op->direct_end - p->foff);
	p->file = op->file;
	if (dax_map_insert(&d->map, p)) {
		free(p);
		return NULL;
	}
	if (op->file->by_copy)
		p->charged = bytes_of_file(op, off);
	d->copied += p->charged;
	p->file->refs++;
	p->file->n_copies += p->copy;
	p->next_of_file = p->file->pieces;
	p->file->pieces = p;
	return p;
}

/* It is not mapped any more. A queue's thread frees it. */
static void piece_gone(struct dax *d, struct dax_piece *p)
{
	struct dax_piece **link = &p->file->pieces;

	dax_map_remove(&d->map, p);
	d->copied -= p->charged;
	p->file->n_copies -= p->copy;
	while (*link != p)
		link = &(*link)->next_of_file;
	*link = p->next_of_file;
	p->next_dead = d->dead_pieces;
	d->dead_pieces = p;
}

static void tell(struct dax *d, unsigned queue)
{
	d->news[queue] = true;
	d->fs->host->wake(d->fs->host->ctx, queue);
}

/* --- requests to the front end --- */

static void step(struct dax *d);

/* 1: under way, -errno. -ECANCELED: the device stops, and the operation waits for the next start.
 */
static int request(struct dax *d, bool map)
{
	const struct device_host *host = d->fs->host;
	int ret = (map ? host->shm->map : host->shm->unmap)(host->shm_ctx, &d->req);

	if (ret == -ECANCELED)
		d->running = false;
	if (ret)
		return ret;
	d->busy = true;
	return 1;
}

static void end_op(struct dax *d, int err);

/* Begins the end of a request. The device may have stopped. Returns with the lock. */
static struct dax *answered(struct shm_req *req, int err)
{
	struct dax *d = container_of(req, struct dax, req);

	pthread_mutex_lock(&d->lock);
	d->busy = false;
	if (err == -ECANCELED)
		d->running = false;
	return d;
}

static void mapped(struct shm_req *req, int err)
{
	struct dax *d = answered(req, err);
	struct dax_piece *p = d->subject;

	if (!err) {
		d->n.maps++;
		dax_map_live(&d->map, p, clock_ns());
	} else if (err == -ECANCELED) {
		dax_map_leaves(&d->map, p, PIECE_UNSURE);
	} else {
		d->n.refused++;
		if (!p->ahead)
			end_op(d, -EIO);
		piece_gone(d, p);
		tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

static int map_piece(struct dax *d, struct dax_piece *p)
{
	bool read_only = !p->file->writable && d->read_only == RO_ENFORCED;
	int ret;

	d->subject = p;
	d->req = (struct shm_req){
		.shmid = VIRTIO_FS_SHMID_CACHE,
		.writable = !read_only,
		.fd = !p->copy	  ? p->file->fd
		      : read_only ? d->copies_ro_fd
				  : d->copies_fd,
		.fd_offset = p->copy ? p->off : p->foff,
		.shm_offset = p->off,
		.len = p->len,
		.done = mapped,
	};
	ret = request(d, true);
	if (ret < 0)
		piece_gone(d, p);
	else
		d->n.ahead += p->ahead;
	return ret;
}

/* A front end that does not know the mapping has none: either way it is gone. */
static void unmapped(struct shm_req *req, int err)
{
	struct dax *d = answered(req, err);

	if (err == -ECANCELED) {
		dax_map_leaves(&d->map, d->subject, PIECE_UNSURE);
	} else {
		d->n.unmaps += !err;
		d->n.refused += err != 0;
		piece_gone(d, d->subject);
		tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

static int unmap_piece(struct dax *d, struct dax_piece *p)
{
	int ret;

	assert(!p->owned);
	d->subject = p;
	d->req = (struct shm_req){
		.shmid = VIRTIO_FS_SHMID_CACHE,
		.shm_offset = p->off,
		.len = p->len,
		.done = unmapped,
	};
	ret = request(d, false);
	if (ret > 0)
		dax_map_leaves(&d->map, p, PIECE_LEAVING);
	return ret;
}

/* --- owning --- */

static void disown(struct dax *d, uint64_t off, uint64_t end)
{
	struct dax_piece *p;
	uint64_t now = clock_ns();

	for (p = dax_map_first(&d->map, off, end); p;
	     p = dax_map_first(&d->map, p->off + p->len, end)) {
		uint32_t was = p->owned;

		dax_map_disown(&d->map, MAX(off, p->off), MIN(end, p->off + p->len), now);
		p->file->owned -= was - p->owned;
		if (was && !p->file->owned)
			dax_file_relock(p->file);
	}
}

static void own(struct dax *d, uint64_t off, uint64_t end)
{
	struct dax_piece *p;

	for (p = dax_map_first(&d->map, off, end); p;
	     p = dax_map_first(&d->map, p->off + p->len, end)) {
		uint32_t was = p->owned;

		dax_map_own(&d->map, MAX(off, p->off), MIN(end, p->off + p->len));
		p->file->owned += p->owned - was;
		d->n.ahead_hits += p->ahead;
		p->ahead = false;
	}
}

/* --- SETUPMAPPING --- */

/*
 * May p stay, as a part of what is asked for? A copy that nobody uses may not where the file itself
 * can be mapped by now.
 */
static bool fits(const struct dax_op *op, const struct dax_piece *p)
{
	return p->state == PIECE_LIVE && p->file == op->file &&
	       p->foff - p->off == op->foff - op->off &&
	       (p->owned || p->copy == (p->foff >= op->direct_end));
}

/* Of the range, the first piece that must go; NULL if there is none. */
static struct dax_piece *in_the_way(const struct dax *d, const struct dax_op *op)
{
	struct dax_piece *p = dax_map_first(&d->map, op->off, op->end);

	while (p && fits(op, p))
		p = dax_map_first(&d->map, p->off + p->len, op->end);
	return p;
}

/* The first byte of the range that no piece has, or its end. */
static uint64_t first_hole(const struct dax *d, const struct dax_op *op)
{
	uint64_t at = op->off;

	while (at < op->end) {
		const struct dax_piece *p = dax_map_first(&d->map, at, op->end);

		if (!p || p->off > at)
			return at;
		at = p->off + p->len;
	}
	return op->end;
}

static bool overlaps(const struct dax_op *op, const struct dax_piece *p)
{
	return p->off < op->end && op->off < p->off + p->len;
}

/* The piece that is idle for longest, or the copy, and that op does not want for itself. */
static struct dax_piece *spare(const struct dax *d, const struct dax_op *op, bool charged)
{
	struct dax_piece *p = d->map.oldest;

	while (p && (overlaps(op, p) || (charged && !p->charged)))
		p = p->newer;
	return p;
}

/* Takes away what the guest owns of p, which it has just asked to replace. */
static int replace(struct dax *d, const struct dax_op *op, struct dax_piece *p)
{
	uint64_t off = MAX(op->off, p->off), end = MIN(op->end, p->off + p->len);

	if (p->owned > dax_map_count(&d->map, off, end))
		return -EBUSY; /* the rest of it stays in use: see above, The rule */
	disown(d, off, end);
	return unmap_piece(d, p);
}

/* Room for one piece more, and for its memory if it is a copy. 0, 1: under way, or -errno. */
static int make_room(struct dax *d, const struct dax_op *op, uint64_t hole)
{
	bool memory = op->file->by_copy &&
		      d->copied + bytes_of_file(op, hole) > d->fs->cfg->dax_copies;
	struct dax_piece *p;

	if (d->map.n < d->max_maps && !memory)
		return 0;
	p = spare(d, op, memory);
	if (p)
		return unmap_piece(d, p);
	log_guest(d->fs->name,
		  memory ? "the guest maps more of files that can only be copied than --dax-copies"
			 : "the guest has as many mappings as there can be");
	return -EIO;
}

/* The next request of a SETUPMAPPING. 1: under way; 0: nothing is missing; -errno. */
static int setup_step(struct dax *d, struct dax_op *op)
{
	struct dax_piece *p = in_the_way(d, op);
	uint64_t hole;
	int ret;

	if (p)
		return replace(d, op, p);
	hole = first_hole(d, op);
	if (hole == op->end)
		return 0;
	ret = make_room(d, op, hole);
	if (ret)
		return ret;
	p = piece_new(d, op, hole, dax_map_hole_end(&d->map, hole, op->end));
	op->mapped = true;
	return p ? map_piece(d, p) : -ENOMEM;
}

/* What comes behind op, if op came behind what came before. */
static void look_ahead(struct dax *d, const struct dax_op *op)
{
	struct dax_ahead *a = &d->ahead;
	uint64_t len = op->end - op->off;

	a->due = a->file == op->file && a->off == op->off && a->foff == op->foff && a->len == len &&
		 op->foff + 2 * len <= op->direct_end && op->end + len <= d->size;
	if (a->file != op->file) {
		if (a->file)
			dax_file_put(d, a->file);
		a->file = op->file;
		a->file->refs++;
	}
	a->off = op->end;
	a->foff = op->foff + len;
	a->len = len;
}

/* Everything is in place: the guest owns it. */
static void take(struct dax *d, struct dax_op *op)
{
	own(d, op->off, op->end);
	op->file->wanted--;
	d->n.hits += !op->mapped;
	look_ahead(d, op);
}

/* --- operations --- */

static void ops_add(struct dax_ops *l, struct dax_op *op)
{
	op->next = NULL;
	if (l->last)
		l->last->next = op;
	else
		l->first = op;
	l->last = op;
}

static struct dax_op *ops_take(struct dax_ops *l)
{
	struct dax_op *op = l->first;

	if (op) {
		l->first = op->next;
		if (!l->first)
			l->last = NULL;
	}
	return op;
}

void dax_op_free(struct dax *d, struct dax_op *op)
{
	if (!op)
		return;
	mem_put(op->mem);
	if (op->file) {
		pthread_mutex_lock(&d->lock);
		dax_file_put(d, op->file);
		pthread_mutex_unlock(&d->lock);
	}
	free(op);
}

/* The first operation is done; its queue answers. */
static void end_op(struct dax *d, int err)
{
	struct dax_op *op = ops_take(&d->todo);

	op->err = err;
	if (op->kind == DAX_SETUP && !err)
		take(d, op);
	else if (op->kind == DAX_SETUP) {
		op->file->wanted--;
		dax_file_relock(op->file);
	}
	if (op->q) {
		ops_add(&d->done[op->q->index], op);
		tell(d, op->q->index);
	} else {
		free(op);
	}
}

/* Unmaps, one after the other, what is idle or in doubt. */
static int clear_step(struct dax *d)
{
	struct dax_piece *p = d->map.oldest;

	for (size_t i = 0; !p && i < d->map.n; i++)
		if (d->map.v[i]->state == PIECE_UNSURE)
			p = d->map.v[i];
	return p ? unmap_piece(d, p) : 0;
}

/* --- the probe --- */

static void probe_over(struct dax *d, enum dax_read_only outcome)
{
	d->read_only = outcome;
	pthread_cond_broadcast(&d->probed);
}

static void probe_unmapped(struct shm_req *req, int err)
{
	struct dax *d = answered(req, err);

	if (err != -ECANCELED) {
		probe_over(d, err ? RO_NOT : RO_ENFORCED);
		end_op(d, 0);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

static void probe_mapped(struct shm_req *req, int err)
{
	struct dax *d = answered(req, err);

	if (!err) {
		d->req.done = probe_unmapped;
		if (request(d, false) == 1) {
			pthread_mutex_unlock(&d->lock);
			return;
		}
	} else if (err != -ECANCELED) {
		probe_over(d, RO_NOT);
		end_op(d, 0);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

/*
 * A descriptor that is open for reading only can be mapped for reading only: if that is accepted,
 * the kernel enforces it. A stop in between leaves it to the next start, with the same outcome.
 */
static int probe_step(struct dax *d)
{
	uint64_t off = d->size;

	while (off && dax_map_first(&d->map, off - DAX_PAGE, off))
		off -= DAX_PAGE;
	if (!off || d->read_only != RO_PROBING) {
		probe_over(d, RO_NOT);
		return 0;
	}
	d->req = (struct shm_req){
		.shmid = VIRTIO_FS_SHMID_CACHE,
		.fd = d->copies_ro_fd,
		.shm_offset = off - DAX_PAGE,
		.len = DAX_PAGE,
		.done = probe_mapped,
	};
	return request(d, true);
}

void dax_probe(struct dax *d)
{
	struct dax_op *op = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->read_only == RO_UNKNOWN)
		op = calloc(1, sizeof(*op));
	if (op) {
		op->kind = DAX_PROBE;
		d->read_only = RO_PROBING;
		ops_add(&d->todo, op);
		d->fs->host->attend(d->fs->host->ctx);
	}
	pthread_mutex_unlock(&d->lock);
}

/* --- the control thread --- */

static int op_step(struct dax *d, struct dax_op *op)
{
	switch (op->kind) {
	case DAX_SETUP:
		return setup_step(d, op);
	case DAX_CLEAR:
		return clear_step(d);
	case DAX_PROBE:
		return probe_step(d);
	}
	return -EINVAL;
}

/* Nobody waits for this: the range that will be asked for next, if its place is free. */
static int ahead_step(struct dax *d)
{
	const struct dax_ahead *a = &d->ahead;
	const struct dax_op op = {
		.file = a->file,
		.off = a->off,
		.foff = a->foff,
		.direct_end = UINT64_MAX,
	};
	struct dax_piece *p;

	if (!a->due || d->map.n >= d->max_maps || dax_map_first(&d->map, a->off, a->off + a->len))
		return 0;
	d->ahead.due = false;
	p = piece_new(d, &op, a->off, a->off + a->len);
	if (!p)
		return 0;
	p->ahead = true;
	return map_piece(d, p);
}

/*
 * What goes because nobody wants it: what is idle for long, and at once what was mapped before a
 * stop of the device. QEMU 11.1.3 has that in a table by which it dies at a hard reset.
 */
static struct dax_piece *unwanted(const struct dax *d)
{
	struct dax_piece *p = d->map.oldest;

	if (p && clock_ns() - p->idle_ns >= IDLE_NS)
		return p;
	while (p && d->carries && !p->carried)
		p = p->newer;
	return d->carries ? p : NULL;
}

static int idle_step(struct dax *d)
{
	int ret = ahead_step(d);
	struct dax_piece *p = ret ? NULL : unwanted(d);

	return p ? unmap_piece(d, p) : ret;
}

static void step(struct dax *d)
{
	while (d->running && !d->busy) {
		struct dax_op *op = d->todo.first;
		int ret = op ? op_step(d, op) : idle_step(d);

		if (ret == -ECANCELED || (!op && ret != 1))
			return;
		if (ret != 1)
			end_op(d, ret == -ENOTSUP ? -EOPNOTSUPP : ret);
	}
}

/* When there is something to do without anybody asking for it. */
static uint64_t next_due(const struct dax *d, uint64_t now)
{
	uint64_t ns = UINT64_MAX;

	if (!d->running)
		return ns;
	if (d->map.oldest)
		ns = d->map.oldest->idle_ns + IDLE_NS - MIN(now, d->map.oldest->idle_ns + IDLE_NS);
	if (d->n_written)
		ns = MIN(ns, WRITE_BACK_NS);
	return ns == UINT64_MAX ? ns : MAX(ns, 1u);
}

uint64_t dax_attend(void *dev)
{
	struct dax *d = ((struct fs *)dev)->dax;
	uint64_t due, now = clock_ns();

	if (!d)
		return UINT64_MAX;
	pthread_mutex_lock(&d->lock);
	step(d);
	if (d->n_written && now - d->written_back_ns >= WRITE_BACK_NS) {
		d->written_back_ns = now;
		d->write_back = true;
		tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	due = next_due(d, now);
	d->timed = due != UINT64_MAX;
	pthread_mutex_unlock(&d->lock);
	return due;
}

/* Under the lock: no piece is mapped any more, nobody waits for anything. */
static void forget_pieces(struct dax *d)
{
	disown(d, 0, d->size);
	while (d->map.n)
		piece_gone(d, d->map.v[d->map.n - 1]);
}

/* Whoever waits is a guest that is gone. */
static void drop_ops(struct dax *d)
{
	struct dax_ops gone[FS_MAX_QUEUES + 1];
	struct dax_op *op;

	pthread_mutex_lock(&d->lock);
	gone[FS_MAX_QUEUES] = d->todo;
	d->todo = (struct dax_ops){ 0 };
	for (unsigned i = 0; i < FS_MAX_QUEUES; i++) {
		gone[i] = d->done[i];
		d->done[i] = (struct dax_ops){ 0 };
		d->waiting[i] = 0;
	}
	for (op = gone[FS_MAX_QUEUES].first; op; op = op->next)
		if (op->file)
			op->file->wanted--;
	if (d->read_only == RO_PROBING)
		d->read_only = RO_UNKNOWN;
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i <= FS_MAX_QUEUES; i++)
		while ((op = ops_take(&gone[i])))
			dax_op_free(d, op);
}

void dax_start(struct fs *fs, bool continued)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	if (!continued)
		dax_reset(fs);
	pthread_mutex_lock(&d->lock);
	d->running = true;
	d->carries = d->map.n;
	for (size_t i = 0; i < d->map.n; i++)
		d->map.v[i]->carried = true;
	d->fs->host->attend(d->fs->host->ctx);
	pthread_mutex_unlock(&d->lock);
	if (fs->cfg->readonly)
		dax_probe(d);
}

void dax_stop(struct fs *fs)
{
	if (!fs->dax)
		return;
	pthread_mutex_lock(&fs->dax->lock);
	fs->dax->running = false;
	pthread_mutex_unlock(&fs->dax->lock);
}

/* Nothing runs, so nobody is kept waiting by what this saves. */
void dax_reset(struct fs *fs)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	drop_ops(d);
	pthread_mutex_lock(&d->lock);
	assert(!d->busy);
	d->carries = false;
	d->read_only = RO_UNKNOWN;
	if (d->ahead.file)
		dax_file_put(d, d->ahead.file);
	d->ahead = (struct dax_ahead){ 0 };
	forget_pieces(d);
	pthread_mutex_unlock(&d->lock);
	dax_copies_lock(d);
	dax_copies_unlock(d);
	dax_file_bury(d);
}

/* --- queues' threads --- */

/* Is the range covered already, by what nobody is about to change? */
static bool covered(const struct dax *d, const struct dax_op *op)
{
	for (const struct dax_op *o = d->todo.first; o; o = o->next)
		if (o->off < op->end && op->off < o->end)
			return false;
	return !in_the_way(d, op) && first_hole(d, op) == op->end;
}

int dax_op_size(struct dax_op *op)
{
	struct stat st;

	if (fstat(op->file->fd, &st) < 0)
		return -errno;
	op->size = (uint64_t)st.st_size;
	op->direct_end = op->file->by_copy ? 0 : dax_page_down(op->size);
	return 0;
}

/* Under the lock. */
static void submit(struct dax *d, struct dax_op *op)
{
	ops_add(&d->todo, op);
	d->waiting[op->q->index]++;
	d->fs->host->attend(d->fs->host->ctx);
}

/* Under the lock: something is to be done by and by. */
static void need_time(struct dax *d)
{
	if (!d->timed || d->carries)
		d->fs->host->attend(d->fs->host->ctx);
}

static bool has_copies(const struct dax *d, uint64_t off, uint64_t end)
{
	const struct dax_piece *p = dax_map_first(&d->map, off, end);

	while (p && !p->copy)
		p = dax_map_first(&d->map, p->off + p->len, end);
	return p;
}

/* What the guest owns by now is filled in where it is a copy. 0 or -errno. */
static int finish_setup(struct dax *d, const struct dax_op *op)
{
	bool copies;
	int ret;

	pthread_mutex_lock(&d->lock);
	copies = has_copies(d, op->off, op->end);
	pthread_mutex_unlock(&d->lock);
	if (!copies)
		return 0;
	dax_copies_lock(d);
	ret = dax_copies_merge(d, op->file, op->foff, op->foff + (op->end - op->off));
	if (!ret && op->write)
		ret = dax_copies_write(d, op->off, op->end);
	dax_copies_unlock(d);
	pthread_mutex_lock(&d->lock);
	if (ret)
		disown(d, op->off, op->end);
	else if (op->write)
		need_time(d); /* they are written back from now on */
	pthread_mutex_unlock(&d->lock);
	return ret;
}

int dax_setup(struct dax *d, struct dax_op *op)
{
	bool now;

	pthread_mutex_lock(&d->lock);
	d->n.setups++;
	now = covered(d, op);
	if (now)
		take(d, op);
	else
		submit(d, op);
	if (now && d->ahead.due)
		d->fs->host->attend(d->fs->host->ctx);
	pthread_mutex_unlock(&d->lock);
	return now ? finish_setup(d, op) : 1;
}

void dax_clear(struct dax *d, struct dax_op *op)
{
	op->kind = DAX_CLEAR;
	pthread_mutex_lock(&d->lock);
	submit(d, op);
	pthread_mutex_unlock(&d->lock);
}

void dax_give_back(struct dax *d, uint64_t off, uint64_t end)
{
	pthread_mutex_lock(&d->lock);
	disown(d, off, end);
	d->n.removals++;
	need_time(d);
	pthread_mutex_unlock(&d->lock);
}

void dax_resume(struct fs_queue *q, bool same)
{
	struct dax *d = q->fs->dax;

	if (!d || !d->waiting[q->index])
		return;
	if (same && !vq_adopt(q->vq, d->waiting[q->index]))
		return;
	/* Only their tickets are void: somebody else may need what they do. */
	pthread_mutex_lock(&d->lock);
	d->waiting[q->index] = 0;
	for (struct dax_op *op = d->todo.first; op; op = op->next)
		op->void_ticket |= op->q == q;
	for (struct dax_op *op = d->done[q->index].first; op; op = op->next)
		op->void_ticket = true;
	pthread_mutex_unlock(&d->lock);
}

/* The file was smaller than thought, or larger: once more. True if op is under way again. */
static bool try_again(struct dax *d, struct dax_op *op)
{
	uint64_t size = op->size;

	if (op->kind != DAX_SETUP || op->err != -EIO || op->again || dax_op_size(op) ||
	    op->size == size)
		return false;
	op->again = true;
	pthread_mutex_lock(&d->lock);
	op->file->wanted++;
	dax_file_relock(op->file);
	submit(d, op);
	pthread_mutex_unlock(&d->lock);
	return true;
}

static void finish(struct fs_queue *q, struct dax_op *op)
{
	struct dax *d = q->fs->dax;
	int ret = op->err;

	if (!op->void_ticket && try_again(d, op))
		return;
	if (!ret && op->kind == DAX_SETUP && !op->void_ticket)
		ret = finish_setup(d, op);
	if (op->void_ticket)
		stats_dropped(&q->stats);
	else
		fs_ticket_answer(q, &op->ticket, NULL, ret);
	dax_op_free(d, op);
}

bool dax_reap(struct fs_queue *q)
{
	struct dax *d = q->fs->dax;
	struct dax_ops done;
	struct dax_op *op;
	bool any = false;

	if (!d || !atomic_exchange(&d->news[q->index], false))
		return false;
	dax_copies_lock(d);
	if (atomic_exchange(&d->write_back, false))
		dax_copies_write_back(d);
	dax_copies_unlock(d);
	pthread_mutex_lock(&d->lock);
	done = d->done[q->index];
	d->done[q->index] = (struct dax_ops){ 0 };
	for (op = done.first; op; op = op->next)
		d->waiting[q->index] -= !op->void_ticket;
	pthread_mutex_unlock(&d->lock);
	while ((op = ops_take(&done))) {
		finish(q, op);
		any = true;
	}
	dax_file_bury(d);
	return any;
}

/* How long INIT waits for the front end's answer to the probe. */
#define PROBE_WAIT_S 2

/* Under the lock, which is given up meanwhile. */
static void await_probe(struct dax *d)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PROBE_WAIT_S;
	while (d->read_only == RO_PROBING && !ret)
		ret = pthread_cond_timedwait(&d->probed, &d->lock, &until);
}

int dax_negotiate(struct fs *fs, uint64_t *features)
{
	const uint64_t dax = FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX;
	struct dax *d = fs->dax;
	bool always = (*features & dax) == FUSE_MAP_ALIGNMENT, enforced;

	if (!d || !fs->cfg->readonly || !(*features & dax))
		return 0;
	pthread_mutex_lock(&d->lock);
	await_probe(d);
	enforced = d->read_only == RO_ENFORCED;
	pthread_mutex_unlock(&d->lock);
	if (enforced)
		return 0;
	*features &= ~dax;
	log_guest(fs->name,
		  "the front end does not enforce read-only mappings, so this read-only "
		  "share has no DAX%s",
		  always ? "; the guest must mount it without dax=always" : "");
	return always ? -EOPNOTSUPP : 0;
}

void dax_write_back_all(struct fs *fs)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	dax_copies_lock(d);
	dax_copies_write_back(d);
	dax_copies_unlock(d);
}

void dax_forget(struct fs *fs)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	dax_write_back_all(fs);
	pthread_mutex_lock(&d->lock);
	disown(d, 0, d->size);
	pthread_mutex_unlock(&d->lock);
}

/* --- changes of files --- */

/* The file of i with a reference, if it has copies; else NULL. */
static struct dax_file *with_copies(struct dax *d, const struct inode *i)
{
	struct dax_file *f;

	if (!d)
		return NULL;
	pthread_mutex_lock(&d->lock);
	f = dax_file_find(d, i);
	if (f && !f->n_copies)
		f = NULL;
	if (f)
		f->refs++;
	pthread_mutex_unlock(&d->lock);
	return f;
}

static int merge(struct dax *d, struct dax_file *f, uint64_t off, uint64_t end)
{
	int ret;

	dax_copies_lock(d);
	ret = dax_copies_merge(d, f, off, end);
	dax_copies_unlock(d);
	pthread_mutex_lock(&d->lock);
	dax_file_put(d, f);
	pthread_mutex_unlock(&d->lock);
	return ret;
}

void dax_changed(struct fs *fs, struct inode *i, uint64_t off, uint64_t len)
{
	struct dax_file *f = with_copies(fs->dax, i);

	if (f)
		merge(fs->dax, f, off, len > UINT64_MAX - off ? UINT64_MAX : off + len);
}

int dax_write_back(struct fs *fs, struct inode *i)
{
	struct dax_file *f = with_copies(fs->dax, i);

	return f ? merge(fs->dax, f, 0, UINT64_MAX) : 0;
}

void dax_seen(struct fs *fs, struct inode *i, const struct statx *st)
{
	int64_t mtime = st->stx_mtime.tv_sec * (int64_t)NS_PER_S + st->stx_mtime.tv_nsec;
	struct dax *d = fs->dax;
	struct dax_file *f;
	bool same;

	i = inode_get(fs, inode_id(i)); /* LOOKUP has none */
	f = i ? with_copies(d, i) : NULL;
	if (i)
		inode_put(fs, i);
	if (!f)
		return;
	pthread_mutex_lock(&d->lock);
	same = f->mtime_ns == mtime && f->size == st->stx_size;
	f->mtime_ns = mtime;
	f->size = st->stx_size;
	if (same)
		dax_file_put(d, f);
	pthread_mutex_unlock(&d->lock);
	if (!same)
		merge(d, f, 0, UINT64_MAX);
}

/* --- life --- */

uint64_t dax_shm_size(void *dev, uint8_t shmid)
{
	const struct fs *fs = dev;
	uint64_t size = fs->cfg->dax_window;

	switch (shmid) {
	case VIRTIO_FS_SHMID_CACHE:
		return size;
	case FILLER_SHMID:
		return size ? pow2_up(size) - size : 0;
	default:
		return 0;
	}
}

static int make(struct dax *d)
{
	int ret = -pthread_mutex_init(&d->lock, NULL);

	if (!ret)
		ret = -pthread_mutex_init(&d->copies_lock, NULL);
	if (!ret)
		ret = -pthread_cond_init(&d->probed, NULL);
	if (!ret)
		ret = dax_map_init(&d->map, d->size);
	if (!ret)
		ret = dax_copies_init(d);
	return ret ? ret : dax_grants_init(d);
}

int dax_init(struct fs *fs)
{
	struct dax *d;
	int ret;

	if (!fs->cfg->dax_window)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->fs = fs;
	d->size = fs->cfg->dax_window;
	d->max_maps = DAX_MAPS_MAX;
	d->copies_fd = -1;
	d->copies_ro_fd = -1;
	fs->dax = d;
	ret = make(d);
	if (ret)
		log_err(fs->name, "cannot make the DAX window: %s", strerror(-ret));
	return ret;
}

void dax_fini(struct fs *fs)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	dax_reset(fs);
	dax_copies_fini(d);
	dax_grants_fini(d);
	dax_map_fini(&d->map);
	fs->dax = NULL;
	free(d);
}
