/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that are open and have no name any more, or another one. */
#include <sys/mman.h>
#include "tests/posix/posix.h"

static void unlinked(void)
{
	char c;
	int fd;

	make_file("f", "content");
	fd = open("f", O_RDWR);
	T(unlink("f"));
	show_fstat("f", fd);
	show_fd_content("f", fd);
	T(pwrite(fd, "more content", 12, 7));
	T(ftruncate(fd, 15));
	T(fchmod(fd, 0600));
	T(fchown(fd, 12, 13));
	T(futimens(fd, (struct timespec[2]){ { 5, 6 }, { 7, 8 } }));
	T(fsync(fd));
	T(fallocate(fd, 0, 0, 100));
	T(lseek(fd, 0, SEEK_END));
	T(write(fd, "end", 3));
	show_fstat("f", fd);
	show_fd_content("f", fd);
	T(linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH)); /* never again */
	make_file("f", "another");
	show_fd_content("f", fd);
	show_content("f");
	T(pread(fd, &c, 1, 0));
	close(fd);
	show_names(".");
}

static void only_last_name(void)
{
	int fd;

	make_file("a", "content");
	MUST(link("a", "b"));
	fd = open("a", O_RDWR);
	T(unlink("a"));
	show_fstat("a", fd);
	T(linkat(fd, "", AT_FDCWD, "c", AT_EMPTY_PATH));
	T(unlink("b"));
	T(unlink("c"));
	show_fstat("a", fd);
	T(linkat(fd, "", AT_FDCWD, "d", AT_EMPTY_PATH));
}

static void many(void)
{
	int fds[200];
	char name[16], text[16];
	int wrong = 0;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, name);
		fds[i] = open(name, O_RDWR);
		MUST(unlink(name));
	}
	for (int i = 0; i < 200; i++) {
		ssize_t n;

		snprintf(name, sizeof(name), "f%d", i);
		n = pread(fds[i], text, sizeof(text), 0);
		wrong += n != (ssize_t)strlen(name) || memcmp(text, name, (size_t)n);
	}
	say("%d wrong", wrong);
	show_names(".");
}

static void directory(void)
{
	int d;

	make_dir("d", 0755);
	make_file("d/f", "x");
	d = open("d", O_RDONLY);
	T(rmdir("d"));
	T(unlinkat(d, "f", 0));
	T(rmdir("d"));
	show_fstat("d", d);
	FD(openat(d, "new", O_CREAT | O_RDWR, 0600));
	T(mkdirat(d, "sub", 0755));
	T(linkat(AT_FDCWD, "nothing", d, "x", 0));
	T(symlinkat("x", d, "l"));
	FD(openat(d, ".", O_RDONLY));
	T(fchmod(d, 0700));
	T(fchdir(d));
}

static void recreated(void)
{
	int old[20];

	for (int i = 0; i < 20; i++) {
		char text[8];

		snprintf(text, sizeof(text), "v%d", i);
		make_file("f", text);
		old[i] = open("f", O_RDONLY);
		if (i % 2)
			MUST(unlink("f"));
		else
			MUST(rename("f", "kept"));
	}
	for (int i = 0; i < 20; i++) {
		with("%d", i);
		show_fd_content("old", old[i]);
	}
	with("%s", "");
	show_names(".");
	show_content("kept");
}

static void replaced_many_times(void)
{
	int fd;

	make_file("f", "first");
	fd = open("f", O_RDONLY);
	for (int i = 0; i < 200; i++) {
		char text[16];

		snprintf(text, sizeof(text), "number %d", i);
		make_file("tmp", text);
		MUST(rename("tmp", "f"));
		if (i % 40 == 0)
			show_content("f");
	}
	show_fd_content("first", fd);
	show_names(".");
}

static void hold_it(void *arg)
{
	int fd = open("f", O_RDWR);

	(void)arg;
	MUST(unlink("f"));
	T(pwrite(fd, "child", 5, 0));
	show_fd_content("child's", fd);
}

static void between_processes(void)
{
	int fd;

	make_file("f", "content");
	fd = open("f", O_RDWR);
	say("child %d", in_child(hold_it, NULL));
	show_fd_content("parent's", fd);
	show_fstat("parent's", fd);
}

static void moved_away(void)
{
	int fd, d;

	make_dir("d", 0755);
	make_dir("e", 0755);
	make_file("d/f", "content");
	d = open("d", O_RDONLY);
	fd = open("d/f", O_RDWR);
	T(rename("d", "e/d2"));
	make_dir("d", 0700);
	T(pwrite(fd, "X", 1, 0));
	close(FD(openat(d, "new", O_CREAT | O_RDWR, 0600)));
	show_names("e/d2");
	show_names("d");
	show_content("e/d2/f");
	T(fchmod(d, 0750));
	show_stat("e/d2");
}

static void unlinked_mapped(void)
{
	char *p;
	int fd;

	make_big("f", 50000, 3);
	fd = open("f", O_RDWR);
	p = mmap(NULL, 50000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		skip("no shared mappings");
	close(fd);
	MUST(unlink("f"));
	memset(p + 4000, 'm', 9000);
	T(msync(p, 50000, MS_SYNC));
	T(madvise(p, 50000, MADV_DONTNEED));
	say("hash %016llx", (unsigned long long)hash(p, 50000));
}

static const struct posix_case hold_cases[] = {
	POSIX_CASE(unlinked),	       POSIX_CASE(only_last_name), POSIX_CASE(many),
	POSIX_CASE(directory),	       POSIX_CASE(recreated),	   POSIX_CASE(replaced_many_times),
	POSIX_CASE(between_processes), POSIX_CASE(moved_away),	   POSIX_CASE(unlinked_mapped),
};

POSIX_GROUP(hold);
