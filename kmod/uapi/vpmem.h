/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * The virtio-pmem device as a driver sees it: VIRTIO 1.3, section 5.19. For tools and drivers
 * alike: only the layout, the same on every architecture, in C and in C++.
 */
#ifndef _UAPI_VPMEM_H
#define _UAPI_VPMEM_H

#include <linux/types.h>

#define VPMEM_DEVICE_ID 27

/* Feature bit: the range is shared memory region VPMEM_SHMID; the configuration says nothing. */
#define VPMEM_F_SHMEM_REGION 0
#define VPMEM_SHMID	     0

/**
 * struct vpmem_config - device configuration space (5.19.4)
 * @start:	guest-physical address of the range, in bytes
 * @size:	its size in bytes
 *
 * Both mean nothing if VPMEM_F_SHMEM_REGION was negotiated.
 */
struct vpmem_config {
	__le64 start;
	__le64 size;
};

#define VPMEM_REQ_FLUSH 0 /* make durable what was written before the request */

/**
 * struct vpmem_req - what the device reads (5.19.6)
 * @type:	VPMEM_REQ_FLUSH
 */
struct vpmem_req {
	__le32 type;
};

#define VPMEM_RESP_OK 0 /* any other answer: nothing is known to be durable */

/**
 * struct vpmem_resp - what the device writes (5.19.7)
 * @ret:	VPMEM_RESP_OK, or 0xffffffff (some devices: 1) for a failure
 */
struct vpmem_resp {
	__le32 ret;
};

#endif /* _UAPI_VPMEM_H */
