/* SPDX-License-Identifier: BSD-2-Clause */
/* host/lines.c: whole lines, and none that a value began. */
#include <string.h>

#include "host/lines.h"
#include "tests/lib/check.h"

static void test_text(void)
{
	static const char want[] = "device x\nimage a?requests.LOOKUP 5??\n";
	char buf[64];
	struct lines l = { .buf = buf, .len = sizeof(buf) };

	lines_add(&l, "device %s", "x");
	lines_add(&l, "image %s", "a\nrequests.LOOKUP 5\t\x7f");
	CHECK_EQ("length", l.used, strlen(want));
	CHECK(l.used == strlen(want) && !memcmp(buf, want, l.used));
	CHECK(!l.full);
}

/* Of a text that ends at any place, only whole lines are there, and nothing behind a gap. */
static void test_no_room(void)
{
	static const char all[] = "first 1\nsecond 22\nz 3\n";

	for (size_t len = 0; len <= sizeof(all); len++) {
		char buf[sizeof(all) + 1];
		struct lines l = { .buf = buf, .len = len };
		size_t want = len < 8 ? 0 : len < 18 ? 8 : len < 22 ? 18 : 22;

		memset(buf, 0x55, sizeof(buf));
		lines_add(&l, "first %d", 1);
		lines_add(&l, "second %d", 22);
		lines_add(&l, "z %d", 3);
		CHECK_EQ("whole lines", l.used, want);
		CHECK_NAMED("full", l.full == (want < 22));
		CHECK_NAMED("as given", !memcmp(buf, all, l.used));
		CHECK_EQ("nothing behind", buf[len], 0x55);
	}
}

int main(void)
{
	test_text();
	test_no_room();
	return check_done();
}
