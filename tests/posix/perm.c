/* SPDX-License-Identifier: BSD-2-Clause */
/* What users may do who are not root: each operation under each mode of file and directory. */
#include <sys/syscall.h>
#include "tests/posix/posix.h"

static const struct {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t groups[3];
} callers[] = {
	{ "root", 0, 0, { 0 } },
	{ "owner", 1000, 1000, { 0 } },
	{ "group", 1001, 1000, { 0 } },
	{ "second group", 1001, 1001, { 1000, 0 } },
	{ "third group", 1001, 1001, { 1005, 1000, 0 } },
	{ "other", 1002, 1002, { 0 } },
	{ "uid 0, gid 5", 0, 5, { 0 } },
};

/* Owner, group and others are told apart. */
static const mode_t modes[] = {
	0777, 0700, 0070, 0007, 0770, 0077, 0500, 0300, 0100, 0604, 0040, 0
};

static int closed(int fd)
{
	return fd < 0 ? -1 : close(fd);
}

static int open_read(void)
{
	return closed(open("d/f", O_RDONLY));
}

static int open_write(void)
{
	return closed(open("d/f", O_WRONLY));
}

static int open_truncate(void)
{
	return closed(open("d/f", O_WRONLY | O_TRUNC));
}

static int open_create(void)
{
	return closed(open("d/new", O_WRONLY | O_CREAT, 0600));
}

static int open_noatime(void)
{
	return closed(open("d/f", O_RDONLY | O_NOATIME));
}

static int list(void)
{
	return closed(open("d", O_RDONLY | O_DIRECTORY));
}

static int enter(void)
{
	int here = open(".", O_RDONLY | O_DIRECTORY), ret = chdir("d"), error = errno;

	if (fchdir(here) < 0)
		broken("fchdir");
	close(here);
	errno = error;
	return ret;
}

static int stat_it(void)
{
	struct stat st;

	return stat("d/f", &st);
}

static int remove_it(void)
{
	return unlink("d/f");
}

static int make_dir_in(void)
{
	return mkdir("d/new_dir", 0755);
}

static int rename_in(void)
{
	return rename("d/f", "d/g");
}

static int rename_out(void)
{
	return rename("d/f", "open_dir/f");
}

static int rename_dir(void)
{
	return rename("d", "open_dir/d");
}

static int link_it(void)
{
	return link("d/f", "open_dir/linked");
}

static int link_here(void)
{
	return symlink("x", "d/l");
}

static int change_mode(void)
{
	return chmod("d/f", 0600);
}

static int change_group(void)
{
	return chown("d/f", (uid_t)-1, 1000);
}

static int cut(void)
{
	return truncate("d/f", 1);
}

static int touch_now(void)
{
	return utimensat(AT_FDCWD, "d/f", NULL, 0);
}

static int touch_then(void)
{
	struct timespec then[2] = { { 100, 0 }, { 200, 0 } };

	return utimensat(AT_FDCWD, "d/f", then, 0);
}

static int access_real(void)
{
	return access("d/f", R_OK);
}

static int access_read(void)
{
	return faccessat(AT_FDCWD, "d/f", R_OK, AT_EACCESS);
}

static int access_write(void)
{
	return faccessat(AT_FDCWD, "d/f", W_OK, AT_EACCESS);
}

static int access_run(void)
{
	return faccessat(AT_FDCWD, "d/f", X_OK, AT_EACCESS);
}

static int access_dir(void)
{
	return faccessat(AT_FDCWD, "d", R_OK | W_OK | X_OK, AT_EACCESS);
}

static const struct {
	const char *name;
	int (*call)(void);
	bool leaves;
} operations[] = {
	{ "stat", stat_it, true },
	{ "open to read", open_read, true },
	{ "open to write", open_write, true },
	{ "truncate at open", open_truncate, false },
	{ "noatime", open_noatime, true },
	{ "create", open_create, false },
	{ "list", list, true },
	{ "enter", enter, true },
	{ "access, real", access_real, true },
	{ "access r", access_read, true },
	{ "access w", access_write, true },
	{ "access x", access_run, true },
	{ "access to dir", access_dir, true },
	{ "unlink", remove_it, false },
	{ "mkdir", make_dir_in, false },
	{ "rename in", rename_in, false },
	{ "rename out", rename_out, false },
	{ "rename dir", rename_dir, false },
	{ "link", link_it, false },
	{ "symlink", link_here, false },
	{ "chmod", change_mode, false },
	{ "chgrp", change_group, false },
	{ "truncate", cut, false },
	{ "touch now", touch_now, false },
	{ "touch then", touch_then, false },
};

static void set_up(mode_t file, mode_t dir)
{
	make_dir("open_dir", 0777);
	make_dir("d", 0755);
	make_file("d/f", "content");
	MUST(chown("d/f", 1000, 1000));
	MUST(chmod("d/f", file));
	MUST(chown("d", 1000, 1000));
	MUST(chmod("d", dir));
}

