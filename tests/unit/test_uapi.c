/* SPDX-License-Identifier: BSD-2-Clause */
/* wire/ against the kernel's own headers: a wrong number or size fails here, in seconds. */
#include <stddef.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pmem.h>
#include <linux/virtio_ring.h>

/* The kernel and we use some names for the same thing: its values, before ours replace them. */
enum kernel {
	KERNEL_RING_F_INDIRECT_DESC = VIRTIO_RING_F_INDIRECT_DESC,
	KERNEL_RING_F_EVENT_IDX = VIRTIO_RING_F_EVENT_IDX,
	KERNEL_F_VERSION_1 = VIRTIO_F_VERSION_1,
	KERNEL_ID_FS = VIRTIO_ID_FS,
	KERNEL_ID_PMEM = VIRTIO_ID_PMEM,
	KERNEL_DESC_F_NEXT = VRING_DESC_F_NEXT,
	KERNEL_DESC_F_WRITE = VRING_DESC_F_WRITE,
	KERNEL_DESC_F_INDIRECT = VRING_DESC_F_INDIRECT,
	KERNEL_AVAIL_F_NO_INTERRUPT = VRING_AVAIL_F_NO_INTERRUPT,
	KERNEL_USED_F_NO_NOTIFY = VRING_USED_F_NO_NOTIFY,
	KERNEL_DESC_SIZE = sizeof(struct vring_desc),
	KERNEL_DESC_FLAGS = offsetof(struct vring_desc, flags),
	KERNEL_DESC_NEXT = offsetof(struct vring_desc, next),
	KERNEL_USED_ELEM_SIZE = sizeof(struct vring_used_elem),
	KERNEL_USED_RING = offsetof(struct vring_used, ring),
	KERNEL_AVAIL_RING = offsetof(struct vring_avail, ring),
#ifdef VIRTIO_PMEM_F_SHMEM_REGION /* since Linux 6.8 */
	KERNEL_PMEM_F_SHMEM_REGION = VIRTIO_PMEM_F_SHMEM_REGION,
#else
	KERNEL_PMEM_F_SHMEM_REGION = 0,
#endif
};

static unsigned long kernel_ring_bytes(unsigned size)
{
	return vring_size(size, 1);
}

#undef VIRTIO_F_VERSION_1
#undef VIRTIO_ID_FS
#undef VIRTIO_ID_PMEM
#undef VRING_DESC_F_NEXT
#undef VRING_DESC_F_WRITE
#undef VRING_DESC_F_INDIRECT
#undef VRING_AVAIL_F_NO_INTERRUPT
#undef VRING_USED_F_NO_NOTIFY
#define vring_desc	our_desc
#define vring_avail	our_avail
#define vring_used	our_used
#define vring_used_elem our_used_elem

#include "tests/lib/check.h"
#include "wire/pmem.h"
#include "wire/ring.h"
#include "wire/vhost_user.h"

#include "base/align.h"
#include "base/macros.h"

