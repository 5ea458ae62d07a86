/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Does a link of that folder (a process's fd or map_files) lead to the file? */
static bool links_to(int procfd, const char *folder, const struct stat *file)
{
	int fd = openat(procfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;
	bool found = false;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (e = readdir(dir)))
		found = fstatat(fd, e->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
			st.st_ino == file->st_ino;
	closedir(dir);
	return found;
}

static void read_comm(int procfd, char *name, size_t len)
{
	int fd = openat(procfd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, name, len - 1);

	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

void holder_name(int fd, char *who, size_t len)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	struct stat file;
	char name[32];

	who[0] = '\0';
	if (!proc || fstat(fd, &file) < 0)
		goto out;
	while (!who[0] && (e = readdir(proc))) {
		int procfd;

		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == getpid())
			continue;
		procfd = openat(dirfd(proc), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (procfd < 0)
			continue;
		if (links_to(procfd, "fd", &file) || links_to(procfd, "map_files", &file)) {
			read_comm(procfd, name, sizeof(name));
			snprintf(who, len, "%s (pid %s)", name, e->d_name);
		}
		close(procfd);
	}
out:
	if (proc)
		closedir(proc);
}
