/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: long ones, odd ones, and paths at their limits. */
#include <limits.h>
#include "tests/posix/posix.h"

static void say_name(const char *what, const char *name)
{
	with("%s of %zu bytes, hash %llx", what, strlen(name),
	     (unsigned long long)hash(name, strlen(name)));
}

static void each_call(const char *name)
{
	char text[16];
	struct stat st;

	make_file("source", "x");
	T(stat(name, &st));
	close(FD(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)));
	T(unlink(name));
	T(mkdir(name, 0755));
	T(rmdir(name));
	T(symlink("x", name));
	T(readlink(name, text, sizeof(text)));
	T(unlink(name));
	T(mkfifo(name, 0600));
	T(unlink(name));
	T(link("source", name));
	T(unlink(name));
	T(rename("source", name));
	T(rename(name, "source"));
	T(chmod(name, 0600));
	with("%s", "");
	show_names(".");
}

static void lengths(void)
{
	static const size_t sizes[] = { 1, 2, 100, 254, 255, 256, 300, 4000 };
	static char name[4096];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(name, 'x', sizes[i]);
		name[sizes[i]] = 0;
		say_name("name", name);
		each_call(name);
	}
}

static void odd_bytes(void)
{
	static const char *const names[] = {
		" ",	  "a b",	  "new\nline",	  "\n",	     "tab\t",	 "\x01",
		"\x7f",	  "\xff",	  "\xff\xfe\xfd", "bad\xc3", "\xc3\xa9", "e\xcc\x81",
		"back\\", "*?[",	  "...",	  "..x",     ".x",	 "-",
		"~",	  "\xe2\x80\xae", "COM1",	  "a:b",     "'\"`$",	 "\xed\xa0\x80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		say_name("odd", names[i]);
		each_call(names[i]);
	}
}

static void all_bytes(void)
{
	char name[3] = "";
	int made = 0, found = 0;
	struct stat st;

	for (int i = 1; i < 256; i++) {
		name[0] = 'b';
		name[1] = (char)i;
		if (i != '/')
			made += close(creat(name, 0600)) == 0;
	}
	for (int i = 1; i < 256; i++) {
		name[1] = (char)i;
		found += i != '/' && stat(name, &st) == 0;
	}
	say("made %d, found %d", made, found);
	show_names(".");
}

static void case_matters(void)
{
	make_file("Name", "1");
	make_file("name", "22");
	make_file("NAME", "333");
	show_names(".");
	show_content("name");
	show_content("Name");
}

static void paths(void)
{
	static char path[2 * PATH_MAX];
	struct stat st;

	make_dir("d", 0755);
	make_file("d/f", "x");
	for (size_t n = PATH_MAX - 3; n < PATH_MAX + 3; n++) {
		memset(path, '/', n);
		memcpy(path, "d", 1);
		memcpy(path + n - 1, "f", 2);
		with("%zu bytes", n);
		T(stat(path, &st));
		FD(open(path, O_RDONLY));
	}
	with("%s", "");
	T(stat("d//f", &st));
	T(stat("d/./f", &st));
	T(stat("d/../d/f", &st));
	T(stat("d/f/", &st));
	T(stat("d/f/.", &st));
	T(stat("d/f/..", &st));
	T(stat("d/missing/..", &st));
	T(stat("./././d/", &st));
	T(stat("", &st));
	T(mkdir("new/", 0755));
	T(mkdir("new2/.", 0755));
	T(mkdir("new/..", 0755));
	T(rmdir("new/"));
	FD(open("x/", O_CREAT | O_WRONLY, 0644));
	T(symlink("a", "y/"));
	T(mkfifo("z/", 0600));
	T(link("d/f", "w/"));
	T(unlink("d/f/"));
	show_names(".");
}

/* Names that mean something to others, not to a file system. */
static void escapes(void)
{
	struct stat here, up;

	MUST(stat(".", &here));
	MUST(mkdir("d", 0755));
	MUST(symlink("/", "d/root"));
	MUST(symlink("../../../../../../../..", "d/up"));
	MUST(symlink("/proc/self/cwd", "d/magic"));
	T(stat("d/root/proc/self", &up)); /* the guest's own */
	T(stat("d/magic/d", &up));
	T(stat("d/../d/..", &up));
	say("back here %d", up.st_ino == here.st_ino);
	T(readlink("d/up", (char[64]){ 0 }, 64));
	MUST(stat("d/root", &up));
	T(mkdir("d/root/proc/x", 0755));
}

static const struct posix_case name_cases[] = {
	POSIX_CASE(lengths),	  POSIX_CASE(odd_bytes), POSIX_CASE(all_bytes),
	POSIX_CASE(case_matters), POSIX_CASE(paths),	 POSIX_CASE(escapes),
};

POSIX_GROUP(name);
