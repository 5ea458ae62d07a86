/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes: one system call each. An O_PATH descriptor cannot be asked itself, but its
 * link in /proc/self/fd, our working directory, can: the kernel goes through that to exactly
 * that object and no further, even if it is a symbolic link.
 *
 * A name of the guest's is mapped (fs/xattrmap.h) before the host sees it. POSIX ACLs are
 * none of the guest's business unless INIT has agreed on them: a guest whose kernel does not
 * enforce them would show and keep them as if they meant something.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/macros.h"
#include "fs/acl.h"
#include "fs/name.h"
#include "fs/ops.h"
#include "fs/seccomp.h"

const int fs_op_xattr_syscalls[] = {
	SCMP_SYS(setxattr), SCMP_SYS(getxattr), SCMP_SYS(listxattr), SCMP_SYS(removexattr),
	SCMP_SYS(statx),    SCMP_SYS(fchmodat), SYSCALLS_END,
};

#define VALUE_MAX  65536u /* the kernel's, for a value and for a list of names */
#define LIST_FIRST 4096u  /* most lists are shorter, and the kernel allocates what we ask for */

static const char acl_access[] = "system.posix_acl_access";
static const char acl_default[] = "system.posix_acl_default";

static bool is_acl(const char *name)
{
	return !strcmp(name, acl_access) || !strcmp(name, acl_default);
}

/* An attribute of the request's inode. */
struct attribute {
	struct fd_name file;
	char name[XATTR_NAME_MAX + 1]; /* the host's */
};

static bool served(const struct fs *fs)
{
	return fs->cfg->xattr || fs->cfg->xattrmap || fs->cfg->posix_acl != FS_OFFER_OFF;
}

static int find_file(struct fs_req *rq, struct fd_name *file)
{
	int fd = inode_fd(rq->fs, rq->inode);

	if (fd < 0)
		return fd;
	*file = fd_name(fd);
	return 0;
}

/*
 * The next string of the request is the guest's name of an attribute. 0, and then the inode's
 * descriptor is to be put back; or -errno.
 */
static int find_attribute(struct fs_req *rq, struct cursor *c, struct attribute *a)
{
	const char *name;
	int ret = fs_next_string(c, FS_BODY_MAX, &name);

	if (ret)
		return ret;
	if (is_acl(name) && !fs_has(rq->fs, FUSE_POSIX_ACL))
		return -ENOTSUP;
	ret = xattrmap_to_host(rq->fs->xattrs, name, a->name, sizeof(a->name));
	return ret ? ret : find_file(rq, &a->file);
}

/* Are there ids in the value that are others on the host? */
static bool has_ids(const struct fs *fs, const struct attribute *a)
{
	return (fs->cfg->translate_uid.n || fs->cfg->translate_gid.n) && is_acl(a->name);
}

/*
 * The guest's user is not of the file's group, so an ACL that gives its members the right to
 * execute must not make a set-group program. The host's kernel would see to that, but it
 * judges us, not that user.
 */
static int kill_sgid(const struct attribute *a)
{
	struct statx st;

	if (statx(AT_FDCWD, a->file.s, 0, STATX_MODE, &st) < 0)
		return -errno;
	if (!(st.stx_mode & S_ISGID))
		return 0;
	return fchmodat(AT_FDCWD, a->file.s, st.stx_mode & 07777 & ~S_ISGID, 0) < 0 ? -errno : 0;
}

/* value is in the request's body, so ours to change. */
static int set(struct fs_req *rq, const struct attribute *a, const struct fuse_setxattr_in *in,
	       uint8_t *value)
{
	struct fs *fs = rq->fs;
	int ret = 0;

	if (has_ids(fs, a))
		ret = acl_translate(value, in->size, &fs->uids, &fs->gids, true);
	if (ret)
		return ret;
	if (setxattr(a->file.s, a->name, value, in->size, (int)in->flags) < 0)
		return -errno;
	if (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID && !strcmp(a->name, acl_access))
		return kill_sgid(a);
	return 0;
}

