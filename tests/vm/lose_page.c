/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In a guest, as root: the memory below the third page of a file is lost, as if the host had had a
 * memory error there. It cannot be loaded or read, nor written in part; its neighbours can; and
 * when it is written as a whole it is good again.
 *
 * usage: lose_page FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE  ((size_t)4096)
#define PAGES 8
#define LOST  2

static sigjmp_buf interrupted;
static char buffer[PAGE];

static void on_bus_error(int number)
{
	(void)number;
	siglongjmp(interrupted, 1);
}

static void want(const char *what, int ok)
{
	if (ok)
		return;
	fprintf(stderr, "%s: not so (%s)\n", what, strerror(errno));
	exit(1);
}

/* The byte there, or -1 for a bus error. */
static int load(const char *at)
{
	return sigsetjmp(interrupted, 1) ? -1 : *(const volatile char *)at;
}

static void lose(char *page)
{
	/* who uses the page is told at once */
	if (!sigsetjmp(interrupted, 1))
		want("MADV_HWPOISON", !madvise(page, PAGE, MADV_HWPOISON));
}

static void look_around(int fd)
{
	want("the page before", pread(fd, buffer, PAGE, (LOST - 1) * PAGE) == (ssize_t)PAGE);
	want("the page after", pread(fd, buffer, PAGE, (LOST + 1) * PAGE) == (ssize_t)PAGE);
	want("reading fails", pread(fd, buffer, PAGE, LOST * PAGE) < 0 && errno == EIO);
	want("writing a part fails", pwrite(fd, buffer, 100, LOST * PAGE) < 0);
}

static void write_anew(int fd)
{
	memset(buffer, 'n', PAGE);
	want("writing", pwrite(fd, buffer, PAGE, LOST * PAGE) == (ssize_t)PAGE);
	memset(buffer, 0, PAGE);
	want("reading", pread(fd, buffer, PAGE, LOST * PAGE) == (ssize_t)PAGE && *buffer == 'n');
	want("fsync", !fsync(fd));
}

static char *map(int fd)
{
	char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	want("mmap", at != MAP_FAILED);
	return at;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	char *at;

	want("open", fd >= 0);
	memset(buffer, 'o', PAGE);
	for (int i = 0; i < PAGES; i++)
		want("write", pwrite(fd, buffer, PAGE, i * (off_t)PAGE) == (ssize_t)PAGE);
	want("fsync", !fsync(fd));
	signal(SIGBUS, on_bus_error);
	at = map(fd);
	want("loading before", load(at + LOST * PAGE) == 'o');
	lose(at + LOST * PAGE);
	want("loading ends in SIGBUS", load(at + LOST * PAGE) == -1);
	look_around(fd);
	write_anew(fd);
	munmap(at, PAGES * PAGE);
	want("loading after", load(map(fd) + LOST * PAGE) == 'n');
	return 0;
}
