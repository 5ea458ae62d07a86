/* SPDX-License-Identifier: BSD-2-Clause */
/* A cut loses nothing that a recorded sync covers, and now and then all that none does. */
#include "tests/crash/shadow.h"

#include <stdbool.h>
#include <string.h>

#include "tests/lib/check.h"

#define PAGES 64u

static uint8_t live[PAGES * SHADOW_PAGE];
static struct shadow shadow;

static uint8_t *page(uint8_t *image, unsigned i)
{
	return image + i * SHADOW_PAGE;
}

/* The sectors of a page of the cut that hold value. */
static unsigned sectors_with(unsigned i, uint8_t value)
{
	unsigned n = 0;

	for (unsigned k = 0; k < SHADOW_PAGE; k += SHADOW_SECTOR)
		n += page(shadow.cut, i)[k] == value && page(shadow.cut, i)[k + 511] == value;
	return n;
}

static void store_all(uint8_t value)
{
	memset(live, value, sizeof(live));
}

static void test_ended_sync_is_kept(void)
{
	struct shadow_cut cut;

	store_all(1);
	shadow_begin(&shadow);
	shadow_end(&shadow);
	store_all(2);
	for (uint64_t seed = 0; seed < 16; seed++) {
		uint64_t newer = 0;

		shadow_cut(&shadow, seed, &cut);
		for (unsigned i = 0; i < PAGES; i++) {
			unsigned n = sectors_with(i, 2);

			newer += n != 0;
			CHECK_EQ("no older sector", sectors_with(i, 1) + n, 8);
		}
		CHECK_EQ("all differ", cut.differed, PAGES);
		CHECK_EQ("counted", cut.taken + cut.torn, newer);
	}
}

static void test_densities(void)
{
	static const struct {
		uint64_t seed, at_least, at_most;
	} cases[] = { { 4, 0, 0 }, { 5, 0, 12 }, { 6, 16, 48 }, { 7, 52, 64 } };
	struct shadow_cut cut;

	store_all(3);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shadow_cut(&shadow, cases[i].seed, &cut);
		CHECK(cut.taken + cut.torn >= cases[i].at_least);
		CHECK(cut.taken + cut.torn <= cases[i].at_most);
	}
	CHECK(cut.torn != 0); /* of the last */
}

/* The sync has failed, or has not ended: it counts for nothing until one has. */
static void test_sync_without_end(void)
{
	struct shadow_cut cut;

	store_all(4);
	shadow_begin(&shadow);
	shadow_end(&shadow);
	store_all(5);
	shadow_begin(&shadow);
	shadow_cut(&shadow, 0, &cut);
	CHECK_EQ("before the end", sectors_with(9, 4), 8);
	shadow_begin(&shadow);
	shadow_end(&shadow);
	shadow_cut(&shadow, 0, &cut);
	CHECK_EQ("the next one covers it", sectors_with(9, 5), 8);
	CHECK_EQ("nothing differs", cut.differed, 0);
}

/* What is stored after the sync has begun is not durable, even once it has ended. */
static void test_store_during_sync(void)
{
	struct shadow_cut cut;

	store_all(6);
	shadow_begin(&shadow);
	memset(page(live, 3), 7, SHADOW_PAGE);
	shadow_end(&shadow);
	shadow_cut(&shadow, 0, &cut);
	CHECK_EQ("as at the beginning", sectors_with(3, 6), 8);
	CHECK_EQ("one page differs", cut.differed, 1);
}

static void test_same_seed_same_cut(void)
{
	static uint8_t first[sizeof(live)];
	struct shadow_cut cut;

	store_all(8);
	shadow_cut(&shadow, 42, &cut);
	memcpy(first, shadow.cut, sizeof(first));
	shadow_cut(&shadow, 42, &cut);
	CHECK(memcmp(first, shadow.cut, sizeof(first)) == 0);
	shadow_cut(&shadow, 46, &cut);
	CHECK(memcmp(first, shadow.cut, sizeof(first)) != 0);
}

int main(void)
{
	REQUIRE(shadow_init(&shadow, live, sizeof(live)) == 0);
	test_ended_sync_is_kept();
	test_densities();
	test_sync_without_end();
	test_store_during_sync();
	test_same_seed_same_cut();
	shadow_fini(&shadow);
	return check_done();
}
