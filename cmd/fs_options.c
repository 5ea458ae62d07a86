/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/fs_dax.h"
#include "fs/idmap.h"
#include "fs/xattrmap.h"
#include "host/fd.h"
#include "virtio/spin.h"

#define VIRTIOFSD_VERSION "1.14.0"

#define AT(member)    offsetof(struct fs_options, member)
#define FS_AT(member) offsetof(struct fs_options, fs.member)

#define CACHES	   "auto|always|metadata|never,none"
#define LOG_LEVELS "off|error,err|warn|info|debug|trace"

static const struct option_def options[] = {
	{ "shared-dir", "PATH", OPTION_STRING, FS_AT(shared_dir),
	  "the directory, or single file, to share" },
	{ "socket-path", "PATH", OPTION_STRING, AT(socket_path), "listen for the front end here" },
	{ "socket-group", "GROUP", OPTION_STRING, AT(socket_group),
	  "who else may connect to that socket" },
	{ "fd", "N", OPTION_U32, AT(fd), "use this inherited socket, listening or connected" },
	{ "tag", "TAG", OPTION_STRING, FS_AT(tag),
	  "what the guest mounts, if the front end asks us for it" },
	{ "serve-again", NULL, OPTION_FLAG, AT(serve_again),
	  "wait for the next front end when one goes away" },
	{ "control", "PATH", OPTION_STRING, AT(control), "control socket for vdax stat" },
	{ "readonly", NULL, OPTION_FLAG, FS_AT(readonly), "the guest cannot change anything" },

	{ "cache", CACHES, OPTION_ENUM, FS_AT(cache), "what the guest may keep (default: auto)" },
	{ "writeback", NULL, OPTION_FLAG, FS_AT(writeback),
	  "the guest may keep writes: nobody else may write these files" },
	{ "allow-direct-io", NULL, OPTION_FLAG, FS_AT(allow_direct_io),
	  "the guest's O_DIRECT is one on the host" },
	{ "allow-mmap", NULL, OPTION_FLAG, FS_AT(allow_mmap),
	  "shared mappings also with --cache metadata or never" },
	{ "no-readdirplus", NULL, OPTION_CLEAR, FS_AT(readdirplus),
	  "list directories without attributes" },
	{ "no-open", NULL, OPTION_FLAG, FS_AT(no_open),
	  "the guest need not ask to open files: see the manual" },
	{ "no-opendir", NULL, OPTION_FLAG, FS_AT(no_opendir), "the same for directories" },

	{ "xattr", NULL, OPTION_FLAG, FS_AT(xattr), "extended attributes" },
	{ "xattrmap", "RULES", OPTION_STRING, FS_AT(xattrmap),
	  "give them other names on the host (implies --xattr)" },
	{ "posix-acl", "never|auto|always", OPTION_ENUM_OPT, FS_AT(posix_acl),
	  "POSIX ACLs (implies --xattr)" },
	{ "security-label", "never|auto|always", OPTION_ENUM_OPT, FS_AT(security_label),
	  "new files get the guest's security label (implies --xattr)" },
	{ "killpriv-v2", NULL, OPTION_FLAG, FS_AT(killpriv_v2),
	  "the host drops set-id bits when the guest writes" },
	{ "no-killpriv-v2", NULL, OPTION_CLEAR, FS_AT(killpriv_v2),
	  "the guest drops them (the default)" },
	{ "posix-lock", NULL, OPTION_FLAG, FS_AT(posix_lock), "share fcntl() locks with the host" },
	{ "flock", NULL, OPTION_FLAG, FS_AT(flock), "share flock() locks with the host" },
	{ "preserve-noatime", NULL, OPTION_FLAG, FS_AT(preserve_noatime),
	  "the guest's O_NOATIME is one on the host" },
	{ "announce-submounts", NULL, OPTION_FLAG, FS_AT(announce_submounts),
	  "the guest sees mounts in the share as such (the default)" },
	{ "no-announce-submounts", NULL, OPTION_CLEAR, FS_AT(announce_submounts), "it does not" },
	{ "translate-uid", "RULE", OPTION_LIST, AT(translate_uid),
	  "other user ids on the host; several times" },
	{ "translate-gid", "RULE", OPTION_LIST, AT(translate_gid), "the same for groups" },

	{ "inode-file-handles", "never|prefer,fallback|mandatory", OPTION_ENUM,
	  FS_AT(inode_file_handles), "instead of a descriptor for each inode (default: prefer)" },
	{ "rlimit-nofile", "N", OPTION_U32, AT(rlimit_nofile),
	  "descriptors at most; 0: as it is (default: 1000000)" },
	{ "queues", "N", OPTION_U32, AT(queues), "request queues, 1 to 16 (default: 8)" },
	{ "io-engine", "auto|uring|pool", OPTION_ENUM, FS_AT(engine),
	  "who does slow I/O (default: auto)" },
	{ "thread-pool-size", "N", OPTION_U32, AT(thread_pool_size),
	  "threads of the engine pool, 4 at most; see the manual" },
	{ "poll-us", "N", OPTION_U32, AT(poll_us),
	  "an idle queue polls so long before it sleeps (default: 32)" },
	{ "no-memory-slots", NULL, OPTION_FLAG, AT(no_memory_slots),
	  "beside vdax pmem: its mappings are memory, of 8 regions at most" },

	{ "dax-window", "SIZE", OPTION_STRING, AT(dax_window),
	  "the guest maps files of the share here (default: 0, none); see the manual" },
	{ "dax-policy", "LIST", OPTION_STRING, AT(dax_policy),
	  "which ones: never,exec,writers,any-fs,min-size=BYTES,min-age=SECONDS" },
	{ "dax-copies", "SIZE", OPTION_SIZE, FS_AT(dax_copies),
	  "memory for copies of what cannot be mapped (default: 64M)" },
	{ "dax-maps", "N", OPTION_U32, FS_AT(dax_maps),
	  "mappings at a time, of QEMU's 512 for the whole VM (default: 480)" },

	{ "sandbox", "namespace|chroot|none", OPTION_ENUM, AT(sandbox),
	  "what the daemon can see (default: namespace)" },
	{ "seccomp", "none|kill|log|trap", OPTION_ENUM, AT(seccomp),
	  "at a system call that it never makes (default: kill)" },
	{ "modcaps", "LIST", OPTION_STRING, AT(modcaps),
	  "other capabilities, as +sys_admin:-chown" },
	{ "uid-map", "RANGE", OPTION_LIST, AT(uid_map),
	  "of the user namespace, :inside:outside:count:; several times" },
	{ "gid-map", "RANGE", OPTION_LIST, AT(gid_map), "the same for groups" },

	{ "migration-mode", "find-paths|file-handles", OPTION_ENUM, FS_AT(migration_mode),
	  "what inodes become in the state" },
	{ "migration-on-error", "abort|guest-error", OPTION_ENUM, FS_AT(migration_on_error),
	  "if one cannot be found again" },
	{ "migration-verify-handles", NULL, OPTION_FLAG, FS_AT(migration_verify_handles),
	  "compare file handles as well as paths" },
	{ "migration-confirm-paths", NULL, OPTION_FLAG, FS_AT(migration_confirm_paths),
	  "check all paths at the end" },

	{ "daemonize", NULL, OPTION_FLAG, AT(daemonize), "go to the background when ready" },
	{ "syslog", NULL, OPTION_FLAG, AT(syslog), "messages go to syslog, not stderr" },
	{ "log-level", LOG_LEVELS, OPTION_ENUM, AT(log_level), "(default: info)" },
	{ "print-capabilities", NULL, OPTION_FLAG, AT(print_capabilities),
	  "what this program can, as JSON" },
	{ "version", NULL, OPTION_FLAG, AT(version), "its version" },

	{ "socket", "PATH", OPTION_STRING, AT(socket_path), "old name of --socket-path" },
	{ "o", "LIST", OPTION_SUBS, 0, "old style: source=PATH,cache=MODE,..." },
	{ "d", NULL, OPTION_FLAG, AT(debug), "old style: --log-level debug" },
	{ "f", NULL, OPTION_FLAG, AT(no_effect), "no effect" },
	{ "V", NULL, OPTION_FLAG, AT(version), "--version" },
};