int op_setxattr(struct fs_req *rq)
{
	uint32_t head = fs_has(rq->fs, FUSE_SETXATTR_EXT) ? sizeof(struct fuse_setxattr_in)
							  : FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_setxattr_in in = { 0 };
	struct attribute a;
	struct cursor c;
	int ret;

	if (!served(rq->fs))
		return -ENOSYS;
	if (rq->body_len < head)
		return -EINVAL;
	memcpy(&in, rq->body, head);
	if (in.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (in.size > VALUE_MAX)
		return -E2BIG;
	c = fs_cursor(rq, head);
	ret = find_attribute(rq, &c, &a);
	if (ret)
		return ret;
	ret = -EINVAL;
	if (in.size <= c.left)
		ret = set(rq, &a, &in, rq->body + (rq->body_len - c.left));
	inode_fd_put(rq->inode);
	return ret;
}

static int reply_size(struct fs_req *rq, uint32_t size)
{
	if (rq->reply_max < sizeof(struct fuse_getxattr_out))
		return -EINVAL;
	*FS_REPLY(rq, fuse_getxattr_out) = (struct fuse_getxattr_out){ .size = size };
	return sizeof(struct fuse_getxattr_out);
}

/* Not 0 bytes: that would ask for the size. */
static int get(struct fs_req *rq, const struct attribute *a, uint32_t size)
{
	struct fs *fs = rq->fs;
	size_t room = MIN(MIN(size, rq->reply_max), VALUE_MAX);
	ssize_t len = getxattr(a->file.s, a->name, room ? rq->reply : NULL, room);

	if (len < 0)
		return -errno;
	if (!size)
		return reply_size(rq, (uint32_t)len);
	if ((size_t)len > room)
		return -ERANGE;
	/* An ACL that we cannot read is the host's to judge. */
	if (has_ids(fs, a))
		acl_translate(rq->reply, (size_t)len, &fs->uids, &fs->gids, false);
	return (int)len;
}

int op_getxattr(struct fs_req *rq)
{
	struct cursor c = fs_cursor(rq, sizeof(struct fuse_getxattr_in));
	uint32_t size = FS_BODY(rq, fuse_getxattr_in)->size;
	struct attribute a;
	int ret;

	if (!served(rq->fs))
		return -ENOSYS;
	ret = find_attribute(rq, &c, &a);
	if (ret)
		return ret;
	ret = get(rq, &a, size);
	inode_fd_put(rq->inode);
	return ret;
}

/* All names that the host has, into the reply's memory, whatever room the guest has. */
static ssize_t host_list(struct fs_req *rq)
{
	struct fd_name file;
	ssize_t len;
	int ret = find_file(rq, &file);

	if (ret)
		return ret;
	len = listxattr(file.s, (char *)rq->reply, LIST_FIRST);
	if (len < 0 && errno == ERANGE)
		len = listxattr(file.s, (char *)rq->reply, VALUE_MAX);
	len = len < 0 ? -errno : len;
	inode_fd_put(rq->inode);
	return len;
}

/* Takes the ACLs out of a list of names. Returns what is left of its length. */
static size_t without_acls(char *list, size_t len)
{
	size_t left = 0, n;

	for (size_t i = 0; i < len; i += n) {
		n = strlen(list + i) + 1;
		if (is_acl(list + i))
			continue;
		memmove(list + left, list + i, n);
		left += n;
	}
	return left;
}

int op_listxattr(struct fs_req *rq)
{
	uint32_t size = FS_BODY(rq, fuse_getxattr_in)->size;
	char *list = (char *)rq->reply;
	ssize_t len;

	if (!served(rq->fs))
		return -ENOSYS;
	len = host_list(rq);
	if (len > 0)
		len = xattrmap_list(rq->fs->xattrs, list, (size_t)len, list, FS_REPLY_MAX);
	if (len > 0 && !fs_has(rq->fs, FUSE_POSIX_ACL))
		len = (ssize_t)without_acls(list, (size_t)len);
	if (len < 0)
		return (int)len;
	if (!size)
		return reply_size(rq, (uint32_t)len);
	return len > MIN(size, rq->reply_max) ? -ERANGE : (int)len;
}

int op_removexattr(struct fs_req *rq)
{
	struct cursor c = fs_cursor(rq, 0);
	struct attribute a;
	int ret;

	if (!served(rq->fs))
		return -ENOSYS;
	ret = find_attribute(rq, &c, &a);
	if (ret)
		return ret;
	ret = removexattr(a.file.s, a.name) < 0 ? -errno : 0;
	inode_fd_put(rq->inode);
	return ret;
}
