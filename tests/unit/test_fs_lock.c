/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/lock.c, fs/lock_owner.c, fs/op_lock.c: locks on real files, through rings, in a time of ours.
 */
#include <errno.h>
#include <sys/file.h>

#include "host/fd.h"
#include "tests/lib/fs_device.h"

#define MS     1000000u
#define TO_END INT64_MAX
#define LOCKS  (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS)
#define PARKED 1

/* CLOCK_MONOTONIC, as the linker gives it to fs/. */
static uint64_t now_ns = 1000ull * NS_PER_S;

uint64_t __wrap_clock_ns(void);
uint64_t __wrap_clock_ns(void)
{
	return now_ns;
}

/* A share with a file that is open twice. */
struct world {
	struct fs_device *f;
	uint64_t node;
	uint64_t fh[2];
	int host; /* the host's descriptor of that file */
};

static struct world world_with(uint64_t features, void (*change)(struct fs_config *cfg))
{
	struct world w = { .f = fs_device_new() };

	w.host = openat(w.f->dir_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	REQUIRE(w.host >= 0);
	if (change)
		change(&w.f->cfg);
	fs_device_start(w.f, features);
	w.node = fs_device_lookup(w.f, "file");
	REQUIRE(w.node);
	for (unsigned i = 0; i < 2; i++)
		w.fh[i] = fs_device_open(w.f, FUSE_OPEN, w.node, O_RDWR);
	REQUIRE(w.fh[0] && w.fh[1]);
	return w;
}

static struct world world_new(void)
{
	return world_with(LOCKS, NULL);
}

static void world_end(struct world *w)
{
	close(w->host);
	fs_device_free(w->f);
}

static struct fuse_lk_in lk_in(const struct world *w, uint64_t owner, uint32_t type, uint64_t start,
			       uint64_t end)
{
	return (struct fuse_lk_in){
		.fh = w->fh[0],
		.owner = owner,
		.lk = { .start = start, .end = end, .type = type, .pid = (uint32_t)owner * 10 },
	};
}

/* SETLK on queue 1. */
static int setlk(struct world *w, uint64_t owner, uint32_t type, uint64_t start, uint64_t end)
{
	const struct fuse_lk_in in = lk_in(w, owner, type, start, end);

	return fs_device_call(w->f, 1, FUSE_SETLK, w->node, &in, sizeof(in), NULL, 0);
}

static int getlk(struct world *w, uint64_t owner, uint32_t type, uint64_t start, uint64_t end,
		 struct fuse_file_lock *out)
{
	const struct fuse_lk_in in = lk_in(w, owner, type, start, end);

	return fs_device_call(w->f, 1, FUSE_GETLK, w->node, &in, sizeof(in), out, sizeof(*out));
}

/* SETLKW on a queue. PARKED or its answer. */
static int setlkw(struct world *w, unsigned q, unsigned slot, uint64_t owner, uint32_t type)
{
	const struct fuse_lk_in in = lk_in(w, owner, type, 0, TO_END);

	fs_device_send(w->f, q, slot, FUSE_SETLKW, w->node, &in, sizeof(in), 0);
	fs_device_serve(w->f, q);
	return fs_device_result(w->f, q, slot);
}

static int flush(struct world *w, uint64_t owner)
{
	const struct fuse_flush_in in = { .fh = w->fh[0], .lock_owner = owner };

	return fs_device_call(w->f, 1, FUSE_FLUSH, w->node, &in, sizeof(in), NULL, 0);
}

/* flock() on one of the two handles. */
static int flock_of(struct world *w, unsigned handle, uint32_t type)
{
	struct fuse_lk_in in = lk_in(w, 1, type, 0, TO_END);

	in.fh = w->fh[handle];
	in.lk_flags = FUSE_LK_FLOCK;
	return fs_device_call(w->f, 1, FUSE_SETLK, w->node, &in, sizeof(in), NULL, 0);
}

static int flock_wait(struct world *w, unsigned q, unsigned slot, unsigned handle, uint32_t type)
{
	struct fuse_lk_in in = lk_in(w, 1, type, 0, TO_END);

	in.fh = w->fh[handle];
	in.lk_flags = FUSE_LK_FLOCK;
	fs_device_send(w->f, q, slot, FUSE_SETLKW, w->node, &in, sizeof(in), 0);
	fs_device_serve(w->f, q);
	return fs_device_result(w->f, q, slot);
}

static void interrupt(struct world *w, uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };

