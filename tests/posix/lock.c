/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks: of processes, of descriptions, of whole files; also those that wait. */
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include "tests/posix/posix.h"

static int lock(int fd, int command, short type, off_t start, off_t length)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length
	};

	return fcntl(fd, command, &l);
}

static void show_holder(const char *what, int fd, int command, short type, off_t start,
			off_t length)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length
	};

	if (fcntl(fd, command, &l) < 0)
		say("%s: %s", what, strerrorname_np(errno));
	else if (l.l_type == F_UNLCK)
		say("%s: free", what);
	else
		say("%s: %s %lld+%lld, holder %s", what, l.l_type == F_RDLCK ? "read" : "write",
		    (long long)l.l_start, (long long)l.l_len,
		    l.l_pid == getppid() ? "parent"
		    : l.l_pid == -1	 ? "none"
					 : "other");
}

struct probe {
	int command; /* F_SETLK or F_OFD_SETLK */
	int query;
};

/* What another process can have of the first 100 bytes, byte range by byte range. */
static void probe_ranges(void *arg)
{
	const struct probe *p = arg;
	int fd = open("f", O_RDWR);

	for (off_t at = 0; at < 100; at += 10) {
		with("other at %lld", (long long)at);
		T(lock(fd, p->command, F_RDLCK, at, 10));
		T(lock(fd, p->command, F_WRLCK, at, 10));
		T(lock(fd, p->command, F_UNLCK, at, 10));
		show_holder("query", fd, p->query, F_WRLCK, at, 10);
		show_holder("query read", fd, p->query, F_RDLCK, at, 10);
	}
	with("%s", "");
}

static const struct {
	const char *name;
	struct {
		short type;
		off_t at, length;
	} steps[5];
} patterns[] = {
	{ "one", { { F_WRLCK, 20, 20 } } },
	{ "read", { { F_RDLCK, 20, 20 } } },
	{ "split", { { F_WRLCK, 0, 100 }, { F_UNLCK, 40, 10 } } },
	{ "down in the middle", { { F_WRLCK, 10, 60 }, { F_RDLCK, 30, 20 } } },
	{ "up at the edge", { { F_RDLCK, 10, 60 }, { F_WRLCK, 0, 25 } } },
	{ "merge", { { F_WRLCK, 0, 20 }, { F_WRLCK, 20, 20 }, { F_WRLCK, 60, 5 } } },
	{ "to the end", { { F_WRLCK, 50, 0 } } },
	{ "all and none", { { F_WRLCK, 0, 0 }, { F_UNLCK, 0, 0 } } },
	{ "all but the end", { { F_WRLCK, 0, 0 }, { F_UNLCK, 70, 0 } } },
};

static void each_pattern(const struct probe *p)
{
	make_file("f", "content");
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		int fd = open("f", O_RDWR);

		for (size_t k = 0; k < 5 && (patterns[i].steps[k].length ||
					     patterns[i].steps[k].at || patterns[i].steps[k].type);
		     k++) {
			with("%s", patterns[i].name);
			T(lock(fd, p->command, patterns[i].steps[k].type, patterns[i].steps[k].at,
			       patterns[i].steps[k].length));
		}
		say("other %d", in_child(probe_ranges, (void *)(uintptr_t)p));
		close(fd);
		with("%s closed", patterns[i].name);
		say("other %d", in_child(probe_ranges, (void *)(uintptr_t)p));
	}
}

static void of_processes(void)
{
	each_pattern(&(struct probe){ F_SETLK, F_GETLK });
}

static void of_descriptions(void)
{
	each_pattern(&(struct probe){ F_OFD_SETLK, F_OFD_GETLK });
}

