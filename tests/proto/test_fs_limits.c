/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded resources: a guest that looks up VDAX_LIMIT_INODES files (and forgets them and does it
 * again), one that may not have a descriptor for each, one that opens files without end, and
 * a large directory that is changed while it is read. The daemon answers throughout.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/fsd.h"

#define DEFAULT_INODES 200000u
#define PER_DIR	       10000u
#define ENTRIES	       100000u
#define RSS_MAX_KIB    (200u << 10)
#define BATCH	       32u
#define HEADER	       sizeof(struct fuse_out_header)

static struct fsd d;
static struct front_raw *r;
static const char *where = "/dev/shm";

/* --- files --- */

static int make_dir(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d.share, name);
	REQUIRE(!mkdir(path, 0755));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	return fd;
}

static void name_of(char *name, unsigned i)
{
	snprintf(name, 16, "n%06u", i);
}

static void make_files(int dir, unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		name_of(name, i);
		REQUIRE(!mknodat(dir, name, S_IFREG | 0644, 0));
	}
}

static void begin(const char *const *options)
{
	fsd_prepare(&d, where);
	fsd_start(&d, options);
	r = fsd_connect(&d, 3, 8192);
	fsd_init(r, FUSE_DO_READDIRPLUS);
}

static void end(void)
{
	front_raw_close(r);
	fsd_log_lines(&d);
	fsd_end(&d);
}

/* --- a million inodes --- */

/* Looks up files first .. first + n of a directory, many at once; ids of what was found. */
static void look_up(uint64_t dir, unsigned first, unsigned n, uint64_t *ids)
{
	for (unsigned i = 0; i < n; i += BATCH) {
		unsigned m = MIN(BATCH, n - i);
		int ticket[BATCH];

		for (unsigned k = 0; k < m; k++) {
			char name[16];

			name_of(name, first + i + k);
			ticket[k] = fsd_post(
				r, 1,
				&(const struct fsd_rq){ FUSE_LOOKUP, dir, { FSD_NAME(name) }, 0 },
				HEADER + sizeof(struct fuse_entry_out));
		}
		for (unsigned k = 0; k < m; k++) {
			struct fuse_entry_out out = { 0 };
			int ret = fsd_wait(r, 1, ticket[k], &out, sizeof(out));

			ids[i + k] = ret == sizeof(out) ? out.nodeid : 0;
			if (ret < 0)
				ids[i + k] = (uint64_t)(int64_t)ret;
		}
	}
}

static void forget(const uint64_t *ids, unsigned n)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[256];
	} body;

	for (unsigned i = 0; i < n; i += 256) {
		unsigned m = MIN(256u, n - i);
		const struct fsd_rq rq = {
			FUSE_BATCH_FORGET,
			1,
			{ .head = &body, .head_len = sizeof(body.in) + m * sizeof(body.one[0]) },
			0
		};

		body.in = (struct fuse_batch_forget_in){ .count = m };
		for (unsigned k = 0; k < m; k++)
			body.one[k] = (struct fuse_forget_one){ ids[i + k], 1 };
		CHECK_EQ("forget", fsd_wait(r, 0, fsd_post(r, 0, &rq, 0), NULL, 0), 0);
	}
}

static void make_tree(unsigned dirs)
{
	for (unsigned i = 0; i < dirs; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "d%u", i);
		fd = make_dir(name);
		make_files(fd, PER_DIR);
		close(fd);
	}
}

static unsigned look_up_tree(uint64_t *ids, unsigned dirs)
{
	unsigned found = 0;

	for (unsigned i = 0; i < dirs; i++) {
		uint64_t *of = ids + (size_t)i * PER_DIR, dir;
		char name[16];

		snprintf(name, sizeof(name), "d%u", i);
		dir = fsd_lookup(r, 2, 1, name);
		CHECK_NAMED("answers meanwhile", dir);
		look_up(dir, 0, PER_DIR, of);
		for (unsigned k = 0; k < PER_DIR; k++)
			found += (int64_t)of[k] > 0;
		fsd_forget(r, 0, dir, 1);
	}
	return found;
}

