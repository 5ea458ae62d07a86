/* SPDX-License-Identifier: BSD-2-Clause */
/* Modes and owners: who may set them, and what is lost on the way. */
#include <sys/sendfile.h>
#include "tests/posix/posix.h"

static const mode_t modes[] = { 0, 0644, 0777, 01777, 02755, 04755, 06755, 07777, 02644, 06111 };

static const struct {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t groups[3];
} callers[] = {
	{ "root", 0, 0, { 0 } },
	{ "owner", 1000, 1000, { 0 } },
	{ "owner in 2000", 1000, 1000, { 2000, 0 } },
	{ "same group", 1001, 1000, { 0 } },
	{ "stranger", 1002, 1002, { 0 } },
};

static void chmod_matrix(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
		for (size_t k = 0; k < ARRAY_SIZE(modes); k++)
			for (gid_t gid = 1000; gid <= 2000; gid += 1000) {
				make_file("f", "x");
				make_dir("d", 0700);
				MUST(chown("f", 1000, gid));
				MUST(chown("d", 1000, gid));
				as_user(callers[i].uid, callers[i].gid, callers[i].groups);
				with("%s, group %u, %04o", callers[i].name, gid, modes[k]);
				T(chmod("f", modes[k]));
				T(chmod("d", modes[k]));
				as_root();
				show_stat("f");
				show_stat("d");
				MUST(unlink("f"));
				MUST(rmdir("d"));
			}
}

static const struct {
	uid_t uid;
	gid_t gid;
} owners[] = {
	{ 1000, 1000 },		  { 1001, 1000 },      { 1000, 2000 }, { (uid_t)-1, 2000 },
	{ (uid_t)-1, (gid_t)-1 }, { 1000, (gid_t)-1 }, { 0, 0 },       { (uid_t)-1, 1002 },
	{ 70000, 4000000000u },
};

static void chown_matrix(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
		for (size_t k = 0; k < ARRAY_SIZE(owners); k++)
			for (size_t m = 0; m < ARRAY_SIZE(modes); m += 2) {
				make_file("f", "x");
				make_dir("d", 0700);
				MUST(symlink("f", "l"));
				MUST(chown("f", 1000, 1000));
				MUST(chown("d", 1000, 1000));
				MUST(lchown("l", 1000, 1000));
				MUST(chmod("f", modes[m]));
				MUST(chmod("d", modes[m]));
				as_user(callers[i].uid, callers[i].gid, callers[i].groups);
				with("%s to %d:%d of %04o", callers[i].name, (int)owners[k].uid,
				     (int)owners[k].gid, modes[m]);
				T(chown("f", owners[k].uid, owners[k].gid));
				T(chown("d", owners[k].uid, owners[k].gid));
				T(lchown("l", owners[k].uid, owners[k].gid));
				as_root();
				show_stat("f");
				show_stat("d");
				show_stat("l");
				MUST(unlink("l"));
				MUST(unlink("f"));
				MUST(rmdir("d"));
			}
}

static void write_it(int fd)
{
	T(pwrite(fd, "X", 1, 0));
}

static void write_nothing(int fd)
{
	T(pwrite(fd, "", 0, 0));
}

static void truncate_it(int fd)
{
	T(ftruncate(fd, 3));
}

static void truncate_by_name(int fd)
{
	(void)fd;
	T(truncate("f", 3));
}

static void truncate_at_open(int fd)
{
	(void)fd;
	close(FD(open("f", O_WRONLY | O_TRUNC)));
}

static void allocate_it(int fd)
{
	T(fallocate(fd, 0, 0, 10000));
}

static void copy_into(int fd)
{
	off_t at = 0;

	T(copy_file_range(open("source", O_RDONLY), &at, fd, &at, 5, 0));
}

static void append_it(int fd)
{
	(void)fd;
	T(write(open("f", O_WRONLY | O_APPEND), "X", 1));
}

static void direct_it(int fd)
{
	char *buffer;

	fd = open("f", O_RDWR | O_DIRECT);
	if (fd < 0 || posix_memalign((void **)&buffer, 4096, 4096))
		return;
	memset(buffer, 'x', 4096);
	T(pwrite(fd, buffer, 4096, 0));
}

static const struct {
	const char *name;
	void (*change)(int fd);
} changes[] = {
	{ "write", write_it },		 { "write nothing", write_nothing },
	{ "ftruncate", truncate_it },	 { "truncate", truncate_by_name },
	{ "O_TRUNC", truncate_at_open }, { "fallocate", allocate_it },
	{ "copy", copy_into },		 { "append", append_it },
	{ "direct", direct_it },
};

