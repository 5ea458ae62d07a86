/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests on open files (fs/op_file.c, op_io.c, op_later.c, op_ioctl.c) on real files, with
 * the pool behind them, and without tables of inodes and handles. The test stands between them and
 * the calls that read and write, so that it can say what a file system knows and how fast it is.
 * Long, as all requests share that one make-believe device; each has its table and its function.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/async.h"
#include "fs/cred.h"
#include "fs/no_open.h"
#include "fs/ops.h"
#include "fs/truncate.h"
#include "host/fd.h"
#include "tests/lib/check.h"
#include "tests/lib/no_window.h"

#define PAGE	  4096u
#define FILE_SIZE (5 * PAGE + 100)
#define RAM_SIZE  (2u << 20)
#define HEADER	  sizeof(struct fuse_out_header)
#define SEGS	  600u

static struct fs fs;
static struct fs_config cfg;
static struct fs_queue q;
static struct vq vq;
static struct inode inode = { .type = S_IFREG };
static struct handle handle, once;
static struct mount mount_;
static uint8_t ram[RAM_SIZE];
static struct iovec segs[2 * SEGS];
static _Alignas(8) uint8_t body[4096], reply[4096];

static int64_t answered; /* by a ticket */
static uint8_t answer_body[FS_TICKET_BODY];
static char path[64];
static unsigned opens, flushes, wakes;
static _Atomic unsigned calls; /* that read or write */
static bool knows_nowait = true;
static bool never_cached; /* NOWAIT has nothing */
static uint64_t takes_ns; /* each call that may wait */

/* --- stand-ins --- */

int fs_ticket_of(const struct fs_req *rq, struct fs_ticket *t)
{
	*t = (struct fs_ticket){ .unique = rq->in.unique, .opcode = rq->in.opcode };
	return 0;
}

void fs_ticket_answer(struct fs_queue *queue, const struct fs_ticket *t, const void *data,
		      int64_t res)
{
	(void)queue;
	(void)t;
	answered = res;
	if (data)
		memcpy(answer_body, data, (size_t)res);
}

struct handle *handle_ref(struct handle *h)
{
	h->ref++;
	return h;
}

void handle_put(struct fs *f, struct handle *h)
{
	(void)f;
	if (--h->ref == 0)
		fd_close(&h->fd);
}

bool handle_release(struct fs *f, struct handle *h)
{
	handle_put(f, h);
	return true;
}

int handle_new(struct fs *f, struct inode *i, int fd, int flags, bool is_dir, uint64_t *fh)
{
	(void)f;
	once = (struct handle){ .fd = fd, .flags = flags, .inode = i, .is_dir = is_dir, .ref = 1 };
	*fh = 2;
	return 0;
}

struct handle *handle_get(struct fs *f, uint64_t fh, uint64_t nodeid)
{
	(void)f;
	(void)nodeid;
	return fh == 1 ? handle_ref(&handle) : fh == 2 ? handle_ref(&once) : NULL;
}

int inode_open(struct fs *f, struct inode *i, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	(void)f;
	(void)i;
	opens++;
	return fd < 0 ? -errno : fd;
}

struct mount *mount_at(struct fs *f, uint32_t index)
{
	(void)f;
	(void)index;
	return &mount_;
}

int fs_truncate(struct fs *f, struct inode *i, int fd, int64_t size)
{
	(void)f, (void)i;
	return ftruncate(fd, size) < 0 ? -errno : 0;
}

void locks_flush(struct fs *f, struct inode *i, uint64_t owner)
{
	(void)f;
	(void)i;
	(void)owner;
	flushes++;
}

void locks_released(struct fs *f, const struct inode *i)
{
	(void)f;
	(void)i;
	wakes++;
}

void cred_self(struct fs_queue *queue)
{
	(void)queue;
}

void locks_file_closed(struct fs *f, struct inode *i, uint64_t fh)
{
	(void)f;
	(void)i;
	(void)fh;
}

bool no_open_in_force(const struct fs *f, bool is_dir)
{
	(void)f;
	(void)is_dir;
	return false;
}

static void wake(void *ctx, unsigned queue)
{
	(void)ctx;
	(void)queue;
}

static const struct device_host host = { .wake = wake };

