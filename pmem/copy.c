/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"
#include "virtio/device.h"

/* An unnamed file beside the image that shares its blocks, or -errno. */
static int reflink(const char *path, int fd)
{
	char dir[PATH_MAX];
	int copy, err;

	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	copy = open(dirname(dir), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (copy < 0)
		return -errno;
	if (ioctl(copy, FICLONE, fd) == 0)
		return copy;
	err = errno;
	fd_close(&copy);
	return -err;
}

/* MemAvailable of the machine, in bytes; 0 if it does not say. */
static uint64_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * KIB(1);
}

/* Copies [off, end) of from to the same place of to. 0 or -errno. */
static int copy_range(int from, int to, off_t off, off_t end)
{
	static char buf[1 << 16];

	while (off < end) {
		ssize_t n = pread(from, buf, (size_t)MIN(end - off, (off_t)sizeof(buf)), off);

		if (n > 0)
			n = pwrite(to, buf, (size_t)n, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO; /* the image ends early: somebody truncates it */
		off += n;
	}
	return 0;
}

/* Copies what is not a hole. A file system that cannot tell has no holes. */
static int copy_data(int from, int to, off_t size)
{
	off_t data = 0, hole = 0;
	int ret = 0;

	while (!ret && hole < size) {
		data = lseek(from, hole, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? size : lseek(from, data, SEEK_HOLE);
		ret = copy_range(from, to, data < 0 ? 0 : data, hole < 0 ? size : MIN(hole, size));
		if (hole < 0)
			break;
	}
	return ret;
}

static int memory_copy(int fd, uint64_t size)
{
	int copy = memfd_create("vdax-read-only", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret = 0;

	if (copy < 0)
		return -errno;
	if (ftruncate(copy, (off_t)size) < 0)
		ret = -errno;
	if (!ret)
		ret = copy_data(fd, copy, (off_t)size);
	if (!ret && fcntl(copy, F_ADD_SEALS, SHM_MEMFD_SEALS) < 0)
		ret = -errno;
	if (ret)
		fd_close(&copy);
	return ret ? ret : copy;
}

int copy_private(const char *path, int fd, uint64_t size, uint64_t limit, const char **kind)
{
	int copy = reflink(path, fd);

	*kind = "reflink copy";
	if (copy >= 0) {
		log_info(path,
			 "a reflink copy: if the disk is full when the guest stores, the VM is "
			 "killed");
		return copy;
	}
	*kind = "memory copy";
	if (!limit)
		limit = memory_available() / 2;
	if (size > limit) {
		log_err(path,
			"--read-only needs a private copy: this file system makes no reflinks, and "
			"%" PRIu64 " MiB do not fit the limit of %" PRIu64 " MiB for a copy in "
			"memory; raise it with --copy-limit, or use XFS or Btrfs",
			size / MIB(1), limit / MIB(1));
		return -ENOSPC;
	}
	copy = memory_copy(fd, size);
	if (copy < 0)
		log_err(path, "cannot copy the image to memory: %s", strerror(-copy));
	return copy;
}
