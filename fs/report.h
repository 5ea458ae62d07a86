/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket tells of a virtio-fs device. docs/protocol.md lists the keys. */
#ifndef FS_REPORT_H
#define FS_REPORT_H

#include "host/lines.h"

struct fs;

/*
 * Adds the lines. Asking also begins the measuring of latencies, or lets it go on, until five
 * seconds have passed without a question. The control thread; requests may run.
 */
void fs_report(struct fs *fs, struct lines *l);

#endif
