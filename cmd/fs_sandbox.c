/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Namespace mode, in order. The process outside (fs_process.h) makes the pid namespace, and as an
 * ordinary user the user namespace around it, whose maps another process writes from before: only
 * who is not inside may have newuidmap help. The new process is pid 1 there, and
 *
 *   1. makes the other namespaces; mounts become slaves: what the host mounts later below the
 *      share appears, what it unmounts goes;
 *   2. takes a copy of the share's tree of mounts, with no place yet;
 *   3. mounts a fresh /proc, in which there is nobody but us, where that is permitted, and keeps
 *      /proc/self/fd as a mount of its own, with no place and so nothing above it;
 *   4. puts the copy of the share on /proc, makes it the root, and drops the old root.
 *
 * What is left: the share at "/", and the descriptors' directory, which has no path.
 */
#include "cmd/fs_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/sandbox.h"
#include "host/fd.h"
#include "host/log.h"

static int failed(const char *what)
{
	int err = errno;

	log_err(NULL, "sandbox: %s: %s", what, strerror(err));
	return -err;
}

static int find_root(struct fs_sandbox *box, const char *shared_dir)
{
	struct stat st;

	if (fstat(box->root_fd, &st) < 0)
		return failed(shared_dir);
	box->root_is_file = S_ISREG(st.st_mode);
	if (box->root_is_file || S_ISDIR(st.st_mode))
		return 0;
	log_err(shared_dir, "can share a directory, or a regular file");
	return -ENOTDIR;
}

/* The share's mounts, as a tree of our own with no place. */
static int copy_share(struct fs_sandbox *box, const struct fs_config *cfg)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID };
	int ret;

	box->root_fd = open_tree(AT_FDCWD, cfg->shared_dir,
				 AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (box->root_fd < 0)
		return failed(cfg->shared_dir);
	ret = find_root(box, cfg->shared_dir);
	if (ret)
		return ret;
	/* In case that the file system ever errs: no device, no program, and if so no change. */
	if (cfg->readonly)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mount_setattr(box->root_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		log_debug(NULL, "sandbox: mounts stay as they are: %s", strerror(errno));
	return 0;
}

/* *self is where mountinfo is to be opened when all mounts are made. */
static int open_proc(struct fs_sandbox *box, int *self)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		log_debug(NULL, "sandbox: no /proc of our own: %s", strerror(errno));
	*self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*self < 0)
		return failed("/proc/self");
	box->proc_self_fd = open_tree(AT_FDCWD, "/proc/self/fd",
				      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return box->proc_self_fd < 0 ? failed("/proc/self/fd") : 0;
}

static int change_root(const struct fs_sandbox *box)
{
	int ret;

	if (box->root_is_file) {
		ret = sandbox_empty_root();
	} else {
		/* /proc is only a place that every system has. */
		if (move_mount(box->root_fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		    fchdir(box->root_fd) < 0)
			return failed("share");
		ret = sandbox_pivot();
	}
	if (ret)
		log_err(NULL, "sandbox: new root: %s", strerror(-ret));
	return ret;
}

static int enter_mounts(const struct fs_config *cfg, struct fs_sandbox *box)
{
	int ret, self = -1;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return failed("namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return failed("mounts");
	ret = copy_share(box, cfg);
	if (!ret)
		ret = open_proc(box, &self);
	if (!ret)
		ret = change_root(box);
	if (!ret)
		box->mountinfo_fd = openat(self, "mountinfo", O_RDONLY | O_CLOEXEC);
	fd_close(&self);
	return ret;
}

static int enter_namespace(const struct fs_config *cfg, const struct fs_id_maps *maps,
			   const struct fs_outside *out, struct fs_sandbox *box)
{
	int ret = 0;

	if (geteuid() == 0 && (maps->n_uid || maps->n_gid)) {
		log_err(NULL, "--uid-map and --gid-map are for ordinary users: root needs none");
		return -EINVAL;
	}
	if (geteuid() != 0)
		ret = fs_userns_enter(maps);
	if (ret)
		return ret;
	if (unshare(CLONE_NEWPID) < 0) {
		ret = failed("namespaces");
		log_err(NULL, "where they are not permitted, as in some containers, use --sandbox "
			      "chroot or none");
		return ret;
	}
	ret = fs_process_split(out);
	if (ret) {
		log_err(NULL, "sandbox: no process: %s", strerror(-ret));
		return ret;
	}
	return enter_mounts(cfg, box);
}

/* What the other modes have: the share and our descriptors, opened by their paths. */
static int open_paths(const struct fs_config *cfg, struct fs_sandbox *box)
{
	box->root_fd = open(cfg->shared_dir, O_PATH | O_CLOEXEC);
	if (box->root_fd < 0)
		return failed(cfg->shared_dir);
	box->proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (box->proc_self_fd < 0)
		return failed("/proc/self/fd");
	box->mountinfo_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	return find_root(box, cfg->shared_dir);
}

static int enter_chroot(const struct fs_config *cfg, struct fs_sandbox *box)
{
	int ret = open_paths(cfg, box);

	if (!ret && box->root_is_file) {
		log_err(cfg->shared_dir, "a single file goes with --sandbox namespace or none");
		ret = -ENOTDIR;
	}
	if (!ret && (fchdir(box->root_fd) < 0 || chroot(".") < 0))
		ret = failed("chroot");
	return ret;
}

/* As somebody's server we do not use the rights of whoever started it. */
static int drop_groups(void)
{
	if (geteuid() != 0 || setgroups(0, NULL) == 0)
		return 0;
	if (errno != EPERM)
		return failed("groups");
	log_debug(NULL, "sandbox: the groups stay: this user namespace has none to change to");
	return 0;
}

int fs_sandbox_enter(enum fs_sandbox_mode mode, const struct fs_config *cfg,
		     const struct fs_id_maps *maps, const struct fs_outside *out,
		     struct fs_sandbox *box)
{
	int ret = drop_groups();

	*box = (struct fs_sandbox){ .root_fd = -1, .proc_self_fd = -1, .mountinfo_fd = -1 };
	if (ret)
		return ret;
	switch (mode) {
	case FS_SANDBOX_NAMESPACE:
		ret = enter_namespace(cfg, maps, out, box);
		break;
	case FS_SANDBOX_CHROOT:
		ret = enter_chroot(cfg, box);
		break;
	case FS_SANDBOX_NONE:
		ret = open_paths(cfg, box);
		break;
	}
	if (!ret && fchdir(box->proc_self_fd) < 0)
		ret = failed("/proc/self/fd");
	return ret;
}
