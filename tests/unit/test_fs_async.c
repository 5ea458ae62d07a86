/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both engines of fs/ (io_uring, threads) without the rest of it: what the dispatcher would do with
 * an answer is recorded here instead. The linker lets the test stand in for a few functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/cred.h"
#include "fs/engine.h"
#include "tests/lib/check.h"
#include "tests/lib/no_window.h"

#define FILE_SIZE  100003u
#define MANY	   1500u /* more than IOV_MAX, and than a ring has places */
#define RAM_SIZE   (1u << 20)
#define TIMEOUT_MS 10000
#define QUEUES	   4u

/* REQUIRE() on any thread: what counts the checks is the main thread's. */
#define MUST(cond)                                                                           \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: required: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                             \
		}                                                                            \
	} while (0)

/* --- stand-ins --- */

struct test_queue {
	struct fs_queue q;
	struct vq vq;
	int wake_fd;
	uint8_t *ram;
	/* What was answered, by unique. */
	unsigned answers;
	unsigned times[4 * MANY];
	int64_t res[4 * MANY];
	uint8_t body[FS_TICKET_BODY];
	uint64_t dirty; /* bytes */
	unsigned freed;
};

static struct fs fs;
static struct fs_config cfg = { .pool_threads = FS_POOL_MAX };
static struct test_queue *queues[QUEUES];
static int file = -1;	 /* FILE_SIZE bytes of byte_at() */
static int no_ring;	 /* what uring_new() shall return */
static size_t short_max; /* bytes that a call of a thread of the pool transfers at most; 0: all */

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 7 + off / 251);
}

int fs_ticket_of(const struct fs_req *rq, struct fs_ticket *t)
{
	*t = (struct fs_ticket){ .unique = rq->in.unique, .opcode = rq->in.opcode };
	return 0;
}

void fs_ticket_answer(struct fs_queue *q, const struct fs_ticket *t, const void *body, int64_t res)
{
	struct test_queue *tq = queues[q->index];

	MUST(t->unique < ARRAY_SIZE(tq->res));
	tq->answers++;
	tq->times[t->unique]++;
	tq->res[t->unique] = res;
	if (body)
		memcpy(tq->body, body, (size_t)res);
}

struct handle *handle_ref(struct handle *h)
{
	return h;
}

void handle_put(struct fs *f, struct handle *h)
{
	(void)f;
	(void)h;
}

void cred_self(struct fs_queue *q)
{
	(void)q;
}

static void wake(void *ctx, unsigned queue)
{
	const uint64_t one = 1;

	(void)ctx;
	MUST(write(queues[queue]->wake_fd, &one, sizeof(one)) == sizeof(one));
}

static const struct device_host host = { .wake = wake };

void __real_vq_wrote_in(struct vq *vq, const struct mem_table *mem, const struct iovec *iov,
			unsigned n, uint64_t len);
void __wrap_vq_wrote_in(struct vq *vq, const struct mem_table *mem, const struct iovec *iov,
			unsigned n, uint64_t len);
void __wrap_vq_wrote_in(struct vq *vq, const struct mem_table *mem, const struct iovec *iov,
			unsigned n, uint64_t len)
{
	uint64_t room = 0;

	CHECK(mem == vq->mem);
	for (unsigned i = 0; i < n; i++)
		room += iov[i].iov_len;
	CHECK(len <= room);
	queues[0]->dirty += len; /* only the tests with one queue look */
}

int __real_uring_new(struct async_engine *e, struct uring **out);
int __wrap_uring_new(struct async_engine *e, struct uring **out);
int __wrap_uring_new(struct async_engine *e, struct uring **out)
{
	return no_ring ? no_ring : __real_uring_new(e, out);
}

/* preadv2(), as it is called where off_t has 64 bits. */
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	struct iovec one = iov[0];

	if (!short_max)
		return __real_preadv64v2(fd, iov, n, off, flags);
	one.iov_len = MIN(one.iov_len, short_max);
	return __real_preadv64v2(fd, &one, 1, off, flags);
}

/* --- set-up --- */

static void queue_new(unsigned index)
{
	struct test_queue *tq = calloc(1, sizeof(*tq));

	REQUIRE(tq);
	tq->ram = aligned_alloc(4096, RAM_SIZE);
	tq->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	REQUIRE(tq->ram && tq->wake_fd >= 0);
	memset(tq->ram, 0, RAM_SIZE);
	tq->vq.mem = mem_over(tq->ram, RAM_SIZE);
	tq->vq.log.data = index == 0;
	tq->q.fs = &fs;
	tq->q.index = index;
	tq->q.vq = &tq->vq;
	queues[index] = tq;
	fs.queues[index] = &tq->q;
	REQUIRE(async_new(&tq->q, &tq->q.async) == 0);
}

