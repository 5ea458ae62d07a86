/* SPDX-License-Identifier: BSD-2-Clause */
/* open() with every combination of a kind of target and flags that means something. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "tests/posix/posix.h"

static const char *const targets[] = {
	"missing", "file",   "dir",	  "to_file",	"to_dir", "dangling", "loop",	 "fifo",
	"socket",  "file/x", "missing/x", "dir/",	"file/",  "missing/", "to_dir/", "to_file/",
	"dir/..",  "dir/.",  "file/..",	  "dangling/x", "loop/x", "",
};

static const struct {
	const char *name;
	int flags;
} combinations[] = {
	{ "RDONLY", O_RDONLY },
	{ "WRONLY", O_WRONLY },
	{ "RDWR", O_RDWR },
	{ "WRONLY|APPEND", O_WRONLY | O_APPEND },
	{ "WRONLY|TRUNC", O_WRONLY | O_TRUNC },
	{ "RDONLY|TRUNC", O_RDONLY | O_TRUNC },
	{ "RDONLY|CREAT", O_RDONLY | O_CREAT },
	{ "RDWR|CREAT|EXCL", O_RDWR | O_CREAT | O_EXCL },
	{ "RDWR|CREAT|TRUNC", O_RDWR | O_CREAT | O_TRUNC },
	{ "RDWR|CREAT|NOFOLLOW", O_RDWR | O_CREAT | O_NOFOLLOW },
	{ "RDONLY|NOFOLLOW", O_RDONLY | O_NOFOLLOW },
	{ "RDONLY|DIRECTORY", O_RDONLY | O_DIRECTORY },
	{ "RDWR|DIRECTORY", O_RDWR | O_DIRECTORY },
	{ "RDONLY|DIRECTORY|NOFOLLOW", O_RDONLY | O_DIRECTORY | O_NOFOLLOW },
	{ "RDWR|CREAT|DIRECTORY", O_RDWR | O_CREAT | O_DIRECTORY },
	{ "PATH", O_PATH },
	{ "PATH|NOFOLLOW", O_PATH | O_NOFOLLOW },
	{ "PATH|DIRECTORY", O_PATH | O_DIRECTORY },
	{ "RDONLY|NOATIME", O_RDONLY | O_NOATIME },
	{ "RDWR|SYNC", O_RDWR | O_SYNC },
	{ "RDWR|DSYNC|CREAT", O_RDWR | O_DSYNC | O_CREAT },
};

static void make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
}

static void make_targets(void)
{
	make_file("file", "content");
	make_dir("dir", 0755);
	MUST(symlink("file", "to_file"));
	MUST(symlink("dir", "to_dir"));
	MUST(symlink("nowhere", "dangling"));
	MUST(symlink("loop", "loop"));
	MUST(mkfifo("fifo", 0644));
	make_socket("socket");
}

/* The number of what is opened first does not show, only what it is. */
static void matrix(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(combinations); i++) {
		make_dir(combinations[i].name, 0755);
		MUST(chdir(combinations[i].name));
		make_targets();
		for (size_t k = 0; k < ARRAY_SIZE(targets); k++) {
			int fd;

			with("%s of '%s'", combinations[i].name, targets[k]);
			fd = FD(open(targets[k], combinations[i].flags | O_NONBLOCK, 0640));
			if (fd >= 0) {
				show_fstat("it", fd);
				say("flags %#x", (unsigned)fcntl(fd, F_GETFL));
				close(fd);
			}
		}
		with("%s", "");
		show_names(".");
		MUST(chdir(".."));
	}
}

static void exclusive_again(void)
{
	int fd = FD(open("f", O_CREAT | O_EXCL | O_WRONLY, 0444));

	T(write(fd, "abc", 3)); /* a mode without w is for the next one */
	close(fd);
	FD(open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
	show_stat("f");
	show_content("f");
	T(unlink("f"));
	FD(open("f", O_CREAT | O_EXCL | O_WRONLY, 0600));
	show_stat("f");
}

static void create_modes(void)
{
	static const mode_t modes[] = { 0, 0400, 0222, 0777, 04755, 02755, 01777, 06000, 07777 };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		for (unsigned mask = 0; mask <= 0777; mask = mask ? mask * 8 + 7 : 7) {
			umask(mask);
			with("mode %04o umask %03o", modes[i], mask);
			FD(open("f", O_CREAT | O_EXCL | O_RDONLY, modes[i]));
			show_stat("f");
			unlink("f");
			T(mkdir("d", modes[i]));
			show_stat("d");
			rmdir("d");
		}
}

static void truncate_at_open(void)
{
	struct stat before, after;

	make_file("f", "0123456789");
	before = look("f");
	tick();
	close(FD(open("f", O_WRONLY | O_TRUNC)));
	after = look("f");
	say("changed %s", changed_times(&before, &after));
	show_content("f");
	tick();
	close(FD(open("f", O_WRONLY | O_TRUNC)));
	before = after;
	after = look("f");
	say("empty already: changed %s", changed_times(&before, &after));
	MUST(chmod("f", 06755));
	close(FD(open("f", O_WRONLY | O_TRUNC)));
	show_stat("f");
}

static void append_by_two(void)
{
	int a = FD(open("f", O_WRONLY | O_CREAT | O_APPEND, 0644));
	int b = FD(open("f", O_RDWR | O_APPEND));

	for (int i = 0; i < 50; i++) {
		MUST(write(a, "aa", 2));
		MUST(write(b, "bbb", 3));
	}
	T(lseek(a, 0, SEEK_SET));
	T(write(a, "end", 3));
	T(lseek(a, 0, SEEK_CUR));
	T(pwrite(b, "PW", 2, 0)); /* Linux: appends all the same */
	T(fcntl(b, F_SETFL, 0));
	T(pwrite(b, "XY", 2, 0));
	show_content("f");
}

static void tmpfile_basic(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	int excl;

	if (fd < 0 && errno == EOPNOTSUPP)
		skip("no O_TMPFILE");
	MUST(fd);
	show_fstat("it", fd);
	T(write(fd, "hidden", 6));
	show_fd_content("it", fd);
	show_names(".");
	T(linkat(AT_FDCWD, "/proc/self/fd/nothing", AT_FDCWD, "no", AT_SYMLINK_FOLLOW));
	T(linkat(fd, "", AT_FDCWD, "there", AT_EMPTY_PATH));
	show_stat("there");
	show_content("there");
	show_fstat("it", fd);
	T(linkat(fd, "", AT_FDCWD, "there", AT_EMPTY_PATH));
	excl = FD(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	T(linkat(excl, "", AT_FDCWD, "excl", AT_EMPTY_PATH));
	FD(open(".", O_TMPFILE | O_RDONLY, 0640));
	FD(open("there", O_TMPFILE | O_RDWR, 0640));
	FD(open("nothing", O_TMPFILE | O_RDWR, 0640));
	umask(077);
	show_fstat("masked", FD(open(".", O_TMPFILE | O_WRONLY, 0777)));
}

static void tmpfile_by_proc(void)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0 && errno == EOPNOTSUPP)
		skip("no O_TMPFILE");
	MUST(fd);
	T(write(fd, "by proc", 7));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	errno = 0;
	show("linkat(/proc/self/fd/N)",
	     linkat(AT_FDCWD, path, AT_FDCWD, "there", AT_SYMLINK_FOLLOW));
	show_stat("there");
	show_content("there");
	T(unlink("there"));
	show_fstat("it", fd);
}

