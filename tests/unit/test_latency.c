/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd/latency.c: what goes in comes out, within the promised precision. */
#include "base/macros.h"
#include "cmd/latency.h"
#include "tests/lib/check.h"

static const uint64_t values[] = {
	0, 1, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 123456789, UINT64_MAX / 2, UINT64_MAX
};

static void test_one(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct latency l = { 0 };
		uint64_t v = values[i], got;

		latency_add(&l, v);
		got = latency_at(&l, 0.5);
		CHECK_NAMED("not above", got <= v);
		CHECK_NAMED("near", v - got <= v / LATENCY_STEPS);
		CHECK_NAMED("max is exact", l.max == v);
	}
}

static void test_order(void)
{
	static struct latency l;

	CHECK_EQ("nothing yet", latency_at(&l, 0.5), 0);
	for (uint64_t v = 1; v <= 1000; v++)
		latency_add(&l, v * 1000);
	for (int percent = 10; percent < 100; percent += 10) {
		uint64_t got = latency_at(&l, percent / 100.0), want = (uint64_t)percent * 10000;

		CHECK_NAMED("within 2 %", got >= want - want / 50 && got <= want + want / 50);
	}
	CHECK_EQ("count", l.n, 1000);
}

int main(void)
{
	test_one();
	test_order();
	return check_done();
}