static void take_down(void)
{
	static const char *const files[] = { "d/f",	     "d/g",	   "d/new",	     "d/l",
					     "open_dir/d/f", "open_dir/f", "open_dir/linked" };
	static const char *const dirs[] = { "d/new_dir", "d", "open_dir/d", "open_dir" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		rmdir(dirs[i]);
}

static void each_operation(size_t caller, mode_t file, mode_t dir)
{
	bool there = false;

	MUST(chmod(".", 0777));
	for (size_t k = 0; k < ARRAY_SIZE(operations); k++) {
		if (!there)
			set_up(file, dir);
		there = operations[k].leaves;
		as_user(callers[caller].uid, callers[caller].gid, callers[caller].groups);
		with("%s, file %04o, dir %04o", callers[caller].name, file, dir);
		errno = 0;
		show(operations[k].name, operations[k].call());
		as_root();
		if (!there)
			take_down();
	}
	with("%s", "");
	take_down();
}

static void modes_of_files(void)
{
	for (size_t c = 0; c < ARRAY_SIZE(callers); c++)
		for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
			each_operation(c, modes[i], 0777);
}

static void modes_of_directories(void)
{
	for (size_t c = 0; c < ARRAY_SIZE(callers); c++)
		for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
			each_operation(c, 0666, modes[i]);
}

static void sticky_directories(void)
{
	for (size_t c = 0; c < ARRAY_SIZE(callers); c++) {
		each_operation(c, 0666, 01777);
		each_operation(c, 0666, 01700);
	}
}

/* Files of others in a sticky directory of others. */
static void sticky_owners(void)
{
	static const uid_t uids[] = { 0, 1000, 1001, 1002 };

	for (size_t d = 0; d < ARRAY_SIZE(uids); d++)
		for (size_t f = 0; f < ARRAY_SIZE(uids); f++)
			for (size_t c = 0; c < ARRAY_SIZE(uids); c++) {
				make_dir("s", 01777);
				make_file("s/f", "x");
				make_file("s/g", "y");
				MUST(chown("s/f", uids[f], 0));
				MUST(chown("s/g", uids[f], 0));
				MUST(chown("s", uids[d], 0));
				with("dir of %u, file of %u, by %u", uids[d], uids[f], uids[c]);
				as_user(uids[c], uids[c], NULL);
				T(rename("s/g", "s/h"));
				T(rename("s/f", "s/g"));
				T(unlink("s/f"));
				T(unlink("s/g"));
				as_root();
				with("%s", "");
				unlink("s/f");
				unlink("s/g");
				unlink("s/h");
				MUST(rmdir("s"));
			}
}

/* A file that only its creator could write: the descriptor works all the same. */
static void created_unwritable(void)
{
	int fd;

	MUST(chmod(".", 0777));
	as_user(1000, 1000, NULL);
	fd = FD(open("f", O_RDWR | O_CREAT | O_EXCL, 0));
	T(write(fd, "content", 7));
	T(ftruncate(fd, 3));
	T(pread(fd, &(char){ 0 }, 1, 0));
	FD(open("f", O_RDONLY));
	FD(open("f", O_RDWR | O_CREAT, 0666));
	T(truncate("f", 0));
	T(fchmod(fd, 0400));
	FD(open("f", O_RDONLY));
	T(fsync(fd));
	show_fstat("f", fd);
}

static void rights_stay_with_descriptors(void)
{
	char c;
	int fd;

	make_file("f", "content");
	MUST(chown("f", 1000, 1000));
	as_user(1000, 1000, NULL);
	fd = FD(open("f", O_RDWR));
	as_root();
	MUST(chmod("f", 0));
	MUST(chown("f", 5, 5));
	as_user(1002, 1002, NULL);
	T(pwrite(fd, "X", 1, 0));
	T(pread(fd, &c, 1, 0));
	T(ftruncate(fd, 3));
	T(fchmod(fd, 0777));
	T(futimens(fd, NULL));
	FD(open("f", O_RDONLY));
	as_root();
	show_content("f");
}

/* The group that decides is the last of many. */
static void many_groups(void)
{
	gid_t groups[40];

	for (size_t i = 0; i < 39; i++)
		groups[i] = (gid_t)(3000 + i);
	groups[39] = 0;
	make_dir("d", 0770);
	make_file("d/f", "x");
	MUST(chmod("d/f", 0060));
	MUST(chown("d", 0, 3038));
	MUST(chown("d/f", 0, 3037));
	as_user(1001, 1001, groups);
	FD(open("d/f", O_RDWR));
	close(FD(open("d/new", O_RDWR | O_CREAT, 0600)));
	T(mkdir("d/sub", 0755));
	as_root();
	MUST(chmod("d", 02770));
	as_user(1001, 1001, groups);
	close(FD(open("d/new2", O_RDWR | O_CREAT, 02770)));
	T(mkdir("d/sub2", 0755));
	T(chown("d/new", (uid_t)-1, 3010));
	T(chown("d/new", (uid_t)-1, 2999));
	as_root();
	show_stat("d/new");
	show_stat("d/new2");
	show_stat("d/sub");
	show_stat("d/sub2");
}

static void access_flags(void)
{
	make_file("f", "x");
	MUST(symlink("nowhere", "l"));
	T(access("f", F_OK));
	T(access("f", X_OK));
	T(access("f", 8));
	T(access("l", F_OK));
	T(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	T(faccessat(AT_FDCWD, "f", R_OK, 0x8));
	T(access("f/x", F_OK));
	T(access("missing", R_OK));
	MUST(chmod("f", 0100));
	T(access("f", X_OK));
	T(access("f", R_OK | W_OK | X_OK));
	T(setresuid(1000, 0, 0)); /* access() asks for the real user */
	T(access("f", R_OK));
	T(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
}

static const struct posix_case perm_cases[] = {
	POSIX_CASE(modes_of_files),	POSIX_CASE(modes_of_directories),
	POSIX_CASE(sticky_directories), POSIX_CASE(sticky_owners),
	POSIX_CASE(created_unwritable), POSIX_CASE(rights_stay_with_descriptors),
	POSIX_CASE(many_groups),	POSIX_CASE(access_flags),
};

POSIX_GROUP(perm);
