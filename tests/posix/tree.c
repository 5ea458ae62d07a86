/* SPDX-License-Identifier: BSD-2-Clause */
/* Directories, links and symbolic links, and taking them away. */
#include <sys/syscall.h>
#include "tests/posix/posix.h"

static const char *const kinds[] = { "missing", "file",	    "empty",   "full",	    "to_file",
				     "to_dir",	"dangling", "loop",    "fifo",	    "empty/",
				     "file/",	"to_dir/",  "empty/.", "full/..",   ".",
				     "..",	"",	    "file/x",  "missing/x", "dangling/" };

static void make_kinds(void)
{
	make_file("file", "content");
	make_dir("empty", 0755);
	make_dir("full", 0755);
	make_file("full/f", "x");
	MUST(symlink("file", "to_file"));
	MUST(symlink("empty", "to_dir"));
	MUST(symlink("nowhere", "dangling"));
	MUST(symlink("loop", "loop"));
	MUST(mkfifo("fifo", 0600));
}

static int do_mkdir(const char *path)
{
	return mkdir(path, 0750);
}

static int do_rmdir_at(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static int do_link_to(const char *path)
{
	return link("source", path);
}

static int do_link_from(const char *path)
{
	return link(path, "target");
}

static int do_link_follow(const char *path)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, "target", AT_SYMLINK_FOLLOW);
}

static int do_symlink(const char *path)
{
	return symlink("some/where", path);
}

static int do_fifo(const char *path)
{
	return mkfifo(path, 0600);
}

static int do_readlink(const char *path)
{
	char text[100];

	return (int)readlink(path, text, sizeof(text));
}

static int do_truncate(const char *path)
{
	return truncate(path, 3);
}

static const struct {
	const char *name;
	int (*call)(const char *path);
} calls[] = {
	{ "mkdir", do_mkdir },
	{ "rmdir", rmdir },
	{ "unlink", unlink },
	{ "unlinkat_rmdir", do_rmdir_at },
	{ "remove", remove },
	{ "link_to", do_link_to },
	{ "link_from", do_link_from },
	{ "link_follow", do_link_follow },
	{ "symlink", do_symlink },
	{ "mkfifo", do_fifo },
	{ "readlink", do_readlink },
	{ "truncate", do_truncate },
	{ "chdir", chdir },
};

/* Each call on each kind of thing, each time with fresh ones. */
static void matrix(void)
{
	char name[64];
	int here = open(".", O_RDONLY);

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			MUST(fchdir(here));
			snprintf(name, sizeof(name), "%s-%zu", calls[i].name, k);
			make_dir(name, 0755);
			MUST(chdir(name));
			make_kinds();
			make_file("source", "source");
			with("%s of '%s'", calls[i].name, kinds[k]);
			T(calls[i].call(kinds[k]));
			show_names(".");
			show_stat("source");
			show_stat("target");
			with("%s", "");
		}
}

static void link_counts(void)
{
	make_dir("d", 0755);
	show_stat("d");
	T(mkdir("d/a", 0755));
	T(mkdir("d/b", 0755));
	show_stat("d");
	T(rmdir("d/a"));
	show_stat("d");
	T(rename("d/b", "b"));
	show_stat("d");
	show_stat(".");
	make_file("f", "x");
	for (int i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "l%d", i);
		MUST(link("f", name));
	}
	show_stat("f");
	T(unlink("l3"));
	T(unlink("f"));
	show_stat("l0");
	show_stat("l3");
}

static void links_are_one_file(void)
{
	struct stat a, b;

	make_file("a", "old");
	MUST(link("a", "b"));
	make_file("b", "new content");
	show_content("a");
	MUST(chmod("a", 0600));
	show_stat("b");
	a = look("a");
	b = look("b");
	say("same inode %d, same times %s", a.st_ino == b.st_ino, changed_times(&a, &b));
	T(link("a", "b"));
	T(link("a", "a"));
}

