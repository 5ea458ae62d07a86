/* SPDX-License-Identifier: BSD-2-Clause */
/* guest/fs_dirents.c: streams of directory entries, right and wrong. */
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "vdax/errno.h"
#include "vdax/fs.h"

#define FILE_MODE 0100644u

static uint8_t dir[4096];
static uint32_t dir_len;

static void add_entry(const char *name, uint32_t namelen, uint64_t nodeid, bool plus)
{
	struct fuse_dirent d = { .ino = 70, .off = 11, .namelen = namelen, .type = 8 };
	struct fuse_entry_out e = { .nodeid = nodeid, .attr = { .mode = FILE_MODE } };
	uint32_t began = dir_len;

	if (plus) {
		memcpy(dir + dir_len, &e, sizeof(e));
		dir_len += sizeof(e);
	}
	memcpy(dir + dir_len, &d, sizeof(d));
	memcpy(dir + dir_len + sizeof(d), name, strlen(name) + 1);
	dir_len += (uint32_t)(sizeof(d) + strlen(name));
	dir_len = began + (uint32_t)FUSE_REC_ALIGN(dir_len - began);
}

static const struct {
	const char *name, *entry;
	int more; /* to the length of the name that the device says */
	int cut;  /* from the end of all */
	int ret;
} dir_cases[] = {
	{ "good", "file", 0, 0, 1 },
	{ "without padding", "file", 0, 4, 1 },
	{ "name cut off", "file", 0, 5, -VDAX_EIO },
	{ "no name", "", 0, 0, -VDAX_EIO },
	{ "slash", "a/b", 0, 0, -VDAX_EIO },
	{ "NUL", "abc", 1, 0, -VDAX_EIO },
	{ "name beyond the end", "file", 100, 0, -VDAX_EIO },
	{ "name of 4 GiB", "file", -5, 0, -VDAX_EIO },
	{ "half a head", "file", 0, 12, -VDAX_EIO },
};

static void test_dirents(bool plus)
{
	struct vdax_fs_dirents it;
	struct vdax_fs_dirent d;

	for (size_t i = 0; i < ARRAY_SIZE(dir_cases); i++) {
		const char *name = dir_cases[i].name, *entry = dir_cases[i].entry;
		uint8_t *exact;

		dir_len = 0;
		add_entry("first", 5, 7, plus);
		add_entry(entry, (uint32_t)((int)strlen(entry) + dir_cases[i].more), 7, plus);
		dir_len -= (uint32_t)dir_cases[i].cut;
		exact = malloc(dir_len); /* the sanitizer sees a byte too many */
		REQUIRE(exact);
		memcpy(exact, dir, dir_len);
		vdax_fs_dirents_start(&it, exact, (int)dir_len, plus);
		CHECK_EQ(name, vdax_fs_dirents_next(&it, &d), 1);
		CHECK_NAMED(name, !strcmp(d.name, "first") && d.off == 11 && d.type == 8);
		CHECK_EQ(name, d.entry.nodeid, plus ? 7 : 0);
		CHECK_EQ(name, vdax_fs_dirents_next(&it, &d), dir_cases[i].ret);
		if (dir_cases[i].ret == 1)
			CHECK_NAMED(name, !strcmp(d.name, entry));
		CHECK_EQ(name, vdax_fs_dirents_next(&it, &d), 0);
		free(exact);
	}
	vdax_fs_dirents_start(&it, dir, -VDAX_EIO, plus);
	CHECK_EQ("an error is no directory", vdax_fs_dirents_next(&it, &d), 0);
}

int main(void)
{
	test_dirents(false);
	test_dirents(true);
	return check_done();
}
