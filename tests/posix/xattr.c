/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended attributes. */
#include <sys/xattr.h>
#include "tests/posix/posix.h"

static char value[70000];

static const char *const names[] = {
	"user.a",
	"user.",
	"user",
	"",
	"trusted.a",
	"trusted.",
	"security.a",
	"security.capability",
	"system.a",
	"nonsense.a",
	"user.with space",
	"user.odd\xff",
	"os2.a",
	"user.a.b.c.d",
};

static const char *const kinds[] = { "file", "dir", "link", "fifo", "sock", "missing", "file/x" };

static void need_xattrs(void)
{
	make_file("file", "x");
	if (setxattr("file", "user.try", "1", 1, 0) < 0 && errno == EOPNOTSUPP)
		skip("no extended attributes");
	MUST(removexattr("file", "user.try"));
	make_dir("dir", 0755);
	MUST(symlink("file", "link"));
	MUST(mkfifo("fifo", 0666));
	MUST(mknod("sock", S_IFSOCK | 0666, 0));
}

/* The list without its order, and without what a security module adds. */
static void show_list(const char *path)
{
	char list[4096], *found[200];
	ssize_t n = llistxattr(path, list, sizeof(list));
	size_t count = 0;

	if (n < 0) {
		say("list of %s: %s", path, strerrorname_np(errno));
		return;
	}
	for (char *p = list; p < list + n; p += strlen(p) + 1)
		if (count < ARRAY_SIZE(found) && strcmp(p, "security.selinux"))
			found[count++] = p;
	say("list of %s: %zu names in %zd bytes", path, count, n);
	for (size_t i = 0; i < count; i++) {
		size_t least = i;
		char *swap;

		for (size_t k = i + 1; k < count; k++)
			if (strcmp(found[k], found[least]) < 0)
				least = k;
		swap = found[i];
		found[i] = found[least];
		found[least] = swap;
		say("list of %s: %s", path, found[i]);
	}
}

static void matrix(void)
{
	need_xattrs();
	for (int user = 0; user < 2; user++) {
		if (user)
			MUST(chmod("file", 0666) | chmod("dir", 0777));
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			if (user)
				as_user(1000, 1000, NULL);
			for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
				with("%s of %s by %s", names[i], kinds[k], user ? "user" : "root");
				T(lgetxattr(kinds[k], names[i], value, sizeof(value)));
				T(lsetxattr(kinds[k], names[i], "value", 5, 0));
				T(lgetxattr(kinds[k], names[i], value, sizeof(value)));
			}
			with("%s", "");
			show_list(kinds[k]);
			as_root();
			for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
				with("remove %s of %s", names[i], kinds[k]);
				T(lremovexattr(kinds[k], names[i]));
			}
			with("%s", "");
		}
	}
}

static void create_and_replace(void)
{
	need_xattrs();
	T(setxattr("file", "user.a", "1", 1, XATTR_REPLACE));
	T(setxattr("file", "user.a", "1", 1, XATTR_CREATE));
	T(setxattr("file", "user.a", "2", 1, XATTR_CREATE));
	T(setxattr("file", "user.a", "33", 2, XATTR_REPLACE));
	T(setxattr("file", "user.a", "4", 1, XATTR_CREATE | XATTR_REPLACE));
	T(setxattr("file", "user.a", "4", 1, 0x10));
	T(getxattr("file", "user.a", value, 10));
	say("value %.2s", value);
	T(setxattr("file", "user.a", "", 0, 0));
	T(getxattr("file", "user.a", value, 10));
	T(removexattr("file", "user.a"));
	T(removexattr("file", "user.a"));
	T(setxattr("link", "user.through", "x", 1, 0));
	T(lsetxattr("link", "user.itself", "x", 1, 0));
	T(lsetxattr("link", "trusted.itself", "x", 1, 0));
	show_list("file");
	show_list("link");
}

static void sizes(void)
{
	static const size_t lengths[] = { 0, 1, 100, 1000, 3000, 4000, 4096, 65535, 65536, 65537 };

	need_xattrs();
	fill(value, sizeof(value), 3);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		static char got[70000];

		with("%zu bytes", lengths[i]);
		if (T(setxattr("file", "user.v", value, lengths[i], 0)))
			continue;
		T(getxattr("file", "user.v", NULL, 0));
		T(getxattr("file", "user.v", got, lengths[i]));
		say("equal %d", !memcmp(got, value, lengths[i]));
		if (lengths[i] > 1)
			T(getxattr("file", "user.v", got, lengths[i] - 1));
		T(getxattr("file", "user.v", got, sizeof(got)));
		T(listxattr("file", NULL, 0));
		T(listxattr("file", got, 3));
		T(listxattr("file", got, 6));
		T(listxattr("file", got, 7));
		T(removexattr("file", "user.v"));
	}
}