	fs_device_send(w->f, 0, 0, FUSE_INTERRUPT, 0, &in, sizeof(in), 0);
	fs_device_serve(w->f, 0);
	CHECK(w->f->answered[0][0]);
}

/* The host's own view, and its own lock: 0 or -errno. */
static int host_lock(struct world *w, short type)
{
	struct flock lk = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(w->host, F_OFD_SETLK, &lk) < 0 ? -errno : 0;
}

static void test_off(void)
{
	struct world w = world_with(0, NULL);
	struct fuse_file_lock lk;

	CHECK_EQ("SETLK", setlk(&w, 1, F_WRLCK, 0, 0), -ENOSYS);
	CHECK_EQ("GETLK", getlk(&w, 1, F_WRLCK, 0, 0, &lk), -ENOSYS);
	CHECK_EQ("SETLKW", setlkw(&w, 1, 0, 1, F_WRLCK), -ENOSYS);
	CHECK_EQ("flock", flock_of(&w, 0, F_WRLCK), -ENOSYS);
	world_end(&w);
}

static void test_bad(void)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t start, end;
	} cases[] = {
		{ "backwards", F_WRLCK, 1, 0 },
		{ "behind the last byte", F_WRLCK, 0, (uint64_t)INT64_MAX + 1 },
		{ "far behind", F_RDLCK, UINT64_MAX, UINT64_MAX },
		{ "no type", 3, 0, 0 },
		{ "a wide type", F_WRLCK | 1u << 16, 0, 0 },
	};
	struct world w = world_new();
	struct fuse_lk_in in = lk_in(&w, 1, F_WRLCK, 0, 0);
	struct fuse_file_lock lk;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(cases[i].name, setlk(&w, 1, cases[i].type, cases[i].start, cases[i].end),
			 -EINVAL);
		CHECK_EQ(cases[i].name,
			 getlk(&w, 1, cases[i].type, cases[i].start, cases[i].end, &lk), -EINVAL);
	}
	CHECK_EQ("GETLK of no lock", getlk(&w, 1, F_UNLCK, 0, 0, &lk), -EINVAL);
	CHECK_EQ("flock of no type", flock_of(&w, 0, 3), -EINVAL);
	in.lk_flags = 2;
	CHECK_EQ("no flag", fs_device_call(w.f, 1, FUSE_SETLK, w.node, &in, sizeof(in), NULL, 0),
		 -EINVAL);
	CHECK_EQ("no owner was made", w.f->fs.locks.owners.n, 0);
	world_end(&w);
}

