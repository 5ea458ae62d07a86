/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as memory. */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include "tests/posix/posix.h"

#define PAGE 4096

static sigjmp_buf back;

static void on_bus(int number)
{
	siglongjmp(back, number);
}

/* Reads or writes one byte, and says which signal that gave. */
static void touch(const char *what, volatile char *p, bool write)
{
	int number;

	signal(SIGBUS, on_bus);
	signal(SIGSEGV, on_bus);
	number = sigsetjmp(back, 1);
	if (number)
		say("%s: signal %s", what, sigabbrev_np(number));
	else if (write)
		*p = 'T', say("%s: written", what);
	else
		say("%s: read %02x", what, (unsigned char)*p);
}

static char *map(int fd, size_t size, int prot, int flags)
{
	char *p = mmap(NULL, size, prot, flags, fd, 0);

	if (p == MAP_FAILED) {
		say("mmap: %s", strerrorname_np(errno));
		_exit(0);
	}
	return p;
}

static const struct {
	const char *name;
	int open_flags;
} ways[] = {
	{ "RDONLY", O_RDONLY }, { "WRONLY", O_WRONLY },		 { "RDWR", O_RDWR },
	{ "PATH", O_PATH },	{ "append", O_RDWR | O_APPEND },
};

static void permissions(void)
{
	static const int prots[] = { PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_EXEC,
				     PROT_NONE };

	make_big("f", 2 * PAGE, 1);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (size_t k = 0; k < ARRAY_SIZE(prots); k++)
			for (int flags = MAP_SHARED; flags <= MAP_SHARED_VALIDATE; flags++) {
				int fd = open("f", ways[i].open_flags);
				void *p = mmap(NULL, PAGE, prots[k], flags, fd, 0);

				say("%s prot %d flags %d: %s", ways[i].name, prots[k], flags,
				    p == MAP_FAILED ? strerrorname_np(errno) : "mapped");
				close(fd);
			}
	say("dir: %s", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open(".", O_RDONLY), 0) == MAP_FAILED
			       ? strerrorname_np(errno)
			       : "mapped");
	say("odd offset: %s",
	    mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open("f", O_RDONLY), 100) == MAP_FAILED
		    ? strerrorname_np(errno)
		    : "mapped");
}

static void shared(void)
{
	char *p, text[8] = "";
	int fd;

	make_big("f", 3 * PAGE + 100, 2);
	fd = open("f", O_RDWR);
	p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	say("hash %016llx", (unsigned long long)hash(p, 3 * PAGE + 100));
	memcpy(p + PAGE, "mapped", 6);
	T(pread(fd, text, 6, PAGE)); /* at once */
	say("read %s", text);
	T(pwrite(fd, "WRITTEN", 7, 2 * PAGE));
	say("sees %.7s", p + 2 * PAGE);
	p[3 * PAGE + 99] = 'E';
	p[3 * PAGE + 100] = 'X'; /* beyond the end: nowhere */
	T(msync(p, 4 * PAGE, MS_SYNC));
	T(msync(p, 4 * PAGE, MS_ASYNC));
	T(msync(p, 4 * PAGE, MS_ASYNC | MS_SYNC));
	T(msync(p + 1, PAGE, MS_SYNC));
	show_content("f");
	T(munmap(p, 4 * PAGE));
	T(msync(p, PAGE, MS_SYNC));
	show_content("f");
	show_stat("f");
}

static void private(void)
{
	char *p;
	int fd;

	make_big("f", 2 * PAGE, 3);
	fd = open("f", O_RDONLY);
	p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memcpy(p, "only here", 9);
	T(msync(p, PAGE, MS_SYNC));
	show_content("f");
	say("hash %016llx", (unsigned long long)hash(p, 2 * PAGE));
}

