/* SPDX-License-Identifier: BSD-2-Clause */
/* fs/stats.c, fs/report.c: what is counted is what is told, and clocks are for who looks. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/control.h"
#include "cmd/stat_window.h"
#include "fs/dax.h"
#include "fs/dispatch.h"
#include "fs/fs.h"
#include "fs/report.h"
#include "fs/req.h"
#include "host/fd.h"
#include "tests/lib/check.h"

/* CLOCK_MONOTONIC, as the linker gives it to fs/. */
static uint64_t now_ns = 1000 * NS_PER_S;
static unsigned clock_reads;

uint64_t __wrap_clock_ns(void);
uint64_t __wrap_clock_ns(void)
{
	clock_reads++;
	return now_ns;
}

/* The table of opcodes is the dispatcher's, which is not here. */
const char *fs_op_name(uint32_t opcode)
{
	static char long_name[STATS_OPCODES][32];

	switch (opcode) {
	case 0:
	case 63:
		return NULL;
	case FUSE_LOOKUP:
		return "LOOKUP";
	case FUSE_FORGET:
		return "FORGET";
	case FUSE_READ:
		return "READ";
	default:
		snprintf(long_name[opcode], sizeof(long_name[0]), "AS_LONG_AS_ANY_NAME_%u", opcode);
		return long_name[opcode];
	}
}

/* The window is fs/dax.c's, which is not here either. */
static struct dax_stats window;
static unsigned window_asked;

void dax_stats(struct fs *fs, struct dax_stats *out)
{
	(void)fs;
	window_asked++;
	*out = window;
}

static char text[CONTROL_ANSWER_MAX];

struct world {
	struct fs_config cfg;
	struct fs_sandbox box;
	struct fs fs;
	struct fs_queue queues[3];
	struct mount mount[2];
	uint32_t ring[10];
};

static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->cfg.rlimit_nofile = 1000000;
	w->box.proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(w->box.proc_self_fd >= 0);
	w->fs.cfg = &w->cfg;
	w->fs.box = &w->box;
	w->fs.ops.num_queues = ARRAY_SIZE(w->queues);
	for (unsigned q = 0; q < ARRAY_SIZE(w->queues); q++)
		w->fs.queues[q] = &w->queues[q];
	REQUIRE(!pthread_mutex_init(&w->fs.mounts.lock, NULL));
	REQUIRE(!pthread_mutex_init(&w->fs.inodes.fds.lock, NULL));
	w->fs.inodes.fds.max = 100;
	w->fs.inodes.fds.cap = ARRAY_SIZE(w->ring);
	w->fs.inodes.fds.ring = w->ring;
	return w;
}

static void free_world(struct world *w)
{
	for (unsigned q = 0; q < ARRAY_SIZE(w->queues); q++)
		stats_free(&w->queues[q].stats);
	pthread_mutex_destroy(&w->fs.inodes.fds.lock);
	pthread_mutex_destroy(&w->fs.mounts.lock);
	close(w->box.proc_self_fd);
	free(w);
}

/* Asks. The text stays until the next question. */
static void ask(struct world *w, size_t len)
{
	struct lines l = { .buf = text, .len = len };

	REQUIRE(len < sizeof(text));
	fs_report(&w->fs, &l);
	text[l.used] = '\0';
}

/* What follows "key " in a line of its own, up to the end of that line; or NULL. */
static const char *value_of(const char *key)
{
	static char value[DAX_CELLS_MAX + 64];
	size_t len = strlen(key);

	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		if (!strncmp(p, key, len) && p[len] == ' ') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + len + 1, "\n"),
				 p + len + 1);
			return value;
		}
	return NULL;
}

static long long number(const char *key)
{
	const char *v = value_of(key);

	return v ? atoll(v) : -1;
}

