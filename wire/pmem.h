/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-pmem layout: VIRTIO 1.3, section 5.19 "PMEM Device". No logic here. */
#ifndef WIRE_PMEM_H
#define WIRE_PMEM_H

#include <stddef.h>

#include "base/le.h"

#define PMEM_F_SHMEM_REGION 0 /* feature bit: the range is shared memory region 0 */
#define PMEM_SHMID	    0u
#define PMEM_NUM_QUEUES	    1u

#define PMEM_REQ_FLUSH 0u
#define PMEM_RESP_OK   0u
#define PMEM_RESP_FAIL UINT32_MAX /* the spec's -1; never an errno */

struct pmem_config {
	le64 start; /* guest-physical; zero if F_SHMEM_REGION */
	le64 size;  /* bytes; zero if F_SHMEM_REGION */
};
_Static_assert(sizeof(struct pmem_config) == 16, "pmem_config size");
_Static_assert(offsetof(struct pmem_config, size) == 8, "pmem_config.size");

struct pmem_req {
	le32 type; /* device-readable: PMEM_REQ_* */
};
_Static_assert(sizeof(struct pmem_req) == 4, "pmem_req size");

struct pmem_resp {
	le32 ret; /* device-writable: PMEM_RESP_* */
};
_Static_assert(sizeof(struct pmem_resp) == 4, "pmem_resp size");

/*
 * A driver needs whole 2 MiB sections: Linux gives struct pages to nothing smaller
 * (SUBSECTION_SIZE), and a huge mapping wants address and offset congruent.
 */
#define PMEM_ALIGN ((uint64_t)2 << 20)

#endif
