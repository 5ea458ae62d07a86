/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real daemon process for a test: `vdax pmem`, or vdax-testd with something between it
 * and its file. Each has a folder of its own, which goes when the test ends, as does the process.
 *
 * From the environment, set by meson: VDAX and VDAX_TESTD_PROGRAM are the programs,
 * VDAX_SANDBOX is what --sandbox gets (none where sanitizers need more system calls).
 */
#ifndef TESTS_LIB_DAEMON_H
#define TESTS_LIB_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/align.h"

#define DAEMON_IMAGE_SIZE MIB(4)
#define DAEMON_MAX_ARGS	  16u

struct daemon_opts {
	const char *testd; /* VDAX_TESTD for vdax-testd; NULL: plain vdax */
	bool stall;	   /* vdax-testd whose syncs wait for daemon_release() */
	int *fd;	   /* --fd with this socket, closed here afterwards; NULL: --socket-path */
	const char *const *args; /* more options, ends with NULL; or NULL */
	bool no_slots;		 /* without --memory-slots, as users mostly run it */
	bool keep_image;	 /* there is one already: a restart with the same struct daemon */
};

struct daemon {
	pid_t pid; /* 0: does not run */
	char dir[64];
	char image[96], sock[96], ctl[96], log[96], fifo[96];
};

/* What a connection can leak: compared before and after. */
struct daemon_use {
	int fds, threads, ram_maps;
};

/* Starts one and waits until it serves. d is all zero the first time. Ends the test if that fails.
 */
void daemon_start(struct daemon *d, const struct daemon_opts *opts);

/* Its exit status, 128 + signal, or -ETIMEDOUT. It does not run any more, unless the last. */
int daemon_wait(struct daemon *d, int timeout_ms);

void daemon_signal(const struct daemon *d, int sig);

/* SIGTERM, and what daemon_wait() says. The folder stays, for a restart. */
int daemon_stop(struct daemon *d);

/* A number from the control socket, or -1 if it does not answer. */
int64_t daemon_stat(const struct daemon *d, const char *key);

/* Waits up to 5 s for daemon_stat() to be (at least) this. */
bool daemon_stat_becomes(const struct daemon *d, const char *key, int64_t value);
bool daemon_stat_reaches(const struct daemon *d, const char *key, int64_t value);

/* Has it written this to its log? Waits up to 2 s for it. */
bool daemon_logged(const struct daemon *d, const char *text);

/* Lets n syncs of a stalled daemon go on, or all from now on if n is 0. */
void daemon_release(const struct daemon *d, unsigned n);

struct daemon_use daemon_use(const struct daemon *d);

/* Waits up to 5 s for the use to be again what it was (a closed connection takes its time). */
bool daemon_use_returns(const struct daemon *d, const struct daemon_use *before);

/* A connected pair, a listening socket at path. They end the test if that fails. */
void make_pair(int pair[2]);
int make_listener(const char *path);

void sleep_ms(unsigned ms);

#endif
