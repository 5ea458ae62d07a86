/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/fs_caps.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"

#define BIT(cap) ((uint64_t)1 << (cap))

/* Serving files on behalf of any user, as a file server does; and asking who else writes to them.
 */
static const uint64_t always = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
			       BIT(CAP_FSETID) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
			       BIT(CAP_MKNOD) | BIT(CAP_SETFCAP) | BIT(CAP_LEASE);

/* One "+name" or "-name". 0 or -EINVAL. */
static int change(uint64_t *keep, const char *text, size_t len)
{
	char name[32];
	int cap;

	if (len < 2 || len > sizeof(name) || (text[0] != '+' && text[0] != '-'))
		return -EINVAL;
	snprintf(name, sizeof(name), "%.*s", (int)len - 1, text + 1);
	cap = capng_name_to_capability(strncasecmp(name, "cap_", 4) ? name : name + 4);
	if (cap < 0 || cap >= 64)
		return -EINVAL;
	*keep = text[0] == '+' ? *keep | BIT(cap) : *keep & ~BIT(cap);
	return 0;
}

int fs_caps_choose(struct fs_caps *c, enum fs_handles handles, const char *modcaps, char *err,
		   size_t errlen)
{
	*c = (struct fs_caps){ .keep = always };
	if (handles != FS_HANDLES_NEVER)
		c->keep |= BIT(CAP_DAC_READ_SEARCH);
	while (modcaps) {
		size_t len = strcspn(modcaps, ":");

		if (change(&c->keep, modcaps, len)) {
			snprintf(err, errlen,
				 "--modcaps wants +NAME or -NAME of a capability, not \"%.*s\"",
				 (int)MIN(len, 64), modcaps);
			return -EINVAL;
		}
		modcaps = modcaps[len] ? modcaps + len + 1 : NULL;
	}
	if (handles == FS_HANDLES_NEVER || c->keep & BIT(CAP_DAC_READ_SEARCH))
		return 0;
	if (handles == FS_HANDLES_MANDATORY) {
		snprintf(err, errlen,
			 "--modcaps=-dac_read_search does not go with "
			 "--inode-file-handles=mandatory, which needs it");
		return -EINVAL;
	}
	c->no_handles = true;
	return 0;
}

int fs_caps_apply(const struct fs_caps *c)
{
	uint64_t have = 0;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)cap))
			have |= BIT(cap);
	/* The bounding set first, while we may; an ordinary user need not. */
	capng_clear(CAPNG_SELECT_ALL);
	capng_apply(CAPNG_SELECT_BOUNDS);
	capng_apply(CAPNG_SELECT_AMBIENT);
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (c->keep & have & BIT(cap))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)cap);
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

int fs_caps_drop_all(void)
{
	static const struct fs_caps none;

	return fs_caps_apply(&none);
}
