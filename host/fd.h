/* SPDX-License-Identifier: BSD-2-Clause */
/* File descriptors: -1 is "absent", closing twice is safe. */
#ifndef HOST_FD_H
#define HOST_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Closes *fd if there is one and makes it -1. errno is kept. */
void fd_close(int *fd);

/* Closes all of them. */
void fd_close_all(int *fds, size_t n);

/* 0 or -errno. Changes the open file, so also what other holders of it see. */
int fd_set_nonblock(int fd);

/* Makes an eventfd (or pipe) readable. 0 or -errno; a full counter is readable already: 0. */
int fd_signal(int fd);

/* Would a write not wait? What has no room is signalled already. */
bool fd_has_room(int fd);

/* Takes what is readable from an eventfd, timerfd or pipe that does not block. */
void fd_drain(int fd);

/* Arms a timerfd once, ns from now (0 disarms). 0 or -errno. */
int fd_timer_set(int fd, uint64_t ns);

#define NS_PER_S 1000000000u

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t clock_ns(void);

#endif