static void test_inodes(unsigned long inodes)
{
	static const char *const options[] = { NULL };
	unsigned dirs = (unsigned)(inodes / PER_DIR), found, fds;
	const char *mode = getenv("VDAX_SANDBOX");
	bool sanitized = mode && !strcmp(mode, "none");
	uint64_t *ids = calloc(inodes, sizeof(*ids));
	unsigned long peak, again;

	REQUIRE(ids && dirs);
	begin(options);
	make_tree(dirs);
	fds = fsd_fds(&d);
	found = look_up_tree(ids, dirs);
	CHECK_EQ("all are known", found, dirs * PER_DIR);
	CHECK_NAMED("descriptors are bounded", fsd_fds(&d) < fds + 8192 + 64);
	peak = fsd_rss(&d);
	CHECK_NAMED("resident memory", sanitized || peak <= RSS_MAX_KIB);
	/* One that has long lost its descriptor. */
	CHECK_EQ("the first one",
		 fsd_call(r, 1,
			  &(const struct fsd_rq){
				  FUSE_GETATTR, ids[0], { FSD_BODY(getattr, 0) }, 0 },
			  &(struct fuse_attr_out){ 0 }, sizeof(struct fuse_attr_out)),
		 sizeof(struct fuse_attr_out));
	forget(ids, dirs * PER_DIR);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	found = look_up_tree(ids, dirs);
	CHECK_EQ("again", found, dirs * PER_DIR);
	again = fsd_rss(&d);
	CHECK_NAMED("memory is used again", sanitized || again <= peak + 4096);
	fprintf(stderr, "%u inodes: %lu KiB, then %lu KiB\n", found, peak, again);
	forget(ids, dirs * PER_DIR);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	free(ids);
	end();
}

/* --- without file handles --- */

static void test_enfile(void)
{
	static const char *const options[] = { "--inode-file-handles=never", "--rlimit-nofile=1000",
					       NULL };
	static uint64_t ids[2000];
	unsigned found = 0, refused = 0, fds;
	int fd;

	begin(options);
	fds = fsd_fds(&d);
	fd = make_dir("d0");
	make_files(fd, ARRAY_SIZE(ids));
	close(fd);
	for (unsigned round = 0; round < 2; round++) {
		uint64_t dir = fsd_lookup(r, 2, 1, "d0");
		unsigned n = 0;

		REQUIRE(dir);
		look_up(dir, 0, ARRAY_SIZE(ids), ids);
		refused = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
			if ((int64_t)ids[i] > 0)
				ids[n++] = ids[i];
			else
				refused += (int64_t)ids[i] == -ENFILE;
		}
		CHECK_EQ("the others are refused", n + refused, ARRAY_SIZE(ids));
		fprintf(stderr, "%u of %zu inodes have a descriptor\n", n, ARRAY_SIZE(ids));
		CHECK_NAMED("some are known", n > 150 && n < 1000);
		CHECK_NAMED("as many as before", !round || n == found);
		found = n;
		CHECK_EQ("what is known is served", fsd_lookup(r, 2, 1, "d0"), dir);
		CHECK_NAMED("it can be opened", fsd_open(r, 2, FUSE_OPEN, ids[0], O_RDONLY));
		forget(ids, n);
		fsd_forget(r, 0, dir, 2);
	}
	/* The inode that was opened in both rounds. */
	CHECK_EQ("descriptors", fsd_fds(&d), fds + 3);
	end();
}

/* --- too many open files --- */

static void test_emfile(const char *handles)
{
	const char *const options[] = { handles, "--rlimit-nofile=1000", NULL };
	static uint64_t fhs[3000];
	unsigned n = 0, refused = 0, fds;
	uint64_t id;
	int fd;

	begin(options);
	fd = make_dir("d0");
	make_files(fd, 1);
	close(fd);
	fds = fsd_fds(&d);
	id = fsd_lookup(r, 1, fsd_lookup(r, 1, 1, "d0"), "n000000");
	REQUIRE(id);
	for (unsigned i = 0; i < ARRAY_SIZE(fhs); i++) {
		struct fuse_open_out out;
		int ret = fsd_call(
			r, 1, &(const struct fsd_rq){ FUSE_OPEN, id, { FSD_BODY(open, 0) }, 0 },
			&out, sizeof(out));

		if (ret == sizeof(out))
			fhs[n++] = out.fh;
		else
			refused += ret == -ENFILE || ret == -EMFILE;
	}
	CHECK_EQ("the others are refused", n + refused, ARRAY_SIZE(fhs));
	fprintf(stderr, "%u files open\n", n);
	CHECK_NAMED("many are open", n > 200 && n < 1000);
	CHECK_EQ("what is open is read",
		 fsd_call(r, 1,
			  &(const struct fsd_rq){
				  FUSE_FSYNC, id, { FSD_BODY(fsync, .fh = fhs[0]) }, 0 },
			  NULL, 0),
		 0);
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(
			"release",
			fsd_call(r, 1,
				 &(const struct fsd_rq){
					 FUSE_RELEASE, id, { FSD_BODY(release, .fh = fhs[i]) }, 0 },
				 NULL, 0),
			0);
	CHECK_NAMED("opens again", fsd_open(r, 1, FUSE_OPEN, id, O_RDONLY));
	CHECK_EQ("DESTROY",
		 fsd_call(r, 1, &(const struct fsd_rq){ .opcode = FUSE_DESTROY }, NULL, 0), 0);
	CHECK_EQ("descriptors", fsd_fds(&d), fds);
	end();
}

