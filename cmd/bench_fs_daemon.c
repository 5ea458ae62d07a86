/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/bench_fs_daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front/sock.h"
#include "host/fd.h"
#include "host/log.h"

#define START_MS 10000
#define END_MS	 2000
#define STEP_US	 5000

/* Copies command to out with each {socket} and {dir} replaced. False if there is no room. */
static bool expand(const struct bench_daemon *d, const char *command, char *out, size_t size)
{
	FILE *f = fmemopen(out, size, "w");
	bool ok;

	if (!f)
		return false;
	while (*command) {
		if (!strncmp(command, "{socket}", 8)) {
			fputs(d->socket, f);
			command += 8;
		} else if (!strncmp(command, "{dir}", 5)) {
			fputs(d->dir, f);
			command += 5;
		} else {
			fputc(*command++, f);
		}
	}
	ok = ftell(f) < (long)size - 1;
	return !fclose(f) && ok;
}

/* The last path component of the command's first word. */
static void set_name(struct bench_daemon *d, const char *command)
{
	size_t len = strcspn(command, " "), from = len;

	while (from && command[from - 1] != '/')
		from--;
	snprintf(d->name, sizeof(d->name), "%.*s", (int)(len - from), command + from);
}

static _Noreturn void run(const struct bench_daemon *d, const char *line)
{
	int fd = open(d->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execl("/bin/sh", "sh", "-c", line, NULL);
	_exit(127);
}

int bench_daemon_start(struct bench_daemon *d, const char *folder, unsigned place,
		       const char *command)
{
	static const char prefix[] = "exec ";
	char line[2048];
	size_t used = strlen(prefix);

	*d = (struct bench_daemon){ .pid = 0 };
	set_name(d, command);
	snprintf(d->socket, sizeof(d->socket), "%s/s%u", folder, place);
	snprintf(d->dir, sizeof(d->dir), "%s/d%u", folder, place);
	snprintf(d->log, sizeof(d->log), "%s/log%u", folder, place);
	memcpy(line, prefix, used);
	if (!expand(d, command, line + used, sizeof(line) - used)) {
		log_err("bench fs", "the command is too long: %s", command);
		return -E2BIG;
	}
	if (mkdir(d->dir, 0755) < 0) {
		log_err("bench fs", "%s: %s", d->dir, strerror(errno));
		return -errno;
	}
	d->pid = fork();
	if (d->pid < 0) {
		d->pid = 0;
		return -errno;
	}
	if (!d->pid)
		run(d, line);
	setpgid(d->pid, d->pid);
	return 0;
}

/* Its own words, if it did not get far. */
static void show_log(const struct bench_daemon *d)
{
	char line[512];
	FILE *f = fopen(d->log, "r");

	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "  %s: %s", d->name, line);
	if (f)
		fclose(f);
}

static bool has_ended(struct bench_daemon *d)
{
	if (d->pid && waitpid(d->pid, NULL, WNOHANG) == d->pid)
		d->pid = 0;
	return !d->pid;
}

int bench_daemon_connect(struct bench_daemon *d)
{
	int sock = -ENOENT;

	for (unsigned us = 0; us < START_MS * 1000; us += STEP_US) {
		sock = front_sock_connect(d->socket);
		if (sock >= 0 || has_ended(d))
			break;
		usleep(STEP_US);
	}
	if (sock >= 0) {
		bench_daemon_find(d);
		return sock;
	}
	log_err("bench fs", "%s does not listen: %s", d->name, strerror(-sock));
	show_log(d);
	return sock;
}

/* The parent of a process, from the 4th field of its stat; 0 if it is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *end;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')'); /* the name before may have any bytes */
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

static bool is_ours(const struct bench_daemon *d, pid_t pid)
{
	for (unsigned i = 0; i < d->n_pids; i++) {
		if (d->pids[i] == pid)
			return true;
	}
	return false;
}

void bench_daemon_find(struct bench_daemon *d)
{
	unsigned before;

	d->n_pids = 0;
	if (d->pid)
		d->pids[d->n_pids++] = d->pid;
	do { /* until a look at all processes finds no more children */
		DIR *proc = opendir("/proc");
		struct dirent *e;

		before = d->n_pids;
		while (proc && (e = readdir(proc))) {
			pid_t pid = atoi(e->d_name);

			if (pid > 0 && d->n_pids < BENCH_PIDS_MAX && !is_ours(d, pid) &&
			    is_ours(d, parent_of(pid)))
				d->pids[d->n_pids++] = pid;
		}
		if (proc)
			closedir(proc);
	} while (d->n_pids != before);
}

uint64_t bench_daemon_cpu(const struct bench_daemon *d)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->n_pids; i++) {
		struct timespec t;
		clockid_t clock;

		if (!clock_getcpuclockid(d->pids[i], &clock) && !clock_gettime(clock, &t))
			sum += (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
	}
	return sum;
}

static void pin_threads(pid_t pid, const cpu_set_t *set)
{
	char path[64];
	struct dirent *e;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks))) {
		if (atoi(e->d_name) > 0)
			sched_setaffinity(atoi(e->d_name), sizeof(*set), set);
	}
	if (tasks)
		closedir(tasks);
}

void bench_daemon_pin(const struct bench_daemon *d, unsigned first, unsigned n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = first; i < n; i++)
		CPU_SET(i, &set);
	for (unsigned i = 0; i < d->n_pids; i++)
		pin_threads(d->pids[i], &set);
}

void bench_daemon_stop(struct bench_daemon *d)
{
	pid_t group = d->pid;

	if (!group)
		return;
	for (unsigned us = 0; us < END_MS * 1000 && !has_ended(d); us += STEP_US)
		usleep(STEP_US);
	kill(-group, SIGTERM);
	for (unsigned us = 0; us < END_MS * 1000 && !has_ended(d); us += STEP_US)
		usleep(STEP_US);
	kill(-group, SIGKILL);
	if (d->pid)
		waitpid(d->pid, NULL, 0);
	d->pid = 0;
}
