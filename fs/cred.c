/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials belong to threads, but libc's setgroups() makes one for all threads of it: so raw
 * system calls. The file mode mask belongs to what CLONE_FS shares, which a thread can have for
 * itself.
 *
 * While the file system user is not root, the kernel takes away the capabilities that are about
 * files (DAC_OVERRIDE, MKNOD, FSETID and so on), and gives them back with root.
 */
#include "fs/cred.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/seccomp.h"

const int fs_cred_syscalls[] = { SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups),
				 SCMP_SYS(geteuid),  SCMP_SYS(getegid),	 SCMP_SYS(umask),
				 SYSCALLS_END };

const struct syscall_rule fs_cred_rules[] = {
	{ .call = SCMP_SYS(unshare), .arg = 0, .mask = UINT64_MAX, .value = CLONE_FS },
	SYSCALL_RULES_END,
};

enum { UID, GID };

static bool has_cap(const struct __user_cap_data_struct *data, unsigned cap)
{
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

bool cred_can_switch(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return has_cap(data, CAP_SETUID) && has_cap(data, CAP_SETGID);
}

int cred_thread_init(struct fs_queue *q)
{
	struct cred_state *c = &q->cred;
	int ret = unshare(CLONE_FS) < 0 ? -errno : 0;

	*c = (struct cred_state){ .ready = true, .own_umask = !ret };
	c->self[UID] = c->id[UID] = geteuid();
	c->self[GID] = c->id[GID] = getegid();
	for (unsigned i = 0; i < CRED_KNOWN; i++) {
		c->known[UID][i] = c->self[UID];
		c->known[GID][i] = c->self[GID];
	}
	umask(0);
	if (q->fs->as_root)
		syscall(SYS_setgroups, 0, NULL);
	return ret;
}

/* Both tell what it was before, and nothing else. */
static uint32_t set_fs_id(int which, uint32_t id)
{
	return (uint32_t)(which == UID ? setfsuid(id) : setfsgid(id));
}

/* 0, or -EPERM: no such id in our user namespace. Nothing is changed then. */
static int change_id(struct cred_state *c, int which, uint32_t id)
{
	uint32_t *known = &c->known[which][id % CRED_KNOWN];

	if (c->id[which] == id)
		return 0;
	set_fs_id(which, id);
	if (*known != id) {
		if (set_fs_id(which, ID_NONE) != id)
			return -EPERM;
		*known = id;
	}
	c->id[which] = id;
	return 0;
}

/*
 * The guest names a group because its user may create something here through it. Where we cannot
 * have it, its user is one without that group.
 */
static void change_groups(struct cred_state *c, const uint32_t *groups, unsigned n)
{
	size_t size = n * sizeof(groups[0]);

	if (n == c->n_groups && (!n || !memcmp(groups, c->groups, size)))
		return;
	if (syscall(SYS_setgroups, n, groups) < 0) {
		if (c->n_groups && syscall(SYS_setgroups, 0, NULL) < 0)
			return;
		n = 0;
		size = 0;
	}
	if (n)
		memcpy(c->groups, groups, size);
	c->n_groups = n;
}

/* Without the right to change it, the guest's root is us. */
static bool is_self(const struct cred_state *c, int which, uint32_t id)
{
	return id == c->self[which] || id == 0;
}

int cred_become(struct fs_req *rq, uint32_t mask, const uint32_t *groups, unsigned n_groups)
{
	struct cred_state *c = &rq->q->cred;
	uint32_t id[2], host_groups[CRED_GROUPS_MAX];
	const struct fs *fs = rq->fs;
	unsigned n = 0;
	int ret;

	if (!c->ready)
		cred_thread_init(rq->q);
	if (idmap_to_host(&fs->uids, rq->in.uid, &id[UID]) ||
	    idmap_to_host(&fs->gids, rq->in.gid, &id[GID]) || id[UID] == ID_NONE ||
	    id[GID] == ID_NONE)
		return -EPERM;
	if (!fs->as_root) {
		if (!is_self(c, UID, id[UID]) || !is_self(c, GID, id[GID]))
			return -EPERM;
	} else {
		for (unsigned i = 0; i < n_groups && n < CRED_GROUPS_MAX; i++)
			if (!idmap_to_host(&fs->gids, groups[i], &host_groups[n]))
				n++;
		change_groups(c, host_groups, n);
		ret = change_id(c, GID, id[GID]);
		if (!ret)
			ret = change_id(c, UID, id[UID]);
		if (ret)
			return ret;
	}
	if (c->own_umask && c->umask != mask) {
		umask(mask);
		c->umask = mask;
	}
	return 0;
}

uint32_t cred_mode(const struct fs_queue *q, uint32_t mode, uint32_t mask)
{
	return q->cred.own_umask ? mode : mode & ~mask;
}

void cred_self(struct fs_queue *q)
{
	struct cred_state *c = &q->cred;

	for (int which = UID; which <= GID; which++) {
		if (c->id[which] == c->self[which])
			continue;
		set_fs_id(which, c->self[which]);
		c->id[which] = c->self[which];
	}
}
