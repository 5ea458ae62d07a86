/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the cases of the conformance suite are made of.
 *
 * A case says nothing about what is right. It makes system calls and prints, line by line, what
 * came back: results, names of errors, attributes, hashes. The runner has it done on a plain host
 * directory and in a guest on a share, and compares the lines. So a line holds only what has to be
 * equal: no descriptor, no inode number, no absolute time.
 *
 * Each case runs in a process and an empty directory of its own (mode 0755, the working directory),
 * as root with umask 022, and is killed after CASE_SECONDS.
 */
#ifndef TESTS_POSIX_POSIX_H
#define TESTS_POSIX_POSIX_H
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CASE_SECONDS  30

struct posix_case {
	const char *name;
	void (*run)(void);
};

struct posix_group {
	const char *name;
	const struct posix_case *cases;
	size_t n;
};

#define POSIX_CASE(function)                       \
	{                                          \
		.name = #function, .run = function \
	}
#define POSIX_GROUP(word) \
	const struct posix_group word##_group = { #word, word##_cases, ARRAY_SIZE(word##_cases) }

extern const struct posix_group open_group, tree_group, rename_group, node_group, size_group,
	data_group, map_group, mode_group, perm_group, stat_group, list_group, xattr_group,
	acl_group, lock_group, name_group, control_group, hold_group;

/* Prints one line of the case, after what with() has said. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* In a loop: what the following lines are about. An empty text ends that. */
__attribute__((format(printf, 1, 2))) void with(const char *format, ...);

/* Ends the case: what it tests is not there. */
__attribute__((noreturn)) void skip(const char *why);

/* Ends the case as a failure on both sides: it could not be set up. */
__attribute__((noreturn)) void broken(const char *what);

/* Print the result of a call, or the name of errno; return the result. */
long show(const char *what, long result);
int show_fd(const char *what, int fd);

#define T(call)	 (errno = 0, show(#call, (long)(call)))
#define FD(call) (errno = 0, show_fd(#call, (call)))

/* For what has to work before the case can ask its question. */
#define MUST(call)                     \
	do {                           \
		if ((call) < 0)        \
			broken(#call); \
	} while (0)

/* Type, mode, links, owners and size, of the link itself if it is one. */
void show_stat(const char *path);
void show_fstat(const char *what, int fd);

/* Length and hash of all the bytes. */
void show_content(const char *path);
void show_fd_content(const char *what, int fd);
uint64_t hash(const void *data, size_t size);

/* The sorted names in a directory, each with its type. */
void show_names(const char *path);

/* Files for the case; broken() if that does not work. */
void make_file(const char *path, const char *content);
void make_dir(const char *path, mode_t mode);
/* size bytes that look like no others with the same seed */
void make_big(const char *path, size_t size, unsigned seed);
void fill(void *buffer, size_t size, unsigned seed);

/* Makes the calls that follow those of another user; groups end with 0 (as_root() takes it back).
 */
void as_user(uid_t uid, gid_t gid, const gid_t *groups);
void as_root(void);

/* An address that is not mapped. */
void *nowhere(void);

/* A pause longer than the grain of time stamps. */
void tick(void);

/* Runs do_it(arg) in a process and returns its exit status. Its lines are printed first. */
int in_child(void (*do_it)(void *), void *arg);

/*
 * Which times of a file differ between two looks, as letters m and c. Reading what is cached does
 * not reach the host, so nothing is said about the time of access.
 */
const char *changed_times(const struct stat *before, const struct stat *after);
struct stat look(const char *path);
#endif
