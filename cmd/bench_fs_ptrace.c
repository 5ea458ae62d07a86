/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Only the thread that has attached may wait and go on, so a thread of its own does all. It
 * sleeps in waitpid(). To end it, a tracee gets a signal that means nothing, which is a stop; the
 * thread then interrupts them all, and detaches each at its next stop.
 */
#include "cmd/bench_fs_ptrace.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX   256u
#define SYSCALL_STOP  (SIGTRAP | 0x80)
#define EVENT_OF(st)  ((st) >> 16)
#define TRACE_OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK)

struct bench_tracer {
	const struct bench_daemon *d;
	pthread_t thread;
	sem_t attached;
	bool failed;
	atomic_bool quit;
	uint64_t calls;

	/* Tracees; those that are gone stay in the list. */
	pid_t tid[THREADS_MAX];
	bool in_call[THREADS_MAX];
	bool gone[THREADS_MAX];
	unsigned n;
};

static int index_of(struct bench_tracer *t, pid_t tid)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (t->tid[i] == tid)
			return (int)i;
	}
	if (t->n == THREADS_MAX)
		return -1;
	t->tid[t->n] = tid;
	t->in_call[t->n] = t->gone[t->n] = false;
	return (int)t->n++;
}

static bool attach(struct bench_tracer *t, pid_t pid)
{
	char path[64];
	struct dirent *e;
	DIR *tasks;
	bool ok = true;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks))) {
		pid_t tid = atoi(e->d_name);

		if (tid <= 0)
			continue;
		ok = ok && !ptrace(PTRACE_SEIZE, tid, NULL, (void *)TRACE_OPTIONS) &&
		     !ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) && index_of(t, tid) >= 0;
	}
	if (tasks)
		closedir(tasks);
	return ok;
}

/* A stop of tracee i: count it, and let it go on, with the signal that it was sent, if any. */
static void go_on(struct bench_tracer *t, int i, int status)
{
	int signal = WSTOPSIG(status), pass = 0;

	if (signal == SYSCALL_STOP) {
		t->in_call[i] = !t->in_call[i];
		t->calls += t->in_call[i];
	} else if (!EVENT_OF(status)) {
		pass = signal;
	}
	if (atomic_load(&t->quit)) {
		ptrace(PTRACE_DETACH, t->tid[i], NULL, (void *)(intptr_t)pass);
		t->gone[i] = true;
	} else {
		ptrace(PTRACE_SYSCALL, t->tid[i], NULL, (void *)(intptr_t)pass);
	}
}

static bool all_gone(const struct bench_tracer *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (!t->gone[i])
			return false;
	}
	return true;
}

static void *trace(void *arg)
{
	struct bench_tracer *t = arg;
	bool told = false;

	for (unsigned i = 0; i < t->d->n_pids; i++)
		t->failed = !attach(t, t->d->pids[i]) || t->failed;
	sem_post(&t->attached);
	while (!all_gone(t)) {
		int status, i;
		pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD);

		if (atomic_load(&t->quit) && !told) {
			told = true;
			for (unsigned k = 0; k < t->n; k++)
				ptrace(PTRACE_INTERRUPT, t->tid[k], NULL, NULL);
		}
		if (tid < 0 && errno != EINTR)
			break;
		if (tid < 0)
			continue;
		i = index_of(t, tid);
		if (i < 0)
			ptrace(PTRACE_DETACH, tid, NULL, NULL);
		else if (WIFSTOPPED(status))
			go_on(t, i, status);
		else
			t->gone[i] = true;
	}
	return NULL;
}

struct bench_tracer *bench_ptrace_start(const struct bench_daemon *d)
{
	struct bench_tracer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->d = d;
	sem_init(&t->attached, 0, 0);
	if (pthread_create(&t->thread, NULL, trace, t)) {
		free(t);
		return NULL;
	}
	while (sem_wait(&t->attached) < 0)
		;
	if (!t->failed)
		return t;
	bench_ptrace_stop(t);
	return NULL;
}

uint64_t bench_ptrace_stop(struct bench_tracer *t)
{
	uint64_t calls;

	atomic_store(&t->quit, true);
	for (unsigned i = 0; i < t->d->n_pids; i++)
		kill(t->d->pids[i], SIGCONT);
	pthread_join(t->thread, NULL);
	calls = t->calls;
	sem_destroy(&t->attached);
	free(t);
	return calls;
}
