/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front/maps against a model, and front/shmem as QEMU 11.1.3 is: the test is the back end, at the
 * other ends of both channels.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "front/ram.h"
#include "front/shmem.h"
#include "host/fd.h"
#include "tests/lib/check.h"

#define BIT(name) ((uint64_t)1 << VHOST_USER_PROTOCOL_F_##name)
#define PAGE	  4096u
#define WINDOW	  MIB(16)

/* --- The tree --- */

static struct front_mapping *make(uint64_t at, uint64_t len)
{
	struct front_mapping *m = calloc(1, sizeof(*m));

	REQUIRE(m);
	m->at = at;
	m->len = len;
	m->fd = -1;
	return m;
}

#define SLOTS 256u

/* What a mapping in each slot of 16 bytes should be. */
struct model {
	struct front_maps s;
	struct {
		bool there, listed;
		unsigned len;
	} slot[SLOTS];
};

static void compare(struct model *o)
{
	const struct front_mapping *m = front_maps_from(&o->s, 0), *first = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		if (!o->slot[i].there)
			continue;
		n++;
		REQUIRE(m && m->at == i * 16 && m->len == o->slot[i].len);
		CHECK_EQ("listed", m->listed, o->slot[i].listed);
		if (!first && !m->listed)
			first = m;
		m = front_maps_from(&o->s, m->at + m->len);
	}
	CHECK_NAMED("no more", !m);
	CHECK_EQ("how many", o->s.n, n);
	CHECK_NAMED("first that is not listed", front_maps_unlisted(&o->s) == first);
}

static void change(struct model *o, unsigned i, unsigned what)
{
	struct front_mapping *m = front_maps_find(&o->s, i * 16 + what % 16, 1);
	unsigned len = 1 + what % 16;

	CHECK_EQ("found", m != NULL, o->slot[i].there && what % 16 < o->slot[i].len);
	if (!o->slot[i].there) {
		front_maps_add(&o->s, make(i * 16, len));
		o->slot[i].there = true;
		o->slot[i].listed = false;
		o->slot[i].len = len;
	} else if (m && what & 64) {
		front_maps_list(&o->s, m, what & 128);
		o->slot[i].listed = what & 128;
	} else if (m) {
		front_maps_remove(&o->s, m);
		o->slot[i].there = false;
	}
}

static void test_tree(void)
{
	struct model o = { .s = { 0 } };
	unsigned gone = 0, listed = 0, seed = 1;
	struct front_mapping *m;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned slot, what;

		seed = seed * 1103515245u + 12345u;
		slot = seed >> 8 & (SLOTS - 1);
		what = seed >> 16 & 0xff;
		m = front_maps_from(&o.s, slot * 16);
		listed += m && m->at == slot * 16 && m->listed && what % 16 < m->len &&
			  !(what & 64);
		change(&o, slot, what);
		if (i % 16 == 0)
			compare(&o);
	}
	CHECK_NAMED("overlap from before", front_maps_from(&o.s, 0));
	m = front_maps_from(&o.s, 0);
	CHECK_NAMED("a range that ends in it", front_maps_find(&o.s, 0, m->at + 1) == m);
	CHECK_NAMED("one that ends before it", !m->at || !front_maps_find(&o.s, 0, m->at));
	while ((m = front_maps_take_gone(&o.s))) {
		gone++;
		free(m);
	}
	CHECK_NAMED("some were listed", listed > 100);
	CHECK_EQ("those that are gone and were listed", gone, listed);
	while ((m = front_maps_from(&o.s, 0))) {
		m->listed = false;
		front_maps_remove(&o.s, m);
	}
}

/* --- The back end: the main channel is answered by a thread --- */

static struct {
	struct front f;
	int main, channel; /* our ends */
	pthread_t thread;
	int file;
	char path[64];
	/* The thread's; read while no request is under way. */
	bool refuse;
	unsigned requests[64]; /* by number */
	uint64_t gpa[64];      /* of the last one of that number */
} t;

