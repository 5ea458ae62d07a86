/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_userns.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/range.h"
#include "cmd/args.h"
#include "cmd/sandbox.h"
#include "host/fd.h"
#include "host/log.h"

/* A decimal number that ends at delimiter. Returns what comes after that, or NULL. */
static const char *parse_id(const char *text, char delimiter, uint32_t *id)
{
	unsigned long long x;
	char *end;

	if (!isdigit((unsigned char)*text))
		return NULL;
	errno = 0;
	x = strtoull(text, &end, 10);
	if (errno || x > UINT32_MAX || *end != delimiter)
		return NULL;
	*id = (uint32_t)x;
	return end + 1;
}

int fs_id_range_parse(struct fs_id_range *r, const char *text)
{
	char delimiter = *text;

	if (!delimiter || isalnum((unsigned char)delimiter))
		return -EINVAL;
	text = parse_id(text + 1, delimiter, &r->inside);
	if (text)
		text = parse_id(text, delimiter, &r->outside);
	if (text)
		text = parse_id(text, delimiter, &r->count);
	if (!text || *text || !r->count)
		return -EINVAL;
	/* The last number is no id: it says "no id". */
	if (!range_ok(r->inside, r->count, UINT32_MAX) ||
	    !range_ok(r->outside, r->count, UINT32_MAX))
		return -EINVAL;
	return 0;
}

/*
 * Starts a process that waits until go is closed everywhere else, and then becomes
 * `program OUR-PID inside outside count ...`. Its number or -errno.
 */
static pid_t start_helper(const char *program, const struct fs_id_range *r, unsigned n,
			  const int go[2])
{
	struct args a = { 0 };
	pid_t pid;
	char c;

	args_add(&a, "%s", program);
	args_add(&a, "%d", (int)getpid());
	for (unsigned i = 0; i < n; i++) {
		args_add(&a, "%u", r[i].inside);
		args_add(&a, "%u", r[i].outside);
		args_add(&a, "%u", r[i].count);
	}
	pid = a.failed ? -1 : fork();
	if (pid == 0) {
		close(go[1]);
		while (read(go[0], &c, 1) > 0)
			;
		execvp(program, a.v);
		log_err(NULL, "cannot run %s: %s", program, strerror(errno));
		_exit(EXIT_FAILED);
	}
	args_fini(&a);
	return pid < 0 ? -EAGAIN : pid;
}

static int wait_helper(const char *program, pid_t pid)
{
	int status;

	if (pid < 0)
		return pid;
	if (waitpid(pid, &status, 0) != pid || status) {
		log_err(NULL, "sandbox: %s refuses the ids", program);
		return -EPERM;
	}
	return 0;
}

static int enter_mapped(const struct fs_id_maps *maps)
{
	const struct fs_id_range own_uid = { geteuid(), geteuid(), 1 };
	const struct fs_id_range own_gid = { getegid(), getegid(), 1 };
	int go[2], ret = pipe(go) < 0 ? -errno : 0, ret2;
	pid_t uid = -EAGAIN, gid = -EAGAIN;

	if (ret)
		return ret;
	uid = start_helper("newuidmap", maps->n_uid ? maps->uid : &own_uid,
			   maps->n_uid ? maps->n_uid : 1, go);
	gid = start_helper("newgidmap", maps->n_gid ? maps->gid : &own_gid,
			   maps->n_gid ? maps->n_gid : 1, go);
	/* If this fails so do they: they find that we are in their own namespace. */
	ret = unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
	fd_close_all(go, 2);
	ret2 = wait_helper("newuidmap", uid);
	ret = ret ? ret : ret2;
	ret2 = wait_helper("newgidmap", gid);
	ret = ret ? ret : ret2;
	if (ret)
		return ret;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		log_warn(NULL, "sandbox: --uid-map and --gid-map have no root: the guest's root "
			       "may do little");
	return 0;
}

/* Is our own id all that is mapped? *inside is what it becomes. */
static bool own_only(const struct fs_id_range *r, unsigned n, uint32_t own, uint32_t *inside)
{
	*inside = n ? r[0].inside : own;
	return !n || (n == 1 && r[0].outside == own && r[0].count == 1);
}

int fs_userns_enter(const struct fs_id_maps *maps)
{
	uint32_t uid, gid;
	int ret;

	if (own_only(maps->uid, maps->n_uid, geteuid(), &uid) &&
	    own_only(maps->gid, maps->n_gid, getegid(), &gid))
		ret = sandbox_user_namespace(uid, gid); /* needs nobody's help */
	else
		ret = enter_mapped(maps);
	if (ret)
		log_err(NULL,
			"sandbox: cannot make a user namespace: %s; it takes that, or root, or "
			"--sandbox none",
			strerror(-ret));
	return ret;
}