/* What -o of the two virtiofsd took. */
static const struct option_def old_options[] = {
	{ "source", "PATH", OPTION_STRING, FS_AT(shared_dir), "" },
	{ "cache", CACHES, OPTION_ENUM, FS_AT(cache), "" },
	{ "timeout", "SECONDS", OPTION_SECONDS, AT(timeout_ns), "" },

	{ "sandbox", "namespace|chroot|none", OPTION_ENUM, AT(sandbox), "" },
	{ "modcaps", "LIST", OPTION_STRING, AT(modcaps), "" },
	{ "xattrmap", "RULES", OPTION_STRING, FS_AT(xattrmap), "" },
	{ "loglevel", LOG_LEVELS, OPTION_ENUM, AT(log_level), "" },
	{ "log_level", LOG_LEVELS, OPTION_ENUM, AT(log_level), "" },
	{ "debug", NULL, OPTION_FLAG, AT(debug), "" },
	{ "xattr", NULL, OPTION_FLAG, FS_AT(xattr), "" },
	{ "no_xattr", NULL, OPTION_CLEAR, FS_AT(xattr), "" },
	{ "writeback", NULL, OPTION_FLAG, FS_AT(writeback), "" },
	{ "no_writeback", NULL, OPTION_CLEAR, FS_AT(writeback), "" },
	{ "readdirplus", NULL, OPTION_FLAG, FS_AT(readdirplus), "" },
	{ "no_readdirplus", NULL, OPTION_CLEAR, FS_AT(readdirplus), "" },
	{ "allow_direct_io", NULL, OPTION_FLAG, FS_AT(allow_direct_io), "" },
	{ "no_allow_direct_io", NULL, OPTION_CLEAR, FS_AT(allow_direct_io), "" },
	{ "announce_submounts", NULL, OPTION_FLAG, FS_AT(announce_submounts), "" },
	{ "no_announce_submounts", NULL, OPTION_CLEAR, FS_AT(announce_submounts), "" },
	{ "killpriv_v2", NULL, OPTION_FLAG, FS_AT(killpriv_v2), "" },
	{ "no_killpriv_v2", NULL, OPTION_CLEAR, FS_AT(killpriv_v2), "" },
	{ "posix_acl", "never|auto|always", OPTION_ENUM_OPT, FS_AT(posix_acl), "" },
	{ "no_posix_acl", NULL, OPTION_ENUM_FIRST, FS_AT(posix_acl), "" },
	{ "security_label", "never|auto|always", OPTION_ENUM_OPT, FS_AT(security_label), "" },
	{ "no_security_label", NULL, OPTION_ENUM_FIRST, FS_AT(security_label), "" },
	{ "posix_lock", NULL, OPTION_FLAG, FS_AT(posix_lock), "" },
	{ "no_posix_lock", NULL, OPTION_CLEAR, FS_AT(posix_lock), "" },
	{ "flock", NULL, OPTION_FLAG, FS_AT(flock), "" },
	{ "no_flock", NULL, OPTION_CLEAR, FS_AT(flock), "" },
	{ "vhost_user_socket", "PATH", OPTION_STRING, AT(socket_path), "" },
	{ "norace", NULL, OPTION_FLAG, AT(no_effect), "" },
	{ "allow_root", NULL, OPTION_FLAG, AT(no_effect), "" },
	{ "max_idle_threads", "N", OPTION_U32, AT(no_effect_number), "" },
};

