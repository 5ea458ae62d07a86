/* SPDX-License-Identifier: BSD-2-Clause */
/* base/: every helper at its edges. */
#include <string.h>

#include "base/align.h"
#include "base/barrier.h"
#include "base/event_idx.h"
#include "base/le.h"
#include "base/macros.h"
#include "base/range.h"
#include "tests/lib/check.h"

static void test_le(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	le16 a;
	le32 b;
	le64 c;

	memcpy(&a, bytes, sizeof(a));
	memcpy(&b, bytes, sizeof(b));
	memcpy(&c, bytes, sizeof(c));
	CHECK_EQ("le16", le16_get(a), 0x0201);
	CHECK_EQ("le32", le32_get(b), 0x04030201);
	CHECK_EQ("le64", le64_get(c), 0x0807060504030201);
	CHECK_EQ("le16_of", le16_of(0x0201).v, a.v);
	CHECK_EQ("le32_of", le32_of(0x04030201).v, b.v);
	CHECK_EQ("le64_of", le64_of(0x0807060504030201).v, c.v);
}

static void test_barrier(void)
{
	static const uint8_t bytes[] = { 0x34, 0x12, 0x78, 0x56 };
	le16 a;
	le32 b;

	memcpy(&a, bytes, sizeof(a));
	memcpy(&b, bytes, sizeof(b));
	CHECK_EQ("load", ring_load(&a), 0x1234);
	CHECK_EQ("load acquire", ring_load_acquire(&a), 0x1234);
	CHECK_EQ("load32", ring_load32(&b), 0x56781234);
	ring_store(&a, 0x5678);
	CHECK_EQ("store", memcmp(&a, bytes + 2, 2), 0);
	ring_store_release(&a, 0x1234);
	CHECK_EQ("store release", memcmp(&a, bytes, 2), 0);
	ring_fence();
}

static const struct {
	const char *name;
	uint64_t off, len, limit;
	bool ok;
} range_cases[] = {
	{ "empty", 0, 0, 0, true },
	{ "whole", 0, 10, 10, true },
	{ "one too long", 0, 11, 10, false },
	{ "last byte", 9, 1, 10, true },
	{ "one past", 10, 1, 10, false },
	{ "empty at the limit", 10, 0, 10, true },
	{ "empty past the limit", 11, 0, 10, false },
	{ "sum wraps", UINT64_MAX, 2, 10, false },
	{ "length huge", 1, UINT64_MAX, UINT64_MAX, false },
	{ "all of it", 0, UINT64_MAX, UINT64_MAX, true },
};

static void test_range(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(range_cases); i++)
		CHECK_EQ(range_cases[i].name,
			 range_ok(range_cases[i].off, range_cases[i].len, range_cases[i].limit),
			 range_cases[i].ok);
	CHECK(range_within(0x1000, 0x1000, 0x1000, 0x1000));
	CHECK(!range_within(0xfff, 1, 0x1000, 0x1000));
	CHECK(!range_within(0x1fff, 2, 0x1000, 0x1000));
	CHECK(!range_within(0x1800, UINT64_MAX, 0x1000, 0x1000));
	CHECK(range_overlap(0, 2, 1, 2));
	CHECK(range_overlap(1, 2, 0, 2));
	CHECK(!range_overlap(0, 2, 2, 2));
	CHECK(!range_overlap(2, 2, 0, 2));
	CHECK(range_overlap(UINT64_MAX - 1, 1, 5, UINT64_MAX - 5));
}

static void test_align(void)
{
	CHECK(is_pow2(1) && is_pow2(MIB(2)) && !is_pow2(0) && !is_pow2(3));
	CHECK(is_aligned(0, 16) && is_aligned(32, 16) && !is_aligned(33, 16));
	CHECK_EQ("down", align_down(4097, 4096), 4096);
	CHECK_EQ("up", align_up(4097, 4096), 8192);
	CHECK_EQ("up exact", align_up(4096, 4096), 4096);
	CHECK_EQ("up wraps", align_up(UINT64_MAX, 4096), 0);
	CHECK_EQ("pow2_up 0", pow2_up(0), 1);
	CHECK_EQ("pow2_up 5", pow2_up(5), 8);
	CHECK_EQ("pow2_up 8", pow2_up(8), 8);
	CHECK_EQ("pow2_up max", pow2_up(UINT64_MAX), 0);
	CHECK_EQ("pow2_up top", pow2_up((uint64_t)1 << 63) >> 63, 1);
	CHECK_EQ("GIB", GIB(3), 3221225472);
}

static const struct {
	const char *name;
	uint16_t event, new_idx, old_idx;
	bool passed;
} event_cases[] = {
	{ "reached", 5, 6, 5, true },
	{ "not yet", 6, 6, 5, false },
	{ "inside a batch", 7, 10, 5, true },
	{ "long ago", 4, 6, 5, false },
	{ "nothing new", 5, 5, 5, false },
	{ "across the wrap", 0xffff, 2, 0xfffe, true },
	{ "after the wrap", 2, 2, 0xfffe, false },
};

static void test_event_idx(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(event_cases); i++)
		CHECK_EQ(event_cases[i].name,
			 event_idx_passed(event_cases[i].event, event_cases[i].new_idx,
					  event_cases[i].old_idx),
			 event_cases[i].passed);
}

struct outer {
	int a;
	long member;
};

static void test_macros(void)
{
	struct outer o;
	int three[3];

	CHECK(container_of(&o.member, struct outer, member) == &o);
	CHECK_EQ("ARRAY_SIZE", ARRAY_SIZE(three), 3);
	CHECK_EQ("MIN", MIN(1, 2), 1);
	CHECK_EQ("MAX", MAX(1, 2), 2);
}

int main(void)
{
	test_le();
	test_barrier();
	test_range();
	test_align();
	test_event_idx();
	test_macros();
	return check_done();
}
