/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kmod/uapi/vpmem.h with the true types of the kernel, beside our wire format and, where there is
 * one, the kernel's own header.
 */
#include "kmod/uapi/vpmem.h"

#include <stddef.h>
#include <string.h>

#include <linux/virtio_ids.h>

enum { KERNEL_ID = VIRTIO_ID_PMEM };
#undef VIRTIO_ID_PMEM
#undef VIRTIO_ID_FS

#include "base/macros.h"
#include "tests/lib/check.h"
#include "wire/pmem.h"
#include "wire/ring.h"

static const struct {
	const char *name;
	unsigned long long drivers, wires;
} same[] = {
	{ "device id", VPMEM_DEVICE_ID, VIRTIO_ID_PMEM },
	{ "device id of the kernel", VPMEM_DEVICE_ID, KERNEL_ID },
	{ "SHMEM_REGION", VPMEM_F_SHMEM_REGION, PMEM_F_SHMEM_REGION },
	{ "region", VPMEM_SHMID, PMEM_SHMID },
	{ "flush", VPMEM_REQ_FLUSH, PMEM_REQ_FLUSH },
	{ "success", VPMEM_RESP_OK, PMEM_RESP_OK },
	{ "config", sizeof(struct vpmem_config), sizeof(struct pmem_config) },
	{ "config.start", offsetof(struct vpmem_config, start),
	  offsetof(struct pmem_config, start) },
	{ "config.size", offsetof(struct vpmem_config, size), offsetof(struct pmem_config, size) },
	{ "request", sizeof(struct vpmem_req), sizeof(struct pmem_req) },
	{ "request.type", offsetof(struct vpmem_req, type), offsetof(struct pmem_req, type) },
	{ "response", sizeof(struct vpmem_resp), sizeof(struct pmem_resp) },
	{ "response.ret", offsetof(struct vpmem_resp, ret), offsetof(struct pmem_resp, ret) },
};

#if __has_include(<linux/virtio_pmem.h>)

#include <linux/virtio_pmem.h>

#ifndef VIRTIO_PMEM_F_SHMEM_REGION /* before Linux 6.8 */
#define VIRTIO_PMEM_F_SHMEM_REGION  0
#define VIRTIO_PMEM_SHMEM_REGION_ID 0
#endif

static const struct {
	const char *name;
	unsigned long long drivers, kernels;
} same_in_kernel[] = {
	{ "SHMEM_REGION", VPMEM_F_SHMEM_REGION, VIRTIO_PMEM_F_SHMEM_REGION },
	{ "region", VPMEM_SHMID, VIRTIO_PMEM_SHMEM_REGION_ID },
	{ "flush", VPMEM_REQ_FLUSH, VIRTIO_PMEM_REQ_TYPE_FLUSH },
	{ "config", sizeof(struct vpmem_config), sizeof(struct virtio_pmem_config) },
	{ "config.start", offsetof(struct vpmem_config, start),
	  offsetof(struct virtio_pmem_config, start) },
	{ "config.size", offsetof(struct vpmem_config, size),
	  offsetof(struct virtio_pmem_config, size) },
	{ "request", sizeof(struct vpmem_req), sizeof(struct virtio_pmem_req) },
	{ "response", sizeof(struct vpmem_resp), sizeof(struct virtio_pmem_resp) },
};

static void test_kernel(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(same_in_kernel); i++)
		CHECK_EQ(same_in_kernel[i].name, same_in_kernel[i].drivers,
			 same_in_kernel[i].kernels);
}

#else

static void test_kernel(void)
{
	fprintf(stderr, "no <linux/virtio_pmem.h> to compare with\n");
}

#endif

/* A device of ours writes the configuration; the driver's fields have the same bytes. */
static void test_bytes(void)
{
	const struct pmem_config device = { le64_of(0x0102030405060708),
					    le64_of(0x1112131415161718) };
	static const unsigned char bytes[] = { 8,    7,	   6,	 5,    4,    3,	   2,	 1,
					       0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11 };
	struct vpmem_config driver;

	memcpy(&driver, &device, sizeof(driver));
	CHECK(!memcmp(&driver.start, bytes, 8));
	CHECK(!memcmp(&driver.size, bytes + 8, 8));
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		CHECK_EQ(same[i].name, same[i].drivers, same[i].wires);
	test_kernel();
	test_bytes();
	return check_done();
}
