/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lib/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/sock.h"
#include "host/fd.h"
#include "tests/lib/check.h"

#define PATIENCE_MS 5000u

/* Those that run or have a folder; a test has few. */
static struct daemon *all[8];

void sleep_ms(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

/* The end of its log. */
static void print_log(const struct daemon *d)
{
	char buf[4096];
	int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	if (lseek(fd, -(off_t)sizeof(buf), SEEK_END) < 0)
		lseek(fd, 0, SEEK_SET);
	n = read(fd, buf, sizeof(buf));
	if (n > 0)
		fprintf(stderr, "--- log of the daemon:\n%.*s---\n", (int)n, buf);
	close(fd);
}

static void clean_up(int status, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct daemon *d = all[i];

		if (!d)
			continue;
		if (d->pid) {
			kill(d->pid, SIGKILL);
			waitpid(d->pid, NULL, 0);
		}
		if (status && status != 77)
			print_log(d);
		remove_folder(d->dir);
	}
}

static void make_folder(struct daemon *d)
{
	static bool registered;
	size_t i = 0;

	snprintf(d->dir, sizeof(d->dir), "/tmp/vdax-test-XXXXXX");
	REQUIRE(mkdtemp(d->dir));
	snprintf(d->image, sizeof(d->image), "%s/image", d->dir);
	snprintf(d->sock, sizeof(d->sock), "%s/sock", d->dir);
	snprintf(d->ctl, sizeof(d->ctl), "%s/sock.ctl", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	snprintf(d->fifo, sizeof(d->fifo), "%s/fifo", d->dir);
	REQUIRE(!mkfifo(d->fifo, 0600));
	while (i < ARRAY_SIZE(all) && all[i])
		i++;
	REQUIRE(i < ARRAY_SIZE(all));
	all[i] = d;
	if (!registered)
		on_exit(clean_up, NULL);
	registered = true;
}

static const char *env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	if (!value && !otherwise) {
		fprintf(stderr, "%s is not set; run this through meson test\n", name);
		exit(1);
	}
	return value ? value : otherwise;
}

static _Noreturn void run(const struct daemon *d, const struct daemon_opts *o)
{
	const char *argv[DAEMON_MAX_ARGS + 16];
	bool testd = o->testd || o->stall;
	char number[16], behaviour[256];
	size_t n = 0;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	argv[n++] = env(testd ? "VDAX_TESTD_PROGRAM" : "VDAX", NULL);
	if (testd) {
		snprintf(behaviour, sizeof(behaviour), "%s%s%s%s", o->stall ? "stall=" : "",
			 o->stall ? d->fifo : "", o->stall && o->testd ? "," : "",
			 o->testd ? o->testd : "");
		setenv("VDAX_TESTD", behaviour, 1);
	} else {
		argv[n++] = "pmem";
	}
	argv[n++] = "--sandbox";
	argv[n++] = env("VDAX_SANDBOX", "full");
	if (!o->no_slots)
		argv[n++] = "--memory-slots";
	argv[n++] = "--control";
	argv[n++] = d->ctl;
	if (o->fd) {
		snprintf(number, sizeof(number), "%d", *o->fd);
		fcntl(*o->fd, F_SETFD, 0);
		argv[n++] = "--fd";
		argv[n++] = number;
	} else {
		argv[n++] = "--socket-path";
		argv[n++] = d->sock;
	}
	for (const char *const *a = o->args; a && *a && n < ARRAY_SIZE(argv) - 2; a++)
		argv[n++] = *a;
	argv[n++] = d->image;
	argv[n] = NULL;
	fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	perror(argv[0]);
	_exit(127);
}

