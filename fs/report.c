/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each number is read by itself while the queues go on, so numbers of one answer may differ by what
 * was under way. Nothing in it comes from the guest but counts: opcodes have our names.
 */
#include "fs/report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "fs/dax.h"
#include "fs/dispatch.h"
#include "fs/fs.h"
#include "fs/req.h"
#include "fs/seccomp.h"
#include "host/fd.h"

/* After the last question. A watcher asks at least every two seconds. */
#define WATCH_NS (5ull * NS_PER_S)

/* One opcode, over all queues. */
struct op_sum {
	uint64_t count, errors, sum_ns;
	uint64_t n[STATS_BUCKETS];
};

static uint64_t load(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static void add_op(struct op_sum *sum, const struct queue_stats *s, unsigned opcode)
{
	const struct stats_latency *l = s->latency;

	sum->count += load(&s->ops[opcode].count);
	sum->errors += load(&s->ops[opcode].errors);
	if (!l)
		return;
	sum->sum_ns += load(&l->sum_ns[opcode]);
	for (unsigned b = 0; b < STATS_BUCKETS; b++)
		sum->n[b] += load(&l->n[opcode][b]);
}

/* The buckets up to the last one that has anything. */
static void report_buckets(struct lines *l, const char *name, const struct op_sum *sum)
{
	char text[STATS_BUCKETS * 21 + 1] = "";
	unsigned end = STATS_BUCKETS;
	size_t used = 0;

	while (end && !sum->n[end - 1])
		end--;
	if (!end)
		return;
	for (unsigned b = 0; b < end; b++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %" PRIu64, sum->n[b]);
	lines_add(l, "latency_sum_ns.%s %" PRIu64, name, sum->sum_ns);
	lines_add(l, "latency.%s%s", name, text);
}

static void report_op(struct lines *l, const char *name, const struct op_sum *sum)
{
	if (!sum->count)
		return;
	lines_add(l, "requests.%s %" PRIu64, name, sum->count);
	lines_add(l, "errors.%s %" PRIu64, name, sum->errors);
	report_buckets(l, name, sum);
}

static void report_ops(const struct fs *fs, struct lines *l)
{
	char text[STATS_BUCKETS * 21 + 1] = "";
	struct op_sum other = { 0 }; /* opcodes that we have no name for */
	size_t used = 0;

	for (unsigned b = 0; b < STATS_BUCKETS - 1; b++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %" PRIu64,
					 stats_bucket_ns(b));
	lines_add(l, "latency_bounds_ns%s", text);
	for (unsigned op = 0; op < STATS_OPCODES; op++) {
		const char *name = fs_op_name(op);
		struct op_sum own = { 0 };

		for (unsigned q = 0; q < fs->ops.num_queues; q++)
			add_op(name ? &own : &other, &fs->queues[q]->stats, op);
		if (name)
			report_op(l, name, &own);
	}
	report_op(l, "OTHER", &other);
}

struct queue_counts {
	uint64_t popped, answered, dropped;
};

static const struct {
	const char *key;
	size_t offset;
} queue_keys[] = {
	{ "queue_popped", offsetof(struct queue_counts, popped) },
	{ "queue_answered", offsetof(struct queue_counts, answered) },
	{ "queue_dropped", offsetof(struct queue_counts, dropped) },
};

static void report_queues(const struct fs *fs, struct lines *l)
{
	struct queue_counts c[FS_MAX_QUEUES];

	for (unsigned q = 0; q < fs->ops.num_queues; q++) {
		const struct queue_stats *s = &fs->queues[q]->stats;

		/* In this order, so that no more is done than was begun. */
		c[q].answered = atomic_load(&s->answered);
		c[q].dropped = atomic_load(&s->dropped);
		c[q].popped = atomic_load(&s->popped);
	}
	for (size_t k = 0; k < ARRAY_SIZE(queue_keys); k++)
		for (unsigned q = 0; q < fs->ops.num_queues; q++) {
			uint64_t value;

			memcpy(&value, (const char *)&c[q] + queue_keys[k].offset, sizeof(value));
			lines_add(l, "%s.%u %" PRIu64, queue_keys[k].key, q, value);
		}
	for (unsigned q = 0; q < fs->ops.num_queues; q++) {
		uint64_t done = c[q].answered + c[q].dropped;

		lines_add(l, "queue_depth.%u %" PRIu64, q, c[q].popped - MIN(c[q].popped, done));
	}
}

static uint64_t count_mounts(struct fs *fs)
{
	struct mount_table *t = &fs->mounts;
	uint64_t n = 0;

	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->n; i++)
		n += t->m[i] && t->m[i]->refs;
	pthread_mutex_unlock(&t->lock);
	return n;
}

static uint64_t count_cached(struct fs *fs)
{
	struct inode_fds *f = &fs->inodes.fds;
	uint64_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < f->cap; i++)
		n += f->ring[i] != 0;
	pthread_mutex_unlock(&f->lock);
	return n;
}

