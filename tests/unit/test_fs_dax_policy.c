/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files a guest is told to map, what two guests of one file may do, and shares that are
 * read-only: fs/dax_policy.c, fs/dax_lock.c, fs/op_lock.c.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "fs/dax_lock.h"
#include "tests/lib/dax_device.h"
#include "virtio/fault.h"

#define SECOND UINT64_C(1000000000)

/* The node id by LOOKUP; whether the guest should map it in *dax. */
static uint64_t look_up(struct dax_device *d, const char *name, bool *dax)
{
	struct fuse_entry_out out;

	REQUIRE(fs_device_call(d->f, 1, FUSE_LOOKUP, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1,
			       &out, sizeof(out)) == sizeof(out));
	*dax = out.attr.flags & FUSE_ATTR_DAX;
	return out.nodeid;
}

/* --- rule by rule --- */

#define GUEST_WRITES 1u
#define HOST_WRITES  2u

static const struct rule {
	const char *name;
	uint64_t size;
	mode_t mode;
	unsigned open; /* by whom */
	struct fs_dax_policy policy;
	bool want;
} rules[] = {
	{ "plain", MIB(1), 0644, 0, { .any_fs = true, .min_size = MIB(1) }, true },
	{ "small", MIB(1) - 1, 0644, 0, { .any_fs = true, .min_size = MIB(1) }, false },
	{ "empty", 0, 0644, 0, { .any_fs = true }, false },
	{ "half the window", MIB(4), 0644, 0, { .any_fs = true }, true },
	{ "more than that", MIB(4) + 1, 0644, 0, { .any_fs = true }, false },
	{ "program", MIB(1), 0744, 0, { .any_fs = true }, false },
	{ "program of the group", MIB(1), 0654, 0, { .any_fs = true }, false },
	{ "program, permitted", MIB(1), 0755, 0, { .any_fs = true, .exec = true }, true },
	{ "the host writes", MIB(1), 0644, HOST_WRITES, { .any_fs = true }, false },
	{ "permitted", MIB(1), 0644, HOST_WRITES, { .any_fs = true, .writers = true }, true },
	{ "the guest writes", MIB(1), 0644, GUEST_WRITES, { .any_fs = true }, false },
	{ "permitted", MIB(1), 0644, GUEST_WRITES, { .any_fs = true, .writers = true }, true },
	{ "young", MIB(1), 0644, 0, { .any_fs = true, .min_age_ns = 3600 * SECOND }, false },
	{ "never", MIB(1), 0644, 0, { .any_fs = true, .never = true }, false },
};

static bool is_wanted(const struct rule *r, uint64_t features)
{
	struct dax_device *d = dax_device_new();
	uint64_t node;
	bool dax;
	int fd;

	d->f->cfg.dax_policy = r->policy;
	d->f->cfg.dax_policy.writers |= r->open == GUEST_WRITES; /* so far */
	d->f->cfg.dax_policy.min_age_ns = UINT64_MAX >> 1;
	dax_device_start(d, features);
	fd = dax_file_make(d, "file", 1, r->size, r->mode);
	node = look_up(d, "file", &dax);
	CHECK_NAMED("not yet", !dax);
	if (r->open == GUEST_WRITES)
		REQUIRE(fs_device_open(d->f, FUSE_OPEN, node, O_RDWR));
	if (r->open != HOST_WRITES)
		close(fd);
	d->f->cfg.dax_policy = r->policy;
	/* It decides when it learns of it; here again, as it knows the file without. */
	CHECK_EQ("the same", look_up(d, "file", &dax), node);
	CHECK_EQ("as GETATTR says", dax_getattr(d, node, NULL), dax);
	if (r->open == HOST_WRITES)
		close(fd);
	dax_device_free(d);
	return dax;
}

static void test_rules(void)
{
	static const struct rule *plain = &rules[0];

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		CHECK_EQ(rules[i].name, is_wanted(&rules[i], DAX_DEVICE_INIT), rules[i].want);
	CHECK_EQ("a guest that maps everything is not told", is_wanted(plain, FUSE_MAP_ALIGNMENT),
		 0);
	CHECK_EQ("nor one that maps nothing", is_wanted(plain, 0), 0);
}

