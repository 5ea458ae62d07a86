/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths relative to the share, and which inode is there. A path is followed one component at a
 * time and never over a symbolic link or "..", so it ends in the share whatever it says.
 */
#ifndef FS_STATE_PATH_H
#define FS_STATE_PATH_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/state.h"

struct fs;
struct inode;

/* The way that was gone last: mostly the next one begins with it. */
struct state_walk {
	struct fs *fs;
	int parent; /* O_PATH, of dir; -1: none */
	size_t dir_len;
	char dir[STATE_PATH_MAX + 1];
};

void walk_init(struct state_walk *w, struct fs *fs);
void walk_fini(struct state_walk *w);

/* Is that a path as the state has them? len without a NUL; may be 0. */
bool path_ok(const char *path, size_t len);

/* The directory of a path: a descriptor that is borrowed until the next call, and the last
 * component, in path. -errno. */
int walk_parent(struct state_walk *w, const char *path, const char **name);

/* What is at path: an O_PATH descriptor, the caller's. -errno. */
int walk_open(struct state_walk *w, const char *path);

/*
 * Where the open descriptor fd is, into path, of STATE_PATH_MAX + 1 bytes; and it was there just
 * now. -ESTALE: not there where the kernel says, or nowhere in the share.
 */
int path_of_fd(struct state_walk *w, int fd, char *path);

/* Is what is at path the inode's file? Borrows. */
bool path_leads_to(struct state_walk *w, const char *path, const struct inode *i);

/* The same for a name in a directory. */
bool name_is(struct fs *fs, int dir, const char *name, const struct inode *i);

/* A file handle. */
struct state_fh {
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	};
};

/* Of fd and name, or with name "" of fd itself. 0 or -errno. */
int fh_of(int fd, const char *name, struct state_fh *out);
/* The one that is known, if handle_len is not 0. */
void fh_of_inode(const struct inode *i, struct state_fh *out);
bool fh_equal(const struct state_fh *a, const struct state_fh *b);

/* A name as a message may show it: no control characters, and not too long. */
struct shown {
	char s[128];
};
struct shown shown(const char *path);

/* Files whose place in the share is looked for. */
struct search_item {
	const struct inode *inode;
	char *path; /* what was found, malloc()ed; or NULL */
};

/*
 * Goes through the whole share, until all are found. pause() is called now and then, and ends it
 * if it returns non-zero, which is returned. 0 also if some are not there; -ENOMEM.
 */
int state_search(struct fs *fs, struct search_item **items, size_t n, int (*pause)(void *ctx),
		 void *ctx);

#endif
