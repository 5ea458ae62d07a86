/* SPDX-License-Identifier: BSD-2-Clause */
/* rename() and renameat2(): everything onto everything, with every flag. */
#include <sys/syscall.h>
#include "tests/posix/posix.h"

#define NOREPLACE 1u
#define EXCHANGE  2u
#define WHITEOUT  4u

static const char *const kinds[] = { "missing", "file", "other", "empty",  "full",
				     "link",	"fifo", "hard",	 "empty/", "full/in" };

static const struct {
	const char *name;
	unsigned flags;
} modes[] = {
	{ "plain", 0 },
	{ "NOREPLACE", NOREPLACE },
	{ "EXCHANGE", EXCHANGE },
	{ "WHITEOUT", WHITEOUT },
	{ "NOREPLACE|WHITEOUT", NOREPLACE | WHITEOUT },
	{ "NOREPLACE|EXCHANGE", NOREPLACE | EXCHANGE },
	{ "unknown", 64 },
};

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void make_kinds(void)
{
	make_file("file", "file");
	make_file("other", "other one");
	MUST(link("file", "hard"));
	make_dir("empty", 0755);
	make_dir("full", 0755);
	make_file("full/in", "inside");
	MUST(symlink("file", "link"));
	MUST(mkfifo("fifo", 0600));
}

static void matrix(void)
{
	char name[64];
	int here = open(".", O_RDONLY), n = 0;

	for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
				MUST(fchdir(here));
				snprintf(name, sizeof(name), "%d", n++);
				make_dir(name, 0755);
				MUST(chdir(name));
				make_kinds();
				with("%s %s to %s", modes[m].name, kinds[i], kinds[k]);
				if (T(rename2(kinds[i], kinds[k], modes[m].flags)) == 0) {
					show_names(".");
					show_names("full");
					show_stat("file");
					show_stat(kinds[k]);
				}
				with("%s", "");
			}
}

static void awkward(void)
{
	make_dir("d", 0755);
	make_dir("d/e", 0755);
	make_file("f", "x");
	T(rename("d", "d/e/d"));
	T(rename("d", "d/e"));
	T(rename("d/e", "d"));
	T(rename2("d", "d/e", EXCHANGE));
	T(rename("d", "."));
	T(rename(".", "x"));
	T(rename("..", "x"));
	T(rename("d/.", "x"));
	T(rename("d", "d/.."));
	T(rename("", "x"));
	T(rename("f", ""));
	T(rename("f", "new/"));
	T(rename("f/", "new"));
	T(rename("d", "new/"));
	T(rename("new", "f/x"));
	T(rename("f", "f"));
	T(rename("new", "new"));
	show_names(".");
	show_names("new");
}

static void dotdot_follows(void)
{
	struct stat st, parent;

	make_dir("a", 0755);
	make_dir("b", 0755);
	make_dir("a/d", 0755);
	MUST(chdir("a/d"));
	T(rename("../d", "../../b/d"));
	MUST(stat("..", &st));
	MUST(stat("../../b", &parent));
	say(".. is the new parent: %d", st.st_ino == parent.st_ino);
	make_file("made", "after the move");
	MUST(chdir("../.."));
	show_names("b/d");
	show_stat("a");
	show_stat("b");
}

static void onto_open_files(void)
{
	int from, to;

	make_file("from", "from");
	make_file("to", "to, and longer");
	from = open("from", O_RDWR);
	to = open("to", O_RDWR);
	T(rename("from", "to"));
	show_fd_content("from", from);
	show_fd_content("to", to);
	show_fstat("from", from);
	show_fstat("to", to);
	T(pwrite(to, "gone", 4, 0));
	T(pwrite(from, "HERE", 4, 0));
	T(fchmod(to, 0600));
	T(ftruncate(to, 2));
	show_fd_content("to", to);
	show_content("to");
	show_names(".");
}

static void exchange_open(void)
{
	int a, b;

	make_file("a", "aaa");
	make_dir("b", 0755);
	make_file("b/in", "in b");
	a = open("a", O_RDWR);
	b = open("b/in", O_RDWR);
	if (rename2("a", "b", EXCHANGE) < 0 && errno == EINVAL)
		skip("no RENAME_EXCHANGE");
	show_stat("a");
	show_stat("b");
	show_content("a/in");
	T(pwrite(a, "X", 1, 1));
	T(pwrite(b, "Y", 1, 1));
	show_content("b");
	show_content("a/in");
	T(rename2("a", "a/in", EXCHANGE));
	T(rename2("a/in", "b", EXCHANGE));
	show_content("b");
}

static void times(void)
{
	struct stat f, d, now;

	make_dir("d", 0755);
	make_dir("e", 0755);
	make_file("d/f", "x");
	f = look("d/f");
	d = look("d");
	tick();
	T(rename("d/f", "e/f"));
	now = look("e/f");
	say("file changed %s", changed_times(&f, &now));
	now = look("d");
	say("old parent changed %s", changed_times(&d, &now));
	now = look("e");
	say("parents equal but for %s", *changed_times(&d, &now) ? "times" : "nothing");
}

static void whiteout(void)
{
	make_file("f", "x");
	make_file("g", "y");
	if (rename2("f", "new", WHITEOUT) < 0 && errno == EINVAL)
		skip("no RENAME_WHITEOUT");
	show_stat("f");
	show_stat("new");
	T(rename2("new", "g", WHITEOUT));
	show_names(".");
	as_user(1000, 1000, NULL);
	T(rename2("g", "h", WHITEOUT));
	as_root();
	MUST(chmod(".", 0777));
	MUST(chown("g", 1000, 1000));
	as_user(1000, 1000, NULL);
	T(rename2("g", "h", WHITEOUT));
	as_root();
	show_stat("g");
	show_stat("h");
	show_names(".");
}

static void across(void)
{
	make_file("f", "x");
	T(rename("f", "/proc/f"));
	T(link("f", "/proc/f"));
	T(rename("/proc/version", "f"));
	T(rename("f", "/dev/null/f"));
	show_names(".");
}

static const struct posix_case rename_cases[] = {
	POSIX_CASE(matrix),	     POSIX_CASE(awkward),	POSIX_CASE(dotdot_follows),
	POSIX_CASE(onto_open_files), POSIX_CASE(exchange_open), POSIX_CASE(times),
	POSIX_CASE(whiteout),	     POSIX_CASE(across),
};

POSIX_GROUP(rename);
