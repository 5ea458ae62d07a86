/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_share.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "fs/config.h"
#include "host/log.h"

/* It is a directory's name, and a word of the kernel's command line and of a list there. */
static bool good_tag(const char *tag, size_t len)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";

	if (!len || len > VM_TAG_MAX || strspn(tag, safe) < len || tag[0] == '-')
		return false;
	return !(tag[0] == '.' && (len == 1 || (len == 2 && tag[1] == '.')));
}

/* The last part of a path, without the slashes at its end. */
static const char *last_part(const char *path, size_t *len)
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	*len = end - start;
	return path + start;
}

int vm_share_parse(struct vm_share *s, const char *text, unsigned number)
{
	const char *colon = strrchr(text, ':');
	const char *tag = colon && !strchr(colon, '/') ? colon + 1 : NULL;
	size_t len = tag ? (size_t)(colon - text) : strlen(text);

	if (!len || len >= sizeof(s->dir)) {
		log_err(text, "--share wants DIR or DIR:TAG");
		return -EINVAL;
	}
	snprintf(s->dir, sizeof(s->dir), "%.*s", (int)len, text);
	len = 0;
	if (!tag) {
		tag = last_part(s->dir, &len);
		if (!good_tag(tag, len)) {
			snprintf(s->tag, sizeof(s->tag), "share%u", number);
			return 0;
		}
	} else if (!good_tag(tag, len = strlen(tag))) {
		log_err(text,
			"\"%s\" is not a tag: that has 1 to %u letters, digits, \".\", \"_\" and "
			"\"-\". If the colon is part of the directory's name, give %s/",
			tag, VM_TAG_MAX, text);
		return -EINVAL;
	}
	snprintf(s->tag, sizeof(s->tag), "%.*s", (int)len, tag);
	return 0;
}

/* Is the place of this tag that of an image? */
static bool is_image_place(const char *tag, unsigned n_images)
{
	char name[16];

	for (unsigned i = 0; i < n_images; i++) {
		snprintf(name, sizeof(name), "pmem%u", i);
		if (!strcmp(tag, name))
			return true;
	}
	return false;
}

static int check_tag(const struct vm_share *s, unsigned i, unsigned n_images)
{
	if (is_image_place(s[i].tag, n_images)) {
		log_err(s[i].dir, "an image is at /mnt/%s; give this directory another tag: %s:TAG",
			s[i].tag, s[i].dir);
		return -EINVAL;
	}
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(s[k].tag, s[i].tag)) {
			log_err(s[i].dir, "has the tag %s, like %s; give it another one: %s:TAG",
				s[i].tag, s[k].dir, s[i].dir);
			return -EINVAL;
		}
	return 0;
}

int vm_shares_parse(struct vm_share *s, const struct option_list *given, unsigned n_images)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < given->n; i++) {
		ret = vm_share_parse(&s[i], given->v[i], i);
		if (!ret)
			ret = check_tag(s, i, n_images);
	}
	return ret;
}

int vm_shares_check(const struct vm_share *s, unsigned n)
{
	struct stat st;
	int err;

	for (unsigned i = 0; i < n; i++) {
		err = stat(s[i].dir, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
		if (err) {
			log_err(s[i].dir, "cannot be shared: %s", strerror(err));
			return -err;
		}
	}
	return 0;
}

/* In a child: what the modes begin with. */
static bool can_namespace(void)
{
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		return false;
	return unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

static bool can_chroot(void)
{
	return chroot("/") == 0;
}

static bool child_can(bool (*what)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(what() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

const char *vm_share_sandbox(void)
{
	if (child_can(can_namespace))
		return NULL;
	return child_can(can_chroot) ? "chroot" : "none";
}

unsigned vm_share_queues(unsigned cpus)
{
	return MIN(cpus, FS_QUEUES_DEFAULT);
}

void vm_share_args(struct args *a, const struct vm_share *s, const struct vm_share_how *how)
{
	args_add(a, "%s", how->self);
	args_add(a, "fs");
	args_add(a, "--log-level=warn");
	if (how->sandbox)
		args_add(a, "--sandbox=%s", how->sandbox);
	if (how->read_only)
		args_add(a, "--readonly");
	if (how->window) {
		/* its device in QEMU knows neither: the guest reads them from the daemon */
		args_add(a, "--tag=%s", s->tag);
		args_add(a, "--queues=%u", how->queues);
		args_add(a, "--dax-window=%" PRIu64 "M", how->window >> 20);
	} else if (how->pmem) { /* buffers of its requests may be in an image */
		args_add(a, "--no-memory-slots");
	}
	args_add(a, "--socket-path=%s", how->socket);
	args_add(a, "--control=%s.ctl", how->socket);
	args_add(a, "--shared-dir=%s", s->dir);
}
