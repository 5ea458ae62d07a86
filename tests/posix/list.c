/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading directories. The order is the file system's own, so names are sorted or only counted. */
#include <dirent.h>
#include <sys/syscall.h>
#include "tests/posix/posix.h"

#define MANY 3000

/* Every name once? seen[] counts what is called nN. */
static unsigned char seen[MANY];

static bool note(const char *name)
{
	char *end;
	long n;

	if (*name != 'n')
		return false;
	n = strtol(name + 1, &end, 10);
	if (*end || n < 0 || n >= MANY)
		return false;
	seen[n]++;
	return true;
}

static void say_seen(const char *what)
{
	int once = 0, often = 0;

	for (int i = 0; i < MANY; i++) {
		once += seen[i] == 1;
		often += seen[i] > 1;
	}
	say("%s: %d once, %d more often", what, once, often);
	memset(seen, 0, sizeof(seen));
}

static void make_many(const char *dir, int n)
{
	char path[64];

	make_dir(dir, 0755);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/n%d", dir, i);
		close(creat(path, 0600));
	}
}

static void many(void)
{
	struct dirent *e;
	DIR *d;
	int n = 0;

	make_many("d", MANY);
	d = opendir("d");
	while ((e = readdir(d)))
		n += !note(e->d_name);
	say("%d others", n);
	say_seen("first");
	rewinddir(d);
	while ((e = readdir(d)))
		note(e->d_name);
	say_seen("again");
}

static void types(void)
{
	make_file("file", "x");
	make_dir("dir", 0755);
	MUST(symlink("x", "link"));
	MUST(mkfifo("fifo", 0600));
	MUST(mknod("char", S_IFCHR | 0600, 0x103));
	MUST(mknod("block", S_IFBLK | 0600, 0x701));
	MUST(mknod("sock", S_IFSOCK | 0600, 0));
	make_file(".hidden", "");
	show_names(".");
	show_names("dir");
}

static void numbers_match(void)
{
	struct dirent *e;
	int wrong = 0, n = 0;
	DIR *d;

	make_many("d", 50);
	d = opendir("d");
	MUST(chdir("d"));
	while ((e = readdir(d))) {
		struct stat st = look(e->d_name);

		n++;
		wrong += strcmp(e->d_name, "..") && st.st_ino != e->d_ino;
	}
	say("%d names, %d with another inode number", n, wrong);
}

static void seek_and_tell(void)
{
	static char names[400][16];
	static long places[400];
	struct dirent *e;
	int n = 0, wrong = 0;
	DIR *d;

	make_many("d", 300);
	d = opendir("d");
	for (;;) {
		places[n] = telldir(d);
		e = readdir(d);
		if (!e)
			break;
		snprintf(names[n++], sizeof(names[0]), "%.15s", e->d_name);
	}
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(d, places[i]);
		e = readdir(d);
		wrong += !e || strcmp(e->d_name, names[i]) != 0;
	}
	seekdir(d, places[n]);
	say("%d names, %d wrong, end %d", n, wrong, readdir(d) == NULL);
	/* A place is good in another stream of the same directory, as the kernel's offsets are. */
	DIR *other = opendir("d");
	seekdir(other, places[100]);
	e = readdir(other);
	say("in another stream: %d", e && !strcmp(e->d_name, names[100]));
}

static void remove_while_reading(void)
{
	struct dirent *e;
	char path[300];
	int n = 0;
	DIR *d;

	make_many("d", 1000);
	d = opendir("d");
	while ((e = readdir(d)))
		if (note(e->d_name)) {
			snprintf(path, sizeof(path), "d/%s", e->d_name);
			MUST(unlink(path));
			n++;
		}
	closedir(d);
	say_seen("removed");
	show_names("d");
	T(rmdir("d"));
}

