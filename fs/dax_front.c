/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done with the front end, on the control thread: one operation after the other, each one
 * request after the other.
 */
#include <assert.h>
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>

#include "base/macros.h"
#include "fs/dax_window.h"
#include "fs/seccomp.h"
#include "host/fd.h"
#include "wire/virtio_fs.h"

const int fs_dax_front_syscalls[] = { SCMP_SYS(fstat), SYSCALLS_END };

/* What nobody has asked for in so long is unmapped: others may want to write or to execute it. */
#define IDLE_NS (60ull * NS_PER_S)

/* What could not be unmapped when its time had come is tried again after this time. */
#define IDLE_AGAIN_NS NS_PER_S

/* How often copies are written back: a guest that stores is looked after more often. */
#define WRITE_BACK_MAX_NS NS_PER_S

/* --- operations --- */

void dax_tell(struct dax *d, unsigned queue)
{
	d->news[queue] = true;
	d->fs->host->wake(d->fs->host->ctx, queue);
}

void dax_ops_add(struct dax_ops *l, struct dax_op *op)
{
	op->next = NULL;
	if (l->last)
		l->last->next = op;
	else
		l->first = op;
	l->last = op;
}

struct dax_op *dax_ops_take(struct dax_ops *l)
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
	struct dax_op *op = dax_ops_take(&d->todo);

	op->err = err;
	if (op->kind == DAX_SETUP && !err && !op->void_ticket)
		dax_take(d, op);
	else if (op->kind == DAX_SETUP) {
		op->file->wanted--;
		dax_file_relock(op->file);
	}
	if (op->q) {
		dax_ops_add(&d->done[op->q->index], op);
		dax_tell(d, op->q->index);
	} else {
		free(op);
	}
}

/* --- requests to the front end --- */

static void step(struct dax *d);

/* 1: under way, -errno. -ECANCELED: the device stops, and the operation waits for the next start.
 */
static int request(struct dax *d, bool map)
{
	const struct device_host *host = d->fs->host;
	int ret = (map ? host->shm->map : host->shm->unmap)(host->shm_ctx, &d->req);

	if (ret)
		return ret;
	d->busy = true;
	return 1;
}

/* Begins the end of a request. The device may have stopped. Returns with the lock. */
static struct dax *answered(struct shm_req *req, int err)
{
	struct dax *d = container_of(req, struct dax, req);

	pthread_mutex_lock(&d->lock);
	d->busy = false;
	d->doubt |= err == -ECANCELED;
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
		dax_piece_gone(d, p);
		dax_tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

/*
 * QEMU makes an empty file as long as the mapping: a file that has become so since somebody looked
 * at it is not mapped. The last look is as late as it can be.
 */
static bool in_file(const struct dax_piece *p)
{
	struct stat st;

	return p->copy ||
	       (fstat(p->file->fd, &st) == 0 && (uint64_t)st.st_size >= p->foff + p->len);
}

int dax_piece_map(struct dax *d, struct dax_piece *p)
{
	bool read_only = !p->file->writable && d->read_only == RO_ENFORCED;
	int ret = -EIO;

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
	if (in_file(p))
		ret = request(d, true);
	if (ret < 0)
		dax_piece_gone(d, p);
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
		dax_piece_gone(d, d->subject);
		dax_tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	step(d);
	pthread_mutex_unlock(&d->lock);
}

int dax_piece_unmap(struct dax *d, struct dax_piece *p)
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

/* A piece that was under way at a stop, or NULL. */
static struct dax_piece *doubtful(struct dax *d)
{
	for (size_t i = 0; d->doubt && i < d->map.n; i++)
		if (d->map.v[i]->state == PIECE_UNSURE)
			return d->map.v[i];
	d->doubt = false;
	return NULL;
}

/*
 * Unmaps, one after the other, what is idle or in doubt. What was set up meanwhile, by requests
 * that were under way when the session ended, is nobody's.
 */
static int clear_step(struct dax *d)
{
	struct dax_piece *p;

	dax_disown(d, 0, d->size);
	dax_look_away(d, d->ahead.file);
	p = d->map.oldest ? d->map.oldest : doubtful(d);
	return p ? dax_piece_unmap(d, p) : 0;
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
		dax_ops_add(&d->todo, op);
		d->fs->host->attend(d->fs->host->ctx);
	}
	pthread_mutex_unlock(&d->lock);
}

/* --- the control thread --- */

