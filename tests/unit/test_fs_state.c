/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/state*.c: what one daemon saves another loads, from the same directory or a copy of it; the
 * files that cannot be found; states that are not what they should be. Long, as all of them need
 * the same two shares and the same writer of states.
 */
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "host/log.h"
#include "tests/lib/check.h"
#include "tests/unit/fs_state.h"

#define MANY 10000u

static char top[] = "/var/tmp/vdax-state-XXXXXX";
static char dir_a[64], dir_b[64];
static struct stage from, to;
static struct bytes state;
static bool have_handles;

static const struct fs_config by_path = { .inode_file_handles = FS_HANDLES_PREFER };
static const struct fs_config pinned = { .inode_file_handles = FS_HANDLES_NEVER };
static const struct fs_config by_handle = { .inode_file_handles = FS_HANDLES_PREFER,
					    .migration_mode = FS_MIGRATE_FILE_HANDLES };

/* --- what the kernel says of descriptors; the test may have its say --- */

static void (*on_readlink)(unsigned n);
static unsigned readlinks;
static bool kernel_knows_nothing;

ssize_t __real_readlinkat(int fd, const char *name, char *buf, size_t len);
ssize_t __wrap_readlinkat(int fd, const char *name, char *buf, size_t len);
ssize_t __wrap_readlinkat(int fd, const char *name, char *buf, size_t len)
{
	ssize_t n = __real_readlinkat(fd, name, buf, len);

	if (on_readlink)
		on_readlink(readlinks++);
	/* As for an entry that was made by handle, and is in no directory. */
	if (kernel_knows_nothing && n > 0 && strncmp(buf, dir_a, strlen(dir_a)) == 0 &&
	    (size_t)n > strlen(dir_a)) {
		buf[0] = '/';
		n = 1;
	}
	return n;
}

/* --- directories --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void empty(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	REQUIRE(mkdir(dir, 0755) == 0);
}

static char *at(const char *dir, const char *name)
{
	static char path[8][5000];
	static unsigned turn;
	char *p = path[turn++ % ARRAY_SIZE(path)];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void make_file(const char *dir, const char *name)
{
	int fd = open(at(dir, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
	close(fd);
}

/* What the tests look up. A tree, with names that are meant to confuse. */
static const char *const names[] = {
	"plain",      "d",    "d/x", "d/sub", "d/sub/y",  "gone (deleted)",	      "line\nbreak",
	"d/sub/link", "fifo", " ",   "...",   "\xff\xfe", "d/sub/a/b/c/d/e/f/g/deep",
};

