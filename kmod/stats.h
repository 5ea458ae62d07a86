/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VPMEM_STATS_H
#define VPMEM_STATS_H

#include <linux/sysfs.h>

#include "disk.h"

struct dentry;

extern const struct attribute_group *vpmem_stats_groups[];

void vpmem_stats_init(void);
void vpmem_stats_exit(void);
struct dentry *vpmem_stats_add(struct vpmem_disk *disk);

#endif /* VPMEM_STATS_H */
