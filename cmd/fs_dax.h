/* SPDX-License-Identifier: BSD-2-Clause */
/* What `vdax fs` is told of the DAX window: texts with a syntax of their own, and advice. */
#ifndef CMD_FS_DAX_H
#define CMD_FS_DAX_H

#include <stddef.h>
#include <stdint.h>

#include "fs/config.h"

struct fs_options;

/* What --dax-policy changes. */
extern const struct fs_dax_policy fs_dax_policy_default;

/*
 * --dax-window: bytes, "0" for none, else a multiple of FS_DAX_RANGE up to FS_DAX_WINDOW_MAX. 0, or
 * -EINVAL with what is wanted in err.
 */
int fs_dax_window_parse(uint64_t *window, const char *text, char *err, size_t errlen);

/*
 * --dax-policy: "exec,min-size=64K", changes of *p; of a word that is there twice the last counts.
 * 0, or -EINVAL with what is wrong in err.
 */
int fs_dax_policy_parse(struct fs_dax_policy *p, const char *text, char *err, size_t errlen);

/*
 * Logs what an administrator should know of these options together, and makes a window as small as
 * it must be for the mappings that there are.
 */
void fs_dax_advise(struct fs_options *o);

#endif
