/* SPDX-License-Identifier: BSD-2-Clause */
/* kmod/range.c: what the device says of its memory, in bytes, and whether it is believed. */
#include <string.h>

#include "base/macros.h"
#include "kmod/range.h"
#include "tests/lib/check.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define LAST_64 (~0ull)
#define LAST_36 (64 * GIB - 1)
#define LAST_32 (4 * GIB - 1)

/* The configuration space byte by byte, as it is on every machine. */
static const struct {
	const char *name;
	unsigned char bytes[16];
	u64 start, size;
} configs[] = {
	{ "zero", { 0 }, 0, 0 },
	{ "4 GiB and 2 MiB", { 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x20 }, 4 * GIB, 2 * MIB },
	{ "each byte in its place",
	  { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5,
	    0x96, 0x87 },
	  0xefcdab8967452301,
	  0x8796a5b4c3d2e1f0 },
	{ "lowest bits", { 1, 0, 0, 0, 0, 0, 0, 0, 2 }, 1, 2 },
	{ "highest bits", { [7] = 0x80, [15] = 0x40 }, 1ull << 63, 1ull << 62 },
	{ "all ones",
	  { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0xff },
	  ~0ull,
	  ~0ull },
};

static void test_config(void)
{
	struct vpmem_config config;
	struct vpmem_range range;

	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		memcpy(&config, configs[i].bytes, sizeof(configs[i].bytes));
		range = vpmem_range_from_config(&config);
		CHECK_EQ(configs[i].name, range.start, configs[i].start);
		CHECK_EQ(configs[i].name, range.size, configs[i].size);
	}
}

static const char no_size[] = "has no size";
static const char too_high[] = "ends beyond what this kernel can address";
static const char no_page[] = "does not begin and end at a page";
static const char no_section[] = "the range is not aligned as memory with struct pages has to be";

static const struct {
	const char *name;
	struct vpmem_range range;
	u64 page, last;
	const char *problem;
} ranges[] = {
	{ "usual", { 4 * GIB, GIB }, 4 * KIB, LAST_64, NULL },
	{ "one page", { 0, 4 * KIB }, 4 * KIB, LAST_64, NULL },
	{ "empty", { 4 * GIB, 0 }, 4 * KIB, LAST_64, no_size },
	{ "nothing at all", { 0, 0 }, 4 * KIB, LAST_64, no_size },
	{ "empty and unaligned", { 1, 0 }, 4 * KIB, LAST_64, no_size },
	{ "the whole of 32 bits", { 0, 4 * GIB }, 4 * KIB, LAST_32, NULL },
	{ "a page more", { 0, 4 * GIB + 4 * KIB }, 4 * KIB, LAST_32, too_high },
	{ "last page of 32 bits", { 4 * GIB - 4 * KIB, 4 * KIB }, 4 * KIB, LAST_32, NULL },
	{ "beyond it", { 4 * GIB - 4 * KIB, 8 * KIB }, 4 * KIB, LAST_32, too_high },
	{ "above 32 bits", { 4 * GIB, 4 * KIB }, 4 * KIB, LAST_32, too_high },
	{ "last page of 36 bits", { 64 * GIB - 4 * KIB, 4 * KIB }, 4 * KIB, LAST_36, NULL },
	{ "last page of 64 bits", { -4 * KIB, 4 * KIB }, 4 * KIB, LAST_64, NULL },
	{ "wraps to zero", { -4 * KIB, 8 * KIB }, 4 * KIB, LAST_64, too_high },
	{ "wraps far", { 4 * GIB, -4 * KIB }, 4 * KIB, LAST_64, too_high },
	{ "wraps to its own start", { -2 * MIB, -2 * MIB }, 4 * KIB, LAST_64, too_high },
	{ "all but a page", { 4 * KIB, -4 * KIB }, 4 * KIB, LAST_64, NULL },
	{ "no region there", { ~0ull, ~0ull }, 4 * KIB, LAST_64, too_high },
	{ "the last byte", { ~0ull, 1 }, 4 * KIB, LAST_64, no_page },
	{ "begins in a page", { 4 * GIB + 512, GIB - 512 }, 4 * KIB, LAST_64, no_page },
	{ "ends in a page", { 4 * GIB, GIB + 512 }, 4 * KIB, LAST_64, no_page },
	{ "odd by a byte", { 4 * GIB + 1, GIB }, 4 * KIB, LAST_64, no_page },
	{ "larger pages", { 64 * KIB, 64 * KIB }, 64 * KIB, LAST_64, NULL },
	{ "begins in a larger page", { 4 * KIB, 64 * KIB }, 64 * KIB, LAST_64, no_page },
	{ "ends in a larger page", { 64 * KIB, 68 * KIB }, 64 * KIB, LAST_64, no_page },
};

static void check_text(const char *name, const char *got, const char *want)
{
	if (!got || !want)
		CHECK_NAMED(name, got == want);
	else
		CHECK_NAMED(name, !strcmp(got, want));
}

static void test_problem(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		check_text(ranges[i].name,
			   vpmem_range_problem(&ranges[i].range, ranges[i].page, ranges[i].last),
			   ranges[i].problem);
}

static const struct {
	const char *name;
	struct vpmem_range range;
	u64 section;
	const char *problem;
} for_dax[] = {
	{ "usual", { 4 * GIB, GIB }, 2 * MIB, NULL },
	{ "one section", { 2 * MIB, 2 * MIB }, 2 * MIB, NULL },
	{ "begins in a section", { 4 * GIB + 4 * KIB, 2 * MIB }, 2 * MIB, no_section },
	{ "begins halfway", { 4 * GIB + MIB, 2 * MIB }, 2 * MIB, no_section },
	{ "ends in a section", { 4 * GIB, 2 * MIB + 4 * KIB }, 2 * MIB, no_section },
	{ "smaller than a section", { 4 * GIB, 4 * KIB }, 2 * MIB, no_section },
	{ "larger sections", { 4 * GIB, 18 * MIB }, 16 * MIB, no_section },
};

static void test_no_dax(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(for_dax); i++)
		check_text(for_dax[i].name,
			   vpmem_range_no_dax(&for_dax[i].range, for_dax[i].section),
			   for_dax[i].problem);
}

int main(void)
{
	test_config();
	test_problem();
	test_no_dax();
	return check_done();
}