static void *serve_main(void *arg)
{
	struct front_msg m;

	(void)arg;
	while (!front_sock_recv(t.main, &m, 60000)) {
		t.requests[m.hdr.request % 64]++;
		t.gpa[m.hdr.request % 64] = m.p.reg.region.gpa;
		front_msg_close(&m);
		if (m.hdr.request == VHOST_USER_GET_SHMEM_CONFIG) {
			m.p.shmem = (struct vhost_user_shmem_config){ .nregions = 1,
								      .sizes = { WINDOW } };
			m.hdr.size = sizeof(m.p.shmem);
		} else {
			m.p.u64 = t.refuse;
			m.hdr.size = sizeof(m.p.u64);
		}
		m.hdr.flags = VHOST_USER_VERSION | VHOST_USER_F_REPLY;
		m.nfds = 0;
		front_sock_send(t.main, &m);
	}
	return NULL;
}

static void open_front(const struct front_opts *opts, uint64_t protocol)
{
	int a[2], b[2];

	memset(&t, 0, sizeof(t));
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a));
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b));
	t.f.opts = *opts;
	t.f.opts.timeout_ms = 5000;
	t.f.opts.ram_size = MIB(1);
	t.f.protocol = protocol;
	t.f.sock = a[0];
	t.main = a[1];
	t.f.backend = b[0];
	t.channel = b[1];
	t.f.ram_fd = -1;
	REQUIRE(!pthread_create(&t.thread, NULL, serve_main, NULL));
	REQUIRE(!front_ram_open(&t.f));
	REQUIRE(!front_shmem_config(&t.f));
	t.f.running = t.f.window_open = true;
	snprintf(t.path, sizeof(t.path), "/tmp/test-front-shmem-%d", (int)getpid());
	t.file = open(t.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(t.file >= 0 && !ftruncate(t.file, 16 * PAGE));
}

static void close_front(void)
{
	fd_close(&t.f.sock);
	pthread_join(t.thread, NULL);
	front_backend_close(&t.f);
	front_ram_close(&t.f);
	close(t.main);
	close(t.channel);
	close(t.file);
	unlink(t.path);
}

/* One request, which is answered; then what follows on the main channel. Returns the answer. */
static uint64_t ask(uint32_t request, const struct vhost_user_mmap *r, int fd)
{
	struct front_msg m = { .hdr = { request, VHOST_USER_VERSION | VHOST_USER_F_NEED_REPLY,
					sizeof(m.p.mmap) },
			       .fds = { fd },
			       .nfds = fd >= 0 };

	m.p.mmap = *r;
	REQUIRE(!front_sock_send(t.channel, &m));
	front_backend_serve(&t.f);
	REQUIRE(!front_sock_recv(t.channel, &m, 5000));
	CHECK_EQ("answer to", m.hdr.request, request);
	front_table_flush(&t.f);
	return m.p.u64;
}

static uint64_t map(uint64_t fd_offset, uint64_t shm_offset, uint64_t len)
{
	const struct vhost_user_mmap r = { .fd_offset = fd_offset,
					   .shm_offset = shm_offset,
					   .len = len,
					   .flags = VHOST_USER_SHMEM_RW };

	return ask(VHOST_USER_BACKEND_SHMEM_MAP, &r, t.file);
}

static uint64_t unmap(uint64_t shm_offset, uint64_t len)
{
	const struct vhost_user_mmap r = { .shm_offset = shm_offset, .len = len };

	return ask(VHOST_USER_BACKEND_SHMEM_UNMAP, &r, -1);
}

/* Could a guest load, or store, there? */
static bool can(uint64_t off, bool store)
{
	int null = open(store ? "/dev/zero" : "/dev/null", O_RDWR | O_CLOEXEC), pipes[2];
	ssize_t n = -1;

	REQUIRE(null >= 0 && !pipe(pipes)); /* /dev/null does not look at the memory */
	if (store)
		n = read(null, t.f.bar + off, 1);
	else
		n = write(pipes[1], t.f.bar + off, 1);
	close(null);
	close(pipes[0]);
	close(pipes[1]);
	return n == 1;
}

/* --- What can be mapped --- */

