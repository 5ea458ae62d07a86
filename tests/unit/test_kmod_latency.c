/* SPDX-License-Identifier: BSD-2-Clause */
/* kmod/latency.c: in which slot of the histogram a request is counted. */
#include "kmod/latency.h"
#include "tests/lib/check.h"

#define US 1000ull

/* Slot n begins at 2^(n-1) microseconds; the last one has no end. */
static void test_bounds(void)
{
	for (unsigned int n = 1; n < VPMEM_LATENCY_SLOTS; n++) {
		const u64 begin = (1ull << (n - 1)) * US;

		CHECK_EQ("where a slot begins", vpmem_latency_slot(begin), n);
		CHECK_EQ("just before it", vpmem_latency_slot(begin - 1), n - 1);
	}
}

static void test_ends(void)
{
	CHECK_EQ("no time", vpmem_latency_slot(0), 0);
	CHECK_EQ("the last slot", vpmem_latency_slot((1ull << 31) * US), VPMEM_LATENCY_SLOTS - 1);
	CHECK_EQ("for ever", vpmem_latency_slot(~0ull), VPMEM_LATENCY_SLOTS - 1);
}

int main(void)
{
	test_bounds();
	test_ends();
	return check_done();
}