/* A request of so many ns from pop to push. */
static void request(struct world *w, unsigned q, uint32_t opcode, uint64_t ns, int err)
{
	struct queue_stats *s = &w->queues[q].stats;
	uint64_t started;

	stats_popped(s);
	started = stats_begin(s);
	now_ns += ns;
	stats_end(s, opcode, started, err);
}

static void test_counts(void)
{
	struct world *w = new_world();

	request(w, 1, FUSE_LOOKUP, 1000, 0);
	request(w, 2, FUSE_LOOKUP, 1000, -ENOENT);
	request(w, 0, FUSE_FORGET, 1000, 0);
	request(w, 2, 63, 1000, -ENOSYS);	  /* no opcode of ours */
	request(w, 2, UINT32_MAX, 1000, -ENOSYS); /* nor of anybody */
	stats_popped(&w->queues[2].stats);
	stats_popped(&w->queues[2].stats);
	stats_popped(&w->queues[2].stats);
	stats_dropped(&w->queues[2].stats);
	w->fs.mounts.m[0] = &w->mount[0];
	w->fs.mounts.m[1] = &w->mount[1];
	w->fs.mounts.n = 2;
	w->mount[1].refs = 5;
	w->fs.inodes.fds.ring[3] = 7;
	w->fs.inodes.fds.ring[4] = 8;
	w->fs.inodes.fds.pinned = 3;
	w->fs.inodes.count = 12;
	w->fs.handles.count = 4;
	w->fs.locks.n_waiters = 2;
	w->fs.session.ready = true;
	ask(w, sizeof(text) - 1);

	CHECK_EQ("LOOKUP", number("requests.LOOKUP"), 2);
	CHECK_EQ("LOOKUP", number("errors.LOOKUP"), 1);
	CHECK_EQ("FORGET", number("requests.FORGET"), 1);
	CHECK_EQ("FORGET", number("errors.FORGET"), 0);
	CHECK_EQ("unknown ones", number("requests.OTHER"), 2);
	CHECK_EQ("unknown ones", number("errors.OTHER"), 2);
	CHECK_NAMED("what never came", !value_of("requests.READ"));
	CHECK_NAMED("nobody has looked", !value_of("latency.LOOKUP"));
	CHECK_EQ("queue", number("queue_popped.2"), 6);
	CHECK_EQ("queue", number("queue_answered.2"), 3);
	CHECK_EQ("queue", number("queue_dropped.2"), 1);
	CHECK_EQ("queue", number("queue_depth.2"), 2);
	CHECK_EQ("queue", number("queue_depth.1"), 0);
	CHECK_NAMED("queue", !value_of("queue_depth.3"));
	CHECK_EQ("mounts", number("mounts"), 1);
	CHECK_EQ("cached", number("inode_fds_cached"), 2);
	CHECK_EQ("pinned", number("inode_fds_pinned"), 3);
	CHECK_EQ("max", number("inode_fds_max"), 100);
	CHECK_EQ("inodes", number("inodes"), 12);
	CHECK_EQ("handles", number("handles"), 4);
	CHECK_EQ("parked", number("locks_parked"), 2);
	CHECK_EQ("session", number("session"), 1);
	CHECK_EQ("limit", number("open_fds_max"), 1000000);
	CHECK_EQ("time", number("time_ns"), (long long)now_ns);
	free_world(w);
}

/* Linux before 6.2 does not tell; then there is no line, and none that is wrong. */
static void test_open_fds(void)
{
	struct world *w = new_world();
	long long before, after;
	int fd;

	ask(w, sizeof(text) - 1);
	before = number("open_fds");
	fd = dup(0);
	ask(w, sizeof(text) - 1);
	after = number("open_fds");
	CHECK_EQ("one more", after, before < 0 ? -1 : before + 1);
	close(fd);
	free_world(w);
}

