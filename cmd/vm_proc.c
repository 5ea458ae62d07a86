/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/fd.h"
#include "host/log.h"

static void raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void child_setup(pid_t parent, const struct proc_how *how)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &how->mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127); /* it died before we asked for the signal */
	if (how->files)
		raise_nofile();
	if (how->error_fd)
		dup2(how->error_fd, STDERR_FILENO);
	if (!how->terminal) {
		int fd = open("/dev/null", O_RDWR);

		setpgid(0, 0);
		dup2(fd, STDIN_FILENO);
		fd_close(&fd);
	}
}

static void child_exec(const struct args *args) __attribute__((noreturn));

static void child_exec(const struct args *args)
{
	execvp(args->v[0], args->v);
	log_err(args->v[0], "cannot be run: %s", strerror(errno));
	_exit(127);
}

int proc_start(struct proc *p, const char *name, const struct args *args,
	       const struct proc_how *how)
{
	pid_t parent = getpid();
	pid_t pid = args->failed ? -1 : fork();
	int err = args->failed ? E2BIG : errno;

	if (pid < 0) {
		log_err(name, "cannot be started: %s", strerror(err));
		return -err;
	}
	if (!pid) {
		child_setup(parent, how);
		child_exec(args);
	}
	*p = (struct proc){ .name = name, .pid = pid, .running = true };
	return 0;
}

void proc_check(struct proc *p)
{
	if (p->running && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		p->running = false;
}

void proc_signal(const struct proc *p, int signo)
{
	if (p->running)
		kill(p->pid, signo);
}

int proc_output(const struct args *args, char *buf, size_t len)
{
	int fds[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		child_exec(args);
	}
	fd_close(&fds[1]);
	while (used < len - 1 && (n = read(fds[0], buf + used, len - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	fd_close(&fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
