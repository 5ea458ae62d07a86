/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/filter.h"
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

int sandbox_user_namespace(uint32_t uid_inside, uint32_t gid_inside)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int ret;

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	ret = write_self("/proc/self/setgroups", "deny");
	if (!ret) {
		snprintf(map, sizeof(map), "%u %u 1", uid_inside, uid);
		ret = write_self("/proc/self/uid_map", map);
	}
	if (!ret) {
		snprintf(map, sizeof(map), "%u %u 1", gid_inside, gid);
		ret = write_self("/proc/self/gid_map", map);
	}
	return ret;
}

int sandbox_pivot(void)
{
	/* The old root is on top of the new one then, at ".", and goes from there. */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

int sandbox_empty_root(void)
{
	static const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	/* /proc is only a place that every system has; the old root goes with the last line. */
	if (mount("none", "/proc", "tmpfs", flags, "size=4k,nr_inodes=1") < 0 || chdir("/proc") < 0)
		return -errno;
	return sandbox_pivot();
}

static int enter_namespaces(void)
{
	static const int kinds = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;
	int ret;

	if (unshare(kinds) < 0) {
		if (errno != EPERM)
			return -errno;
		ret = sandbox_user_namespace(geteuid(), getegid());
		if (ret)
			return ret;
		if (unshare(kinds) < 0)
			return -errno;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return sandbox_empty_root();
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

/* pmem/image.c, pmem/latch.c */
static const int pmem_calls[] = {
	SCMP_SYS(fdatasync),
	SCMP_SYS(fsync),
	SCMP_SYS(fsetxattr),
	SYSCALLS_END,
};

int sandbox_lock(int mark_dirfd)
{
	const struct syscall_rule mark[] = {
		/* pmem/latch.c */
		{ SCMP_SYS(openat), 0, UINT32_MAX, (uint32_t)mark_dirfd },
		SYSCALL_RULES_END,
	};
	const int *const calls[] = { pmem_calls, NULL };
	const struct syscall_rule *const rules[] = { mark, NULL };
	const struct filter own = { .calls = calls, .rules = mark_dirfd < 0 ? NULL : rules };

	return filter_lock(FILTER_KILL, &own);
}