/* setuid and setgid go when the content changes, unless root does it. */
static void cleared_by_change(void)
{
	make_file("source", "content of the source");
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < ARRAY_SIZE(changes); k++)
			for (size_t m = 3; m < ARRAY_SIZE(modes); m++) {
				int fd;

				make_file("f", "0123456789");
				MUST(chown("f", 500, 500));
				MUST(chmod("f", modes[m] | 0666));
				if (i)
					as_user(1002, 1002, NULL);
				fd = open("f", O_RDWR);
				with("%s by %s of %04o", changes[k].name, i ? "user" : "root",
				     modes[m] | 0666);
				changes[k].change(fd);
				as_root();
				show_fstat("f", fd);
				close(fd);
				MUST(unlink("f"));
			}
}

static void setgid_directory(void)
{
	struct {
		const char *name;
		gid_t gid;
		gid_t groups[2];
	} who[] = { { "outside", 1000, { 0 } },
		    { "inside", 1000, { 2000 } },
		    { "of it", 2000, { 0 } } };

	for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%zu", i);
		make_dir(name, 0777);
		MUST(chown(name, 0, 2000));
		MUST(chmod(name, 02777));
		MUST(chdir(name));
		as_user(1000, who[i].gid, who[i].groups);
		with("%s", who[i].name);
		close(FD(open("f", O_CREAT | O_WRONLY, 0666)));
		close(FD(open("sg", O_CREAT | O_WRONLY, 02777)));
		close(FD(open("sg_nox", O_CREAT | O_WRONLY, 02767)));
		close(FD(open("su", O_CREAT | O_WRONLY, 04777)));
		T(mkdir("sub", 0755));
		T(mkdir("sub/deeper", 0700));
		T(symlink("x", "l"));
		T(mkfifo("p", 02777));
		T(mknod("n", S_IFREG | 02775, 0));
		as_root();
		show_stat("f");
		show_stat("sg");
		show_stat("sg_nox");
		show_stat("su");
		show_stat("sub");
		show_stat("sub/deeper");
		show_stat("l");
		show_stat("p");
		show_stat("n");
		MUST(chdir(".."));
	}
}

static void umasks(void)
{
	for (unsigned mask = 0; mask <= 0777; mask += 0111) {
		umask(mask);
		with("umask %03o", mask);
		close(creat("f", 0777));
		MUST(mkdir("d", 01777));
		MUST(mkfifo("p", 0666));
		MUST(mknod("s", S_IFSOCK | 0777, 0));
		show_stat("f");
		show_stat("d");
		show_stat("p");
		show_stat("s");
		MUST(unlink("f"));
		MUST(rmdir("d"));
		MUST(unlink("p"));
		MUST(unlink("s"));
	}
}

static void by_descriptor(void)
{
	int fd, dir;

	make_file("f", "x");
	make_dir("d", 0755);
	fd = open("f", O_RDONLY);
	dir = open("d", O_RDONLY);
	T(fchmod(fd, 0));
	T(fchown(fd, 5, 6));
	T(fchmod(dir, 01700));
	T(fchown(dir, 7, 8));
	show_stat("f");
	show_stat("d");
	T(unlink("f"));
	T(fchmod(fd, 0600));
	T(fchown(fd, 9, 10));
	show_fstat("f", fd);
	T(rmdir("d"));
	T(fchmod(dir, 0711));
	T(fchown(dir, 11, 12));
	show_fstat("d", dir);
	T(fchmod(-1, 0));
}

static void times(void)
{
	struct stat before, after;

	make_file("f", "x");
	before = look("f");
	tick();
	T(chmod("f", 0600));
	after = look("f");
	say("chmod changed %s", changed_times(&before, &after));
	tick();
	T(chmod("f", 0600));
	before = after;
	after = look("f");
	say("chmod again changed %s", changed_times(&before, &after));
	tick();
	T(chown("f", 1, 2));
	before = after;
	after = look("f");
	say("chown changed %s", changed_times(&before, &after));
	tick();
	T(chown("f", -1, -1));
	before = after;
	after = look("f");
	say("chown of nothing changed %s", changed_times(&before, &after));
}

static const struct posix_case mode_cases[] = {
	POSIX_CASE(chmod_matrix),
	POSIX_CASE(chown_matrix),
	POSIX_CASE(cleared_by_change),
	POSIX_CASE(setgid_directory),
	POSIX_CASE(umasks),
	POSIX_CASE(by_descriptor),
	POSIX_CASE(times),
};

POSIX_GROUP(mode);
