/* SPDX-License-Identifier: BSD-2-Clause */
/* POSIX ACLs, as the raw attributes that setfacl writes. */
#include <sys/xattr.h>
#include "tests/posix/posix.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct entry entries[12];
};

#define NOBODY ((uint32_t)-1)
#define BASIC(u, g, o)                                     \
	{ USER_OBJ, u, NOBODY }, { GROUP_OBJ, g, NOBODY }, \
	{                                                  \
		OTHER, o, NOBODY                           \
	}

static size_t size_of(const struct acl *a)
{
	size_t n = 0;

	while (n < ARRAY_SIZE(a->entries) && a->entries[n].tag)
		n++;
	return sizeof(a->version) + n * sizeof(a->entries[0]);
}

static const struct {
	const char *name;
	struct acl acl;
} acls[] = {
	{ "minimal", { 2, { BASIC(6, 4, 0) } } },
	{ "user",
	  { 2,
	    { { USER_OBJ, 6, NOBODY },
	      { USER, 6, 1001 },
	      { GROUP_OBJ, 4, NOBODY },
	      { MASK, 6, NOBODY },
	      { OTHER, 0, NOBODY } } } },
	{ "masked",
	  { 2,
	    { { USER_OBJ, 7, NOBODY },
	      { USER, 7, 1001 },
	      { GROUP_OBJ, 7, NOBODY },
	      { GROUP, 7, 2000 },
	      { MASK, 4, NOBODY },
	      { OTHER, 1, NOBODY } } } },
	{ "groups",
	  { 2,
	    { { USER_OBJ, 6, NOBODY },
	      { GROUP_OBJ, 0, NOBODY },
	      { GROUP, 6, 2000 },
	      { GROUP, 4, 2001 },
	      { MASK, 7, NOBODY },
	      { OTHER, 0, NOBODY } } } },
	{ "no mask",
	  { 2,
	    { { USER_OBJ, 6, NOBODY },
	      { USER, 6, 1001 },
	      { GROUP_OBJ, 4, NOBODY },
	      { OTHER, 0, NOBODY } } } },
	{ "twice",
	  { 2,
	    { { USER_OBJ, 6, NOBODY },
	      { USER, 6, 1001 },
	      { USER, 4, 1001 },
	      { GROUP_OBJ, 4, NOBODY },
	      { MASK, 6, NOBODY },
	      { OTHER, 0, NOBODY } } } },
	{ "out of order",
	  { 2, { { GROUP_OBJ, 4, NOBODY }, { USER_OBJ, 6, NOBODY }, { OTHER, 0, NOBODY } } } },
	{ "version 1", { 1, { BASIC(6, 4, 0) } } },
	{ "bad tag",
	  { 2,
	    { { USER_OBJ, 6, NOBODY },
	      { 64, 4, NOBODY },
	      { GROUP_OBJ, 4, NOBODY },
	      { OTHER, 0, NOBODY } } } },
	{ "bad perm", { 2, { BASIC(6, 12, 0) } } },
	{ "no other", { 2, { { USER_OBJ, 6, NOBODY }, { GROUP_OBJ, 4, NOBODY } } } },
	{ "empty", { 2, { { 0 } } } },
};

static void need_acls(void)
{
	make_file("f", "content");
	make_dir("d", 0755);
	if (setxattr("f", ACCESS, &acls[0].acl, size_of(&acls[0].acl), 0) < 0)
		skip("no POSIX ACLs");
	MUST(chmod("f", 0644));
}

static void show_acl(const char *path, const char *name)
{
	struct acl a = { 0 };
	ssize_t n = getxattr(path, name, &a, sizeof(a));

	if (n < 0) {
		say("%s of %s: %s", name, path, strerrorname_np(errno));
		return;
	}
	say("%s of %s: %zd bytes, version %u", name, path, n, a.version);
	for (size_t i = 0; i < ((size_t)n - 4) / sizeof(struct entry); i++)
		say("%s of %s: tag %u perm %u id %d", name, path, a.entries[i].tag,
		    a.entries[i].perm, (int)a.entries[i].id);
}