/* What a call gets to hear before the file system is asked. 0: nothing. */
static int before(int flags)
{
	calls++;
	if (flags & RWF_NOWAIT)
		return !knows_nowait ? EOPNOTSUPP : never_cached ? EAGAIN : 0;
	if (takes_ns)
		usleep((useconds_t)(takes_ns / 1000));
	return 0;
}

ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	errno = before(flags);
	/* The real one may not know what the test says is known. */
	return errno ? -1 : __real_preadv64v2(fd, iov, n, off, flags & ~RWF_NOWAIT);
}

ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	errno = before(flags);
	return errno ? -1 : __real_pwritev64v2(fd, iov, n, off, flags & ~RWF_NOWAIT);
}

/* --- set-up --- */

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 5 + off / 253);
}

static void fresh_file(int flags)
{
	static uint8_t data[FILE_SIZE];

	for (uint64_t i = 0; i < FILE_SIZE; i++)
		data[i] = byte_at(i);
	fd_close(&handle.fd);
	handle.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(handle.fd >= 0 && write(handle.fd, data, FILE_SIZE) == FILE_SIZE);
	close(handle.fd);
	handle.fd = open(path, flags | O_CLOEXEC);
	REQUIRE(handle.fd >= 0);
	handle.flags = flags;
	mount_ = (struct mount){ .local = true, .fs_type = EXT4_SUPER_MAGIC };
	knows_nowait = true;
	never_cached = false;
	takes_ns = 0;
	calls = opens = 0;
}

static uint32_t caller; /* the guest's user in requests */

/* A request of len bytes of data in n buffers, readable or writable. */
static struct fs_req request(uint32_t opcode, const void *in, size_t in_len, uint32_t len,
			     unsigned n)
{
	struct fs_req rq = {
		.fs = &fs,
		.q = &q,
		.in = { .opcode = opcode, .nodeid = 1, .uid = caller },
		.body = body,
		.body_len = (uint32_t)in_len,
		.reply = reply,
		.reply_max = sizeof(reply),
		.data_len = len,
		.room = len,
		.inode = &inode,
		.handle = &handle,
	};
	struct vq_chain *c = &q.chain;
	bool writes = opcode == FUSE_WRITE;

	memcpy(body, in, in_len);
	*c = (struct vq_chain){ .seg = segs, .cap = ARRAY_SIZE(segs) };
	if (!writes)
		segs[c->n_writable++] = (struct iovec){ reply, HEADER };
	for (unsigned i = 0; i < n; i++)
		segs[i + !writes] = (struct iovec){ ram + (size_t)i * (len / n), len / n };
	*(writes ? &c->n_readable : &c->n_writable) += n;
	c->readable_len = writes ? len : 0;
	c->writable_len = writes ? 0 : HEADER + len;
	return rq;
}

/* What the guest hears in the end. *later: whether as a job. */
static int64_t finish(int ret, bool *later)
{
	*later = ret == FS_LATER;
	if (!*later)
		return ret;
	async_drain(q.async);
	CHECK_EQ("references of the job", handle.ref, 1);
	return answered;
}

static int64_t do_read(uint64_t off, uint32_t size, unsigned n, bool *later)
{
	const struct fuse_read_in in = { .offset = off, .size = size };
	struct fs_req rq = request(FUSE_READ, &in, sizeof(in), size, n);
	int64_t ret;

	memset(ram, 0xee, sizeof(ram));
	ret = finish(op_read(&rq), later);
	CHECK(*later || ret < 0 || rq.in_place);
	if (ret > 0) {
		bool same = true;

		for (int64_t i = 0; i < ret; i++)
			same = same && ram[i] == byte_at(off + (uint64_t)i);
		CHECK_NAMED("the bytes of the file", same);
		CHECK_EQ("and no more", ram[ret], 0xee);
	}
	return ret;
}

/* --- READ --- */

static const struct {
	const char *name;
	uint64_t off;
	uint32_t size;
	unsigned n;
	int64_t want;
	unsigned calls;
	bool later;
} read_cases[] = {
	{ "a page", 0, PAGE, 1, PAGE, 1, false },
	{ "many buffers", 0, 4 * PAGE, 256, 4 * PAGE, 1, false },
	{ "more buffers than are tried at once", 0, 600 * 8, 600, 600 * 8, 1, true },
	{ "over the end of the file", 0, 16 * PAGE, 16, FILE_SIZE, 1, false },
	{ "the last bytes", FILE_SIZE - 7, PAGE, 1, 7, 1, false },
	{ "at the end", FILE_SIZE, PAGE, 1, 0, 1, false },
	{ "far behind it", 1 << 30, PAGE, 1, 0, 1, false },
	{ "nothing", 0, 0, 1, 0, 0, false },
	{ "a wrapping offset", UINT64_MAX, PAGE, 1, -EINVAL, 0, false },
	{ "the last possible offset", INT64_MAX, PAGE, 1, -EINVAL, 0, false },
};

