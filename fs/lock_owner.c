/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls are made without fs->locks.lock: a pinned owner stays, and so does its fd. */
#include "fs/lock_owner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>

#include "base/macros.h"
#include "fs/fs.h"
#include "fs/seccomp.h"
#include "host/fd.h"

const struct syscall_rule fs_lock_owner_rules[] = {
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_OFD_SETLK },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_OFD_GETLK },
	SYSCALL_RULES_END,
};

#define OWNERS_MIN 16u
#define SCAN_MAX   64u /* owners that are looked at for one that nobody needs */
#define PROBES_MAX 8u  /* owners that are asked whether a lock is theirs */

static unsigned owners_max(const struct fs *fs)
{
	return (unsigned)MIN(MAX(fs->cfg->rlimit_nofile / 8, OWNERS_MIN), (uint64_t)INT32_MAX);
}

/* --- lists; under the lock --- */

static void unlink_use(struct lock_owners *l, struct lock_owner *o)
{
	*(o->older ? &o->older->newer : &l->oldest) = o->newer;
	*(o->newer ? &o->newer->older : &l->newest) = o->older;
}

static void link_newest(struct lock_owners *l, struct lock_owner *o)
{
	o->older = l->newest;
	o->newer = NULL;
	*(l->newest ? &l->newest->newer : &l->oldest) = o;
	l->newest = o;
}

static void insert(struct lock_owners *l, struct lock_owner *o)
{
	o->next = o->inode->locks;
	o->inode->locks = o;
	link_newest(l, o);
	l->n++;
}

static void take_out(struct lock_owners *l, struct lock_owner *o)
{
	struct lock_owner **link = &o->inode->locks;

	while (*link != o)
		link = &(*link)->next;
	*link = o->next;
	unlink_use(l, o);
	l->n--;
}

static struct lock_owner *find(struct fs *fs, const struct inode *i, uint64_t id)
{
	struct lock_owner *o = i->locks;

	while (o && o->id != id)
		o = o->next;
	if (o) {
		unlink_use(&fs->locks.owners, o);
		link_newest(&fs->locks.owners, o);
	}
	return o;
}

/* Takes out one that nobody needs, if there is one among the first; held ones become the newest. */
static struct lock_owner *evict(struct lock_owners *l)
{
	for (unsigned n = 0; n < SCAN_MAX && l->oldest; n++) {
		struct lock_owner *o = l->oldest;

		if (!o->pins && !o->holds) {
			take_out(l, o);
			return o;
		}
		unlink_use(l, o);
		link_newest(l, o);
	}
	return NULL;
}

/* --- the rest --- */

/* Closes the description, and the locks go with it. o may be NULL. */
static void owner_free(struct lock_owner *o)
{
	if (!o)
		return;
	fd_close(&o->fd);
	free(o);
}

/* A write lock wants a description that can write. Without the right to, read locks work. */
static int open_file(struct fs *fs, struct inode *i)
{
	int flags = O_NONBLOCK | O_NOCTTY, fd = -EROFS;

	if (!fs->cfg->readonly)
		fd = inode_open(fs, i, O_RDWR | flags);
	return fd >= 0 ? fd : inode_open(fs, i, O_RDONLY | flags);
}

static int owner_new(struct fs *fs, struct inode *i, uint64_t id, struct lock_owner **out)
{
	struct lock_owner *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->fd = open_file(fs, i);
	if (o->fd < 0) {
		int err = o->fd;

		free(o);
		return err == -ENFILE ? -ENOLCK : err;
	}
	o->inode = i;
	o->id = id;
	*out = o;
	return 0;
}

/* Under the lock. */
static void use(struct lock_owner *o, const struct lock_user *by, struct lock_pin *pin)
{
	if (by) {
		o->begun++;
		o->last = *by;
	}
	*pin = (struct lock_pin){ .owner = o, .alone = !o->pins++, .begun = o->begun };
}

/* Puts mine, which is new, into the lists and pins it; or another that was faster; or none. */
static void publish(struct fs *fs, struct lock_owner *mine, const struct lock_user *by,
		    struct lock_pin *pin)
{
	struct lock_owners *l = &fs->locks.owners;
	struct lock_owner *idle = NULL, *o;

	pthread_mutex_lock(&fs->locks.lock);
	o = find(fs, mine->inode, mine->id);
	if (!o && l->n >= owners_max(fs))
		idle = evict(l);
	if (!o && l->n < owners_max(fs)) {
		insert(l, mine);
		o = mine;
	}
	if (o)
		use(o, by, pin);
	pthread_mutex_unlock(&fs->locks.lock);
	owner_free(idle);
}

int lock_owner_get(struct fs *fs, struct inode *i, uint64_t id, const struct lock_user *by,
		   struct lock_pin *pin)
{
	struct lock_owner *o = NULL;
	int ret;

	*pin = (struct lock_pin){ 0 };
	pthread_mutex_lock(&fs->locks.lock);
	if (i->locks)
		o = find(fs, i, id);
	if (o)
		use(o, by, pin);
	pthread_mutex_unlock(&fs->locks.lock);
	if (o || !by)
		return o ? 0 : -ENOENT;
	ret = owner_new(fs, i, id, &o);
	if (ret)
		return ret;
	publish(fs, o, by, pin);
	if (pin->owner != o)
		owner_free(o);
	return pin->owner ? 0 : -ENOLCK;
}

