/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"

/* The first release with VIRTIO_PMEM_F_SHMEM_REGION. */
#define REGIONS_MAJOR 6u
#define REGIONS_MINOR 8u

/* Linux' boot protocol for x86: the header of a bzImage. */
#define SETUP_MAGIC_AT	 0x202u
#define SETUP_VERSION_AT 0x20eu /* le16: where the release is, less 0x200 */
#define SETUP_VERSION	 0x200u

static const char *const lab_versions[] = { "7.2", "6.12", "6.1" }; /* newest first */

bool kernel_knows_regions(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return true; /* unknown: the guest will tell */
	return major > REGIONS_MAJOR || (major == REGIONS_MAJOR && minor >= REGIONS_MINOR);
}

/* Copies a word that ends with a space or before end. */
static int copy_word(const char *word, const char *end, char *buf, size_t size)
{
	size_t n = 0;

	while (word + n < end && n < size - 1 && isgraph((unsigned char)word[n]))
		n++;
	if (!n || !isdigit((unsigned char)*word))
		return -ENOENT;
	memcpy(buf, word, n);
	buf[n] = '\0';
	return 0;
}

int kernel_release(const void *image, size_t len, char *release, size_t size)
{
	static const char banner[] = "Linux version ";
	const char *start = image, *end = start + len, *at = start;
	const unsigned char *header = image;
	size_t offset;

	if (len > SETUP_VERSION_AT + 2 && !memcmp(start + SETUP_MAGIC_AT, "HdrS", 4)) {
		offset = header[SETUP_VERSION_AT] + header[SETUP_VERSION_AT + 1] * 256u +
			 SETUP_VERSION;
		return offset < len ? copy_word(start + offset, end, release, size) : -ENOENT;
	}
	if (len < 4 || memcmp(start, "\177ELF", 4))
		return -ENOENT;
	while ((at = memmem(at, (size_t)(end - at), banner, strlen(banner)))) {
		at += strlen(banner);
		if (!copy_word(at, end, release, size))
			return 0;
	}
	return -ENOENT;
}

static int release_of_file(const char *path, char *release, size_t size)
{
	int ret = -ENOENT, fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *image = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (S_ISREG(st.st_mode) && st.st_size)
		image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image != MAP_FAILED) {
		ret = kernel_release(image, (size_t)st.st_size, release, size);
		munmap(image, (size_t)st.st_size);
	}
	fd_close(&fd);
	return ret;
}

static int own_kernel(struct vm_kernel *k, const char *path, const char *modules)
{
	int ret = release_of_file(path, k->release, sizeof(k->release));

	if (ret) {
		log_err(path, "%s",
			ret == -ENOENT && access(path, R_OK) == 0
				? "this is not a Linux kernel; give a bzImage, vmlinuz or vmlinux"
				: strerror(-ret));
		return ret;
	}
	snprintf(k->image, sizeof(k->image), "%s", path);
	if (modules)
		snprintf(k->modules, sizeof(k->modules), "%s", modules);
	else
		snprintf(k->modules, sizeof(k->modules), "/lib/modules/%s", k->release);
	if (access(k->modules, R_OK) < 0)
		log_warn(k->modules, "there are no modules of this kernel; if its drivers of "
				     "virtio are not built in, give --modules DIR");
	return 0;
}

static bool has_lab_kernel(struct vm_kernel *k, const struct vm_lab *lab, const char *version)
{
	char name[64], path[PATH_MAX];
	FILE *f;

	snprintf(name, sizeof(name), "kernels/%s/release", version);
	f = path_in(path, lab->cache, name, R_OK) ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(k->release, sizeof(k->release), f))
		k->release[0] = '\0';
	k->release[strcspn(k->release, "\n")] = '\0';
	fclose(f);
	snprintf(name, sizeof(name), "kernels/%s/vmlinux", version);
	return path_in(k->image, lab->cache, name, R_OK);
}

/* One of the lab's kernels; without a wish the newest that can find an image. */
static int lab_kernel(struct vm_kernel *k, const struct vm_lab *lab, const char *wanted)
{
	bool known = !wanted;

	for (size_t i = 0; i < ARRAY_SIZE(lab_versions); i++) {
		if (wanted && strcmp(wanted, lab_versions[i]))
			continue;
		known = true;
		k->version = lab_versions[i];
		if (has_lab_kernel(k, lab, k->version) &&
		    (wanted || kernel_knows_regions(k->release)))
			return 0;
	}
	if (known)
		log_err(lab->cache,
			"there is no kernel %s here. Run %s/fetch (make setup does), or give "
			"--kernel FILE",
			wanted ? wanted : "for the guest", lab->scripts);
	else
		log_err(wanted, "is neither 6.1, 6.12 nor 7.2, nor a file (./%s)", wanted);
	return -ENOENT;
}

int vm_kernel_find(struct vm_kernel *k, const struct vm_lab *lab, const char *wanted,
		   const char *modules)
{
	*k = (struct vm_kernel){ .version = NULL };
	if (wanted && strchr(wanted, '/'))
		return own_kernel(k, wanted, modules);
	return lab_kernel(k, lab, wanted);
}

void vm_kernel_args(struct args *a, const struct vm_kernel *k)
{
	if (k->version) {
		args_add(a, "--kernel");
		args_add(a, "%s", k->version);
		return;
	}
	args_add(a, "--release");
	args_add(a, "%s", k->release);
	args_add(a, "--modules");
	args_add(a, "%s", k->modules);
}
