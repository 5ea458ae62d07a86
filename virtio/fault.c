/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fault.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Where this thread goes on after a fault; NULL outside a guard. */
static _Thread_local sigjmp_buf *volatile fault_env;

static void on_sigbus(int sig)
{
	sigset_t bus;

	if (fault_env) {
		/* The jump does not restore the mask, and the next fault must get here too. */
		sigemptyset(&bus);
		sigaddset(&bus, sig);
		pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
		siglongjmp(*fault_env, 1);
	}
	/* Not ours. Raised again, because a signal that was sent has no access to repeat. */
	signal(sig, SIG_DFL);
	raise(sig);
}

int fault_init(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus };

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
	/* The accesses of fn stay between these two, also if it is compiled into this. */
	atomic_signal_fence(memory_order_seq_cst);
	ret = fn(arg);
	atomic_signal_fence(memory_order_seq_cst);
	fault_env = NULL;
	return ret;
}
