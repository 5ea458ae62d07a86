/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-fs layout: VIRTIO 1.3, section 5.11 "File System Device". No logic here. */
#ifndef WIRE_VIRTIO_FS_H
#define WIRE_VIRTIO_FS_H

#include <stddef.h>

#include "base/le.h"
#include "wire/ring.h" /* VIRTIO_ID_FS */

#define VIRTIO_FS_F_NOTIFICATION 0 /* feature bit: queue 1 carries notifications */

#define VIRTIO_FS_QUEUE_HIPRIO	     0u /* FORGET, BATCH_FORGET, INTERRUPT */
#define VIRTIO_FS_QUEUE_REQUEST	     1u /* the first request queue, without F_NOTIFICATION */
#define VIRTIO_FS_QUEUE_NOTIFICATION 1u /* with it the requests start at 2 */

#define VIRTIO_FS_SHMID_CACHE 0u /* shared memory region: the DAX window */

#define VIRTIO_FS_TAG_BYTES 36u

struct virtio_fs_config {
	char tag[VIRTIO_FS_TAG_BYTES]; /* UTF-8, padded with NUL; no NUL if it fills the field */
	le32 num_request_queues;
	le32 notify_buf_size; /* bytes; if F_NOTIFICATION */
};
_Static_assert(sizeof(struct virtio_fs_config) == 44, "virtio_fs_config size");
_Static_assert(offsetof(struct virtio_fs_config, num_request_queues) == 36,
	       "virtio_fs_config.num_request_queues");
_Static_assert(offsetof(struct virtio_fs_config, notify_buf_size) == 40,
	       "virtio_fs_config.notify_buf_size");

#endif