static void test_posix(void)
{
	struct world w = world_new();
	struct fuse_file_lock lk;

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 10, 19), 0);
	CHECK_EQ("its own again", setlk(&w, 1, F_WRLCK, 0, 12), 0);
	CHECK_EQ("another's", setlk(&w, 2, F_RDLCK, 19, 30), -EAGAIN);
	CHECK_EQ("beside it", setlk(&w, 2, F_RDLCK, 20, TO_END), 0);
	CHECK_EQ("GETLK", getlk(&w, 2, F_RDLCK, 5, 50, &lk), sizeof(lk));
	CHECK_EQ("type", lk.type, F_WRLCK);
	CHECK_EQ("start", lk.start, 0);
	CHECK_EQ("end", lk.end, 19);
	CHECK_EQ("pid", lk.pid, 10);
	CHECK_EQ("GETLK of a third", getlk(&w, 3, F_WRLCK, 30, 30, &lk), sizeof(lk));
	CHECK_EQ("to the end", lk.end, TO_END);
	CHECK_EQ("pid of a reader", lk.pid, 20);
	CHECK_EQ("GETLK of its own", getlk(&w, 2, F_WRLCK, 30, 30, &lk), sizeof(lk));
	CHECK_EQ("free", lk.type, F_UNLCK);
	CHECK_EQ("unlock a part", setlk(&w, 1, F_UNLCK, 15, 15), 0);
	CHECK_EQ("of it", setlk(&w, 2, F_WRLCK, 15, 15), 0);
	CHECK_EQ("of the rest", setlk(&w, 2, F_WRLCK, 15, 16), -EAGAIN);
	CHECK_EQ("unlock nothing", setlk(&w, 4, F_UNLCK, 0, TO_END), 0);
	CHECK_EQ("owners", w.f->fs.locks.owners.n, 2);
	CHECK_EQ("FLUSH", flush(&w, 1), 0);
	CHECK_EQ("owners", w.f->fs.locks.owners.n, 1);
	CHECK_EQ("free now", setlk(&w, 2, F_WRLCK, 0, TO_END), 0);
	world_end(&w);
}

/* The host is one more owner. */
static void test_host(void)
{
	struct world w = world_new();
	struct fuse_file_lock lk;

	CHECK_EQ("guest", setlk(&w, 1, F_RDLCK, 0, TO_END), 0);
	CHECK_EQ("host", host_lock(&w, F_WRLCK), -EAGAIN);
	CHECK_EQ("both read", host_lock(&w, F_RDLCK), 0);
	CHECK_EQ("not alone", setlk(&w, 1, F_WRLCK, 0, TO_END), -EAGAIN);
	CHECK_EQ("GETLK", getlk(&w, 1, F_WRLCK, 0, TO_END, &lk), sizeof(lk));
	CHECK_EQ("somebody", lk.type, F_RDLCK);
	CHECK_EQ("none of the guest's", lk.pid, 0);
	CHECK_EQ("unlock", setlk(&w, 1, F_UNLCK, 0, TO_END), 0);
	CHECK_EQ("host", host_lock(&w, F_WRLCK), 0);
	CHECK_EQ("guest", setlk(&w, 1, F_RDLCK, 0, 0), -EAGAIN);
	world_end(&w);
}

static void low_limit(struct fs_config *cfg)
{
	cfg->rlimit_nofile = 8 * 20;
}

static void test_owners_are_bounded(void)
{
	struct world w = world_with(LOCKS, low_limit);

	for (uint64_t o = 1; o <= 20; o++)
		CHECK_EQ("owner", setlk(&w, o, F_RDLCK, o, o), 0);
	CHECK_EQ("one too many", setlk(&w, 21, F_RDLCK, 0, 0), -ENOLCK);
	CHECK_EQ("owners", w.f->fs.locks.owners.n, 20);
	CHECK_EQ("an unlock of a part", setlk(&w, 7, F_UNLCK, 7, 7), 0);
	CHECK_EQ("might have more", setlk(&w, 21, F_RDLCK, 0, 0), -ENOLCK);
	CHECK_EQ("an unlock of all", setlk(&w, 7, F_UNLCK, 0, TO_END), 0);
	CHECK_EQ("makes room", setlk(&w, 21, F_RDLCK, 0, 0), 0);
	CHECK_EQ("owners", w.f->fs.locks.owners.n, 20);
	for (uint64_t o = 1; o <= 20; o++)
		if (o != 7)
			CHECK_EQ("the others have theirs", setlk(&w, 21, F_WRLCK, o, o), -EAGAIN);
	CHECK_EQ("but that one", setlk(&w, 21, F_WRLCK, 7, 7), 0);
	world_end(&w);
}