/* No request looks at the clock before somebody asks, and some time after that. */
static void test_watching(void)
{
	struct world *w = new_world();

	clock_reads = 0;
	request(w, 1, FUSE_READ, 1000, 0);
	CHECK_EQ("nobody looks", clock_reads, 0);
	ask(w, sizeof(text) - 1);
	clock_reads = 0;
	request(w, 1, FUSE_READ, 250, 0);
	CHECK_EQ("begin and end", clock_reads, 2);
	request(w, 2, FUSE_READ, 256, 0);
	request(w, 2, FUSE_READ, 257, 0);
	request(w, 1, FUSE_READ, 3ull * NS_PER_S, 0);
	ask(w, sizeof(text) - 1);
	CHECK_NAMED("two, one, and one that has no bound",
		    value_of("latency.READ") && !strncmp(value_of("latency.READ"), "2 1 0 ", 6));
	CHECK_EQ("sum", number("latency_sum_ns.READ"), 250 + 256 + 257 + 3000000000ll);
	CHECK_EQ("all", number("requests.READ"), 5);

	now_ns += 4ull * NS_PER_S;
	ask(w, sizeof(text) - 1); /* goes on from here */
	now_ns += 4ull * NS_PER_S;
	clock_reads = 0;
	request(w, 1, FUSE_READ, 10, 0);
	CHECK_EQ("still", clock_reads, 2);
	now_ns += 5ull * NS_PER_S;
	request(w, 1, FUSE_READ, 10, 0); /* finds out */
	clock_reads = 0;
	request(w, 1, FUSE_READ, 10, 0);
	CHECK_EQ("nobody looks any more", clock_reads, 0);
	ask(w, sizeof(text) - 1);
	CHECK_NAMED("one more was measured",
		    value_of("latency.READ") && !strncmp(value_of("latency.READ"), "3 1 0 ", 6));
	CHECK_EQ("all", number("requests.READ"), 8);
	free_world(w);
}

/* The bounds that are told are those that are used: a latency on a bound counts below it. */
static void test_bounds(void)
{
	struct world *w = new_world();
	uint64_t last = 0;
	unsigned n = 0;
	char bounds[4096], *p, *end;

	ask(w, sizeof(text) - 1);
	REQUIRE(value_of("latency_bounds_ns"));
	snprintf(bounds, sizeof(bounds), "%s", value_of("latency_bounds_ns"));
	for (p = bounds; *p; p = end + (*end == ' ')) {
		uint64_t bound = strtoull(p, &end, 10);

		CHECK_EQ("bound", bound, stats_bucket_ns(n));
		CHECK_NAMED("grows", bound > last);
		request(w, 0, FUSE_READ, bound, 0);
		CHECK_EQ("in it", w->queues[0].stats.latency->n[FUSE_READ][n], 1);
		last = bound;
		n++;
		ask(w, 64); /* or nobody would look any more */
	}
	CHECK_EQ("all but the last have one", n, STATS_BUCKETS - 1);
	free_world(w);
}

/* As large as it can be: each number is another one, each cell too. */
static void fill_window(uint64_t first)
{
	uint64_t *n = &window.window;

	for (size_t i = 0; i < offsetof(struct dax_stats, cells) / sizeof(*n); i++)
		n[i] = first + i;
	for (size_t i = 0; i < DAX_CELLS_MAX; i++)
		window.cells[i] = ".carwp"[i % 6];
	window.cells[DAX_CELLS_MAX] = '\0';
}