static const struct {
	const char *name;
	uint64_t size; /* of the file */
	struct vhost_user_mmap r;
	uint64_t answer, size_after;
} map_cases[] = {
	{ "whole file", 2 * PAGE, { .len = 2 * PAGE }, 0, 2 * PAGE },
	{ "its second page", 2 * PAGE, { .fd_offset = PAGE, .len = PAGE }, 0, 2 * PAGE },
	{ "beyond its end", 2 * PAGE, { .len = 3 * PAGE }, 1, 2 * PAGE },
	{ "behind its end", 2 * PAGE, { .fd_offset = 2 * PAGE, .len = PAGE }, 1, 2 * PAGE },
	{ "less than a page", PAGE, { .len = 100 }, 0, PAGE },
	{ "rounded up, so beyond its end", 5000, { .len = 5000 }, 1, 5000 },
	{ "last page that is whole", 5000, { .len = PAGE }, 0, 5000 },
	{ "offset and length wrap", PAGE, { .fd_offset = -(uint64_t)PAGE, .len = PAGE }, 1, PAGE },
	{ "an empty file grows", 0, { .len = 5000 }, 0, 2 * PAGE },
	{ "also before the offset", 0, { .fd_offset = PAGE, .len = PAGE }, 0, 2 * PAGE },
	{ "nothing", PAGE, { .len = 0 }, 1, PAGE },
	{ "odd offset", 2 * PAGE, { .fd_offset = 512, .len = PAGE }, 1, 2 * PAGE },
	{ "odd place", 2 * PAGE, { .shm_offset = 512, .len = PAGE }, 1, 2 * PAGE },
	{ "end of the region", PAGE, { .shm_offset = WINDOW - PAGE, .len = PAGE }, 0, PAGE },
	{ "behind it", 2 * PAGE, { .shm_offset = WINDOW - PAGE, .len = 2 * PAGE }, 1, 2 * PAGE },
	{ "no such region", PAGE, { .shmid = 1, .len = PAGE }, 1, PAGE },
};

static void test_map_cases(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(map_cases); i++) {
		const char *name = map_cases[i].name;
		struct stat st;

		open_front(&(struct front_opts){ 0 }, 0);
		REQUIRE(!ftruncate(t.file, (off_t)map_cases[i].size));
		CHECK_EQ(name, ask(VHOST_USER_BACKEND_SHMEM_MAP, &map_cases[i].r, t.file),
			 map_cases[i].answer);
		REQUIRE(!fstat(t.file, &st));
		CHECK_EQ(name, st.st_size, map_cases[i].size_after);
		CHECK_EQ(name, t.f.stats.grown, st.st_size != (off_t)map_cases[i].size);
		CHECK_EQ(name, t.f.stats.maps, !map_cases[i].answer);
		CHECK_EQ(name, t.f.stats.map_errors, map_cases[i].answer);
		CHECK_EQ(name, t.f.maps.n, !map_cases[i].answer);
		close_front();
	}
}

static void test_overlap(void)
{
	open_front(&(struct front_opts){ 0 }, 0);
	CHECK_EQ("first", map(0, 4 * PAGE, 4 * PAGE), 0);
	CHECK_EQ("the same again", map(0, 4 * PAGE, 4 * PAGE), 1);
	CHECK_EQ("a part of it", map(0, 5 * PAGE, PAGE), 1);
	CHECK_EQ("its begin", map(0, 3 * PAGE, 2 * PAGE), 1);
	CHECK_EQ("its end", map(0, 7 * PAGE, 2 * PAGE), 1);
	CHECK_EQ("all around", map(0, 0, 16 * PAGE), 1);
	CHECK_EQ("before", map(0, 3 * PAGE, PAGE), 0);
	CHECK_EQ("behind", map(0, 8 * PAGE, PAGE), 0);
	CHECK_EQ("a part is not removed", unmap(4 * PAGE, PAGE), 1);
	CHECK_EQ("nor two at once", unmap(3 * PAGE, 5 * PAGE), 1);
	CHECK_EQ("nor nothing", unmap(4 * PAGE, 0), 1);
	CHECK_EQ("nor what is not there", unmap(12 * PAGE, PAGE), 1);
	CHECK_EQ("nor what cannot be", unmap(-(uint64_t)PAGE, 2 * PAGE), 1);
	CHECK_EQ("one mapping is", unmap(4 * PAGE, 4 * PAGE), 0);
	CHECK_EQ("once", unmap(4 * PAGE, 4 * PAGE), 1);
	CHECK_EQ("maps", t.f.stats.maps, 3);
	CHECK_EQ("unmaps", t.f.stats.unmaps, 1);
	close_front();
}

