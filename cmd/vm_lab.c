/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

const char *path_in(char *buf, const char *dir, const char *name, int mode)
{
	int n = snprintf(buf, PATH_MAX, "%s/%s", dir, name);

	return n < PATH_MAX && access(buf, mode) == 0 ? buf : NULL;
}

/* The directory of this program. 0 or -errno. */
static int own_directory(char *buf)
{
	ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*strrchr(buf, '/') = '\0';
	return 0;
}

/* Sets lab->scripts if they are in dir, which is relative to base or absolute. */
static int scripts_in(struct vm_lab *lab, const char *base, const char *dir)
{
	char path[PATH_MAX], script[PATH_MAX];

	if (*dir == '/')
		base = "";
	if (!path_in(path, base, dir, X_OK) || !realpath(path, lab->scripts) ||
	    !path_in(script, lab->scripts, "initramfs", X_OK))
		return -ENOENT;
	return 0;
}

static int find_scripts(struct vm_lab *lab)
{
	/* In a build directory; in a prefix that was moved or a DESTDIR; where we belong. */
	static const char *const dirs[] = { "../lab/scripts", "../libexec/vdax", VDAX_LIBEXEC };
	const char *given = getenv("VDAX_LIBEXEC");
	char own[PATH_MAX];
	int ret = own_directory(own);

	if (given && *given) {
		ret = scripts_in(lab, ".", given);
		if (ret)
			log_err(given, "VDAX_LIBEXEC names this directory, but there is no program "
				       "initramfs in it");
		return ret;
	}
	for (size_t i = 0; !ret && i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!scripts_in(lab, own, dirs[i]))
			return 0;
	log_err(NULL, "the scripts that make guests are not in " VDAX_LIBEXEC
		      ". Install vdax (make install), or say where the source's directory lab/ is: "
		      "VDAX_LIBEXEC=DIR");
	return -ENOENT;
}

int vm_lab_find(struct vm_lab *lab)
{
	const char *given = getenv("VDAX_LAB");
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (given && *given)
		snprintf(lab->cache, sizeof(lab->cache), "%s", given);
	else if (cache && *cache)
		snprintf(lab->cache, sizeof(lab->cache), "%s/vdax/lab", cache);
	else
		snprintf(lab->cache, sizeof(lab->cache), "%s/.cache/vdax/lab", home ? home : "");
	return find_scripts(lab);
}