static void set_up(enum fs_engine engine, unsigned n)
{
	cfg.engine = engine;
	fs = (struct fs){ .name = "test", .cfg = &cfg, .host = &host };
	for (unsigned i = 0; i < n; i++)
		queue_new(i);
	REQUIRE(pool_start(&fs, cfg.pool_threads) == 0);
}

static void tear_down(void)
{
	pool_stop(&fs);
	for (unsigned i = 0; i < QUEUES; i++) {
		struct test_queue *tq = queues[i];

		if (!tq)
			continue;
		async_free(tq->q.async);
		/* Every job has given back its reference. */
		CHECK_EQ("references on memory", tq->vq.mem->refs, 1);
		mem_put(tq->vq.mem);
		close(tq->wake_fd);
		free(tq->ram);
		free(tq);
		queues[i] = NULL;
	}
}

static void make_file(void)
{
	static uint8_t data[FILE_SIZE];
	char name[] = "/tmp/vdax-async-XXXXXX";

	for (uint64_t i = 0; i < FILE_SIZE; i++)
		data[i] = byte_at(i);
	file = mkstemp(name);
	REQUIRE(file >= 0 && unlink(name) == 0);
	REQUIRE(write(file, data, FILE_SIZE) == FILE_SIZE);
}

/* A job of n buffers of each bytes, at the begin of the queue's memory. */
static struct job *job_of(struct test_queue *tq, enum job_kind kind, uint64_t unique, unsigned n,
			  size_t each)
{
	struct fs_req rq = { .fs = &fs, .q = &tq->q, .in = { .unique = unique } };
	struct job *job = job_new(&rq, NULL, n);

	MUST(job && n * each <= RAM_SIZE);
	job->kind = kind;
	job->fd = file;
	job->n_iov = n;
	for (unsigned i = 0; i < n; i++)
		job->iov[i] = (struct iovec){ tq->ram + i * each, each };
	return job;
}

/* Submits, and waits for the answer. */
static int64_t run(struct job *job)
{
	struct test_queue *tq = queues[job->q->index];
	uint64_t unique = job->ticket.unique;
	unsigned before = tq->times[unique];

	async_submit(job);
	async_drain(tq->q.async);
	CHECK_EQ("answers", tq->times[unique], before + 1);
	CHECK_EQ("pending", async_pending(tq->q.async), 0);
	return tq->res[unique];
}

static bool is_file_at(const uint8_t *p, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != byte_at(off + i))
			return false;
	return true;
}

/* --- reads and writes --- */

static const struct {
	const char *name;
	unsigned n;
	size_t each;
	uint64_t off, skip;
	bool whole;
	int64_t want;
} reads[] = {
	{ "one buffer", 1, 4096, 0, 0, true, 4096 },
	{ "some, at an odd place", 5, 333, 17, 0, true, 5 * 333 },
	{ "the end of the file", 2, 4096, FILE_SIZE - 5000, 0, true, 5000 },
	{ "exactly to the end", 1, 5000, FILE_SIZE - 5000, 0, true, 5000 },
	{ "at the end", 1, 4096, FILE_SIZE, 0, true, 0 },
	{ "behind it", 1, 4096, FILE_SIZE + 100, 0, true, 0 },
	{ "more buffers than a call takes", MANY, 61, 3, 0, true, MANY * 61 },
	{ "the same, over the end", MANY, 61, FILE_SIZE - 1300 * 61, 0, true, 1300 * 61 },
	{ "the same, and only a part", MANY, 61, FILE_SIZE - 1300 * 61, 0, false, 1300 * 61 },
	{ "a part is done", 3, 100, 0, 150, true, 300 },
	{ "whole buffers are done", 3, 100, 0, 200, true, 300 },
};

static void test_reads(void)
{
	struct test_queue *tq = queues[0];

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		const char *name = reads[i].name;
		struct job *job = job_of(tq, JOB_READ, i, reads[i].n, reads[i].each);
		size_t skip = reads[i].skip, len = (size_t)reads[i].want;

		memset(tq->ram, 0xee, RAM_SIZE);
		tq->dirty = 0;
		job->off = reads[i].off;
		job->whole = reads[i].whole;
		job_skip(job, skip);
		CHECK_EQ(name, run(job), reads[i].want);
		if (len)
			CHECK_NAMED(name,
				    is_file_at(tq->ram + skip, reads[i].off + skip, len - skip));
		CHECK_NAMED(name, tq->ram[len] == 0xee && (!skip || tq->ram[skip - 1] == 0xee));
		CHECK_EQ(name, tq->dirty, reads[i].n * reads[i].each);
	}
}

