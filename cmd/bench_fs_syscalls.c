/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/bench_fs_syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/bench_fs_ptrace.h"
#include "host/fd.h"
#include "host/log.h"

#define EVENT "events/raw_syscalls/sys_enter/id"

static int read_id(const char *path)
{
	FILE *f = fopen(path, "r");
	int id = 0;

	if (f && fscanf(f, "%d", &id) != 1)
		id = 0;
	if (f)
		fclose(f);
	return id;
}

/* Where tracefs is not mounted: a child mounts it, in a name space that ends with the child. */
static int read_id_aside(void)
{
	int pipes[2], id = 0;
	pid_t pid;

	if (pipe(pipes) < 0)
		return 0;
	pid = fork();
	if (!pid) {
		if (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		    !mount("tracefs", "/sys/kernel", "tracefs", 0, NULL))
			id = read_id("/sys/kernel/" EVENT);
		if (write(pipes[1], &id, sizeof(id)) != (ssize_t)sizeof(id))
			_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &id, sizeof(id)) != (ssize_t)sizeof(id))
		id = 0;
	close(pipes[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return id;
}

static int find_tracepoint(void)
{
	static const char *const paths[] = { "/sys/kernel/tracing/" EVENT,
					     "/sys/kernel/debug/tracing/" EVENT };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int id = read_id(paths[i]);

		if (id)
			return id;
	}
	return read_id_aside();
}

static int count_thread(int tracepoint, pid_t tid)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof(attr),
					.config = (uint64_t)tracepoint,
					.inherit = 1 };

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void bench_syscalls_init(struct bench_syscalls *s, const char **how)
{
	int fd;

	*s = (struct bench_syscalls){ .tracepoint = find_tracepoint() };
	fd = s->tracepoint ? count_thread(s->tracepoint, 0) : -1;
	if (fd < 0) {
		log_warn("bench fs", "the kernel does not count system calls for us (that needs "
				     "root and tracefs): counting by ptrace, which is slow");
		s->tracepoint = 0;
	}
	fd_close(&fd);
	*how = s->tracepoint ? "tracepoint" : "ptrace";
}

static int count_process(struct bench_syscalls *s, pid_t pid)
{
	char path[64];
	struct dirent *e;
	DIR *tasks;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (!ret && tasks && (e = readdir(tasks))) {
		int fd;

		if (atoi(e->d_name) <= 0)
			continue;
		fd = s->n < BENCH_THREADS_MAX ? count_thread(s->tracepoint, atoi(e->d_name)) : -1;
		if (fd >= 0)
			s->fd[s->n++] = fd;
		else if (errno != ESRCH)
			ret = s->n < BENCH_THREADS_MAX ? -errno : -E2BIG;
	}
	if (tasks)
		closedir(tasks);
	return ret;
}

int bench_syscalls_start(struct bench_syscalls *s, const struct bench_daemon *d)
{
	int ret = 0;

	s->n = 0;
	if (!s->tracepoint) {
		s->tracer = bench_ptrace_start(d);
		ret = s->tracer ? 0 : -EPERM;
	}
	for (unsigned i = 0; s->tracepoint && !ret && i < d->n_pids; i++)
		ret = count_process(s, d->pids[i]);
	if (ret)
		log_err("bench fs", "cannot count the system calls of %s: %s", d->name,
			strerror(-ret));
	return ret;
}

uint64_t bench_syscalls_stop(struct bench_syscalls *s)
{
	uint64_t sum = 0;

	if (s->tracer) {
		sum = bench_ptrace_stop(s->tracer);
		s->tracer = NULL;
	}
	for (unsigned i = 0; i < s->n; i++) {
		uint64_t n;

		if (read(s->fd[i], &n, sizeof(n)) == (ssize_t)sizeof(n))
			sum += n;
		close(s->fd[i]);
	}
	s->n = 0;
	return sum;
}
