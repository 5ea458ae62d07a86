/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/filter.c: what happens at calls that are listed, and at others. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/filter.h"
#include "fs/seccomp.h"
#include "tests/lib/check.h"

#define TRAPPED 42

#ifndef __has_feature
#define __has_feature(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define OWN_CALLS "the sanitizer makes system calls of its own"
#elif __has_feature(thread_sanitizer)
#define OWN_CALLS "the sanitizer fails now and then in the handler of a trapped call"
#else
#define OWN_CALLS NULL
#endif

static const int with_getppid[] = { SCMP_SYS(getppid), SCMP_SYS(read), SYSCALLS_END };
static const int again[] = { SCMP_SYS(getppid), SYSCALLS_END };
static const int *const calls[] = { with_getppid, again, NULL };
static const struct syscall_rule with_process[] = {
	{ SCMP_SYS(getpriority), 0, UINT64_MAX, PRIO_PROCESS },
	{ SCMP_SYS(fcntl), 1, UINT64_MAX, F_GETFL }, /* the common rules have it, too */
	SYSCALL_RULES_END,
};
static const struct syscall_rule *const rules[] = { with_process, NULL };

/* Without what a sanitizer does at an end. */
static _Noreturn void end(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

static void do_nothing(void)
{
}

static void do_getppid(void)
{
	syscall(SYS_getppid);
}

static void do_getpriority(void)
{
	syscall(SYS_getpriority, PRIO_PROCESS, 0);
}

static void do_getpriority_user(void)
{
	syscall(SYS_getpriority, PRIO_USER, 0);
}

static void do_getfl(void)
{
	syscall(SYS_fcntl, 0, F_GETFL);
}

static void do_dupfd(void)
{
	syscall(SYS_fcntl, 0, F_DUPFD, 0);
}

static void do_map(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_map_code(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_execve(void)
{
	syscall(SYS_execve, "/nonexistent", NULL, NULL);
}

#define SIGNAL(number) (1000 + (number))

static const struct {
	const char *name;
	enum filter_action action;
	bool own; /* with the lists above */
	void (*act)(void);
	int end; /* the exit status, or a signal */
} cases[] = {
	{ "nothing", FILTER_KILL, false, do_nothing, 0 },
	{ "listed", FILTER_KILL, true, do_getppid, 0 },
	{ "not listed", FILTER_KILL, false, do_getppid, SIGNAL(SIGSYS) },
	{ "by argument", FILTER_KILL, true, do_getpriority, 0 },
	{ "another argument", FILTER_KILL, true, do_getpriority_user, SIGNAL(SIGSYS) },
	{ "twice by argument", FILTER_KILL, true, do_getfl, 0 },
	{ "common by argument", FILTER_KILL, false, do_getfl, 0 },
	{ "common, another argument", FILTER_KILL, true, do_dupfd, SIGNAL(SIGSYS) },
	{ "memory", FILTER_KILL, true, do_map, 0 },
	{ "code", FILTER_KILL, true, do_map_code, SIGNAL(SIGSYS) },
	{ "program", FILTER_KILL, true, do_execve, SIGNAL(SIGSYS) },
	{ "trap", FILTER_TRAP, false, do_getppid, TRAPPED },
	{ "trap, listed", FILTER_TRAP, true, do_getppid, 0 },
	{ "log", FILTER_LOG, false, do_getppid, 0 },
	{ "log a program", FILTER_LOG, false, do_execve, 0 },
	{ "none", FILTER_NONE, false, do_getppid, 0 },
};

static void trapped(int sig)
{
	(void)sig;
	end(TRAPPED);
}

static int end_of(pid_t pid)
{
	int status;

	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL(WTERMSIG(status));
}

static void test_calls(void)
{
	const struct filter lists = { .calls = calls, .rules = rules };
	const struct filter none = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid = fork();

		if (!pid) {
			if (cases[i].action == FILTER_TRAP)
				signal(SIGSYS, trapped);
			if (filter_lock(cases[i].action, cases[i].own ? &lists : &none))
				end(99);
			cases[i].act();
			end(0);
		}
		CHECK_EQ(cases[i].name, end_of(pid), cases[i].end);
	}
}

static void *wait_and_call(void *arg)
{
	const int *fds = arg;
	char c;

	if (read(fds[0], &c, 1) == 1)
		syscall(SYS_getppid);
	end(0);
}

/* The filter is for threads that are there already, too. */
static void test_threads(void)
{
	const struct filter none = { 0 };
	pid_t pid = fork();

	if (!pid) {
		pthread_t thread;
		int fds[2];

		if (pipe(fds) || pthread_create(&thread, NULL, wait_and_call, fds) ||
		    filter_lock(FILTER_KILL, &none) || write(fds[1], "x", 1) != 1)
			end(99);
		pthread_join(thread, NULL);
		end(98);
	}
	CHECK_EQ("thread", end_of(pid), SIGNAL(SIGSYS));
}

#define MANY 32

static pthread_barrier_t all;

static void *wait_and_allocate(void *arg)
{
	const int *fds = arg;
	char c;

	if (read(fds[0], &c, 1) != 1)
		end(97);
	free(malloc(100));
	pthread_barrier_wait(&all); /* who has ended leaves its place to the next */
	return NULL;
}

/* As many threads as there are queues at most may allocate, be it for the first time. */
static void test_malloc(void)
{
	const struct filter none = { 0 };
	pid_t pid = fork();

	if (!pid) {
		pthread_t threads[MANY];
		char go[MANY] = { 0 };
		int fds[2];

		if (pipe(fds) || pthread_barrier_init(&all, NULL, MANY))
			end(99);
		for (size_t i = 0; i < MANY; i++)
			if (pthread_create(&threads[i], NULL, wait_and_allocate, fds))
				end(98);
		if (filter_lock(FILTER_KILL, &none) || write(fds[1], go, MANY) != MANY)
			end(96);
		for (size_t i = 0; i < MANY; i++)
			pthread_join(threads[i], NULL);
		end(0);
	}
	CHECK_EQ("malloc", end_of(pid), 0);
}

static int by_address(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

/* To sort many, the C library may ask how much memory there is. The first time that it does so. */
static void test_sort(void)
{
	static const char place[1000];
	static const char *items[ARRAY_SIZE(place)];
	const struct filter fs = { .calls = fs_syscalls, .rules = fs_syscall_rules };
	pid_t pid = fork();

	if (!pid) {
		for (size_t i = 0; i < ARRAY_SIZE(items); i++)
			items[i] = &place[i * 7919 % ARRAY_SIZE(items)];
		if (filter_lock(FILTER_KILL, &fs))
			end(99);
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that are sorted */
		qsort(items, ARRAY_SIZE(items), sizeof(items[0]), by_address);
		end(items[1] == &place[1] ? 0 : 98);
	}
	CHECK_EQ("sort", end_of(pid), 0);
}

int main(void)
{
	if (OWN_CALLS)
		check_skip(OWN_CALLS);
	test_calls();
	test_threads();
	test_malloc();
	test_sort();
	return check_done();
}