/* How far has memory of 0xee been changed? */
static size_t changed(const uint8_t *p, size_t len)
{
	while (len && p[len - 1] == 0xee)
		len--;
	return len;
}

/* The disk's blocks go to memory as they are, also what is behind the end of the file. */
static void test_direct(void)
{
	struct test_queue *tq = queues[0];
	struct job *job = job_of(tq, JOB_READ, 0, 1, 4 * 4096);
	char name[] = "/tmp/vdax-async-XXXXXX";
	int fd = mkostemp(name, O_DIRECT);

	if (fd < 0) {
		job_free(job);
		return; /* a file system without */
	}
	REQUIRE(unlink(name) == 0);
	memset(tq->ram, 7, RAM_SIZE);
	REQUIRE(pwrite(fd, tq->ram, 2 * 4096, 0) == 2 * 4096 && ftruncate(fd, 4100) == 0);
	memset(tq->ram, 0xee, RAM_SIZE);
	tq->dirty = 0;
	job->fd = fd;
	CHECK_EQ("direct", run(job), 4100);
	CHECK(tq->dirty >= changed(tq->ram, RAM_SIZE));
	close(fd);
}

static const struct {
	const char *name;
	enum job_kind kind;
	bool whole;
	unsigned bad; /* index of the buffer that is not there */
	int64_t want;
} faults[] = {
	{ "read, first buffer", JOB_READ, false, 0, -EFAULT },
	{ "read, after a part", JOB_READ, false, 1024, 1024 * 32 },
	{ "read whole, after a part", JOB_READ, true, 1024, -EFAULT },
	{ "write, first buffer", JOB_WRITE, false, 0, -EFAULT },
	{ "write, after a part", JOB_WRITE, false, 1024, sizeof(struct fuse_write_out) },
	{ "write whole, after a part", JOB_WRITE, true, 1024, -EFAULT },
};

static void test_faults(void)
{
	struct test_queue *tq = queues[0];
	int former = file;

	file = open("/tmp", O_RDWR | O_TMPFILE, 0600);
	REQUIRE(file >= 0 && ftruncate(file, 1 << 20) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct job *job = job_of(tq, faults[i].kind, i, MANY, 32);

		tq->dirty = 0;
		job->whole = faults[i].whole;
		for (unsigned k = faults[i].bad; k < MANY; k++)
			job->iov[k].iov_base = (void *)(uintptr_t)16; /* nothing is mapped there */
		CHECK_EQ(faults[i].name, run(job), faults[i].want);
		if (faults[i].kind == JOB_READ) /* nobody knows how far it came: all of it */
			CHECK_EQ(faults[i].name, tq->dirty, MANY * 32);
	}
	close(file);
	file = former;
}

static void test_writes(void)
{
	struct test_queue *tq = queues[0];
	const struct fuse_write_out *out = (const void *)tq->body;
	struct job *job = job_of(tq, JOB_WRITE, 0, MANY, 61);
	uint8_t c = 0;
	int former = file;
	struct stat st;

	tq->dirty = 0;
	memset(tq->ram, 'a', RAM_SIZE);
	file = job->fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);
	REQUIRE(file >= 0);
	job->off = 1000;
	CHECK_EQ("write", run(job), sizeof(*out));
	CHECK_EQ("bytes", out->size, MANY * 61);
	CHECK_EQ("no dirty memory", tq->dirty, 0);
	REQUIRE(fstat(file, &st) == 0);
	CHECK_EQ("size", st.st_size, 1000 + MANY * 61);
	CHECK(pread(file, &c, 1, 1000) == 1 && c == 'a');

	job = job_of(tq, JOB_WRITE, 1, 1, 10);
	job->rwf = RWF_APPEND;
	CHECK_EQ("append", run(job), sizeof(*out));
	REQUIRE(fstat(file, &st) == 0);
	CHECK_EQ("size", st.st_size, 1000 + MANY * 61 + 10);

	job = job_of(tq, JOB_FALLOCATE, 2, 0, 0);
	job->off = 1 << 20;
	job->len = 4096;
	CHECK_EQ("fallocate", run(job), 0);
	REQUIRE(fstat(file, &st) == 0);
	CHECK_EQ("size", st.st_size, (1 << 20) + 4096);
	CHECK_EQ("fsync", run(job_of(tq, JOB_FSYNC, 3, 0, 0)), 0);
	CHECK_EQ("fdatasync", run(job_of(tq, JOB_FDATASYNC, 4, 0, 0)), 0);
	close(file);
	file = former;
}

