/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: vdax-fsyncs DISK PROCESSES SECONDS
 *
 * Each process writes a block of its own and calls fsync, again and again. Prints how often that
 * was together.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Never returns. */
static void write_block(const char *disk, unsigned int number, double end, unsigned long *count)
{
	static const char block[BLOCK];
	int fd = open(disk, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		exit(1);
	while (now() < end) {
		if (pwrite(fd, block, BLOCK, (off_t)number * BLOCK) != BLOCK || fsync(fd))
			exit(1);
		(*count)++;
	}
	exit(0);
}

int main(int argc, char **argv)
{
	unsigned int processes = argc == 4 ? (unsigned int)atoi(argv[2]) : 0;
	unsigned long total = 0, *counts;
	double end;
	int status, failed = 0;

	if (!processes)
		return 2;
	counts = mmap(NULL, processes * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 1;
	end = now() + atof(argv[3]);
	for (unsigned int i = 0; i < processes; i++)
		if (fork() == 0)
			write_block(argv[1], i, end, &counts[i]);
	while (wait(&status) > 0)
		failed |= status;
	for (unsigned int i = 0; i < processes; i++)
		total += counts[i];
	printf("fsyncs %lu\n", total);
	return failed ? 1 : 0;
}
