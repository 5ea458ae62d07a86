/* SPDX-License-Identifier: BSD-2-Clause */
/* The one place that turns (offset, length) into an access to a device's window. */
#include "vdax/window.h"

#include "base/range.h"
#include "vdax/errno.h"

int vdax_window_init(struct vdax_window *w, const struct vdax_platform *platform,
		     const struct vdax_region *region, void *base)
{
	if (!region->len || !range_ok(region->addr, region->len, UINT64_MAX))
		return -VDAX_EINVAL;
	if (platform->ram_like != (base != NULL))
		return -VDAX_EINVAL;
	/* A 32-bit CPU cannot have mapped more than its pointers reach. */
	if (base && !range_ok((uintptr_t)base, region->len, UINTPTR_MAX))
		return -VDAX_EINVAL;
	*w = (struct vdax_window){ .platform = platform, .region = *region, .base = base };
	return 0;
}

int vdax_window_read(const struct vdax_window *w, uint64_t off, void *dst, size_t len)
{
	const struct vdax_platform *p = w->platform;

	if (!range_ok(off, len, w->region.len))
		return -VDAX_ERANGE;
	if (!w->base)
		return p->ops->window_read(p->ctx, w->region.addr + off, dst, len);
	__builtin_memcpy(dst, w->base + off, len);
	return 0;
}

int vdax_window_write(const struct vdax_window *w, uint64_t off, const void *src, size_t len)
{
	const struct vdax_platform *p = w->platform;

	if (!range_ok(off, len, w->region.len))
		return -VDAX_ERANGE;
	if (!w->base)
		return p->ops->window_write(p->ctx, w->region.addr + off, src, len);
	__builtin_memcpy(w->base + off, src, len);
	return 0;
}

/* The platform takes a size_t: a 32-bit CPU zeroes a large window piece by piece. */
static int zero_by_platform(const struct vdax_window *w, uint64_t off, uint64_t len)
{
	const struct vdax_platform *p = w->platform;
	const uint64_t most = (uint64_t)1 << 30;

	while (len) {
		size_t part = (size_t)(len < most ? len : most);
		int ret = p->ops->window_zero(p->ctx, w->region.addr + off, part);

		if (ret)
			return ret;
		off += part;
		len -= part;
	}
	return 0;
}

int vdax_window_zero(const struct vdax_window *w, uint64_t off, uint64_t len)
{
	if (!range_ok(off, len, w->region.len))
		return -VDAX_ERANGE;
	if (!w->base)
		return zero_by_platform(w, off, len);
	__builtin_memset(w->base + off, 0, (size_t)len);
	return 0;
}

int vdax_window_ptr(const struct vdax_window *w, uint64_t off, uint64_t len, void **ptr)
{
	*ptr = NULL;
	if (!w->base)
		return -VDAX_ENOTSUP;
	if (!range_ok(off, len, w->region.len))
		return -VDAX_ERANGE;
	*ptr = w->base + off;
	return 0;
}