static void make_tree(const char *dir)
{
	empty(dir);
	for (const char *const *n =
		     (const char *const[]){ "d", "d/sub", "d/sub/a", "d/sub/a/b", "d/sub/a/b/c",
					    "d/sub/a/b/c/d", "d/sub/a/b/c/d/e", "d/sub/a/b/c/d/e/f",
					    "d/sub/a/b/c/d/e/f/g", NULL };
	     *n; n++)
		REQUIRE(mkdir(at(dir, *n), 0755) == 0);
	REQUIRE(symlink("/etc", at(dir, "d/sub/link")) == 0);
	REQUIRE(mkfifo(at(dir, "fifo"), 0644) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (access(at(dir, names[i]), F_OK))
			make_file(dir, names[i]);
}

/* --- checks --- */

/* Is nodeid there the file path of dir? */
static bool is_file(struct stage *s, int64_t nodeid, const char *dir, const char *path)
{
	struct inode *i = inode_get(&s->fs, (uint64_t)nodeid);
	struct stat want, got;
	int fd = i ? inode_fd(&s->fs, i) : -1;
	bool ok = fd >= 0 && fstatat(fd, "", &got, AT_EMPTY_PATH) == 0 &&
		  lstat(at(dir, path), &want) == 0 && want.st_ino == got.st_ino &&
		  want.st_dev == got.st_dev;

	if (fd >= 0)
		inode_fd_put(i);
	if (i)
		inode_put(&s->fs, i);
	return ok;
}

static bool same_flags(struct stage *s, uint64_t fh, int64_t nodeid, int want)
{
	struct handle *h = handle_get(&s->fs, fh, (uint64_t)nodeid);
	int flags = h && h->fd >= 0 ? fcntl(h->fd, F_GETFL) : -1;

	if (h)
		handle_put(&s->fs, h);
	return flags >= 0 && (flags & (O_ACCMODE | O_APPEND)) == want;
}

static void check_empty(const char *what, struct stage *s)
{
	CHECK_EQ(what, s->fs.session.ready, false);
	CHECK_EQ(what, s->fs.inodes.count, 1);
	CHECK_EQ(what, s->fs.handles.count, 0);
}

static void open_both(const struct fs_config *a, const char *in_a, const struct fs_config *b,
		      const char *in_b)
{
	REQUIRE(stage_open(&from, in_a, a) == 0);
	REQUIRE(stage_open(&to, in_b, b) == 0);
	from.fs.session.features = FUSE_BIG_WRITES | FUSE_INIT_EXT;
	from.fs.session.minor = 31;
	from.fs.session.ready = true;
}

static void close_both(void)
{
	stage_close(&from);
	stage_close(&to);
}

static int migrate(void)
{
	int ret = save_to(&from, &state);

	return ret ? ret : load_from(&to, state.data, state.len);
}

/* --- there and back --- */

static void round_trip(const char *what, const struct fs_config *cfg, const char *in_b)
{
	int64_t ids[ARRAY_SIZE(names)], again;
	uint64_t read_fh, append_fh, dir_fh;

	make_tree(dir_a);
	make_tree(dir_b);
	open_both(cfg, dir_a, cfg, in_b);
	from.fs.session.swapped = true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ids[i] = look_up(&from, names[i]);
		CHECK_NAMED(names[i], ids[i] > 0);
	}
	/* Places with a past: the guest forgets one, and another takes its place. */
	inode_unlookup(&from.fs, inode_get(&from.fs, (uint64_t)ids[0]), UINT64_MAX);
	inode_put(&from.fs, inode_get(&from.fs, (uint64_t)ids[0]));
	again = look_up(&from, "plain");
	CHECK_EQ("opened", open_node(&from, (uint64_t)ids[2], O_RDONLY, &read_fh), 0);
	CHECK_EQ("opened", open_node(&from, (uint64_t)ids[4], O_RDWR | O_APPEND, &append_fh), 0);
	CHECK_EQ("opened", open_node(&from, (uint64_t)ids[3], O_RDONLY | O_DIRECTORY, &dir_fh), 0);
	REQUIRE(rename(at(dir_a, "d/sub"), at(dir_a, "moved")) == 0);
	if (in_b == dir_b)
		REQUIRE(rename(at(dir_b, "d/sub"), at(dir_b, "moved")) == 0);

	CHECK_EQ(what, migrate(), 0);
	CHECK_EQ(what, to.fs.inodes.count, from.fs.inodes.count);
	CHECK_EQ(what, to.fs.handles.count, 3);
	CHECK(to.fs.session.ready && to.fs.session.swapped && to.fs.session.minor == 31);
	CHECK_EQ(what, to.fs.session.features, FUSE_BIG_WRITES | FUSE_INIT_EXT);
	CHECK_NAMED(what, is_file(&to, again, in_b, "plain"));
	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		char now[300];

		snprintf(now, sizeof(now), "%s%s", strncmp(names[i], "d/sub", 5) ? "" : "moved",
			 names[i] + (strncmp(names[i], "d/sub", 5) ? 0 : 5));
		CHECK_NAMED(names[i], is_file(&to, ids[i], in_b, now));
	}
	CHECK_NAMED(what, same_flags(&to, read_fh, ids[2], O_RDONLY));
	CHECK_NAMED(what, same_flags(&to, append_fh, ids[4], O_RDWR | O_APPEND));
	CHECK_NAMED(what, same_flags(&to, dir_fh, ids[3], O_RDONLY));
	CHECK_NAMED("a handle is of its inode", !handle_get(&to.fs, dir_fh, (uint64_t)ids[1]));
	/* The guest goes on: what it knows is what it knew, and it is counted. */
	CHECK_EQ("known again", look_up(&to, "plain"), again);
	CHECK_EQ("known again", look_up(&to, "d/x"), ids[2]);
	to.fs.ops.reset(&to.fs);
	check_empty("after a reset", &to);
	CHECK_EQ("and once more", load_from(&to, state.data, state.len), 0);
	close_both();
}

