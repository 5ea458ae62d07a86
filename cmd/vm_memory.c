/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "fs/config.h"
#include "host/fd.h"
#include "host/log.h"

#define GUEST_BASE  MIB(256) /* kernel, initramfs, a shell */
#define GUEST_ROOM  MIB(256) /* for what the user runs */
#define GUEST_STEP  MIB(64)
#define QEMU_ITSELF MIB(128)
/* Of all windows; the rest of QEMU's 512 is for RAM and images. A range takes two at most. */
#define MAPPINGS_MOST 480u
/* That many ranges are 960 MiB; what files are told to be mapped fills three quarters of a window.
 */
#define WINDOW_MOST GIB(2)

/* Linux keeps 64 bytes (struct page) for each page of 4096 bytes of an image or a window. */
#define PAGE_STRUCTS 64u

uint64_t vm_memory_least(uint64_t image_bytes)
{
	uint64_t structs = image_bytes / PAGE_STRUCTS;

	/* and 1/16 of that for page tables and the block device's own needs */
	return GUEST_BASE + align_up(structs + structs / 16, MIB(1));
}

uint64_t vm_memory_default(uint64_t image_bytes)
{
	return align_up(vm_memory_least(image_bytes) + GUEST_ROOM, GUEST_STEP);
}

uint64_t vm_window_most(unsigned n)
{
	return n == 1 ? FS_DAX_WINDOW_MAX : MAPPINGS_MOST / (2 * n) * (uint64_t)FS_DAX_RANGE;
}

uint64_t vm_window_default(uint64_t memory, unsigned n)
{
	uint64_t window = FS_DAX_RANGE;

	while (window < WINDOW_MOST && window * 2 <= memory * 4 / n)
		window *= 2;
	return MIN(window, n == 1 ? FS_DAX_WINDOW_FOR(FS_DAX_MAPS) : vm_window_most(n));
}

uint64_t meminfo_value(const char *meminfo, const char *key)
{
	const char *at = strstr(meminfo, key);

	return at ? strtoull(at + strlen(key), NULL, 10) << 10 : 0;
}

/* What programs can still get, in bytes; UINT64_MAX if the system does not tell. */
static uint64_t host_free(void)
{
	char buf[4096];
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	fd_close(&fd);
	if (n <= 0)
		return UINT64_MAX;
	buf[n] = '\0';
	return meminfo_value(buf, "MemAvailable:") + meminfo_value(buf, "SwapFree:");
}

int vm_memory_choose(uint64_t *memory, uint64_t image_bytes)
{
	uint64_t least = vm_memory_least(image_bytes);
	uint64_t host = host_free();

	if (!*memory)
		*memory = vm_memory_default(image_bytes);
	*memory = align_up(*memory, MIB(1));
	if (*memory < least) {
		log_err(NULL,
			"--memory %" PRIu64 "M is too little: the guest needs %" PRIu64
			"M, of which %" PRIu64 "M to keep account of %" PRIu64
			"M of images and windows (1/64). Leave --memory out, or give more",
			*memory >> 20, least >> 20, (least - GUEST_BASE) >> 20, image_bytes >> 20);
		return -ENOMEM;
	}
	if (*memory > host || host - *memory < QEMU_ITSELF) {
		log_err(NULL,
			"the guest would need %" PRIu64 "M and QEMU %" PRIu64
			"M, and this host has %" PRIu64
			"M free. End other programs, or give --memory (%" PRIu64
			"M is the least) or smaller images or windows",
			*memory >> 20, QEMU_ITSELF >> 20, host >> 20, least >> 20);
		return -ENOMEM;
	}
	return 0;
}