static void lengths_of_names(void)
{
	char name[400];

	need_xattrs();
	for (size_t n = 250; n <= 257; n++) {
		memset(name, 'n', sizeof(name));
		memcpy(name, "user.", 5);
		name[n] = 0;
		with("name of %zu", n);
		T(setxattr("file", name, "x", 1, 0));
		T(getxattr("file", name, value, 10));
		T(removexattr("file", name));
	}
}

static void many(void)
{
	char name[32];
	int n = 0;

	need_xattrs();
	while (n < 60) {
		snprintf(name, sizeof(name), "user.name%d", n);
		if (setxattr("file", name, name, strlen(name), 0))
			break;
		n++;
	}
	say("%d set", n);
	show_list("file");
	for (int i = 0; i < n; i += 2) {
		snprintf(name, sizeof(name), "user.name%d", i);
		MUST(removexattr("file", name));
	}
	show_list("file");
	for (int i = 1; i < n; i += 10) {
		snprintf(name, sizeof(name), "user.name%d", i);
		memset(value, 0, 32);
		T(getxattr("file", name, value, 32));
		say("value %s", value);
	}
}

static void by_descriptor(void)
{
	int fd, dir;

	need_xattrs();
	fd = open("file", O_RDONLY);
	dir = open("dir", O_RDONLY);
	T(fsetxattr(fd, "user.a", "abc", 3, 0));
	T(fsetxattr(dir, "user.d", "de", 2, 0));
	T(fgetxattr(fd, "user.a", value, 10));
	T(fgetxattr(dir, "user.d", value, 10));
	T(flistxattr(fd, NULL, 0));
	T(unlink("file"));
	T(fgetxattr(fd, "user.a", value, 10));
	T(fsetxattr(fd, "user.b", "x", 1, 0));
	T(fremovexattr(fd, "user.a"));
	T(flistxattr(fd, NULL, 0));
	T(fgetxattr(open("dir", O_PATH), "user.d", value, 10));
}

static void who_may(void)
{
	need_xattrs();
	MUST(setxattr("file", "user.a", "1", 1, 0));
	MUST(setxattr("file", "trusted.a", "1", 1, 0));
	for (mode_t mode = 0; mode <= 06; mode += 2) {
		MUST(chmod("file", mode | 0600));
		as_user(1000, 1000, NULL);
		with("mode %04o", mode | 0600);
		T(getxattr("file", "user.a", value, 10));
		T(setxattr("file", "user.b", "2", 1, 0));
		T(removexattr("file", "user.b"));
		T(getxattr("file", "trusted.a", value, 10));
		T(setxattr("file", "trusted.b", "2", 1, 0));
		show_list("file");
		as_root();
	}
	with("%s", "");
	MUST(chmod("dir", 01777));
	as_user(1000, 1000, NULL);
	T(setxattr("dir", "user.in_sticky", "1", 1, 0));
	as_root();
}

static void capabilities(void)
{
	/* version 2, effective, cap_net_raw */
	static const unsigned char cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	int fd;

	need_xattrs();
	T(setxattr("file", "security.capability", cap, sizeof(cap), 0));
	T(getxattr("file", "security.capability", value, sizeof(value)));
	say("hash %016llx", (unsigned long long)hash(value, 20));
	T(setxattr("file", "security.capability", cap, 3, 0));
	fd = open("file", O_RDWR);
	T(pwrite(fd, "X", 1, 0)); /* takes it away */
	T(getxattr("file", "security.capability", value, sizeof(value)));
	T(setxattr("file", "security.capability", cap, sizeof(cap), 0));
	T(chown("file", 1, 1));
	T(getxattr("file", "security.capability", value, sizeof(value)));
	T(setxattr("file", "security.capability", cap, sizeof(cap), 0));
	T(ftruncate(fd, 0));
	T(getxattr("file", "security.capability", value, sizeof(value)));
	T(setxattr("file", "security.capability", cap, sizeof(cap), 0));
	T(chmod("file", 0700));
	T(getxattr("file", "security.capability", value, sizeof(value)));
}

static void stays(void)
{
	struct stat before, after;

	need_xattrs();
	before = look("file");
	tick();
	T(setxattr("file", "user.a", "1", 1, 0));
	after = look("file");
	say("changed %s", changed_times(&before, &after));
	MUST(link("file", "hard"));
	MUST(rename("file", "moved"));
	show_list("hard");
	show_list("moved");
	make_file("moved", "new content");
	show_list("hard");
	T(getxattr("hard", "user.a", value, 10));
	make_file("other", "x");
	MUST(rename("other", "moved"));
	show_list("moved");
	show_list("hard");
}

static const struct posix_case xattr_cases[] = {
	POSIX_CASE(matrix),  POSIX_CASE(create_and_replace),
	POSIX_CASE(sizes),   POSIX_CASE(lengths_of_names),
	POSIX_CASE(many),    POSIX_CASE(by_descriptor),
	POSIX_CASE(who_may), POSIX_CASE(capabilities),
	POSIX_CASE(stays),
};

POSIX_GROUP(xattr);