void lock_owner_pin(struct lock_owner *o, struct lock_pin *pin)
{
	use(o, NULL, pin);
}

void lock_owner_put(struct fs *fs, const struct lock_pin *pin, enum lock_outcome outcome)
{
	struct lock_owner *o = pin->owner;

	if (!o)
		return;
	pthread_mutex_lock(&fs->locks.lock);
	assert(o->pins);
	if (outcome == LOCK_TAKEN)
		o->holds = true;
	/* Unless another request of this owner may have locked after we unlocked. */
	if (outcome == LOCK_NONE && pin->alone && o->begun == pin->begun)
		o->holds = false;
	o->pins--;
	pthread_mutex_unlock(&fs->locks.lock);
}

/* Under the lock: takes o out, or pins it if somebody uses it. */
static void take_or_pin(struct fs *fs, struct lock_owner *o, struct lock_pin *pin)
{
	*pin = (struct lock_pin){ 0 };
	if (o->pins)
		use(o, NULL, pin);
	else
		take_out(&fs->locks.owners, o);
}

/* The second half of that, without the lock. */
static void give_up(struct fs *fs, struct inode *i, struct lock_owner *o,
		    const struct lock_pin *pin)
{
	const struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (pin->owner) {
		/* Another request of it is under way, or waits: that goes on, the locks do not. */
		fcntl(o->fd, F_OFD_SETLK, &all);
		lock_owner_put(fs, pin, LOCK_NONE);
	} else {
		owner_free(o);
	}
	locks_released(fs, i);
}

void locks_flush(struct fs *fs, struct inode *i, uint64_t id)
{
	struct lock_owner *o;
	struct lock_pin pin;

	if (!fs->locks.owners.n)
		return;
	pthread_mutex_lock(&fs->locks.lock);
	o = find(fs, i, id);
	if (o)
		take_or_pin(fs, o, &pin);
	pthread_mutex_unlock(&fs->locks.lock);
	if (o)
		give_up(fs, i, o, &pin);
}

void locks_file_closed(struct fs *fs, struct inode *i, uint64_t fh)
{
	struct lock_owner *o;
	struct lock_pin pin;

	if (!fh || !fs->locks.owners.n)
		return;
	do {
		pthread_mutex_lock(&fs->locks.lock);
		o = i->locks;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is a later one */
		while (o && o->last.fh != fh)
			o = o->next;
		if (o) {
			o->last.fh = 0; /* no file, so it is not found again */
			take_or_pin(fs, o, &pin);
		}
		pthread_mutex_unlock(&fs->locks.lock);
		if (o)
			give_up(fs, i, o, &pin);
	} while (o);
}

void locks_inode_gone(struct fs *fs, struct inode *i)
{
	struct lock_owner *o = NULL;

	if (!fs->locks.owners.n)
		return;
	/* Nobody else has the inode: no owner of it is pinned, and none can come. */
	do {
		pthread_mutex_lock(&fs->locks.lock);
		o = i->locks;
		if (o)
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is a later one */
			take_out(&fs->locks.owners, o);
		pthread_mutex_unlock(&fs->locks.lock);
		owner_free(o);
	} while (o);
}

void lock_owners_close(struct fs *fs)
{
	struct lock_owners *l = &fs->locks.owners;
	struct lock_owner *idle = NULL, *newer;

	pthread_mutex_lock(&fs->locks.lock);
	for (struct lock_owner *o = l->oldest; o; o = newer) {
		newer = o->newer;
		if (o->pins)
			continue;
		take_out(l, o);
		o->next = idle;
		idle = o;
	}
	pthread_mutex_unlock(&fs->locks.lock);
	while (idle) {
		struct lock_owner *o = idle;

		idle = o->next;
		owner_free(o);
	}
}

/* Is there no lock on that range but, perhaps, o's own? */
static bool alone(const struct lock_owner *o, int64_t start, int64_t len)
{
	struct flock lk = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	return fcntl(o->fd, F_OFD_GETLK, &lk) == 0 && lk.l_type == F_UNLCK;
}

/*
 * The host's kernel does not tell whose an OFD lock is. But an owner's own locks are not in its
 * way: who finds nothing on the range has it.
 */
bool lock_owner_of(struct fs *fs, struct inode *i, uint64_t not_id, const struct flock *lk,
		   struct lock_holder *out)
{
	struct lock_pin seen[PROBES_MAX];
	bool found = false;
	unsigned n = 0;

	if (lk->l_pid != -1) /* a process of the host */
		return false;
	pthread_mutex_lock(&fs->locks.lock);
	for (struct lock_owner *o = i->locks; o && n < PROBES_MAX; o = o->next) {
		if (o->id != not_id && o->holds)
			use(o, NULL, &seen[n++]);
	}
	pthread_mutex_unlock(&fs->locks.lock);
	for (unsigned k = 0; k < n; k++) {
		const struct lock_owner *o = seen[k].owner;

		if (!found && alone(o, lk->l_start, lk->l_len)) {
			*out = (struct lock_holder){ .id = o->id, .pid = o->last.pid };
			found = true;
		}
		lock_owner_put(fs, &seen[k], LOCK_NOTHING);
	}
	return found;
}