/* An unlock on another queue, and a FLUSH, wake it at once; the timer finds what others do. */
static void test_wait(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 0, 2, F_WRLCK), PARKED);
	CHECK_EQ("timer", w.f->again_ns[2], MS);
	CHECK_EQ("parked", w.f->fs.locks.n_waiters, 1);
	CHECK_EQ("unlock", setlk(&w, 1, F_UNLCK, 0, TO_END), 0);
	CHECK_EQ("woken", w.f->woken, 1u << 2);
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 0), 0);
	CHECK_EQ("no timer", w.f->again_ns[2], UINT64_MAX);
	CHECK_EQ("it has it", setlk(&w, 1, F_WRLCK, 0, 0), -EAGAIN);

	CHECK_EQ("wait", setlkw(&w, 1, 0, 1, F_WRLCK), PARKED);
	CHECK_EQ("FLUSH", flush(&w, 2), 0);
	CHECK_EQ("in the same queue", fs_device_result(w.f, 1, 0), 0);
	CHECK_EQ("nobody", w.f->fs.locks.n_waiters, 0);

	/* A downgrade lets readers in. */
	CHECK_EQ("wait", setlkw(&w, 2, 0, 3, F_RDLCK), PARKED);
	CHECK_EQ("downgrade", setlk(&w, 1, F_RDLCK, 0, TO_END), 0);
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 0), 0);
	world_end(&w);
}

static void test_timer(void)
{
	struct world w = world_new();
	uint64_t want = MS;

	CHECK_EQ("host", host_lock(&w, F_WRLCK), 0);
	CHECK_EQ("wait", setlkw(&w, 1, 0, 1, F_WRLCK), PARKED);
	for (unsigned n = 0; n < 12; n++) {
		CHECK_EQ("timer", w.f->again_ns[1], want);
		now_ns += want - 1;
		fs_device_serve(w.f, 1);
		CHECK_EQ("not yet", w.f->again_ns[1], 1);
		now_ns += 1;
		fs_device_serve(w.f, 1);
		want = n ? MIN(2 * want, 64u * MS) : MS; /* parked, tried once, then it doubles */
	}
	CHECK_EQ("longest", w.f->again_ns[1], 64 * MS);
	CHECK_EQ("parked", fs_device_result(w.f, 1, 0), PARKED);
	CHECK_EQ("host", host_lock(&w, F_UNLCK), 0);
	fs_device_serve(w.f, 1);
	CHECK_EQ("too early", fs_device_result(w.f, 1, 0), PARKED);
	now_ns += 64 * MS;
	fs_device_serve(w.f, 1);
	CHECK_EQ("locked", fs_device_result(w.f, 1, 0), 0);
	CHECK_EQ("host", host_lock(&w, F_RDLCK), -EAGAIN);
	world_end(&w);
}

static void test_quarter(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 99, F_WRLCK, 0, TO_END), 0);
	for (unsigned n = 0; n < FS_DEVICE_RING / 4; n++)
		CHECK_EQ("wait", setlkw(&w, 1, n, n, F_WRLCK), PARKED);
	CHECK_EQ("one more", setlkw(&w, 1, 5, 50, F_WRLCK), -ENOLCK);
	CHECK_EQ("of another queue", setlkw(&w, 2, 0, 50, F_WRLCK), PARKED);
	CHECK_EQ("unlock", setlk(&w, 99, F_UNLCK, 0, TO_END), 0);
	CHECK_EQ("the oldest", fs_device_result(w.f, 1, 0), 0);
	for (unsigned n = 1; n < FS_DEVICE_RING / 4; n++)
		CHECK_EQ("not the others", fs_device_result(w.f, 1, n), PARKED);
	CHECK_EQ("room for one", setlkw(&w, 1, 5, 51, F_WRLCK), PARKED);
	world_end(&w);
}

