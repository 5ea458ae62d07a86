/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/log.h"

/* What every daemon calls once it serves. */
static const int common[] = {
	/* host/loop.c, vhost/worker.c: waiting */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(futex),
	SCMP_SYS(restart_syscall),
	/* host/fd.c, host/log.c, host/log_syslog.c */
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
	SCMP_SYS(lseek),
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
	SYSCALLS_END,
};

static const struct syscall_rule common_rules[] = {
	/* what virtio/ and vhost/ ask of a descriptor */
	{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_GETFL },
	{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_SETFL },
	{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_GET_SEALS },
	/* memory, but no code */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	SYSCALL_RULES_END,
};

/*
 * As many threads as this allocate without waiting for one another. If nobody says how many, the C
 * library looks into /sys when there are more, which may be long after the filter is there.
 */
#define ARENAS 8

/* Two modules may need the same call: that is one rule. */
static int unless_there(int ret)
{
	return ret == -EEXIST ? 0 : ret;
}

static int allow_calls(scmp_filter_ctx ctx, const int *calls)
{
	int ret = 0;

	/* What an architecture does not have, libseccomp passes over. */
	for (; !ret && *calls != SYSCALLS_END; calls++)
		ret = unless_there(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *calls, 0));
	return ret;
}

static int allow_rules(scmp_filter_ctx ctx, const struct syscall_rule *r)
{
	int ret = 0;

	for (; !ret && r->call != SYSCALLS_END; r++) {
		const struct scmp_arg_cmp cmp = {
			.arg = r->arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = r->mask,
			.datum_b = r->value,
		};

		ret = unless_there(seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->call, 1, &cmp));
	}
	return ret;
}

static int allow_all(scmp_filter_ctx ctx, const struct filter *own)
{
	const struct syscall_rule of_process[] = {
		/* abort() */
		{ SCMP_SYS(tgkill), 0, UINT64_MAX, (uint64_t)getpid() },
		SYSCALL_RULES_END,
	};
	int ret = allow_calls(ctx, common);

	if (!ret)
		ret = allow_rules(ctx, common_rules);
	if (!ret)
		ret = allow_rules(ctx, of_process);
	for (size_t i = 0; !ret && own->calls && own->calls[i]; i++)
		ret = allow_calls(ctx, own->calls[i]);
	for (size_t i = 0; !ret && own->rules && own->rules[i]; i++)
		ret = allow_rules(ctx, own->rules[i]);
	return ret;
}

int filter_lock(enum filter_action action, const struct filter *own)
{
	static const uint32_t actions[] = {
		[FILTER_KILL] = SCMP_ACT_KILL_PROCESS,
		[FILTER_LOG] = SCMP_ACT_LOG,
		[FILTER_TRAP] = SCMP_ACT_TRAP,
	};
	scmp_filter_ctx ctx;
	int ret = -ENOMEM;

	if (action == FILTER_NONE)
		return 0;
	mallopt(M_ARENA_MAX, ARENAS);
	ctx = seccomp_init(actions[action]);
	if (ctx)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Some hundred calls: looked for as in a tree, not one after the other. */
	if (!ret)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = allow_all(ctx, own);
	if (!ret)
		ret = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	if (ret)
		log_err(NULL, "sandbox: cannot set the system-call filter: %s", strerror(-ret));
	return ret;
}
