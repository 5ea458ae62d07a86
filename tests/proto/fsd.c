/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/proto/fsd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/listen.h"
#include "tests/lib/check.h"

#define OPTIONS_MAX 32u
#define DAEMONS_MAX 4u

static struct fsd *known[DAEMONS_MAX];
static pid_t ours; /* a child of the test has nothing to clean up */

/* --- life --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fsd_stop(struct fsd *d)
{
	if (d->pid) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
	}
	d->pid = 0;
}

void fsd_end(struct fsd *d)
{
	for (unsigned i = 0; i < DAEMONS_MAX; i++)
		if (known[i] == d)
			known[i] = NULL;
	fsd_stop(d);
	if (d->dir[0])
		nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	d->dir[0] = '\0';
}

static void clean_up(void)
{
	for (unsigned i = DAEMONS_MAX; i-- && getpid() == ours;)
		if (known[i])
			fsd_end(known[i]);
}

/* It is ended at exit, if not before. */
static void know(struct fsd *d)
{
	unsigned i = 0;

	if (!ours)
		atexit(clean_up);
	ours = getpid();
	while (i < DAEMONS_MAX && known[i])
		i++;
	REQUIRE(i < DAEMONS_MAX);
	known[i] = d;
}

static void make_dir(struct fsd *d, const char *where)
{
	*d = (struct fsd){ 0 };
	snprintf(d->dir, sizeof(d->dir), "%s/vdax-test-XXXXXX", where);
	REQUIRE(mkdtemp(d->dir));
	snprintf(d->sock, sizeof(d->sock), "%s/s", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	know(d);
}

void fsd_prepare(struct fsd *d, const char *where)
{
	make_dir(d, where);
	snprintf(d->share, sizeof(d->share), "%s/share", d->dir);
	REQUIRE(!mkdir(d->share, 0755));
	signal(SIGPIPE, SIG_IGN);
}

void fsd_prepare_second(struct fsd *d, const struct fsd *first, const char *where)
{
	make_dir(d, where);
	snprintf(d->share, sizeof(d->share), "%s", first->share);
}

void fsd_start(struct fsd *d, const char *const *options)
{
	const char *mode = getenv("VDAX_SANDBOX");
	const char *argv[OPTIONS_MAX] = { "vdax",  "fs",	   "--socket-path",
					  d->sock, "--shared-dir", d->share };
	unsigned n = 6;

	if (!d->once)
		argv[n++] = "--serve-again";
	while (*options && n < OPTIONS_MAX - 5)
		argv[n++] = *options++;
	/* Sanitizers make calls of their own. */
	if (mode && !strcmp(mode, "none")) {
		argv[n++] = "--sandbox";
		argv[n++] = "none";
		argv[n++] = "--seccomp";
		argv[n++] = "none";
	}
	d->pid = fork();
	REQUIRE(d->pid >= 0);
	if (!d->pid) {
		const char *program = getenv("VDAX");
		int fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, STDERR_FILENO);
		close(fd);
		if (program)
			execv(program, (char **)(uintptr_t)argv);
		_exit(127);
	}
}

struct front_raw *fsd_connect_as(const struct fsd *d, const struct front_raw_opts *how)
{
	struct front_raw_opts opts = *how;
	struct front_raw *r = NULL;

	for (int ms = 0; ms < 20000 && !r; ms += 5) {
		opts.front.fd = connect_unix(d->sock);
		if (opts.front.fd < 0)
			usleep(5000);
		else
			REQUIRE(!front_raw_open(&r, &opts));
	}
	REQUIRE(r);
	return r;
}

struct front_raw *fsd_connect(const struct fsd *d, unsigned int queues, size_t bytes)
{
	const struct front_raw_opts opts = { .front = { .num_queues = queues }, .bytes = bytes };

	return fsd_connect_as(d, &opts);
}

/* --- what it has --- */

/* The process that serves: the first one, or the only child that it has. */
static pid_t server(const struct fsd *d)
{
	char path[64];
	pid_t child;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d->pid, d->pid);
	f = fopen(path, "re");
	REQUIRE(f);
	n = fscanf(f, "%d", &child);
	fclose(f);
	return n == 1 ? child : d->pid;
}