static void test_read(void)
{
	bool later;

	for (size_t i = 0; i < ARRAY_SIZE(read_cases); i++) {
		const char *name = read_cases[i].name;

		fresh_file(O_RDWR);
		CHECK_EQ(name,
			 do_read(read_cases[i].off, read_cases[i].size, read_cases[i].n, &later),
			 read_cases[i].want);
		CHECK_EQ(name, later, read_cases[i].later);
		CHECK_EQ(name, calls, read_cases[i].calls);
	}
	fresh_file(O_RDWR);
	REQUIRE(ftruncate(handle.fd, 2 * PAGE) == 0);
	CHECK_EQ("a file of whole pages", do_read(0, 4 * PAGE, 1, &later), 2 * PAGE);
	CHECK_EQ("is asked for more", calls, 2);
	CHECK(!later);
}

static void test_read_room(void)
{
	const struct fuse_read_in in = { .size = PAGE + 1 };
	struct fs_req rq = request(FUSE_READ, &in, sizeof(in), PAGE, 1);

	fresh_file(O_RDWR);
	CHECK_EQ("more than there is room for", op_read(&rq), -EINVAL);
	rq = request(FUSE_READ, &in, sizeof(in), 2 * PAGE, 2);
	segs[2].iov_base = NULL;
	CHECK_EQ("a buffer that does not translate", op_read(&rq), -EFAULT);
	segs[2].iov_base = (void *)(uintptr_t)16;
	CHECK_EQ("a buffer that went away", op_read(&rq), -EFAULT);
}