static int op_step(struct dax *d, struct dax_op *op)
{
	switch (op->kind) {
	case DAX_SETUP:
		return dax_setup_step(d, op);
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
	p = dax_piece_new(d, &op, a->off, a->off + a->len);
	if (!p)
		return 0;
	p->ahead = true;
	return dax_piece_map(d, p);
}

/*
 * What goes because nobody wants it: what is idle for long, and at once what is of a file without a
 * name, or was mapped before a stop of the device. QEMU 11.1.3 has that in a table by which it dies
 * at a hard reset.
 */
static struct dax_piece *unwanted(struct dax *d)
{
	struct dax_piece *p = doubtful(d);

	if (p)
		return p;
	p = d->map.oldest;
	while (p && p->unsaved) /* its stores have nowhere else to be */
		p = p->newer;
	if (p && clock_ns() - p->idle_ns >= IDLE_NS)
		return p;
	while (p && d->hasty && (!p->hasty || p->unsaved))
		p = p->newer;
	return d->hasty ? p : NULL;
}

static int idle_step(struct dax *d)
{
	int ret = ahead_step(d);
	struct dax_piece *p = ret ? NULL : unwanted(d);

	return p ? dax_piece_unmap(d, p) : ret;
}

static void step(struct dax *d)
{
	while (d->running && !d->busy) {
		struct dax_op *op = d->todo.first;
		int ret = op ? op_step(d, op) : idle_step(d);

		if (ret == -ECANCELED || (!op && ret != 1))
			return;
		if (ret != 1)
			end_op(d, ret);
	}
}

/* When there is something to do without anybody asking for it. */
static uint64_t next_due(const struct dax *d, uint64_t now)
{
	uint64_t ns = UINT64_MAX;

	if (!d->running)
		return ns;
	if (d->map.oldest) {
		uint64_t at = d->map.oldest->idle_ns + IDLE_NS;

		ns = at > now ? at - now : IDLE_AGAIN_NS;
	}
	return d->n_written ? MIN(ns, d->write_back_ns) : ns;
}

uint64_t dax_attend(void *dev)
{
	struct dax *d = ((struct fs *)dev)->dax;
	uint64_t due, now = clock_ns();

	if (!d)
		return UINT64_MAX;
	pthread_mutex_lock(&d->lock);
	step(d);
	if (d->n_written && now - d->written_back_ns >= d->write_back_ns) {
		d->written_back_ns = now;
		d->write_back_ns = MIN(2 * d->write_back_ns, WRITE_BACK_MAX_NS);
		d->write_back = true;
		dax_tell(d, VIRTIO_FS_QUEUE_REQUEST);
	}
	due = next_due(d, now);
	d->timed = due != UINT64_MAX;
	pthread_mutex_unlock(&d->lock);
	return due;
}

/*
 * Under the lock: no piece is mapped any more, nobody waits for anything. A request that was under
 * way may still be read, though, after the next start: what is in doubt remains so.
 */
static void forget_pieces(struct dax *d, bool all)
{
	dax_disown(d, 0, d->size);
	for (size_t i = d->map.n; i--;)
		if (all || d->map.v[i]->state != PIECE_UNSURE)
			dax_piece_gone(d, d->map.v[i]);
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
		if (op->file) {
			op->file->wanted--;
			dax_file_relock(op->file); /* the front end may have its descriptor */
		}
	if (d->read_only == RO_PROBING)
		d->read_only = RO_UNKNOWN;
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i <= FS_MAX_QUEUES; i++)
		while ((op = dax_ops_take(&gone[i])))
			dax_op_free(d, op);
}

void dax_start(struct fs *fs, const struct device_start *how)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	if (!how->continued)
		dax_reset(fs);
	pthread_mutex_lock(&d->lock);
	d->running = true;
	d->can_map = how->can_map;
	d->hasty = d->map.n;
	for (size_t i = 0; i < d->map.n; i++)
		d->map.v[i]->hasty = true;
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
void dax_drop(struct dax *d, bool all)
{
	drop_ops(d);
	pthread_mutex_lock(&d->lock);
	assert(!d->busy);
	d->hasty = false;
	d->read_only = RO_UNKNOWN;
	dax_look_away(d, d->ahead.file);
	forget_pieces(d, all);
	pthread_mutex_unlock(&d->lock);
	dax_copies_lock(d);
	dax_copies_unlock(d);
	dax_file_bury(d);
}

void dax_reset(struct fs *fs)
{
	if (fs->dax)
		dax_drop(fs->dax, false);
}
