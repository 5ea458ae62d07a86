/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing in all ways but by mapping. */
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "tests/posix/posix.h"

#define KIB 1024
#define MIB (1024 * 1024)

static char big[3 * MIB];

static void errors(void)
{
	char c = 0;
	int fd, dir = open(".", O_RDONLY);

	make_file("f", "content");
	fd = open("f", O_RDONLY);
	T(write(fd, "x", 1));
	T(pwrite(fd, "x", 1, 0));
	T(read(open("f", O_WRONLY), &c, 1));
	T(read(dir, &c, 1));
	T(pread(dir, &c, 1, 0));
	T(write(dir, &c, 1));
	FD(open(".", O_RDWR));
	T(read(fd, nowhere(), 100));
	T(write(open("f", O_RDWR), nowhere(), 100));
	T(read(fd, &c, 0));
	T(read(-1, &c, 1));
	T(write(open("f", O_WRONLY), NULL, 0));
	T(read(fd, &c, 1));
	show_content("f");
}

/* Every size around what fits into one request, at odd places. */
static void many_sizes(void)
{
	static const size_t sizes[] = { 1,     511,	4095,	 4096,		4097,	32768,
					65536, 65537,	131071,	 131072,	131073, 1000003,
					MIB,   MIB + 1, 2 * MIB, 2 * MIB + 4097 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (off_t at = 0; at < 10000; at = at * 3 + 1365) {
			int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);

			fill(big, sizes[i], (unsigned)i);
			with("%zu at %lld", sizes[i], (long long)at);
			T(pwrite(fd, big, sizes[i], at));
			memset(big, 0, sizes[i]);
			T(pread(fd, big, sizes[i], at));
			say("hash %016llx", (unsigned long long)hash(big, sizes[i]));
			T(pread(fd, big, 4096, at + (off_t)sizes[i] - 1));
			T(pread(fd, big, 4096, at + (off_t)sizes[i]));
			T(pread(fd, big, 4096, at + (off_t)sizes[i] + 5000));
			close(fd);
		}
	with("%s", "");
	show_content("f");
}

static void offsets(void)
{
	char text[16] = "";
	int fd = open("f", O_RDWR | O_CREAT, 0644), copy;

	T(write(fd, "0123456789", 10));
	T(lseek(fd, 0, SEEK_CUR));
	T(pread(fd, text, 3, 2));
	T(lseek(fd, 0, SEEK_CUR));
	copy = dup(fd);
	T(lseek(copy, 4, SEEK_SET));
	T(read(fd, text, 2));
	say("read %.2s", text);
	T(lseek(fd, 100, SEEK_END));
	T(read(fd, text, 2));
	T(write(fd, "Z", 1));
	show_fd_content("f", fd);
	T(lseek(fd, -112, SEEK_CUR));
	T(lseek(fd, -111, SEEK_END));
	T(read(fd, text, 2));
}

static void vectors(void)
{
	char a[3] = "", b[5] = "", c[7] = "";
	struct iovec out[] = { { (char *)(uintptr_t) "abc", 3 },
			       { NULL, 0 },
			       { (char *)(uintptr_t) "defgh", 5 } };
	struct iovec in[] = { { a, 2 }, { b, 4 }, { c, 6 } };
	static struct iovec many[IOV_MAX + 1];
	volatile int negative = -1;
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	T(writev(fd, out, 3));
	T(pwritev(fd, out, 3, 20));
	T(preadv(fd, in, 3, 1));
	say("%s %s %s", a, b, c);
	T(preadv(fd, in, 3, 100));
	T(writev(fd, out, negative));
	T(writev(fd, out, 0));
	for (int i = 0; i <= IOV_MAX; i++)
		many[i] = (struct iovec){ big + i * 1000, 1000 - (size_t)i % 7 };
	fill(big, sizeof(big), 9);
	T(writev(fd, many, IOV_MAX));
	T(writev(fd, many, IOV_MAX + 1));
	memset(big, 0, sizeof(big));
	T(preadv(fd, many, IOV_MAX, 8));
	say("hash %016llx", (unsigned long long)hash(big, (size_t)IOV_MAX * 1000));
	T(pwritev2(fd, out, 3, -1, RWF_APPEND));
	T(pwritev2(fd, out, 3, 5, RWF_APPEND | RWF_SYNC));
	T(pwritev2(fd, out, 3, 5, RWF_DSYNC));
	T(preadv2(fd, in, 3, 0, 0x40000000));
	show_fd_content("f", fd);
}