static void test_interrupt(void)
{
	struct world w = world_new();
	uint64_t unique;

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 1, 0, 2, F_WRLCK), PARKED);
	unique = w.f->unique;
	CHECK_EQ("wait", setlkw(&w, 2, 0, 3, F_WRLCK), PARKED);
	interrupt(&w, unique);
	CHECK_EQ("woken", w.f->woken, 1u << 1);
	fs_device_serve(w.f, 1);
	fs_device_serve(w.f, 2);
	CHECK_EQ("interrupted", fs_device_result(w.f, 1, 0), -EINTR);
	CHECK_EQ("not the other", fs_device_result(w.f, 2, 0), PARKED);
	interrupt(&w, unique);
	CHECK_EQ("twice", w.f->woken, 0);
	/* The next unique but the INTERRUPT's own is the request's. */
	interrupt(&w, w.f->unique + 2);
	CHECK_EQ("it has overtaken", setlkw(&w, 1, 0, 2, F_WRLCK), -EINTR);
	CHECK_EQ("once", setlkw(&w, 1, 0, 2, F_WRLCK), PARKED);
	interrupt(&w, w.f->unique + 2);
	now_ns += 2ull * NS_PER_S;
	CHECK_EQ("too long ago", setlkw(&w, 1, 1, 4, F_WRLCK), PARKED);
	/* However many there are, the latest are remembered. */
	interrupt(&w, w.f->unique + 2 + 100);
	for (unsigned n = 0; n < 99; n++)
		interrupt(&w, w.f->unique + 1000);
	interrupt(&w, w.f->unique + 2);
	CHECK_EQ("among many", setlkw(&w, 1, 2, 5, F_WRLCK), -EINTR);
	world_end(&w);
}

/* The transport asks for the ring back, and starts it again: where it stopped, or anew. */
static void restart(struct world *w, unsigned q, bool anew)
{
	struct fake_driver *d = w->f->driver[q];
	struct vq_config cfg = d->cfg;

	d->vq.stopping = true;
	fs_device_serve(w->f, q);
	cfg.base = vq_stop(&d->vq);
	if (anew) {
		CHECK(cfg.base);
		cfg.base = d->avail_idx = w->f->seen[q] = 0;
		ring_store(&d->avail->idx, 0);
		ring_store(&d->used->idx, 0);
	}
	REQUIRE(vq_start(&d->vq, &cfg, d->mem) == 0);
}

static void test_stop_and_continue(void)
{
	struct world w = world_new();
	struct fake_driver *d = w.f->driver[2];

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	for (unsigned n = 0; n < 2; n++) {
		restart(&w, 2, false);
		CHECK_EQ("nothing is in flight", d->vq.inflight, 0);
		fs_device_serve(w.f, 2);
		CHECK_EQ("still waits", fs_device_result(w.f, 2, 3), PARKED);
		CHECK_EQ("in flight", d->vq.inflight, 1);
		fs_device_serve(w.f, 2);
		CHECK_EQ("once", d->vq.inflight, 1);
		CHECK_EQ("more work", setlkw(&w, 2, 0, 7, F_UNLCK), 0);
	}
	CHECK_EQ("unlock", setlk(&w, 1, F_UNLCK, 0, TO_END), 0);
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 3), 0);
	CHECK_EQ("nothing in flight", d->vq.inflight, 0);
	world_end(&w);
}

/* A look at the ring between the wish for it and its end is not a new start. */
static void test_stop_twice(void)
{
	struct world w = world_new();
	struct fake_driver *d = w.f->driver[2];

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	d->vq.stopping = true;
	fs_device_serve(w.f, 2);
	fs_device_serve(w.f, 2);
	CHECK_EQ("in flight", d->vq.inflight, 1);
	CHECK_EQ("parked", w.f->fs.locks.n_waiters, 1);
	world_end(&w);
}