/* Both kinds know of each other. */
static void mixed(void)
{
	int a, b;

	make_file("f", "x");
	a = open("f", O_RDWR);
	b = open("f", O_RDWR);
	T(lock(a, F_SETLK, F_WRLCK, 0, 10));
	T(lock(b, F_SETLK, F_WRLCK, 0, 10)); /* same process */
	T(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
	T(lock(b, F_OFD_SETLK, F_WRLCK, 50, 10));
	T(lock(a, F_OFD_SETLK, F_WRLCK, 50, 10));
	T(lock(a, F_SETLK, F_WRLCK, 50, 10));
	close(b); /* ends the process's lock too */
	b = open("f", O_RDWR);
	T(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

static void errors(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = 9 };
	int fd, p[2];

	make_file("f", "0123456789");
	fd = open("f", O_RDONLY);
	T(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	T(lock(fd, F_SETLK, F_RDLCK, 0, 10));
	T(lock(open("f", O_WRONLY), F_SETLK, F_RDLCK, 0, 10));
	T(lock(open("f", O_WRONLY), F_SETLK, F_WRLCK, 0, 10));
	T(lock(open("f", O_PATH), F_SETLK, F_RDLCK, 0, 10));
	T(lock(fd, F_SETLK, 17, 0, 10));
	T(lock(fd, F_SETLK, F_RDLCK, -5, 10));
	T(lock(fd, F_SETLK, F_RDLCK, 5, -5));
	T(lock(fd, F_SETLK, F_RDLCK, 5, -6));
	T(lock(fd, F_SETLK, F_RDLCK, INT64_MAX, 1));
	T(lock(fd, F_SETLK, F_RDLCK, INT64_MAX, 2));
	T(fcntl(fd, F_SETLK, &l));
	T(fcntl(fd, F_SETLK, nowhere()));
	T(lock(fd, F_GETLK, F_UNLCK, 0, 10));
	T(lock(-1, F_SETLK, F_RDLCK, 0, 10));
	T(lock(open(".", O_RDONLY), F_SETLK, F_RDLCK, 0, 10));
	l = (struct flock){ .l_type = F_RDLCK, .l_whence = SEEK_END, .l_start = -3, .l_len = 2 };
	T(fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_pid = 5 };
	T(fcntl(fd, F_OFD_SETLK, &l));
	MUST(pipe(p));
	T(lock(p[0], F_SETLK, F_RDLCK, 0, 10));
}

static void on_alarm(int number)
{
	(void)number;
}

static void catch_alarm(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	MUST(sigaction(SIGUSR1, &action, NULL));
}

/* A signal after some time, again and again: one that comes before the wait is not the last. */
static pid_t signal_me(void)
{
	pid_t me = getpid(), pid = fork();

	if (!pid) {
		for (int i = 0; i < 40; i++) {
			nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
			kill(me, SIGUSR1);
		}
		_exit(0);
	}
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Holds what take() takes until it is killed. */
static pid_t holder(int (*take)(int fd, int wait))
{
	int ready[2];
	char c;
	pid_t pid;

	MUST(pipe(ready));
	pid = fork();
	if (!pid) {
		int fd = open("f", O_RDWR);

		if (take(fd, 0) < 0)
			_exit(1);
		MUST(write(ready[1], "r", 1));
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		broken("the holder has no lock");
	close(ready[0]);
	return pid;
}

static int take_process(int fd, int wait)
{
	return lock(fd, wait ? F_SETLKW : F_SETLK, F_WRLCK, 0, 10);
}

static int take_description(int fd, int wait)
{
	return lock(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, F_WRLCK, 0, 10);
}

static int take_whole(int fd, int wait)
{
	return flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
}

static const struct {
	const char *name;
	int (*take)(int fd, int wait);
} kinds[] = {
	{ "process", take_process },
	{ "description", take_description },
	{ "flock", take_whole },
};

/* Ends the holder after some time. */
static pid_t end_later(pid_t holder, int ms)
{
	pid_t pid = fork();

	if (!pid) {
		nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
		kill(holder, SIGKILL);
		_exit(0);
	}
	return pid;
}

/* Where a signal does not end the wait, the holder's end does. */
static void waiting_ended_by_signal(void)
{
	make_file("f", "x");
	catch_alarm();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		pid_t other = holder(kinds[i].take), bell, killer;
		int fd = open("f", O_RDWR);

		with("%s", kinds[i].name);
		T(kinds[i].take(fd, 0));
		killer = end_later(other, 1500);
		bell = signal_me();
		T(kinds[i].take(fd, 1));
		end_child(bell);
		end_child(killer);
		end_child(other);
		with("%s, then", kinds[i].name);
		T(kinds[i].take(fd, 1));
		close(fd);
	}
}

/* The lock comes when the other one goes, not before. */
static void waiting_ended_by_unlock(void)
{
	make_file("f", "x");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		pid_t other = holder(kinds[i].take), killer;
		int fd = open("f", O_RDWR);
		struct timespec begin, end;
		long ms;

		with("%s", kinds[i].name);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		killer = end_later(other, 300);
		T(kinds[i].take(fd, 1));
		clock_gettime(CLOCK_MONOTONIC, &end);
		ms = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
		say("waited %d, not too long %d", ms >= 250, ms < 5000);
		waitpid(killer, NULL, 0);
		waitpid(other, NULL, 0);
		close(fd);
	}
}

static bool gone_soon(pid_t pid)
{
	for (int i = 0; i < 50; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		tick();
	}
	return false;
}

/* Where the waiter does not end before it has the lock, it ends then. */
static void killed_while_waiting(void)
{
	make_file("f", "x");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		pid_t other = holder(kinds[i].take), waiter = fork();
		bool gone;
		int fd;

		if (!waiter) {
			fd = open("f", O_RDWR);
			kinds[i].take(fd, 1);
			_exit(0);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 200 * 1000 * 1000 }, NULL);
		kill(waiter, SIGKILL);
		gone = gone_soon(waiter);
		fd = open("f", O_RDWR);
		with("%s", kinds[i].name);
		say("the waiter is gone: %d", gone);
		T(kinds[i].take(fd, 0));
		end_child(other);
		if (!gone)
			waitpid(waiter, NULL, 0);
		T(kinds[i].take(fd, 1)); /* the dead one does not keep it */
		close(fd);
	}
}

static void deadlock(void)
{
	int fd, ready[2], go[2];
	pid_t pid;
	char c;

	make_file("f", "x");
	fd = open("f", O_RDWR);
	MUST(pipe(ready));
	MUST(pipe(go));
	T(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	pid = fork();
	if (!pid) {
		int mine = open("f", O_RDWR);

		lock(mine, F_SETLK, F_WRLCK, 20, 10);
		MUST(write(ready[1], "r", 1));
		lock(mine, F_SETLKW, F_WRLCK, 0, 10); /* waits for the parent */
		_exit(0);
	}
	MUST(read(ready[0], &c, 1));
	nanosleep(&(struct timespec){ .tv_nsec = 300 * 1000 * 1000 }, NULL);
	T(lock(fd, F_SETLKW, F_WRLCK, 20, 10));
	T(lock(fd, F_SETLK, F_UNLCK, 0, 10)); /* else not even a signal may end the other */
	end_child(pid);
	T(lock(fd, F_SETLK, F_WRLCK, 20, 10));
}

static void try_flock(void *arg)
{
	int fd = open("f", O_RDWR);

	(void)arg;
	T(flock(fd, LOCK_SH | LOCK_NB));
	T(flock(fd, LOCK_EX | LOCK_NB));
}

static void whole_files(void)
{
	int a, b, copy, read_only;

	make_file("f", "x");
	a = open("f", O_RDWR);
	b = open("f", O_RDWR);
	read_only = open("f", O_RDONLY);
	T(flock(a, LOCK_SH));
	T(flock(b, LOCK_SH));
	T(flock(b, LOCK_EX | LOCK_NB));
	say("child %d", in_child(try_flock, NULL));
	T(flock(b, LOCK_UN));
	T(flock(a, LOCK_EX | LOCK_NB));
	say("child %d", in_child(try_flock, NULL));
	copy = dup(a);
	T(flock(copy, LOCK_SH));
	T(flock(b, LOCK_SH | LOCK_NB));
	close(a);
	T(flock(b, LOCK_EX | LOCK_NB)); /* the copy still has it */
	close(copy);
	T(flock(b, LOCK_EX | LOCK_NB));
	T(flock(read_only, LOCK_EX | LOCK_NB));
	T(flock(b, LOCK_UN));
	T(flock(read_only, LOCK_EX | LOCK_NB));
	T(flock(b, 77));
	T(flock(open("f", O_PATH), LOCK_SH));
	T(flock(-1, LOCK_SH));
	T(flock(open(".", O_RDONLY), LOCK_EX | LOCK_NB));
	T(lock(b, F_SETLK, F_WRLCK, 0, 0)); /* the two kinds do not mix */
	T(unlink("f"));
	T(flock(b, LOCK_EX | LOCK_NB));
	T(flock(read_only, LOCK_UN));
	T(flock(b, LOCK_EX | LOCK_NB));
}

static void many(void)
{
	int fd, got = 0;

	make_file("f", "x");
	fd = open("f", O_RDWR);
	for (int i = 0; i < 500; i++)
		got += lock(fd, F_SETLK, F_WRLCK, i * 4, 2) == 0;
	say("got %d", got);
	say("other %d", in_child(probe_ranges, &(struct probe){ F_SETLK, F_GETLK }));
	T(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	say("other %d", in_child(probe_ranges, &(struct probe){ F_SETLK, F_GETLK }));
}

static void take_turns(void *arg)
{
	int fd = open("f", O_RDWR), kind = *(int *)arg;

	for (int i = 0; i < 50; i++) {
		char text[16] = "";

		MUST(kinds[kind].take(fd, 1));
		MUST(pread(fd, text, 8, 0));
		snprintf(text, sizeof(text), "%08d", atoi(text) + 1);
		MUST(pwrite(fd, text, 8, 0));
		if (kind == 2)
			MUST(flock(fd, LOCK_UN));
		else
			MUST(lock(fd, kind ? F_OFD_SETLK : F_SETLK, F_UNLCK, 0, 0));
	}
}

/* A counter in a file, kept right by nothing but locks. */
static void counting(void)
{
	for (int kind = 0; kind < 3; kind++) {
		pid_t pids[3];

		make_file("f", "00000000");
		for (int i = 0; i < 3; i++) {
			pids[i] = fork();
			if (!pids[i]) {
				take_turns(&kind);
				_exit(0);
			}
		}
		for (int i = 0; i < 3; i++)
			waitpid(pids[i], NULL, 0);
		with("%s", kinds[kind].name);
		show_content("f");
	}
}

static const struct posix_case lock_cases[] = {
	POSIX_CASE(of_processes),
	POSIX_CASE(of_descriptions),
	POSIX_CASE(mixed),
	POSIX_CASE(errors),
	POSIX_CASE(waiting_ended_by_signal),
	POSIX_CASE(waiting_ended_by_unlock),
	POSIX_CASE(killed_while_waiting),
	POSIX_CASE(deadlock),
	POSIX_CASE(whole_files),
	POSIX_CASE(many),
	POSIX_CASE(counting),
};

POSIX_GROUP(lock);