static void overlapping(void)
{
	int a = open("f", O_RDWR | O_CREAT, 0644), b = open("f", O_RDWR);
	unsigned x = 1;

	for (int i = 0; i < 400; i++) {
		size_t size;

		x = x * 1103515245u + 12345u;
		size = 1 + (x >> 8) % 30000;
		fill(big, size, (unsigned)i);
		MUST(pwrite(i & 1 ? a : b, big, size, (x >> 4) % 200000));
		if (i % 37 == 0)
			MUST(ftruncate(a, (x >> 6) % 150000));
		if (i % 16 == 0)
			show_fd_content("now", i & 1 ? b : a);
	}
	show_content("f");
	show_stat("f");
}

static void two_processes_write(void *fd)
{
	for (int i = 0; i < 200; i++)
		MUST(write(*(int *)fd, "0123456", 7));
}

static void append_by_processes(void)
{
	int fd = open("f", O_WRONLY | O_CREAT | O_APPEND, 0644);
	pid_t pid = fork();

	if (!pid) {
		two_processes_write(&fd);
		_exit(0);
	}
	two_processes_write(&fd);
	waitpid(pid, NULL, 0);
	show_content("f");
}

static void direct(void)
{
	static const struct {
		size_t at, size, memory;
	} ios[] = {
		{ 0, 4096, 0 },	   { 4096, 65536, 0 }, { 512, 4096, 0 }, { 1, 4096, 0 },
		{ 0, 4095, 0 },	   { 0, 4096, 1 },     { 0, 4096, 512 }, { 8192, MIB, 0 },
		{ 0, 2 * MIB, 0 }, { 0, 100, 0 },
	};
	char *buffer;
	int fd;

	make_big("f", 100000, 5);
	fd = open("f", O_RDWR | O_DIRECT);
	if (fd < 0 && errno == EINVAL)
		skip("no O_DIRECT");
	MUST(fd);
	if (posix_memalign((void **)&buffer, 4096, 3 * MIB))
		broken("memalign");
	for (size_t i = 0; i < ARRAY_SIZE(ios); i++) {
		with("at %zu size %zu memory +%zu", ios[i].at, ios[i].size, ios[i].memory);
		memset(buffer, 0, 2 * MIB + 4096);
		T(pread(fd, buffer + ios[i].memory, ios[i].size, (off_t)ios[i].at));
		say("hash %016llx", (unsigned long long)hash(buffer + ios[i].memory, 2 * MIB));
		fill(buffer, 2 * MIB + 4096, (unsigned)i);
		T(pwrite(fd, buffer + ios[i].memory, ios[i].size, (off_t)ios[i].at));
		show_content("f");
	}
	with("%s", "");
	T(pread(fd, buffer, 4096, 1 << 30));
	T(fcntl(fd, F_SETFL, 0));
	T(pread(fd, buffer, 100, 50));
}

static void direct_and_cached(void)
{
	char *buffer;
	int cached, d;

	make_big("f", 65536, 6);
	cached = open("f", O_RDWR);
	d = open("f", O_RDWR | O_DIRECT);
	if (d < 0)
		skip("no O_DIRECT");
	if (posix_memalign((void **)&buffer, 4096, 65536))
		broken("memalign");
	show_fd_content("cached", cached);
	memset(buffer, 'd', 4096);
	T(pwrite(d, buffer, 4096, 8192));
	show_fd_content("cached", cached);
	T(pwrite(cached, "cached", 6, 20000));
	T(pread(d, buffer, 65536, 0));
	say("hash %016llx", (unsigned long long)hash(buffer, 65536));
	T(pwrite(d, buffer, 4096, 65536)); /* grows it */
	show_stat("f");
	show_fd_content("cached", cached);
}

