/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In a guest: processes that make, write, rename, link, truncate, sync, read back and remove many
 * files in one directory of each and in one of all, like those of a busy file server. What has to
 * be left is known, and the last process looks whether it is.
 *
 * usage: meta_load DIRECTORY PROCESSES ROUNDS
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT 8		 /* files of each process: the last rounds' */
#define MOST (40 * 1024) /* bytes of a file */

static unsigned char data[MOST], seen[MOST];

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "meta_load: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

/* What is in a file depends on who has made it and when. */
static size_t contents(unsigned process, unsigned round)
{
	size_t size = 1 + (process * 7919u + round * 4093u) % MOST;

	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(process * 31u + round * 17u + i / 61u + i);
	return size;
}

static void path_of(char *path, unsigned process, unsigned round)
{
	snprintf(path, PATH_MAX, "p%u/f%u", process, round);
}

static void make(const char *path, unsigned process, unsigned round)
{
	size_t size = contents(process, round);
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		fail("write", path);
	if (round % 2 && (ftruncate(fd, (off_t)size / 2) ||
			  pwrite(fd, data + size / 2, size - size / 2, (off_t)size / 2) < 0))
		fail("truncate", path);
	if (round % 3 == 0 && fsync(fd))
		fail("fsync", path);
	if (round % 3 == 1 && fdatasync(fd))
		fail("fdatasync", path);
	close(fd);
}

static void check(unsigned process, unsigned round)
{
	size_t size = contents(process, round);
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	path_of(path, process, round);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, seen, sizeof(seen));
	if (n != (ssize_t)size || memcmp(data, seen, size))
		fail("other contents", path);
	close(fd);
}

/* Through a name in the directory of all, to the own one. */
static void one_round(unsigned process, unsigned round)
{
	char path[PATH_MAX], common[PATH_MAX];

	snprintf(common, sizeof(common), "all/%u.%u", process, round);
	path_of(path, process, round);
	make(common, process, round);
	if (round % 4 == 2) {
		if (link(common, path) || unlink(common))
			fail("link", path);
	} else if (rename(common, path)) {
		fail("rename", path);
	}
	if (round < KEPT)
		return;
	check(process, round - KEPT);
	path_of(path, process, round - KEPT);
	if (unlink(path))
		fail("unlink", path);
}

static void work(unsigned process, unsigned rounds)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "p%u", process);
	if (mkdir(path, 0700))
		fail("mkdir", path);
	for (unsigned round = 0; round < rounds; round++)
		one_round(process, round);
}

static unsigned count(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	if (!dir)
		fail("opendir", path);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void check_all(unsigned processes, unsigned rounds)
{
	unsigned kept = rounds < KEPT ? rounds : KEPT;
	char path[PATH_MAX];

	errno = 0;
	if (count("all") || count(".") != processes + 1)
		fail("too many or too few names in", ".");
	for (unsigned process = 0; process < processes; process++) {
		snprintf(path, sizeof(path), "p%u", process);
		if (count(path) != kept)
			fail("too many or too few names in", path);
		for (unsigned i = 0; i < kept; i++)
			check(process, rounds - 1 - i);
	}
}

int main(int argc, char **argv)
{
	unsigned processes = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	unsigned rounds = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	int status, bad = 0;

	if (!rounds || mkdir(argv[1], 0700) || chdir(argv[1]) || mkdir("all", 0700)) {
		perror("meta_load DIRECTORY PROCESSES ROUNDS");
		return 1;
	}
	for (unsigned process = 0; process < processes; process++) {
		if (fork())
			continue;
		work(process, rounds);
		_exit(0);
	}
	while (wait(&status) > 0)
		bad |= status;
	if (bad)
		return 1;
	check_all(processes, rounds);
	return 0;
}
