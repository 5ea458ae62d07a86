/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"

/* Writes text to a file of /proc/self. 0 or -errno. */
static int write_self(const char *file, const char *text)
{
	int ret = 0, fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	fd_close(&fd);
	return ret;
}

/* A user namespace in which we are who we were, and may make the other ones. */
static int enter_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int ret;

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	ret = write_self("/proc/self/setgroups", "deny");
	if (!ret) {
		snprintf(map, sizeof(map), "%u %u 1", uid, uid);
		ret = write_self("/proc/self/uid_map", map);
	}
	if (!ret) {
		snprintf(map, sizeof(map), "%u %u 1", gid, gid);
		ret = write_self("/proc/self/gid_map", map);
	}
	return ret;
}

/* Replaces the root by an empty file system that nothing can be written to. */
static int empty_root(void)
{
	static const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	/* /proc is only a place that every system has; the old root goes with the last line. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=1") < 0 ||
	    chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int enter_namespaces(void)
{
	static const int kinds = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;
	int ret;

	if (unshare(kinds) < 0) {
		if (errno != EPERM)
			return -errno;
		ret = enter_user_namespace();
		if (ret)
			return ret;
		if (unshare(kinds) < 0)
			return -errno;
	}
	return empty_root();
}

static int drop_capabilities(void)
{
	/* The bounding set first, while we may; an ordinary user need not. */
	capng_clear(CAPNG_SELECT_ALL);
	capng_apply(CAPNG_SELECT_BOUNDS);
	capng_apply(CAPNG_SELECT_AMBIENT);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return 0;
}

int sandbox_enter(void)
{
	int ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		ret = -errno;
		log_err(NULL, "sandbox: no_new_privs: %s", strerror(-ret));
		return ret;
	}
	ret = enter_namespaces();
	if (ret)
		log_info(NULL, "sandbox: not all namespaces are permitted here (%s); going on",
			 strerror(-ret));
	ret = drop_capabilities();
	if (ret)
		log_err(NULL, "sandbox: cannot drop capabilities");
	return ret;
}

/* What the daemon calls once it serves, and who calls it. */
static const int allowed[] = {
	/* host/loop.c, vhost/worker.c: waiting */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(futex),
	SCMP_SYS(restart_syscall),
	/* host/fd.c, host/log.c */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev), /* the C library's last words */
	SCMP_SYS(close),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	/* vhost/sock.c, vhost/vhost.c, cmd/control.c: sockets that are there, and their clients */
	SCMP_SYS(accept4),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(getsockopt),
	SCMP_SYS(pidfd_open), /* vhost/peer.c: does who had the file mapped still live? */
	/* virtio/mem.c, vhost/regions.c: guest memory */
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatfs),
	/* pmem/image.c, pmem/latch.c */
	SCMP_SYS(fdatasync),
	SCMP_SYS(lseek),
	SCMP_SYS(fsync),
	SCMP_SYS(fsetxattr),
	/* malloc, and the end of threads and of the process */
	SCMP_SYS(brk),
	SCMP_SYS(mremap),
	SCMP_SYS(getrandom),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* signals: virtio/fault.c, abort() */
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
};

/* Calls that are allowed with some arguments only: (argument & mask) == value. */
struct restricted {
	int call;
	unsigned arg; /* its index */
	uint64_t mask, value;
};

static int allow_restricted(scmp_filter_ctx ctx, const struct restricted *r)
{
	const struct scmp_arg_cmp cmp = {
		.arg = r->arg,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = r->mask,
		.datum_b = r->value,
	};

	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->call, 1, &cmp);
}

static int allow_calls(scmp_filter_ctx ctx, int mark_dirfd)
{
	const struct restricted restricted[] = {
		/* what virtio/ and vhost/ ask of a descriptor */
		{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_GETFL },
		{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_SETFL },
		{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_GET_SEALS },
		/* memory, but no code */
		{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
		{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
		/* abort() */
		{ SCMP_SYS(tgkill), 0, UINT64_MAX, (uint64_t)getpid() },
		/* pmem/latch.c: the last one, as it is not always there */
		{ SCMP_SYS(openat), 0, UINT32_MAX, (uint32_t)mark_dirfd },
	};
	size_t n = ARRAY_SIZE(restricted) - (mark_dirfd < 0);
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(allowed); i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; !ret && i < n; i++)
		ret = allow_restricted(ctx, &restricted[i]);
	return ret;
}

int sandbox_lock(int mark_dirfd)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = -ENOMEM;

	if (ctx)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!ret)
		ret = allow_calls(ctx, mark_dirfd);
	if (!ret)
		ret = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	if (ret)
		log_err(NULL, "sandbox: cannot set the system-call filter: %s", strerror(-ret));
	return ret;
}