static void test_window(void)
{
	struct world *w = new_world();

	fill_window(1000);
	ask(w, sizeof(text) - 1);
	CHECK_NAMED("none", !strstr(text, "window") && !window_asked);
	w->cfg.dax_window = 4096;
	ask(w, sizeof(text) - 1);
	CHECK_EQ("bytes", number("window.bytes"), window.window);
	CHECK_EQ("cell", number("window.cell"), window.cell);
	CHECK_EQ("setups", number("window.setups"), window.setups);
	CHECK_EQ("removals", number("window.removals"), window.removals);
	CHECK_EQ("hits", number("window.hits"), window.hits);
	CHECK_EQ("maps", number("window.maps"), window.maps);
	CHECK_EQ("unmaps", number("window.unmaps"), window.unmaps);
	CHECK_EQ("refused", number("window.refused"), window.refused);
	CHECK_EQ("ahead", number("window.ahead"), window.ahead);
	CHECK_EQ("ahead, used", number("window.ahead_hits"), window.ahead_hits);
	CHECK_EQ("mappings", number("window.mappings"), window.mappings);
	CHECK_EQ("owned mappings", number("window.owned_mappings"), window.owned_mappings);
	CHECK_EQ("owned", number("window.owned"), window.owned);
	CHECK_EQ("copies", number("window.copies"), window.copies);
	CHECK_EQ("files", number("window.files"), window.files);
	CHECK_EQ("granted files", number("window.granted_files"), window.granted_files);
	CHECK_EQ("granted", number("window.granted"), window.granted);
	CHECK_NAMED("cells", !strcmp(value_of("window.cells"), window.cells));
	window.window = 0;
	ask(w, sizeof(text) - 1);
	CHECK_NAMED("refused", !strstr(text, "window"));
	free_world(w);
}

/* What the daemon tells is what vdax stat knows: nothing is left out on either side. */
static void test_window_is_read(void)
{
	struct world *w = new_world();
	struct stat_answer *a = calloc(1, sizeof(*a));
	struct stat_window got;
	uint64_t sum = 0, want = 0;

	REQUIRE(a);
	fill_window(1ull << 50);
	w->cfg.dax_window = 4096;
	ask(w, sizeof(text) - 1);
	CHECK_EQ("parsed", stat_answer_parse(a, strdup(text)), 0);
	CHECK_NAMED("a window", stat_window_of(&got, a));
	for (unsigned i = 0; i < STAT_WINDOW_NUMBERS; i++) {
		sum += got.n[i];
		want += (1ull << 50) + i;
	}
	CHECK_EQ("all numbers", sum, want);
	CHECK_EQ("bytes", got.n[STAT_WINDOW_BYTES], window.window);
	CHECK_EQ("granted", got.n[STAT_WINDOW_GRANTED], window.granted);
	CHECK_EQ("all cells", got.n_cells, DAX_CELLS_MAX);
	CHECK_NAMED("the same", !strcmp(got.cells, window.cells));
	for (size_t i = 0; i < 6; i++)
		CHECK_NAMED("a letter it knows", stat_cell_of(window.cells[i]) == i);
	stat_answer_free(a);
	free(a);
	free_world(w);
}

/* The largest answer there can be fits into what cmd/control.c has room for. */
static void test_largest(void)
{
	struct world *w = new_world();

	ask(w, 64);
	for (unsigned op = 0; op < STATS_OPCODES; op++) {
		struct queue_stats *s = &w->queues[0].stats;

		s->ops[op].count = s->ops[op].errors = UINT64_MAX / STATS_OPCODES;
		s->latency->sum_ns[op] = UINT64_MAX / STATS_OPCODES;
		for (unsigned b = 0; b < STATS_BUCKETS; b++)
			s->latency->n[op][b] = UINT64_MAX / STATS_OPCODES;
	}
	fill_window(UINT64_MAX - 100);
	w->cfg.dax_window = 4096;
	ask(w, CONTROL_ANSWER_MAX - 1024);
	CHECK_NAMED("to its end", value_of("latency.OTHER"));
	CHECK_NAMED("with the picture", value_of("window.cells"));
	for (size_t len = 0; len < 4096; len += 11) { /* without room: whole lines */
		ask(w, len);
		CHECK_NAMED("a line's end", !*text || text[strlen(text) - 1] == '\n');
	}
	free_world(w);
}

int main(void)
{
	test_counts();
	test_open_fds();
	test_watching();
	test_bounds();
	test_window();
	test_window_is_read();
	test_largest();
	return check_done();
}