static void path_descriptors(void)
{
	char c;
	int fd, again;
	struct stat st;

	make_file("f", "content");
	make_dir("d", 0755);
	MUST(symlink("f", "l"));
	fd = FD(open("f", O_PATH));
	T(read(fd, &c, 1));
	T(write(fd, &c, 1));
	T(fchmod(fd, 0600));
	T(fchown(fd, 1, 1));
	T(ftruncate(fd, 0));
	T(fsync(fd));
	T(lseek(fd, 0, SEEK_SET));
	T(fstat(fd, &st));
	T(fchownat(fd, "", 5, 6, AT_EMPTY_PATH));
	show_stat("f");
	T(linkat(fd, "", AT_FDCWD, "f2", AT_EMPTY_PATH));
	T(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
	again = FD(open("/proc/self/fd/-1", O_RDONLY));
	(void)again;
	fd = FD(open("l", O_PATH | O_NOFOLLOW));
	show_fstat("l", fd);
	T(readlinkat(fd, "", &c, 1));
	T(fchownat(fd, "", 7, 8, AT_EMPTY_PATH));
	show_stat("l");
	fd = FD(open("d", O_PATH));
	T(fchdir(fd));
	T(mkdirat(fd, "below", 0700));
	T(unlinkat(fd, "below", AT_REMOVEDIR));
	FD(openat(fd, "new", O_CREAT | O_RDWR, 0600));
	show_names(".");
}

static void reopen_by_proc(void)
{
	char path[64];
	int fd;

	make_file("f", "content");
	MUST(chmod("f", 0444));
	fd = FD(open("f", O_PATH));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDWR);
	show_fd("again", fd);
	T(pwrite(fd, "X", 1, 2));
	show_content("f");
	T(unlink("f"));
	fd = open(path, O_RDONLY);
	show_fd("again, removed", fd);
	if (fd >= 0)
		show_fd_content("again", fd);
}

static void many_open(void)
{
	struct rlimit limit;
	int n = 0, fd;

	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 300;
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	make_file("f", "x");
	while ((fd = open("f", O_RDWR)) >= 0)
		n++;
	say("stops with %s, %s", strerrorname_np(errno), n > 250 ? "after many" : "too soon");
}

static void run_program(const char *path)
{
	char *argv[] = { (char *)(uintptr_t)path, NULL };
	int status;
	pid_t pid = fork();

	if (!pid) {
		execve(path, argv, NULL);
		_exit(100 + errno);
	}
	MUST(waitpid(pid, &status, 0));
	say("run %s: status %d", path, status);
}

static void execution(void)
{
	int fd;

	make_file("script", "#!/bin/sh\nexit 7\n");
	run_program("./script");
	MUST(chmod("script", 0755));
	run_program("./script");
	fd = FD(open("script", O_RDWR));
	run_program("./script"); /* ETXTBSY */
	close(fd);
	MUST(chmod("script", 0111));
	as_user(1000, 1000, NULL);
	run_program("./script");
	as_root();
	make_file("empty", "");
	MUST(chmod("empty", 0755));
	run_program("./empty");
	make_dir("d", 0755);
	run_program("./d");
	run_program("./nothing");
}

static const struct posix_case open_cases[] = {
	POSIX_CASE(matrix),	      POSIX_CASE(exclusive_again),  POSIX_CASE(create_modes),
	POSIX_CASE(truncate_at_open), POSIX_CASE(append_by_two),    POSIX_CASE(tmpfile_basic),
	POSIX_CASE(tmpfile_by_proc),  POSIX_CASE(path_descriptors), POSIX_CASE(reopen_by_proc),
	POSIX_CASE(many_open),	      POSIX_CASE(execution),
};

POSIX_GROUP(open);
