/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a device as a stream of bytes, on its way to or from another daemon. Buffered here,
 * so that a device may put and get small records. What the bytes mean is the device's.
 */
#ifndef VIRTIO_STATE_H
#define VIRTIO_STATE_H

#include <stddef.h>
#include <stdint.h>

/* A longer state is refused, at both ends. */
#define STATE_MAX    ((uint64_t)1 << 30)
#define STATE_BUFFER 65536u

struct state_out {
	/* Takes all of the len > 0 bytes. 0 or -errno. */
	int (*write)(void *ctx, const void *data, size_t len);
	void *ctx;
	int err;	/* the first failure; everything fails from then on */
	uint64_t total; /* bytes put */
	size_t fill;
	uint8_t buf[STATE_BUFFER];
};

struct state_in {
	/* Gives 1..len bytes, 0 at the end, or -errno. */
	int64_t (*read)(void *ctx, void *data, size_t len);
	void *ctx;
	int err;
	uint64_t total; /* bytes got */
	size_t fill, used;
	uint8_t buf[STATE_BUFFER];
};

/* 0, -EFBIG beyond STATE_MAX, or what write() said. */
int state_put(struct state_out *out, const void *data, size_t len);

/* Writes what is buffered. 0 or -errno. The transport calls it after save(). */
int state_flush(struct state_out *out);

/*
 * All len > 0 bytes: 0; -ENODATA if the stream ends exactly here; -EPROTO if it ends in between;
 * -EFBIG, or what read() said.
 */
int state_get(struct state_in *in, void *data, size_t len);

#endif
