/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/fault.c: memory that goes away under an access. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "virtio/fault.h"

#define ROUNDS 2000

/* A page of a file that is no longer there. */
static char *truncated_page(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char *p;

	REQUIRE(fd >= 0 && ftruncate(fd, 1) == 0);
	p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED && ftruncate(fd, 0) == 0);
	close(fd);
	return p;
}

static int load(void *arg)
{
	return *(volatile char *)arg;
}

static int store(void *arg)
{
	*(volatile char *)arg = 1;
	return 0;
}

static int minus_one(void *arg)
{
	(void)arg;
	return -1;
}

static void test_guard(void)
{
	char *gone = truncated_page();
	char here = 42;

	CHECK_EQ("good load", fault_guard(load, &here), 42);
	CHECK_EQ("own error", fault_guard(minus_one, NULL), -1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK_EQ("load", fault_guard(load, gone), -EFAULT);
		CHECK_EQ("store", fault_guard(store, gone), -EFAULT);
		CHECK_EQ("good load after a fault", fault_guard(load, &here), 42);
	}
	munmap(gone, 1);
}

/* Returns the number of wrong answers. */
static void *fault_thread(void *arg)
{
	uintptr_t wrong = 0;
	char here = 7;

	for (unsigned i = 0; i < ROUNDS; i++) {
		wrong += fault_guard(load, arg) != -EFAULT;
		wrong += fault_guard(load, &here) != 7;
	}
	return (void *)wrong;
}

static void test_threads(void)
{
	char *gone = truncated_page();
	pthread_t t[2];
	void *wrong;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		REQUIRE(pthread_create(&t[i], NULL, fault_thread, gone) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pthread_join(t[i], &wrong);
		CHECK_EQ("wrong answers", (uintptr_t)wrong, 0);
	}
	munmap(gone, 1);
}

static void unguarded(char *gone)
{
	load(gone);
}

static void unguarded_after_guard(char *gone)
{
	fault_guard(load, gone);
	load(gone);
}

static void raised(char *gone)
{
	(void)gone;
	raise(SIGBUS);
}

static void *kill_main(void *arg)
{
	pthread_kill(*(pthread_t *)arg, SIGBUS);
	return NULL;
}

static void sent_by_a_thread(char *gone)
{
	pthread_t self = pthread_self(), t;

	(void)gone;
	if (pthread_create(&t, NULL, kill_main, &self) == 0)
		pthread_join(t, NULL);
}

static const struct {
	const char *name;
	void (*fn)(char *gone);
} fatal_cases[] = {
	{ "outside a guard", unguarded },
	{ "after a guard that faulted", unguarded_after_guard },
	{ "raised", raised },
	{ "sent by a thread", sent_by_a_thread },
};

/* A SIGBUS that is not the guest memory's ends the process, as it would without us. */
static void test_fatal(void)
{
	const struct rlimit no_core = { 0 };
	char *gone = truncated_page();

	for (size_t i = 0; i < ARRAY_SIZE(fatal_cases); i++) {
		int status = 0;
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (!pid) {
			setrlimit(RLIMIT_CORE, &no_core);
			alarm(10);
			fatal_cases[i].fn(gone);
			_exit(0);
		}
		REQUIRE(waitpid(pid, &status, 0) == pid);
		CHECK_NAMED(fatal_cases[i].name, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	}
	munmap(gone, 1);
}

int main(void)
{
	REQUIRE(fault_init() == 0);
	test_guard();
	test_fatal();
	test_threads();
	return check_done();
}