/* A file system that is not known to bear it. */
static void test_file_system(void)
{
	const struct rule r = { "known", MIB(1), 0644, 0, { .min_size = 1 }, true };
	struct statfs st;

	REQUIRE(!statfs("/var/tmp", &st));
	CHECK_EQ("known", is_wanted(&r, DAX_DEVICE_INIT),
		 st.f_type == EXT4_SUPER_MAGIC || st.f_type == BTRFS_SUPER_MAGIC ||
			 st.f_type == 0x58465342);
}

/* --- the budget --- */

/* 16 MiB are 8 ranges, of which 6 may be promised. */
static void test_budget(void)
{
	struct dax_device *d = dax_device_new();
	const struct fuse_forget_in forget = { .nlookup = 3 };
	uint64_t node[5], files, ranges;
	bool dax;

	d->f->cfg.dax_window = MIB(16);
	dax_device_start(d, DAX_DEVICE_INIT);
	for (unsigned i = 0; i < 5; i++) {
		const char name[] = { (char)('a' + i), 0 };

		close(dax_file_make(d, name, i, MIB(3), 0644));
		node[i] = look_up(d, name, &dax);
		CHECK_EQ("three fit", dax, i < 3);
	}
	dax_grants_count(dax_of(d), &files, &ranges);
	CHECK_EQ("files", files, 3);
	CHECK_EQ("ranges", ranges, 6);
	dax_now_ns += 11 * SECOND;
	CHECK_EQ("the first is used", dax_map(d, node[0], 0, 512, DAX_READ, 0), 0);
	CHECK_EQ("unused for long: another's turn", look_up(d, "d", &dax), node[3]);
	CHECK_EQ("yes", dax, 1);
	CHECK_EQ("the used one keeps it", dax_getattr(d, node[0], NULL), 1);
	CHECK_EQ("one of the unused does not",
		 dax_getattr(d, node[1], NULL) + dax_getattr(d, node[2], NULL), 1);
	CHECK_EQ("the other goes, too", (look_up(d, "e", &dax), dax), 1);
	CHECK_EQ("the new ones are not unused for long", (look_up(d, "b", &dax), dax), 0);
	CHECK_EQ("whoever maps it has it", dax_map(d, node[1], 0, 512, DAX_READ, 512), 0);
	CHECK_EQ("yes", dax_getattr(d, node[1], NULL), 1);
	dax_grants_count(dax_of(d), &files, &ranges);
	CHECK_EQ("over the budget", ranges, 8);
	CHECK_EQ("so there is none", (look_up(d, "c", &dax), dax), 0);
	for (unsigned i = 3; i < 5; i++) {
		fs_device_send(d->f, 0, 0, FUSE_FORGET, node[i], &forget, sizeof(forget), 0);
		fs_device_serve(d->f, 0);
	}
	dax_grants_count(dax_of(d), &files, &ranges);
	CHECK_EQ("forgotten", ranges, 4);
	CHECK_EQ("there is", (look_up(d, "c", &dax), dax), 1);
	dax_device_free(d);
}

/* --- two VMs, one file --- */

/* The lock of daemons as somebody else finds it who wants it: F_UNLCK, F_RDLCK, F_WRLCK. */
static int lock_at(int fd, int64_t at, struct flock *lk)
{
	*lk = (struct flock){ .l_type = F_WRLCK, .l_start = at, .l_len = 1 };
	REQUIRE(!fcntl(fd, F_OFD_GETLK, lk));
	return lk->l_type;
}

struct pair {
	struct dax_device *d[2];
	uint64_t node[2], fh[2];
	int fd;
};

static struct pair pair_new(uint64_t size)
{
	struct pair p = { .fd = -1 };