const int fs_report_syscalls[] = { SCMP_SYS(statx), SYSCALLS_END };

/* All that the process has open: the size of /proc/self/fd, since Linux 6.2; 0 before. */
static uint64_t count_open(const struct fs *fs)
{
	struct statx st;

	if (statx(fs->box->proc_self_fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) < 0)
		return 0;
	return st.stx_size;
}

static void report_tables(struct fs *fs, struct lines *l)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "time_ns", clock_ns() },
		{ "session", fs->session.ready },
		{ "byte_swapped", fs->session.swapped },
		{ "inodes", fs->inodes.count },
		{ "handles", fs->handles.count },
		{ "mounts", count_mounts(fs) },
		{ "inode_fds_cached", count_cached(fs) },
		{ "inode_fds_pinned", fs->inodes.fds.pinned },
		{ "inode_fds_max", fs->inodes.fds.max },
		{ "open_fds_max", fs->cfg->rlimit_nofile },
		{ "locks_parked", fs->locks.n_waiters },
	};
	uint64_t open_fds = count_open(fs);

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		lines_add(l, "%s %" PRIu64, numbers[i].key, numbers[i].value);
	if (open_fds)
		lines_add(l, "open_fds %" PRIu64, open_fds);
}

/* In the order of the structure. */
static const struct {
	const char *key;
	size_t offset;
} window_keys[] = {
#define NUMBER(member)                                      \
	{                                                   \
#member, offsetof(struct dax_stats, member) \
	}
	{ "bytes", offsetof(struct dax_stats, window) },
	NUMBER(cell),
	NUMBER(setups),
	NUMBER(removals),
	NUMBER(hits),
	NUMBER(maps),
	NUMBER(unmaps),
	NUMBER(refused),
	NUMBER(ahead),
	NUMBER(ahead_hits),
	NUMBER(mappings),
	NUMBER(owned_mappings),
	NUMBER(owned),
	NUMBER(copies),
	NUMBER(files),
	NUMBER(granted_files),
	NUMBER(granted),
#undef NUMBER
};
_Static_assert(ARRAY_SIZE(window_keys) == offsetof(struct dax_stats, cells) / sizeof(uint64_t),
	       "all of them");

static void report_window(struct fs *fs, struct lines *l)
{
	struct dax_stats s = { 0 };

	if (!fs->cfg->dax_window)
		return;
	dax_stats(fs, &s);
	if (!s.window) /* asked for, and not to be had */
		return;
	for (size_t i = 0; i < ARRAY_SIZE(window_keys); i++) {
		uint64_t value;

		memcpy(&value, (const char *)&s + window_keys[i].offset, sizeof(value));
		lines_add(l, "window.%s %" PRIu64, window_keys[i].key, value);
	}
	if (*s.cells)
		lines_add(l, "window.cells %s", s.cells);
}

void fs_report(struct fs *fs, struct lines *l)
{
	uint64_t until = clock_ns() + WATCH_NS;

	for (unsigned q = 0; q < fs->ops.num_queues; q++)
		stats_watch(&fs->queues[q]->stats, until);
	report_tables(fs, l);
	report_window(fs, l);
	report_queues(fs, l);
	report_ops(fs, l);
}