static void test_round_trips(void)
{
	round_trip("by path, same directory", &by_path, dir_a);
	round_trip("by path, a copy", &by_path, dir_b);
	round_trip("by path, one descriptor for each", &pinned, dir_b);
	if (have_handles)
		round_trip("by handle", &by_handle, dir_a);
}

static void test_counts(void)
{
	int64_t id, open_only;
	uint64_t fh;
	struct inode *i;

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	for (unsigned n = 0; n < 5; n++)
		id = look_up(&from, "plain");
	open_only = look_up(&from, "d/x");
	CHECK_EQ("opened", open_node(&from, (uint64_t)open_only, O_RDONLY, &fh), 0);
	i = inode_get(&from.fs, (uint64_t)open_only);
	inode_unlookup(&from.fs, i, 1);
	inode_put(&from.fs, i);
	CHECK_EQ("saved and loaded", migrate(), 0);

	i = inode_get(&to.fs, (uint64_t)id);
	REQUIRE(i);
	CHECK_EQ("lookups", i->nlookup, 5);
	inode_unlookup(&to.fs, i, 4);
	inode_put(&to.fs, i);
	CHECK_NAMED("still known", is_file(&to, id, dir_a, "plain"));
	i = inode_get(&to.fs, (uint64_t)id);
	inode_unlookup(&to.fs, i, 1);
	inode_put(&to.fs, i);
	CHECK(!inode_get(&to.fs, (uint64_t)id));

	CHECK_NAMED("known by its handle alone", is_file(&to, open_only, dir_a, "d/x"));
	handle_release_all(&to.fs);
	CHECK(!inode_get(&to.fs, (uint64_t)open_only));
	close_both();
}

/* --- files that cannot be found --- */

static struct fs_config forgiving(const struct fs_config *cfg)
{
	struct fs_config c = *cfg;

	c.migration_on_error = FS_MIGRATE_GUEST_ERROR;
	return c;
}

/* The guest has an inode that it can do nothing with but forget it. */
static void check_lost(const char *what, int64_t id, uint64_t fh)
{
	struct inode *i = inode_get(&to.fs, (uint64_t)id), *next;
	struct handle *h = handle_get(&to.fs, fh, (uint64_t)id);
	struct statx st;

	CHECK_NAMED(what, i && h);
	if (!i || !h)
		return;
	CHECK_EQ(what, inode_fd(&to.fs, i), -ESTALE);
	CHECK_EQ(what, inode_open(&to.fs, i, O_RDONLY), -ESTALE);
	CHECK_EQ(what, h->fd, -1);
	CHECK_EQ(what, inode_lookup(&to.fs, i, h->fd, "x", &st, &next), -EBADF);
	handle_put(&to.fs, h);
	CHECK(handle_release(&to.fs, h));
	inode_unlookup(&to.fs, i, UINT64_MAX);
	inode_put(&to.fs, i);
	CHECK_NAMED(what, !inode_get(&to.fs, (uint64_t)id));
}

