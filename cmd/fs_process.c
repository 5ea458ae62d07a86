/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/fs_caps.h"
#include "cmd/fs_options.h"
#include "host/fd.h"
#include "host/log.h"

/* What the server takes; any other that ends a process ends the one outside, and so both. */
static const int relayed[] = { SIGTERM, SIGINT, SIGHUP };

static void relayed_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(relayed); i++)
		sigaddset(set, relayed[i]);
	sigaddset(set, SIGCHLD); /* waited for, and of no meaning in the server */
}

/* Ends with the process behind parent: as pid 1 of a namespace we cannot ask for its number. */
static int follow(int parent)
{
	struct pollfd pfd = { .fd = parent, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return poll(&pfd, 1, 0) == 1 ? -ESRCH : 0; /* it died before we asked */
}

static int exit_status(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	log_err(NULL, "the server was ended by signal %d (%s)%s", WTERMSIG(status),
		strsignal(WTERMSIG(status)),
		WTERMSIG(status) == SIGSYS ? ": a system call that --seccomp does not allow" : "");
	return 128 + WTERMSIG(status);
}

static int relay(pid_t child, const sigset_t *set)
{
	siginfo_t info;
	int status;

	for (;;) {
		if (sigwaitinfo(set, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD)
			kill(child, info.si_signo);
		else if (waitpid(child, &status, WNOHANG) == child)
			return exit_status(status);
	}
}

static void outside(const struct fs_outside *out, pid_t child, const sigset_t *set)
{
	int status;

	if (out->let_go)
		out->let_go(out->ctx);
	fs_caps_drop_all(); /* an owner may still remove his socket */
	status = relay(child, set);
	if (out->at_end)
		out->at_end(out->ctx);
	exit(status);
}

int fs_process_split(const struct fs_outside *out)
{
	int ret, parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sigset_t set;
	pid_t child;

	if (parent < 0)
		return -errno;
	relayed_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child = fork();
	ret = child < 0 ? -errno : 0;
	if (child > 0) {
		fd_close(&parent);
		outside(out, child, &set);
	}
	if (!ret)
		ret = follow(parent);
	fd_close(&parent);
	return ret;
}

int fs_background_enter(struct fs_background *bg)
{
	int fds[2], ret = 0;
	pid_t child;
	char c;

	bg->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (bg->null_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	bg->ready_fd = fds[1];
	child = fork();
	if (child < 0)
		ret = -errno;
	if (child > 0) {
		fd_close(&bg->ready_fd);
		if (read(fds[0], &c, 1) == 1)
			_exit(EXIT_OK);
		_exit(waitpid(child, &ret, 0) == child ? exit_status(ret) : EXIT_FAILED);
	}
	fd_close(&fds[0]);
	if (!ret && setsid() < 0)
		ret = -errno;
	return ret;
}

void fs_background_detach(struct fs_background *bg)
{
	for (int fd = 0; bg->null_fd >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(bg->null_fd, fd);
	fd_close(&bg->null_fd);
}

void fs_background_ready(struct fs_background *bg)
{
	if (bg->ready_fd >= 0 && write(bg->ready_fd, "r", 1) != 1)
		log_warn(NULL, "nobody waits for us to be ready any more");
	fd_close(&bg->ready_fd);
}

#define NOFILE_DEFAULT 1000000u
#define NOFILE_REGIONS 512u /* memory regions of the guest, each a file */
#define NOFILE_QUEUE   8u   /* kick, call, err, the I/O engine's */
#define NOFILE_OTHERS  128u
#define NOFILE_LEAST   64u /* for the guest */

static uint64_t nr_open(void)
{
	uint64_t n = 1u << 20; /* what it is if nobody changes it */
	FILE *f = fopen("/proc/sys/fs/nr_open", "re");

	if (f && fscanf(f, "%" SCNu64, &n) != 1)
		n = 1u << 20;
	if (f)
		fclose(f);
	return n;
}

static int set_nofile(uint64_t soft, uint64_t hard)
{
	const struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };

	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* The limit as it was asked for, or as near to the default as it can be. 0 or -errno. */
static int change_nofile(uint32_t wanted, struct rlimit *now)
{
	uint64_t target = wanted == FS_NOFILE_DEFAULT ? MIN(NOFILE_DEFAULT, nr_open()) : wanted;
	int ret;

	if (!wanted || (wanted == FS_NOFILE_DEFAULT && now->rlim_cur >= NOFILE_DEFAULT))
		return 0;
	ret = set_nofile(target, target);
	if (ret && wanted == FS_NOFILE_DEFAULT) {
		log_info(NULL, "the limit of open files is %" PRIu64 ", not %" PRIu64,
			 (uint64_t)now->rlim_max, target);
		target = now->rlim_max;
		ret = set_nofile(target, target);
	}
	if (!ret)
		now->rlim_cur = target;
	return ret;
}

int fs_process_nofile(uint32_t wanted, struct fs_config *cfg)
{
	uint64_t ours = NOFILE_REGIONS + NOFILE_OTHERS +
			(uint64_t)NOFILE_QUEUE * (cfg->num_queues + 1);
	uint64_t window = 0;
	struct rlimit now;
	int ret = getrlimit(RLIMIT_NOFILE, &now) < 0 ? -errno : 0;

	if (!ret)
		ret = change_nofile(wanted, &now);
	if (ret) {
		log_err(NULL, "cannot set the limit of open files: %s", strerror(-ret));
		return ret;
	}
	if (now.rlim_cur < ours + NOFILE_LEAST) {
		log_err(NULL,
			"a limit of %" PRIu64 " open files is too low: it takes %" PRIu64
			" with %u queues",
			(uint64_t)now.rlim_cur, ours + NOFILE_LEAST, cfg->num_queues);
		return -EMFILE;
	}
	cfg->rlimit_nofile = now.rlim_cur;
	cfg->guest_fds = now.rlim_cur - ours;
	/* Each mapping may be of another file. The rest is for files that the guest has open. */
	if (cfg->dax_window)
		window = MIN(cfg->dax_maps, cfg->guest_fds / 4);
	cfg->max_inode_fds = (cfg->guest_fds - window) / 4 * 3;
	log_debug(NULL, "%" PRIu64 " descriptors, %" PRIu64 " of them for inodes",
		  cfg->rlimit_nofile, cfg->max_inode_fds);
	return 0;
}
