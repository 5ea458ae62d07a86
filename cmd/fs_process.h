/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax fs` as processes. The one that the caller started stays outside of the namespaces: it
 * hands on signals, waits for the server, takes its exit status and removes what is left behind.
 * If it is killed, the server is killed with it.
 */
#ifndef CMD_FS_PROCESS_H
#define CMD_FS_PROCESS_H

#include <stdint.h>

#include "fs/config.h"

/* What the process that stays outside does. Both may be NULL; ctx is theirs. */
struct fs_outside {
	void (*let_go)(void *ctx); /* closes what only the server shall have open */
	void (*at_end)(void *ctx); /* the server has ended */
	void *ctx;
};

/*
 * Forks. Returns 0 in the new process, whose end follows that of this one; the rest of this one
 * runs in here, and exits. -errno if there is no new process. While there is one thread.
 *
 * SIGTERM, SIGINT and SIGHUP are blocked from then on: the first process of a pid namespace does
 * not get what it neither blocks nor handles, and what comes while it starts must not be lost.
 */
int fs_process_split(const struct fs_outside *out);

/* --daemonize. Descriptors are -1 where there is nothing to do. */
struct fs_background {
	int ready_fd; /* pipe to the process that the caller waits for */
	int null_fd;  /* what becomes of stdin, stdout and stderr */
};

/*
 * Goes to the background: returns 0 in a new process, and the process that the caller started
 * waits in here until fs_background_ready() or the end of the new one. -errno if there is none.
 */
int fs_background_enter(struct fs_background *bg);

/* Lets go of the terminal. Needs calls that the system-call filter does not know. */
void fs_background_detach(struct fs_background *bg);

/* The waiting process exits with status 0. */
void fs_background_ready(struct fs_background *bg);

/* wanted: as --rlimit-nofile. Sets what is in cfg about it. 0, or -errno after a message. */
int fs_process_nofile(uint32_t wanted, struct fs_config *cfg);

#endif