static void test_unlinked(void)
{
	const struct fs_config soft = forgiving(&by_path);
	const struct fs_config *const cfgs[] = { &by_path, &soft };
	int64_t file, dir, kept;
	uint64_t fh, dir_fh;

	for (size_t n = 0; n < ARRAY_SIZE(cfgs); n++) {
		make_tree(dir_a);
		open_both(cfgs[n], dir_a, cfgs[n], dir_a);
		file = look_up(&from, "plain");
		dir = look_up(&from, "d/sub/a/b/c/d/e/f/g");
		kept = look_up(&from, "d/x");
		CHECK_EQ("opened", open_node(&from, (uint64_t)file, O_RDWR, &fh), 0);
		CHECK_EQ("opened", open_node(&from, (uint64_t)dir, O_RDONLY | O_DIRECTORY, &dir_fh),
			 0);
		REQUIRE(unlink(at(dir_a, "plain")) == 0);
		make_file(dir_a, "plain"); /* another one */
		REQUIRE(unlink(at(dir_a, "d/sub/a/b/c/d/e/f/g/deep")) == 0);
		REQUIRE(rmdir(at(dir_a, "d/sub/a/b/c/d/e/f/g")) == 0);
		if (cfgs[n] == &by_path) {
			CHECK_EQ("an unlinked file", migrate(), -ESTALE);
			CHECK_EQ("the source goes on", from.fs.handles.count, 2);
		} else {
			CHECK_EQ("an unlinked file", migrate(), 0);
			check_lost("an unlinked file", file, fh);
			check_lost("a directory", dir, dir_fh);
			CHECK_NAMED("the rest", is_file(&to, kept, dir_a, "d/x"));
		}
		close_both();
	}
}

static void test_unlinked_by_handle(void)
{
	char text[8] = "";
	struct handle *h;
	int64_t file;
	uint64_t fh;

	make_tree(dir_a);
	open_both(&by_handle, dir_a, &by_handle, dir_a);
	file = look_up(&from, "plain");
	CHECK_EQ("opened", open_node(&from, (uint64_t)file, O_RDWR, &fh), 0);
	REQUIRE(unlink(at(dir_a, "plain")) == 0);
	CHECK_EQ("an unlinked file", migrate(), 0);
	h = handle_get(&to.fs, fh, (uint64_t)file);
	REQUIRE(h);
	CHECK_EQ("is still there", pread(h->fd, text, sizeof(text), 0), 5);
	CHECK(!strcmp(text, "plain"));
	handle_put(&to.fs, h);
	close_both();
}

static void test_not_there(void)
{
	const struct fs_config soft = forgiving(&by_path);
	const struct fs_config *const cfgs[] = { &by_path, &soft };
	int64_t file, other;
	uint64_t fh;

	for (size_t n = 0; n < ARRAY_SIZE(cfgs); n++) {
		make_tree(dir_a);
		make_tree(dir_b);
		REQUIRE(unlink(at(dir_b, "d/x")) == 0);
		REQUIRE(unlink(at(dir_b, "fifo")) == 0);
		make_file(dir_b, "fifo"); /* of another type */
		open_both(cfgs[n], dir_a, cfgs[n], dir_b);
		file = look_up(&from, "d/x");
		other = look_up(&from, "fifo");
		CHECK_EQ("opened", open_node(&from, (uint64_t)file, O_RDONLY, &fh), 0);
		CHECK_EQ("a missing file", migrate(), cfgs[n] == &by_path ? -ENOENT : 0);
		if (cfgs[n] == &soft) {
			check_lost("a missing file", file, fh);
			CHECK(!is_file(&to, other, dir_b, "fifo"));
		} else {
			check_empty("a missing file", &to);
		}
		close_both();
	}
}

/* Names that are gone while others are left, which nobody but the share itself knows. */
static void test_search(void)
{
	int64_t ids[ARRAY_SIZE(names)], linked;

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	linked = look_up(&from, "plain");
	REQUIRE(link(at(dir_a, "plain"), at(dir_a, "d/sub/a/b/other")) == 0);
	REQUIRE(unlink(at(dir_a, "plain")) == 0);
	CHECK_EQ("a former link", migrate(), 0);
	CHECK(is_file(&to, linked, dir_a, "d/sub/a/b/other"));
	close_both();

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ids[i] = look_up(&from, names[i]);
	kernel_knows_nothing = true;
	CHECK_EQ("no paths", migrate(), 0);
	kernel_knows_nothing = false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		CHECK_NAMED(names[i], is_file(&to, ids[i], dir_a, names[i]));
	close_both();
}

static void rename_first(unsigned n)
{
	if (n == 2) /* the first one is done */
		REQUIRE(rename(at(dir_a, "plain"), at(dir_a, "d/renamed")) == 0);
}