/* --- a large directory --- */

static _Atomic bool changing;

/* Names that come and go between those that stay. */
static void *change(void *arg)
{
	int dir = *(const int *)arg;
	char name[16];

	for (unsigned i = 0; changing; i++) {
		snprintf(name, sizeof(name), "x%06u", i % 5000);
		if (mknodat(dir, name, S_IFREG | 0644, 0))
			(void)unlinkat(dir, name, 0);
		/* A thread that does nothing else would hold up who reads the directory. */
		if (i % 16 == 15)
			usleep(500);
	}
	return NULL;
}

struct listing {
	uint8_t seen[ENTRIES];
	uint64_t off;
	unsigned strange, n_ids;
	uint64_t ids[ENTRIES + 10000]; /* lookups that READDIRPLUS has counted */
};

static void take_names(struct listing *l, const uint8_t *p, int len, bool plus)
{
	while (len > 0) {
		struct fuse_dirent e;
		char name[256] = "";
		size_t at = plus ? sizeof(struct fuse_entry_out) : 0;
		int size;

		memcpy(&e, p + at, sizeof(e));
		memcpy(name, p + at + sizeof(e), MIN(e.namelen, 255u));
		size = (int)(plus ? FUSE_DIRENTPLUS_SIZE(e.namelen) : FUSE_DIRENT_SIZE(e.namelen));
		if (name[0] == 'n' && strlen(name) == 7 && strtoul(name + 1, NULL, 10) < ENTRIES)
			l->seen[strtoul(name + 1, NULL, 10)]++;
		else if (name[0] != 'x' && name[0] != '.')
			l->strange++;
		if (plus) {
			uint64_t id;

			memcpy(&id, p, sizeof(id));
			if (id && l->n_ids < ARRAY_SIZE(l->ids))
				l->ids[l->n_ids++] = id;
		}
		l->off = e.off;
		p += size;
		len -= size;
	}
}

static void list(uint64_t dir, bool plus)
{
	static struct listing l;
	static uint8_t buf[4096];
	uint64_t fh = fsd_open(r, 1, FUSE_OPENDIR, dir, O_RDONLY);
	unsigned lost = 0, twice = 0;
	int ret;

	memset(&l, 0, sizeof(l));
	REQUIRE(fh);
	do {
		ret = fsd_call(r, 1,
			       &(const struct fsd_rq){ plus ? FUSE_READDIRPLUS : FUSE_READDIR,
						       dir,
						       { FSD_BODY(read, .fh = fh, .offset = l.off,
								  .size = sizeof(buf)) },
						       0 },
			       buf, sizeof(buf));
		take_names(&l, buf, ret, plus);
	} while (ret > 0);
	CHECK_EQ("to the end", ret, 0);
	for (unsigned i = 0; i < ENTRIES; i++) {
		lost += !l.seen[i];
		twice += l.seen[i] > 1;
	}
	CHECK_EQ("lost", lost, 0);
	CHECK_EQ("twice", twice, 0);
	CHECK_EQ("made up", l.strange, 0);
	CHECK_NAMED("known by their names", !plus || l.n_ids >= ENTRIES);
	forget(l.ids, l.n_ids);
	CHECK_EQ("release",
		 fsd_call(r, 1,
			  &(const struct fsd_rq){
				  FUSE_RELEASEDIR, dir, { FSD_BODY(release, .fh = fh) }, 0 },
			  NULL, 0),
		 0);
}

static void test_directory(void)
{
	static const char *const options[] = { NULL };
	uint64_t dir;
	pthread_t t;
	int fd;

	begin(options);
	fd = make_dir("large");
	make_files(fd, ENTRIES);
	dir = fsd_lookup(r, 1, 1, "large");
	REQUIRE(dir);
	changing = true;
	REQUIRE(!pthread_create(&t, NULL, change, &fd));
	list(dir, false);
	list(dir, true);
	changing = false;
	pthread_join(t, NULL);
	close(fd);
	end();
}

int main(void)
{
	const char *n = getenv("VDAX_LIMIT_INODES");

	umask(022);
	if (access(where, W_OK))
		where = "/tmp";
	test_inodes(n ? strtoul(n, NULL, 0) : DEFAULT_INODES);
	test_enfile();
	test_emfile("--inode-file-handles=never");
	test_emfile("--inode-file-handles=prefer");
	test_directory();
	return check_done();
}