static void copies(void)
{
	off_t from, to;
	int a, b, read_only, appends;

	make_big("a", 200000, 8);
	make_file("b", "short");
	a = open("a", O_RDWR);
	b = open("b", O_RDWR);
	read_only = open("b", O_RDONLY);
	appends = open("b", O_WRONLY | O_APPEND);
#define COPY(i, at_i, o, at_o, size, flags)                                                    \
	do {                                                                                   \
		from = at_i;                                                                   \
		to = at_o;                                                                     \
		with("%lld to %lld size %zu", (long long)from, (long long)to, (size_t)(size)); \
		T(copy_file_range(i, &from, o, &to, size, flags));                             \
		say("offsets then %lld %lld", (long long)from, (long long)to);                 \
		with("%s", "");                                                                \
	} while (0)
	COPY(a, 0, b, 0, 100000, 0);
	show_content("b");
	COPY(a, 1001, b, 50003, 70001, 0);
	show_content("b");
	COPY(a, 199990, b, 5, 100, 0);
	COPY(a, 300000, b, 5, 100, 0);
	COPY(a, 0, b, 0, 0, 0);
	COPY(a, 0, b, 1000000, 10, 0);
	COPY(a, 0, b, 0, 10, 1);
	COPY(a, 0, read_only, 0, 10, 0);
	COPY(a, 0, appends, 0, 10, 0);
	COPY(a, 0, a, 100, 200, 0);
	COPY(a, 0, a, 100000, 50000, 0);
	COPY(a, -1, b, 0, 10, 0);
	COPY(a, 0, open(".", O_RDONLY), 0, 10, 0);
	COPY(open(".", O_RDONLY), 0, b, 0, 10, 0);
	COPY(a, 0, b, INT64_MAX - 5, 10, 0);
#undef COPY
	MUST(lseek(a, 10, SEEK_SET));
	MUST(lseek(b, 20, SEEK_SET));
	T(copy_file_range(a, NULL, b, NULL, 30, 0));
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(b, 0, SEEK_CUR));
	show_content("a");
	show_content("b");
}

static void other_copies(void)
{
	off_t at = 100;
	int a, b, p[2];

	make_big("a", 300000, 10);
	a = open("a", O_RDWR);
	b = open("b", O_RDWR | O_CREAT, 0644);
	T(sendfile(b, a, &at, 150000));
	T(sendfile(b, a, NULL, 10));
	T(sendfile(a, open("b", O_WRONLY), NULL, 10));
	show_content("b");
	MUST(pipe(p));
	T(splice(a, &(loff_t){ 5000 }, p[1], NULL, 30000, 0));
	T(splice(p[0], NULL, b, &(loff_t){ 7 }, 30000, 0));
	show_content("b");
	T(readahead(a, 0, 100000));
	T(posix_fadvise(a, 0, 0, POSIX_FADV_DONTNEED));
	T(posix_fadvise(a, 0, 0, 77));
	show_content("a");
	T(sync_file_range(b, 0, 1000, 7));
}

static void syncs(void)
{
	int f, d = open(".", O_RDONLY), p[2];

	make_file("f", "x");
	f = open("f", O_RDWR);
	T(fsync(f));
	T(fdatasync(f));
	T(fsync(d));
	T(fdatasync(d));
	T(syncfs(f));
	T(syncfs(d));
	T(fsync(open("f", O_RDONLY)));
	T(fsync(open("f", O_PATH)));
	T(fsync(-1));
	MUST(pipe(p));
	T(fsync(p[0]));
	T(unlink("f"));
	T(pwrite(f, "gone", 4, 0));
	T(fsync(f));
	T(mkdir("d", 0755));
	d = open("d", O_RDONLY);
	T(rmdir("d"));
	T(fsync(d));
	sync();
}

static void times_of_data(void)
{
	struct stat before, after;
	char c;
	int fd;

	make_file("f", "content");
	fd = open("f", O_RDWR);
	before = look("f");
	tick();
	T(pwrite(fd, "X", 1, 0));
	after = look("f");
	say("write changed %s", changed_times(&before, &after));
	tick();
	T(pwrite(fd, "X", 0, 0));
	before = after;
	after = look("f");
	say("write of nothing changed %s", changed_times(&before, &after));
	tick();
	T(pread(fd, &c, 1, 0));
	before = after;
	after = look("f");
	say("read, ctime and mtime changed: %d",
	    strpbrk(changed_times(&before, &after), "mc") != NULL);
}

static const struct posix_case data_cases[] = {
	POSIX_CASE(errors),	 POSIX_CASE(many_sizes),
	POSIX_CASE(offsets),	 POSIX_CASE(vectors),
	POSIX_CASE(overlapping), POSIX_CASE(append_by_processes),
	POSIX_CASE(direct),	 POSIX_CASE(direct_and_cached),
	POSIX_CASE(copies),	 POSIX_CASE(other_copies),
	POSIX_CASE(syncs),	 POSIX_CASE(times_of_data),
};

POSIX_GROUP(data);