static void test_confirm(void)
{
	struct fs_config cfg = by_path;
	int64_t id;

	for (int confirm = 0; confirm < 2; confirm++) {
		make_tree(dir_a);
		cfg.migration_confirm_paths = confirm;
		open_both(&cfg, dir_a, &cfg, dir_a);
		id = look_up(&from, "plain");
		look_up(&from, "d");
		readlinks = 0;
		on_readlink = rename_first;
		CHECK_EQ("renamed meanwhile", migrate(), confirm ? 0 : -ENOENT);
		on_readlink = NULL;
		if (confirm)
			CHECK(is_file(&to, id, dir_a, "d/renamed"));
		close_both();
	}
}

static void test_verify(void)
{
	struct fs_config cfg = by_path;

	cfg.migration_verify_handles = true;
	for (int copy = 0; copy < 2; copy++) {
		make_tree(dir_a);
		make_tree(dir_b);
		open_both(&cfg, dir_a, &by_path, copy ? dir_b : dir_a);
		look_up(&from, "d/sub/y");
		CHECK_EQ(copy ? "a copy" : "the same", migrate(), copy ? -ESTALE : 0);
		close_both();
	}
}

/* --- mounts --- */

static void test_mounts(void)
{
	const struct fs_config *const cfgs[] = { &by_path, &by_handle };
	int64_t file, dir, up;
	struct inode *i;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		fprintf(stderr, "no mounts here\n");
		return;
	}
	for (size_t n = 0; n < (have_handles ? ARRAY_SIZE(cfgs) : 1); n++) {
		make_tree(dir_a);
		make_tree(dir_b);
		REQUIRE(mount(dir_b, at(dir_a, "d/sub"), NULL, MS_BIND, NULL) == 0);
		open_both(cfgs[n], dir_a, cfgs[n], dir_a);
		up = look_up(&from, "d");
		dir = look_up(&from, "d/sub");
		file = look_up(&from, "d/sub/d/sub/link");
		CHECK_EQ("with a mount", migrate(), 0);
		CHECK(is_file(&to, dir, dir_b, "."));
		CHECK(is_file(&to, file, dir_b, "d/sub/link"));
		i = inode_get(&to.fs, (uint64_t)dir);
		CHECK(i->flags & INODE_SUBMOUNT);
		CHECK(!mount_at(&to.fs, i->mount)->handles == !have_handles);
		inode_put(&to.fs, i);
		i = inode_get(&to.fs, (uint64_t)up);
		CHECK(!(i->flags & INODE_SUBMOUNT));
		inode_put(&to.fs, i);
		close_both();
		REQUIRE(umount(at(dir_a, "d/sub")) == 0);
	}
}

/* --- much --- */

static void test_many(void)
{
	static int64_t ids[MANY];
	unsigned n = have_handles ? MANY : MANY / 10; /* one descriptor for each, on both sides */
	char name[32];

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "d/sub/%u", i);
		make_file(dir_a, name);
		ids[i] = look_up(&from, name);
	}
	CHECK_EQ("many", migrate(), 0);
	CHECK_EQ("many", to.fs.inodes.count, from.fs.inodes.count);
	for (unsigned i = 0; i < n; i += 97) {
		snprintf(name, sizeof(name), "d/sub/%u", i);
		CHECK_NAMED(name, is_file(&to, ids[i], dir_a, name));
	}
	close_both();
}

/* --- failures, and what comes after --- */

static void test_again(void)
{
	struct bytes first = { .len = 0 };

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		look_up(&from, names[i]);
	first.fail_at = 100;
	CHECK_EQ("nobody reads on", save_to(&from, &first), -EPIPE);
	first.fail_at = 0;
	CHECK_EQ("once more", save_to(&from, &first), 0);
	CHECK_EQ("and again", save_to(&from, &state), 0);
	CHECK(first.len == state.len && !memcmp(first.data, state.data, state.len));
	CHECK_EQ("loaded in part", load_from(&to, state.data, state.len / 2), -EPROTO);
	check_empty("loaded in part", &to);
	CHECK_EQ("loaded", load_from(&to, state.data, state.len), 0);
	CHECK_EQ("loaded over another", load_from(&to, state.data, state.len), 0);
	CHECK_EQ("inodes", to.fs.inodes.count, from.fs.inodes.count);
	free(first.data);
	close_both();
}

