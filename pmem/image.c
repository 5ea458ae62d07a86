/* SPDX-License-Identifier: BSD-2-Clause */
#include "pmem/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/align.h"
#include "host/fd.h"
#include "host/log.h"
#include "pmem/copy.h"
#include "pmem/holder.h"
#include "wire/pmem.h"

/*
 * Bytes of the file or block device behind fd, into *size. 0 or -errno. Not by fstat(): that
 * asks for the time of the last change, and since Linux 6.13 whoever has asked makes the
 * next store of the guest take a new one, so that each sync has to write the inode as well.
 */
static int get_size(int fd, uint64_t *size)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	*size = (uint64_t)end;
	return 0;
}

/* A whole-file lock that lives as long as the open file, so also in those it is sent to. */
static int lock(const char *path, int fd, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };
	char who[128];
	int err;

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	err = errno;
	if (err != EAGAIN && err != EACCES) {
		log_err(path, "cannot lock the image: %s; its file system must support OFD locks",
			strerror(err));
		return -err;
	}
	holder_name(fd, who, sizeof(who));
	log_err(path, "in use by another process%s%s; an image belongs to one VM at a time",
		*who ? ": " : "", who);
	return -EBUSY;
}

static int check_size(const char *path, uint64_t size, bool is_block)
{
	uint64_t down = align_down(size, PMEM_ALIGN), up = down + PMEM_ALIGN;

	if (size && is_aligned(size, PMEM_ALIGN))
		return 0;
	if (is_block)
		log_err(path,
			"its size, %" PRIu64
			" bytes, is not a multiple of 2 MiB; use a partition or "
			"volume of %" PRIu64 " bytes",
			size, down);
	else
		log_err(path,
			"its size, %" PRIu64
			" bytes, is not a multiple of 2 MiB; make it larger with: "
			"vdax pmem --grow %" PRIu64 "M %s",
			size, up / MIB(1), path);
	return -EINVAL;
}

/*
 * Allocates blocks of its own for what has none, or shares them with a copy of the file, so that
 * no store of the guest finds the disk full.
 */
static int allocate(const char *path, int fd, uint64_t size)
{
	int err;

	if (fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, (off_t)size) == 0)
		return 0;
	if (errno == EOPNOTSUPP && fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	err = errno;
	if (err == EOPNOTSUPP)
		log_err(path, "its file system cannot reserve space; --sparse goes without, and "
			      "then a full disk ends the VM");
	else
		log_err(path,
			"cannot reserve %" PRIu64 " MiB: %s; free some space, or use --sparse, and "
			"then a full disk ends the VM",
			size / MIB(1), strerror(err));
	return -err;
}

/* Gives the file its size, with blocks or without. */
static int extend(const char *path, int fd, uint64_t size, bool sparse)
{
	if (!sparse)
		return allocate(path, fd, size);
	if (ftruncate(fd, (off_t)size) < 0) {
		int err = errno;

		log_err(path, "cannot make it %" PRIu64 " MiB large: %s", size / MIB(1),
			strerror(err));
		return -err;
	}
	return 0;
}

static int check_wanted_size(const char *path, uint64_t size)
{
	if (size && is_aligned(size, PMEM_ALIGN) && size <= INT64_MAX / 2)
		return 0;
	log_err(path, "an image must be a multiple of 2 MiB large; %" PRIu64 "M would do",
		size > INT64_MAX / 2 ? INT64_MAX / 2 / PMEM_ALIGN * 2
				     : (align_down(size, PMEM_ALIGN) + PMEM_ALIGN) / MIB(1));
	return -EINVAL;
}

/* Makes a new file durable, and its name. 0 or -errno. */
static int sync_new(const char *path, int fd)
{
	char dir[PATH_MAX];
	int dirfd, ret = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsync(fd) < 0 || dirfd < 0 || fsync(dirfd) < 0) {
		ret = -errno;
		log_err(path, "cannot write the image: %s", strerror(-ret));
	}
	fd_close(&dirfd);
	return ret;
}

int image_create(const char *path, uint64_t size, bool sparse)
{
	int fd, ret = check_wanted_size(path, size);

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		ret = -errno;
		log_err(path, "cannot create the image: %s", strerror(-ret));
		return ret;
	}
	ret = extend(path, fd, size, sparse);
	if (!ret)
		ret = sync_new(path, fd);
	if (ret)
		unlink(path);
	fd_close(&fd);
	return ret;
}

/* What failed half-way is undone, or the image would have a size that nobody asked for. */
static int grow_locked(const char *path, int fd, uint64_t size, bool sparse)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > size) {
		log_err(path, "it is larger already: %" PRIu64 " bytes", (uint64_t)st.st_size);
		return -EINVAL;
	}
	ret = extend(path, fd, size, sparse);
	if (!ret && fsync(fd) < 0) {
		ret = -errno;
		log_err(path, "cannot write the image: %s", strerror(-ret));
	}
	if (ret && ftruncate(fd, st.st_size) < 0)
		log_err(path, "cannot give it back its size of %" PRIu64 " bytes: %s",
			(uint64_t)st.st_size, strerror(errno));
	return ret;
}

