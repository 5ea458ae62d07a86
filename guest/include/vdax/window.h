/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checked access to the memory window of a device (VIRTIO 1.3, 2.10 and 5.19).
 *
 * Offsets and lengths are bytes from the start of the region. All functions can be called
 * from any context and by several CPUs at once; who else touches the same bytes is the
 * caller's business, as with RAM. A store is durable only after a later flush succeeded.
 */
#ifndef VDAX_WINDOW_H
#define VDAX_WINDOW_H

#include "vdax/platform.h"

/* Opaque; filled by vdax_window_init(), never changes afterwards, needs no clean-up. */
struct vdax_window {
	const struct vdax_platform *platform;
	struct vdax_region region;
	uint8_t *base;
};

/*
 * base is where the embedder mapped region for the CPU if the platform is RAM-like, else
 * NULL. Borrows platform and the mapping for the life of the window.
 * Returns 0; -VDAX_EINVAL if base does not match the platform's flag or region is empty or
 * wraps.
 */
int vdax_window_init(struct vdax_window *w, const struct vdax_platform *platform,
		     const struct vdax_region *region, void *base);

/* Copy len bytes at off to dst. Returns 0, -VDAX_ERANGE, or the platform's error. */
int vdax_window_read(const struct vdax_window *w, uint64_t off, void *dst, size_t len);

/* Copy len bytes from src to off. Returns 0, -VDAX_ERANGE, or the platform's error. */
int vdax_window_write(const struct vdax_window *w, uint64_t off, const void *src, size_t len);

/* Zero len bytes at off. Returns 0, -VDAX_ERANGE, or the platform's error. */
int vdax_window_zero(const struct vdax_window *w, uint64_t off, uint64_t len);

/*
 * Set *ptr to the address of [off, off + len), to be used like RAM while the device is not
 * reset. Returns 0; -VDAX_ERANGE; -VDAX_ENOTSUP if the platform is not RAM-like: the caller
 * must then read and write by the functions above. *ptr is NULL on error.
 */
int vdax_window_ptr(const struct vdax_window *w, uint64_t off, uint64_t len, void **ptr);

#endif
