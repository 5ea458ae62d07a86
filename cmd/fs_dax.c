/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_dax.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "cmd/fs_options.h"
#include "host/log.h"

const struct fs_dax_policy fs_dax_policy_default = {
	.min_size = FS_DAX_MIN_SIZE,
	.min_age_ns = FS_DAX_MIN_AGE_NS,
};

#define AT(member) offsetof(struct fs_dax_policy, member)

static const struct {
	const char *name;
	const char *arg; /* what its value is called; NULL: a bool, made true */
	int (*parse)(const char *text, uint64_t *value);
	size_t offset;
} words[] = {
	{ "never", NULL, NULL, AT(never) },
	{ "exec", NULL, NULL, AT(exec) },
	{ "writers", NULL, NULL, AT(writers) },
	{ "any-fs", NULL, NULL, AT(any_fs) },
	{ "min-size", "BYTES", parse_size, AT(min_size) },
	{ "min-age", "SECONDS", parse_seconds, AT(min_age_ns) },
};

#define WORD_MAX 64u

/* "a, b or c=D" */
static void list_words(char *buf, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && n < len; i++) {
		const char *sep = i == 0 ? "" : i + 1 < ARRAY_SIZE(words) ? ", " : " or ";
		const char *arg = words[i].arg;

		n += (size_t)snprintf(buf + n, len - n, "%s%s%s%s", sep, words[i].name,
				      arg ? "=" : "", arg ? arg : "");
	}
}

/* One word, "name" or "name=value"; changes it. 0 or -EINVAL. */
static int set_word(struct fs_dax_policy *p, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		void *at = (char *)p + words[i].offset;
		uint64_t number;

		if (strcmp(word, words[i].name) != 0)
			continue;
		if (!words[i].parse) {
			*(bool *)at = true;
			return value ? -EINVAL : 0;
		}
		if (!value || words[i].parse(value, &number))
			return -EINVAL;
		memcpy(at, &number, sizeof(number));
		return 0;
	}
	return -EINVAL;
}

int fs_dax_policy_parse(struct fs_dax_policy *p, const char *text, char *err, size_t errlen)
{
	struct fs_dax_policy out = *p;
	char list[128];

	for (;;) {
		size_t len = strcspn(text, ",");
		char word[WORD_MAX];
		bool fits = (size_t)snprintf(word, sizeof(word), "%.*s", (int)MIN(len, WORD_MAX),
					     text) < sizeof(word);

		if (!fits || set_word(&out, word)) {
			list_words(list, sizeof(list));
			snprintf(err, errlen, "--dax-policy wants %s, not \"%.*s\"", list,
				 (int)MIN(len, WORD_MAX), text);
			return -EINVAL;
		}
		if (!text[len])
			break;
		text += len + 1;
	}
	*p = out;
	return 0;
}

int fs_dax_window_parse(uint64_t *window, const char *text, char *err, size_t errlen)
{
	if (!parse_size(text, window) && *window <= FS_DAX_WINDOW_MAX &&
	    *window % FS_DAX_RANGE == 0)
		return 0;
	snprintf(err, errlen,
		 "--dax-window wants a multiple of %uM up to %" PRIu64 "G, or 0, not \"%.*s\"",
		 FS_DAX_RANGE >> 20, FS_DAX_WINDOW_MAX >> 30, (int)WORD_MAX, text);
	return -EINVAL;
}

static bool migration_was_given(const struct fs_config *cfg)
{
	return cfg->migration_mode != FS_MIGRATE_FIND_PATHS ||
	       cfg->migration_on_error != FS_MIGRATE_ABORT || cfg->migration_verify_handles ||
	       cfg->migration_confirm_paths;
}

/* With more, a guest that maps everything would come to the end of the mappings, and to EIO. */
static void limit_window(struct fs_config *cfg)
{
	uint64_t most = FS_DAX_WINDOW_FOR(FS_DAX_MAPS);

	if (cfg->dax_maps != FS_DAX_MAPS || cfg->dax_window <= most)
		return;
	log_info(NULL,
		 "the window is %" PRIu64 "M, as QEMU bears %u mappings; --dax-maps is for "
		 "front ends that bear more",
		 most >> 20, FS_DAX_MAPS);
	cfg->dax_window = most;
}

void fs_dax_advise(struct fs_options *o)
{
	if (!o->fs.dax_window)
		return;
	limit_window(&o->fs);
	if (!o->fs.tag)
		log_warn(NULL,
			 "--dax-window without --tag: QEMU has shared-memory regions only for "
			 "vhost-user-test-device-pci, and that asks us for the tag");
	if (o->no_memory_slots)
		log_warn(
			NULL,
			"--dax-window with --no-memory-slots: each mapping is a region of the VM's "
			"memory, and with more than 8 of them the device is dead after "
			"stop/continue");
	if (migration_was_given(&o->fs))
		log_info(NULL, "with --dax-window the device cannot be migrated: QEMU moves no "
			       "shared-memory regions");
}
