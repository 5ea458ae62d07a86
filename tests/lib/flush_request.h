/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pmem driver may send, good and bad, through a fake_driver's ring. A request lives
 * in a slot: memory of its own for its buffers, and either REQUEST_DESCS descriptors of the
 * ring or one that points to a table.
 */
#ifndef TESTS_LIB_FLUSH_REQUEST_H
#define TESTS_LIB_FLUSH_REQUEST_H

#include "tests/lib/fake_driver.h"
#include "wire/pmem.h"

#define REQUEST_DESCS	  8u
#define REQUEST_SLOTS_MAX 64u
#define REQUEST_UNTOUCHED 0x55555555u /* in the place of the answer */
#define REQUEST_NOWHERE	  FAKE_RAM_SIZE

struct request_kind {
	const char *name;
	bool flush;    /* must be answered by a sync */
	uint32_t used; /* bytes that the device says it wrote */
	uint32_t type;
	uint8_t n_readable, n_writable;
	uint8_t readable[4], writable[4]; /* bytes of each buffer, at most 16 */
	bool nowhere;			  /* the last buffer is not in memory */
};

static const struct request_kind request_kinds[] = {
	{ "flush", true, 4, 0, 1, 1, { 4 }, { 4 }, false },
	{ "flush in bytes", true, 4, 0, 4, 4, { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, false },
	{ "flush with empty buffers", true, 4, 0, 3, 3, { 0, 4, 0 }, { 0, 4, 0 }, false },
	{ "flush with more room", true, 4, 0, 2, 3, { 2, 16 }, { 1, 16, 16 }, false },
	{ "flush, room nowhere", true, 4, 0, 1, 2, { 4 }, { 4, 4 }, true },
	{ "type 1", false, 4, 1, 1, 1, { 4 }, { 4 }, false },
	{ "type -1 in bytes", false, 4, UINT32_MAX, 4, 4, { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, false },
	{ "big-endian type 1", false, 4, 0x01000000, 1, 1, { 4 }, { 4 }, false },
	{ "no type", false, 4, 0, 0, 1, { 0 }, { 4 }, false },
	{ "short type", false, 4, 0, 1, 1, { 3 }, { 4 }, false },
	{ "no answer", false, 0, 0, 1, 0, { 4 }, { 0 }, false },
	{ "short answer", false, 0, 0, 1, 2, { 4 }, { 1, 2 }, false },
	{ "answer nowhere", false, 0, 0, 1, 1, { 4 }, { 4 }, true },
	{ "type nowhere, no answer", false, 0, 0, 1, 0, { 4 }, { 0 }, true },
	{ "nothing at all", false, 0, 0, 1, 0, { 0 }, { 0 }, false },
};

#define REQUEST_FLUSH	(&request_kinds[0])
#define REQUEST_UNKNOWN (&request_kinds[5])

/* A slot's memory: buffers of 16 bytes, then the table. */
static inline uint64_t request_buf(unsigned slot, unsigned i)
{
	return FAKE_DATA + slot * 0x180u + i * 16u;
}

static inline uint64_t request_table(unsigned slot)
{
	return request_buf(slot, 16);
}

/* How many slots there are at the same time. */
static inline unsigned request_slots(const struct fake_driver *f)
{
	return MIN(f->vq.indirect ? f->cfg.size : f->cfg.size / REQUEST_DESCS, REQUEST_SLOTS_MAX);
}

static inline uint16_t request_head(const struct fake_driver *f, unsigned slot)
{
	return (uint16_t)(f->vq.indirect ? slot : slot * REQUEST_DESCS);
}

static inline unsigned request_slot(const struct fake_driver *f, uint32_t head)
{
	return f->vq.indirect ? head : head / REQUEST_DESCS;
}

/* The type, spread over the device-readable buffers. */
static inline void request_write_type(struct fake_driver *f, unsigned slot,
				      const struct request_kind *k)
{
	unsigned byte = 0;

	for (unsigned i = 0; i < k->n_readable; i++)
		for (unsigned n = 0; n < k->readable[i] && byte < 4; n++, byte++)
			f->ram[request_buf(slot, i) + n] = (uint8_t)(k->type >> (8 * byte));
}

/* Fills the slot's descriptors and memory; fake_offer() of its head sends it. */
static inline void request_prepare(struct fake_driver *f, unsigned slot,
				   const struct request_kind *k)
{
	struct vring_desc *d = &f->desc[request_head(f, slot)];
	unsigned total = k->n_readable + k->n_writable;
	unsigned first = f->vq.indirect ? 0 : request_head(f, slot);

	if (f->vq.indirect) {
		fake_desc(d, request_table(slot), total * 16, VRING_DESC_F_INDIRECT, 0);
		d = (void *)(f->ram + request_table(slot));
	}
	for (unsigned i = 0; i < total; i++) {
		bool writable = i >= k->n_readable, last = i + 1 == total;
		unsigned flags = (writable ? VRING_DESC_F_WRITE : 0) |
				 (last ? 0 : VRING_DESC_F_NEXT);

		fake_desc(&d[i], last && k->nowhere ? REQUEST_NOWHERE : request_buf(slot, i),
			  writable ? k->writable[i - k->n_readable] : k->readable[i],
			  (uint16_t)flags, (uint16_t)(first + i + 1));
		memset(f->ram + request_buf(slot, i), 0x55, 16);
	}
	request_write_type(f, slot, k);
}

static inline void request_send(struct fake_driver *f, unsigned slot, const struct request_kind *k)
{
	request_prepare(f, slot, k);
	fake_offer(f, request_head(f, slot));
}

/* The first four device-writable bytes, REQUEST_UNTOUCHED if there are not so many. */
static inline uint32_t request_answer(const struct fake_driver *f, unsigned slot,
				      const struct request_kind *k)
{
	unsigned byte = 0;
	uint32_t ret = 0;

	for (unsigned i = 0; i < k->n_writable; i++)
		for (unsigned n = 0; n < k->writable[i] && byte < 4; n++, byte++)
			ret |= (uint32_t)f->ram[request_buf(slot, k->n_readable + i) + n]
			       << (8 * byte);
	return byte < 4 ? REQUEST_UNTOUCHED : ret;
}

/* Did the device leave alone what comes behind the answer? */
static inline bool request_rest_untouched(const struct fake_driver *f, unsigned slot,
					  const struct request_kind *k)
{
	unsigned byte = 0;

	for (unsigned i = 0; i < k->n_writable; i++)
		for (unsigned n = 0; n < 16; n++)
			if (n < k->writable[i] && byte < 4 && k->used)
				byte++;
			else if (f->ram[request_buf(slot, k->n_readable + i) + n] != 0x55)
				return false;
	return true;
}

#endif
