/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the driver: the buffers of a descriptor chain, translated. Buffers that
 * do not translate are kept with a NULL address, so that the device can still answer
 * through those that do.
 */
#ifndef VIRTIO_CHAIN_H
#define VIRTIO_CHAIN_H

#include <stdint.h>
#include <sys/uio.h>

struct vq_chain {
	uint16_t head; /* what the used ring calls it */
	/* Filled by vq_pop(): first the device-readable buffers, then the device-writable. */
	struct iovec *seg; /* caller's array; iov_base NULL: does not translate */
	unsigned cap;	   /* of seg */
	unsigned n_readable;
	unsigned n_writable;
	uint32_t readable_len; /* bytes */
	uint32_t writable_len;
};

/*
 * Copies len bytes at off of the device-readable part into dst. 0, -EINVAL if the part is
 * shorter, -EFAULT if it does not translate or went away.
 */
int chain_read(const struct vq_chain *c, uint32_t off, void *dst, uint32_t len);

/*
 * The buffers behind len bytes at off of the device-writable part, into out[max]. Returns
 * how many, -EINVAL if the part is shorter, -EFAULT if it does not translate, -E2BIG if
 * there are more than max.
 */
int chain_writable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *out,
		   unsigned max);

/* The same of the device-readable part. */
int chain_readable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *out,
		   unsigned max);

/* Fills the n buffers of chain_writable() from src. 0 or -EFAULT if the memory went away. */
int chain_fill(const struct iovec *out, unsigned n, const void *src);

#endif