static void test_features(void)
{
	struct fs_config cfg = by_path;

	make_tree(dir_a);
	cfg.writeback = true;
	open_both(&cfg, dir_a, &by_path, dir_a);
	from.fs.session.features |= FUSE_WRITEBACK_CACHE;
	CHECK_EQ("not offered here", migrate(), -EPROTO);
	check_empty("not offered here", &to);
	close_both();
	open_both(&by_path, dir_a, &cfg, dir_a);
	CHECK_EQ("offered, but not used", migrate(), 0);
	CHECK(!fs_has(&to.fs, FUSE_WRITEBACK_CACHE));
	close_both();
	open_both(&by_path, dir_a, &by_path, dir_a);
	from.fs.session.ready = false;
	CHECK_EQ("before INIT", migrate(), 0);
	CHECK_EQ("before INIT", to.fs.session.ready, false);
	close_both();
	cfg.readonly = true;
	open_both(&by_path, dir_a, &cfg, dir_a);
	CHECK_EQ("opened",
		 open_node(&from, (uint64_t)look_up(&from, "plain"), O_RDWR, &(uint64_t){ 0 }), 0);
	CHECK_EQ("open to write, and read-only here", migrate(), -EROFS);
	close_both();
}

/* --- what should not be --- */

static void put(struct bytes *b, uint32_t kind, const void *body, size_t len, const void *more,
		size_t more_len)
{
	const struct state_record r = { le32_of(kind), le32_of((uint32_t)(len + more_len)) };

	bytes_write(b, &r, sizeof(r));
	bytes_write(b, body, len);
	bytes_write(b, more, more_len);
}

static void start_state(struct bytes *b)
{
	const struct state_head head = { le64_of(STATE_MAGIC), le32_of(STATE_VERSION), { 0 } };
	const struct state_session session = { .minor = le32_of(31), .ready = 1 };

	b->len = 0;
	bytes_write(b, &head, sizeof(head));
	put(b, STATE_SESSION, &session, sizeof(session), "", 0);
}

static void put_node(struct bytes *b, uint64_t nodeid, uint16_t type, const char *path, size_t len)
{
	const struct state_inode r = { .nodeid = le64_of(nodeid),
				       .nlookup = le64_of(1),
				       .type = le16_of(type),
				       .how = STATE_BY_PATH };

	put(b, STATE_INODE, &r, sizeof(r), path, len);
}

static int end_state(struct bytes *b, uint64_t inodes, uint64_t handles)
{
	const struct state_end r = { le64_of(inodes), le64_of(handles) };

	put(b, STATE_END, &r, sizeof(r), "", 0);
	return load_from(&to, b->data, b->len);
}

#define TEXT(s) s, sizeof(s) - 1

static const struct {
	const char *what, *path;
	size_t len;
	int want;
} path_cases[] = {
	{ "a file", TEXT("d/x"), 0 },
	{ "up", TEXT("../x"), -EPROTO },
	{ "up later", TEXT("d/../../x"), -EPROTO },
	{ "up at the end", TEXT("d/.."), -EPROTO },
	{ "a dot", TEXT("d/./x"), -EPROTO },
	{ "absolute", TEXT("/etc/passwd"), -EPROTO },
	{ "a slash too much", TEXT("d//x"), -EPROTO },
	{ "a slash at the end", TEXT("d/x/"), -EPROTO },
	{ "a NUL", TEXT("d/x\0y"), -EPROTO },
	{ "nothing", TEXT(""), -EPROTO },
	{ "over a symbolic link", TEXT("d/sub/link/passwd"), -ENOTDIR },
	{ "over a file", TEXT("plain/x"), -ENOTDIR },
	{ "not there", TEXT("d/z"), -ENOENT },
};