	for (unsigned i = 0; i < 2; i++) {
		p.d[i] = dax_device_new();
		if (i) {
			close(p.d[1]->f->dir_fd);
			p.d[1]->f->dir_fd = dup(p.d[0]->f->dir_fd);
		}
		dax_device_start(p.d[i], DAX_DEVICE_INIT);
		if (!i)
			p.fd = dax_file_make(p.d[0], "file", 1, size, 0644);
		p.node[i] = fs_device_lookup(p.d[i]->f, "file");
		p.fh[i] = fs_device_open(p.d[i]->f, FUSE_OPEN, p.node[i], O_RDWR);
		REQUIRE(p.node[i] && p.fh[i]);
	}
	return p;
}

static void pair_end(struct pair *p)
{
	close(p->fd);
	dax_device_free(p->d[1]);
	dax_device_free(p->d[0]);
}

static int truncate_to(struct pair *p, unsigned i, uint64_t pages)
{
	int ret = dax_truncate(p->d[i], p->node[i], pages * DAX_PAGE);

	return ret > 0 ? 0 : ret;
}

static void test_shrink_lock(void)
{
	struct pair p = pair_new(16 * DAX_PAGE);
	struct flock lk;

	CHECK_EQ("nobody has it mapped", truncate_to(&p, 1, 15), 0);
	CHECK_EQ("map", dax_map(p.d[0], p.node[0], 0, 16, DAX_RW, 0), 0);
	CHECK_EQ("is locked", lock_at(p.fd, INT64_MAX, &lk), F_RDLCK);
	CHECK_EQ("at that byte alone", lk.l_start, INT64_MAX);
	CHECK_EQ("another shrinks it", truncate_to(&p, 1, 14), -ETXTBSY);
	CHECK_EQ("it has not", lseek(p.fd, 0, SEEK_END), 15 * DAX_PAGE);
	CHECK_EQ("the same size", truncate_to(&p, 1, 15), 0);
	CHECK_EQ("another grows it", truncate_to(&p, 1, 16), 0);
	CHECK_EQ("its own guest may", truncate_to(&p, 0, 14), 0);
	CHECK_EQ("still locked", lock_at(p.fd, INT64_MAX, &lk), F_RDLCK);
	CHECK_EQ("both map", dax_map(p.d[1], p.node[1], 0, 8, DAX_READ, 0), 0);
	CHECK_EQ("nobody may", truncate_to(&p, 0, 13), -ETXTBSY);
	CHECK_EQ("nobody may", truncate_to(&p, 1, 13), -ETXTBSY);
	CHECK_EQ("give back a part", dax_unmap(p.d[0], p.node[0], 0, 8), 0);
	CHECK_EQ("nobody may", truncate_to(&p, 1, 13), -ETXTBSY);
	CHECK_EQ("give back", dax_unmap(p.d[0], p.node[0], 8, 8), 0);
	CHECK_EQ("now he may", truncate_to(&p, 1, 13), 0);
	CHECK_EQ("what is given back stays mapped", p.d[0]->shm.n, 2);
	CHECK_EQ("DESTROY", dax_destroy(p.d[1]), 0);
	CHECK_EQ("not locked", lock_at(p.fd, INT64_MAX, &lk), F_UNLCK);
	CHECK_EQ("map again", dax_map(p.d[0], p.node[0], 0, 16, DAX_RW, 0), 0);
	CHECK_EQ("locked", lock_at(p.fd, INT64_MAX, &lk), F_RDLCK);
	pair_end(&p);
}

/* OPEN with O_TRUNC is a way to shrink as well. */
static void test_open_trunc(void)
{
	struct pair p = pair_new(4 * DAX_PAGE);
	const struct fuse_open_in in = { .flags = O_RDWR | O_TRUNC };
	struct fuse_open_out out;

	inode_forget_all(&p.d[1]->f->fs);
	fs_device_init_session(p.d[1]->f, DAX_DEVICE_INIT | FUSE_ATOMIC_O_TRUNC);
	p.node[1] = fs_device_lookup(p.d[1]->f, "file");
	CHECK_EQ("map", dax_map(p.d[0], p.node[0], 0, 4, DAX_RW, 0), 0);
	CHECK_EQ("refused",
		 fs_device_call(p.d[1]->f, 1, FUSE_OPEN, p.node[1], &in, sizeof(in), &out,
				sizeof(out)),
		 -ETXTBSY);
	CHECK_EQ("it has not", lseek(p.fd, 0, SEEK_END), 4 * DAX_PAGE);
	pair_end(&p);
}