unsigned fsd_fds(const struct fsd *d)
{
	unsigned n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", server(d));
	dir = opendir(path);
	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static bool of_uring(pid_t pid, const char *tid)
{
	char path[300], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return true; /* it has gone */
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return !strncmp(name, "iou-", 4);
}

unsigned fsd_threads(const struct fsd *d)
{
	pid_t pid = server(d);
	unsigned n = 0;
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	REQUIRE(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.' && !of_uring(pid, e->d_name);
	closedir(dir);
	return n;
}

unsigned long fsd_rss(const struct fsd *d)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/status", server(d));
	f = fopen(line, "re");
	REQUIRE(f);
	/* Without the guest's memory, which is shared. */
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

unsigned fsd_log_lines(const struct fsd *d)
{
	FILE *f = fopen(d->log, "re");
	unsigned n = 0;
	char line[512];

	REQUIRE(f);
	while (fgets(line, sizeof(line), f)) {
		fputs(line, stderr);
		n++;
	}
	fclose(f);
	return n;
}

/* --- requests --- */

int fsd_post(struct front_raw *r, unsigned int queue, const struct fsd_rq *rq, size_t room)
{
	static uint64_t unique = 1000;
	const struct fsd_body *b = &rq->body;
	struct fuse_in_header in = {
		.len = (uint32_t)(sizeof(in) + b->head_len + b->tail_len),
		.opcode = rq->opcode,
		.unique = rq->unique ? rq->unique : ++unique,
		.nodeid = rq->nodeid ? rq->nodeid : FUSE_ROOT_ID,
	};
	struct iovec iov[3] = { { &in, sizeof(in) } };
	unsigned n = 1;
	int ticket;

	if (b->head_len)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)b->head, b->head_len };
	if (b->tail_len)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)b->tail, b->tail_len };
	ticket = front_raw_post(r, queue, iov, n, room, 0);
	REQUIRE(ticket >= 0);
	return ticket;
}

int fsd_wait(struct front_raw *r, unsigned int queue, int ticket, void *reply, size_t size)
{
	const struct front_raw_slot *slot = &r->q[queue].slot[ticket];
	struct fuse_out_header out;
	int n = front_raw_wait(r, queue, ticket, &out, sizeof(out), FSD_TIMEOUT_MS);

	REQUIRE(n >= 0);
	if (!n && slot->writable < sizeof(out))
		return 0; /* has no answer */
	REQUIRE(n >= (int)sizeof(out));
	CHECK_EQ("length", out.len, n);
	REQUIRE(out.error <= 0 && out.error > -512);
	if (out.error)
		return out.error;
	n -= (int)sizeof(out);
	if (size)
		memcpy(reply, slot->mem + slot->readable + sizeof(out), MIN(size, (size_t)n));
	return n;
}

int fsd_call(struct front_raw *r, unsigned int queue, const struct fsd_rq *rq, void *reply,
	     size_t size)
{
	int ticket = fsd_post(r, queue, rq, sizeof(struct fuse_out_header) + size);

	return fsd_wait(r, queue, ticket, reply, size);
}

void fsd_init(struct front_raw *r, uint64_t features)
{
	const struct fsd_rq rq = { FUSE_INIT,
				   0,
				   { FSD_BODY(init, .major = FUSE_KERNEL_VERSION,
					      .minor = FUSE_KERNEL_MINOR_VERSION,
					      .flags = (uint32_t)(features | FUSE_INIT_EXT),
					      .flags2 = (uint32_t)(features >> 32)) },
				   0 };
	struct fuse_init_out out;

	CHECK_EQ("INIT", fsd_call(r, 1, &rq, &out, sizeof(out)), sizeof(out));
}

uint64_t fsd_lookup(struct front_raw *r, unsigned int queue, uint64_t parent, const char *name)
{
	const struct fsd_rq rq = { FUSE_LOOKUP, parent, { FSD_NAME(name) }, 0 };
	struct fuse_entry_out out = { 0 };

	return fsd_call(r, queue, &rq, &out, sizeof(out)) == sizeof(out) ? out.nodeid : 0;
}

int fsd_forget(struct front_raw *r, unsigned int queue, uint64_t nodeid, uint64_t n)
{
	const struct fsd_rq rq = { FUSE_FORGET, nodeid, { FSD_BODY(forget, .nlookup = n) }, 0 };

	return fsd_wait(r, queue, fsd_post(r, queue, &rq, 0), NULL, 0);
}

uint64_t fsd_open(struct front_raw *r, unsigned int queue, uint32_t opcode, uint64_t nodeid,
		  int flags)
{
	const struct fsd_rq rq = {
		opcode, nodeid, { FSD_BODY(open, .flags = (uint32_t)flags) }, 0
	};
	struct fuse_open_out out = { 0 };

	return fsd_call(r, queue, &rq, &out, sizeof(out)) == sizeof(out) ? out.fh : 0;
}