int image_grow(const char *path, uint64_t size, bool sparse)
{
	struct stat st;
	int fd, ret = check_wanted_size(path, size);

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		log_err(path, "cannot open the image: %s", strerror(-ret));
	} else if (!S_ISREG(st.st_mode)) {
		ret = -EINVAL;
		log_err(path, "only a regular file can grow");
	} else {
		ret = lock(path, fd, F_WRLCK);
		if (!ret)
			ret = grow_locked(path, fd, size, sparse);
	}
	fd_close(&fd);
	return ret;
}

/* Opens path, which must be a regular file or a block device. The descriptor or -errno. */
static int open_one(const char *path, int flags, struct stat *st)
{
	int fd, err;

	if (stat(path, st) == 0 && S_ISBLK(st->st_mode))
		flags |= O_EXCL; /* refuses what is mounted */
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0) {
		err = errno;
		log_err(path, "cannot open the image: %s%s", strerror(err),
			err == ENOENT  ? "; make one with: vdax pmem --create SIZE IMAGE"
			: err == EBUSY ? " (mounted, or part of another device)"
				       : "");
		fd_close(&fd);
		return -err;
	}
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode)) {
		log_err(path, "is neither a regular file nor a block device");
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* The second descriptor, of the very same file. */
static int open_sync_fd(struct image *img)
{
	struct stat st;

	/* Without O_EXCL: on a block device the first one has claimed it for both. */
	img->sync_fd = open(img->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (img->sync_fd < 0 || fstat(img->sync_fd, &st) < 0)
		return -errno;
	return st.st_dev == img->dev && st.st_ino == img->ino ? 0 : -ESTALE;
}

/* Says what the file system of the image cannot promise. */
static void warn_of_file_system(const struct image *img)
{
	struct statfs fs;

	if (img->is_block || fstatfs(img->map_fd, &fs) < 0)
		return;
	switch ((uint32_t)fs.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case HUGETLBFS_MAGIC:
		log_warn(img->path, "this file system is in memory: nothing on it is durable, "
				    "whatever is flushed");
		break;
	case BTRFS_SUPER_MAGIC:
		log_warn(img->path,
			 "this file system copies on write: if the disk is full when the "
			 "guest stores, the VM is killed (chattr +C on a new image avoids it)");
		break;
	}
}

static int open_writable(struct image *img, const struct image_opts *opts)
{
	int ret = lock(img->path, img->map_fd, F_WRLCK);

	if (ret)
		return ret;
	ret = open_sync_fd(img);
	if (ret) {
		log_err(img->path, "cannot open the image a second time: %s", strerror(-ret));
		return ret;
	}
	warn_of_file_system(img);
	if (img->is_block || opts->sparse)
		return 0;
	return allocate(img->path, img->map_fd, img->size);
}

/* Replaces map_fd, opened read-only, by a copy that may be written. */
static int open_copy(struct image *img, const struct image_opts *opts)
{
	int fd, ret = lock(img->path, img->map_fd, F_RDLCK);

	if (ret)
		return ret;
	fd = copy_private(img->path, img->map_fd, img->size, opts->copy_limit, &img->kind);
	if (fd < 0)
		return fd;
	fd_close(&img->map_fd); /* with its lock: nothing depends on the image any more */
	img->map_fd = fd;
	return 0;
}

int image_open(struct image *img, const struct image_opts *opts)
{
	struct stat st;
	int ret;

	*img = (struct image){ .path = opts->path, .map_fd = -1, .sync_fd = -1 };
	ret = open_one(opts->path, opts->read_only ? O_RDONLY : O_RDWR, &st);
	if (ret < 0)
		return ret;
	img->map_fd = ret;
	img->is_block = S_ISBLK(st.st_mode);
	img->kind = img->is_block ? "block device" : "file";
	img->dev = st.st_dev;
	img->ino = st.st_ino;
	ret = get_size(img->map_fd, &img->size);
	if (ret)
		log_err(opts->path, "cannot find out its size: %s", strerror(-ret));
	else
		ret = check_size(opts->path, img->size, img->is_block);
	if (!ret)
		ret = opts->read_only ? open_copy(img, opts) : open_writable(img, opts);
	if (!ret && fstat(img->map_fd, &st) < 0)
		ret = -errno;
	img->dev = st.st_dev;
	img->ino = st.st_ino;
	return ret;
}

void image_close(struct image *img)
{
	fd_close(&img->map_fd);
	fd_close(&img->sync_fd);
}

int image_sync(struct image *img)
{
	uint64_t size = 0;
	int ret;

	if (img->sync_fd < 0)
		return 0;
	do
		ret = fdatasync(img->sync_fd) < 0 ? -errno : 0;
	while (ret == -EINTR);
	if (ret)
		return ret;
	ret = get_size(img->sync_fd, &size);
	if (!ret && size < img->size) {
		log_err(img->path,
			"somebody made it smaller under the guest: %" PRIu64 " bytes of %" PRIu64,
			size, img->size);
		ret = -ENXIO;
	}
	return ret;
}