void daemon_start(struct daemon *d, const struct daemon_opts *o)
{
	static const struct daemon_opts none;
	int fd;

	o = o ? o : &none;
	if (!d->dir[0])
		make_folder(d);
	if (!o->keep_image) {
		fd = open(d->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		REQUIRE(fd >= 0 && !ftruncate(fd, (off_t)DAEMON_IMAGE_SIZE));
		close(fd);
	}
	d->pid = fork();
	REQUIRE(d->pid >= 0);
	if (!d->pid)
		run(d, o);
	if (o->fd)
		fd_close(o->fd);
	if (!daemon_stat_reaches(d, "size", 0)) {
		fprintf(stderr, "the daemon does not start\n");
		exit(1);
	}
}

int daemon_wait(struct daemon *d, int timeout_ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000;
	int status;
	pid_t pid;

	for (;;) {
		pid = waitpid(d->pid, &status, WNOHANG);
		if (pid == d->pid)
			break;
		if (clock_ns() > deadline)
			return -ETIMEDOUT;
		sleep_ms(2);
	}
	d->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void daemon_signal(const struct daemon *d, int sig)
{
	REQUIRE(d->pid > 0 && !kill(d->pid, sig));
}

int daemon_stop(struct daemon *d)
{
	daemon_signal(d, SIGTERM);
	return daemon_wait(d, (int)PATIENCE_MS);
}

int64_t daemon_stat(const struct daemon *d, const char *key)
{
	int fd = front_sock_connect(d->ctl);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	size_t len = strlen(key);
	int64_t value = -1;
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoll(line + len + 1, NULL, 10);
	if (f)
		fclose(f);
	else
		fd_close(&fd);
	return value;
}

static bool stat_wait(const struct daemon *d, const char *key, int64_t value, bool more_is_fine)
{
	for (unsigned ms = 0; ms < PATIENCE_MS; ms += 2) {
		int64_t is = daemon_stat(d, key);

		if (is == value || (more_is_fine && is > value))
			return true;
		if (d->pid && waitpid(d->pid, NULL, WNOHANG | WNOWAIT) == d->pid)
			return false; /* it has ended */
		sleep_ms(2);
	}
	return false;
}

bool daemon_stat_becomes(const struct daemon *d, const char *key, int64_t value)
{
	return stat_wait(d, key, value, false);
}

bool daemon_stat_reaches(const struct daemon *d, const char *key, int64_t value)
{
	return stat_wait(d, key, value, true);
}

bool daemon_logged(const struct daemon *d, const char *text)
{
	for (unsigned ms = 0; ms < 2000; ms += 10) {
		FILE *f = fopen(d->log, "re");
		char line[2048];
		bool found = false;

		while (f && !found && fgets(line, sizeof(line), f))
			found = strstr(line, text);
		if (f)
			fclose(f);
		if (found)
			return true;
		sleep_ms(10);
	}
	return false;
}

void daemon_release(const struct daemon *d, unsigned n)
{
	int fd = open(d->fifo, O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0);
	for (unsigned i = 0; i < n; i++)
		REQUIRE(write(fd, "1", 1) == 1);
	if (!n)
		REQUIRE(write(fd, "a", 1) == 1);
	close(fd);
}

static int count_entries(const struct daemon *d, const char *folder)
{
	char path[64];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)d->pid, folder);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Mappings of the RAM of a guest of front/. */
static int count_ram_maps(const struct daemon *d)
{
	char line[512];
	int n = 0;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)d->pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "front-ram") || strstr(line, "test-ram");
	if (f)
		fclose(f);
	return n;
}

struct daemon_use daemon_use(const struct daemon *d)
{
	return (struct daemon_use){ .fds = count_entries(d, "fd"),
				    .threads = count_entries(d, "task"),
				    .ram_maps = count_ram_maps(d) };
}

bool daemon_use_returns(const struct daemon *d, const struct daemon_use *before)
{
	struct daemon_use now = { 0 };

	for (unsigned ms = 0; ms < PATIENCE_MS; ms += 5) {
		now = daemon_use(d);
		if (!memcmp(&now, before, sizeof(now)))
			return true;
		sleep_ms(5);
	}
	fprintf(stderr, "before: %d fds, %d threads, %d maps; now %d, %d, %d\n", before->fds,
		before->threads, before->ram_maps, now.fds, now.threads, now.ram_maps);
	return false;
}

void make_pair(int pair[2])
{
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

int make_listener(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0 && strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	REQUIRE(!bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 4));
	return fd;
}
