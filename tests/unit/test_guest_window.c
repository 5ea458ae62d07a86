/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/window.c on a platform where the window is like RAM, and on one where it is not. */
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vdax/window.h"

#define GPA 0x100000000u
#define LEN 4096u

static uint8_t store[LEN];
static unsigned int accesses; /* through the platform */

static int fake_read(void *ctx, uint64_t addr, void *dst, size_t len)
{
	accesses++;
	memcpy(dst, (uint8_t *)ctx + (addr - GPA), len);
	return 0;
}

static int fake_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	accesses++;
	memcpy((uint8_t *)ctx + (addr - GPA), src, len);
	return 0;
}

static int fake_zero(void *ctx, uint64_t addr, size_t len)
{
	accesses++;
	memset((uint8_t *)ctx + (addr - GPA), 0, len);
	return 0;
}

static const struct vdax_platform_ops ops = {
	.window_read = fake_read,
	.window_write = fake_write,
	.window_zero = fake_zero,
};
static const struct vdax_platform ram = { .ops = NULL, .ram_like = true };
static const struct vdax_platform pci = { .ops = &ops, .ctx = store, .ram_like = false };
static const struct vdax_region region = { GPA, LEN };

static const struct {
	const char *name;
	uint64_t off, len;
	int ret;
} access_cases[] = {
	{ "all", 0, LEN, 0 },
	{ "nothing", 0, 0, 0 },
	{ "last byte", LEN - 1, 1, 0 },
	{ "nothing at the end", LEN, 0, 0 },
	{ "past the end", LEN, 1, -VDAX_ERANGE },
	{ "one too many", 1, LEN, -VDAX_ERANGE },
	{ "sum wraps", UINT64_MAX, 2, -VDAX_ERANGE },
	{ "sum wraps to 0", UINT64_MAX - LEN + 1, LEN, -VDAX_ERANGE },
};

static void test_access(const struct vdax_platform *p, void *base, unsigned int per_access)
{
	struct vdax_window w;
	uint8_t buf[LEN];
	void *ptr;

	REQUIRE(!vdax_window_init(&w, p, &region, base));
	for (size_t i = 0; i < ARRAY_SIZE(access_cases); i++) {
		uint64_t off = access_cases[i].off, len = access_cases[i].len;
		const char *name = access_cases[i].name;
		int want = access_cases[i].ret;

		accesses = 0;
		memset(store, 0x5a, LEN);
		memset(buf, 0xa5, LEN);
		CHECK_EQ(name, vdax_window_write(&w, off, buf, (size_t)len), want);
		if (!want)
			CHECK_EQ(name, memcmp(store + off, buf, (size_t)len), 0);
		CHECK_EQ(name, vdax_window_zero(&w, off, len), want);
		CHECK_EQ(name, vdax_window_read(&w, off, buf, (size_t)len), want);
		if (!want && len)
			CHECK_EQ(name, buf[len - 1], 0);
		CHECK_EQ(name, accesses, want ? 0 : per_access * (2 + (len != 0)));
		if (base) {
			CHECK_EQ(name, vdax_window_ptr(&w, off, len, &ptr), want);
			CHECK_NAMED(name, ptr == (want ? NULL : store + off));
		} else {
			CHECK_EQ(name, vdax_window_ptr(&w, off, len, &ptr), -VDAX_ENOTSUP);
			CHECK_NAMED(name, !ptr);
		}
	}
}

static const struct {
	const char *name;
	const struct vdax_platform *p;
	struct vdax_region region;
	void *base;
	int ret;
} init_cases[] = {
	{ "RAM-like, mapped", &ram, { GPA, LEN }, store, 0 },
	{ "RAM-like, not mapped", &ram, { GPA, LEN }, NULL, -VDAX_EINVAL },
	{ "not RAM-like, mapped", &pci, { GPA, LEN }, store, -VDAX_EINVAL },
	{ "not RAM-like", &pci, { GPA, LEN }, NULL, 0 },
	{ "empty", &pci, { GPA, 0 }, NULL, -VDAX_EINVAL },
	{ "wraps", &pci, { UINT64_MAX, 2 }, NULL, -VDAX_EINVAL },
	{ "larger than pointers reach", &ram, { 0, UINT64_MAX }, store, -VDAX_EINVAL },
};

static void test_init(void)
{
	struct vdax_window w;

	for (size_t i = 0; i < ARRAY_SIZE(init_cases); i++)
		CHECK_EQ(init_cases[i].name,
			 vdax_window_init(&w, init_cases[i].p, &init_cases[i].region,
					  init_cases[i].base),
			 init_cases[i].ret);
}

int main(void)
{
	test_init();
	test_access(&ram, store, 0);
	test_access(&pci, NULL, 1);
	return check_done();
}
