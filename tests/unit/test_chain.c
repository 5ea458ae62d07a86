/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/chain.c: reading and writing the buffers of one request. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "virtio/chain.h"
#include "virtio/fault.h"

static char ab[] = "ab", cde[] = "cde", fg[] = "fg", w1[3], w2[2];

/* Readable: ab cde (3 bytes that do not translate) fg. Writable: 3, 2, (2 that do not), 3. */
static struct iovec segs[] = {
	{ ab, 2 }, { cde, 3 }, { NULL, 3 }, { fg, 2 }, { w1, 3 }, { w2, 2 }, { NULL, 2 }, { w1, 3 },
};

static const struct vq_chain chain = {
	.seg = segs,
	.cap = ARRAY_SIZE(segs),
	.n_readable = 4,
	.n_writable = 4,
	.readable_len = 10,
	.writable_len = 10,
};

static const struct {
	const char *name;
	uint32_t off, len;
	int want;
	const char *text;
} read_cases[] = {
	{ "first buffer", 0, 2, 0, "ab" },
	{ "part of it", 1, 1, 0, "b" },
	{ "across two", 1, 3, 0, "bcd" },
	{ "all before the hole", 0, 5, 0, "abcde" },
	{ "begins on an edge", 2, 3, 0, "cde" },
	{ "into the hole", 4, 2, -EFAULT, "" },
	{ "inside the hole", 6, 1, -EFAULT, "" },
	{ "across the hole", 0, 10, -EFAULT, "" },
	{ "behind the hole", 8, 2, 0, "fg" },
	{ "last byte", 9, 1, 0, "g" },
	{ "nothing", 0, 0, 0, "" },
	{ "nothing in the hole", 6, 0, 0, "" },
	{ "nothing at the end", 10, 0, 0, "" },
	{ "nothing past the end", 11, 0, -EINVAL, "" },
	{ "past the end", 9, 2, -EINVAL, "" },
	{ "at the end", 10, 1, -EINVAL, "" },
	{ "more than there is", 0, 11, -EINVAL, "" },
	{ "offset wraps", UINT32_MAX, 2, -EINVAL, "" },
	{ "length wraps", 2, UINT32_MAX, -EINVAL, "" },
};

static void test_read(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(read_cases); i++) {
		size_t len = strlen(read_cases[i].text);
		char buf[16];

		memset(buf, '#', sizeof(buf));
		CHECK_EQ(read_cases[i].name,
			 chain_read(&chain, read_cases[i].off, buf, read_cases[i].len),
			 read_cases[i].want);
		if (!read_cases[i].want) {
			CHECK_EQ(read_cases[i].name, memcmp(buf, read_cases[i].text, len), 0);
			CHECK_EQ(read_cases[i].name, buf[len], '#');
		}
	}
}

static const struct {
	const char *name;
	uint32_t off, len;
	unsigned max;
	int want;
	size_t len0, len1; /* of the buffers */
} writable_cases[] = {
	{ "first buffer", 0, 3, 8, 1, 3, 0 },
	{ "part of it", 1, 1, 8, 1, 1, 0 },
	{ "across two", 2, 3, 8, 2, 1, 2 },
	{ "exactly max", 0, 5, 2, 2, 3, 2 },
	{ "more than max", 0, 4, 1, -E2BIG, 0, 0 },
	{ "no room at all", 0, 1, 0, -E2BIG, 0, 0 },
	{ "into the hole", 4, 2, 8, -EFAULT, 0, 0 },
	{ "behind the hole", 7, 3, 8, 1, 3, 0 },
	{ "nothing", 5, 0, 8, 0, 0, 0 },
	{ "nothing, nowhere", 0, 0, 0, 0, 0, 0 },
	{ "nothing at the end", 10, 0, 8, 0, 0, 0 },
	{ "past the end", 10, 1, 8, -EINVAL, 0, 0 },
	{ "length wraps", 2, UINT32_MAX, 8, -EINVAL, 0, 0 },
};

static void test_writable(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(writable_cases); i++) {
		struct iovec out[8] = { { NULL, 0 } };
		int n = chain_writable(&chain, writable_cases[i].off, writable_cases[i].len, out,
				       writable_cases[i].max);

		CHECK_EQ(writable_cases[i].name, n, writable_cases[i].want);
		if (n >= 0) {
			CHECK_EQ(writable_cases[i].name, out[0].iov_len, writable_cases[i].len0);
			CHECK_EQ(writable_cases[i].name, out[1].iov_len, writable_cases[i].len1);
		}
	}
}

static void test_readable(void)
{
	struct iovec out[8];
	char one;

	CHECK_EQ("within the first", chain_readable(&chain, 1, 1, out, 8), 1);
	REQUIRE(chain_read(&chain, 1, &one, 1) == 0);
	CHECK_EQ("its bytes", *(char *)out[0].iov_base, one);
	CHECK_EQ("past the end", chain_readable(&chain, chain.readable_len, 1, out, 8), -EINVAL);
	CHECK_EQ("more than max", chain_readable(&chain, 0, 1, out, 0), -E2BIG);
}

static void test_fill(void)
{
	struct iovec out[2];

	REQUIRE(chain_writable(&chain, 1, 4, out, 2) == 2);
	CHECK_EQ("fill", chain_fill(out, 2, "wxyz"), 0);
	CHECK_EQ("first", memcmp(w1, "\0wx", 3), 0);
	CHECK_EQ("second", memcmp(w2, "yz", 2), 0);
	CHECK_EQ("nothing", chain_fill(out, 0, NULL), 0);
}

/* More buffers than chain_read() gathers at a time. */
static void test_many(void)
{
	char bytes[40], buf[40];
	struct iovec seg[40];
	struct vq_chain c = { .seg = seg, .n_readable = 40, .readable_len = 40 };

	for (size_t i = 0; i < ARRAY_SIZE(seg); i++) {
		bytes[i] = (char)('0' + i);
		seg[i] = (struct iovec){ &bytes[i], 1 };
	}
	for (uint32_t off = 0; off < 40; off++) {
		memset(buf, 0, sizeof(buf));
		CHECK_EQ("many", chain_read(&c, off, buf, 40 - off), 0);
		CHECK_EQ("many", memcmp(buf, bytes + off, 40 - off), 0);
	}
	seg[39].iov_base = NULL;
	CHECK_EQ("hole in a later batch", chain_read(&c, 0, buf, 40), -EFAULT);
	CHECK_EQ("before it", chain_read(&c, 0, buf, 39), 0);
}

static void test_gone(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char here[2] = { 0 }, buf[4];
	struct iovec seg[2] = { { here, 2 }, { NULL, 2 } };
	struct vq_chain c = { .seg = seg, .n_readable = 2, .readable_len = 4 };

	REQUIRE(fd >= 0 && ftruncate(fd, 2) == 0);
	seg[1].iov_base = mmap(NULL, 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(seg[1].iov_base != MAP_FAILED);
	CHECK_EQ("still there", chain_read(&c, 0, buf, 4), 0);
	REQUIRE(ftruncate(fd, 0) == 0);
	CHECK_EQ("gone", chain_read(&c, 0, buf, 4), -EFAULT);
	CHECK_EQ("fill", chain_fill(seg, 2, "abcd"), -EFAULT);
	CHECK_EQ("what came before is filled", memcmp(here, "ab", 2), 0);
	munmap(seg[1].iov_base, 2);
	close(fd);
}

int main(void)
{
	REQUIRE(fault_init() == 0);
	test_read();
	test_writable();
	test_readable();
	test_fill();
	test_many();
	test_gone();
	return check_done();
}