static void test_new_start(void)
{
	struct world w = world_new();
	struct fake_driver *d = w.f->driver[2];

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	CHECK_EQ("its memory is held", d->mem->refs, 3);
	restart(&w, 2, true);
	fs_device_serve(w.f, 2);
	CHECK_EQ("dropped", w.f->fs.locks.n_waiters, 0);
	CHECK_EQ("its memory", d->mem->refs, 2);
	CHECK_EQ("no answer", fs_device_result(w.f, 2, 3), PARKED);
	CHECK_EQ("told", w.f->fs.queues[2]->stats.dropped, 1);
	CHECK_EQ("it works", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	CHECK_EQ("in flight", d->vq.inflight, 1);
	world_end(&w);
}

static void test_reset(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	CHECK_EQ("wait", flock_wait(&w, 2, 4, 1, F_WRLCK), 0);
	for (unsigned q = 0; q < FS_DEVICE_QUEUES; q++) {
		w.f->driver[q]->vq.stopping = true;
		fs_device_serve(w.f, q);
	}
	w.f->fs.ops.reset(&w.f->fs);
	CHECK_EQ("dropped", w.f->fs.locks.n_waiters, 0);
	CHECK_EQ("its memory", w.f->driver[2]->mem->refs, 2);
	CHECK_EQ("no owners", w.f->fs.locks.owners.n, 0);
	CHECK_EQ("the host may", host_lock(&w, F_WRLCK), 0);
	CHECK_EQ("flock too", flock(w.host, LOCK_EX | LOCK_NB), 0);
	world_end(&w);
}

/* The driver of a running ring wants its descriptors back. */
static void test_destroy(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	CHECK_EQ("DESTROY", fs_device_call(w.f, 1, FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
	CHECK_EQ("woken", w.f->woken, 1u << 2);
	fs_device_serve(w.f, 2);
	CHECK_EQ("the end", fs_device_result(w.f, 2, 3), -ENOTCONN);
	CHECK_EQ("nothing in flight", w.f->driver[2]->vq.inflight, 0);
	CHECK_EQ("no owners", host_lock(&w, F_WRLCK), 0);
	world_end(&w);
}

static void test_frozen(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	locks_end_waiters(&w.f->fs, -ENOLCK);
	CHECK_EQ("woken", w.f->woken, 1u << 2);
	fs_device_serve(w.f, 2);
	CHECK_EQ("ended", fs_device_result(w.f, 2, 3), -ENOLCK);
	CHECK_EQ("wait", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	w.f->fs.ops.logging(&w.f->fs, true);
	fs_device_serve(w.f, 2);
	CHECK_EQ("a migration begins: it waits on", w.f->fs.locks.n_waiters, 1);
	w.f->driver[2]->vq.stopping = true;
	fs_device_serve(w.f, 2);
	CHECK_EQ("ended", fs_device_result(w.f, 2, 3), -ENOLCK);
	CHECK_EQ("not parked", setlkw(&w, 1, 3, 2, F_WRLCK), -ENOLCK);
	CHECK_EQ("at once, it works", setlk(&w, 1, F_WRLCK, 0, 0), 0);
	/* The migration has failed: the guest goes on. */
	w.f->fs.ops.logging(&w.f->fs, false);
	w.f->fs.ops.start(&w.f->fs, &(struct device_start){ .continued = true });
	w.f->driver[2]->vq.stopping = false;
	CHECK_EQ("it waits again", setlkw(&w, 2, 3, 2, F_WRLCK), PARKED);
	world_end(&w);
}

static void test_flock(void)
{
	struct world w = world_new();
	const struct fuse_release_in release = { .fh = w.fh[0],
						 .release_flags = FUSE_RELEASE_FLOCK_UNLOCK };

	CHECK_EQ("lock", flock_of(&w, 0, F_WRLCK), 0);
	CHECK_EQ("the host sees it", flock(w.host, LOCK_SH | LOCK_NB), -1);
	CHECK_EQ("not of one kind", setlk(&w, 5, F_WRLCK, 0, TO_END), 0);
	CHECK_EQ("the other handle", flock_of(&w, 1, F_RDLCK), -EAGAIN);
	CHECK_EQ("wait", flock_wait(&w, 2, 0, 1, F_RDLCK), PARKED);
	CHECK_EQ("downgrade", flock_of(&w, 0, F_RDLCK), 0);
	fs_device_serve(w.f, 2);
	CHECK_EQ("both", fs_device_result(w.f, 2, 0), 0);
	CHECK_EQ("upgrade has to wait", flock_wait(&w, 2, 0, 1, F_WRLCK), PARKED);
	/* The kernel has given up its shared lock for that, so this one can have both. */
	CHECK_EQ("upgrade", flock_of(&w, 0, F_WRLCK), 0);
	CHECK_EQ("RELEASE",
		 fs_device_call(w.f, 1, FUSE_RELEASE, w.node, &release, sizeof(release), NULL, 0),
		 0);
	CHECK_EQ("woken", w.f->woken, 1u << 2);
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 0), 0);
	CHECK_EQ("unlock", flock_of(&w, 1, F_UNLCK), 0);
	CHECK_EQ("the host may", flock(w.host, LOCK_EX | LOCK_NB), 0);
	world_end(&w);
}

/* An owner that waits and gives up its locks meanwhile still gets what it waits for. */
static void test_flush_of_a_waiter(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 100, TO_END), 0);
	CHECK_EQ("the other's", setlk(&w, 2, F_WRLCK, 0, 9), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 0, 2, F_WRLCK), PARKED);
	CHECK_EQ("FLUSH", flush(&w, 2), 0);
	CHECK_EQ("it has nothing", setlk(&w, 1, F_WRLCK, 0, 9), 0);
	CHECK_EQ("FLUSH", flush(&w, 1), 0);
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 0), 0);
	CHECK_EQ("held", host_lock(&w, F_RDLCK), -EAGAIN);
	CHECK_EQ("FLUSH", flush(&w, 2), 0);
	CHECK_EQ("no owners", w.f->fs.locks.owners.n, 0);
	CHECK_EQ("free", host_lock(&w, F_WRLCK), 0);
	world_end(&w);
}

