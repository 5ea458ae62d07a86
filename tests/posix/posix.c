/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: vdax-posix DIRECTORY [GROUP[.CASE]]...
 *
 * Runs the cases, each in a new directory of DIRECTORY, which stays: what is in it is compared too.
 */
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <time.h>
#include <grp.h>
#include "tests/posix/posix.h"

static const struct posix_group *const groups[] = {
	&open_group, &tree_group, &rename_group, &node_group,	 &size_group, &data_group,
	&map_group,  &mode_group, &perm_group,	 &stat_group,	 &list_group, &xattr_group,
	&acl_group,  &lock_group, &name_group,	 &control_group, &hold_group,
};

static char case_name[64];
static char context[256];

void say(const char *format, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	printf("%s: %s%s%s\n", case_name, context, *context ? ": " : "", line);
	fflush(stdout);
}

void with(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(context, sizeof(context), format, ap);
	va_end(ap);
}

void skip(const char *why)
{
	with("%s", "");
	say("skip: %s", why);
	_exit(0);
}

void broken(const char *what)
{
	int error = errno;

	say("BROKEN: %s: %s", what, strerrorname_np(error));
	_exit(1);
}

long show(const char *what, long result)
{
	int error = errno;

	if (result == -1 && error)
		say("%s = %s", what, strerrorname_np(error));
	else
		say("%s = %ld", what, result);
	errno = error;
	return result;
}

int show_fd(const char *what, int fd)
{
	int error = errno;

	say("%s = %s", what, fd < 0 ? strerrorname_np(error) : "descriptor");
	errno = error;
	return fd;
}

static const char *type_name(mode_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} types[] = {
		{ S_IFREG, "file" },  { S_IFDIR, "dir" },   { S_IFLNK, "link" },
		{ S_IFIFO, "fifo" },  { S_IFSOCK, "sock" }, { S_IFCHR, "char" },
		{ S_IFBLK, "block" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			return types[i].name;
	return "unknown";
}

static void say_stat(const char *what, const struct stat *st)
{
	char size[48] = "", device[48] = "";

	if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		snprintf(size, sizeof(size), " size %lld", (long long)st->st_size);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(device, sizeof(device), " device %#llx", (unsigned long long)st->st_rdev);
	say("%s is %s %04o links %u owner %u:%u%s%s", what, type_name(st->st_mode),
	    (unsigned)st->st_mode & 07777, (unsigned)st->st_nlink, st->st_uid, st->st_gid, size,
	    device);
}

void show_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		say("%s is %s", path, strerrorname_np(errno));
	else
		say_stat(path, &st);
}

void show_fstat(const char *what, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		say("%s is %s", what, strerrorname_np(errno));
	else
		say_stat(what, &st);
}

static uint64_t hash_more(uint64_t h, const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

uint64_t hash(const void *data, size_t size)
{
	return hash_more(0xcbf29ce484222325u, data, size);
}

void show_fd_content(const char *what, int fd)
{
	static unsigned char buffer[65536];
	uint64_t h = hash(NULL, 0);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		h = hash_more(h, buffer, (size_t)n);
		at += n;
	}
	if (n < 0)
		say("%s cannot be read at %lld: %s", what, (long long)at, strerrorname_np(errno));
	else
		say("%s has %lld bytes, hash %016llx", what, (long long)at, (unsigned long long)h);
}

void show_content(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	if (fd < 0) {
		say("%s cannot be opened: %s", path, strerrorname_np(errno));
		return;
	}
	show_fd_content(path, fd);
	close(fd);
}

void show_names(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);

	say("%s has %d names", path, n);
	for (int i = 0; i < n; i++) {
		say("%s/%s type %s", path, names[i]->d_name, type_name(DTTOIF(names[i]->d_type)));
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void make_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	MUST(fd);
	if (write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		broken(path);
	close(fd);
}

void make_dir(const char *path, mode_t mode)
{
	MUST(mkdir(path, 0700));
	MUST(chmod(path, mode));
}

void fill(void *buffer, size_t size, unsigned seed)
{
	unsigned char *p = buffer;
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (unsigned char)(x >> 24);
	}
}

void make_big(const char *path, size_t size, unsigned seed)
{
	char *buffer = malloc(size);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (!buffer)
		broken("malloc");
	MUST(fd);
	fill(buffer, size, seed);
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, buffer + done, size - done);

		MUST(n);
		done += (size_t)n;
	}
	close(fd);
	free(buffer);
}

void as_user(uid_t uid, gid_t gid, const gid_t *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	MUST(setgroups(n, list));
	MUST(setegid(gid));
	MUST(seteuid(uid));
}

void as_root(void)
{
	MUST(seteuid(0));
	MUST(setegid(0));
	MUST(setgroups(0, NULL));
}

void *nowhere(void)
{
	return (void *)8;
}

void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
}

struct stat look(const char *path)
{
	struct stat st;

	MUST(lstat(path, &st));
	return st;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

const char *changed_times(const struct stat *before, const struct stat *after)
{
	static char letters[3];
	size_t n = 0;

	if (!same_time(before->st_mtim, after->st_mtim))
		letters[n++] = 'm';
	if (!same_time(before->st_ctim, after->st_ctim))
		letters[n++] = 'c';
	letters[n] = 0;
	return n ? letters : "none";
}

int in_child(void (*do_it)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	MUST(pid);
	if (!pid) {
		alarm(CASE_SECONDS);
		do_it(arg);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void run_here(void *arg)
{
	const struct posix_case *c = arg;

	MUST(mkdir(case_name, 0755));
	MUST(chdir(case_name));
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	c->run();
}

static void run_case(const struct posix_group *g, const struct posix_case *c)
{
	int status;

	snprintf(case_name, sizeof(case_name), "%s.%s", g->name, c->name);
	context[0] = 0;
	status = in_child(run_here, (void *)(uintptr_t)c);
	if (status)
		say("END %d", status); /* 1000 + the number of a signal */
}

static bool wanted(char **words, const struct posix_group *g, const struct posix_case *c)
{
	size_t n = strlen(g->name);

	if (!*words)
		return true;
	for (; *words; words++)
		if (!strncmp(*words, g->name, n) &&
		    (!(*words)[n] || ((*words)[n] == '.' && !strcmp(*words + n + 1, c->name))))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	if (argc < 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: vdax-posix DIRECTORY [GROUP[.CASE]]...\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (size_t k = 0; k < groups[i]->n; k++)
			if (wanted(argv + 2, groups[i], &groups[i]->cases[k]))
				run_case(groups[i], &groups[i]->cases[k]);
	printf("done\n");
	return 0;
}