static const struct {
	const char *name;
	unsigned long ours, kernels;
} same[] = {
	{ "VERSION_1", VIRTIO_F_VERSION_1, KERNEL_F_VERSION_1 },
	{ "INDIRECT_DESC", VIRTIO_F_INDIRECT_DESC, KERNEL_RING_F_INDIRECT_DESC },
	{ "EVENT_IDX", VIRTIO_F_EVENT_IDX, KERNEL_RING_F_EVENT_IDX },
	{ "ID_FS", VIRTIO_ID_FS, KERNEL_ID_FS },
	{ "ID_PMEM", VIRTIO_ID_PMEM, KERNEL_ID_PMEM },
	{ "STATUS_ACKNOWLEDGE", VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_CONFIG_S_ACKNOWLEDGE },
	{ "STATUS_DRIVER", VIRTIO_STATUS_DRIVER, VIRTIO_CONFIG_S_DRIVER },
	{ "STATUS_DRIVER_OK", VIRTIO_STATUS_DRIVER_OK, VIRTIO_CONFIG_S_DRIVER_OK },
	{ "STATUS_FEATURES_OK", VIRTIO_STATUS_FEATURES_OK, VIRTIO_CONFIG_S_FEATURES_OK },
	{ "STATUS_NEEDS_RESET", VIRTIO_STATUS_NEEDS_RESET, VIRTIO_CONFIG_S_NEEDS_RESET },
	{ "STATUS_FAILED", VIRTIO_STATUS_FAILED, VIRTIO_CONFIG_S_FAILED },
	{ "DESC_F_NEXT", VRING_DESC_F_NEXT, KERNEL_DESC_F_NEXT },
	{ "DESC_F_WRITE", VRING_DESC_F_WRITE, KERNEL_DESC_F_WRITE },
	{ "DESC_F_INDIRECT", VRING_DESC_F_INDIRECT, KERNEL_DESC_F_INDIRECT },
	{ "AVAIL_F_NO_INTERRUPT", VRING_AVAIL_F_NO_INTERRUPT, KERNEL_AVAIL_F_NO_INTERRUPT },
	{ "USED_F_NO_NOTIFY", VRING_USED_F_NO_NOTIFY, KERNEL_USED_F_NO_NOTIFY },
	{ "desc size", sizeof(struct our_desc), KERNEL_DESC_SIZE },
	{ "desc.flags", offsetof(struct our_desc, flags), KERNEL_DESC_FLAGS },
	{ "desc.next", offsetof(struct our_desc, next), KERNEL_DESC_NEXT },
	{ "used element size", sizeof(struct our_used_elem), KERNEL_USED_ELEM_SIZE },
	{ "used.ring", sizeof(struct our_used), KERNEL_USED_RING },
	{ "avail.ring", sizeof(struct our_avail), KERNEL_AVAIL_RING },
	{ "pmem SHMEM_REGION", PMEM_F_SHMEM_REGION, KERNEL_PMEM_F_SHMEM_REGION },
	{ "pmem flush", PMEM_REQ_FLUSH, VIRTIO_PMEM_REQ_TYPE_FLUSH },
	{ "pmem config", sizeof(struct pmem_config), sizeof(struct virtio_pmem_config) },
	{ "pmem config.size", offsetof(struct pmem_config, size),
	  offsetof(struct virtio_pmem_config, size) },
	{ "pmem request", sizeof(struct pmem_req), sizeof(struct virtio_pmem_req) },
	{ "pmem response", sizeof(struct pmem_resp), sizeof(struct virtio_pmem_resp) },
	/* vhost-user carries these structures of the kernel's vhost as they are. */
	{ "vring state", sizeof(struct vhost_user_vring_state), sizeof(struct vhost_vring_state) },
	{ "vring addr", sizeof(struct vhost_user_vring_addr), sizeof(struct vhost_vring_addr) },
	{ "vring addr.desc", offsetof(struct vhost_user_vring_addr, desc),
	  offsetof(struct vhost_vring_addr, desc_user_addr) },
	{ "vring addr.used", offsetof(struct vhost_user_vring_addr, used),
	  offsetof(struct vhost_vring_addr, used_user_addr) },
	{ "vring addr.avail", offsetof(struct vhost_user_vring_addr, avail),
	  offsetof(struct vhost_vring_addr, avail_user_addr) },
	{ "vring addr.log", offsetof(struct vhost_user_vring_addr, log),
	  offsetof(struct vhost_vring_addr, log_guest_addr) },
};

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		CHECK_EQ(same[i].name, same[i].ours, same[i].kernels);
	/* The kernel's helper lays the parts out in a row, and leaves out the last event field. */
	for (unsigned n = 1; n <= VRING_SIZE_MAX; n *= 2)
		CHECK_EQ("ring bytes",
			 align_up(VRING_DESC_BYTES(n) + VRING_AVAIL_BYTES(n), 1) +
				 VRING_USED_BYTES(n),
			 kernel_ring_bytes(n));
	return check_done();
}