static void test_stopped(void)
{
	open_front(&(struct front_opts){ 0 }, 0);
	t.f.window_open = false;
	CHECK_EQ("map", map(0, 0, PAGE), 1);
	CHECK_EQ("unmap", unmap(0, PAGE), 1);
	CHECK_EQ("each would have crashed QEMU", t.f.stats.violations, 2);
	close_front();
}

/* --- Options --- */

static const struct {
	const char *name;
	uint64_t rw;
	int flags; /* of the descriptor */
	bool enforce, accepted, writable;
} prot_cases[] = {
	{ "11.1.3 refuses O_RDONLY", 0, O_RDONLY, false, false, false },
	{ "whatever the flag says", VHOST_USER_SHMEM_RW, O_RDONLY, false, false, false },
	{ "11.1.3 ignores the flag", 0, O_RDWR, false, true, true },
	{ "one that knows read-only", 0, O_RDONLY, true, true, false },
	{ "but not for writing", VHOST_USER_SHMEM_RW, O_RDONLY, true, false, false },
	{ "and that looks at the file", 0, O_RDWR, true, true, true },
};

static void test_prot(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(prot_cases); i++) {
		const struct vhost_user_mmap r = { .len = PAGE, .flags = prot_cases[i].rw };
		const char *name = prot_cases[i].name;
		int fd;

		open_front(&(struct front_opts){ .enforce_read_only = prot_cases[i].enforce }, 0);
		fd = open(t.path, prot_cases[i].flags | O_CLOEXEC);
		REQUIRE(fd >= 0);
		CHECK_EQ(name, ask(VHOST_USER_BACKEND_SHMEM_MAP, &r, fd), !prot_cases[i].accepted);
		CHECK_EQ(name, can(0, false), prot_cases[i].accepted);
		CHECK_EQ(name, can(0, true), prot_cases[i].writable);
		close(fd);
		close_front();
	}
}

static void test_holes(void)
{
	for (int readable = 0; readable < 2; readable++) {
		const char *name = readable ? "readable" : "faulting";

		open_front(&(struct front_opts){ .holes_readable = readable }, 0);
		REQUIRE(pwrite(t.file, "file", 4, 0) == 4);
		CHECK_EQ(name, can(0, false), readable);
		CHECK_EQ(name, can(WINDOW - 1, true), readable);
		CHECK_EQ(name, map(0, 0, PAGE), 0);
		CHECK_NAMED(name, !memcmp(t.f.bar, "file", 4));
		CHECK_EQ(name, unmap(0, PAGE), 0);
		CHECK_EQ(name, can(0, false), readable);
		if (readable) {
			CHECK_EQ("no data of the file", t.f.bar[0], 0);
			memcpy(t.f.bar, "lost", 4);
			CHECK_EQ("map", map(0, 0, PAGE), 0);
			CHECK_NAMED("stores vanish", !memcmp(t.f.bar, "file", 4));
		}
		close_front();
	}
}

/* Owns the second page. */
static bool watch(void *ctx, uint8_t shmid, uint64_t shm_offset, uint64_t len)
{
	unsigned *calls = ctx;

	CHECK_EQ("region", shmid, 0);
	CHECK_EQ("still there", can(shm_offset, true), 1);
	(*calls)++;
	return shm_offset < 2 * PAGE && shm_offset + len > PAGE;
}

