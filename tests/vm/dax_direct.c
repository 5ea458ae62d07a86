/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In a guest: moves data between a mapped file and a file that is open with O_DIRECT, so that the
 * buffers of the requests are the mapping itself. If the first is on DAX, they are in its image.
 *
 * usage: dax_direct write|read MAPPED FILE    (from MAPPED to FILE, or from FILE)
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int move(int to_file, char *mapped, off_t size, int fd)
{
	ssize_t n;

	for (off_t done = 0; done < size; done += n) {
		size_t left = (size_t)(size - done);

		n = to_file ? pwrite(fd, mapped + done, left, done)
			    : pread(fd, mapped + done, left, done);
		if (n < 0)
			return fail(to_file ? "write" : "read");
		if (n == 0) {
			fprintf(stderr, "the file ends at %lld\n", (long long)done);
			return 1;
		}
	}
	return msync(mapped, (size_t)size, MS_SYNC) < 0 ? fail("msync") : 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	char *mapped;
	int from, fd;

	if (argc != 4)
		return 2;
	from = open(argv[2], O_RDWR);
	if (from < 0 || fstat(from, &st) < 0)
		return fail(argv[2]);
	mapped = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, from, 0);
	if (mapped == MAP_FAILED)
		return fail("mmap");
	fd = open(argv[3], O_RDWR | O_CREAT | O_DIRECT, 0644);
	if (fd < 0)
		return fail(argv[3]);
	return move(!strcmp(argv[1], "write"), mapped, st.st_size, fd);
}