static void beyond_the_end(void)
{
	char *p;
	int fd;

	make_big("f", PAGE + 10, 4);
	fd = open("f", O_RDWR);
	p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	touch("last byte", p + PAGE + 9, false);
	touch("rest of the page", p + PAGE + 10, false);
	touch("next page", p + 2 * PAGE, false);
	touch("next page", p + 2 * PAGE, true);
	MUST(ftruncate(fd, 3 * PAGE));
	touch("grown", p + 2 * PAGE, true);
	MUST(ftruncate(fd, 100));
	touch("first page", p + 50, true);
	touch("after truncation", p + PAGE, false);
	touch("after truncation", p + 2 * PAGE, true);
	touch("beyond the end in the page", p + 200, true);
	MUST(ftruncate(fd, PAGE));
	touch("grown again", p + 200, false);
	show_content("f");
	fd = open("empty", O_RDWR | O_CREAT, 0644);
	touch("empty", map(fd, PAGE, PROT_READ, MAP_SHARED), false);
	touch("read-only", map(open("f", O_RDONLY), PAGE, PROT_READ, MAP_SHARED), true);
}

static void without_descriptor(void)
{
	char *p;
	int fd;

	make_big("f", 4 * PAGE, 5);
	fd = open("f", O_RDWR);
	p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	close(fd);
	p[10] = 'a';
	MUST(rename("f", "g"));
	p[PAGE] = 'b';
	MUST(unlink("g"));
	p[2 * PAGE] = 'c';
	say("hash %016llx", (unsigned long long)hash(p, 4 * PAGE));
	T(msync(p, 4 * PAGE, MS_SYNC));
	T(munmap(p, 4 * PAGE));
}

static void child_writes(void *p)
{
	strcpy((char *)p + 5, "from the child");
}

static void between_processes(void)
{
	char *p;
	int fd;

	make_big("f", PAGE, 6);
	fd = open("f", O_RDWR);
	p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	say("child %d", in_child(child_writes, p));
	say("sees %.14s", p + 5);
	show_content("f");
}

/* Memory of a file as the buffer for I/O on the same and another file. */
static void as_buffer(void)
{
	char *p;
	int a, b;

	make_big("a", 16 * PAGE, 7);
	make_big("b", 16 * PAGE, 8);
	a = open("a", O_RDWR);
	b = open("b", O_RDWR);
	p = map(a, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	T(pread(b, p + 100, 5 * PAGE, 50));
	T(pwrite(b, p, 9 * PAGE, 3 * PAGE + 1));
	T(pwrite(a, p, 4 * PAGE, 8 * PAGE));
	T(pread(a, p + 12 * PAGE, PAGE, 0));
	show_content("a");
	show_content("b");
}

static void random_stores(void)
{
	unsigned x = 5;
	char *p;
	int fd;

	make_big("f", 64 * PAGE, 9);
	fd = open("f", O_RDWR);
	p = map(fd, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (int i = 0; i < 2000; i++) {
		x = x * 1103515245u + 12345u;
		if (i % 3)
			p[(x >> 5) % (64 * PAGE)] = (char)i;
		else
			MUST(pwrite(fd, &x, 4, (x >> 5) % (64 * PAGE - 4)));
	}
	show_content("f");
	T(msync(p, 64 * PAGE, MS_SYNC));
	T(madvise(p, 64 * PAGE, MADV_DONTNEED));
	say("hash %016llx", (unsigned long long)hash(p, 64 * PAGE));
}

static void times(void)
{
	struct stat before, after;
	char *p;
	int fd;

	make_big("f", PAGE, 10);
	fd = open("f", O_RDWR);
	p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	before = look("f");
	tick();
	p[0] = 'x';
	T(msync(p, PAGE, MS_SYNC));
	after = look("f");
	say("mtime changed: %d", strchr(changed_times(&before, &after), 'm') != NULL);
}

static const struct posix_case map_cases[] = {
	POSIX_CASE(permissions),
	POSIX_CASE(shared),
	POSIX_CASE(private),
	POSIX_CASE(beyond_the_end),
	POSIX_CASE(without_descriptor),
	POSIX_CASE(between_processes),
	POSIX_CASE(as_buffer),
	POSIX_CASE(random_stores),
	POSIX_CASE(times),
};

POSIX_GROUP(map);