static void test_errors(void)
{
	static const enum job_kind kinds[] = { JOB_READ, JOB_WRITE, JOB_FSYNC, JOB_FDATASYNC,
					       JOB_FALLOCATE };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct job *job = job_of(queues[0], kinds[i], i, 1, 10);

		job->fd = -1;
		job->len = 1;
		CHECK_EQ("no file", run(job), -EBADF);
	}
}

/* What a call transfers is up to the kernel. */
static void test_short(void)
{
	struct test_queue *tq = queues[0];
	struct job *job = job_of(tq, JOB_READ, 0, 7, 1000);

	short_max = 77;
	job->whole = true;
	job->off = 5;
	tq->dirty = 0;
	CHECK_EQ("in small pieces", run(job), 7000);
	CHECK(is_file_at(tq->ram, 5, 7000));
	CHECK_EQ("dirty", tq->dirty, 7000);
	job = job_of(tq, JOB_READ, 1, 1, 1000);
	CHECK_EQ("without the page cache an odd end is the end", run(job), 77);
	short_max = 0;
}

/* --- calls --- */

static int64_t answer_42(struct job *job)
{
	memset(job->reply, 42, 3);
	return 3;
}

static int64_t fail(struct job *job)
{
	(void)job;
	return -EXDEV;
}

static void count_free(void *arg)
{
	++*(unsigned *)arg;
}

static void test_calls(void)
{
	struct test_queue *tq = queues[0];
	struct job *job = job_of(tq, JOB_CALL, 0, 0, 0);

	job->call = answer_42;
	job->arg = &tq->freed;
	job->free_arg = count_free;
	CHECK_EQ("result", run(job), 3);
	CHECK(tq->body[0] == 42 && tq->body[2] == 42);
	CHECK_EQ("freed", tq->freed, 1);
	job = job_of(tq, JOB_CALL, 1, 0, 0);
	job->call = fail;
	CHECK_EQ("error", run(job), -EXDEV);
}

/* --- many at once, and waiting as a queue's thread does --- */

static int watch(struct test_queue *tq)
{
	struct epoll_event ring = { .events = EPOLLIN | EPOLLET };
	struct epoll_event woken = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = async_fd(tq->q.async);

	MUST(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, tq->wake_fd, &woken) == 0);
	MUST(fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ring) == 0);
	return ep;
}

/* Sleeps until something is finished. False if that takes too long. */
static bool sleep_until_some(struct test_queue *tq, int ep)
{
	struct epoll_event ev;
	int n = epoll_wait(ep, &ev, 1, TIMEOUT_MS);
	uint64_t count;

	if (n == 0)
		return false;
	if (read(tq->wake_fd, &count, sizeof(count)) < 0)
		MUST(errno == EAGAIN);
	return n > 0 || errno == EINTR || errno == EAGAIN;
}

static void submit_mixed(struct test_queue *tq, unsigned i)
{
	static const enum job_kind kinds[] = { JOB_READ, JOB_READ, JOB_READ, JOB_FDATASYNC,
					       JOB_READ, JOB_READ, JOB_CALL, JOB_READ };
	struct job *job = job_of(tq, kinds[i % ARRAY_SIZE(kinds)], i, 1, 64);

	job->iov[0].iov_base = tq->ram + (size_t)i * 64;
	job->off = (uint64_t)i * 13;
	job->call = answer_42;
	async_submit(job);
}

static void check_mixed(struct test_queue *tq)
{
	CHECK_EQ("all were answered", tq->answers, ARRAY_SIZE(tq->res));
	for (unsigned i = 0; i < ARRAY_SIZE(tq->res); i++) {
		bool data = tq->res[i] == 64;

		if (tq->times[i] != 1 || tq->res[i] < 0 ||
		    (data && !is_file_at(tq->ram + (size_t)i * 64, (uint64_t)i * 13, 64)))
			CHECK_EQ("a wrong answer", i, -1);
	}
}

/* Batches of growing size, never more than most at once. */
static void serve_mixed(struct test_queue *tq, unsigned most)
{
	unsigned sent = 0, batch = 1, want = ARRAY_SIZE(tq->res);
	int ep = watch(tq);

	while (tq->answers < want) {
		unsigned room = most - async_pending(tq->q.async);

		for (unsigned n = MIN(MIN(batch, room), want - sent); n; n--)
			submit_mixed(tq, sent++);
		batch = batch % 61 + 1;
		async_flush(tq->q.async);
		if (!async_reap(tq->q.async) && !sleep_until_some(tq, ep))
			MUST(!"a completion was lost");
	}
	async_drain(tq->q.async);
	close(ep);
}