const struct command fs_command = {
	.name = "fs",
	.args = "--shared-dir PATH --socket-path PATH [OPTION]...",
	.summary = "Share a directory with a VM, as virtiofsd does and with its options.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.subs = old_options,
	.n_subs = ARRAY_SIZE(old_options),
	.epilogue = "Exit status: 0, 1 failed, 2 usage. It ends when the front end goes away.",
};

static int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Returns the exit status. */
static int usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("vdax fs: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see: vdax fs --help\n", stderr);
	return EXIT_USAGE;
}

static int check_connection(const struct fs_options *o)
{
	bool has_fd = o->fd != FS_FD_NOT_SET;

	if (!o->fs.shared_dir)
		return usage_error("give --shared-dir");
	if (!o->socket_path && !has_fd)
		return usage_error("give --socket-path or --fd");
	if (o->socket_path && has_fd)
		return usage_error("give --socket-path or --fd, not both");
	if (o->socket_group && has_fd)
		return usage_error("--socket-group goes with --socket-path");
	if (o->fs.tag && (!*o->fs.tag || strlen(o->fs.tag) > FS_TAG_MAX))
		return usage_error("--tag wants 1 to %u bytes", FS_TAG_MAX);
	return EXIT_OK;
}

static int check_values(const struct fs_options *o)
{
	if (!o->queues || o->queues > FS_QUEUES_MAX)
		return usage_error("--queues wants 1 to %u", FS_QUEUES_MAX);
	if (o->poll_us > 1000000)
		return usage_error("--poll-us wants 1000000 at most");
	if (o->fs.no_open && o->fs.flock)
		return usage_error("--flock does not go with --no-open: its locks belong to "
				   "open files");
	if (o->fs.migration_mode == FS_MIGRATE_FILE_HANDLES && o->fs.migration_verify_handles)
		return usage_error("--migration-verify-handles goes with "
				   "--migration-mode find-paths");
	if (o->fs.migration_mode == FS_MIGRATE_FILE_HANDLES && o->fs.migration_confirm_paths)
		return usage_error("--migration-confirm-paths goes with "
				   "--migration-mode find-paths");
	if ((o->uid_map.n || o->gid_map.n) && o->sandbox != FS_SANDBOX_NAMESPACE)
		return usage_error("--uid-map and --gid-map go with --sandbox namespace");
	return EXIT_OK;
}

