/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fault.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

/* Where this thread goes on after a fault; NULL outside a guard. */
static _Thread_local sigjmp_buf *volatile fault_env;

static void on_sigbus(int sig)
{
	if (fault_env)
		siglongjmp(*fault_env, 1);
	/* Not ours: with the default action back, the access faults again and ends us. */
	signal(sig, SIG_DFL);
}

int fault_init(void)
{
	/* NODEFER: the jump does not restore the signal mask, so nothing may be blocked. */
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };

	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

int fault_guard(int (*fn)(void *arg), void *arg)
{
	sigjmp_buf env;
	int ret;

	assert(!fault_env);
	if (sigsetjmp(env, 0)) {
		fault_env = NULL;
		return -EFAULT;
	}
	fault_env = &env;
	ret = fn(arg);
	fault_env = NULL;
	return ret;
}
