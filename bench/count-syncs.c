/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the syncs of a program, and makes them slower: for bench/kmod, loaded into QEMU by
 * LD_PRELOAD. COUNT_SYNCS is a file whose first 8 bytes become the number of syncs that have ended;
 * COUNT_SYNCS_DELAY_US is added to each.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int sync_fn(int);

static _Atomic uint64_t *count;
static struct timespec delay;
static sync_fn *real_fsync, *real_fdatasync;

/* dlsym() gives functions as pointers to data, which ISO C does not convert. */
static sync_fn *next(const char *name)
{
	union {
		void *data;
		sync_fn *function;
	} u = { .data = dlsym(RTLD_NEXT, name) };

	return u.function;
}

/* Whoever starts QEMU loads this too, and does not sync. */
__attribute__((constructor)) static void start(void)
{
	const char *us = getenv("COUNT_SYNCS_DELAY_US");
	const char *path = getenv("COUNT_SYNCS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	real_fsync = next("fsync");
	real_fdatasync = next("fdatasync");
	if (us)
		delay = (struct timespec){ atol(us) / 1000000, atol(us) % 1000000 * 1000 };
	if (fd < 0) {
		perror("COUNT_SYNCS");
		abort();
	}
	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (count == MAP_FAILED) {
		perror(path);
		abort();
	}
	close(fd);
}

static int counted(sync_fn *real, int fd)
{
	int ret;

	if (delay.tv_sec || delay.tv_nsec)
		nanosleep(&delay, NULL);
	ret = real(fd);
	atomic_fetch_add(count, 1);
	return ret;
}

int fsync(int fd)
{
	return counted(real_fsync, fd);
}

int fdatasync(int fd)
{
	return counted(real_fdatasync, fd);
}