static int check_rules(const struct option_list *list, struct fs_id_rules *rules, const char *name)
{
	struct idmap map;
	char err[128];

	_Static_assert(OPTION_LIST_MAX <= FS_ID_RULES_MAX, "room for all");
	if (idmap_parse(&map, list->v, list->n, err, sizeof(err)))
		return usage_error("%s: %s", name, err);
	rules->n = list->n;
	memcpy(rules->v, list->v, list->n * sizeof(list->v[0]));
	return EXIT_OK;
}

static int check_ranges(const struct option_list *list, struct fs_id_range *ranges, unsigned *n,
			const char *name)
{
	for (*n = 0; *n < list->n; ++*n)
		if (fs_id_range_parse(&ranges[*n], list->v[*n]))
			return usage_error("%s wants :INSIDE:OUTSIDE:COUNT:, not \"%s\"", name,
					   list->v[*n]);
	return EXIT_OK;
}

/* Everything that has a syntax of its own. */
static int check_texts(struct fs_options *o)
{
	struct xattrmap map = { 0 };
	char err[256];
	int ret = check_rules(&o->translate_uid, &o->fs.translate_uid, "--translate-uid");

	if (!ret)
		ret = check_rules(&o->translate_gid, &o->fs.translate_gid, "--translate-gid");
	if (!ret)
		ret = check_ranges(&o->uid_map, o->id_maps.uid, &o->id_maps.n_uid, "--uid-map");
	if (!ret)
		ret = check_ranges(&o->gid_map, o->id_maps.gid, &o->id_maps.n_gid, "--gid-map");
	if (!ret &&
	    fs_caps_choose(&o->caps, o->fs.inode_file_handles, o->modcaps, err, sizeof(err)))
		ret = usage_error("%s", err);
	if (!ret && o->dax_window &&
	    fs_dax_window_parse(&o->fs.dax_window, o->dax_window, err, sizeof(err)))
		ret = usage_error("%s", err);
	if (!ret && (!o->fs.dax_maps || o->fs.dax_maps > FS_DAX_MAPS_MAX))
		ret = usage_error("--dax-maps wants 1 to %u", FS_DAX_MAPS_MAX);
	if (!ret && o->dax_policy &&
	    fs_dax_policy_parse(&o->fs.dax_policy, o->dax_policy, err, sizeof(err)))
		ret = usage_error("%s", err);
	if (!ret && o->fs.xattrmap && xattrmap_parse(&map, o->fs.xattrmap, err, sizeof(err)))
		ret = usage_error("--xattrmap: %s", err);
	xattrmap_free(&map);
	return ret;
}

