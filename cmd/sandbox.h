/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Privilege goes in stages, all before the first byte from a peer is read. Everything the
 * daemon needs is open by then.
 *
 *   sandbox_enter()  while there is one thread: no_new_privs; namespaces with an empty,
 *                    read-only root, no network and no IPC, where the system permits it (as an
 *                    ordinary user through a user namespace); no capabilities.
 *   sandbox_lock()   when all threads exist: the system-call allow-list, for all of them.
 *                    A call that is not listed ends the process.
 */
#ifndef CMD_SANDBOX_H
#define CMD_SANDBOX_H

#include <stdint.h>

/* 0, or -errno after a message. Namespaces that are not permitted are no error. */
int sandbox_enter(void);

/* mark_dirfd: where the latch may have to create its mark, or -1. 0, or -errno after a message. */
int sandbox_lock(int mark_dirfd);

/*
 * Parts of the first stage, for a device whose root is not empty. While there is one thread. 0 or
 * -errno.
 */
/* A user namespace that knows only us, under these numbers, and in which we may make the others. */
int sandbox_user_namespace(uint32_t uid_inside, uint32_t gid_inside);
/* The working directory, the root of a mount, becomes the root; nothing of the old one remains. */
int sandbox_pivot(void);
/* An empty file system that nothing can be written to becomes the root. */
int sandbox_empty_root(void);

#endif