static void create_while_reading(void)
{
	struct dirent *e;
	char path[64];
	int k = 0;
	DIR *d;

	make_many("d", 500);
	d = opendir("d");
	while ((e = readdir(d)))
		if (note(e->d_name) && k < 400) {
			snprintf(path, sizeof(path), "d/added%d", k++);
			close(creat(path, 0600));
		}
	say_seen("those from before");
}

static void rename_while_reading(void)
{
	struct dirent *e;
	char from[300], to[300];
	int n = 0;
	DIR *d;

	make_many("d", 500);
	make_dir("e", 0755);
	d = opendir("d");
	while ((e = readdir(d)))
		if (note(e->d_name)) {
			snprintf(from, sizeof(from), "d/%s", e->d_name);
			snprintf(to, sizeof(to), "e/%s", e->d_name);
			MUST(rename(from, to));
			n++;
		}
	say_seen("moved");
	show_names("d");
	T(rmdir("d"));
}

static void removed_directory(void)
{
	DIR *d;

	make_many("d", 3);
	d = opendir("d");
	MUST(unlink("d/n0") | unlink("d/n1") | unlink("d/n2"));
	T(rmdir("d"));
	errno = 0;
	say("readdir %s", readdir(d) ? "gives a name" : strerrorname_np(errno));
	rewinddir(d);
	errno = 0;
	say("readdir %s", readdir(d) ? "gives a name" : strerrorname_np(errno));
}

static void changes_are_seen(void)
{
	DIR *d;
	struct dirent *e;
	int n = 0;

	make_many("d", 3);
	d = opendir("d");
	while (readdir(d))
		;
	make_file("d/n7", "");
	MUST(unlink("d/n0"));
	rewinddir(d);
	while ((e = readdir(d)))
		n += note(e->d_name);
	say("%d names", n);
	say_seen("now");
	show_names("d");
	MUST(rename("d", "e"));
	make_file("e/n8", "");
	rewinddir(d);
	while ((e = readdir(d)))
		note(e->d_name);
	say_seen("renamed");
}

static void raw_calls(void)
{
	char buffer[4096];
	int fd;

	make_many("d", 5);
	make_file("f", "x");
	fd = open("d", O_RDONLY);
	T(syscall(SYS_getdents64, fd, buffer, 0));
	T(syscall(SYS_getdents64, fd, buffer, 10));
	say("some %d", syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0);
	T(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
	T(syscall(SYS_getdents64, open("f", O_RDONLY), buffer, sizeof(buffer)));
	T(syscall(SYS_getdents64, open("d", O_PATH), buffer, sizeof(buffer)));
	T(lseek(fd, 0, SEEK_SET));
	say("again %d", syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0);
	T(lseek(fd, -1, SEEK_SET));
	T(syscall(SYS_getdents64, fd, nowhere(), sizeof(buffer)));
	int small = 0;
	T(lseek(fd, 0, SEEK_SET));
	while (syscall(SYS_getdents64, fd, buffer, 40) > 0)
		small++;
	say("%d small reads, then %s", small, strerrorname_np(errno));
}

static void long_names(void)
{
	char name[256];
	struct dirent *e;
	int n = 0;
	DIR *d;

	for (int i = 0; i < 200; i++) {
		memset(name, 'a' + i % 26, 255);
		snprintf(name, sizeof(name), "%03d", i);
		name[3] = '-';
		name[255] = 0;
		close(creat(name, 0600));
	}
	d = opendir(".");
	while ((e = readdir(d)))
		n += strlen(e->d_name) == 255;
	say("%d long names", n);
}

static const struct posix_case list_cases[] = {
	POSIX_CASE(many),
	POSIX_CASE(types),
	POSIX_CASE(numbers_match),
	POSIX_CASE(seek_and_tell),
	POSIX_CASE(remove_while_reading),
	POSIX_CASE(create_while_reading),
	POSIX_CASE(rename_while_reading),
	POSIX_CASE(removed_directory),
	POSIX_CASE(changes_are_seen),
	POSIX_CASE(raw_calls),
	POSIX_CASE(long_names),
};

POSIX_GROUP(list);
