/* SPDX-License-Identifier: BSD-2-Clause */
/* wire/fuse.h against <linux/fuse.h>, wire/virtio_fs.h against <linux/virtio_fs.h> */
#include <stddef.h>
#include <string.h>

#include <linux/virtio_fs.h>

enum kernel {
	KERNEL_ID_FS = VIRTIO_ID_FS,
	KERNEL_CONFIG_SIZE = sizeof(struct virtio_fs_config),
	KERNEL_CONFIG_QUEUES = offsetof(struct virtio_fs_config, num_request_queues),
	KERNEL_CONFIG_TAG = sizeof(((struct virtio_fs_config *)0)->tag),
	KERNEL_SHMID_CACHE = VIRTIO_FS_SHMCAP_ID_CACHE,
};
#undef VIRTIO_ID_FS
#undef VIRTIO_ID_PMEM
#define virtio_fs_config our_config

#include "tests/lib/check.h"
#include "tests/unit/uapi_fuse.h"
#include "wire/fuse.h"
#include "wire/virtio_fs.h"

#include "base/macros.h"

#define FACTS_MAX 600

static struct {
	const char *name;
	uint64_t value;
} ours[FACTS_MAX];
static size_t nours, nkernels;

static void our_fact(const char *name, uint64_t value)
{
	REQUIRE(nours < ARRAY_SIZE(ours));
	ours[nours].name = name;
	ours[nours++].value = value;
}

static void our_fuse(fact_fn *fact)
{
#include "tests/unit/uapi_fuse_list.h"
}

static void compare(const char *name, uint64_t kernels)
{
	size_t i = 0;

	while (i < nours && strcmp(ours[i].name, name))
		i++;
	REQUIRE(i < nours);
	CHECK_EQ(name, ours[i].value, kernels);
	nkernels++;
}

static void check_device(void)
{
	CHECK_EQ("id", VIRTIO_ID_FS, KERNEL_ID_FS);
	CHECK_EQ("tag", VIRTIO_FS_TAG_BYTES, KERNEL_CONFIG_TAG);
	CHECK_EQ("num_request_queues", offsetof(struct our_config, num_request_queues),
		 KERNEL_CONFIG_QUEUES);
	/* Linux does not know notify_buf_size, the last field of ours. */
	CHECK_EQ("config", offsetof(struct our_config, notify_buf_size), KERNEL_CONFIG_SIZE);
	CHECK_EQ("shmid", VIRTIO_FS_SHMID_CACHE, KERNEL_SHMID_CACHE);
}

int main(void)
{
	check_device();
	our_fuse(our_fact);
	kernel_fuse(compare);
	if (!nkernels && !check_failed)
		check_skip("<linux/fuse.h> is older than 7.38");
	return check_done();
}
