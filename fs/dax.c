/* SPDX-License-Identifier: BSD-2-Clause */
/* The window as requests see it, on queues' threads; and its life. */
#include "fs/dax.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/align.h"
#include "base/macros.h"
#include "fs/dax_window.h"
#include "fs/seccomp.h"
#include "host/fd.h"
#include "host/log.h"
#include "wire/virtio_fs.h"

const int fs_dax_syscalls[] = { SCMP_SYS(fstat), SYSCALLS_END };

/* QEMU wants all regions together to be a power of two: this one, never mapped, fills up. */
#define FILLER_SHMID 1u

/* --- queues' threads --- */

int dax_op_size(struct dax *d, struct dax_op *op)
{
	struct stat st;
	int ret;

	pthread_mutex_lock(&d->lock); /* the descriptor may be exchanged */
	ret = fstat(op->file->fd, &st) < 0 ? -errno : 0;
	pthread_mutex_unlock(&d->lock);
	if (ret)
		return ret;
	op->size = (uint64_t)st.st_size;
	op->direct_end = op->file->by_copy ? 0 : dax_page_down(op->size);
	return 0;
}

/* Under the lock. */
static void submit(struct dax *d, struct dax_op *op)
{
	dax_ops_add(&d->todo, op);
	d->waiting[op->q->index]++;
	d->fs->host->attend(d->fs->host->ctx);
}

/* Under the lock: something is to be done by and by. */
static void need_time(struct dax *d)
{
	if (!d->timed || d->hasty)
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
	ret = dax_copies_fill(d, op->off, op->end, op->write);
	dax_copies_unlock(d);
	pthread_mutex_lock(&d->lock);
	if (ret && !op->had) /* else it goes on using what it had */
		dax_disown(d, op->off, op->end);
	else if (op->write) /* they are written back from now on, before whatever else is due */
		d->fs->host->attend(d->fs->host->ctx);
	pthread_mutex_unlock(&d->lock);
	return ret;
}

int dax_setup(struct dax *d, struct dax_op *op)
{
	bool now;

	pthread_mutex_lock(&d->lock);
	d->n.setups++;
	dax_setup_plan(d, op);
	now = dax_covered(d, op);
	if (now)
		dax_take(d, op);
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
	dax_disown(d, off, end);
	d->n.removals++;
	need_time(d);
	pthread_mutex_unlock(&d->lock);
}

void dax_given_up(struct dax *d, const struct inode *i)
{
	struct dax_file *f;
	struct stat st;

	pthread_mutex_lock(&d->lock);
	f = dax_file_find(d, i);
	if (f && !f->owned && fstat(f->fd, &st) == 0 && !st.st_nlink) {
		for (struct dax_piece *p = f->pieces; p; p = p->next_of_file)
			p->hasty = true;
		d->hasty = true;
		d->fs->host->attend(d->fs->host->ctx);
	}
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
	bool again;

	if (op->kind != DAX_SETUP || op->err != -EIO || op->again || dax_file_want(d, op->file))
		return false;
	again = !dax_op_size(d, op) && op->size != size;
	if (!again) {
		dax_file_unwant(d, op->file);
		return false;
	}
	op->again = true;
	pthread_mutex_lock(&d->lock);
	dax_setup_plan(d, op);
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
	while ((op = dax_ops_take(&done))) {
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
	bool always = (*features & dax) == FUSE_MAP_ALIGNMENT;
	bool enforced, can_map;

	if (!d || !(*features & dax))
		return 0;
	pthread_mutex_lock(&d->lock);
	can_map = d->can_map;
	if (fs->cfg->readonly)
		await_probe(d);
	enforced = !fs->cfg->readonly || d->read_only == RO_ENFORCED;
	pthread_mutex_unlock(&d->lock);
	if (can_map && enforced)
		return 0;
	*features &= ~dax;
	if (!can_map)
		return 0; /* it has no window, so the guest has none */
	log_guest(fs->name,
		  "the front end does not enforce read-only mappings, so this read-only "
		  "share has no DAX%s",
		  always ? "; the guest must mount it without dax=always" : "");
	return always ? -EOPNOTSUPP : 0;
}

void dax_forget(struct fs *fs)
{
	struct dax *d = fs->dax;

	if (!d)
		return;
	dax_write_back_all(fs);
	pthread_mutex_lock(&d->lock);
	dax_disown(d, 0, d->size);
	pthread_mutex_unlock(&d->lock);
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
	d->max_maps = fs->cfg->dax_maps;
	d->copies_fd = -1;
	d->copies_ro_fd = -1;
	d->write_back_ns = DAX_WRITE_BACK_MIN_NS;
	signal(SIGIO, SIG_IGN); /* fs/dax_policy.c has leases for a moment */
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
	dax_drop(d, true);
	dax_copies_fini(d);
	dax_grants_fini(d);
	dax_map_fini(&d->map);
	fs->dax = NULL;
	free(d);
}