static int release(struct world *w, unsigned handle)
{
	const struct fuse_release_in in = { .fh = w->fh[handle] };

	return fs_device_call(w->f, 1, FUSE_RELEASE, w->node, &in, sizeof(in), NULL, 0);
}

/* An owner that is an open file, and no process, sends no FLUSH. */
static void test_release(void)
{
	struct world w = world_new();

	CHECK_EQ("lock", setlk(&w, 1, F_WRLCK, 0, 9), 0);
	CHECK_EQ("and another owner's", setlk(&w, 2, F_WRLCK, 20, 29), 0);
	CHECK_EQ("RELEASE of another file", release(&w, 1), 0);
	CHECK_EQ("held", host_lock(&w, F_RDLCK), -EAGAIN);
	CHECK_EQ("RELEASE", release(&w, 0), 0);
	CHECK_EQ("no owners", w.f->fs.locks.owners.n, 0);
	CHECK_EQ("free", host_lock(&w, F_WRLCK), 0);
	world_end(&w);
}

/* Without either, the inode's end is the end of its locks. */
static void test_inode_gone(void)
{
	struct world w = world_new();
	const struct fuse_forget_in forget = { .nlookup = 1 };

	CHECK_EQ("the host's", host_lock(&w, F_WRLCK), 0);
	CHECK_EQ("wait", setlkw(&w, 2, 0, 1, F_WRLCK), PARKED);
	CHECK_EQ("RELEASE", release(&w, 0), 0);
	CHECK_EQ("RELEASE", release(&w, 1), 0);
	CHECK_EQ("unlock", host_lock(&w, F_UNLCK), 0);
	now_ns += 10 * MS;
	fs_device_serve(w.f, 2);
	CHECK_EQ("locked", fs_device_result(w.f, 2, 0), 0);
	CHECK_EQ("held", host_lock(&w, F_RDLCK), -EAGAIN);
	fs_device_send(w.f, 0, 0, FUSE_FORGET, w.node, &forget, sizeof(forget), 0);
	fs_device_serve(w.f, 0);
	CHECK_EQ("no owners", w.f->fs.locks.owners.n, 0);
	CHECK_EQ("free", host_lock(&w, F_RDLCK), 0);
	world_end(&w);
}

