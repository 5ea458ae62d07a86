/* SPDX-License-Identifier: BSD-2-Clause */
/* Split virtqueue, feature and status bits: VIRTIO 1.3, sections 2.1, 2.2, 2.7, 6. No logic here.
 */
#ifndef WIRE_RING_H
#define WIRE_RING_H

#include <stddef.h>

#include "base/le.h"

/* 2.7: the largest split queue */
#define VRING_SIZE_MAX 32768u

/* 2.7.5 descriptor table, 16-byte aligned */
#define VRING_DESC_F_NEXT     1u
#define VRING_DESC_F_WRITE    2u /* device-writable, else device-readable */
#define VRING_DESC_F_INDIRECT 4u

struct vring_desc {
	le64 addr; /* guest-physical */
	le32 len;  /* bytes */
	le16 flags;
	le16 next; /* index, if F_NEXT */
};
_Static_assert(sizeof(struct vring_desc) == 16, "vring_desc size");
_Static_assert(offsetof(struct vring_desc, len) == 8, "vring_desc.len");
_Static_assert(offsetof(struct vring_desc, flags) == 12, "vring_desc.flags");
_Static_assert(offsetof(struct vring_desc, next) == 14, "vring_desc.next");

/* 2.7.6 available ring, 2-byte aligned; used_event follows ring[size] */
#define VRING_AVAIL_F_NO_INTERRUPT 1u

struct vring_avail {
	le16 flags;
	le16 idx;
	le16 ring[];
};
_Static_assert(sizeof(struct vring_avail) == 4, "vring_avail size");

/* 2.7.8 used ring, 4-byte aligned; avail_event follows ring[size] */
#define VRING_USED_F_NO_NOTIFY 1u

struct vring_used_elem {
	le32 id;
	le32 len; /* bytes written into the device-writable part */
};
_Static_assert(sizeof(struct vring_used_elem) == 8, "vring_used_elem size");

struct vring_used {
	le16 flags;
	le16 idx;
	struct vring_used_elem ring[];
};
_Static_assert(sizeof(struct vring_used) == 4, "vring_used size");

#define VRING_DESC_ALIGN  16u
#define VRING_AVAIL_ALIGN 2u
#define VRING_USED_ALIGN  4u

/* Bytes of each part of a ring of n entries, event fields included (present or not). */
#define VRING_DESC_BYTES(n)  (sizeof(struct vring_desc) * (size_t)(n))
#define VRING_AVAIL_BYTES(n) (sizeof(struct vring_avail) + sizeof(le16) * ((size_t)(n) + 1))
#define VRING_USED_BYTES(n) \
	(sizeof(struct vring_used) + sizeof(struct vring_used_elem) * (size_t)(n) + sizeof(le16))

/* 2.1 device status */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER	  2u
#define VIRTIO_STATUS_DRIVER_OK	  4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED	  128u

/* 6 reserved feature bits, by number */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

#define VIRTIO_BIT(n) ((uint64_t)1 << (n))

/* 5 device IDs */
#define VIRTIO_ID_FS   26u
#define VIRTIO_ID_PMEM 27u

#endif
