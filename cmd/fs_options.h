/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of `vdax fs`: all of Rust virtiofsd's, the C virtiofsd's -o lists, and ours.
 * What the file system needs ends in a struct fs_config, everything else stays in here.
 */
#ifndef CMD_FS_OPTIONS_H
#define CMD_FS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/filter.h"
#include "cmd/fs_caps.h"
#include "cmd/fs_sandbox.h"
#include "cmd/options.h"
#include "fs/config.h"

#define FS_FD_NOT_SET	  UINT32_MAX
#define FS_NOFILE_DEFAULT UINT32_MAX /* of rlimit_nofile: not given */
#define FS_POOL_NOT_SET	  UINT32_MAX

/* The values of --log-level, in its order. */
enum fs_log { FS_LOG_OFF, FS_LOG_ERROR, FS_LOG_WARN, FS_LOG_INFO, FS_LOG_DEBUG, FS_LOG_TRACE };

struct fs_options {
	struct fs_config fs; /* rlimit_nofile and max_inode_fds are set later, by fs_process.h */

	const char *socket_path; /* or NULL: fd */
	uint32_t fd;
	const char *socket_group;
	const char *control; /* or NULL: no control socket */
	bool serve_again;
	bool no_memory_slots; /* see vhost/regions.c */

	enum fs_sandbox_mode sandbox;
	enum filter_action seccomp;
	struct fs_caps caps;
	struct fs_id_maps id_maps;
	uint32_t rlimit_nofile; /* 0: leave it */
	bool daemonize;
	bool syslog;
	enum fs_log log_level;

	/* As given; what follows from them is in the fields above. */
	uint32_t thread_pool_size;
	uint32_t queues, poll_us;
	uint64_t timeout_ns; /* UINT64_MAX: not given */
	bool print_capabilities, version, debug;
	const char *modcaps, *dax_window, *dax_policy;
	struct option_list uid_map, gid_map, translate_uid, translate_gid;
	bool no_effect; /* of options that are accepted and mean nothing */
	uint32_t no_effect_number;
};

extern const struct command fs_command;

/*
 * Parses and checks argv. True: *status is the exit status, and all is said; false: serve. Strings
 * stay in argv.
 */
bool fs_options_parse(int argc, char **argv, struct fs_options *o, int *status);

#endif
