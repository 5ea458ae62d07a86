/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where `vdax fs` meets its front end. A socket path has a file PATH.pid beside it, which is
 * locked: two daemons never fight about a path, and what the last one left is not in the way.
 */
#ifndef CMD_FS_SOCKET_H
#define CMD_FS_SOCKET_H

#include <stdbool.h>

#include "cmd/fs_options.h"

struct fs_socket {
	const char *path; /* borrowed; NULL: the socket was inherited */
	char *pid_path;	  /* owned */
	int fd;		  /* the socket */
	bool listening;	  /* or it is connected */
	bool bound;	  /* path is ours */
	int control_fd;	  /* listens, or -1 */
	int pid_fd;	  /* holds the lock, or -1 */
	/* For fs_socket_remove(). */
	int dir_fd;		  /* O_PATH, of the directory that path is in */
	int control_dir_fd;	  /* the same of the control socket */
	const char *control_path; /* borrowed; NULL: there is none */
};

/* Descriptors are -1 before. 0, or -errno after a message; fs_socket_close() in both cases. */
int fs_socket_open(struct fs_socket *s, const struct fs_options *o);

/* Removes the sockets and the file, as the last to go: from outside of the sandbox. */
void fs_socket_remove(struct fs_socket *s);

/* Gives up what is needed for that; and, if another process has it, the lock. */
void fs_socket_stay(struct fs_socket *s, bool keep_lock);

void fs_socket_close(struct fs_socket *s);

#endif