static void test_waiting(enum fs_engine engine)
{
	static const unsigned most[] = { 1, 16, 200, 4 * MANY };

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		set_up(engine, 1);
		serve_mixed(queues[0], most[i]);
		check_mixed(queues[0]);
		tear_down();
	}
}

static void test_drain(enum fs_engine engine)
{
	set_up(engine, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(queues[0]->res); i++)
		submit_mixed(queues[0], i);
	async_drain(queues[0]->q.async);
	check_mixed(queues[0]);
	tear_down();
}

/*
 * A read that is short goes on where it stopped, also if what it had so far came at once, with its
 * submission: then nothing will wake who sleeps. So async_reap() says that there was something.
 */
static void test_short_at_once(enum fs_engine engine)
{
	struct test_queue *tq;
	bool asleep = false;
	int ep;

	set_up(engine, 1);
	tq = queues[0];
	ep = watch(tq);
	/* More than one: the end of a former test's ring may wake us once. */
	for (unsigned i = 0; i < 4 && !asleep; i++) {
		struct job *job = job_of(tq, JOB_READ, i, 1, 8192);

		job->whole = true;
		job->off = FILE_SIZE - 5000;
		/* Now it is in the page cache. */
		MUST(pread(file, tq->ram, 8192, (off_t)job->off) == 5000);
		async_submit(job);
		while (!tq->times[i] && !asleep) {
			async_flush(tq->q.async);
			asleep = !async_reap(tq->q.async) && !sleep_until_some(tq, ep);
		}
		CHECK_NAMED("no wake-up was lost", !asleep);
		async_drain(tq->q.async);
		CHECK_EQ("up to the end", tq->res[i], 5000);
	}
	close(ep);
	tear_down();
}

static void *queue_main(void *arg)
{
	serve_mixed(arg, 64);
	return NULL;
}

/* Queues with a thread each share one pool; the engines were made by another thread. */
static void test_threads(enum fs_engine engine)
{
	pthread_t threads[QUEUES];

	set_up(engine, QUEUES);
	queues[0]->vq.log.data = false; /* the stand-in counts for one thread */
	for (unsigned i = 0; i < QUEUES; i++)
		REQUIRE(pthread_create(&threads[i], NULL, queue_main, queues[i]) == 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		pthread_join(threads[i], NULL);
		check_mixed(queues[i]);
	}
	tear_down();
}

/* --- the choice --- */

static void test_choice(void)
{
	struct async_engine *e = NULL;
	struct fs_queue q = { .fs = &fs };

	no_ring = -EPERM;
	set_up(FS_ENGINE_AUTO, 1);
	CHECK_EQ("no descriptor to wait for", async_fd(queues[0]->q.async), -1);
	CHECK_EQ("threads do it", run(job_of(queues[0], JOB_READ, 0, 1, 100)), 100);
	cfg.engine = FS_ENGINE_URING;
	CHECK_EQ("io_uring or nothing", async_new(&q, &e), -EPERM);
	CHECK(!e);
	tear_down();
	no_ring = 0;
}

/* After it was made, nobody can make more of the ring than it is. */
static void test_locked_ring(void)
{
	int fd;

	set_up(FS_ENGINE_URING, 1);
	fd = async_fd(queues[0]->q.async);
	CHECK(fd >= 0);
	CHECK_EQ("register files", io_uring_register((unsigned)fd, IORING_REGISTER_FILES, &fd, 1),
		 -EACCES);
	CHECK_EQ("restrict", io_uring_register((unsigned)fd, IORING_REGISTER_RESTRICTIONS, NULL, 0),
		 -EACCES);
	tear_down();
}

static void test_engine(enum fs_engine engine)
{
	set_up(engine, 1);
	test_reads();
	test_writes();
	test_faults();
	test_direct();
	test_errors();
	test_calls();
	if (engine == FS_ENGINE_POOL)
		test_short();
	tear_down();
	test_drain(engine);
	test_waiting(engine);
	test_short_at_once(engine);
	test_threads(engine);
}

static bool have_io_uring(void)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(1, &ring, 0);

	if (!ret)
		io_uring_queue_exit(&ring);
	return !ret;
}

int main(void)
{
	make_file();
	test_engine(FS_ENGINE_POOL);
	test_choice();
	if (have_io_uring()) {
		test_engine(FS_ENGINE_URING);
		test_locked_ring();
	} else {
		fprintf(stderr, "io_uring is not to be had here: only the pool was tested\n");
	}
	close(file);
	return check_done();
}
