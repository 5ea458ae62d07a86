/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio/state.c: what is put comes out again, whatever the pieces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "virtio/state.h"

/* The other end: takes everything, gives at most piece bytes at a time. */
static struct {
	uint8_t data[4 * STATE_BUFFER];
	size_t len, at, piece;
	unsigned calls;
	unsigned fail_at; /* this call fails; 0: none */
} store;

static int store_write(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	if (++store.calls == store.fail_at)
		return -EPIPE;
	REQUIRE(len && len <= sizeof(store.data) - store.len);
	memcpy(store.data + store.len, data, len);
	store.len += len;
	return 0;
}

static int64_t store_read(void *ctx, void *data, size_t len)
{
	size_t n = MIN(MIN(len, store.piece), store.len - store.at);

	(void)ctx;
	if (++store.calls == store.fail_at)
		return -ECONNRESET;
	memcpy(data, store.data + store.at, n);
	store.at += n;
	return (int64_t)n;
}

static struct state_out out;
static struct state_in in;

static void begin(void)
{
	memset(&store, 0, sizeof(store));
	store.piece = SIZE_MAX;
	memset(&out, 0, sizeof(out));
	out.write = store_write;
	memset(&in, 0, sizeof(in));
	in.read = store_read;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static const struct {
	const char *name;
	size_t record, records, piece;
} cases[] = {
	{ "one byte", 1, 1, SIZE_MAX },
	{ "small records", 7, 30000, SIZE_MAX },
	{ "small records, read byte by byte", 7, 3000, 1 },
	{ "a buffer exactly", STATE_BUFFER, 1, SIZE_MAX },
	{ "a buffer and one", STATE_BUFFER + 1, 1, SIZE_MAX },
	{ "three buffers at once", 3 * STATE_BUFFER, 1, 4096 },
	{ "odd pieces", 1000, 200, 777 },
	{ "nothing", 0, 1, SIZE_MAX },
};

static void test_round_trip(void)
{
	static uint8_t record[3 * STATE_BUFFER];

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		size_t len = cases[c].record, total = len * cases[c].records, wrong = 0;

		begin();
		store.piece = cases[c].piece;
		for (size_t i = 0; i < total; i += len) {
			for (size_t b = 0; b < len; b++)
				record[b] = byte_at(i + b);
			CHECK_EQ(cases[c].name, state_put(&out, record, len), 0);
		}
		CHECK_EQ(cases[c].name, state_flush(&out), 0);
		CHECK_EQ(cases[c].name, store.len, total);
		CHECK_EQ(cases[c].name, out.total, total);
		for (size_t i = 0; i < total; i += len) {
			CHECK_EQ(cases[c].name, state_get(&in, record, len), 0);
			for (size_t b = 0; b < len; b++)
				wrong += record[b] != byte_at(i + b);
		}
		CHECK_EQ(cases[c].name, wrong, 0);
		CHECK_EQ(cases[c].name, state_get(&in, record, 1), -ENODATA);
	}
}

/* A stream that ends inside of a record is another thing than one that ends behind it. */
static void test_short(void)
{
	char buf[16];

	begin();
	store.len = 10;
	CHECK_EQ("first", state_get(&in, buf, 6), 0);
	CHECK_EQ("cut", state_get(&in, buf, 6), -EPROTO);
	CHECK_EQ("it stays so", state_get(&in, buf, 1), -EPROTO);
}

static void test_failures(void)
{
	char buf[16] = "";
	unsigned calls;

	begin();
	store.fail_at = 1;
	CHECK_EQ("buffered", state_put(&out, buf, sizeof(buf)), 0);
	CHECK_EQ("the write fails", state_flush(&out), -EPIPE);
	calls = store.calls;
	CHECK_EQ("from then on", state_put(&out, buf, sizeof(buf)), -EPIPE);
	CHECK_EQ("from then on", state_flush(&out), -EPIPE);
	CHECK_EQ("nothing is written", store.calls, calls);

	begin();
	store.len = 100;
	store.fail_at = 1;
	CHECK_EQ("the read fails", state_get(&in, buf, 1), -ECONNRESET);
	CHECK_EQ("from then on", state_get(&in, buf, 1), -ECONNRESET);
	CHECK_EQ("nothing is read", store.calls, 1);
}

static void test_limit(void)
{
	char buf[16] = "";

	begin();
	out.total = STATE_MAX - 10;
	CHECK_EQ("up to the limit", state_put(&out, buf, 10), 0);
	CHECK_EQ("beyond", state_put(&out, buf, 1), -EFBIG);
	CHECK_EQ("for good", state_flush(&out), -EFBIG);
	begin();
	store.len = 100;
	in.total = STATE_MAX - 10;
	CHECK_EQ("up to the limit", state_get(&in, buf, 10), 0);
	CHECK_EQ("beyond", state_get(&in, buf, 1), -EFBIG);
	begin();
	CHECK_EQ("a length that is absurd", state_put(&out, buf, SIZE_MAX), -EFBIG);
	CHECK_EQ("a length that is absurd", state_get(&in, buf, SIZE_MAX), -EFBIG);
}

int main(void)
{
	test_round_trip();
	test_short();
	test_failures();
	test_limit();
	return check_done();
}