static void test_paths(void)
{
	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	for (size_t i = 0; i < ARRAY_SIZE(path_cases); i++) {
		int ret;

		start_state(&state);
		put_node(&state, 5, S_IFREG, path_cases[i].path, path_cases[i].len);
		ret = end_state(&state, 1, 0);
		/* Which of the two it is depends on what O_DIRECTORY says first. */
		CHECK_EQ(path_cases[i].what, ret == -ELOOP ? -ENOTDIR : ret, path_cases[i].want);
		if (ret)
			check_empty(path_cases[i].what, &to);
	}
	close_both();
}

static void test_order(void)
{
	const struct state_handle h = { .fh = le64_of(1),
					.nodeid = le64_of(7),
					.flags = le32_of(STATE_OPEN_READ) };
	struct state_session session = { .minor = le32_of(31), .ready = 1 };

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	start_state(&state);
	put_node(&state, 5, S_IFREG, TEXT("plain"));
	put_node(&state, 5, S_IFREG, TEXT("d/x"));
	CHECK_EQ("a place twice", end_state(&state, 2, 0), -EPROTO);
	start_state(&state);
	put_node(&state, FUSE_ROOT_ID, S_IFDIR, TEXT("d"));
	CHECK_EQ("another root", end_state(&state, 1, 0), -EPROTO);
	start_state(&state);
	put_node(&state, INODE_MAX, S_IFDIR, TEXT("d"));
	CHECK_EQ("behind the last place", end_state(&state, 1, 0), -EPROTO);
	start_state(&state);
	put_node(&state, 5, S_IFREG, TEXT("plain"));
	CHECK_EQ("a wrong count", end_state(&state, 2, 0), -EPROTO);
	start_state(&state);
	put(&state, STATE_SESSION, &session, sizeof(session), "", 0);
	CHECK_EQ("two sessions", end_state(&state, 0, 0), -EPROTO);
	start_state(&state);
	put(&state, STATE_HANDLE, &h, sizeof(h), "", 0);
	CHECK_EQ("a handle of no inode", end_state(&state, 0, 1), -EPROTO);
	start_state(&state);
	put_node(&state, 7, S_IFIFO, TEXT("fifo"));
	put(&state, STATE_HANDLE, &h, sizeof(h), "", 0);
	CHECK_EQ("an open fifo", end_state(&state, 1, 1), -EPROTO);
	start_state(&state);
	put_node(&state, 7, S_IFREG, TEXT("plain"));
	put(&state, STATE_HANDLE, &h, sizeof(h), "", 0);
	put_node(&state, 9, S_IFREG, TEXT("d/x"));
	CHECK_EQ("an inode after a handle", end_state(&state, 2, 1), -EPROTO);
	start_state(&state);
	put(&state, 99, "", 0, "", 0);
	CHECK_EQ("an unknown record", end_state(&state, 0, 0), -EPROTO);
	state.len -= sizeof(struct state_end) / 2;
	CHECK_EQ("cut off", load_from(&to, state.data, state.len), -EPROTO);
	start_state(&state);
	CHECK_EQ("nothing known", end_state(&state, 0, 0), 0);
	bytes_write(&state, "x", 1);
	CHECK_EQ("it goes on behind its end", load_from(&to, state.data, state.len), -EPROTO);
	close_both();
}

/* Places far from one another cost what they hold, and the guest goes on between them. */
static void test_far_places(void)
{
	const struct state_handle h = { .fh = le64_of(HANDLE_MAX - 1),
					.nodeid = le64_of(INODE_MAX - 1),
					.flags = le32_of(STATE_OPEN_READ) };
	unsigned chunks = 0;

	make_tree(dir_a);
	open_both(&by_path, dir_a, &by_path, dir_a);
	start_state(&state);
	put_node(&state, 5, S_IFDIR, TEXT("d"));
	put_node(&state, INODE_MAX - 1, S_IFREG, TEXT("plain"));
	put(&state, STATE_HANDLE, &h, sizeof(h), "", 0);
	CHECK_EQ("loaded", end_state(&state, 2, 1), 0);
	for (uint32_t c = 0; c < to.fs.inodes.chunks_end; c++)
		chunks += to.fs.inodes.chunks[c] != NULL;
	CHECK_EQ("chunks of places", chunks, 2);
	CHECK(is_file(&to, INODE_MAX - 1, dir_a, "plain"));
	CHECK_EQ("its place", look_up(&to, "plain"), INODE_MAX - 1);
	CHECK_NAMED("a new one", look_up(&to, "d/x") > 0);
	CHECK_NAMED("an open one", same_flags(&to, HANDLE_MAX - 1, INODE_MAX - 1, O_RDONLY));
	CHECK(!inode_get(&to.fs, INODE_MAX / 2) && !handle_get(&to.fs, HANDLE_MAX / 2, 5));
	to.fs.ops.reset(&to.fs);
	start_state(&state);
	CHECK_EQ("and nothing after that", end_state(&state, 0, 0), 0);
	CHECK_NAMED("a new one", look_up(&to, "d/x") > 0);
	close_both();
}