/* What follows from other options. */
static void derive(struct fs_options *o)
{
	static const uint64_t day = 86400 * (uint64_t)NS_PER_S;
	static const uint64_t timeouts[] = {
		[FS_CACHE_AUTO] = NS_PER_S,
		[FS_CACHE_ALWAYS] = day,
		[FS_CACHE_METADATA] = day,
		[FS_CACHE_NEVER] = 0,
	};
	struct fs_config *fs = &o->fs;

	if (o->timeout_ns == UINT64_MAX)
		o->timeout_ns = timeouts[fs->cache];
	fs->entry_timeout_ns = o->timeout_ns;
	fs->attr_timeout_ns = o->timeout_ns;
	if (fs->cache == FS_CACHE_NEVER) /* attributes that nobody keeps */
		fs->readdirplus = false;
	if (fs->xattrmap || fs->posix_acl != FS_OFFER_OFF || fs->security_label != FS_OFFER_OFF)
		fs->xattr = true;
	if (o->caps.no_handles)
		fs->inode_file_handles = FS_HANDLES_NEVER;
	fs->num_queues = o->queues;
	fs->poll_ns = (uint64_t)o->poll_us * 1000;
	fs->pool_threads = FS_POOL_MAX;
	if (o->thread_pool_size && o->thread_pool_size < FS_POOL_MAX)
		fs->pool_threads = o->thread_pool_size;
	if (o->debug)
		o->log_level = FS_LOG_DEBUG;
}

/* vhost-user.json, as QEMU's interop documents have it. */
static void print_capabilities(void)
{
	puts("{\n"
	     "  \"type\": \"fs\",\n"
	     "  \"features\": [\n"
	     "    \"migrate-precopy\",\n"
	     "    \"posix-acl-negotiation-mode\",\n"
	     "    \"security-label-negotiation-mode\",\n"
	     "    \"separate-options\"\n"
	     "  ]\n"
	     "}");
}

bool fs_options_parse(int argc, char **argv, struct fs_options *o, int *status)
{
	int i;

	*o = (struct fs_options){
		.fs = { .announce_submounts = true,
			.readdirplus = true,
			.inode_file_handles = FS_HANDLES_PREFER,
			.dax_copies = FS_DAX_COPIES,
			.dax_maps = FS_DAX_MAPS,
			.dax_policy = fs_dax_policy_default },
		.fd = FS_FD_NOT_SET,
		.seccomp = FILTER_KILL,
		.poll_us = VQ_SPIN_DEFAULT_NS / 1000,
		.rlimit_nofile = FS_NOFILE_DEFAULT,
		.log_level = FS_LOG_INFO,
		.thread_pool_size = FS_POOL_NOT_SET,
		.queues = FS_QUEUES_DEFAULT,
		.timeout_ns = UINT64_MAX,
	};
	i = options_parse(&fs_command, argc, argv, o);
	*status = i < 0 ? EXIT_USAGE : EXIT_OK;
	if (i <= 0)
		return true;
	if (o->version)
		/* Launchers look for a version of virtiofsd here: it is the one whose options these
		 * are. */
		puts("virtiofsd " VIRTIOFSD_VERSION " (vdax " VDAX_VERSION ")");
	else if (o->print_capabilities)
		print_capabilities();
	if (o->version || o->print_capabilities)
		return true;
	if (i < argc)
		*status = usage_error("there are no arguments but options, and \"%s\" is not one",
				      argv[i]);
	if (!*status)
		*status = check_connection(o);
	if (!*status)
		*status = check_values(o);
	if (!*status)
		*status = check_texts(o);
	if (!*status)
		derive(o);
	return *status != EXIT_OK;
}