/* Somebody is just shrinking it, and does not come to an end: an error, and nothing is lost. */
static void test_setup_while_it_shrinks(void)
{
	struct pair p = pair_new(16 * DAX_PAGE);
	int other = openat(p.d[0]->f->dir_fd, "file", O_RDWR | O_CLOEXEC);
	const struct dax_file *file;

	CHECK_EQ("lock", dax_lock(other, F_WRLCK), 0);
	CHECK_EQ("refused", dax_map(p.d[0], p.node[0], 0, 8, DAX_RW, 0), -ETXTBSY);
	CHECK_EQ("unlock", dax_lock(other, F_UNLCK), 0);
	CHECK_EQ("map", dax_map(p.d[0], p.node[0], 0, 8, DAX_RW, 0), 0);
	CHECK_EQ("give back", dax_unmap(p.d[0], p.node[0], 0, 8), 0);
	CHECK_EQ("lock", dax_lock(other, F_WRLCK), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ("again", dax_map(p.d[0], p.node[0], 0, 8, DAX_RW, 0), -ETXTBSY);
	CHECK_EQ("unlock", dax_lock(other, F_UNLCK), 0);
	file = dax_of(p.d[0])->map.v[0]->file;
	CHECK_EQ("references: a piece, and what comes next", file->refs, 2);
	CHECK_EQ("nobody wants it", file->wanted, 0);
	CHECK_EQ("map", dax_map(p.d[0], p.node[0], 0, 8, DAX_RW, 0), 0);
	CHECK(dax_shows(p.d[0], 0, 1, 0, 8ull * DAX_PAGE));
	CHECK_EQ("DESTROY", dax_destroy(p.d[0]), 0);
	dax_check_empty(p.d[0]);
	close(other);
	pair_end(&p);
}

/* Locks of the guest's programs are beside that byte, also those of everything. */
static void test_guest_locks(void)
{
	struct dax_device *d = dax_device_new();
	struct fuse_lk_in in = { .owner = 7, .lk = { .end = INT64_MAX, .type = F_WRLCK } };
	struct fuse_lk_out out;
	uint64_t node;
	struct flock lk;
	int fd;

	dax_device_start(d, DAX_DEVICE_INIT | FUSE_POSIX_LOCKS);
	fd = dax_file_make(d, "file", 1, 2ull * DAX_PAGE, 0644);
	node = fs_device_lookup(d->f, "file");
	in.fh = fs_device_open(d->f, FUSE_OPEN, node, O_RDWR);
	CHECK_EQ("all of it", fs_device_call(d->f, 1, FUSE_SETLK, node, &in, sizeof(in), NULL, 0),
		 0);
	CHECK_EQ("not that byte", lock_at(fd, INT64_MAX, &lk), F_UNLCK);
	CHECK_EQ("the one before", lock_at(fd, INT64_MAX - 1, &lk), F_WRLCK);
	CHECK_EQ("map", dax_map(d, node, 0, 2, DAX_RW, 0), 0);
	CHECK_EQ("that byte", lock_at(fd, INT64_MAX, &lk), F_RDLCK);
	CHECK_EQ("shrink", dax_truncate(d, node, DAX_PAGE), sizeof(struct fuse_attr_out));
	in.owner = 8;
	CHECK_EQ("who has it",
		 fs_device_call(d->f, 1, FUSE_GETLK, node, &in, sizeof(in), &out, sizeof(out)),
		 sizeof(out));
	CHECK_EQ("to the end, for the guest", out.lk.end, INT64_MAX);
	in.owner = 7;
	in.lk.type = F_UNLCK;
	CHECK_EQ("none of it", fs_device_call(d->f, 1, FUSE_SETLK, node, &in, sizeof(in), NULL, 0),
		 0);
	CHECK_EQ("that byte stays", lock_at(fd, INT64_MAX, &lk), F_RDLCK);
	CHECK_EQ("the one before", lock_at(fd, INT64_MAX - 1, &lk), F_UNLCK);
	in.lk = (struct fuse_file_lock){ .start = INT64_MAX, .end = INT64_MAX, .type = F_RDLCK };
	in.lk.type = F_WRLCK;
	CHECK_EQ("that byte alone is the one before",
		 fs_device_call(d->f, 1, FUSE_SETLK, node, &in, sizeof(in), NULL, 0), 0);
	CHECK_EQ("that byte stays", lock_at(fd, INT64_MAX, &lk), F_RDLCK);
	CHECK_EQ("the one before", lock_at(fd, INT64_MAX - 1, &lk), F_WRLCK);
	close(fd);
	dax_device_free(d);
}

/* --- shares that are read-only --- */

static void test_read_only(bool takes)
{
	struct dax_device *d = dax_device_new();
	uint64_t node;
	unsigned fds;
	int fd;

	d->f->cfg.readonly = true;
	dax_device_make(d);
	d->shm.takes_read_only = takes;
	dax_device_settle(d);
	CHECK_EQ("nothing stays of the attempt", d->shm.n, 0);
	fs_device_init_session(d->f, DAX_DEVICE_INIT);
	CHECK_EQ("a window", !!fs_has(&d->f->fs, FUSE_MAP_ALIGNMENT), takes);
	fd = dax_file_make(d, "file", 1, 2ull * DAX_PAGE + 5, 0644);
	node = fs_device_lookup(d->f, "file");
	fds = dax_count_fds();
	CHECK_EQ("to write", dax_map(d, node, 0, 3, DAX_RW, 0), -EROFS);
	if (takes) {
		CHECK_EQ("to read", dax_map(d, node, 0, 3, DAX_READ, 0), 0);
		CHECK(dax_shows(d, 0, 1, 0, 2ull * DAX_PAGE + 5));
		REQUIRE(pwrite(fd, "now", 3, 2ull * DAX_PAGE) == 3 && !ftruncate(fd, 9000));
		CHECK_EQ("GETATTR",
			 (dax_getattr(d, node, NULL), memcmp("now", d->shm.base + 8192, 3)), 0);
		CHECK_EQ("DESTROY", dax_destroy(d), 0);
	}
	CHECK_NAMED("descriptors", dax_count_fds() <= fds);
	dax_check_empty(d);
	close(fd);
	dax_device_free(d);
}

/* A stop in the middle of finding out; after a reset it is found out anew. */
static void test_read_only_stop(void)
{
	for (unsigned answers = 0; answers < 2; answers++) {
		struct dax_device *d = dax_device_new();

		d->f->cfg.readonly = true;
		dax_device_make(d);
		d->shm.takes_read_only = true;
		dax_device_run(d);
		if (answers)
			fake_shm_answer(&d->shm, 0);
		REQUIRE(d->shm.first);
		dax_device_stop(d, FAKE_SHM_DONE);
		dax_device_go_on(d, false);
		dax_device_settle(d);
		fs_device_init_session(d->f, DAX_DEVICE_INIT);
		CHECK_NAMED("a window", fs_has(&d->f->fs, FUSE_MAP_ALIGNMENT));
		CHECK_EQ("nothing stays", d->shm.n, 0);
		dax_device_free(d);
	}
}

int main(void)
{
	REQUIRE(!fault_init());
	test_rules();
	test_file_system();
	test_budget();
	test_shrink_lock();
	test_open_trunc();
	test_setup_while_it_shrinks();
	test_guest_locks();
	test_read_only(false);
	test_read_only(true);
	test_read_only_stop();
	return check_done();
}