/* A handle of a file outside of the share, as the whole directory's daemon would send it. */
static void test_forged_handles(void)
{
	static const char *const outside[] = { "a/plain", "a/d", "a" };

	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		int ret;

		make_tree(dir_a);
		make_tree(dir_b);
		open_both(&by_handle, top, &by_handle, dir_b);
		CHECK_NAMED(outside[i], look_up(&from, outside[i]) > 0);
		kernel_knows_nothing = true;
		ret = migrate();
		kernel_knows_nothing = false;
		CHECK_NAMED(outside[i], ret == -EXDEV || ret == -ESTALE);
		check_empty(outside[i], &to);
		close_both();
	}
	make_tree(dir_a);
	open_both(&by_handle, dir_a, &by_path, dir_a);
	look_up(&from, "plain");
	CHECK_EQ("handles, and nobody said so here", migrate(), -EPERM);
	close_both();
}

/* Every length, and every bit: an error or a state, never more. */
static void test_damage(void)
{
	const struct fs_config soft = forgiving(have_handles ? &by_handle : &by_path);
	uint64_t fh;
	uint8_t *copy;

	make_tree(dir_a);
	open_both(&soft, dir_a, &soft, dir_a);
	look_up(&from, "d/sub/y");
	CHECK_EQ("opened", open_node(&from, (uint64_t)look_up(&from, "plain"), O_RDWR, &fh), 0);
	CHECK_EQ("saved", save_to(&from, &state), 0);
	for (size_t len = 0; len < state.len; len++) {
		copy = malloc(len + 1);
		REQUIRE(copy);
		memcpy(copy, state.data, len);
		CHECK_NAMED("truncated", load_from(&to, copy, len) < 0);
		check_empty("truncated", &to);
		free(copy);
	}
	for (size_t bit = 0; bit < 8 * state.len; bit++) {
		state.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (load_from(&to, state.data, state.len))
			check_empty("a flipped bit", &to);
		state.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK_EQ("as it was", load_from(&to, state.data, state.len), 0);
	close_both();
}

static bool handles_work(void)
{
	bool ok;

	make_tree(dir_a);
	REQUIRE(stage_open(&from, dir_a, &by_path) == 0);
	look_up(&from, "plain");
	ok = from.fs.mounts.m[0]->handles;
	stage_close(&from);
	return ok;
}

int main(void)
{
	log_set_level(getenv("VERBOSE") ? LOG_LEVEL_INFO : LOG_LEVEL_OFF);
	REQUIRE(mkdtemp(top));
	snprintf(dir_a, sizeof(dir_a), "%s/a", top);
	snprintf(dir_b, sizeof(dir_b), "%s/b", top);
	have_handles = handles_work();
	if (!have_handles)
		fprintf(stderr, "file handles cannot be used here: less is tested\n");
	test_round_trips();
	test_counts();
	test_unlinked();
	test_not_there();
	test_search();
	test_confirm();
	test_paths();
	test_order();
	test_far_places();
	test_again();
	test_features();
	test_damage();
	test_many();
	if (have_handles) {
		test_verify();
		test_unlinked_by_handle();
		test_forged_handles();
	}
	test_mounts(); /* the last: it changes what the process sees */
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(state.data);
	return check_done();
}