/* SETLKW of [10 * at, 10 * at + 9] on a queue. */
static int wait_for(struct world *w, unsigned q, unsigned slot, uint64_t owner, uint64_t at)
{
	const struct fuse_lk_in in = lk_in(w, owner, F_WRLCK, 10 * at, 10 * at + 9);

	fs_device_send(w->f, q, slot, FUSE_SETLKW, w->node, &in, sizeof(in), 0);
	fs_device_serve(w->f, q);
	return fs_device_result(w->f, q, slot);
}

/* Owners 1 to n each have a range, and wait for the next one's; who closes the circle is told. */
static void test_circle(uint64_t n)
{
	struct world w = world_new();

	for (uint64_t i = 1; i <= n; i++)
		CHECK_EQ("lock", setlk(&w, i, F_WRLCK, 10 * i, 10 * i + 9), 0);
	for (uint64_t i = 1; i < n; i++)
		CHECK_EQ("wait", wait_for(&w, 1, (unsigned)i, i, i + 1), PARKED);
	now_ns += 2 * MS;
	fs_device_serve(w.f, 1);
	for (uint64_t i = 1; i < n; i++)
		CHECK_EQ("no circle", fs_device_result(w.f, 1, (unsigned)i), PARKED);
	CHECK_EQ("close", wait_for(&w, 2, 0, n, 1), PARKED);
	now_ns += 2 * MS;
	fs_device_serve(w.f, 2);
	CHECK_EQ("a circle", fs_device_result(w.f, 2, 0), -EDEADLK);
	now_ns += 10 * MS;
	fs_device_serve(w.f, 1);
	for (uint64_t i = 1; i < n; i++)
		CHECK_EQ("it is open again", fs_device_result(w.f, 1, (unsigned)i), PARKED);
	CHECK_EQ("FLUSH", flush(&w, n), 0);
	fs_device_serve(w.f, 1);
	CHECK_EQ("goes on", fs_device_result(w.f, 1, (unsigned)n - 1), 0);
	world_end(&w);
}

/* Nobody knows for whom the host waits. */
static void test_no_circle(void)
{
	struct world w = world_new();

	CHECK_EQ("the host's", host_lock(&w, F_WRLCK), 0);
	CHECK_EQ("wait", wait_for(&w, 1, 0, 1, 1), PARKED);
	CHECK_EQ("wait", wait_for(&w, 2, 0, 2, 1), PARKED);
	for (unsigned i = 0; i < 10; i++) {
		now_ns += 10 * MS;
		fs_device_serve(w.f, 1);
		fs_device_serve(w.f, 2);
	}
	CHECK_EQ("waits", fs_device_result(w.f, 1, 0), PARKED);
	CHECK_EQ("waits", fs_device_result(w.f, 2, 0), PARKED);
	world_end(&w);
}

int main(void)
{
	test_off();
	test_bad();
	test_posix();
	test_host();
	test_owners_are_bounded();
	test_wait();
	test_timer();
	test_quarter();
	test_interrupt();
	test_stop_and_continue();
	test_stop_twice();
	test_new_start();
	test_reset();
	test_destroy();
	test_frozen();
	test_flock();
	test_flush_of_a_waiter();
	test_release();
	test_inode_gone();
	test_circle(2);
	test_circle(4);
	test_no_circle();
	return check_done();
}
