/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/state.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"

int state_flush(struct state_out *out)
{
	if (!out->err && out->fill)
		out->err = out->write(out->ctx, out->buf, out->fill);
	out->fill = 0;
	return out->err;
}

int state_put(struct state_out *out, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (!out->err && len > STATE_MAX - out->total)
		out->err = -EFBIG;
	if (out->err)
		return out->err;
	out->total += len;
	while (len && !out->err) {
		size_t part = MIN(len, sizeof(out->buf) - out->fill);

		memcpy(out->buf + out->fill, from, part);
		out->fill += part;
		from += part;
		len -= part;
		if (out->fill == sizeof(out->buf))
			state_flush(out);
	}
	return out->err;
}

/* Makes sure that there is a byte in the buffer. 0, -ENODATA at the end, or -errno. */
static int fill(struct state_in *in)
{
	int64_t n;

	if (in->used < in->fill)
		return 0;
	n = in->read(in->ctx, in->buf, sizeof(in->buf));
	if (n <= 0)
		return n ? (int)n : -ENODATA;
	in->used = 0;
	in->fill = (size_t)n;
	return 0;
}

int state_get(struct state_in *in, void *data, size_t len)
{
	uint8_t *to = data;
	bool first = true;

	if (!in->err && len > STATE_MAX - in->total)
		in->err = -EFBIG;
	while (len && !in->err) {
		size_t part;

		in->err = fill(in);
		if (in->err == -ENODATA && !first)
			in->err = -EPROTO;
		if (in->err)
			break;
		part = MIN(len, in->fill - in->used);
		memcpy(to, in->buf + in->used, part);
		in->used += part;
		in->total += part;
		to += part;
		len -= part;
		first = false;
	}
	return in->err;
}
