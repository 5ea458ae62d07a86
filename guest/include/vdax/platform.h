/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest library needs from whoever embeds it: a kernel, a boot loader, a
 * unikernel, a test. The library has no global state, allocates nothing and calls nothing
 * but these functions; memory barriers are the compiler's.
 *
 * The embedder also owns the transport: it finds the device, negotiates features, gives it
 * the addresses of the ring and sets DRIVER_OK (VIRTIO 1.3, 3.1.1).
 */
#ifndef VDAX_PLATFORM_H
#define VDAX_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What dma_addr() returns for memory that the device cannot reach. */
#define VDAX_DMA_BAD UINT64_MAX

/* A range of guest-physical addresses. */
struct vdax_region {
	uint64_t addr; /* guest-physical */
	uint64_t len;  /* bytes */
};

/*
 * Every function gets the ctx of struct vdax_platform. Only wait() may block. All are called
 * from the context in which the embedder called the library, never from another one.
 */
struct vdax_platform_ops {
	/*
	 * Tell the device that queue has new entries (2.7.13.4). Whatever the CPU stored
	 * before, into RAM or through window_write(), reaches the device before this does.
	 */
	void (*notify)(void *ctx, unsigned int queue);

	/*
	 * Return when queue has raised an interrupt since the last return, or after
	 * timeout_ns. An interrupt that came before the call counts, or a wake-up is lost;
	 * returning early for no reason is allowed. Called by the synchronous functions only.
	 */
	void (*wait)(void *ctx, unsigned int queue, uint64_t timeout_ns);

	/* Nanoseconds since some fixed moment; never goes back. */
	uint64_t (*now)(void *ctx);

	/*
	 * The address at which the device sees [ptr, ptr + len), memory that the embedder
	 * gave to the library, or VDAX_DMA_BAD. The answer for a range stays valid until
	 * the device is reset.
	 */
	uint64_t (*dma_addr)(void *ctx, const void *ptr, size_t len);

	/*
	 * Copy len bytes at offset off of the device configuration space to dst, as they
	 * are, little-endian. The same state for all bytes (2.5.1: config generation).
	 * Returns 0, or -VDAX_EIO or -VDAX_EINVAL if there is no such field.
	 */
	int (*config_read)(void *ctx, uint32_t off, void *dst, size_t len);

	/* The device status byte (2.1), for the DEVICE_NEEDS_RESET bit. */
	uint8_t (*status)(void *ctx);

	/* Find shared memory region id (2.10). Returns 0 or -VDAX_ENODEV. */
	int (*shm_region)(void *ctx, uint8_t id, struct vdax_region *region);

	/*
	 * Access to the window of a device when memory there is not RAM-like: s390 reaches
	 * PCI memory with instructions of its own. addr is guest-physical and the range was
	 * checked against the region. May be NULL if ram_like. Return 0 or -VDAX_EIO. A write
	 * must have reached the device before any later store to RAM does: the device may see
	 * the next request without a notify().
	 */
	int (*window_read)(void *ctx, uint64_t addr, void *dst, size_t len);
	int (*window_write)(void *ctx, uint64_t addr, const void *src, size_t len);
	int (*window_zero)(void *ctx, uint64_t addr, size_t len);
};

/* Lent to the library: ops and ctx outlive every object that was initialised with it. */
struct vdax_platform {
	const struct vdax_platform_ops *ops;
	void *ctx;

	/*
	 * May the CPU use ordinary loads and stores on a device's shared memory? This is
	 * knowledge of the platform, not of the device or its driver. If false, no pointer
	 * into a window is ever handed out and window_read/write/zero do all the work.
	 */
	bool ram_like;
};

#endif