static void times_of_directories(void)
{
	struct stat before;

	make_dir("d", 0755);
#define LOOK(call)                                                 \
	do {                                                       \
		struct stat now;                                   \
		before = look("d");                                \
		tick();                                            \
		T(call);                                           \
		now = look("d");                                   \
		say("d changed %s", changed_times(&before, &now)); \
	} while (0)
	LOOK(mkdir("d/sub", 0755));
	LOOK(mkdir("d/sub", 0755)); /* fails */
	LOOK(mkdir("d/sub/deeper", 0755));
	LOOK(symlink("x", "d/l"));
	LOOK(link("d/l", "d/l2"));
	LOOK(rename("d/l2", "d/l3"));
	LOOK(rename("d/l3", "l4"));
	LOOK(unlink("d/l"));
	LOOK(rmdir("d/sub")); /* fails */
	LOOK(mkfifo("d/p", 0600));
	LOOK(close(creat("d/f", 0600)));
	LOOK(close(creat("d/f", 0600))); /* there already */
	LOOK(chmod("d", 0700));
	LOOK(chown("d", 1, 1));
#undef LOOK
}

static void long_targets(void)
{
	static const size_t lengths[] = { 1,   2,    59,   60,	 61,   100,  255,
					  256, 1000, 4000, 4094, 4095, 4096, 5000 };
	static char target[5001], back[5001];

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(target, 'a' + (int)i, lengths[i]);
		target[lengths[i]] = 0;
		with("%zu bytes", lengths[i]);
		if (T(symlink(target, "l")) == 0) {
			memset(back, 0, sizeof(back));
			T(readlink("l", back, sizeof(back)));
			say("equal %d", !strcmp(target, back));
			T(readlink("l", back, 1));
			T(readlink("l", back, 0));
			show_stat("l");
			MUST(unlink("l"));
		}
	}
	with("%s", "");
	T(symlink("", "l"));
	T(symlink("odd\n\xff target", "odd"));
	T(readlink("odd", back, 100));
	say("hash %llx", (unsigned long long)hash(back, 13));
}

static void chains_of_links(void)
{
	char name[16], target[16];
	struct stat st;

	make_file("l0", "end");
	for (int i = 1; i <= 45; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		MUST(symlink(target, name));
	}
	T(stat("l1", &st));
	T(stat("l39", &st));
	T(stat("l40", &st));
	T(stat("l41", &st));
	FD(open("l45", O_RDONLY));
	show_content("l30");
}

static void working_directory_removed(void)
{
	char path[4096];

	make_dir("d", 0755);
	MUST(chdir("d"));
	T(rmdir("../d"));
	T(mkdir("x", 0755));
	FD(open("x", O_CREAT | O_RDWR, 0644));
	T(symlink("a", "b"));
	FD(open(".", O_RDONLY));
	show_names(".");
	T(access("..", F_OK));
	errno = 0;
	say("getcwd %s", getcwd(path, sizeof(path)) ? "works" : strerrorname_np(errno));
	show_stat(".");
	T(rmdir("."));
}

static void deep(void)
{
	int depth = 0, here = open(".", O_RDONLY);

	while (depth < 200 && mkdir("deeper", 0755) == 0 && chdir("deeper") == 0)
		depth++;
	say("depth %d", depth);
	make_file("bottom", "here");
	show_content("bottom");
	MUST(fchdir(here));
	T(rename("deeper", "top"));
	T(rmdir("top"));
}

static void mode_of_links(void)
{
	make_file("f", "x");
	MUST(symlink("f", "l"));
	T(fchmodat(AT_FDCWD, "l", 0600, 0));
	show_stat("f");
	show_stat("l");
	T(syscall(452 /* fchmodat2 */, AT_FDCWD, "l", 0604, AT_SYMLINK_NOFOLLOW));
	T(syscall(452, AT_FDCWD, "f", 0604, AT_SYMLINK_NOFOLLOW));
	T(lchown("l", 3, 4));
	show_stat("f");
	show_stat("l");
	T(chown("l", 5, 6));
	show_stat("f");
	show_stat("l");
}

static const struct posix_case tree_cases[] = {
	POSIX_CASE(matrix),
	POSIX_CASE(link_counts),
	POSIX_CASE(links_are_one_file),
	POSIX_CASE(times_of_directories),
	POSIX_CASE(long_targets),
	POSIX_CASE(chains_of_links),
	POSIX_CASE(working_directory_removed),
	POSIX_CASE(deep),
	POSIX_CASE(mode_of_links),
};

POSIX_GROUP(tree);
