/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that wait for a lock. */
#include "fs/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/req.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const int fs_lock_syscalls[] = { SCMP_SYS(flock), SYSCALLS_END };

#define BACKOFF_FIRST_NS 1000000u
#define BACKOFF_LAST_NS	 64000000u
#define CHAIN_MAX	 16u /* waiters in a circle */
#define RING_SHARE	 4u  /* one part of so many of a ring may be parked */

struct lock_waiter {
	struct lock_waiter *next;
	struct fs_ticket ticket;
	struct mem_table *mem; /* what the ticket points into; a reference */
	struct inode *inode;   /* a reference */
	struct handle *handle; /* a reference, of a flock lock; or NULL */
	struct lock_pin pin;   /* of a POSIX lock */
	struct lock_try try;
	uint64_t backoff_ns;
	/* Any thread, under the lock; its queue's without. */
	_Atomic uint64_t due_ns; /* CLOCK_MONOTONIC; 0: now */
	_Atomic int end;	 /* -errno that is its answer, or 0 */
};

int locks_init(struct fs_locks *l)
{
	return -pthread_mutex_init(&l->lock, NULL);
}

int lock_try(const struct lock_try *t)
{
	struct flock lk = {
		.l_type = t->type, .l_whence = SEEK_SET, .l_start = t->start, .l_len = t->len
	};
	int ret;

	do {
		ret = t->flock ? flock(t->fd, t->op | LOCK_NB) : fcntl(t->fd, F_OFD_SETLK, &lk);
	} while (ret < 0 && errno == EINTR); /* that is the guest's to ask for */
	if (ret == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static struct lock_queue *queue_of(const struct fs_queue *q)
{
	return &q->fs->locks.queues[q->index];
}

/* Without the lock: closing may take its time, and the inode's end wants it. */
static void waiter_free(struct fs *fs, struct lock_waiter *w, enum lock_outcome outcome)
{
	lock_owner_put(fs, &w->pin, outcome);
	if (w->handle)
		handle_put(fs, w->handle);
	inode_put(fs, w->inode);
	mem_put(w->mem);
	free(w);
}

/* Under the lock: takes all of a queue. */
static struct lock_waiter *take_all(struct fs_locks *l, struct lock_queue *lq)
{
	struct lock_waiter *first = lq->first;

	l->n_waiters -= lq->n;
	lq->n = 0;
	lq->first = NULL;
	return first;
}

/* Forgets a list without an answer. q may be NULL. */
static void drop(struct fs *fs, struct fs_queue *q, struct lock_waiter *list)
{
	while (list) {
		struct lock_waiter *w = list;

		list = w->next;
		if (q)
			stats_dropped(&q->stats);
		waiter_free(fs, w, LOCK_NOTHING);
	}
}

void locks_fini(struct fs *fs)
{
	for (size_t k = 0; k < ARRAY_SIZE(fs->locks.queues); k++)
		drop(fs, NULL, take_all(&fs->locks, &fs->locks.queues[k]));
	lock_owners_close(fs);
}

/* --- what others want --- */

static void wake(struct fs *fs, uint32_t queues)
{
	for (unsigned k = 0; queues; k++, queues >>= 1)
		if (queues & 1)
			fs->host->wake(fs->host->ctx, k);
}

_Static_assert(FS_MAX_QUEUES <= 32, "queues are bits");

/* What is said of each waiter, or NULL: nothing. Under the lock. True if it was said. */
struct whom {
	const struct inode *inode; /* NULL: any */
	uint64_t unique;	   /* 0: any */
	int end;		   /* 0: only to be tried again */
};

static bool tell(struct lock_waiter *w, const struct whom *whom)
{
	if (whom->inode && w->inode != whom->inode)
		return false;
	if (whom->unique && w->ticket.unique != whom->unique)
		return false;
	if (whom->end)
		atomic_store(&w->end, whom->end);
	atomic_store(&w->due_ns, 0);
	return true;
}

/* Under the lock. Returns the queues that have one that was told. */
static uint32_t tell_all(struct fs_locks *l, const struct whom *whom)
{
	uint32_t queues = 0;

	for (unsigned k = 0; k < ARRAY_SIZE(l->queues); k++)
		for (struct lock_waiter *w = l->queues[k].first; w; w = w->next)
			if (tell(w, whom))
				queues |= UINT32_C(1) << k;
	return queues;
}

void locks_released(struct fs *fs, const struct inode *i)
{
	const struct whom whom = { .inode = i };
	uint32_t queues;

	if (!fs->locks.n_waiters)
		return; /* one that is just about to be parked has its timer */
	pthread_mutex_lock(&fs->locks.lock);
	queues = tell_all(&fs->locks, &whom);
	pthread_mutex_unlock(&fs->locks.lock);
	wake(fs, queues);
}

void locks_end_waiters(struct fs *fs, int err)
{
	const struct whom whom = { .end = err };
	uint32_t queues;

	pthread_mutex_lock(&fs->locks.lock);
	queues = tell_all(&fs->locks, &whom);
	pthread_mutex_unlock(&fs->locks.lock);
	wake(fs, queues);
}

/* Under the lock. */
static void remember_early(struct fs_locks *l, uint64_t unique)
{
	struct lock_early *oldest = &l->early[0];

	for (unsigned k = 1; k < LOCK_EARLY_MAX; k++)
		if (l->early[k].until < oldest->until)
			oldest = &l->early[k];
	*oldest = (struct lock_early){ unique, clock_ns() + LOCK_EARLY_NS };
}

/* Under the lock. Has an INTERRUPT overtaken its request? */
static bool was_early(struct fs_locks *l, uint64_t unique)
{
	for (unsigned k = 0; k < LOCK_EARLY_MAX; k++) {
		struct lock_early *e = &l->early[k];

		if (!e->until || e->unique != unique)
			continue;
		if (e->until < clock_ns())
			return false;
		e->until = 0;
		return true;
	}
	return false;
}

void locks_interrupt(struct fs *fs, uint64_t unique)
{
	const struct whom whom = { .unique = unique, .end = -EINTR };
	uint32_t queues = 0;

	if (!unique)
		return;
	pthread_mutex_lock(&fs->locks.lock);
	queues = tell_all(&fs->locks, &whom);
	if (!queues)
		remember_early(&fs->locks, unique);
	pthread_mutex_unlock(&fs->locks.lock);
	wake(fs, queues);
}

void locks_forget_all(struct fs *fs)
{
	const struct whom whom = { .end = -ENOTCONN };
	struct lock_waiter *gone[FS_MAX_QUEUES];
	uint32_t queues;

	pthread_mutex_lock(&fs->locks.lock);
	for (unsigned k = 0; k < FS_MAX_QUEUES; k++) {
		struct lock_queue *lq = &fs->locks.queues[k];

		gone[k] = lq->stopped ? take_all(&fs->locks, lq) : NULL;
	}
	queues = tell_all(&fs->locks, &whom);
	memset(fs->locks.early, 0, sizeof(fs->locks.early));
	pthread_mutex_unlock(&fs->locks.lock);
	for (unsigned k = 0; k < FS_MAX_QUEUES; k++)
		drop(fs, fs->queues[k], gone[k]);
	lock_owners_close(fs);
	wake(fs, queues);
}

/* --- parking --- */

static struct lock_waiter *waiter_new(struct fs_req *rq, const struct lock_try *t,
				      const struct lock_pin *pin)
{
	struct lock_waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	if (fs_ticket_of(rq, &w->ticket)) {
		free(w);
		return NULL;
	}
	w->mem = mem_get(rq->q->vq->mem);
	w->inode = inode_ref(rq->inode);
	w->handle = t->flock ? handle_ref(rq->handle) : NULL;
	w->pin = *pin;
	w->try = *t;
	w->backoff_ns = BACKOFF_FIRST_NS;
	w->due_ns = clock_ns() + BACKOFF_FIRST_NS;
	return w;
}

/* Under the lock: the youngest is the last. */
static void append(struct fs_locks *l, struct lock_queue *lq, struct lock_waiter *w)
{
	struct lock_waiter **link = &lq->first;

	while (*link)
		link = &(*link)->next;
	*link = w;
	lq->n++;
	l->n_waiters++;
}

int locks_wait(struct fs_req *rq, const struct lock_try *t, const struct lock_pin *pin)
{
	struct fs_locks *l = &rq->fs->locks;
	struct lock_queue *lq = queue_of(rq->q);
	struct lock_waiter *w;
	bool interrupted;

	if (rq->fs->frozen || lq->n >= rq->q->vq->cfg.size / RING_SHARE)
		return -ENOLCK;
	w = waiter_new(rq, t, pin);
	if (!w)
		return -ENOMEM;
	pthread_mutex_lock(&l->lock);
	interrupted = was_early(l, rq->in.unique);
	if (!interrupted)
		append(l, lq, w);
	pthread_mutex_unlock(&l->lock);
	if (!interrupted)
		return FS_LATER;
	w->pin.owner = NULL; /* remains the caller's */
	waiter_free(rq->fs, w, LOCK_NOTHING);
	return -EINTR;
}

/* --- the queue's thread --- */

void locks_resume(struct fs_queue *q)
{
	struct fs_locks *l = &q->fs->locks;
	struct lock_queue *lq = queue_of(q);
	struct lock_waiter *gone = NULL;

	if (!lq->n)
		return;
	pthread_mutex_lock(&l->lock);
	lq->stopped = false;
	/*
	 * What waits is popped and not answered, so in a run of the ring it is in flight; a new one
	 * begins with nothing in flight.
	 */
	if (q->vq->inflight < lq->n &&
	    (!fs_ring_continues(&lq->ring, &q->vq->cfg) || vq_adopt(q->vq, lq->n)))
		gone = take_all(l, lq);
	pthread_mutex_unlock(&l->lock);
	drop(q->fs, q, gone);
}

/* --- deadlocks --- */

/* A POSIX lock that somebody waits for. */
struct wish {
	struct lock_try try;
	struct inode *inode;
	struct lock_pin pin;
};

/* Who stands in its way. */
static bool blocker(struct fs *fs, const struct wish *wish, uint64_t *id)
{
	struct lock_holder holder;
	struct flock lk = {
		.l_type = wish->try.type,
		.l_whence = SEEK_SET,
		.l_start = wish->try.start,
		.l_len = wish->try.len,
	};

	if (fcntl(wish->try.fd, F_OFD_GETLK, &lk) < 0 || lk.l_type == F_UNLCK ||
	    !lock_owner_of(fs, wish->inode, wish->pin.owner->id, &lk, &holder))
		return false;
	*id = holder.id;
	return true;
}

/* Under the lock. */
static struct lock_waiter *waiter_of(const struct fs_locks *l, uint64_t id)
{
	for (unsigned k = 0; k < ARRAY_SIZE(l->queues); k++)
		for (struct lock_waiter *w = l->queues[k].first; w; w = w->next)
			if (w->pin.owner && w->pin.owner->id == id)
				return w;
	return NULL;
}

/* What the owner waits for, with references. */
static bool wish_of(struct fs *fs, uint64_t id, struct wish *wish)
{
	const struct lock_waiter *w;

	pthread_mutex_lock(&fs->locks.lock);
	w = waiter_of(&fs->locks, id);
	if (w) {
		*wish = (struct wish){ .try = w->try, .inode = inode_ref(w->inode) };
		lock_owner_pin(w->pin.owner, &wish->pin);
	}
	pthread_mutex_unlock(&fs->locks.lock);
	return w;
}

/*
 * Does w wait for somebody who waits, in the end, for w's owner? The host's kernel does not look,
 * and does not know either what the guest's owners are.
 */
static bool deadlocked(struct fs *fs, const struct lock_waiter *w)
{
	struct wish wish = { .try = w->try, .inode = w->inode, .pin = w->pin };
	uint64_t self, id;
	bool found;

	if (!w->pin.owner || fs->locks.n_waiters < 2)
		return false;
	self = w->pin.owner->id;
	found = blocker(fs, &wish, &id);
	for (unsigned n = 0; n < CHAIN_MAX && found && id != self; n++) {
		if (!wish_of(fs, id, &wish))
			return false;
		found = blocker(fs, &wish, &id);
		lock_owner_put(fs, &wish.pin, LOCK_NOTHING);
		inode_put(fs, wish.inode);
	}
	return found && id == self;
}

/* -EAGAIN: it waits on. Otherwise what it is answered. */
static int try_waiter(struct fs *fs, struct lock_waiter *w, uint64_t now)
{
	int ret = atomic_load(&w->end);

	if (ret)
		return ret;
	if (fs->frozen)
		return -ENOLCK;
	if (atomic_load(&w->due_ns) > now)
		return -EAGAIN;
	/* First, so that an unlock that comes from now on makes it due again. */
	atomic_store(&w->due_ns, now + w->backoff_ns);
	ret = lock_try(&w->try);
	/* Whoever closes a circle finds it in his first tries; later ones are many. */
	if (ret == -EAGAIN && w->backoff_ns < BACKOFF_LAST_NS && deadlocked(fs, w))
		ret = -EDEADLK;
	w->backoff_ns = MIN(2 * w->backoff_ns, BACKOFF_LAST_NS);
	return ret;
}

static void finish(struct fs_queue *q, struct lock_waiter **link, int ret)
{
	struct lock_waiter *w = *link;

	pthread_mutex_lock(&q->fs->locks.lock);
	*link = w->next;
	queue_of(q)->n--;
	q->fs->locks.n_waiters--;
	pthread_mutex_unlock(&q->fs->locks.lock);
	fs_ticket_answer(q, &w->ticket, NULL, ret);
	waiter_free(q->fs, w, ret ? LOCK_NOTHING : LOCK_TAKEN);
}

static void note_stop(struct fs_queue *q, struct lock_queue *lq)
{
	pthread_mutex_lock(&q->fs->locks.lock);
	lq->stopped = true;
	lq->ring = q->vq->cfg;
	lq->ring.base = q->vq->next_avail;
	pthread_mutex_unlock(&q->fs->locks.lock);
}

uint64_t locks_retry(struct fs_queue *q)
{
	struct lock_queue *lq = queue_of(q);
	struct lock_waiter **link = &lq->first;
	uint64_t now, next = UINT64_MAX;

	if (!lq->n)
		return UINT64_MAX;
	now = clock_ns();
	while (*link) {
		struct lock_waiter *w = *link;
		int ret = try_waiter(q->fs, w, now);

		if (ret != -EAGAIN) {
			finish(q, link, ret);
			continue;
		}
		next = MIN(next, atomic_load(&w->due_ns));
		link = &w->next;
	}
	/* Not yet the thread's last look, perhaps: then locks_resume() finds them in flight. */
	if (q->vq->stopping && lq->n)
		note_stop(q, lq);
	if (next == UINT64_MAX)
		return next;
	return next > now ? next - now : 0;
}