static void set_each(void)
{
	need_acls();
	for (size_t i = 0; i < ARRAY_SIZE(acls); i++) {
		with("%s", acls[i].name);
		T(setxattr("f", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
		show_acl("f", ACCESS);
		show_stat("f");
		T(setxattr("d", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
		show_stat("d");
		T(setxattr("d", DEFAULT, &acls[i].acl, size_of(&acls[i].acl), 0));
		show_acl("d", DEFAULT);
		T(setxattr("f", DEFAULT, &acls[i].acl, size_of(&acls[i].acl), 0));
	}
	with("%s", "");
	T(setxattr("f", ACCESS, &acls[0].acl, 7, 0));
	T(setxattr("f", ACCESS, NULL, 0, 0));
	T(removexattr("f", ACCESS));
	T(removexattr("f", ACCESS));
	show_acl("f", ACCESS);
	T(removexattr("d", DEFAULT));
	T(removexattr("d", DEFAULT));
	T(removexattr("f", DEFAULT));
	MUST(symlink("f", "l"));
	T(lsetxattr("l", ACCESS, &acls[1].acl, size_of(&acls[1].acl), 0));
	T(lgetxattr("l", ACCESS, &(struct acl){ 0 }, sizeof(struct acl)));
}

/* chmod changes the mask where there is one. */
static void mode_and_mask(void)
{
	need_acls();
	T(setxattr("f", ACCESS, &acls[2].acl, size_of(&acls[2].acl), 0));
	for (mode_t mode = 0; mode <= 0777; mode += 0111) {
		with("%04o", mode);
		T(chmod("f", mode));
		show_stat("f");
		show_acl("f", ACCESS);
	}
}

static void who_gets_in(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
		gid_t groups[3];
	} who[] = { { 1000, 1000, { 0 } },	    { 1001, 1001, { 0 } },
		    { 1002, 1000, { 0 } },	    { 1002, 2000, { 0 } },
		    { 1002, 1002, { 2000, 0 } },    { 1002, 1002, { 2001, 0 } },
		    { 1002, 1002, { 2001, 2000 } }, { 1003, 1003, { 0 } } };

	need_acls();
	MUST(chown("f", 1000, 1000));
	for (size_t i = 0; i < 4; i++) {
		MUST(setxattr("f", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
		for (size_t k = 0; k < ARRAY_SIZE(who); k++) {
			as_user(who[k].uid, who[k].gid, who[k].groups);
			with("%s, caller %zu", acls[i].name, k);
			close(FD(open("f", O_RDONLY)));
			close(FD(open("f", O_WRONLY)));
			T(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
			T(faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS));
			T(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
			T(setxattr("f", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
			T(chmod("f", 0640));
			as_root();
			MUST(setxattr("f", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
		}
	}
}

static void show_new(const char *what)
{
	with("%s", what);
	show_stat("d/f");
	show_acl("d/f", ACCESS);
	show_stat("d/sub");
	show_acl("d/sub", ACCESS);
	show_acl("d/sub", DEFAULT);
	show_stat("d/fifo");
	show_stat("d/node");
	show_stat("d/l");
	unlink("d/f");
	rmdir("d/sub");
	unlink("d/fifo");
	unlink("d/node");
	unlink("d/l");
}

/* A default ACL is inherited, and then the umask does not matter. */
static void inheritance(void)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	char what[64];

	need_acls();
	MUST(chmod("d", 0777));
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < ARRAY_SIZE(masks); k++)
			for (uid_t uid = 0; uid <= 1001; uid += 1001) {
				MUST(setxattr("d", DEFAULT, &acls[i].acl, size_of(&acls[i].acl),
					      0));
				if (uid)
					as_user(uid, uid, NULL);
				umask(masks[k]);
				snprintf(what, sizeof(what), "%s, umask %03o, by %u", acls[i].name,
					 masks[k], uid);
				with("%s", what);
				close(FD(open("d/f", O_RDWR | O_CREAT, 0666)));
				T(mkdir("d/sub", 0777));
				T(mkfifo("d/fifo", 0666));
				T(mknod("d/node", S_IFREG | 0640, 0));
				T(symlink("x", "d/l"));
				as_root();
				show_new(what);
			}
}

static void inheritance_and_tmpfile(void)
{
	int fd;

	need_acls();
	MUST(setxattr("d", DEFAULT, &acls[1].acl, size_of(&acls[1].acl), 0));
	umask(077);
	fd = open("d", O_TMPFILE | O_RDWR, 0666);
	if (fd < 0 && errno == EOPNOTSUPP)
		skip("no O_TMPFILE");
	T(linkat(fd, "", AT_FDCWD, "d/f", AT_EMPTY_PATH));
	show_stat("d/f");
	show_acl("d/f", ACCESS);
}

/* setgid goes if the one who sets the ACL is not in the group. */
static void setgid_and_acl(void)
{
	need_acls();
	for (size_t i = 0; i < 4; i++)
		for (uid_t uid = 0; uid <= 1000; uid += 1000) {
			MUST(chown("f", 1000, 3000));
			MUST(chmod("f", 02755));
			if (uid)
				as_user(uid, uid, NULL);
			with("%s by %u", acls[i].name, uid);
			T(setxattr("f", ACCESS, &acls[i].acl, size_of(&acls[i].acl), 0));
			as_root();
			show_stat("f");
			T(removexattr("f", ACCESS));
		}
}

static const struct posix_case acl_cases[] = {
	POSIX_CASE(set_each),	 POSIX_CASE(mode_and_mask),	      POSIX_CASE(who_gets_in),
	POSIX_CASE(inheritance), POSIX_CASE(inheritance_and_tmpfile), POSIX_CASE(setgid_and_acl),
};

POSIX_GROUP(acl);