/* Who is asked how, by what is known of the mount. */
static void test_read_where(void)
{
	bool later;

	fresh_file(O_RDWR);
	never_cached = true;
	CHECK_EQ("not cached", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(later && calls == 2);

	fresh_file(O_RDWR);
	knows_nowait = false;
	mount_.fs_type = TMPFS_MAGIC;
	CHECK_EQ("the flag is unknown", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(!later && calls == 2);
	CHECK_EQ("which is remembered", do_read(FILE_SIZE - 1, PAGE, 1, &later), 1);
	CHECK(!later && calls == 3);

	fresh_file(O_RDWR);
	knows_nowait = false;
	mount_.fs_type = PROC_SUPER_MAGIC;
	CHECK_EQ("ends as it likes", do_read(FILE_SIZE - 1, PAGE, 1, &later), 1);
	CHECK(!later && calls == 3);

	fresh_file(O_RDWR);
	knows_nowait = false;
	inode.flags |= INODE_DAX_MAPPED;
	CHECK_EQ("mapped", open_reply_flags(&fs, &inode, false), FOPEN_NOFLUSH | FOPEN_KEEP_CACHE);
	inode.flags &= (uint8_t)~INODE_DAX_MAPPED;
	mount_.local = false;
	CHECK_EQ("a server behind", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(later && calls == 2);
	CHECK_EQ("again", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(later && calls == 3);

	fresh_file(O_RDWR);
	handle.flags |= O_DIRECT; /* what open() would have said */
	CHECK_EQ("not cached at all", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(later && calls == 1);
}

static void test_slow(void)
{
	bool later;

	fresh_file(O_RDWR);
	knows_nowait = false;
	takes_ns = 3000000;
	CHECK_EQ("slow", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(!later);
	CHECK_EQ("so not again", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(later);
	takes_ns = 0;
	mount_.slow_until[0] = clock_ns(); /* the time has passed */
	CHECK_EQ("but later", do_read(0, PAGE, 1, &later), PAGE);
	CHECK(!later);
}

/* --- WRITE --- */

static int64_t do_write(uint64_t off, uint32_t size, uint32_t flags, uint32_t write_flags,
			bool *later)
{
	const struct fuse_write_in in = {
		.offset = off, .size = size, .flags = flags, .write_flags = write_flags
	};
	struct fs_req rq = request(FUSE_WRITE, &in, sizeof(in), size, 2);
	int64_t ret;

	memset(ram, 'w', sizeof(ram));
	ret = finish(op_write(&rq), later);
	if (ret < 0)
		return ret;
	CHECK_EQ("length of the answer", ret, sizeof(struct fuse_write_out));
	return (int64_t)((const struct fuse_write_out *)(*later ? answer_body : reply))->size;
}

static const struct {
	const char *name;
	int opened;
	uint32_t flags, write_flags;
	off_t size; /* of the file, after 100 bytes were written at 0 */
	unsigned opens;
	bool later;
} write_cases[] = {
	{ "in its place", O_RDWR, O_RDWR, 0, FILE_SIZE, 0, false },
	{ "to the end", O_RDWR | O_APPEND, O_RDWR | O_APPEND, 0, FILE_SIZE + 100, 0, false },
	{ "since lately to the end", O_RDWR, O_RDWR | O_APPEND, 0, FILE_SIZE + 100, 0, false },
	{ "no longer to the end", O_RDWR | O_APPEND, O_RDWR, 0, FILE_SIZE, 1, false },
	{ "from the page cache", O_RDWR | O_APPEND, O_RDWR | O_APPEND, FUSE_WRITE_CACHE, FILE_SIZE,
	  1, false },
	{ "that lasts", O_RDWR | O_DSYNC, O_RDWR, 0, FILE_SIZE, 0, true },
};

static void test_write(void)
{
	struct stat st;
	bool later;
	char c;

	for (size_t i = 0; i < ARRAY_SIZE(write_cases); i++) {
		const char *name = write_cases[i].name;

		fresh_file(write_cases[i].opened);
		CHECK_EQ(name,
			 do_write(0, 100, write_cases[i].flags, write_cases[i].write_flags, &later),
			 100);
		CHECK_EQ(name, later, write_cases[i].later);
		CHECK_EQ(name, opens, write_cases[i].opens);
		CHECK_EQ(name, calls, 1);
		REQUIRE(stat(path, &st) == 0);
		CHECK_EQ(name, st.st_size, write_cases[i].size);
		REQUIRE(pread(handle.fd, &c, 1, st.st_size == FILE_SIZE ? 99 : FILE_SIZE) == 1);
		CHECK_EQ(name, c, 'w');
	}
}

static void test_write_checks(void)
{
	struct fuse_write_in in = { .size = 101 };
	struct fs_req rq = request(FUSE_WRITE, &in, sizeof(in), 100, 1);
	struct stat st;
	bool later;

	fresh_file(O_RDWR);
	CHECK_EQ("less data than it says", op_write(&rq), -EINVAL);
	in.size = FS_MAX_WRITE + 1;
	rq = request(FUSE_WRITE, &in, sizeof(in), FS_MAX_WRITE + 1, 1);
	CHECK_EQ("more than announced", op_write(&rq), -EINVAL);
	CHECK_EQ("too far", do_write(INT64_MAX, 10, O_RDWR, 0, &later), -EFBIG);
	CHECK_EQ("none of them", calls, 0);
	fresh_file(O_RDONLY);
	CHECK_EQ("not open for it", do_write(0, 10, O_RDWR, 0, &later), -EBADF);

	fresh_file(O_RDWR);
	REQUIRE(chmod(path, 06755) == 0);
	CHECK_EQ("kill", do_write(0, 10, O_RDWR, FUSE_WRITE_KILL_SUIDGID, &later), 10);
	REQUIRE(stat(path, &st) == 0);
	CHECK_EQ("mode", st.st_mode & 07777, 0755);
	REQUIRE(chmod(path, 02745) == 0 && chown(path, getuid(), getgid()) == 0);
	REQUIRE(chmod(path, 02745) == 0);
	CHECK_EQ("no privilege", file_kill_suidgid(handle.fd), 0);
	REQUIRE(stat(path, &st) == 0);
	CHECK_EQ("mode", st.st_mode & 07777, 02745);
}

/* --- OPEN and the others --- */

static const struct {
	const char *name;
	bool writeback, direct;
	uint32_t guest;
	int want;
} flag_cases[] = {
	{ "plain", false, false, O_RDWR | O_CREAT | O_EXCL | O_NOCTTY, O_RDWR },
	{ "no direct I/O", false, false, O_DIRECT, 0 },
	{ "direct I/O", false, true, O_DIRECT | O_WRONLY, O_DIRECT | O_WRONLY },
	{ "append", false, false, O_WRONLY | O_APPEND, O_WRONLY | O_APPEND },
	{ "append, write-back", true, false, O_WRONLY | O_APPEND, O_RDWR },
	{ "read, write-back", true, false, O_RDONLY, O_RDONLY },
	{ "sync and truncate", false, false, O_SYNC | O_TRUNC, O_SYNC | O_TRUNC },
	{ "what is not for us", false, false, O_NOFOLLOW | O_DIRECTORY | O_PATH | O_NONBLOCK, 0 },
	{ "no time of access", false, false, O_NOATIME, 0 },
};

static void test_flags(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_cases); i++) {
		fs.session.features = flag_cases[i].writeback ? FUSE_WRITEBACK_CACHE : 0;
		cfg.allow_direct_io = flag_cases[i].direct;
		CHECK_EQ(flag_cases[i].name, open_host_flags(&fs, flag_cases[i].guest),
			 flag_cases[i].want);
	}
	fs.session.features = 0;
	cfg.allow_direct_io = false;
	mount_.local = true;
	CHECK_EQ("auto", open_reply_flags(&fs, &inode, false), FOPEN_NOFLUSH);
	mount_.local = false;
	CHECK_EQ("a server behind", open_reply_flags(&fs, &inode, false), 0);
	cfg.cache = FS_CACHE_ALWAYS;
	CHECK_EQ("always", open_reply_flags(&fs, &inode, false), FOPEN_KEEP_CACHE);
	CHECK_EQ("dir", open_reply_flags(&fs, &inode, true), FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
	cfg.cache = FS_CACHE_NEVER;
	CHECK(open_reply_flags(&fs, &inode, false) & FOPEN_DIRECT_IO);
	CHECK_EQ("never, dir", open_reply_flags(&fs, &inode, true), 0);
	cfg.cache = FS_CACHE_AUTO;
}

static int open_with(uint32_t flags, uint32_t open_flags)
{
	const struct fuse_open_in in = { .flags = flags, .open_flags = open_flags };
	struct fs_req rq = request(FUSE_OPEN, &in, sizeof(in), 0, 1);
	int ret = op_open(&rq);

	if (ret >= 0)
		handle_put(&fs, &once);
	return ret;
}

static const struct {
	const char *name;
	uint64_t features;
	uint32_t uid, flags, open_flags;
	mode_t want;
} kill_cases[] = {
	{ "not truncated", FUSE_HANDLE_KILLPRIV_V2, 5, O_RDWR, FUSE_OPEN_KILL_SUIDGID, 04755 },
	{ "asked for", FUSE_HANDLE_KILLPRIV_V2, 0, O_RDWR | O_TRUNC, FUSE_OPEN_KILL_SUIDGID, 0755 },
	{ "not asked for", FUSE_HANDLE_KILLPRIV_V2, 5, O_RDWR | O_TRUNC, 0, 04755 },
	{ "not ours, by root", 0, 0, O_RDWR | O_TRUNC, 0, 04755 },
	{ "not ours, by a user", 0, 5, O_RDWR | O_TRUNC, 0, 0755 },
	{ "not ours, by nobody knows whom", 0, UINT32_MAX, O_RDWR | O_TRUNC, 0, 04755 },
	{ "not ours nor truncated", 0, 5, O_RDWR, 0, 04755 },
};

static void test_open_kills(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(kill_cases); i++) {
		fresh_file(O_RDWR);
		REQUIRE(chmod(path, 04755) == 0);
		fs.session.features = kill_cases[i].features;
		caller = kill_cases[i].uid;
		CHECK(open_with(kill_cases[i].flags, kill_cases[i].open_flags) > 0);
		REQUIRE(stat(path, &st) == 0);
		CHECK_EQ(kill_cases[i].name, st.st_mode & 07777, kill_cases[i].want);
	}
	fs.session.features = 0;
	caller = 0;
}

static void test_open(void)
{
	struct stat st;

	fresh_file(O_RDWR);
	CHECK_EQ("open", open_with(O_RDWR, 0), sizeof(struct fuse_open_out));
	CHECK_EQ("fh", FS_REPLY(&(struct fs_req){ .reply = reply }, fuse_open_out)->fh, 2);
	cfg.readonly = true;
	CHECK_EQ("read", open_with(O_RDONLY, 0), sizeof(struct fuse_open_out));
	CHECK_EQ("write", open_with(O_WRONLY, 0), -EROFS);
	CHECK_EQ("truncate", open_with(O_RDONLY | O_TRUNC, 0), -EROFS);
	cfg.readonly = false;
	CHECK(open_with(O_RDWR | O_TRUNC, 0) > 0);
	REQUIRE(stat(path, &st) == 0);
	CHECK_EQ("truncated", st.st_size, 0);
	inode.type = S_IFDIR;
	CHECK_EQ("directory", open_with(O_RDONLY, 0), -EISDIR);
	inode.type = S_IFREG;
}

static void test_flush(void)
{
	const struct fuse_flush_in in = { .fh = 1 };
	struct fs_req rq = request(FUSE_FLUSH, &in, sizeof(in), 0, 1);
	bool later;

	fresh_file(O_RDWR);
	fs.mounts.all_local = true;
	CHECK_EQ("means nothing", op_flush(&rq), -ENOSYS);
	fs.mounts.all_local = false;
	CHECK_EQ("not here, elsewhere", op_flush(&rq), 0);
	mount_.local = false;
	answered = -1;
	CHECK_EQ("closes", finish(op_flush(&rq), &later), 0);
	CHECK(later);
	cfg.posix_lock = true;
	fs.mounts.all_local = mount_.local = true;
	CHECK_EQ("gives up locks", op_flush(&rq), 0);
	CHECK_EQ("locks", flushes, 1);
	cfg.posix_lock = false;
}

static void test_release(void)
{
	struct fuse_release_in in = { .fh = 1 };
	struct fs_req rq;
	int fd;

	fresh_file(O_RDWR);
	handle_ref(&handle); /* the stand-in puts one */
	rq = request(FUSE_RELEASE, &in, sizeof(in), 0, 1);
	CHECK_EQ("release", op_release(&rq), 0);
	CHECK_EQ("nobody waits", wakes, 0);
	handle_ref(&handle);
	in.release_flags = FUSE_RELEASE_FLOCK_UNLOCK;
	rq = request(FUSE_RELEASE, &in, sizeof(in), 0, 1);
	REQUIRE(flock(handle.fd, LOCK_EX) == 0);
	CHECK_EQ("release", op_release(&rq), 0);
	CHECK_EQ("who waits is told", wakes, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ("the lock is free", flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static int64_t do_lseek(uint64_t off, uint32_t whence)
{
	const struct fuse_lseek_in in = { .offset = off, .whence = whence };
	struct fs_req rq = request(FUSE_LSEEK, &in, sizeof(in), 0, 1);
	int ret = op_lseek(&rq);

	return ret < 0 ? ret : (int64_t)((const struct fuse_lseek_out *)(void *)reply)->offset;
}

static int64_t do_fallocate(uint32_t mode, uint64_t off, uint64_t len)
{
	const struct fuse_fallocate_in in = { .mode = mode, .offset = off, .length = len };
	struct fs_req rq = request(FUSE_FALLOCATE, &in, sizeof(in), 0, 1);
	bool later;

	return finish(op_fallocate(&rq), &later);
}

static int64_t do_copy(uint32_t opcode, uint64_t fh, uint64_t off, uint64_t len, uint64_t flags)
{
	const struct fuse_copy_file_range_in in = {
		.off_out = off, .fh_out = fh, .len = len, .flags = flags
	};
	struct fs_req rq = request(opcode, &in, sizeof(in), 0, 1);
	bool later;

	return finish(op_copy_file_range(&rq), &later);
}

/* FALLOCATE and COPY_FILE_RANGE have no flag for it. */
static void test_kills_unasked(void)
{
	struct stat st;

	for (unsigned i = 0; i < 8; i++) {
		mode_t want = i & 1 && i & 2 ? 0755 : 04755;

		fresh_file(O_RDWR);
		REQUIRE(chmod(path, 04755) == 0);
		caller = i & 1 ? 5 : 0;
		fs.session.features = i & 2 ? FUSE_HANDLE_KILLPRIV_V2 : 0;
		if (i & 4)
			CHECK(do_copy(FUSE_COPY_FILE_RANGE, 1, 20 * PAGE, 100, 0) > 0);
		else
			CHECK_EQ("fallocate", do_fallocate(0, 0, 10 * PAGE), 0);
		REQUIRE(stat(path, &st) == 0);
		CHECK_EQ("mode", st.st_mode & 07777, want);
	}
	fs.session.features = 0;
	caller = 0;
}

static void test_others(void)
{
	const struct fuse_fsync_in sync_in = { .fsync_flags = FUSE_FSYNC_FDATASYNC };
	const struct fuse_syncfs_in syncfs_in = { 0 };
	struct fs_req rq;
	bool later;

	fresh_file(O_RDWR);
	CHECK_EQ("data", do_lseek(0, SEEK_DATA), 0);
	CHECK_EQ("hole", do_lseek(0, SEEK_HOLE), FILE_SIZE);
	CHECK_EQ("behind", do_lseek(FILE_SIZE, SEEK_DATA), -ENXIO);
	CHECK_EQ("where we are", do_lseek(0, SEEK_CUR), -EINVAL);
	CHECK_EQ("whence", do_lseek(0, 77), -EINVAL);
	CHECK_EQ("negative", do_lseek(UINT64_MAX, SEEK_SET), -EINVAL);
	CHECK_EQ("data before the file", do_lseek(UINT64_MAX, SEEK_DATA), -ENXIO);
	CHECK_EQ("hole before the file", do_lseek(UINT64_MAX, SEEK_HOLE), -ENXIO);

	CHECK_EQ("fallocate", do_fallocate(0, 0, 10 * PAGE), 0);
	CHECK_EQ("longer", do_lseek(0, SEEK_END), 10 * PAGE);
	CHECK_EQ("of nothing", do_fallocate(0, 0, 0), -EINVAL);
	CHECK_EQ("too far", do_fallocate(0, INT64_MAX, 2), -EFBIG);
	CHECK_EQ("a mode that is none", do_fallocate(UINT32_MAX, 0, 1), -EINVAL);
	CHECK_EQ("another", do_fallocate(1 << 20, 0, 1), -EOPNOTSUPP);

	CHECK_EQ("copy", do_copy(FUSE_COPY_FILE_RANGE, 1, 20 * PAGE, 100, 0),
		 sizeof(struct fuse_write_out));
	CHECK_EQ("bytes", ((const struct fuse_write_out *)(void *)answer_body)->size, 100);
	CHECK_EQ("the other", do_copy(FUSE_COPY_FILE_RANGE_64, 1, 30 * PAGE, 200, 0), 8);
	CHECK_EQ("bytes", answer_body[0], 200);
	CHECK_EQ("longer", do_lseek(0, SEEK_END), 30 * PAGE + 200);
	CHECK_EQ("no such file", do_copy(FUSE_COPY_FILE_RANGE, 9, 0, 1, 0), -EBADF);
	CHECK_EQ("flags", do_copy(FUSE_COPY_FILE_RANGE, 1, 20 * PAGE, 1, 1), -EINVAL);
	CHECK_EQ("wraps", do_copy(FUSE_COPY_FILE_RANGE, 1, UINT64_MAX, 1, 0), -EINVAL);
	CHECK_EQ("onto itself", do_copy(FUSE_COPY_FILE_RANGE, 1, 5, 100, 0), -EINVAL);

	rq = request(FUSE_FSYNC, &sync_in, sizeof(sync_in), 0, 1);
	CHECK_EQ("fsync", finish(op_fsync(&rq), &later), 0);
	CHECK(later);
	opens = 0;
	rq = request(FUSE_SYNCFS, &syncfs_in, sizeof(syncfs_in), 0, 1);
	CHECK_EQ("syncfs", finish(op_syncfs(&rq), &later), 0);
	CHECK(later && opens == 1 && once.fd == -1);
}

/* --- IOCTL --- */

static const struct {
	const char *name;
	uint32_t cmd, flags, in_size, out_size;
	uint32_t sent; /* bytes behind the body */
	bool readonly;
	int want; /* 1: the host decides */
} ioctl_cases[] = {
	{ "flags", FS_IOC_GETFLAGS, 0, 0, 4, 0, false, 1 },
	{ "flags, as from 32 bits", FS_IOC32_GETFLAGS, 0, 0, 4, 0, false, 1 },
	{ "attributes", FS_IOC_FSGETXATTR, 0, 0, sizeof(struct fsxattr), 0, true, 1 },
	{ "no room", FS_IOC_GETFLAGS, 0, 0, 3, 0, false, -EINVAL },
	{ "no value", FS_IOC_SETFLAGS, 0, 3, 0, 3, false, -EINVAL },
	{ "less than it says", FS_IOC_SETFLAGS, 0, 4, 0, 3, false, -EINVAL },
	{ "read-only", FS_IOC_SETFLAGS, 0, 4, 0, 4, true, -EROFS },
	{ "read-only attributes", FS_IOC_FSSETXATTR, 0, 28, 0, 28, true, -EROFS },
	{ "unknown", FIFREEZE, 0, 4, 4, 4, false, -ENOTTY },
	{ "another", FS_IOC_GETVERSION, 0, 0, 4, 0, false, -ENOTTY },
	{ "pointers", FS_IOC_GETFLAGS, FUSE_IOCTL_UNRESTRICTED, 0, 4, 0, false, -EPERM },
	{ "verity without salt", FS_IOC_ENABLE_VERITY, 0, 128, 0, 128, false, -EINVAL },
	{ "verity, read-only", FS_IOC_ENABLE_VERITY, 0, 128, 0, 128, true, -EROFS },
	{ "verity, short", FS_IOC_ENABLE_VERITY, 0, 127, 0, 127, false, -EINVAL },
};

static void test_ioctl(void)
{
	uint8_t buf[sizeof(struct fuse_ioctl_in) + 128];
	struct fsverity_enable_arg arg = { .version = 1, .salt_size = 16 };

	fresh_file(O_RDWR);
	for (size_t i = 0; i < ARRAY_SIZE(ioctl_cases); i++) {
		struct fuse_ioctl_in in = { .fh = 1 };
		size_t len = sizeof(in) + ioctl_cases[i].sent;
		struct fs_req rq;
		int ret;

		in.cmd = ioctl_cases[i].cmd;
		in.flags = ioctl_cases[i].flags;
		in.in_size = ioctl_cases[i].in_size;
		in.out_size = ioctl_cases[i].out_size;
		memcpy(buf, &in, sizeof(in));
		memcpy(buf + sizeof(in), &arg, sizeof(arg));
		rq = request(FUSE_IOCTL, buf, len, 0, 1);
		cfg.readonly = ioctl_cases[i].readonly;
		ret = op_ioctl(&rq);
		if (ioctl_cases[i].want != 1)
			CHECK_EQ(ioctl_cases[i].name, ret, ioctl_cases[i].want);
		else if (ret >= 0)
			CHECK_EQ(ioctl_cases[i].name, ret,
				 sizeof(struct fuse_ioctl_out) + in.out_size);
		else
			CHECK_NAMED(ioctl_cases[i].name, ret == -ENOTTY || ret == -EOPNOTSUPP);
		CHECK_EQ(ioctl_cases[i].name, handle.ref, 1);
	}
	cfg.readonly = false;
}

/* Who may make a file immutable through its contents: its owner, root, and nobody unnamed. */
static void test_verity_rights(void)
{
	static const struct {
		const char *name;
		uint32_t uid;
		bool may;
	} cases[] = {
		{ "root", 0, true },
		{ "the owner", 500, true },
		{ "another user", 501, false },
		{ "a guest that does not say", ID_NONE, false },
	};
	uint8_t buf[sizeof(struct fuse_ioctl_in) + 128] = { 0 };
	const struct fuse_ioctl_in in = { .fh = 1, .cmd = FS_IOC_ENABLE_VERITY, .in_size = 128 };

	fresh_file(O_RDWR);
	if (fchown(handle.fd, 500, 500) < 0) {
		printf("skipped: verity_rights: only root can give a file away\n");
		return;
	}
	memcpy(buf, &in, sizeof(in));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fs_req rq = request(FUSE_IOCTL, buf, sizeof(buf), 0, 1);
		int ret;

		rq.in.uid = cases[i].uid;
		ret = op_ioctl(&rq);
		if (ret == FS_LATER)
			async_drain(q.async);
		CHECK_EQ(cases[i].name, ret == FS_LATER, cases[i].may);
		if (!cases[i].may)
			CHECK_EQ(cases[i].name, ret, -EPERM);
	}
}

int main(void)
{
	snprintf(path, sizeof(path), "/tmp/vdax-file-%ld", (long)getpid());
	handle = (struct handle){ .fd = -1, .ref = 1, .inode = &inode };
	cfg = (struct fs_config){ .engine = FS_ENGINE_POOL, .pool_threads = 1 };
	fs = (struct fs){ .name = "test", .cfg = &cfg, .host = &host };
	vq.mem = mem_over(ram, RAM_SIZE);
	q = (struct fs_queue){ .fs = &fs, .vq = &vq };
	fs.queues[0] = &q;
	REQUIRE(async_new(&q, &q.async) == 0 && pool_start(&fs, 1) == 0);
	test_read();
	test_read_room();
	test_read_where();
	test_slow();
	test_write();
	test_write_checks();
	test_flags();
	test_open();
	test_open_kills();
	test_flush();
	test_release();
	test_others();
	test_kills_unasked();
	test_ioctl();
	test_verity_rights();
	pool_stop(&fs);
	async_free(q.async);
	fd_close(&handle.fd);
	CHECK_EQ("references on memory", vq.mem->refs, 1);
	mem_put(vq.mem);
	unlink(path);
	return check_done();
}
