/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CMD_LISTEN_H
#define CMD_LISTEN_H

#include <stdbool.h>

/*
 * A listening unix socket at path, for this user only. One that nobody listens on any more
 * is replaced. The descriptor, or -errno after a message.
 */
int listen_unix(const char *path);

/* An inherited socket: is it one, and does it listen? 0 or -errno after a message. */
int inherited_socket(int fd, bool *listening);

/* Connects to a unix socket. The descriptor, or -errno. */
int connect_unix(const char *path);

#endif