static void test_watch(void)
{
	unsigned calls = 0;

	open_front(&(struct front_opts){ 0 }, 0);
	t.f.watch = watch;
	t.f.watch_ctx = &calls;
	CHECK_EQ("map", map(0, 0, PAGE) + map(0, PAGE, PAGE) + map(0, 2 * PAGE, PAGE), 0);
	CHECK_EQ("refused", unmap(0, 2 * PAGE), 1);
	CHECK_EQ("so not asked", calls, 0);
	CHECK_EQ("unmap", unmap(0, PAGE) + unmap(2 * PAGE, PAGE), 0);
	CHECK_EQ("nobody's", t.f.stats.owned_violations, 0);
	CHECK_EQ("unmap", unmap(PAGE, PAGE), 0);
	CHECK_EQ("the guest's", t.f.stats.owned_violations, 1);
	CHECK_EQ("asked", calls, 3);
	front_drop_mappings(&t.f);
	CHECK_EQ("not at a reset", calls, 3);
	close_front();
}

/* --- The memory table --- */

/* Each change is followed by one attempt, for the first region that the back end has not. */
static void test_slots_refused(void)
{
	open_front(&(struct front_opts){ 0 }, BIT(REPLY_ACK) | BIT(CONFIGURE_MEM_SLOTS));
	CHECK_EQ("RAM", front_table_send(&t.f), 0);
	t.refuse = true;
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ("map", map(0, (40 - i) * PAGE, PAGE), 0);
		CHECK_EQ("attempts", t.requests[VHOST_USER_ADD_MEM_REG], i + 2);
		CHECK_EQ("of the first", t.gpa[VHOST_USER_ADD_MEM_REG],
			 FRONT_BAR_GPA + (40 - i) * PAGE);
	}
	CHECK_EQ("unmap", unmap(PAGE, PAGE), 0);
	CHECK_EQ("then the next", t.gpa[VHOST_USER_ADD_MEM_REG], FRONT_BAR_GPA + 2 * PAGE);
	CHECK_EQ("nothing to remove", t.requests[VHOST_USER_REM_MEM_REG], 0);
	CHECK_EQ("refused", t.f.stats.refused, 41);
	front_drop_mappings(&t.f);
	CHECK_EQ("a reset is survived", t.f.stats.violations, 0);
	close_front();
}

static void test_slots_accepted(void)
{
	open_front(&(struct front_opts){ 0 }, BIT(REPLY_ACK) | BIT(CONFIGURE_MEM_SLOTS));
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ("map", map(0, i * PAGE, PAGE), 0);
	CHECK_EQ("RAM and each", t.requests[VHOST_USER_ADD_MEM_REG], 41);
	CHECK_EQ("unmap", unmap(7 * PAGE, PAGE), 0);
	CHECK_EQ("removed", t.requests[VHOST_USER_REM_MEM_REG], 1);
	CHECK_EQ("that one", t.gpa[VHOST_USER_REM_MEM_REG], FRONT_BAR_GPA + 7 * PAGE);
	CHECK_EQ("nothing else", t.requests[VHOST_USER_ADD_MEM_REG], 41);
	front_drop_mappings(&t.f);
	CHECK_EQ("QEMU dies of a reset", t.f.stats.violations, 39);
	close_front();
}

/* QEMU aborts: it has room for 512 regions, and one is RAM. */
static void test_too_many(void)
{
	for (int slots = 0; slots < 2; slots++) {
		open_front(&(struct front_opts){ 0 },
			   BIT(REPLY_ACK) | (slots ? BIT(CONFIGURE_MEM_SLOTS) : 0));
		t.refuse = slots;
		t.f.ram_listed = true;
		for (unsigned i = 0; i < FRONT_MAX_REGIONS - 1; i++)
			CHECK_EQ("map", map(0, i * PAGE, PAGE), 0);
		CHECK_EQ("all that are possible", t.f.stats.violations, 0);
		CHECK_EQ("map", map(0, FRONT_MAX_REGIONS * PAGE, PAGE), 0);
		CHECK_EQ("one more", t.f.stats.violations, slots);
		CHECK_EQ("without slots", t.requests[VHOST_USER_SET_MEM_TABLE], slots ? 0 : 7);
		CHECK_EQ("then no room", t.f.stats.table_full, slots ? 0 : FRONT_MAX_REGIONS - 7);
		close_front();
	}
}

int main(void)
{
	test_tree();
	test_map_cases();
	test_overlap();
	test_stopped();
	test_prot();
	test_holes();
	test_watch();
	test_slots_refused();
	test_slots_accepted();
	test_too_many();
	return check_done();
}
