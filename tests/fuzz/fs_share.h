/* SPDX-License-Identifier: BSD-2-Clause */
/* A share for hostile requests, made anew for each input, and beside it what must not change. */
#ifndef TESTS_FUZZ_FS_SHARE_H
#define TESTS_FUZZ_FS_SHARE_H

struct fs_share {
	char top[64], path[80];
	int fd;	     /* O_PATH, of the share */
	int proc_fd; /* O_PATH: /proc/self/fd */
};

/* Ends the process if that is not possible. Removed again at exit. */
void share_make(struct fs_share *s);

/* Takes away what the former input has left, and puts the files there that seeds expect. */
void share_fill(const struct fs_share *s);

/* Is all outside of it as it was? Ends the process if not. */
void share_check(const struct fs_share *s);

#endif
