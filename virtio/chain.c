/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/chain.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "base/range.h"
#include "virtio/fault.h"

/*
 * The buffers behind [off, off + *len) of seg[n], as many as fit into out[max]; *len becomes
 * what is left over. Returns how many, or -EFAULT if one does not translate.
 */
static int slice(const struct iovec *seg, unsigned n, uint32_t off, uint32_t *len,
		 struct iovec *out, unsigned max)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n && *len && used < max; i++) {
		uint32_t avail = (uint32_t)seg[i].iov_len;
		uint32_t take;

		if (off >= avail) {
			off -= avail;
			continue;
		}
		if (!seg[i].iov_base)
			return -EFAULT;
		take = MIN(avail - off, *len);
		out[used++] = (struct iovec){ (char *)seg[i].iov_base + off, take };
		*len -= take;
		off = 0;
	}
	return (int)used;
}

struct copy {
	const struct iovec *seg;
	unsigned n;
	char *read_into;	 /* either this */
	const char *filled_from; /* or this */
};

static int copy_segs(void *arg)
{
	struct copy *c = arg;

	for (unsigned i = 0; i < c->n; i++) {
		size_t len = c->seg[i].iov_len;

		if (c->read_into) {
			memcpy(c->read_into, c->seg[i].iov_base, len);
			c->read_into += len;
		} else {
			memcpy(c->seg[i].iov_base, c->filled_from, len);
			c->filled_from += len;
		}
	}
	return 0;
}

#define READ_BATCH 16u /* buffers that chain_read() gathers at a time */

int chain_read(const struct vq_chain *c, uint32_t off, void *dst, uint32_t len)
{
	struct iovec part[READ_BATCH];
	char *to = dst;

	if (!range_ok(off, len, c->readable_len))
		return -EINVAL;
	while (len) {
		uint32_t left = len;
		int n = slice(c->seg, c->n_readable, off, &left, part, READ_BATCH);
		struct copy copy = { .seg = part, .n = (unsigned)n, .read_into = to };

		if (n < 0)
			return n;
		if (fault_guard(copy_segs, &copy))
			return -EFAULT;
		to += len - left;
		off += len - left;
		len = left;
	}
	return 0;
}

int chain_writable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *out,
		   unsigned max)
{
	int n;

	if (!range_ok(off, len, c->writable_len))
		return -EINVAL;
	n = slice(c->seg + c->n_readable, c->n_writable, off, &len, out, max);
	return n >= 0 && len ? -E2BIG : n;
}

int chain_readable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *out,
		   unsigned max)
{
	int n;

	if (!range_ok(off, len, c->readable_len))
		return -EINVAL;
	n = slice(c->seg, c->n_readable, off, &len, out, max);
	return n >= 0 && len ? -E2BIG : n;
}

int chain_fill(const struct iovec *out, unsigned n, const void *src)
{
	struct copy copy = { .seg = out, .n = n, .filled_from = src };

	return fault_guard(copy_segs, &copy);
}
